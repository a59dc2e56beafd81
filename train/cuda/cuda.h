/*
 * cuda - the backend that trains on NVIDIA GPUs.
 *
 * Model.   Products are cuBLASLt's (products.c), the ResNets' convolutions
 *          cuDNN's (conv.c); everything else is kernels of our own (k_*.cu).
 *          All work goes into one stream, in the order of the calls, most of
 *          it as graphs (graph.c: recorded at first, then repeated); what is
 *          sent ahead goes by a second one (memory.c).  The host only waits in
 *          device_get() and, when four copies are on their way, in
 *          device_put().  Activations are float (then no product uses
 *          TF32: the mode that others are measured by) or bfloat16; parameters,
 *          statistics and sums are float in both.
 * Owns.    struct cuda (cuda_private.h) belongs to the device: streams, library
 *          handles, pinned memory, scratch.
 * Fails.   cuda_open: -E_UNSUPPORTED without a GPU, with one older than sm_80
 *          or in a build without CUDA; -E_USAGE for a type of activation that
 *          is none of F32 and BF16; -E_NOMEM.  Later: sticky in the device,
 *          with the call that failed.
 * Threads. One thread opens and calls.
 * Cost.    An op is one to three launches (embed_bwd, which sorts, 15);
 *          scratch grows during a dry run only.  Every sum has a fixed order,
 *          so that a run repeats bit for bit on the same GPU and libraries
          (with `tune`: within the life of a device).
 */
#ifndef TRAIN_CUDA_CUDA_H
#define TRAIN_CUDA_CUDA_H

#include <stdbool.h>
#include "base/err.h"
#include "train/device.h"

#define CUDA_ROW_STEP 4096 /* rows packed captions are padded to */

struct cuda_options {
    int index;    /* of the GPU, as CUDA counts them */
    int row_step; /* 0: CUDA_ROW_STEP */
    bool eager;   /* launch op by op instead of in graphs: to measure or to
                     debug; the same bits */
    bool tune;    /* while planning, time several of cuBLASLt's kernels for each
                     shape instead of believing its first answer: faster
                     perhaps, but the last bits differ from run to run */
};

/* Shapes that were asked for so far. */
struct cuda_counts {
    int products, products_refused;         /* by cuBLASLt: slow */
    int products_timed, products_changed;   /* by tune: another kernel */
    int convolutions, convolutions_refused; /* by cuDNN: columns instead */
};

/* Fill in d. */
int cuda_open(struct device *d, enum dtype act, const struct cuda_options *o,
              struct err *e);

struct cuda_counts cuda_counted(const struct device *d);

/* "NVIDIA H200, sm_90, 132 SMs, driver 13.0, runtime 13.0". */
const char *cuda_describe(const struct device *d);

#endif
