/*
 * phash - the perceptual hash of a picture (DESIGN section 4, Images).
 *
 * Model.   Grey = (299R + 587G + 114B + 500) / 1000 in integers; area means on
 *          32x32 cells; orthonormal DCT-II of the means; the lowest 8x8
 *          coefficients row by row, the first (DC) in the highest bit; a bit is
 *          set when its coefficient is above the median of the 63 without DC.
 *          Near-duplicates differ in few bits.
 * Threads. Pure functions.
 * Cost.    One pass over the pixels, then 10,000 multiplications.
 *
 * Everybody who computes it gets the same bits: cell sums are exact integers
 * (pixels that lie across cells count by their exact share), each mean is
 * rounded once, cosines are constants, sums run in ascending order without
 * fused multiply-add.
 */
#ifndef BASE_PHASH_H
#define BASE_PHASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PHASH_CELLS 32 /* means a side */

/* width and height from 1 to 65,535.  flat: the means' variance is below 4, so
 * the bits are noise and the picture is exempt from comparing. */
uint64_t phash_rgb(const uint8_t *rgb, size_t stride_bytes, uint32_t width,
                   uint32_t height, bool *flat);

/* The two halves, for tests and for whoever explains a verdict. */
void phash_means(const uint8_t *rgb, size_t stride_bytes, uint32_t width,
                 uint32_t height, double means[PHASH_CELLS * PHASH_CELLS]);
uint64_t phash_of_means(const double means[PHASH_CELLS * PHASH_CELLS],
                        bool *flat);

/* Bits that differ, 0..64. */
static inline unsigned phash_distance(uint64_t a, uint64_t b)
{
    return (unsigned)__builtin_popcountll(a ^ b);
}

#endif
