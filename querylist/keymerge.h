/*
 * keymerge - sorted runs and tables of keys, however many, walked as one.
 *
 * Model.   keymerge_runs() merges KEYMERGE_FAN runs at a time into longer ones
 *          until so many are left, keymerge_tables() walks tables in memory;
 *          then keymerge_next() gives every key once, in bytewise order, with
 *          the sum of its sums.
 * Owns.    Cursors, and runs that it made; a file and tables are borrowed.
 * Fails.   -E_IO, -E_DAMAGED, -E_NOMEM; -E_RANGE for a sum over 64 bits.
 * Threads. One at a time.
 * Cost.    132 KiB of memory for each of at most KEYMERGE_FAN runs; a run is
 *          read once, and written and read again in each pass.
 */
#ifndef QUERYLIST_KEYMERGE_H
#define QUERYLIST_KEYMERGE_H

#include "base/err.h"
#include "base/str.h"
#include "querylist/keyrun.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEYMERGE_FAN 128u /* runs merged at once */

struct keymerge {
    struct key_merge merge;
    struct key_cursor *cursors; /* n of them */
    struct key_cursor **heap;
    size_t n;
    struct run *runs; /* those that are left */
    size_t n_runs;
    size_t lent; /* the first so many are not to be given back to the disk */
};

/* Runs longer than asked for are written to file `to`.  lent: the caller will
 * read the n runs again; else they go back to the disk once merged. */
int keymerge_runs(struct keymerge *m, const struct run *runs, size_t n,
                  bool lent, struct runfile *to, struct err *e);

/* n sorted tables. */
int keymerge_tables(struct keymerge *m, struct keytab *const *tables, size_t n,
                    struct err *e);

/* Also after a failure. */
void keymerge_close(struct keymerge *m);

/* key is valid until the next call; *more false at the end. */
static inline int keymerge_next(struct keymerge *m, struct str *key,
                                uint64_t *sum, bool *more, struct err *e)
{
    return key_merge_next(&m->merge, key, sum, more, e);
}

#endif
