/*
 * dedup_near - which images look like, or are, an earlier one.
 *
 * Model.   Images have ids 0..n-1 in (H(url), url) order.  An image is pushed
 *          out by the smallest earlier id with the same sha256, or else with a
 *          phash at most `radius` bits away, whether that one stays or not.
 *          The search is exact.  Equal phashes are folded first.  The 64 bits
 *          are then cut into radius + k bands: two phashes within the radius
 *          agree in at least k of them, so for each choice of k bands the
 *          images are sorted by these bands alone and compared within runs of
 *          equal ones.  k is chosen for the number of images at hand.
 * Fails.   -E_NOMEM; -E_TOOBIG from 2^32 - 1 images on.
 * Threads. Choices of bands are searched in parallel; the result is a minimum
 *          and does not depend on their order.
 * Cost.    About C(radius + k, k) * n with the default radius of 4; memory 28
 *          bytes an image beside the input, and 32 a thread.  A large radius,
 *          or a crowd of unlike images that share k bands, costs more.
 */
#ifndef FILTER_DEDUP_NEAR_H
#define FILTER_DEDUP_NEAR_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEDUP_NONE       UINT32_MAX
#define DEDUP_RADIUS_MAX 16 /* bits */

struct dedup_image {
    uint8_t sha[16]; /* first half of the sha256 of the original bytes */
    uint64_t phash;
};

/* What pushed an image out. */
struct dedup_verdict {
    uint32_t by; /* id, DEDUP_NONE: it stays */
    bool exact;  /* the same bytes */
};

/* exempt: a bit per id (byte id / 8, bit id % 8); such an image never looks
 * like another.  verdicts: room for n. */
int dedup_judge(const struct dedup_image *images, const uint8_t *exempt,
                size_t n, unsigned radius, unsigned threads,
                struct dedup_verdict *verdicts, struct err *e);

#endif
