/*
 * dedup_ledgers - what the ledgers say of URLs that are asked for in (H(url),
 * url) order; however many ledgers there are, one is open at a time.
 *
 * Model.   Ledgers are read window by window of H: of each, from the frame in
 *          which the window begins, the records of the window are kept, sorted
 *          among each other, and asked for.  How wide a window is, memory says:
 *          one that turns out too full is cut in half and read again.
 * Owns.    The window's records; what find() gives is valid until the next.
 * Fails.   -E_DAMAGED for records out of order or unreadable.
 * Threads. One.
 * Cost.    All ledgers are decoded once, and at each border of a window one
 *          frame of each ledger once more; memory as asked for.
 */
#ifndef FILTER_DEDUP_LEDGERS_H
#define FILTER_DEDUP_LEDGERS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/corpus.h"
#include "base/err.h"
#include "base/io.h"
#include "base/ledger.h"
#include <stdbool.h>
#include <stdint.h>

/* One record of the window. */
struct dedup_ledger_entry {
    uint64_t h, check; /* H(url), and another hash of it */
    uint32_t ledger;   /* index */
    uint32_t n;        /* bytes of its line; 0: it gave no image */
    size_t at;         /* in lines */
};

struct dedup_ledgers {
    const struct corpus *corpus;
    const struct io_list *names; /* "GGG-RR", bytewise order */
    uint64_t memory_bytes;
    uint64_t from, to; /* the window, both ends in it */
    uint64_t width;    /* of the next one; 0: 2^64 */
    bool open;         /* a window is loaded */
    uint64_t *frame;   /* of each ledger: where the frame begins that holds
                          the first record behind the window; UINT64_MAX: no
                          more of them */
    uint64_t *frame_next;
    struct dedup_ledger_entry *entries;
    size_t n, cap, next;
    struct buf lines;
    struct arena arena; /* of the record last given */
    struct ledger record;
    uint64_t windows; /* loaded so far, for tests and documents */
};

/* What the ledgers have of a URL. */
struct dedup_answer {
    bool asked;                 /* one of them has it */
    const struct ledger *image; /* NULL: it gave none */
    const char *group;          /* "GGG-RR" of the image */
};

/* names is borrowed.  memory_bytes: of a window's records. */
int dedup_ledgers_open(struct dedup_ledgers *l, const struct corpus *c,
                       const struct io_list *names, uint64_t memory_bytes,
                       struct err *e);
int dedup_ledgers_find(struct dedup_ledgers *l, struct str url, uint64_t h,
                       struct dedup_answer *a, struct err *e);
void dedup_ledgers_close(struct dedup_ledgers *l);

#endif
