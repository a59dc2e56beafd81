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

/* What large allocations leave free: graphs, kernels that are loaded at their
 * first call and the libraries' own memory come later. */
#define CUDA_LARGE   ((size_t)64 << 20)
#define CUDA_RESERVE ((size_t)1 << 30)

struct cuda {       /* struct device's state */
    int index, sms; /* the GPU; its multiprocessors */
    int arch;       /* 80, 90, ... */
    cudaStream_t stream;
    cudaEvent_t stamp[OP_STAMPS]; /* made when first asked for */
    char *scratch;                /* device memory, aligned to DEVICE_ALIGN */
    size_t scratch_size;          /* bytes */
    bool eager;            /* no graphs: every op is launched by itself */
    struct memory *memory; /* memory.c's */
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

/* Memory and copies (memory.c): what struct ops calls. */
cudaError_t memory_open(struct device *d);
void memory_close(struct device *d);
void *cuda_alloc(struct device *d, size_t bytes);
void cuda_free(struct device *d, void *p);
void cuda_put(struct device *d, void *to, const void *host, size_t bytes);
void cuda_get(struct device *d, void *host, const void *from, size_t bytes);
void cuda_pin(struct device *d, void *p, size_t bytes);
void cuda_unpin(struct device *d, void *p);
void cuda_send(struct device *d, void *landing, const void *host, size_t bytes);
void cuda_bring(struct device *d, void *to, const void *host, size_t bytes);
double cuda_stood(struct device *d);

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
