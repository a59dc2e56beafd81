/*
 * classifier - how well each class fits a picture, for a model of any
 * objective.
 *
 * Model.   A class is its name in every template (train/zeroshot.h).  Its score
 *          for a picture is
 *
 *            contrastive  the product of the picture's features with the row of
 *                         the class
 *            bow          the mean over templates of the mean log-probability
 *                         of the prompt's words: again one product with one row
 *                         a class, the mean of its prompts' (train/encoder.h)
 *            caption      the mean over templates of the log-probability of
 *                         the prompt, divided by its tokens
 *
 *          Rows are made, or taken from a cache, once.  For caption the
 *          prompts' ids are; every prompt of every picture is a pass through
 *          the decoder, of which nothing can be kept.
 * Owns.    Rows or ids, room for a batch.  Prompts and encoder are borrowed.
 * Fails.   As zeroshot_cached(), encoder_*(); -E_TOOBIG over
 *          CLASSIFIER_PROMPTS_MAX prompts of a caption model.
 * Threads. The device's.
 * Cost.    classes products a picture; for caption classes * templates passes
 *          of a caption each.
 */
#ifndef TRAIN_CLASSIFIER_H
#define TRAIN_CLASSIFIER_H

#include "train/encoder.h"
#include "train/zeroshot.h"

#define CLASSIFIER_PROMPTS_MAX ((size_t)1 << 20)

struct classifier {
    const struct zeroshot_prompts *p;
    struct encoder *n;
    float *rows;             /* [classes, dim]; NULL for caption */
    float *features;         /* [batch, dim]; likewise */
    struct captions prompts; /* caption: [classes * templates] */
    int32_t *ids;            /* of them */
    float *likely;           /* caption: [batch, classes * templates] */
};

/* n: encoder_open_products(). */
int classifier_open(struct classifier *c, const struct zeroshot_prompts *p,
                    struct encoder *n, struct zeroshot_cache *cache,
                    struct err *e);
void classifier_close(struct classifier *c); /* fine when zero */

/* scores [count, classes] of pictures as encoder_pictures() takes them. */
int classifier_score(struct classifier *c, int count, const uint8_t *rgb,
                     float *scores, struct err *e);

#endif
