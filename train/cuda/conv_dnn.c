#include "train/cuda/conv.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#ifdef WITMILL_CUDNN

#include <cudnn.h>

/*
 * cuDNN's convolutions of NHWC images, y and dx.  Asked once per distinct shape
 * for its algorithms: the first that is deterministic, needs no more than
 * DNN_WORKSPACE and, of floats, no tensor cores (they would compute in TF32) is
 * taken.  Filters are NHWC, too: conv_weights() lays them so, each time, some
 * MB at most.
 */

#define DNN_WORKSPACE ((size_t)256 << 20) /* bytes */
#define DNN_ANSWERS   8                   /* as many as it has algorithms */

/* Compared as bytes. */
struct dnn_key {
    struct conv conv;
    uint64_t backward;
};

struct dnn_entry {
    struct dnn_entry *next;
    struct dnn_key key;
    bool refused;
    cudnnTensorDescriptor_t x, y;
    cudnnFilterDescriptor_t w;
    cudnnConvolutionDescriptor_t conv;
    cudnnConvolutionFwdAlgo_t forward;
    cudnnConvolutionBwdDataAlgo_t backward;
    size_t workspace; /* bytes */
};

struct dnn {
    cudnnHandle_t handle;
    struct dnn_entry *first; /* some tens in all */
};

static void dnn_failed(struct device *d, const char *what, cudnnStatus_t st)
{
    device_fail(d, E_IO, "cuda: cuDNN: %s: %s", what, cudnnGetErrorString(st));
}

/* ---- life ---- */

/* NULL behind a failure. */
static struct dnn *dnn_of(struct device *d)
{
    struct cuda *c = cuda_of(d);
    cudnnStatus_t st;

    if (c->dnn || d->rc)
        return c->dnn;
    c->dnn = xcalloc(1, sizeof *c->dnn);
    st = cudnnCreate(&c->dnn->handle);
    if (st)
        c->dnn->handle = NULL;
    else
        st = cudnnSetStream(c->dnn->handle, c->stream);
    if (st) {
        dnn_failed(d, "open", st);
        dnn_close(d); /* so that the next call tries again */
    }
    return c->dnn;
}

static void entry_free(struct dnn_entry *en)
{
    if (en->x)
        cudnnDestroyTensorDescriptor(en->x);
    if (en->y)
        cudnnDestroyTensorDescriptor(en->y);
    if (en->w)
        cudnnDestroyFilterDescriptor(en->w);
    if (en->conv)
        cudnnDestroyConvolutionDescriptor(en->conv);
    free(en);
}

void dnn_close(struct device *d)
{
    struct dnn *dnn = cuda_of(d)->dnn;

    if (!dnn)
        return;
    while (dnn->first) {
        struct dnn_entry *en = dnn->first;

        dnn->first = en->next;
        entry_free(en);
    }
    if (dnn->handle)
        cudnnDestroy(dnn->handle);
    free(dnn);
    cuda_of(d)->dnn = NULL;
}

/* ---- asking cuDNN ---- */

static cudnnStatus_t describe(const struct device *d, struct dnn_entry *en)
{
    const struct conv *c = &en->key.conv;
    bool bf16 = d->act == DTYPE_BF16;
    cudnnDataType_t type = bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    int k = (int)c->kernel, s = (int)c->stride, p = (int)c->pad;
    cudnnStatus_t st = cudnnCreateTensorDescriptor(&en->x);

    if (!st)
        st = cudnnCreateTensorDescriptor(&en->y);
    if (!st)
        st = cudnnCreateFilterDescriptor(&en->w);
    if (!st)
        st = cudnnCreateConvolutionDescriptor(&en->conv);
    if (!st)
        st = cudnnSetTensor4dDescriptor(en->x, CUDNN_TENSOR_NHWC, type,
                                        (int)c->batch, (int)c->in, (int)c->h,
                                        (int)c->w);
    if (!st)
        st = cudnnSetTensor4dDescriptor(en->y, CUDNN_TENSOR_NHWC, type,
                                        (int)c->batch, (int)c->out, (int)c->oh,
                                        (int)c->ow);
    if (!st)
        st = cudnnSetFilter4dDescriptor(en->w, type, CUDNN_TENSOR_NHWC,
                                        (int)c->out, (int)c->in, k, k);
    if (!st)
        st = cudnnSetConvolution2dDescriptor(en->conv, p, p, s, s, 1, 1,
                                             CUDNN_CROSS_CORRELATION,
                                             CUDNN_DATA_FLOAT);
    if (!st)
        st = cudnnSetConvolutionMathType(en->conv, bf16 ? CUDNN_TENSOR_OP_MATH
                                                        : CUDNN_FMA_MATH);
    return st;
}

