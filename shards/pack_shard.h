/*
 * pack_shard - write one shard: tar, index, stats.
 *
 * Model.   pack_shard_write() reads rows [first, first + n) of the plan and
 *          publishes BASE.tar, BASE_stats.json and BASE.idx; their hashes and
 *          the shard's numbers are in the struct afterwards.  The caller
 *          writes the sidecar.
 * Fails.   As shards/tar_write and shards/pack_rows; nothing half is left.
 * Threads. One per struct.
 * Cost.    A sample in memory at a time, and the index.
 */
#ifndef SHARDS_PACK_SHARD_H
#define SHARDS_PACK_SHARD_H

#include "shards/pack_rows.h"
#include <stdint.h>

struct pack_shard {
    /* in */
    uint64_t number;        /* K */
    uint64_t first, n;      /* rows of the corpus */
    unsigned digits;        /* sample_digits() */
    char base[IO_PATH_MAX]; /* path without suffix */
    /* out */
    uint64_t texts;     /* in the jsons */
    uint64_t texts_cut; /* that did not fit there */
    uint64_t image_bytes;
    uint64_t tar_bytes;
    char tar_sha256[SHA256_HEX];
    char stats_sha256[SHA256_HEX];
    char index_sha256[SHA256_HEX];
};

int pack_shard_write(struct pack_shard *s, struct pack_plan *p, struct err *e);

#endif
