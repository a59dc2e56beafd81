/*
 * merge - the bytes of one piece become tokens.
 *
 * Model.   The pair that was merged first when the vocabulary was made is
 *          merged first, the leftmost of equals.  A merge makes only pairs of
 *          a higher rank than its own (their token is younger), so one at a
 *          time gives what all of a rank at once would.
 * Owns.    struct merge keeps room for long pieces between calls.
 * Fails.   -E_NOMEM.
 * Threads. One struct per thread.
 * Cost.    Short pieces: a scan for each merge; long ones a heap, O(n log n).
 */
#ifndef TRAIN_MERGE_H
#define TRAIN_MERGE_H

#include <stddef.h>
#include <stdint.h>
#include "base/str.h"
#include "train/vocabulary.h"

#define MERGE_SCAN_MAX 48 /* bytes of a piece that is scanned */

struct merge_token;
struct merge_next;

struct merge {
    struct merge_token *tokens; /* [cap] in a list */
    struct merge_next *heap;    /* [3 * cap] merges that could be next */
    size_t cap;                 /* bytes of the longest piece so far */
    size_t queued;              /* of heap */
};

void merge_init(struct merge *m);
void merge_release(struct merge *m);

/* Append the ids of a piece (1 byte or more) at ids[*n]; they are no more than
 * its bytes. */
int merge_piece(struct merge *m, const struct vocabulary *v, struct str piece,
                int32_t *ids, size_t *n);

#endif
