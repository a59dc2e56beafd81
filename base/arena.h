/*
 * arena - many small things with one lifetime.
 *
 * Model.   init -> alloc* -> reset or release.  reset keeps the first block, so
 *          a per-page or per-batch arena settles and then allocates nothing.
 * Owns.    All that was carved; nothing is freed alone.
 * Fails.   arena_alloc returns NULL past the ceiling or when memory is out.
 * Threads. One at a time.
 * Cost.    A pointer bump; blocks of 64 KiB and doubling.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *head; /* newest block */
    size_t used;              /* bytes carved from head */
    size_t total;             /* bytes in all blocks */
    size_t max;               /* ceiling for total */
};

void arena_init(struct arena *a, size_t max_bytes);
void arena_reset(struct arena *a);
void arena_release(struct arena *a);

/* Aligned to 16, not cleared. */
void *arena_alloc(struct arena *a, size_t size_bytes);

/* A copy with a NUL behind it that n does not count; p NULL on failure. */
struct str arena_str(struct arena *a, struct str s);

#endif
