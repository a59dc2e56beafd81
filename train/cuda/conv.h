/*
 * conv - what the sources of the convolutions share.
 *
 * Model.   conv.c has the three ops.  Where the kernel is one pixel, they are
 *          products.  y and dx are else cuDNN's (conv_dnn.c); where it is not
 *          there, or refuses the shape, and for dweight always, they are
 *          products of "columns": the source's pixels that a kernel sees, side
 *          by side, in scratch, so many at a time that they mostly stay in the
 *          L2 cache's reach (k_conv.cu).
 * Threads. The device's.
 */
#ifndef TRAIN_CUDA_CONV_H
#define TRAIN_CUDA_CONV_H

#include "train/cuda/cuda_private.h"

#ifdef __cplusplus
extern "C" {
#endif

struct conv {                     /* by the forward direction */
    int64_t batch, h, w, in, out; /* images, input sides, channels */
    int64_t oh, ow;               /* output sides */
    int64_t kernel, stride, pad;  /* pixels */
};

/* y[g - first][(p * kernel + q) * channels + c] = x[n, r, s, c] for the pixels
 * g = (n, i, j) of a grid, first .. first + count - 1 of all images':
 * r = i * stride - pad + p, or, turned, (i + pad - p) / stride; 0 where that is
 * no pixel of x, and in what is left of y's rows. */
struct columns {
    int64_t first, count;
    int64_t grid_h, grid_w; /* of one image */
    int64_t h, w, channels; /* of x */
    int64_t kernel, stride, pad;
    bool turned;
    int64_t ld;    /* of y, a multiple of 8 */
    const void *x; /* act [images, h, w, channels] */
    void *y;       /* act [count, ld] */
};

void conv_columns(struct device *d, const struct columns *o);

/* Weights as columns stand: y[o][(p * kernel + q) * in + c], or, turned,
 * y[c][(p * kernel + q) * out + o], rows of ld, filled up with 0. */
void conv_weights(struct device *d, const struct conv *c, const void *weight,
                  bool turned, int64_t ld, void *y);

/* dweight[o, c, p, q] += part[o][(p * kernel + q) * in + c]. */
void conv_add_weights(struct device *d, const struct conv *c, const float *part,
                      int64_t ld, void *dweight);

/* y, and dx, by cuDNN; false, and nothing is done, where it cannot.  That it
 * can while planning does not say that it will. */
bool dnn_forward(struct device *d, const struct conv *c, const void *x,
                 const void *weight, void *y);
bool dnn_backward(struct device *d, const struct conv *c, const void *dy,
                  const void *weight, bool add, void *dx);

/* Directions of shapes it was asked for, and those it refused. */
void dnn_counted(const struct device *d, int *asked, int *refused);

#ifdef __cplusplus
}
#endif

#endif
