#include "filter/spool.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

int spool_open(struct spool *s, const char *folder, uint32_t n_buckets,
               uint64_t max_memory_bytes, struct err *e)
{
    *s = (struct spool){.n = n_buckets,
                        .max_memory = max_memory_bytes,
                        .fd = -1};
    if (strlen(folder) >= sizeof s->folder)
        return err_set(e, E_TOOBIG, "path too long: %.400s", folder);
    memcpy(s->folder, folder, strlen(folder) + 1);
    s->buckets = xcalloc(n_buckets, sizeof *s->buckets);
    for (uint32_t k = 0; k < n_buckets; k++)
        buf_init(&s->buckets[k].lines, BUF_NO_LIMIT);
    return 0;
}

static int open_file(struct spool *s, struct err *e)
{
    s->fd = open(s->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (s->fd < 0) { /* file systems without O_TMPFILE */
        char path[IO_PATH_MAX];
        int rc = io_join(path, s->folder, ".spool-XXXXXX", e);

        if (rc)
            return rc;
        s->fd = mkstemp(path);
        if (s->fd < 0)
            return err_errno(e, E_IO, "create", path);
        unlink(path);
    }
    return 0;
}

static int spill(struct spool *s, struct err *e)
{
    int rc = s->fd < 0 ? open_file(s, e) : 0;

    for (uint32_t k = 0; !rc && k < s->n; k++) {
        struct spool_bucket *b = &s->buckets[k];

        if (b->lines.n == 0)
            continue;
        rc = io_write_full(s->fd, b->lines.p, b->lines.n, s->folder, e);
        b->chunks = xgrow(b->chunks, &b->cap_chunks, b->n_chunks + 1,
                          sizeof *b->chunks);
        b->chunks[b->n_chunks++] =
            (struct spool_chunk){s->file_bytes, b->lines.n};
        s->file_bytes += b->lines.n;
        buf_release(&b->lines);
    }
    s->in_memory = 0;
    return rc;
}

int spool_add(struct spool *s, uint32_t bucket, struct str line,
              struct err *e)
{
    struct spool_bucket *b = &s->buckets[bucket];

    buf_add(&b->lines, line);
    buf_add_char(&b->lines, '\n');
    if (b->lines.rc)
        return err_set(e, E_NOMEM, "no memory for the records of a bucket");
    s->in_memory += line.n + 1;
    return s->in_memory > s->max_memory ? spill(s, e) : 0;
}

int spool_drain(struct spool *s, uint32_t bucket, struct jsonl_writer *w,
                struct err *e)
{
    struct spool_bucket *b = &s->buckets[bucket];
    int rc = 0;

    for (size_t i = 0; !rc && i < b->n_chunks; i++) {
        struct spool_chunk *c = &b->chunks[i];
        char *p = malloc(c->n);

        if (!p)
            return err_set(e, E_NOMEM, "no memory for %llu bytes of records",
                           (unsigned long long)c->n);
        rc = io_pread_full(s->fd, p, c->n, c->at, s->folder, e);
        if (!rc)
            rc = jsonl_write_block(w, str_make(p, c->n), e);
        free(p);
    }
    if (!rc && b->lines.n)
        rc = jsonl_write_block(w, buf_str(&b->lines), e);
    buf_release(&b->lines);
    return rc;
}

void spool_close(struct spool *s)
{
    for (uint32_t k = 0; k < s->n; k++) {
        buf_release(&s->buckets[k].lines);
        free(s->buckets[k].chunks);
    }
    free(s->buckets);
    if (s->fd >= 0)
        close(s->fd);
    *s = (struct spool){.fd = -1};
}
