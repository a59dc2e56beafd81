/*
 * mem - allocation policy.
 *
 * Model.   Small, fixed sizes go through x*(), which end the process when
 *          memory is out: work is restartable by construction.  Anything whose
 *          size comes from input is bounded first and then allocated with
 *          malloc and E_NOMEM (see base/buf.h, base/arena.h).
 * Threads. Any.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>
#include "base/str.h"

void *xmalloc(size_t size_bytes) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size_bytes)
    __attribute__((malloc, returns_nonnull));
/* For arrays: count * size_bytes is checked for overflow. */
void *xrealloc_array(void *p, size_t count, size_t size_bytes)
    __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(struct str s) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...)
    __attribute__((format(printf, 1, 2), returns_nonnull));

/* Room for one more element of the array p of *cap elements, doubling. */
void *xgrow(void *p, size_t *cap, size_t want, size_t size_bytes);

#endif
