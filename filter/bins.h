/*
 * bins - records put into parts as they come, in memory up to a bound, then in
 * a file; each part is read back when its turn comes.
 *
 * Model.   A store is blocks of one size: the first ones in memory, the others
 *          in an unlinked file of the corpus folder.  Parts are a number of
 *          sequences of bytes, each cut into blocks of the store and an open
 *          block of its own.  add() in any order of parts; read() and write()
 *          anywhere in a part; clear() gives its blocks back, and the next
 *          part that is written takes them: a set of records that goes from
 *          parts to parts needs its room once.
 *          (filter/spool is for lines that come sorted by bucket, whole runs
 *          of them; these come one by one.)
 * Owns.    The store: its blocks and the file, gone when the process is.  The
 *          parts: their open blocks; the store is borrowed and outlives them.
 * Fails.   -E_IO (a full disk), -E_NOMEM.
 * Threads. One; after bins_share() any may add, and read once all adds
 *          are over, where records of a part that several threads add to come
 *          in no order.  Sets of parts may share a store.
 * Cost.    A byte is copied twice and, over the bound, written and read once;
 *          a part in use takes one block beside the store's: who opens a store
 *          by bins_store_open_for() has them within the memory that it gives.
 */
#ifndef FILTER_BINS_H
#define FILTER_BINS_H

#include "base/err.h"
#include "base/io.h"
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#define BINS_BLOCK_MIN ((size_t)4 << 10)
#define BINS_BLOCK_MAX ((size_t)256 << 10)

struct bins_blocks { /* numbers of free blocks */
    uint32_t *v;
    size_t n, cap;
};

struct bins_store {
    char folder[IO_PATH_MAX];
    size_t block_bytes; /* a power of two */
    char **memory;      /* blocks 0 .. n_memory - 1 */
    uint32_t n_memory;  /* taken so far, at most max_memory */
    uint32_t max_memory;
    uint32_t n_file; /* blocks of the file so far */
    int fd;          /* -1 until needed */
    struct bins_blocks free_memory, free_file;
    pthread_mutex_t lock;           /* of which blocks are taken */
    _Atomic uint64_t written_bytes; /* to the file, in all */
};

struct bin {
    char *open;     /* block_bytes, NULL until used */
    uint32_t *full; /* block numbers */
    size_t n_full, cap_full;
    uint64_t bytes; /* in all */
};

struct bins {
    struct bins_store *store;
    struct bin *parts;
    pthread_mutex_t *locks; /* of each part; NULL unless shared */
    uint32_t n;
};

/* block_bytes is brought between BINS_BLOCK_MIN and _MAX. */
int bins_store_open(struct bins_store *s, const char *folder,
                    uint64_t memory_bytes, size_t block_bytes, struct err *e);
/* For n parts in use at a time, whose open blocks take up to half of
 * memory_bytes: at most bins_most(), or they take more. */
int bins_store_open_for(struct bins_store *s, const char *folder,
                        uint64_t memory_bytes, uint32_t n_parts, struct err *e);
void bins_store_close(struct bins_store *s); /* a no-op on a zeroed one */

/* Parts whose smallest blocks take half of memory_bytes; at least 16. */
uint32_t bins_most(uint64_t memory_bytes);

int bins_open(struct bins *s, struct bins_store *store, uint32_t n_parts,
              struct err *e);
void bins_close(struct bins *s); /* a no-op on a zeroed one */
/* From here on threads may add beside each other. */
void bins_share(struct bins *s);

int bins_add(struct bins *s, uint32_t part, const void *p, size_t n_bytes,
             struct err *e);

static inline uint64_t bins_bytes(const struct bins *s, uint32_t part)
{
    return s->parts[part].bytes;
}

/* n_bytes of the part from byte `at` on, which it has. */
int bins_read(const struct bins *s, uint32_t part, uint64_t at, void *out,
              size_t n_bytes, struct err *e);
int bins_write(struct bins *s, uint32_t part, uint64_t at, const void *p,
               size_t n_bytes, struct err *e);
void bins_clear(struct bins *s, uint32_t part);

/* fn over the part's records of `size` bytes, in the order they were added; it
 * may add to other parts. */
typedef int (*bins_fn)(void *ctx, const void *record, struct err *e);
int bins_each(struct bins *s, uint32_t part, size_t size, bins_fn fn, void *ctx,
              struct err *e);

#endif
