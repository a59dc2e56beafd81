/*
 * verify - is everything that a corpus folder says is done really whole?
 *
 * Model.   Every sidecar below the folder is held against its files: they are
 *          there, their content hashes to what the sidecar says (.zst
 *          uncompressed), records parse, have the fields of their kind and
 *          come in order; tars are whole, their members adjacent and named as
 *          they must be, jsons parse and agree with their texts, JPEGs begin
 *          and end as JPEGs; indexes point at what the tar holds; ledgers at
 *          what theirs holds; sizes.json counts what is there.  queries.bin is
 *          held against its own checksum.  deep decodes every JPEG and
 *          recomputes every uid.
 *          Damage is data: one line each, with file, place and what to do, at
 *          most VERIFY_LINES of them a file.  Nothing is changed.
 * Fails.   Only when the folder itself cannot be read; damage is counted.
 * Threads. Outputs are looked at in parallel; lines come in order of names.
 * Cost.    One read of everything, a second of tars; deep: a decode each.
 */
#ifndef SHARDS_VERIFY_H
#define SHARDS_VERIFY_H

#include "base/corpus.h"
#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

#define VERIFY_LINES 5 /* a file; further ones are counted */

struct verify_config {
    const char *corpus;
    uint64_t threads; /* 0: one a core */
    bool deep;
};

struct verify_hooks {
    void *ctx;
    /* One line about damage, without a newline. */
    void (*damage)(void *ctx, struct str line);
};

struct verify_summary {
    uint64_t outputs; /* sidecars */
    uint64_t files;
    uint64_t bytes;   /* of these files, as they lie on disk */
    uint64_t damages; /* lines, those not printed included */
};

int verify_run(const struct corpus *c, const struct verify_config *config,
               const struct verify_hooks *hooks, struct verify_summary *sum,
               struct err *e);

#endif