/* Whether an answer may be taken. */
static bool fits(const struct device *d, cudnnStatus_t status, size_t bytes,
                 cudnnDeterminism_t repeats, cudnnMathType_t math)
{
    bool tensor = math == CUDNN_TENSOR_OP_MATH ||
                  math == CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION;

    return !status && bytes <= DNN_WORKSPACE &&
           repeats == CUDNN_DETERMINISTIC && (d->act == DTYPE_BF16 || !tensor);
}

/* An answer may say "default", which for floats allows TF32: they stay at what
 * describe() said. */
static cudnnStatus_t set_math(const struct device *d, struct dnn_entry *en,
                              cudnnMathType_t math)
{
    return cudnnSetConvolutionMathType(
        en->conv, d->act == DTYPE_BF16 ? math : CUDNN_FMA_MATH);
}

static cudnnStatus_t choose_forward(const struct device *d,
                                    cudnnHandle_t handle, struct dnn_entry *en)
{
    cudnnConvolutionFwdAlgoPerf_t answer[DNN_ANSWERS];
    int n = 0;
    cudnnStatus_t st = cudnnGetConvolutionForwardAlgorithm_v7(
        handle, en->x, en->w, en->conv, en->y, DNN_ANSWERS, &n, answer);

    for (int i = 0; !st && i < n; i++) {
        if (!fits(d, answer[i].status, answer[i].memory, answer[i].determinism,
                  answer[i].mathType))
            continue;
        en->refused = false;
        en->forward = answer[i].algo;
        st = set_math(d, en, answer[i].mathType);
        if (!st)
            st = cudnnGetConvolutionForwardWorkspaceSize(
                handle, en->x, en->w, en->conv, en->y, en->forward,
                &en->workspace);
        break;
    }
    return st;
}

static cudnnStatus_t choose_backward(const struct device *d,
                                     cudnnHandle_t handle, struct dnn_entry *en)
{
    cudnnConvolutionBwdDataAlgoPerf_t answer[DNN_ANSWERS];
    int n = 0;
    cudnnStatus_t st = cudnnGetConvolutionBackwardDataAlgorithm_v7(
        handle, en->w, en->y, en->conv, en->x, DNN_ANSWERS, &n, answer);

    for (int i = 0; !st && i < n; i++) {
        if (!fits(d, answer[i].status, answer[i].memory, answer[i].determinism,
                  answer[i].mathType))
            continue;
        en->refused = false;
        en->backward = answer[i].algo;
        st = set_math(d, en, answer[i].mathType);
        if (!st)
            st = cudnnGetConvolutionBackwardDataWorkspaceSize(
                handle, en->w, en->y, en->conv, en->x, en->backward,
                &en->workspace);
        break;
    }
    return st;
}

/* NULL behind a failure.  A shape for which cuDNN has no kernel is none: it is
 * computed by columns. */
static struct dnn_entry *entry_of(struct device *d, const struct conv *c,
                                  bool backward)
{
    struct dnn *dnn = dnn_of(d);
    struct dnn_key key = {*c, backward};
    struct dnn_entry *en;
    cudnnStatus_t st;

    if (!dnn || d->rc)
        return NULL;
    for (en = dnn->first; en; en = en->next)
        if (!memcmp(&en->key, &key, sizeof key))
            return en;
    en = xcalloc(1, sizeof *en);
    en->key = key;
    en->refused = true;
    en->next = dnn->first;
    dnn->first = en;
    st = describe(d, en);
    if (st) {
        dnn_failed(d, "describe a convolution", st);
        return NULL;
    }
    st = backward ? choose_backward(d, dnn->handle, en)
                  : choose_forward(d, dnn->handle, en);
    if (st || en->workspace > DNN_WORKSPACE)
        en->refused = true;
    return en;
}

/* ---- the calls ---- */

struct dnn_call {
    const struct conv *c;
    bool backward, add;
    const void *from, *weight;
    void *to;
    int64_t per;             /* images of one call, but for the last */
    struct dnn_entry *en[2]; /* of `per`, of the last call */
};

