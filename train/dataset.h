/*
 * dataset - everything that a run on shards reads by, opened once.
 *
 * Model.   Sources (train/source.h), the balance of each (train/balance.h),
 *          the order of all of them (train/order.h), the vocabulary
 *          (train/tokenizer.h).  dataset_open() reads, or makes, what is to be
 *          known before a run can say how long it is.
 * Owns.    All of these; the config's strings are borrowed.
 * Fails.   As they do; -E_UNSUPPORTED in a build that reads no shards.
 * Threads. None behind dataset_open(), which has some of its own: a jail may
 *          be opened after it.  The order belongs to one thread then.
 */
#ifndef TRAIN_DATASET_H
#define TRAIN_DATASET_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "train/picture.h"
#include "train/texts.h"

#define DATASET_WINDOW 8 /* shards, unless said otherwise */

struct order;
struct source;
struct balance;
struct tokenizer;

struct dataset_config {
    const char *const *data; /* specs of sources, [n] */
    size_t n;                /* 1.. */
    const char *vocabulary;  /* file; NULL: the one of the first corpus */
    const char *caption_key; /* member of .json with the captions, or NULL */
    const char *cache;       /* folder for indexes, or NULL: the user's */
    enum texts_rule texts;
    enum picture_rule crop;
    bool fast_decode;
    uint64_t seed;
    uint64_t balance; /* T, 0: none */
    size_t window;    /* shards, 1.. */
    unsigned threads; /* for making indexes, 0: one a processor */
};

struct dataset {
    struct dataset_config c;
    size_t n;
    struct source *sources;   /* [n] */
    struct balance *balances; /* [n], or NULL */
    struct order *order;
    struct tokenizer *tokenizer;
    uint64_t shards, samples;
    uint64_t left_out; /* samples without picture or text */
    uint64_t epoch;    /* samples of an epoch of all (train/order.h) */
    int vocab;         /* ids of the vocabulary */
    uint64_t mark;     /* of all that decides what stands where, seed left out:
                          equal for ranks that read the same */
};

int dataset_open(struct dataset *d, const struct dataset_config *c,
                 struct err *e);
void dataset_close(struct dataset *d);

/* The vocabulary as a file, valid until the dataset is closed. */
struct str dataset_vocabulary(const struct dataset *d);

/* Refuse a batch larger than an epoch of a source can fill: it would hold
 * samples twice. */
int dataset_check(const struct dataset *d, uint64_t batch, struct err *e);

#endif
