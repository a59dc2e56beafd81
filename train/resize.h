/*
 * resize - position embeddings for another number of places.
 *
 * Model.   resize_grid() is bicubic with antialiasing: a separable cubic of
 *          a = -0.5 over pixel centres, stretched by in/out when the grid
 *          shrinks, its weights normalised at the borders.  resize_line() is
 *          linear between pixel centres, clamped at the ends, without
 *          antialiasing.  Both agree with torch's interpolate(mode="bicubic",
 *          antialias=True) and (mode="linear"), align_corners=False, to
 *          rounding, which is what open_clip loads with.
 * Fails.   -E_NOMEM.
 * Threads. Any; pure functions.
 * Source.  Keys 1981; Pillow's resampling, which torch follows.
 */
#ifndef TRAIN_RESIZE_H
#define TRAIN_RESIZE_H

#include <stddef.h>
#include "base/err.h"

/* float [to_side, to_side, width] from float [from_side, from_side, width];
 * they do not overlap. */
int resize_grid(float *to, size_t to_side, const float *from, size_t from_side,
                size_t width, struct err *e);

/* float [to_n, width] from float [from_n, width]. */
void resize_line(float *to, size_t to_n, const float *from, size_t from_n,
                 size_t width);

#endif
