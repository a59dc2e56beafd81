#include "train/evalset.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define MEMBER_MAX  ((uint64_t)IMAGE_BYTES_MAX)
#define SAMPLE_MAX  ((size_t)IMAGE_BYTES_MAX + ((size_t)8 << 20))
#define TEXT_MAX    ((size_t)4 << 20) /* bytes of a sample's key and texts */
#define REQUEST_MAX (PICTURE_HEAD + (size_t)IMAGE_BYTES_MAX)

static const char *const pictures[] = {"jpg", "jpeg", "png", "webp"};
#define PICTURES (sizeof pictures / sizeof *pictures)

static const char *const members[] = {"jpg", "jpeg", "png",  "webp", "cls",
                                      "npy", "txt",  "json", NULL};

/* ---- a sample's members ---- */

static struct str member(const struct evalset *s, const struct tar_sample *t,
                         const char *ext)
{
    const struct tar_sample_member *m = tar_sample_find(t, ext);

    return m ? tar_samples_data(&s->samples, m) : STR_NONE;
}

static void read_label(const struct evalset *s, const struct tar_sample *t,
                       struct evalset_item *it)
{
    struct str text = str_trim(member(s, t, "cls"));

    if (!tar_sample_find(t, "cls"))
        it->reason = "no-label";
    else if (str_u64(text, &it->label))
        it->reason = "bad-label";
    else if (s->c.classes && it->label >= s->c.classes)
        it->reason = "label-range";
}

static void read_labels(const struct evalset *s, const struct tar_sample *t,
                        struct evalset_item *it)
{
    const struct str npy = member(s, t, "npy"), cls = member(s, t, "cls");

    it->reason = evalset_labels(tar_sample_find(t, "npy") ? &npy : NULL,
                                tar_sample_find(t, "cls") ? &cls : NULL,
                                s->c.classes, it);
}

/* Key and texts into one piece of memory. */
static void read_texts(struct evalset *s, const struct tar_sample *t,
                       struct evalset_item *it)
{
    size_t n = 0, at = t->key.n;

    if (s->c.need == EVALSET_CAPTIONS) {
        n = texts_all(&s->text, member(s, t, "txt"), member(s, t, "json"));
        if (!n)
            it->reason = "no-text";
        else if (n == TEXTS_MAX)
            it->reason = "too-many-texts";
    }
    buf_clear(&it->bytes);
    buf_add(&it->bytes, t->key);
    for (size_t i = 0; i < n; i++)
        buf_add(&it->bytes, s->text.list[i]);
    if (it->bytes.rc)
        it->reason = "text-too-long";
    if (it->reason)
        n = 0;
    it->key = str_slice(buf_str(&it->bytes), 0, t->key.n);
    it->n_texts = n;
    if (n)
        it->texts = xrealloc_array(it->texts, n, sizeof *it->texts);
    for (size_t i = 0; i < n; i++) {
        it->texts[i] =
            str_slice(buf_str(&it->bytes), at, at + s->text.list[i].n);
        at += s->text.list[i].n;
    }
}

static int submit(struct evalset *s, const struct tar_sample *t,
                  struct evalset_item *it, struct err *e)
{
    const struct picture_request q = {.rule = PICTURE_EVAL, .size = s->c.size};
    struct str bytes = STR_NONE;
    uint8_t head[PICTURE_HEAD];
    size_t i = 0;
    int rc;

    while (i < PICTURES && !tar_sample_find(t, pictures[i]))
        i++;
    if (i == PICTURES)
        it->reason = "no-image";
    else
        bytes = member(s, t, pictures[i]);
    if (!it->reason && !bytes.n)
        it->reason = image_reason_name(IMAGE_EMPTY);
    if (it->reason)
        return 0;
    picture_head(&q, head);
    buf_clear(&s->request);
    buf_add_bytes(&s->request, head, sizeof head);
    buf_add(&s->request, bytes);
    if (s->request.rc)
        return err_set(e, -s->request.rc, "a picture of %zu bytes", bytes.n);
    rc = jail_submit(s->jail, buf_str(&s->request), it, e);
    it->waiting = !rc;
    return rc;
}

/* ---- reading ahead ---- */

static void close_tar(struct evalset *s)
{
    if (!s->open)
        return;
    tally_add_all(&s->members, &s->reader.skipped);
    tar_samples_release(&s->samples);
    tar_reader_close(&s->reader);
    s->open = false;
}

