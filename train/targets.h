/*
 * targets - which tokens of captions each row of logits shall predict.
 *
 * Model.   Two ways to read a caption as an answer (op_softmax_loss): row by
 *          row, where the row at place t predicts the token at t + 1, up to the
 *          EOT; or all at once, where one row predicts all words, the tokens
 *          between SOT and EOT, however often each stands there.
 * Owns.    The index arrays lie on the device's stack.
 * Threads. The device's.
 * Cost.    Built once a chunk: a pass over its token ids.
 */
#ifndef TRAIN_TARGETS_H
#define TRAIN_TARGETS_H

#include <stdbool.h>
#include <stdint.h>
#include "train/rows.h"

struct targets {
    int64_t rows;            /* of logits */
    int64_t most;            /* ids of a row, at most */
    const int32_t *at, *ids; /* [rows + 1], [at[rows]]: device memory */
};

/* Rows as rows_captions() has laid them; pads predict nothing. */
void targets_next(struct device *d, const struct captions *c, bool packed,
                  int64_t rows, struct targets *out);

/* A row a caption. */
void targets_words(struct device *d, const struct captions *c,
                   struct targets *out);

/* Rows that have something to predict: tokens behind the SOT; captions that
 * have words. */
int64_t targets_next_count(const struct captions *c);
int64_t targets_words_count(const struct captions *c);

#endif
