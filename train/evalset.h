/*
 * evalset - pictures with labels or captions, in the order of their tars.
 *
 * Model.   What is evaluated on is one of
 *
 *            a benchmark   a folder with SPLIT/ (test, train) in it, as
 *                          CLIP_benchmark publishes: SPLIT/nshards.txt and
 *                          SPLIT/0.tar on, and beside SPLIT/ classnames.txt,
 *                          zeroshot_classification_templates.txt and
 *                          dataset_type.txt
 *            shards        a corpus, a folder of tars, a tar, or names with
 *                          braces (train/source.h), in that order
 *
 *          Of a sample the picture is its first jpg, jpeg, png or webp, the
 *          label the number in its .cls, its captions all the texts of
 *          train/texts.h.  Of several labels a picture (dataset_type.txt says
 *          multilabel) the .npy holds a 0 or 1 for each class, or else the .cls
 *          the numbers of its classes, between them spaces, commas or line
 *          breaks; none is a picture of no class.  evalset_next() gives
 *          batches, always full but the last; pictures are decoded by workers
 *          (train/picture.h, PICTURE_EVAL), which work on the next batch while
 *          the caller computes with this one.
 *
 *          A sample that cannot be used is left out, counted under its reason,
 *          and the first ones are events of the log: no-image, no-label,
 *          bad-label (no number; no 0s and 1s), label-range (no class has
 *          it: evalset_check() says that, too), no-text, too-many-texts, or a
 *          picture's reason.
 * Owns.    Tars, workers, and what a batch points to, until the next call.
 * Fails.   -E_NOTFOUND naming a tar or folder that is not there; -E_FORMAT for
 *          a tar that is none or ends too soon, and for an nshards.txt; -E_IO
 *          when workers cannot be had.
 * Threads. Open it before threads start (base/jail.h); one calls.
 * Cost.    One pass over the tars; memory for a batch of pixels and as many
 *          pictures more as are on their way.
 */
#ifndef TRAIN_EVALSET_H
#define TRAIN_EVALSET_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/tally.h"
#include "shards/tar_read.h"
#include "train/picture.h"
#include "train/texts.h"

#define EVALSET_SHARDS_MAX ((size_t)1 << 20)
#define EVALSET_LABELS_MAX ((size_t)1 << 20) /* numbers in a .cls */
#define EVALSET_LOGGED     10 /* samples left out that are told one by one */

enum evalset_need {
    EVALSET_PICTURES, /* nothing but them */
    EVALSET_LABELS,
    EVALSET_LABEL_SETS, /* several a picture; c.classes says how many */
    EVALSET_CAPTIONS
};

struct evalset_config {
    const char *data;        /* as above */
    const char *split;       /* of a benchmark; NULL: "test" */
    const char *caption_key; /* captions from this member of .json, or NULL */
    enum evalset_need need;
    uint32_t size;    /* pixels of a model's side */
    int batch;        /* samples, 1.. */
    uint64_t classes; /* labels are below; 0: any */
    unsigned workers; /* processes that decode, 0: one a processor */
};

struct evalset_item {
    struct str key;   /* of the sample */
    uint64_t label;   /* EVALSET_LABELS; else the last of a .cls */
    uint64_t *labels; /* EVALSET_LABEL_SETS: [n_labels], ascending */
    size_t n_labels;
    struct str *texts; /* EVALSET_CAPTIONS: [n_texts], at least one */
    size_t n_texts;

    /* evalset's own */
    uint8_t *rgb;
    uint64_t places;    /* for classes in its .npy; 0: it has none */
    size_t room_labels; /* allocated */
    bool waiting;       /* for a worker */
    const char *reason; /* why it is left out, or NULL */
    struct buf bytes;   /* key and texts */
};

struct evalset_batch {
    int n;                            /* 0: the end */
    const uint8_t *rgb;               /* n squares */
    const struct evalset_item *items; /* [n] */
};

/* What a benchmark's dataset_type.txt says. */
enum evalset_type {
    EVALSET_CLASSIFICATION, /* also where there is none */
    EVALSET_RETRIEVAL,
    EVALSET_MULTILABEL
};

struct jail;

struct evalset {
    struct evalset_config c;
    char *root; /* a benchmark's folder; NULL of other shards */
    enum evalset_type type;
    char **shards;
    size_t n_shards;
    uint64_t seen;         /* samples of this pass, so far */
    uint64_t given;        /* of them, in batches */
    struct tally left_out; /* the others, by reason */
    struct tally members;  /* of the tars, left out by shards/tar_read */

    /* evalset's own */
    struct jail *jail;
    struct picture_scratch scratch;
    struct texts text;
    struct buf request;
    struct tar_reader reader;
    struct tar_samples samples;
    size_t shard; /* being read */
    bool open, ended;
    struct evalset_item *ring; /* [cap] */
    size_t cap, first, n;      /* items on their way, in order */
    unsigned logged;
    char stranger[320]; /* the first sample whose label no class has, or "" */
    uint8_t *rgb;       /* of the batch */
    struct evalset_item *out; /* [batch] */
};

int evalset_open(struct evalset *s, const struct evalset_config *c,
                 struct err *e);
void evalset_close(struct evalset *s); /* fine when zero */

int evalset_next(struct evalset *s, struct evalset_batch *b, struct err *e);

/* From the first tar again; counts begin anew. */
void evalset_rewind(struct evalset *s);

/* Behind a batch: -E_RANGE naming the first sample so far whose label no class
 * has: the classes are those of other pictures, and what is left of these tells
 * nothing.  Behind the last one also -E_FORMAT when none of the samples could
 * be used, with the reasons. */
int evalset_check(const struct evalset *s, struct err *e);

/* ---- several labels ---- */

/* it->labels from a sample's .npy, or else its .cls; NULL: it has none.  A
 * reason to leave it out, or NULL. */
const char *evalset_labels(const struct str *npy, const struct str *cls,
                           uint64_t classes, struct evalset_item *it);

/* ---- folders ---- */

/* Root, type and tars of c.data. */
int evalset_list(struct evalset *s, struct err *e);

/* A file beside a benchmark's splits: path[IO_PATH_MAX], or false. */
bool evalset_beside(const struct evalset *s, const char *name, char path[]);

#endif