static int next_sample(struct evalset *s, const struct tar_sample **t,
                       struct err *e)
{
    bool more = false;
    int rc = 0;

    while (!rc && !more) {
        if (s->shard == s->n_shards) {
            s->ended = true;
            return 0;
        }
        if (!s->open) {
            rc =
                tar_reader_open(&s->reader, s->shards[s->shard], MEMBER_MAX, e);
            if (rc)
                return rc;
            tar_samples_init(&s->samples, &s->reader, members, SAMPLE_MAX);
            s->open = true;
        }
        rc = tar_samples_next(&s->samples, t, &more, e);
        if (rc || !more) {
            close_tar(s);
            s->shard++;
        }
    }
    return rc;
}

static int take_up(struct evalset *s, struct err *e)
{
    struct evalset_item *it = &s->ring[(s->first + s->n) % s->cap];
    const struct tar_sample *t;
    int rc = next_sample(s, &t, e);

    if (rc || s->ended)
        return rc;
    it->reason = NULL;
    it->label = 0;
    it->n_labels = 0;
    it->waiting = false;
    s->n++;
    s->seen++;
    if (s->c.need == EVALSET_LABELS)
        read_label(s, t, it);
    if (s->c.need == EVALSET_LABEL_SETS)
        read_labels(s, t, it);
    read_texts(s, t, it);
    return submit(s, t, it, e);
}

static int take_answer(struct evalset *s, const struct jail_done *done,
                       struct err *e)
{
    struct evalset_item *it = done->user;
    enum image_reason reason;
    const uint8_t *rgb;
    int rc = picture_answer(done, s->c.size, &reason, &rgb);

    if (rc)
        return err_set(e, -rc,
                       "a process that decodes pictures gave no sound answer");
    it->waiting = false;
    if (reason != IMAGE_OK)
        it->reason = image_reason_name(reason);
    else
        memcpy(it->rgb, rgb, picture_bytes(s->c.size));
    return 0;
}

/* As many samples on their way as there is room for. */
static int work(struct evalset *s, struct err *e)
{
    struct jail_done done;
    int rc = 0;

    while (!rc && jail_next(s->jail, &done))
        rc = take_answer(s, &done, e);
    while (!rc && !s->ended && s->n < s->cap && jail_free(s->jail)) {
        rc = take_up(s, e);
        if (!rc && jail_next(s->jail, &done))
            rc = take_answer(s, &done, e);
    }
    return rc;
}

static void meet_stranger(struct evalset *s, const struct evalset_item *it)
{
    int n = it->key.n < 200 ? (int)it->key.n : 200;

    if (it->places)
        snprintf(s->stranger, sizeof s->stranger,
                 "sample %.*s has labels for %llu classes", n, it->key.p,
                 (unsigned long long)it->places);
    else
        snprintf(s->stranger, sizeof s->stranger, "sample %.*s has label %llu",
                 n, it->key.p, (unsigned long long)it->label);
}

static void leave_out(struct evalset *s, const struct evalset_item *it)
{
    if (!s->stranger[0] && !strcmp(it->reason, "label-range"))
        meet_stranger(s, it);
    tally_add(&s->left_out, it->reason, 1);
    if (s->logged++ < EVALSET_LOGGED)
        log_event("left-out", "%s: sample %.*s: %s", s->c.data,
                  it->key.n < 200 ? (int)it->key.n : 200, it->key.p,
                  it->reason);
}

/* ---- batches ---- */

/* The first item on its way is done with: its key, labels and texts, which live
 * on, and the memory of one that nobody looks at any more change places. */
static void hand_over(struct evalset *s, struct evalset_item *it,
                      struct evalset_batch *b)
{
    size_t square = picture_bytes(s->c.size);
    struct evalset_item *to = &s->out[b->n], old = *to;

    memcpy(s->rgb + (size_t)b->n++ * square, it->rgb, square);
    *to = *it;
    to->rgb = NULL;
    it->texts = old.texts;
    it->labels = old.labels;
    it->room_labels = old.room_labels;
    it->bytes = old.bytes;
}

int evalset_next(struct evalset *s, struct evalset_batch *b, struct err *e)
{
    struct jail_done done;
    int rc = 0;

    *b = (struct evalset_batch){.rgb = s->rgb, .items = s->out};
    while (!rc && b->n < s->c.batch) {
        struct evalset_item *it = &s->ring[s->first];

        rc = work(s, e);
        if (rc || !s->n)
            break;
        if (it->waiting) {
            if (jail_wait(s->jail, -1, &done))
                rc = take_answer(s, &done, e);
            continue;
        }
        if (it->reason)
            leave_out(s, it);
        else
            hand_over(s, it, b);
        s->first = (s->first + 1) % s->cap;
        s->n--;
    }
    s->given += (uint64_t)b->n;
    return rc ? rc : work(s, e);
}

