/*
 * word_counts - which pieces texts consist of, and how often.
 *
 * Model.   Texts are cleaned and cut as the tokenizer does it; equal pieces
 *          are counted together.  Specials, and pieces over WORD_COUNTS_BYTES,
 *          are left out: no vocabulary is made for them.
 * Owns.    All of it.
 * Fails.   -E_NOMEM, -E_TOOBIG past the ceilings below.
 * Threads. One struct per thread.
 * Cost.    A hash for each piece; memory goes with the different ones.
 */
#ifndef TRAIN_WORD_COUNTS_H
#define TRAIN_WORD_COUNTS_H

#include <stdint.h>
#include "base/buf.h"
#include "base/str.h"
#include "train/clean.h"

#define WORD_COUNTS_BYTES 256        /* of a piece that counts */
#define WORD_COUNTS_MAX   (1u << 26) /* different pieces */
#define WORD_COUNTS_TOTAL (2u << 30) /* bytes of all of them */

struct word_count {
    uint64_t count;
    uint32_t begin, n; /* bytes in `bytes` */
};

struct word_counts {
    struct word_count *words; /* in the order of their first coming */
    uint32_t n;
    struct buf bytes;
    uint32_t *slots; /* words + 1 by hash, 0: empty */
    uint32_t mask;   /* slots - 1 */
    uint64_t texts, pieces;
    struct clean clean;
};

void word_counts_init(struct word_counts *w);
void word_counts_release(struct word_counts *w);

int word_counts_add(struct word_counts *w, struct str text);

static inline struct str word_counts_word(const struct word_counts *w,
                                          uint32_t i)
{
    return str_make(w->bytes.p + w->words[i].begin, w->words[i].n);
}

#endif
