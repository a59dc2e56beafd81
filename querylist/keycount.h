/*
 * keycount - byte strings, each with a sum of numbers, in bounded memory.
 *
 * Model.   keycount_add() sums in a table (querylist/keytab).  When the table
 *          is full its keys are written, sorted, to a file without name in the
 *          caller's folder (querylist/keyrun) and the table begins anew.  At
 *          the end keycount_merge_open() takes one or more keycounts - a
 *          thread may have one of its own - and gives every key once, in
 *          bytewise order, with the sum of all that was added to it.  The
 *          result depends neither on memory nor on who added what.
 *          Where nothing was spilled the disk is not touched.
 * Owns.    Keys, tables, the file.
 * Fails.   -E_RANGE for a key over KEYTAB_KEY_MAX bytes or a sum over 64 bits;
 *          -E_IO (a full disk among others), -E_DAMAGED, -E_NOMEM: give up.
 * Threads. One a keycount; a merge has all of its keycounts to itself.
 * Cost.    60 to 90 bytes of memory a distinct key, and what is over 16 bytes
 *          of it; on disk a key's bytes beyond those it shares with the one
 *          before, and 3 or more.  Merging is querylist/keymerge's.
 */
#ifndef QUERYLIST_KEYCOUNT_H
#define QUERYLIST_KEYCOUNT_H

#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keycount;

/* memory_bytes: of the table, at least KEYTAB_MIN is used; folder: where runs
 * go, NULL for none, when a full table is -E_TOOBIG. */
int keycount_open(struct keycount **k, uint64_t memory_bytes,
                  const char *folder, struct err *e);
void keycount_close(struct keycount *k); /* NULL is fine */

int keycount_add(struct keycount *k, struct str key, uint64_t n, struct err *e);

uint64_t keycount_spilled(const struct keycount *k); /* bytes on disk */

/* ---- what came together ---- */

struct keycount_merge;

/* After this nothing can be added to the n keycounts; they stay open for as
 * long as the merge. */
int keycount_merge_open(struct keycount_merge **m, struct keycount *const *k,
                        size_t n, struct err *e);
void keycount_merge_close(struct keycount_merge *m); /* NULL is fine */

/* key is valid until the next call; *more false at the end. */
int keycount_merge_next(struct keycount_merge *m, struct str *key,
                        uint64_t *sum, bool *more, struct err *e);

#endif
