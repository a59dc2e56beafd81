/*
 * counts - how many distinct pairs match each query group: c(q).
 *
 * Model.   unique/bucket-KKKK.counts: the groups that occur in one bucket,
 *          ascending, with their counts.  unique/counts.bin: the sum over all
 *          buckets, a value for every query id; the only source of c(q) after
 *          gather.  Both little-endian, with magic, version and XXH3-64:
 *            "WITMILLC" version:4 n:4 xxh3:8, then n times (id:4 zero:4
 *            count:8) - sparse - or "WITMILLN" version:4 n:4 xxh3:8, then n
 *            times count:8 - dense.
 * Owns.    The array.
 * Fails.   -E_DAMAGED, -E_VERSION, -E_NOTFOUND.
 * Threads. Constant once read.
 */
#ifndef FILTER_COUNTS_H
#define FILTER_COUNTS_H

#include "base/corpus.h"
#include "base/err.h"
#include <stdint.h>

#define COUNTS_VERSION 1

struct counts {
    uint64_t *c; /* by query id; 0 for ids that are no group */
    uint32_t n;  /* number of query ids */
};

void counts_init(struct counts *t, uint32_t n);
void counts_release(struct counts *t);

/* Publish the non-zero ones as path; its sha256 into hex. */
int counts_write_sparse(const struct counts *t, const char *path,
                        char hex[SHA256_HEX], struct err *e);
/* Add the counts of a sparse file to t. */
int counts_add_sparse(struct counts *t, const char *path, struct err *e);

int counts_write(const struct counts *t, const char *path, char hex[SHA256_HEX],
                 struct err *e);
/* Dense file into t (initialised here). */
int counts_read(struct counts *t, const char *path, struct err *e);

/* unique/counts.bin of a corpus; -E_NOTFOUND says to run gather. */
int counts_open(struct counts *t, const struct corpus *c, struct err *e);

#endif
