/*
 * image_resample - what resampling is made of; private to base/image*.
 *
 * Model.   Pillow's way, to the bit (Imaging/Resample.c): separable, first
 *          along rows and then along columns, with 8-bit values between; the
 *          filter is stretched by the ratio when reducing; weights are
 *          normalised in double and rounded to 22 fractional bits; sums are
 *          integer.  So every set of kernels gives the same pixels, on every
 *          processor.
 * Owns.    Memory is the caller's image_room.
 * Fails.   IMAGE_MEMORY.
 * Threads. Pure functions.
 */
#ifndef BASE_IMAGE_RESAMPLE_H
#define BASE_IMAGE_RESAMPLE_H

#include "base/image_codec.h"

#define IMAGE_PRECISION    22 /* 32 bits less 8 of the sample, 2 for overshoot */
#define IMAGE_ROWS_AT_ONCE 4u
#define IMAGE_BEYOND       64u /* bytes that may be read behind a row's last */

/* One direction of a resize: of `to` samples made from `in`, n from `first`
 * on are wanted. */
struct image_axis {
    uint32_t in;
    uint64_t to, first;
    uint32_t n;
};

/* The weights of one output sample: their number, at most
 * image_weights_max(); *low is the input sample of the first. */
uint32_t image_weights(const struct image_axis *a, uint64_t at,
                       enum image_filter filter, double *w, uint32_t *low);
size_t image_weights_max(const struct image_axis *a, enum image_filter filter);

#define IMAGE_DIGITS 3 /* signed bytes of a weight */

/* The weights of an axis, and the same in parts, for kernels whose
 * multiplications are narrower than 32 bits; NULL where one does not fit:
 *
 *     split   w = 256 high + low:                 [n][size / 4][4 high, 4 low]
 *     digits  w = 65536 high + 256 middle + low:
 *                                     [n][size / 4][4 high, 4 middle, 4 low]
 */
struct image_taps {
    uint32_t n;      /* output samples */
    uint32_t size;   /* room for weights of one, a multiple of 4 */
    uint32_t *first; /* [n] input sample of the first weight */
    uint32_t *count; /* [n] weights in use */
    int32_t *weight; /* [n][size], zeros behind those in use */
    int16_t *split;
    int8_t *digits;
    uint32_t group; /* output pixels to a vector; 0: none, see below */
    uint8_t *wide;  /* tables for them */
    uint32_t reach; /* input samples that kernels may touch: beyond the last
                       one by at most 3, with weight 0 */
};

/*
 * across: IMAGE_ROWS_AT_ONCE rows of pixels of 3 or 4 bytes, each to t->n
 * pixels.  From every row it may read t->reach pixels and IMAGE_BEYOND bytes.
 * down: output row `at` of n bytes; from is the first input row that counts.
 */
struct image_kernels {
    void (*across)(const uint8_t *const *from, uint8_t *const *to,
                   unsigned pixel_bytes, const struct image_taps *t);
    void (*down)(const uint8_t *from, size_t stride, const struct image_taps *t,
                 uint32_t at, uint8_t *to, size_t n);
};

extern const struct image_kernels image_kernels_plain;

/* With AVX-512 VBMI, too: along rows only (down is NULL), and behind
 * image_wide_init(); where t->group is 0 it is VNNI's. */
const struct image_kernels *image_kernels_vbmi(void);

/* Its tables, from t->digits, to room. */
size_t image_wide_bytes(const struct image_axis *a, uint32_t size);
void image_wide_init(struct image_taps *t, uint8_t *room);

/* With AVX2, by t->split, and with AVX-512 VNNI, by t->digits; NULL where the
 * processor lacks that. */
const struct image_kernels *image_kernels_avx2(void);
const struct image_kernels *image_kernels_vnni(void);

/* The input samples on which the wanted ones depend. */
void image_span(const struct image_axis *a, enum image_filter filter,
                uint32_t *from, uint32_t *n);

/* Fill t, which may use all of `room` (image_taps_bytes of it). */
size_t image_taps_bytes(const struct image_axis *a, enum image_filter filter);
void image_taps_init(struct image_taps *t, const struct image_axis *a,
                     enum image_filter filter, uint8_t *room);

/* What image_resample takes of `work`. */
size_t image_resample_bytes(const struct image *in, unsigned pixel_bytes,
                            const struct image_axis *across,
                            const struct image_axis *down,
                            enum image_filter filter);

/* The wanted part of in, pixels of 3 or 4 bytes, to rows of stride bytes. */
enum image_reason image_resample(const struct image *in, unsigned pixel_bytes,
                                 const struct image_axis *across,
                                 const struct image_axis *down,
                                 enum image_filter filter,
                                 struct image_room *work, uint8_t *to,
                                 size_t stride);

#endif
