/*
 * keyrun - keys with sums in bytewise order: written, read, merged.
 *
 * Model.   A record of a run (querylist/runfile) is: bytes shared with the key
 *          before, bytes that follow, those bytes, the sum; the first of a
 *          block shares nothing.  A cursor walks a run, or the sorted keys of
 *          a table in memory.  A merge walks many cursors at once and gives
 *          each key once, with the sum of its sums.
 * Owns.    A cursor owns its block; it borrows a table.
 * Fails.   -E_IO, -E_DAMAGED, -E_NOMEM; -E_RANGE for a sum over 64 bits.
 * Threads. One at a time; cursors over one file are independent.
 * Cost.    A cursor has 4 KiB and, over a run, a block of 128 KiB.  A merge
 *          compares a key with about log2 of the cursors, mostly by eight
 *          bytes.
 */
#ifndef QUERYLIST_KEYRUN_H
#define QUERYLIST_KEYRUN_H

#include "base/err.h"
#include "base/str.h"
#include "querylist/keytab.h"
#include "querylist/runfile.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyrun_writer {
    struct run_writer out;
    char last[KEYTAB_KEY_MAX]; /* key before */
    size_t n_last;
};

int keyrun_open(struct keyrun_writer *w, struct runfile *f, struct err *e);
int keyrun_put(struct keyrun_writer *w, struct str key, uint64_t n,
               struct err *e);
int keyrun_close(struct keyrun_writer *w, struct run *r, struct err *e);

/* All of a sorted table as one run. */
int keyrun_write(const struct keytab *t, struct runfile *f, struct run *r,
                 struct err *e);

struct key_cursor {
    struct str key; /* valid until the next step */
    uint64_t n;
    uint64_t head;              /* first eight bytes, as a number */
    const struct keytab *table; /* NULL: over a run */
    uint32_t at;                /* place of the next in the table */
    struct run_reader in;
    char text[KEYTAB_KEY_MAX];
};

int key_cursor_run(struct key_cursor *c, const struct run *r, struct err *e);
void key_cursor_table(struct key_cursor *c, const struct keytab *t);
void key_cursor_close(struct key_cursor *c);

/* *more false at the end. */
int key_cursor_next(struct key_cursor *c, bool *more, struct err *e);

/* A heap of cursors that have a key, the smallest first. */
struct key_merge {
    struct key_cursor **heap; /* borrowed cursors, n of them left */
    size_t n;
    char text[KEYTAB_KEY_MAX];
};

/* Takes the array c of n open cursors, not yet stepped, which it reorders. */
int key_merge_start(struct key_merge *m, struct key_cursor **c, size_t n,
                    struct err *e);
int key_merge_next(struct key_merge *m, struct str *key, uint64_t *sum,
                   bool *more, struct err *e);

#endif
