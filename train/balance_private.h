/*
 * balance_private - what train/balance*.c share.
 *
 * Model.   balance_keep_make() reads every .json of a shard and writes its
 *          thresholds; balance.c finds, loads and draws by them.
 */
#ifndef TRAIN_BALANCE_PRIVATE_H
#define TRAIN_BALANCE_PRIVATE_H

#include "train/balance.h"

#define BALANCE_ENDING ".keep"

/* The bytes of a .keep; v in little-endian. */
void balance_keep_write(struct buf *out, const struct balance_head *h,
                        const struct balance_sample *v);

/* Compute a shard's thresholds and publish them as f. */
int balance_keep_make(const struct source *s, size_t shard,
                      const struct balance_counts *counts,
                      const struct balance_head *h, struct io_file *f,
                      struct err *e);

/* The q of a sample's .json into q[max], how many in *n; *has: there is such a
 * member. */
int balance_ids(struct str json, uint32_t *q, size_t max, size_t *n, bool *has,
                struct err *e);

#endif