/* cuDNN counts a tensor's numbers in 31 bits. */
static int64_t images(const struct conv *c)
{
    int64_t x = c->h * c->w * c->in, y = c->oh * c->ow * c->out;
    int64_t most = INT32_MAX / (x > y ? x : y);

    return c->batch < most ? c->batch : most < 1 ? 1 : most;
}

static cudnnStatus_t call(struct device *d, const struct dnn_call *o, int64_t n,
                          char *weight, void *workspace)
{
    const struct conv *c = o->c;
    int64_t x = c->h * c->w * c->in, y = c->oh * c->ow * c->out;
    const struct dnn_entry *en = o->en[c->batch - n < o->per];
    int64_t size = (int64_t)dtype_size(d->act);
    const char *from = (const char *)o->from + n * (o->backward ? y : x) * size;
    char *to = (char *)o->to + n * (o->backward ? x : y) * size;
    float one = 1, beta = o->add ? 1 : 0;
    cudnnHandle_t h = cuda_of(d)->dnn->handle;

    if (o->backward)
        return cudnnConvolutionBackwardData(h, &one, en->w, weight, en->y, from,
                                            en->conv, en->backward, workspace,
                                            en->workspace, &beta, en->x, to);
    return cudnnConvolutionForward(h, &one, en->x, from, en->w, weight,
                                   en->conv, en->forward, workspace,
                                   en->workspace, &beta, en->y, to);
}

/* False, before anything is done, if a part is refused: when cuDNN is asked,
 * or, what its answers should rule out, when it is first called. */
static bool convolve(struct device *d, struct dnn_call *o)
{
    const struct conv *c = o->c;
    int64_t filter = c->kernel * c->kernel * c->in;
    size_t weights = (size_t)(c->out * filter) * dtype_size(d->act);
    size_t workspace = 0;
    char *room;

    o->per = images(c);
    for (int i = 0; i < 2; i++) {
        struct conv part = *c;

        part.batch = i && c->batch % o->per ? c->batch % o->per : o->per;
        o->en[i] = entry_of(d, &part, o->backward);
        if (!o->en[i])
            return true; /* behind a failure nothing is computed at all */
        if (o->en[i]->refused)
            return false;
        if (o->en[i]->workspace > workspace)
            workspace = o->en[i]->workspace;
    }
    weights = (weights + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
    room = cuda_scratch(d, weights + workspace);
    conv_weights(d, c, o->weight, false, filter, room);
    for (int64_t n = 0; n < c->batch && cuda_runs(d); n += o->per) {
        cudnnStatus_t st = call(d, o, n, room, room + weights);

        if (st && n == 0) {
            o->en[0]->refused = true;
            return false;
        }
        if (st)
            dnn_failed(d, "a convolution", st);
    }
    return true;
}

bool dnn_forward(struct device *d, const struct conv *c, const void *x,
                 const void *weight, void *y)
{
    struct dnn_call o = {.c = c, .from = x, .weight = weight, .to = y};

    return convolve(d, &o);
}

bool dnn_backward(struct device *d, const struct conv *c, const void *dy,
                  const void *weight, bool add, void *dx)
{
    struct dnn_call o = {.c = c,
                         .backward = true,
                         .add = add,
                         .from = dy,
                         .weight = weight,
                         .to = dx};

    return convolve(d, &o);
}

void dnn_counted(const struct device *d, int *asked, int *refused)
{
    const struct dnn *dnn = cuda_of(d)->dnn;

    *asked = *refused = 0;
    for (const struct dnn_entry *en = dnn ? dnn->first : NULL; en;
         en = en->next) {
        ++*asked;
        *refused += en->refused;
    }
}

#else

/* Built without cuDNN: products of columns compute everything. */

void dnn_counted(const struct device *d, int *asked, int *refused)
{
    (void)d;
    *asked = *refused = 0;
}

void dnn_close(struct device *d)
{
    (void)d;
}

bool dnn_forward(struct device *d, const struct conv *c, const void *x,
                 const void *weight, void *y)
{
    (void)d, (void)c, (void)x, (void)weight, (void)y;
    return false;
}

bool dnn_backward(struct device *d, const struct conv *c, const void *dy,
                  const void *weight, bool add, void *dx)
{
    (void)d, (void)c, (void)dy, (void)weight, (void)add, (void)dx;
    return false;
}

#endif
