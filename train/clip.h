/*
 * clip - a whole model: both towers, the scale between them, one loss.
 *
 * Model.   clip_open() builds the tensors for a config on a device and
 *          initialises them (or leaves zeros for a file to fill).
 *          clip_encode_*() give normalised features.  clip_gradients() is
 *          one batch: features of both sides chunk by chunk, one streamed
 *          loss over the whole batch, then gradients chunk by chunk, each
 *          chunk's forward made again (gradient caching, Gao et al. 2021).
 *          With one chunk nothing is made again.  Chunks hold whole BatchNorm
 *          groups, so the result does not depend on the chunk but for
 *          rounding.  clip_plan() sizes the device's stack for it by a dry run.
 *          All this is of the contrastive objective; a model of another one
 *          (config.objective) takes its steps as train/objective.h says.
 * Owns.    Layers and store; not the device.
 * Fails.   -E_RANGE for a chunk that splits a group or has 2^31 tokens, and
 *          for ids that are not in the vocabulary; -E_NOMEM; -E_TOOBIG for a
 *          batch that was not planned for; what stuck in the device.
 * Threads. The device's.
 * Cost.    clip_gradients() allocates nothing; it and encoding begin on the
 *          device's stack at its bottom and leave it empty.
 * Source.  facts b.3, b.4; DESIGN section 5.
 */
#ifndef TRAIN_CLIP_H
#define TRAIN_CLIP_H

#include <stdbool.h>
#include <stdint.h>
#include "train/config.h"
#include "train/device.h"
#include "train/store.h"
#include "train/tower.h"

struct clip {
    struct clip_config config;
    struct device *d;          /* borrowed */
    struct store store;
    int logit_scale;           /* index into the store */
    int logit_bias;            /* -1 without */
    int bow, caption;          /* what other objectives read features by
                                  (train/objective.h); -1 without */
    union {
        struct vit vit;
        struct resnet resnet;
    } vision;
    struct text_tower text;
};

/* Weights at zero; with what `use` opens beside them (train/store.h). */
int clip_open(struct clip *m, struct device *d, const struct clip_config *c,
              enum store_use use, struct err *e);
void clip_close(struct clip *m);

/* Weights as published for a fresh model (facts b.2), each number a function
 * of (seed, tensor name, index): train/random.h. */
int clip_initialise(struct clip *m, uint64_t seed, struct err *e);

/* What bytes of pictures are to a model. */
struct pixel_norm clip_pixel_norm(const struct clip_config *c);

struct collective;

enum loss_kind { LOSS_INFONCE, LOSS_SIGMOID };

/* How a batch is computed; none of it changes the result but for rounding. */
struct clip_options {
    int chunk;            /* pairs at a time, 0: the whole batch */
    int bn_batch;         /* G: pictures a BatchNorm group; 0: the batch, of
                             several ranks each one's own, and then their
                             number changes the result */
    bool packed;          /* captions end at their EOT */
    bool reduce;          /* last block: the row that is read */
    bool recompute;       /* per block */
    bool ahead;           /* pixels travel ahead: make room for that, and do
                             it (device_send(); from pinned memory only) */
    int64_t logits;       /* over the vocabulary, numbers that exist at a time;
                             0: OBJECTIVE_LOGITS (train/objective.h) */
    enum loss_kind loss;  /* this one does */
    enum pixel_kind pixels; /* what clip_plan() makes room for: with room for
                               bytes, numbers are -E_TOOBIG on a device that
                               does not read them where they lie */
    struct collective *ranks; /* of the global batch, this one's n pairs each
                                 (train/collective.h); NULL: this one alone */
};

struct clip_batch {
    int n;
    struct pixels pixels; /* n of them, 3 channels, host memory */
    struct captions captions; /* n of them, host memory */

    /* With ahead, and unless NULL: asked once all of this batch is with the
     * device for the one that is computed next, which begins to travel; NULL:
     * none.  It stays as it is until that step is over. */
    const struct clip_batch *(*next)(void *ctx);
    void *ctx;
};

/* Size the stack for batches of up to n pairs, or for encoding up to n. */
int clip_plan(struct clip *m, const struct clip_options *o, int n,
              struct err *e);

/*
 * Loss and gradients, of the global batch on every rank alike.  Gradients are
 * zeroed first; running statistics are collected and moved.  image, text: real
 * [n, embed_dim] on the host, the normalised features of this rank's pairs, or
 * NULL, as they are for other objectives than the contrastive.
 */
int clip_gradients(struct clip *m, const struct clip_options *o,
                   const struct clip_batch *b, double *loss, void *image,
                   void *text, struct err *e);

/* Normalised features, real [n, embed_dim] on the host, BatchNorm by running
 * statistics; n in chunks of o->chunk.  Only a contrastive model has some of
 * texts: else -E_UNSUPPORTED. */
int clip_encode_images(struct clip *m, const struct clip_options *o, int n,
                       const struct pixels *pixels, void *features,
                       struct err *e);
int clip_encode_texts(struct clip *m, const struct clip_options *o,
                      const struct captions *c, void *features,
                      struct err *e);

#endif
