/*
 * vocabulary_make - a vocabulary for the words of a corpus.
 *
 * Model.   Byte pair encoding (Sennrich et al. 2016): words begin as bytes,
 *          the last one marked as such; the pair that is most frequent, all
 *          words by their counts, becomes a token, and so on until there are
 *          as many ids as wanted, or no pair is frequent enough.  Of equally
 *          frequent pairs the first by the bytes of its left token, then of
 *          its right one, is taken.  A pair that would spell a token that is
 *          there is passed over.  So the result depends on the counts alone,
 *          not on the order of texts.
 * Fails.   -E_NOMEM, -E_RANGE for a size that is none.
 * Threads. One call, one thread.
 * Cost.    A merge touches the words that hold its pair; a heap knows the next.
 */
#ifndef TRAIN_VOCABULARY_MAKE_H
#define TRAIN_VOCABULARY_MAKE_H

#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "train/word_counts.h"

/* A file of ours with `ids` ids, specials included, or fewer when no pair
 * comes `least` times any more; *made says how many. */
int vocabulary_make(const struct word_counts *words, uint32_t ids,
                    uint64_t least, struct buf *file, uint32_t *made,
                    struct err *e);

#endif
