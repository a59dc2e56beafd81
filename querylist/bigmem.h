/*
 * bigmem - zeroed memory of tables that are read in no order.
 *
 * Model.   bigmem_new() asks for large pages: with small ones, an access to a
 *          table of hundreds of megabytes has the address of its page fetched
 *          too.  Where there are none it is only slower.
 * Fails.   NULL when memory is out.
 * Threads. Any.
 */
#ifndef QUERYLIST_BIGMEM_H
#define QUERYLIST_BIGMEM_H

#include <stddef.h>
#include <sys/mman.h>

static inline void *bigmem_new(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

/* bytes: as they were asked for; p NULL is fine. */
static inline void bigmem_free(void *p, size_t bytes)
{
    if (p)
        munmap(p, bytes);
}

#endif