void evalset_rewind(struct evalset *s)
{
    struct jail_done done;

    for (size_t i = 0; i < s->n; i++)
        while (s->ring[(s->first + i) % s->cap].waiting &&
               jail_wait(s->jail, -1, &done))
            take_answer(s, &done, NULL);
    close_tar(s);
    s->shard = 0;
    s->first = s->n = 0;
    s->seen = s->given = 0;
    s->ended = false;
    s->stranger[0] = 0;
    tally_clear(&s->left_out);
    tally_clear(&s->members);
}

int evalset_check(const struct evalset *s, struct err *e)
{
    struct json_out o;
    struct buf b;
    int rc;

    if (s->stranger[0])
        return err_set(e, E_RANGE,
                       "%s: %s, and there are names of %llu classes, from 0 "
                       "on: those of another data set",
                       s->c.data, s->stranger,
                       (unsigned long long)s->c.classes);
    if (s->given)
        return 0;
    buf_init(&b, 4096);
    json_out_init(&o, &b);
    tally_json(&s->left_out, &o);
    rc = err_set(e, E_FORMAT,
                 "%s: none of %llu samples can be used, left out: %s",
                 s->c.data, (unsigned long long)s->seen, buf_str(&b).p);
    buf_release(&b);
    return rc;
}

/* ---- opening ---- */

static void release(struct evalset_item *it)
{
    buf_release(&it->bytes);
    free(it->texts);
    free(it->labels);
    free(it->rgb);
}

static int open_room(struct evalset *s, struct err *e)
{
    size_t square = picture_bytes(s->c.size);
    size_t batch = (size_t)s->c.batch;

    s->cap = batch + jail_slots(s->jail);
    s->ring = xcalloc(s->cap, sizeof *s->ring);
    s->out = xcalloc(batch, sizeof *s->out);
    for (size_t i = 0; i < batch; i++)
        buf_init(&s->out[i].bytes, TEXT_MAX);
    s->rgb = calloc(batch, square); /* all of it may be computed */
    for (size_t i = 0; i < s->cap; i++) {
        buf_init(&s->ring[i].bytes, TEXT_MAX);
        s->ring[i].rgb = malloc(square);
        if (!s->ring[i].rgb || !s->rgb)
            return err_set(e, E_NOMEM, "no room for %zu pictures of %zu bytes",
                           s->cap, square);
    }
    return 0;
}

int evalset_open(struct evalset *s, const struct evalset_config *c,
                 struct err *e)
{
    struct jail_config j;
    int rc;

    assert(c->batch > 0 && c->size > 0);
    *s = (struct evalset){.c = *c, .scratch = PICTURE_SCRATCH_INIT};
    tally_init(&s->left_out);
    tally_init(&s->members);
    texts_init(&s->text, TEXTS_FIRST, c->caption_key);
    buf_init(&s->request, REQUEST_MAX);
    rc = evalset_list(s, e);
    if (!rc && c->size > PICTURE_SIZE_MAX)
        rc = err_set(e, E_RANGE, "pictures of %u pixels; up to %u are made",
                     c->size, PICTURE_SIZE_MAX);
    if (!rc) {
        j = picture_jail(&s->scratch, c->size);
        j.workers = c->workers;
        rc = jail_open(&s->jail, &j, e);
    }
    if (!rc)
        rc = open_room(s, e);
    if (rc)
        evalset_close(s);
    return rc;
}

void evalset_close(struct evalset *s)
{
    if (!s->c.data)
        return;
    close_tar(s);
    jail_close(s->jail);
    for (size_t i = 0; s->ring && i < s->cap; i++)
        release(&s->ring[i]);
    for (int i = 0; s->out && i < s->c.batch; i++)
        release(&s->out[i]);
    free(s->ring);
    free(s->out);
    free(s->rgb);
    for (size_t i = 0; i < s->n_shards; i++)
        free(s->shards[i]);
    free(s->shards);
    free(s->root);
    picture_scratch_release(&s->scratch);
    texts_release(&s->text);
    buf_release(&s->request);
    tally_release(&s->left_out);
    tally_release(&s->members);
    *s = (struct evalset){0};
}
