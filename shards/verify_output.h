/*
 * verify_output - the parts of verify that look at one output.
 *
 * Model.   verify.c hands each sidecar's output to a worker, which calls
 *          verify_records and verify_tar for its files; what they find is
 *          gathered as lines in the struct and printed later, in order.
 * Threads. One output belongs to one thread; the corpus is shared.
 */
#ifndef SHARDS_VERIFY_OUTPUT_H
#define SHARDS_VERIFY_OUTPUT_H

#include "base/buf.h"
#include "base/corpus.h"
#include "base/stage.h"
#include <stdbool.h>
#include <stdint.h>

struct verify_output {
    const struct corpus *corpus;
    bool deep;
    char name[STAGE_NAME_MAX]; /* "unique/bucket-0003" */
    struct sidecar sidecar;
    const char *file;       /* being looked at, relative to the corpus */
    unsigned lines_of_file; /* said about it */
    struct buf lines;       /* damage, each ending in a newline */
    uint64_t damages, files, bytes;
    /* Where a ledger says its images lie, for the tar: pairs of offset and
     * bytes, in the ledger's order. */
    struct buf image_ranges;
    bool has_ledger;
};

/* One line: "FILE: PLACE: WHAT; what to do". place may be "". */
void verify_say(struct verify_output *o, const char *place, const char *format,
                ...) __attribute__((format(printf, 3, 4)));

/* What o->file hashes to is not what the sidecar says. */
void verify_hash(struct verify_output *o, const char *found,
                 const char *expected);

/* A .jsonl.zst: content hash, records, order.  Ledgers fill image_ranges. */
void verify_records(struct verify_output *o, const char *path,
                    const char *sha256);

/* A tar of images/ (members are the ledger's images) or of shards/ (samples,
 * index beside it). */
void verify_image_tar(struct verify_output *o, const char *path);
void verify_shard_tar(struct verify_output *o, const char *path);

/* shards/sizes.json against the sidecars of shards/. */
void verify_sizes(struct verify_output *o, const char *path);

#endif
