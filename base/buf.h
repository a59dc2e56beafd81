/*
 * buf - a growing byte buffer with a ceiling and a sticky error.
 *
 * Model.   init -> add* -> read p/n -> release.  When an add would pass the
 *          ceiling, or memory is out, rc is set, the buffer keeps what it had,
 *          and every later add does nothing: check rc once, at the end.  p is
 *          always terminated by a NUL that n does not count.
 * Owns.    The bytes; buf_detach() hands them to the caller (free()).
 * Fails.   rc: 0, -E_TOOBIG or -E_NOMEM.
 * Threads. One at a time.
 * Cost.    Doubling; buf_clear() keeps the allocation for reuse in loops.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

#define BUF_NO_LIMIT SIZE_MAX /* for what is bounded elsewhere */

struct buf {
    char *p;    /* NULL until the first add */
    size_t n;   /* bytes in use */
    size_t cap; /* bytes allocated */
    size_t max; /* ceiling for n */
    int rc;     /* sticky */
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_release(struct buf *b);
void buf_clear(struct buf *b); /* n = 0, rc = 0, memory kept */

void buf_add(struct buf *b, struct str s);
void buf_add_bytes(struct buf *b, const void *p, size_t n);
void buf_add_char(struct buf *b, char c);
void buf_addf(struct buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void buf_add_u32le(struct buf *b, uint32_t v);
void buf_add_u64le(struct buf *b, uint64_t v);

/* Room for n more bytes at p + b->n, NULL on failure (rc set).  The caller
 * writes there and adds what it wrote to b->n. */
char *buf_reserve(struct buf *b, size_t n);

static inline struct str buf_str(const struct buf *b)
{
    return str_make(b->p ? b->p : "", b->n);
}

/* Hand out the bytes (never NULL; free() them) and start anew. */
char *buf_detach(struct buf *b, size_t *n);

#endif
