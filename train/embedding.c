#include "train/embedding.h"

#include <stdlib.h>

static float *room(const struct encoder *n, struct err *e)
{
    float *p = malloc((size_t)n->batch * (size_t)n->dim * sizeof *p);

    if (!p)
        err_set(e, E_NOMEM, "no room for a batch of %d", n->batch);
    return p;
}

static int add_rows(struct npy_writer *to, const struct encoder *n,
                    const float *rows, int count, struct err *e)
{
    int rc = 0;

    for (int i = 0; !rc && i < count; i++)
        rc = npy_writer_add(to, rows + (size_t)i * (size_t)n->dim, e);
    return rc;
}

static int add_key(struct io_file *keys, struct str key, struct buf *line,
                   struct err *e)
{
    buf_clear(line);
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];

        if (c == '\\' || c == '\n' || c == '\r') {
            buf_add_char(line, '\\');
            c = c == '\n' ? 'n' : c == '\r' ? 'r' : '\\';
        }
        buf_add_char(line, c);
    }
    buf_add_char(line, '\n');
    return io_file_write(keys, buf_str(line), e);
}

int embed_pictures(struct encoder *n, struct evalset *s, struct npy_writer *to,
                   struct io_file *keys, struct err *e)
{
    float *rows = room(n, e);
    struct evalset_batch b;
    struct buf line;
    int rc = rows ? 0 : -E_NOMEM;

    buf_init(&line, BUF_NO_LIMIT); /* a key, which has a ceiling */
    while (!rc && !(rc = evalset_next(s, &b, e)) && b.n) {
        rc = encoder_pictures(n, b.n, b.rgb, rows, e);
        if (!rc)
            rc = add_rows(to, n, rows, b.n, e);
        for (int i = 0; !rc && i < b.n; i++)
            rc = add_key(keys, b.items[i].key, &line, e);
    }
    if (!rc)
        rc = evalset_check(s, e);
    buf_release(&line);
    free(rows);
    return rc;
}

int embed_lines(struct encoder *n, struct lines *l, struct npy_writer *to,
                struct err *e)
{
    float *rows = room(n, e);
    bool more = true;
    int count = 0, rc = rows ? 0 : -E_NOMEM;

    while (!rc && more) {
        struct str line;

        rc = lines_next(l, &line, &more, e);
        if (!rc && l->too_long)
            rc = err_set(e, E_TOOBIG,
                         "a line before line %llu is over %zu "
                         "bytes",
                         (unsigned long long)l->number + 1, l->max);
        if (!rc && more)
            rc = encoder_put(n, count++, line, e);
        if (rc || !(count == n->batch || (!more && count)))
            continue;
        rc = encoder_texts(n, count, rows, e);
        if (!rc)
            rc = add_rows(to, n, rows, count, e);
        count = 0;
    }
    free(rows);
    return rc;
}
