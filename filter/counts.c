#include "filter/counts.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"

#define HEAD_SIZE 24 /* magic, version, n, xxh3 */

static const char sparse_magic[8] = {'W', 'I', 'T', 'M', 'I', 'L', 'L', 'C'};
static const char dense_magic[8] = {'W', 'I', 'T', 'M', 'I', 'L', 'L', 'N'};

void counts_init(struct counts *t, uint32_t n)
{
    *t = (struct counts){.c = xcalloc(n, sizeof *t->c), .n = n};
}

void counts_release(struct counts *t)
{
    free(t->c);
    *t = (struct counts){0};
}

static uint64_t get(const char *p, int bytes)
{
    uint64_t v = 0;

    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)(unsigned char)p[i] << (8 * i);
    return v;
}

static int publish(const char *path, const char magic[8], uint32_t n,
                   const struct buf *body, char hex[SHA256_HEX], struct err *e)
{
    struct io_file f;
    struct buf head;
    int rc;

    if (body->rc)
        return err_set(e, E_NOMEM, "%s: no memory", path);
    rc = io_file_open(&f, path, e);
    if (rc)
        return rc;
    buf_init(&head, HEAD_SIZE);
    buf_add_bytes(&head, magic, 8);
    buf_add_u32le(&head, COUNTS_VERSION);
    buf_add_u32le(&head, n);
    buf_add_u64le(&head, hash_xxh3(buf_str(body)));
    io_file_write(&f, buf_str(&head), e);
    io_file_write(&f, buf_str(body), e);
    buf_release(&head);
    rc = io_file_publish(&f, e);
    if (!rc)
        memcpy(hex, f.sha256, SHA256_HEX);
    return rc;
}

/* The file's bytes into b, checked; *n entries of entry_size bytes. */
static int load(const char *path, const char magic[8], size_t entry_size,
                struct buf *b, uint32_t *n, struct err *e)
{
    int rc = io_read_file(path, b, e);

    if (rc)
        return rc;
    if (b->n < HEAD_SIZE || memcmp(b->p, magic, 8))
        return err_set(e, E_DAMAGED, "%s holds no counts", path);
    if (get(b->p + 8, 4) != COUNTS_VERSION)
        return err_set(e, E_VERSION, "%s has version %llu, expected %d", path,
                       (unsigned long long)get(b->p + 8, 4), COUNTS_VERSION);
    *n = (uint32_t)get(b->p + 12, 4);
    if (b->n != HEAD_SIZE + *n * entry_size ||
        get(b->p + 16, 8) !=
            hash_xxh3(str_make(b->p + HEAD_SIZE, b->n - HEAD_SIZE)))
        return err_set(e, E_DAMAGED,
                       "%s is damaged: remove its .meta.json and run gather "
                       "again",
                       path);
    return 0;
}

int counts_write_sparse(const struct counts *t, const char *path,
                        char hex[SHA256_HEX], struct err *e)
{
    struct buf body;
    uint32_t n = 0;
    int rc;

    buf_init(&body, BUF_NO_LIMIT);
    for (uint32_t q = 0; q < t->n; q++) {
        if (!t->c[q])
            continue;
        buf_add_u32le(&body, q);
        buf_add_u32le(&body, 0);
        buf_add_u64le(&body, t->c[q]);
        n++;
    }
    rc = publish(path, sparse_magic, n, &body, hex, e);
    buf_release(&body);
    return rc;
}

int counts_add_sparse(struct counts *t, const char *path, struct err *e)
{
    struct buf b;
    uint32_t n;
    int rc;

    buf_init(&b, BUF_NO_LIMIT);
    rc = load(path, sparse_magic, 16, &b, &n, e);
    for (uint32_t i = 0; !rc && i < n; i++) {
        const char *p = b.p + HEAD_SIZE + (size_t)i * 16;
        uint64_t q = get(p, 4);

        if (q >= t->n)
            rc = err_set(e, E_DAMAGED, "%s counts query %llu of %u", path,
                         (unsigned long long)q, t->n);
        else
            t->c[q] += get(p + 8, 8);
    }
    buf_release(&b);
    return rc;
}

int counts_write(const struct counts *t, const char *path, char hex[SHA256_HEX],
                 struct err *e)
{
    struct buf body;
    int rc;

    buf_init(&body, BUF_NO_LIMIT);
    for (uint32_t q = 0; q < t->n; q++)
        buf_add_u64le(&body, t->c[q]);
    rc = publish(path, dense_magic, t->n, &body, hex, e);
    buf_release(&body);
    return rc;
}

int counts_read(struct counts *t, const char *path, struct err *e)
{
    struct buf b;
    uint32_t n;
    int rc;

    *t = (struct counts){0};
    buf_init(&b, BUF_NO_LIMIT);
    rc = load(path, dense_magic, 8, &b, &n, e);
    if (!rc) {
        counts_init(t, n);
        for (uint32_t q = 0; q < n; q++)
            t->c[q] = get(b.p + HEAD_SIZE + (size_t)q * 8, 8);
    }
    buf_release(&b);
    return rc;
}

int counts_open(struct counts *t, const struct corpus *c, struct err *e)
{
    struct err inner = ERR_INIT;
    char path[IO_PATH_MAX];
    int rc = corpus_path(c, "unique/counts.bin", path, e);

    if (rc)
        return rc;
    rc = counts_read(t, path, &inner);
    if (rc == -E_NOTFOUND)
        return err_set(e, E_NOTFOUND,
                       "%s is not there yet: run `witmill gather %s` first "
                       "(and `gather --finish` once all its parts are done)",
                       path, c->dir);
    if (rc)
        return err_set(e, -rc, "%s", inner.message);
    if (t->n != c->head.n_queries) {
        counts_release(t);
        return err_set(e, E_STALE,
                       "%s counts another query list: run gather again", path);
    }
    return 0;
}
