/*
 * dedup_spool - records sorted into parts, in memory up to a bound, then in a
 * file; each part is read back when its turn comes.
 *
 * Model.   A store is blocks of one size: the first ones in memory, the others
 *          in an unlinked file of the corpus folder.  A spool is a number of
 *          parts, each a sequence of bytes cut into blocks of the store and an
 *          open block of its own.  add() in any order of parts; read() and
 *          write() anywhere in a part; clear() gives its blocks back, and the
 *          next part that is written takes them: a set of records that goes
 *          from spool to spool needs its room once.
 * Owns.    The store: its blocks and the file, gone when the process is.  The
 *          spool: its open blocks; the store is borrowed and outlives it.
 * Fails.   -E_IO (a full disk), -E_NOMEM.
 * Threads. One.
 * Cost.    A byte is copied twice and, over the bound, written and read once;
 *          a part in use takes one block beside the store.
 */
#ifndef FILTER_DEDUP_SPOOL_H
#define FILTER_DEDUP_SPOOL_H

#include "base/err.h"
#include "base/io.h"
#include <stddef.h>
#include <stdint.h>

#define DEDUP_BLOCK_MIN ((size_t)4 << 10)
#define DEDUP_BLOCK_MAX ((size_t)256 << 10)

struct dedup_blocks { /* numbers of free blocks */
    uint32_t *v;
    size_t n, cap;
};

struct dedup_store {
    char folder[IO_PATH_MAX];
    size_t block_bytes; /* a power of two */
    char **memory;      /* blocks 0 .. n_memory - 1 */
    uint32_t n_memory;  /* taken so far, at most max_memory */
    uint32_t max_memory;
    uint32_t n_file; /* blocks of the file so far */
    int fd;          /* -1 until needed */
    struct dedup_blocks free_memory, free_file;
    uint64_t written_bytes; /* to the file, in all */
};

struct dedup_spool_part {
    char *open;     /* block_bytes, NULL until used */
    uint32_t *full; /* block numbers */
    size_t n_full, cap_full;
    uint64_t bytes; /* in all */
};

struct dedup_spool {
    struct dedup_store *store;
    struct dedup_spool_part *parts;
    uint32_t n;
};

/* block_bytes is brought between DEDUP_BLOCK_MIN and _MAX. */
int dedup_store_open(struct dedup_store *s, const char *folder,
                     uint64_t memory_bytes, size_t block_bytes, struct err *e);
void dedup_store_close(struct dedup_store *s);

int dedup_spool_open(struct dedup_spool *s, struct dedup_store *store,
                     uint32_t n_parts, struct err *e);
void dedup_spool_close(struct dedup_spool *s); /* a no-op on a zeroed one */

int dedup_spool_add(struct dedup_spool *s, uint32_t part, const void *p,
                    size_t n_bytes, struct err *e);

static inline uint64_t dedup_spool_bytes(const struct dedup_spool *s,
                                         uint32_t part)
{
    return s->parts[part].bytes;
}

/* n_bytes of the part from byte `at` on, which it has. */
int dedup_spool_read(struct dedup_spool *s, uint32_t part, uint64_t at,
                     void *out, size_t n_bytes, struct err *e);
int dedup_spool_write(struct dedup_spool *s, uint32_t part, uint64_t at,
                      const void *p, size_t n_bytes, struct err *e);
void dedup_spool_clear(struct dedup_spool *s, uint32_t part);

/* fn over the part's records of `size` bytes, in the order they were added; it
 * may add to other parts. */
typedef int (*dedup_spool_fn)(void *ctx, const void *record, struct err *e);
int dedup_spool_each(struct dedup_spool *s, uint32_t part, size_t size,
                     dedup_spool_fn fn, void *ctx, struct err *e);

#endif
