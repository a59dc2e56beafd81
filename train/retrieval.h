/*
 * retrieval - how often the right text, or picture, is among the first k.
 *
 * Model.   Pictures and texts are added with their features; a text belongs to
 *          one picture, a picture may have several.  Sorted by product, a
 *          picture counts for R@k when any of its texts is among the first k
 *          texts, a text when its picture is among the first k pictures.  Of
 *          equal products the one added first stands first.
 * Owns.    The features.
 * Fails.   -E_NOMEM; -E_RANGE when a picture has no text.
 * Threads. One calls; retrieval_score() takes workers (base/workq.h), whose
 *          number changes nothing: they count, and counts are added up.
 * Cost.    pictures * texts products, each computed once for both ways; no
 *          table of them: memory is that of the features and, of each worker,
 *          two bytes a text.
 */
#ifndef TRAIN_RETRIEVAL_H
#define TRAIN_RETRIEVAL_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define RETRIEVAL_KS 3 /* 1, 5, 10 */

extern const int retrieval_k[RETRIEVAL_KS];

struct retrieval {
    int dim;
    float *pictures, *texts; /* [n, dim] each */
    size_t n_pictures, n_texts;
    size_t room_pictures, room_texts; /* rows allocated */
    size_t *owner;                    /* of a text: its picture */
    size_t room_owner;
};

struct retrieval_result {
    size_t pictures, texts;
    double to_text[RETRIEVAL_KS];    /* R@k of pictures looking for texts */
    double to_picture[RETRIEVAL_KS]; /* and the other way */
    double rank_text, rank_picture;  /* median ranks, from 1: of the first own
                                        text of a picture; of a text's picture */
};

void retrieval_init(struct retrieval *r, int dim);
void retrieval_release(struct retrieval *r);

int retrieval_picture(struct retrieval *r, const float *feature, struct err *e);
/* A text of picture `owner`, which was added already. */
int retrieval_text(struct retrieval *r, const float *feature, size_t owner,
                   struct err *e);

/* threads: 0: one a processor. */
int retrieval_score(const struct retrieval *r, unsigned threads,
                    struct retrieval_result *out, struct err *e);

#endif
