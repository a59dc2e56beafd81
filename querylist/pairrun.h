/*
 * pairrun - counted pairs in ascending order: written, read, renamed, merged.
 *
 * Model.   A pair is first << 32 | second.  A record of a run
 *          (querylist/runfile) is second - what it can be at least, with two
 *          bits below it: does the first number change (by how much follows,
 *          from 0 in a new block), is the count over 1 (less 2 follows).
 *          A cursor walks a run, or the sorted pairs of a table in memory; a
 *          map renames numbers on the way, keeping their order, and drops
 *          pairs of which it leaves out a number.  A merge walks cursors at
 *          once and gives each pair once with the sum of its counts.
 * Owns.    A cursor owns its block and borrows table and map.
 * Fails.   -E_IO, -E_DAMAGED, -E_NOMEM.
 * Threads. One at a time; cursors over one file are independent.
 * Cost.    About 3 bytes a pair on disk.  A merge has log2 of the cursors
 *          comparisons of numbers for each pair that it is given.  The maps of
 *          all runs together fit no cache: renaming fetches what a batch of
 *          pairs needs at the same time.
 */
#ifndef QUERYLIST_PAIRRUN_H
#define QUERYLIST_PAIRRUN_H

#include "base/err.h"
#include "querylist/pairtab.h"
#include "querylist/runfile.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pairrun_writer {
    struct run_writer out;
    uint32_t first;  /* of the pair before */
    uint32_t second; /* the least that the next can have */
};

int pairrun_open(struct pairrun_writer *w, struct runfile *f, struct err *e);
int pairrun_put(struct pairrun_writer *w, uint64_t pair, uint64_t n,
                struct err *e);
int pairrun_close(struct pairrun_writer *w, struct run *r, struct err *e);

/* Which numbers below n stay, and as what; ascending, as the numbers are. */
struct pair_map {
    struct pair_marks {  /* of 64 numbers, so that one line says it */
        uint64_t bits;   /* does the number stay */
        uint32_t before; /* how many stay before them */
    } * marks;
    uint32_t *to; /* what those that stay become */
    size_t n_to, cap_to;
    size_t n;
};

int pair_map_init(struct pair_map *m, size_t n);
void pair_map_release(struct pair_map *m);
int pair_map_put(struct pair_map *m, size_t number,
                 uint32_t to); /* ascending */
void pair_map_finish(struct pair_map *m);

#define PAIR_BATCH 64u /* pairs renamed at once */

struct pair_cursor {
    uint64_t pair, n;
    struct {
        uint64_t pair, n;
    } batch[PAIR_BATCH]; /* renamed already, where there is a map */
    unsigned at, n_batch;
    bool ended;                  /* nothing comes behind the batch */
    const struct pair_map *map;  /* NULL: none */
    const struct pairtab *table; /* NULL: over a run */
    struct pairtab_walk walk;
    struct run_reader in;
    uint32_t first, second; /* as in the writer */
};

int pair_cursor_run(struct pair_cursor *c, const struct run *r,
                    const struct pair_map *map, struct err *e);
void pair_cursor_table(struct pair_cursor *c, const struct pairtab *t,
                       const struct pair_map *map);
void pair_cursor_close(struct pair_cursor *c);

/* *more false at the end. */
int pair_cursor_next(struct pair_cursor *c, bool *more, struct err *e);

struct pair_merge {
    struct pair_cursor *cursors; /* borrowed, n of them */
    size_t n;
    uint64_t *pairs; /* of each cursor, PAIR_NONE at its end */
    uint32_t *tree;  /* the winner, then the loser of each match */
};

#define PAIR_NONE UINT64_MAX

/* Over n open cursors, not yet stepped. */
int pair_merge_start(struct pair_merge *m, struct pair_cursor *c, size_t n,
                     struct err *e);
void pair_merge_end(struct pair_merge *m);
int pair_merge_next(struct pair_merge *m, uint64_t *pair, uint64_t *n,
                    bool *more, struct err *e);

#endif
