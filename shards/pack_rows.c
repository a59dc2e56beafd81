#include "shards/pack_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/stage.h"
#include "shards/tar_write.h"

#define ROW_MEMORY ((size_t)16 << 20) /* bytes of one line, decoded */

/* ---- the plan ---- */

static void read_frames(struct json *j, struct pack_bucket *b)
{
    size_t cap = 0;

    json_array(j);
    while (json_element(j)) {
        uint64_t at = json_u64(j);

        b->frames = xgrow(b->frames, &cap, b->n_frames + 1, sizeof *b->frames);
        b->frames[b->n_frames++] = at;
    }
}

static int read_bucket(struct pack_plan *p, uint32_t k, struct err *e)
{
    struct pack_bucket *b = &p->buckets[k];
    struct err inner = ERR_INIT;
    struct sidecar s;
    struct json j;
    struct str name;
    char output[STAGE_NAME_MAX];
    int rc;

    snprintf(output, sizeof output, "survivors/bucket-%04u", k);
    rc = sidecar_read(&s, p->corpus, output, &inner);
    if (rc == -E_NOTFOUND)
        return err_set(e, E_NOTFOUND,
                       "%s/%s is not there yet: run `witmill dedup %s` first",
                       p->corpus->dir, output, p->corpus->dir);
    if (rc)
        return err_set(e, -rc, "%s", inner.message);
    b->first = p->rows;
    b->rows = tally_get(&s.counts, "rows");
    memcpy(b->sha256, s.files[0].sha256, sizeof b->sha256);
    json_open(&j, s.extra, NULL);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("frames")))
            read_frames(&j, b);
        else if (str_eq(name, STR("frame_rows")))
            p->frame_rows = json_u64(&j);
        else
            json_skip(&j);
    }
    rc = json_close(&j, &inner);
    if (rc || !p->frame_rows ||
        b->n_frames != (b->rows + p->frame_rows - 1) / p->frame_rows)
        rc = err_set(e, E_DAMAGED,
                     "%s/%s.meta.json does not tell where its rows lie; "
                     "remove it and run `witmill dedup %s` again",
                     p->corpus->dir, output, p->corpus->dir);
    p->rows += b->rows;
    sidecar_release(&s);
    return rc;
}

int pack_plan_open(struct pack_plan *p, const struct corpus *c, struct err *e)
{
    int rc;

    *p = (struct pack_plan){.corpus = c, .n_buckets = corpus_buckets(c)};
    pthread_mutex_init(&p->lock, NULL);
    p->buckets = xcalloc(p->n_buckets, sizeof *p->buckets);
    rc = sidecar_list(c, "images", &p->tars, e);
    p->fds = xcalloc(p->tars.n + 1, sizeof *p->fds);
    for (size_t i = 0; i < p->tars.n; i++)
        p->fds[i] = -1;
    io_allow_files(p->tars.n);
    for (uint32_t k = 0; !rc && k < p->n_buckets; k++)
        rc = read_bucket(p, k, e);
    if (rc)
        pack_plan_close(p);
    return rc;
}

void pack_plan_close(struct pack_plan *p)
{
    for (uint32_t k = 0; k < p->n_buckets; k++)
        free(p->buckets[k].frames);
    for (size_t i = 0; i < p->tars.n; i++)
        if (p->fds[i] >= 0)
            close(p->fds[i]);
    free(p->buckets);
    free(p->fds);
    io_list_release(&p->tars);
    pthread_mutex_destroy(&p->lock);
}

