/*
 * against - walk the samples of an evaluation set, whatever it lies in.
 *
 * Model.   What `gather --against` and `dedup --against` are given is a file
 *          or a folder (searched with all folders in it, in bytewise order of
 *          names; hidden ones are left out, links are followed), of
 *            *.tar *.tgz *.tar.gz *.tar.bz2 *.tar.zst
 *                shards of samples, ours or foreign: texts are the .txt, and
 *                in the .json `caption`, `text` and `texts` (strings, or
 *                objects with `text`); the URL is its `url`; the image is the
 *                first member that is one by its extension
 *            *.jsonl *.ndjson and the same with .gz .bz2 .zst
 *                an object a line, with the same members (pairs of a corpus
 *                are such files)
 *          Each sample is given once, in that order.  A file that was named
 *          may have any name: it is a tar when its bytes begin like one.
 * Owns.    What a callback is given is valid until it returns.
 * Fails.   -E_NOTFOUND, also for a link to nothing, unless its name ends as no
 *          file of samples does: what cannot be read is not left out of the
 *          corpus, so that it is no small matter; -E_USAGE when a folder holds
 *          none of these files;
 *          -E_FORMAT with file and place for what is no tar and no JSON line;
 *          what the callback returns.  A sample without URL, text, image and
 *          hashes is counted in skipped ("nothing"), as are members that
 *          shards/tar_read leaves out and a .json that is none ("json").
 * Threads. One walk a thread.
 * Cost.    One pass.  Memory: one sample.
 */
#ifndef TOOLS_AGAINST_H
#define TOOLS_AGAINST_H

#include "base/err.h"
#include "base/stage.h"
#include "base/str.h"
#include "base/tally.h"
#include <stdbool.h>
#include <stddef.h>

#define AGAINST_TEXTS_MAX 4096 /* of one sample */
#define AGAINST_SAMPLE_MAX                                                     \
    ((size_t)32 << 20) /* bytes of one sample's members */

struct against_sample {
    struct str name; /* "FILE/KEY" of a tar, "FILE:LINE" */
    struct str url;  /* as it stands there; may be empty */
    const struct str *texts;
    size_t n_texts;    /* 0..AGAINST_TEXTS_MAX */
    struct str image;  /* encoded bytes; empty when there is none, or
                          images were not asked for */
    struct str sha256; /* member `sha256` of its JSON: hex, or empty */
    struct str phash;  /* member `phash` of its JSON: as text, or empty; also
                          empty where `phash_exempt` is true, as in ledgers */
};

typedef int (*against_fn)(void *ctx, const struct against_sample *s,
                          struct err *e);

/* The files that path stands for, as paths that begin with path. */
int against_files(const char *path, struct io_list *files, struct err *e);

/* All of them, for every path, as inputs of a stage: each hashed here. */
int against_inputs(const struct opt_list *paths, struct stage_inputs *in,
                   struct err *e);

/* images: whether their bytes are wanted. */
int against_walk(const char *path, bool images, against_fn fn, void *ctx,
                 struct tally *skipped, struct err *e);

#endif
