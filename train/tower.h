/*
 * tower - pictures to features, captions to features, and back.
 *
 * Model.   vit, resnet and text each have the same life: init declares the
 *          tensors in open_clip's names, forward makes features (act,
 *          [n, embed_dim], not normalised), backward takes their gradient and
 *          adds to the gradients of the tensors.  forward with pass.train
 *          leaves on the device's stack what backward reads; the caller
 *          releases to its mark behind backward (or at once, without train).
 *          Pictures are of 3 channels and the model's size, in device memory:
 *          normalised numbers, or bytes (struct pixels of train/op.h).
 * Owns.    Each struct its layers (release frees them).
 * Threads. The device's.
 * Source.  facts b.3: Dosovitskiy et al. 2021 (ViT), He et al. 2016 with
 *          CLIP's stem, anti-aliased strides and attention pooling (Radford et
 *          al. 2021, section 2.4), Radford et al. 2019 (text).
 */
#ifndef TRAIN_TOWER_H
#define TRAIN_TOWER_H

#include <stdint.h>
#include "train/block.h"
#include "train/config.h"
#include "train/rows.h"

/* ---- text: train/text.c ---- */

struct text_tower {
    struct text_config c;
    int embed_dim;
    int token, position, projection;  /* indices into the store */
    struct norm_at ln_final;
    struct block_stack blocks;
    struct {                          /* kept for backward */
        struct caption_rows at;
        void *x, *read, *normed;
        struct norm_kept norm;
    } kept;
};

/* Declares its tensors in the order of open_clip's state dict, whose
 * logit_scale stands behind text_projection (here behind all: clip.c). */
void text_tower_init(struct text_tower *t, struct store *s,
                     const struct clip_config *c);
void text_tower_release(struct text_tower *t);

/* `at` from rows_captions(), kept by the caller on the stack. */
void text_tower_forward(const struct pass *p, struct text_tower *t,
                        const struct caption_rows *at, void *features);
void text_tower_backward(const struct pass *p, struct text_tower *t,
                         const void *dfeatures);

/* The same blocks as a causal decoder: `first`, act [reads, width], is added to
 * the row that each caption begins with; y, act [total, width], is every row
 * behind ln_final.  The projection is left out.  backward overwrites dy. */
void text_decoder_forward(const struct pass *p, struct text_tower *t,
                          const struct caption_rows *at, const void *first,
                          void *y);
void text_decoder_backward(const struct pass *p, struct text_tower *t, void *dy,
                           void *dfirst);

/* ---- ViT: train/vit.c ---- */

struct vit {
    struct vision_config c;
    int embed_dim, grid;
    int conv1, class_embedding, position, projection;
    struct norm_at ln_pre, ln_post;
    struct block_stack blocks;
    struct {
        struct rows rows;
        void *patches, *tokens, *x, *read, *normed;
        struct norm_kept pre, post;
    } kept;
};

void vit_init(struct vit *v, struct store *s, const struct clip_config *c);
void vit_release(struct vit *v);
/* `rows` from rows_pictures(): grid^2 + 1 rows each; its indices are kept by
 * the caller until backward. */
void vit_forward(const struct pass *p, struct vit *v, const struct rows *rows,
                 const struct pixels *pixels, void *features);
void vit_backward(const struct pass *p, struct vit *v, const void *dfeatures);

/* ---- ModifiedResNet: train/resnet.c ---- */

/*
 * BatchNorm of a training pass is over groups of `group` consecutive pictures;
 * n is a multiple of it (or smaller: then one group).  With `collect`, the
 * batch's statistics are added to the running ones' sums in the gradient
 * class (op_batchnorm_collect), once: neither recompute nor backward adds to
 * them again.  Without pass.train and with `running`, the running statistics
 * are used.
 *
 * Kept for backward: the pixels as NHWC; of each unit the convolution's
 * output, its own output and the statistics; both means of a bottleneck with
 * stride; all of attention pooling: 24.6 million numbers a picture of RN50 at
 * 224.  With recompute, of the stem only the pixels and of a bottleneck its
 * input: 6.2 million.  Backward takes two rooms of the largest map, which
 * change roles, one block's inner gradients and, with recompute, one part's
 * forward: 27.2 and 11.5 million at the peak.  Without train it is 5.
 */
struct resnet_batch {
    int n;                /* pictures */
    int group;            /* pictures a BatchNorm group */
    const struct rows *rows;  /* of attention pooling, as vit_forward()'s */
    bool running;         /* evaluate with running statistics */
    bool collect;
};

struct bottleneck;        /* train/resnet.c */

struct resnet {
    struct vision_config c;
    int embed_dim;
    struct bottleneck *blocks; /* [sum of stages], owned */
    int n;
    struct resnet_stem *stem;  /* owned */
    struct resnet_pool *pool;  /* attention pooling, owned */
    struct resnet_batch batch; /* of the forward that is kept */
};

void resnet_init(struct resnet *r, struct store *s,
                 const struct clip_config *c);
void resnet_release(struct resnet *r);
void resnet_forward(const struct pass *p, struct resnet *r,
                    const struct resnet_batch *b, const struct pixels *pixels,
                    void *features);
void resnet_backward(const struct pass *p, struct resnet *r,
                     const void *dfeatures);

/* Move running statistics by the mean of what `groups` groups collected:
 * running = 0.9 running + 0.1 sum / groups. */
void resnet_move_statistics(const struct pass *p, int64_t groups);

#endif
