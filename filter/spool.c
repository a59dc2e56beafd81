#include "filter/spool.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

void spool_run_init(struct spool_run *r, uint32_t n_buckets)
{
    buf_init(&r->lines, BUF_NO_LIMIT);
    r->at = xcalloc((size_t)n_buckets + 1, sizeof *r->at);
}

void spool_run_release(struct spool_run *r)
{
    buf_release(&r->lines);
    free(r->at);
    r->at = NULL;
}

int spool_open(struct spool *s, const char *folder, uint32_t n_buckets,
               uint64_t max_memory_bytes, struct err *e)
{
    *s = (struct spool){
        .n = n_buckets, .max_memory = max_memory_bytes, .fd = -1};
    if (strlen(folder) >= sizeof s->folder)
        return err_set(e, E_TOOBIG, "path too long: %.400s", folder);
    memcpy(s->folder, folder, strlen(folder) + 1);
    s->buckets = xcalloc(n_buckets, sizeof *s->buckets);
    buf_init(&s->moving, BUF_NO_LIMIT);
    return 0;
}

/* ---- to the file ---- */

static int move(struct spool *s, struct err *e)
{
    int rc = 0;

    if (s->moving.rc)
        return err_set(e, E_NOMEM, "no memory for the records of a bucket");
    rc = io_write_full(s->fd, s->moving.p, s->moving.n, s->folder, e);
    s->file_bytes += s->moving.n;
    buf_clear(&s->moving);
    return rc;
}

static int spill(struct spool *s, struct err *e)
{
    int rc = s->fd < 0 ? io_open_unnamed(s->folder, &s->fd, e) : 0;

    for (uint32_t k = 0; !rc && k < s->n; k++) {
        struct spool_bucket *b = &s->buckets[k];
        struct spool_chunk c = {s->file_bytes + s->moving.n, 0};

        for (size_t i = 0; !rc && i < s->n_runs; i++) {
            struct spool_run *r = &s->runs[i];

            buf_add(&s->moving,
                    str_slice(buf_str(&r->lines), r->at[k], r->at[k + 1]));
            c.n += r->at[k + 1] - r->at[k];
            if (s->moving.n >= JSONL_FRAME || s->moving.rc)
                rc = move(s, e);
        }
        if (c.n == 0)
            continue;
        b->chunks = xgrow(b->chunks, &b->cap_chunks, b->n_chunks + 1,
                          sizeof *b->chunks);
        b->chunks[b->n_chunks++] = c;
    }
    if (!rc && s->moving.n)
        rc = move(s, e);
    s->n_runs = 0;
    s->in_memory = 0;
    return rc;
}

int spool_take(struct spool *s, struct spool_run *run, struct err *e)
{
    struct spool_run full = *run;

    if (full.lines.n == 0)
        return 0;
    if (s->n_runs == s->n_made) {
        s->runs = xgrow(s->runs, &s->cap_runs, s->n_made + 1, sizeof *s->runs);
        spool_run_init(&s->runs[s->n_made++], s->n);
    }
    *run = s->runs[s->n_runs];
    s->runs[s->n_runs++] = full;
    s->in_memory += full.lines.cap + ((uint64_t)s->n + 1) * sizeof *full.at;
    return s->in_memory > s->max_memory ? spill(s, e) : 0;
}

/* ---- back ---- */

/*
 * A piece is as many whole lines of a bucket as make JSONL_FRAME bytes at most,
 * or one line that is longer: so where pieces end depends on the lines alone,
 * not on which of them are in memory.
 */
static size_t room_in(const struct buf *piece)
{
    return piece->n < JSONL_FRAME ? JSONL_FRAME - piece->n : 0;
}

/* What n bytes at p hold of whole lines; 0: not one. */
static size_t whole_lines(const char *p, size_t n)
{
    const char *end = n ? memrchr(p, '\n', n) : NULL;

    return end ? (size_t)(end - p) + 1 : 0;
}

