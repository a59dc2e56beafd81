#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"

void buf_init(struct buf *b, size_t max_bytes)
{
    *b = (struct buf){.max = max_bytes};
}

void buf_release(struct buf *b)
{
    free(b->p);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
    b->n = 0;
    b->rc = 0;
    if (b->p)
        b->p[0] = 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
    size_t want, cap;
    char *p;

    if (b->rc)
        return NULL;
    if (n > b->max || b->n > b->max - n || b->n > SIZE_MAX / 2 - n) {
        b->rc = -E_TOOBIG;
        return NULL;
    }
    want = b->n + n + 1;
    if (want <= b->cap)
        return b->p + b->n;
    cap = b->cap * 2 < 64 ? 64 : b->cap * 2;
    if (cap < want)
        cap = want;
    p = realloc(b->p, cap);
    if (!p) {
        b->rc = -E_NOMEM;
        return NULL;
    }
    if (!b->p)
        p[0] = 0;
    b->p = p;
    b->cap = cap;
    return p + b->n;
}

void buf_add_bytes(struct buf *b, const void *p, size_t n)
{
    char *to = buf_reserve(b, n);

    if (!to)
        return;
    if (n)
        memcpy(to, p, n);
    to[n] = 0;
    b->n += n;
}

void buf_add(struct buf *b, struct str s)
{
    buf_add_bytes(b, s.p, s.n);
}

void buf_add_char(struct buf *b, char c)
{
    buf_add_bytes(b, &c, 1);
}

void buf_addf(struct buf *b, const char *format, ...)
{
    va_list ap;
    char *to;
    int n;

    va_start(ap, format);
    n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    to = buf_reserve(b, (size_t)n);
    if (!to)
        return;
    va_start(ap, format);
    vsnprintf(to, (size_t)n + 1, format, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void buf_add_u32le(struct buf *b, uint32_t v)
{
    unsigned char raw[4];

    for (int i = 0; i < 4; i++)
        raw[i] = (unsigned char)(v >> (8 * i));
    buf_add_bytes(b, raw, sizeof raw);
}

void buf_add_u64le(struct buf *b, uint64_t v)
{
    buf_add_u32le(b, (uint32_t)v);
    buf_add_u32le(b, (uint32_t)(v >> 32));
}

char *buf_detach(struct buf *b, size_t *n)
{
    char *p = b->p ? b->p : xstrdup("");

    if (n)
        *n = b->n;
    b->p = NULL;
    b->n = b->cap = 0;
    return p;
}
