/* A sample from the members of its tar: a request for a worker, and ids. */
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "train/loader_private.h"
#include "train/random.h"

#define NEAR     ((uint64_t)64 << 10) /* members so near are read in one go */
#define TEXT_MAX ((size_t)1 << 20)    /* bytes of a .json or a .txt */

static const struct source_shard *shard_of(const struct job *j)
{
    return &j->pane->source->shards[j->pane->w.shards[j->item.shard]];
}

void sample_name(const struct job *j, struct str *key, const char **tar)
{
    struct index_entry entry;

    index_get(&j->pane->x[j->item.shard], j->item.sample, &entry);
    *key = entry.key; /* lies in the index, not in the entry */
    *tar = shard_of(j)->path;
}

/* The tar was as long as its index says when it was opened. */
static int read_at(const struct job *j, uint64_t offset, size_t n,
                   struct buf *to, struct str *got, struct err *e)
{
    const struct source_shard *t = shard_of(j);
    char *p = buf_reserve(to, n);
    int rc;

    if (!p)
        return err_set(e, -to->rc, "%s: %zu bytes of a sample", t->path, n);
    rc = io_pread_full(j->pane->fd[j->item.shard], p, n, offset, t->path, e);
    if (rc)
        return rc == -E_FORMAT
                   ? err_wrap(e, -E_IO, "cut shorter since the start")
                   : rc;
    *got = str_make(p, n);
    to->n += n;
    return 0;
}

/* What a sample is read from. */
struct members {
    struct str image, json, txt;
};

struct part {
    uint64_t offset;
    uint32_t size;
    struct str *to;
};

static bool lies_in(const struct part *p, uint64_t from, uint64_t end)
{
    return p->offset >= from && p->offset + p->size <= end;
}

/*
 * The picture goes behind the request's head.  A .json and a .txt that lie
 * closely behind it, as in tars of ours, come with the same call; they stay in
 * the request's memory, behind its end.
 */
static int read_members(struct loader *l, const struct job *j,
                        const struct index_entry *entry, bool json,
                        struct members *m, struct err *e)
{
    const struct part parts[2] = {
        {entry->json_offset, json ? entry->json_size : 0, &m->json},
        {entry->text_offset, entry->text_size, &m->txt}};
    uint64_t from = entry->image_offset, end = from + entry->image_size;
    struct buf *r = &l->request;
    struct str all = STR_NONE;
    int rc;

    buf_clear(r);
    buf_clear(&l->members);
    *m = (struct members){0};
    for (int i = 0; i < 2; i++)
        if (parts[i].size && parts[i].offset >= end &&
            parts[i].offset + parts[i].size - end <= NEAR)
            end = parts[i].offset + parts[i].size;
    if (!buf_reserve(r, PICTURE_HEAD + (size_t)(end - from)) ||
        !buf_reserve(&l->members, (size_t)parts[0].size + parts[1].size))
        return err_set(e, E_NOMEM, "no room for a sample");
    r->n = PICTURE_HEAD;
    rc = read_at(j, from, (size_t)(end - from), r, &all, e);
    m->image = str_slice(all, 0, entry->image_size);
    for (int i = 0; !rc && i < 2; i++)
        if (parts[i].size && lies_in(&parts[i], from, end))
            *parts[i].to =
                str_make(all.p + (parts[i].offset - from), parts[i].size);
        else if (parts[i].size)
            rc = read_at(j, parts[i].offset, parts[i].size, &l->members,
                         parts[i].to, e);
    return rc;
}

static int put_text(struct loader *l, const struct job *j,
                    const struct members *m, uint64_t identity,
                    const char **reason, struct err *e)
{
    uint64_t draw =
        random_bits(random_bits(l->text, j->pane->w.epoch), identity);
    struct str text;
    int n;

    if (!texts_pick(&l->texts, m->txt, m->json, draw, &text)) {
        *reason = "no-text";
        return 0;
    }
    n = tokenizer_caption(l->c.data->tokenizer, &l->tokens, text, l->c.context,
                          j->batch->ids + (size_t)j->i * (size_t)l->c.context);
    if (n == -E_TOOBIG)
        *reason = "text-too-long";
    else if (n < 0)
        return err_set(e, -n, "a text of %zu bytes", text.n);
    return 0;
}

int sample_read(struct loader *l, const struct job *j, const char **reason,
                struct err *e)
{
    uint64_t began = clock_mono_ns(), read;
    struct index_entry entry;
    struct members m;
    struct picture_request q = {.rule = l->c.data->c.crop,
                                .fast = l->c.data->c.fast_decode,
                                .size = (uint32_t)l->c.size,
                                .draw = random_bits(l->crop, j->position)};
    bool json;
    int rc;

    *reason = NULL;
    index_get(&j->pane->x[j->item.shard], j->item.sample, &entry);
    json = texts_want_json(&l->texts) && entry.json_size != INDEX_ABSENT &&
           entry.json_size <= TEXT_MAX;
    if (entry.image_size > IMAGE_BYTES_MAX)
        *reason = image_reason_name(IMAGE_BYTES);
    else if (!entry.image_size)
        *reason = image_reason_name(IMAGE_EMPTY);
    else if (entry.text_size > TEXT_MAX)
        *reason = "text-too-long";
    if (*reason)
        return 0;
    rc = read_members(l, j, &entry, json, &m, e);
    read = clock_mono_ns();
    j->batch->ns[STAGE_READ] += read - began;
    if (rc)
        return rc;
    j->batch->load.bytes += entry.image_size;
    rc = put_text(l, j, &m, index_identity(&entry), reason, e);
    j->batch->ns[STAGE_TOKENISE] += clock_mono_ns() - read;
    l->request.n = PICTURE_HEAD + entry.image_size;
    picture_head(&q, (uint8_t *)l->request.p);
    return rc;
}