uint32_t pack_bucket_of(const struct pack_plan *p, uint64_t row)
{
    uint32_t lo = 0, hi = p->n_buckets;

    /* The last bucket that begins at or before row; empty ones that begin
     * with it come before it. */
    while (hi - lo > 1) {
        uint32_t mid = (lo + hi) / 2;

        if (p->buckets[mid].first <= row)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* ---- rows ---- */

static int open_bucket(struct pack_rows *r, uint64_t from, struct err *e)
{
    char name[STAGE_NAME_MAX], path[IO_PATH_MAX];
    int rc;

    snprintf(name, sizeof name, "survivors/bucket-%04u.jsonl.zst", r->bucket);
    rc = corpus_path(r->plan->corpus, name, path, e);
    if (rc)
        return rc;
    r->open = true;
    r->last_h = 0;
    return jsonl_open_range(&r->in, path, from, UINT64_MAX, e);
}

static void close_bucket(struct pack_rows *r)
{
    if (r->open)
        jsonl_close(&r->in);
    r->open = false;
}

static int bad_line(const struct pack_rows *r, const char *what, struct err *e)
{
    return err_set(e, E_DAMAGED,
                   "%s, line %llu: %s; run `witmill verify`, remove its "
                   "sidecar and run `witmill dedup` again",
                   r->in.path, (unsigned long long)r->in.line, what);
}

int pack_rows_next(struct pack_rows *r, struct survivor *s, bool *more,
                   struct err *e)
{
    struct err inner = ERR_INIT;
    struct str line;
    int rc;

    *more = false;
    for (;;) {
        if (!r->open) {
            if (r->bucket == r->plan->n_buckets)
                return 0;
            rc = open_bucket(r, 0, e);
            if (rc)
                return rc;
        }
        rc = jsonl_next(&r->in, &line, more, e);
        if (rc)
            return rc;
        if (*more)
            break;
        close_bucket(r);
        r->bucket++;
    }
    arena_reset(&r->arena);
    if (survivor_read(line, &r->arena, s, &inner))
        return bad_line(r, inner.message, e);
    if (s->h < r->last_h)
        return bad_line(r, "records out of order", e);
    r->last_h = s->h;
    return 0;
}

int pack_rows_open(struct pack_rows *r, struct pack_plan *p, uint64_t row,
                   struct err *e)
{
    struct pack_bucket *b;
    uint64_t skip;
    int rc = 0;

    *r = (struct pack_rows){.plan = p, .bucket = p->n_buckets};
    arena_init(&r->arena, ROW_MEMORY);
    if (row >= p->rows)
        return 0;
    r->bucket = pack_bucket_of(p, row);
    b = &p->buckets[r->bucket];
    skip = row - b->first;
    rc = open_bucket(r, b->frames[skip / p->frame_rows], e);
    skip %= p->frame_rows;
    while (!rc && skip) {
        struct survivor s;
        bool more;

        rc = pack_rows_next(r, &s, &more, e);
        if (!rc && !more)
            rc = bad_line(r, "fewer rows than its sidecar counts", e);
        else if (!rc && !s.more)
            skip--;
    }
    if (rc)
        pack_rows_close(r);
    return rc;
}

void pack_rows_close(struct pack_rows *r)
{
    close_bucket(r);
    arena_release(&r->arena);
}

/* ---- images ---- */

static int by_name(const void *key, const void *name)
{
    struct str a = *(const struct str *)key;

    return str_cmp(a, str_of(*(char *const *)name));
}

/* Descriptor of a group's tar, opened when first asked for. */
static int tar_fd(struct pack_plan *p, struct str group, char *path, int *fd,
                  struct err *e)
{
    char name[STAGE_NAME_MAX];
    char **found = p->tars.n ? bsearch(&group, p->tars.names, p->tars.n,
                                       sizeof *p->tars.names, by_name)
                             : NULL;
    int rc, *slot;

    snprintf(name, sizeof name, "images/%.*s.tar",
             (int)(group.n < 32 ? group.n : 32), group.p);
    rc = corpus_path(p->corpus, name, path, e);
    if (!rc && !found)
        rc = err_set(e, E_DAMAGED,
                     "%s is named in survivors/ and is not "
                     "there; run `witmill dedup` again",
                     path);
    if (rc)
        return rc;
    slot = &p->fds[found - p->tars.names];
    pthread_mutex_lock(&p->lock);
    if (*slot < 0)
        *slot = open(path, O_RDONLY | O_CLOEXEC);
    *fd = *slot;
    if (*fd < 0)
        rc = err_errno(e, E_IO, "open", path);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

int pack_image(struct pack_plan *p, const struct survivor *s, struct buf *out,
               struct err *e)
{
    char path[IO_PATH_MAX];
    const unsigned char *b;
    int fd, rc = tar_fd(p, s->group, path, &fd, e);

    if (rc)
        return rc;
    buf_clear(out);
    if (s->image.bytes < 4 || s->image.bytes > TAR_MEMBER_MAX)
        return err_set(e, E_DAMAGED, "%s: an image of %llu bytes", path,
                       (unsigned long long)s->image.bytes);
    if (!buf_reserve(out, (size_t)s->image.bytes))
        return err_set(e, E_NOMEM, "no memory for an image of %llu bytes",
                       (unsigned long long)s->image.bytes);
    rc = io_pread_full(fd, out->p, (size_t)s->image.bytes, s->image.offset,
                       path, e);
    if (rc)
        return rc;
    out->n = (size_t)s->image.bytes;
    b = (const unsigned char *)out->p;
    if (b[0] != 0xff || b[1] != 0xd8 || b[out->n - 2] != 0xff ||
        b[out->n - 1] != 0xd9)
        return err_set(e, E_DAMAGED,
                       "%s: no JPEG of %zu bytes at byte %llu; run `witmill "
                       "verify`",
                       path, out->n, (unsigned long long)s->image.offset);
    return 0;
}