/* Bytes of the n at p, whole lines, that go into the piece. */
static size_t fitting(const char *p, size_t n, const struct buf *piece)
{
    size_t room = room_in(piece), whole;
    const char *end;

    if (n <= room)
        return n;
    whole = whole_lines(p, room);
    if (whole || piece->n)
        return whole;
    end = memchr(p, '\n', n);
    return end ? (size_t)(end - p) + 1 : n;
}

/* On in the chunk or run at hand, of which n bytes were left before; *next goes
 * to the one behind it.  Whether the piece may go on. */
static bool given(struct spool *s, size_t bytes, uint64_t n, size_t *next)
{
    s->inside += bytes;
    if (bytes < n)
        return false;
    s->inside = 0;
    ++*next;
    return true;
}

/* Lines of the chunk at hand. */
static int read_chunk(struct spool *s, struct buf *piece, bool *on,
                      struct err *e)
{
    const struct spool_chunk *c = &s->buckets[s->bucket].chunks[s->chunk];
    uint64_t left = c->n - s->inside;
    size_t n = 0;

    /* The last line read may go on behind what was read; a line that is longer
     * than a piece wants more read. */
    for (size_t want = room_in(piece); n == 0; want *= 2) {
        size_t got = want < left ? want : (size_t)left;
        char *to = buf_reserve(piece, got);
        int rc;

        if (!to)
            return err_set(e, E_NOMEM, "no memory for %zu bytes of records",
                           got);
        rc = io_pread_full(s->fd, to, got, c->at + s->inside, s->folder, e);
        if (rc)
            return rc;
        n = got < left ? whole_lines(to, got) : got;
        if (n)
            n = fitting(to, n, piece);
        if (n == 0 && piece->n)
            break;
    }
    piece->n += n;
    *on = given(s, n, left, &s->chunk);
    return 0;
}

static void read_run(struct spool *s, struct buf *piece, bool *on)
{
    const struct spool_run *r = &s->runs[s->run];
    struct str left = str_slice(
        buf_str(&r->lines), r->at[s->bucket] + s->inside, r->at[s->bucket + 1]);
    size_t n = fitting(left.p, left.n, piece);

    buf_add_bytes(piece, left.p, n);
    *on = given(s, n, left.n, &s->run);
}

/* Is this the end of the bucket?  Runs that have nothing of it go by. */
static bool done(struct spool *s)
{
    if (s->chunk < s->buckets[s->bucket].n_chunks)
        return false;
    while (s->run < s->n_runs && s->inside == 0 &&
           s->runs[s->run].at[s->bucket] == s->runs[s->run].at[s->bucket + 1])
        s->run++;
    return s->run == s->n_runs;
}

int spool_next(struct spool *s, struct buf *piece, bool *ends, bool *more,
               struct err *e)
{
    bool on = true;
    int rc = 0;

    buf_clear(piece);
    *ends = false;
    *more = s->bucket < s->n;
    if (!*more)
        return 0;
    while (!rc && on && room_in(piece) &&
           s->chunk < s->buckets[s->bucket].n_chunks)
        rc = read_chunk(s, piece, &on, e);
    if (s->chunk == s->buckets[s->bucket].n_chunks)
        while (!rc && on && room_in(piece) && s->run < s->n_runs)
            read_run(s, piece, &on);
    if (!rc && piece->rc)
        rc = err_set(e, E_NOMEM, "no memory for the records of a bucket");
    *ends = done(s);
    if (*ends) {
        s->bucket++;
        s->chunk = s->run = 0;
    }
    return rc;
}

/* ---- the end ---- */

void spool_clear(struct spool *s)
{
    for (uint32_t k = 0; k < s->n; k++)
        s->buckets[k].n_chunks = 0;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
    s->file_bytes = s->in_memory = s->inside = 0;
    s->n_runs = s->chunk = s->run = 0;
    s->bucket = 0;
    buf_clear(&s->moving);
}

void spool_close(struct spool *s)
{
    for (uint32_t k = 0; s->buckets && k < s->n; k++)
        free(s->buckets[k].chunks);
    free(s->buckets);
    for (size_t i = 0; i < s->n_made; i++)
        spool_run_release(&s->runs[i]);
    free(s->runs);
    buf_release(&s->moving);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct spool){.fd = -1};
}
