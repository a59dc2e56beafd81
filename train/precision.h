/*
 * precision - how well scores put the pictures of each class before the others,
 * where a picture may be of several classes.
 *
 * Model.   Pictures are added with a score a class and the classes they are of.
 *          Of a class all pictures are sorted by score, of equal ones the first
 *          added first; its average precision is the mean, over the pictures of
 *          the class, of the share of them among all that stand no further
 *          behind.  No interpolation: the definition of CLIP_benchmark (and of
 *          torchnet), not the 11 points of PASCAL VOC 2007.  A class without
 *          pictures has 0, and counts in the mean, as there.
 * Owns.    Scores and labels of all pictures.
 * Fails.   -E_NOMEM.
 * Threads. One.
 * Cost.    Memory: 4 bytes a picture and class; precision_of() sorts all
 *          pictures for each class.
 */
#ifndef TRAIN_PRECISION_H
#define TRAIN_PRECISION_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

struct precision_class {
    uint64_t images; /* of this class */
    double average;  /* 0 to 1 */
};

struct precision {
    size_t classes, images;
    struct precision_class *of; /* [classes]; average: by precision_of() */
    float *scores;              /* [images, classes] */
    uint64_t *labels;           /* of all pictures, behind each other */
    size_t *first;              /* [images + 1]: where a picture's begin */
    size_t room, room_labels;   /* pictures, labels allocated */
};

void precision_init(struct precision *p, size_t classes);
void precision_release(struct precision *p); /* fine when zero */

/* labels: n different classes. */
int precision_add(struct precision *p, const float *scores,
                  const uint64_t *labels, size_t n, struct err *e);

/* Of every class, and their mean; 0 without pictures. */
int precision_of(struct precision *p, double *mean, struct err *e);

/* What scores that say nothing come to: the mean share of pictures that are of
 * a class. */
double precision_chance(const struct precision *p);

#endif
