#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void die(size_t size_bytes)
{
    fprintf(stderr,
            "{\"event\":\"fatal\",\"message\":\"out of memory asking for %zu "
            "bytes; run again with a smaller --memory or fewer "
            "--threads\"}\n",
            size_bytes);
    abort();
}

void *xmalloc(size_t size_bytes)
{
    void *p = malloc(size_bytes ? size_bytes : 1);

    if (!p)
        die(size_bytes);
    return p;
}

void *xcalloc(size_t count, size_t size_bytes)
{
    void *p = calloc(count ? count : 1, size_bytes ? size_bytes : 1);

    if (!p)
        die(count * size_bytes);
    return p;
}

void *xrealloc_array(void *p, size_t count, size_t size_bytes)
{
    p = reallocarray(p, count ? count : 1, size_bytes);
    if (!p)
        die(count * size_bytes);
    return p;
}

char *xstrdup(const char *s)
{
    return xstrndup(str_of(s));
}

char *xstrndup(struct str s)
{
    char *p = xmalloc(s.n + 1);

    if (s.n)
        memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return p;
}

char *xasprintf(const char *format, ...)
{
    va_list ap;
    char *p;

    va_start(ap, format);
    if (vasprintf(&p, format, ap) < 0)
        die(0);
    va_end(ap);
    return p;
}

void *xgrow(void *p, size_t *cap, size_t want, size_t size_bytes)
{
    if (want <= *cap)
        return p;
    *cap = *cap < 8 ? 16 : *cap * 2;
    if (*cap < want)
        *cap = want;
    return xrealloc_array(p, *cap, size_bytes);
}
