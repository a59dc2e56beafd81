/*
 * pairs - generated pictures and captions that a model can learn.
 *
 * Model.   Pair i has PAIRS_ATTRIBUTES hidden values of 0..PAIRS_VALUES-1, a
 *          hash of (seed, i).  Its picture is a grid of 3 x 3 squares; square j
 *          has the colour that value j is: a bit a channel, light or dark; upon
 *          that a brightness of the picture and grain.  Pictures are bytes, as
 *          decoders give them.  Its caption names the
 *          values: word (j, v) says that square j has colour v, three words in
 *          four are such, of one square after the other from a random one on,
 *          the fourth is any word.  So the two belong together and nothing but
 *          the hidden values says so; 2^27 combinations keep pairs apart.
 *          Lengths of captions, SOT and EOT included, are uniform around the
 *          mean asked for, as far as half of it, 3 and the context allow:
 *          with the whole context as mean all are full.
 * Owns.    The grain's table; pairs_release() frees it.
 * Fails.   -E_RANGE for a mean outside 3..context.
 * Threads. Any number may draw from one struct.
 * Cost.    A picture is written once: an addition a byte, a hash a line.
 */
#ifndef TRAIN_PAIRS_H
#define TRAIN_PAIRS_H

#include <stdint.h>
#include "base/err.h"
#include "train/config.h"
#include "train/op.h"

#define PAIRS_SIDE       3 /* squares a side */
#define PAIRS_ATTRIBUTES (PAIRS_SIDE * PAIRS_SIDE)
#define PAIRS_VALUES     8
#define PAIRS_GRAIN      65536 /* numbers of the table, a power of two */

struct pairs {
    int size;    /* pixels a side */
    int context; /* ids a caption */
    int vocab;
    int mean, spread; /* lengths of captions: mean - spread .. mean + spread */
    uint64_t hidden, light, grain, length, words; /* streams */
    int8_t *table; /* [PAIRS_GRAIN + 3 size] */
};

/* caption_tokens: mean length. */
int pairs_init(struct pairs *p, const struct clip_config *c, uint64_t seed,
               int caption_tokens, struct err *e);
void pairs_release(struct pairs *p);

/* Value of attribute j of pair i. */
int pairs_value(const struct pairs *p, uint64_t i, int j);

/* Pixels of pair i: [size, size, 3]; and how they are normalised, so that dark
 * is -1 and light 1. */
void pairs_picture(const struct pairs *p, uint64_t i, uint8_t *pixels);
struct pixel_norm pairs_norm(void);

/* Its caption, [context] ids, zeros behind the EOT; returns the length. */
int pairs_caption(const struct pairs *p, uint64_t i, int32_t *ids);

#endif
