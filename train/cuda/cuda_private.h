/*
 * cuda_private - what the sources of train/cuda share.
 *
 * Model.   An op's function is called to compute, and while planning, too: then
 *          launches and library calls are left out, but what is kept per shape
 *          (scratch, algorithms) is prepared.  So whoever asks for scratch or
 *          for an algorithm in a run has asked for it in the dry run.
 * Owns.    See cuda.h.
 * Threads. The device's.
 */
#ifndef TRAIN_CUDA_CUDA_PRIVATE_H
#define TRAIN_CUDA_CUDA_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cuda_runtime_api.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "train/device.h"
#include "train/op.h"

#define CUDA_SLOTS      4          /* copies on their way to the device */
#define CUDA_SLOT_BYTES (8u << 20) /* pinned memory of each */

/* What large allocations leave free: graphs, kernels that are loaded at their
 * first call and the libraries' own memory come later. */
#define CUDA_LARGE   ((size_t)64 << 20)
#define CUDA_RESERVE ((size_t)1 << 30)

struct cuda {       /* struct device's state */
    int index, sms; /* the GPU; its multiprocessors */
    int arch;       /* 80, 90, ... */
    cudaStream_t stream;
    char *pinned;                 /* CUDA_SLOTS of CUDA_SLOT_BYTES */
    cudaEvent_t sent[CUDA_SLOTS]; /* behind the copy out of each slot */
    int slot;                     /* the next one */
    cudaEvent_t stamp[OP_STAMPS]; /* made when first asked for */
    char *scratch;                /* device memory, aligned to DEVICE_ALIGN */
    size_t scratch_size;          /* bytes */
    bool eager;            /* no graphs: every op is launched by itself */
    bool tune;             /* products.c times cuBLASLt's answers */
    struct graphs *graphs; /* graph.c's */
    struct lt *lt;         /* products.c's */
    struct dnn *dnn;       /* conv.c's; NULL until a convolution is planned */
    char description[320];
};

static inline struct cuda *cuda_of(const struct device *d)
{
    return (struct cuda *)d->state;
}

/* Make a failed call stick: "cuda: WHAT: the runtime's words". */
void cuda_fail(struct device *d, const char *what, cudaError_t rc);

/* Whether an op's calls are to be made: not while planning, nor behind a
 * failure. */
static inline bool cuda_runs(const struct device *d)
{
    return !d->planning && !d->rc;
}

/* Device memory until the op returns; its content is undefined.  Several parts
 * are carved by the caller out of one call.  NULL behind a failure and, for
 * the first ones, while planning: it is not to be looked at then. */
void *cuda_scratch(struct device *d, size_t bytes);

/* out[i] += sum over c of part[c * n + i], in an order that `parts` gives:
 * k_reduce.cu. */
void cuda_sum_parts(struct device *d, int64_t parts, int64_t n,
                    const float *part, float *out);

/* y = act(pre) [+ res]; dx *= act'(pre); act arrays of `count`: k_act.cu. */
void cuda_act(struct device *d, enum act_kind kind, int64_t count,
              const void *pre, const void *res, void *y);
void cuda_act_bwd(struct device *d, enum act_kind kind, int64_t count,
                  const void *pre, void *dx);

/* Ranks (nccl.c): struct ops' collective. */
int cuda_collective(struct device *d, const struct launch *l,
                    const struct agreement *a, struct collective *out,
                    struct err *e);

/* Graphs (graph.c): what struct ops calls, and dropping them all, for when
 * memory that they know is freed. */
void graphs_open(struct device *d);
void graphs_drop(struct device *d);
void graphs_close(struct device *d);
bool cuda_graph_begin(struct device *d, uint64_t key);
void cuda_graph_end(struct device *d);

/* Library handles. */
int lt_open(struct device *d, struct err *e);
void lt_close(struct device *d);
void dnn_close(struct device *d);

/* The ops; those of products.c and conv.c are C, the others stand in k_*.cu. */
#define X(name) void cuda_##name(struct device *d, const struct op_##name *o);
OP_MAP(X)
#undef X

#ifdef __cplusplus
}
#endif

#endif
