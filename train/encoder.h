/*
 * encoder - pictures and texts as the features of a model that is open.
 *
 * Model.   A batch at a time: pictures as bytes (train/picture.h), texts by
 *          the model's tokenizer, each cut to its context.  Features are
 *          normalised, float [n, embed_dim], whatever the device computes in.
 *          Nothing is planned here: the stack must hold a batch
 *          (clip_plan()), so a model in training can be asked between steps.
 *
 *          encoder_open_products() is for those who want to know what fits
 *          what: rows of pictures and texts whose product says so, for each
 *          objective (train/objective.h) what it was trained to say.
 *
 *            contrastive  the features
 *            bow          embed_dim + 1 numbers, not normalised: the product
 *                         is the mean log-probability of the text's words
 *            caption      no rows of texts: encoder_captions() says how likely
 *                         each token of a text is, pair by pair
 * Owns.    Room for a batch.  Model and tokenizer are borrowed.
 * Fails.   -E_STALE for a vocabulary of another size than the model's;
 *          -E_UNSUPPORTED for texts of a model that was not trained to compare
 *          them with pictures; -E_RANGE for a text without words where words
 *          are what is predicted, and for features that
 *          are not finite, since whoever ranks by them would find that nothing
 *          stands before anything; -E_NOMEM; as clip_encode_*().
 * Threads. The device's.
 * Cost.    No allocation behind opening, which for bow reads the table of
 *          words to the host.  A text of bow is a mean of rows there.
 */
#ifndef TRAIN_ENCODER_H
#define TRAIN_ENCODER_H

#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "train/clip.h"
#include "train/op.h"
#include "train/tokenizer.h"

struct encoder {
    struct clip *m;
    struct clip_options o;
    const struct tokenizer *t; /* NULL: pictures alone */
    struct tokenizer_scratch scratch;
    struct pixel_norm norm;
    int batch, dim, context;
    bool pads;    /* the device keeps something per shape (its `plan`) */
    float *words; /* bow's products: [vocab_size, embed_dim], else NULL */
    int32_t *ids; /* [batch, context] */
    double *real; /* [batch, dim], of a device of doubles */
};

int encoder_open(struct encoder *n, struct clip *m,
                 const struct clip_options *o, int batch,
                 const struct tokenizer *t, struct err *e);
int encoder_open_products(struct encoder *n, struct clip *m,
                          const struct clip_options *o, int batch,
                          const struct tokenizer *t, struct err *e);
void encoder_close(struct encoder *n); /* fine when zero */

/* Text i of the next batch. */
int encoder_put(struct encoder *n, int i, struct str text, struct err *e);

/* Of texts 0 to count - 1, count <= batch.  features has room for a batch: on a
 * device that prepares shapes a whole one is computed. */
int encoder_texts(struct encoder *n, int count, float *features, struct err *e);

/* rgb: count squares of the model's size, count <= batch, in memory for a
 * batch; features likewise. */
int encoder_pictures(struct encoder *n, int count, const uint8_t *rgb,
                     float *features, struct err *e);

/* caption: the mean log-probability of a token of each caption, for each of
 * count pictures as encoder_pictures() takes them; scores likewise has room for
 * a batch, [batch, c->n]. */
int encoder_captions(struct encoder *n, int count, const uint8_t *rgb,
                     const struct captions *c, float *scores, struct err *e);

#endif
