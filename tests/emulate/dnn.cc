/* cuDNN's convolutions, pixel by pixel; see include/cudnn.h.
 *
 * What it answers is made to be chosen from: the first forward algorithm wants
 * more memory than anyone has, the first backward one does not repeat its
 * bits, and of floats the next one is TF32's; the forward one to be taken says
 * "default", which would be TF32, too.  A kernel of one pixel is taken at
 * first, and refused when it is called. */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include <cudnn.h>

#include "tests/emulate/runtime.hh"
extern "C" {
#include "train/device.h"
}

struct emulate_dnn {
    cudaStream_t stream;
};

struct emulate_dnn_tensor { /* of a filter: k, c, h, w */
    cudnnTensorFormat_t format;
    cudnnDataType_t type;
    int64_t n, c, h, w;
};

struct emulate_dnn_conv {
    int64_t pad, stride;
    cudnnMathType_t math;
};

[[noreturn]] static void die(const char *what)
{
    fprintf(stderr, "cudnn: %s\n", what);
    exit(3);
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    switch (status) {
    case CUDNN_STATUS_SUCCESS:
        return "success";
    case CUDNN_STATUS_NOT_SUPPORTED:
        return "not supported";
    case CUDNN_STATUS_BAD_PARAM:
        break;
    }
    return "bad parameter";
}

/* ---- descriptors ---- */

cudnnStatus_t cudnnCreate(cudnnHandle_t *handle)
{
    *handle = new emulate_dnn();
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    delete handle;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *desc)
{
    *desc = new emulate_dnn_tensor();
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t desc)
{
    delete desc;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t desc,
                                         cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c,
                                         int h, int w)
{
    if (n < 1 || c < 1 || h < 1 || w < 1)
        return CUDNN_STATUS_BAD_PARAM;
    if ((int64_t)n * c * h * w > INT32_MAX)
        return CUDNN_STATUS_NOT_SUPPORTED;
    *desc = {format, type, n, c, h, w};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnCreateFilterDescriptor(cudnnFilterDescriptor_t *desc)
{
    return cudnnCreateTensorDescriptor(desc);
}

cudnnStatus_t cudnnDestroyFilterDescriptor(cudnnFilterDescriptor_t desc)
{
    return cudnnDestroyTensorDescriptor(desc);
}

cudnnStatus_t cudnnSetFilter4dDescriptor(cudnnFilterDescriptor_t desc,
                                         cudnnDataType_t type,
                                         cudnnTensorFormat_t format, int k,
                                         int c, int h, int w)
{
    return cudnnSetTensor4dDescriptor(desc, format, type, k, c, h, w);
}

cudnnStatus_t
cudnnCreateConvolutionDescriptor(cudnnConvolutionDescriptor_t *desc)
{
    *desc = new emulate_dnn_conv();
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t
cudnnDestroyConvolutionDescriptor(cudnnConvolutionDescriptor_t desc)
{
    delete desc;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolution2dDescriptor(cudnnConvolutionDescriptor_t desc,
                                              int pad_h, int pad_w,
                                              int stride_h, int stride_w,
                                              int dilation_h, int dilation_w,
                                              cudnnConvolutionMode_t mode,
                                              cudnnDataType_t compute)
{
    if (pad_h != pad_w || stride_h != stride_w || dilation_h != 1 ||
        dilation_w != 1 || pad_h < 0 || stride_h < 1)
        return CUDNN_STATUS_BAD_PARAM;
    if (mode != CUDNN_CROSS_CORRELATION || compute != CUDNN_DATA_FLOAT)
        return CUDNN_STATUS_NOT_SUPPORTED;
    *desc = {pad_h, stride_h, CUDNN_DEFAULT_MATH};
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetConvolutionMathType(cudnnConvolutionDescriptor_t desc,
                                          cudnnMathType_t math)
{
    desc->math = math;
    return CUDNN_STATUS_SUCCESS;
}

/* ---- checks ---- */

static cudnnStatus_t check(const emulate_dnn_tensor *x,
                           const emulate_dnn_tensor *w,
                           const emulate_dnn_conv *conv,
                           const emulate_dnn_tensor *y)
{
    for (const emulate_dnn_tensor *t : {w, y})
        if (t->type != x->type || t->format != x->format)
            return CUDNN_STATUS_BAD_PARAM;
    if (x->n != y->n || x->c != w->c || y->c != w->n || w->h != w->w ||
        y->h != (x->h + 2 * conv->pad - w->h) / conv->stride + 1 ||
        y->w != (x->w + 2 * conv->pad - w->w) / conv->stride + 1)
        return CUDNN_STATUS_BAD_PARAM;
    if (x->format != CUDNN_TENSOR_NHWC)
        return CUDNN_STATUS_NOT_SUPPORTED;
    if (x->type == CUDNN_DATA_BFLOAT16 && (x->c % 2 || y->c % 2))
        return CUDNN_STATUS_NOT_SUPPORTED;
    return CUDNN_STATUS_SUCCESS;
}

static size_t numbers(const emulate_dnn_tensor *t)
{
    return (size_t)(t->n * t->c * t->h * t->w);
}

/* Both of the algorithms that are to be taken keep the result in float. */
static size_t workspace_of(const emulate_dnn_tensor *result)
{
    return numbers(result) * sizeof(float);
}

/* Fill in an answer of either kind. */
template <typename Perf, typename Algo>
static void answer(Perf *to, Algo algo, size_t memory,
                   cudnnDeterminism_t repeats, cudnnMathType_t math)
{
    *to = Perf();
    to->algo = algo;
    to->memory = memory;
    to->determinism = repeats;
    to->mathType = math;
}

cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(
    cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
    cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t y, int wanted,
    int *count, cudnnConvolutionFwdAlgoPerf_t *results)
{
    cudnnStatus_t st = check(x, w, conv, y);

    *count = 0;
    if (st || wanted < 2)
        return st;
    answer(&results[0], CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_GEMM, SIZE_MAX / 2,
           CUDNN_DETERMINISTIC, conv->math);
    answer(&results[1], CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM,
           workspace_of(y), CUDNN_DETERMINISTIC, CUDNN_DEFAULT_MATH);
    *count = 2;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(
    cudnnHandle_t, cudnnTensorDescriptor_t x, cudnnFilterDescriptor_t w,
    cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t y,
    cudnnConvolutionFwdAlgo_t algo, size_t *bytes)
{
    if (algo != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM)
        return CUDNN_STATUS_NOT_SUPPORTED;
    *bytes = workspace_of(y);
    return check(x, w, conv, y);
}

cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(
    cudnnHandle_t, cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t dy,
    cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t dx, int wanted,
    int *count, cudnnConvolutionBwdDataAlgoPerf_t *results)
{
    cudnnStatus_t st = check(dx, w, conv, dy);

    *count = 0;
    if (st || wanted < 3)
        return st;
    answer(&results[0], CUDNN_CONVOLUTION_BWD_DATA_ALGO_0, 0,
           CUDNN_NON_DETERMINISTIC, conv->math);
    answer(&results[1], CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, workspace_of(dx),
           CUDNN_DETERMINISTIC, CUDNN_TENSOR_OP_MATH);
    answer(&results[2], CUDNN_CONVOLUTION_BWD_DATA_ALGO_1, workspace_of(dx),
           CUDNN_DETERMINISTIC, conv->math);
    *count = 3;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnGetConvolutionBackwardDataWorkspaceSize(
    cudnnHandle_t, cudnnFilterDescriptor_t w, cudnnTensorDescriptor_t dy,
    cudnnConvolutionDescriptor_t conv, cudnnTensorDescriptor_t dx,
    cudnnConvolutionBwdDataAlgo_t algo, size_t *bytes)
{
    if (algo != CUDNN_CONVOLUTION_BWD_DATA_ALGO_1)
        return CUDNN_STATUS_NOT_SUPPORTED;
    *bytes = workspace_of(dx);
    return check(dx, w, conv, dy);
}

/* ---- convolutions ---- */

static float get(const emulate_dnn_tensor &t, const char *p, int64_t i)
{
    uint16_t half;
    float whole;

    if (t.type == CUDNN_DATA_BFLOAT16) {
        memcpy(&half, p + 2 * i, sizeof half);
        return bf16_to_float(half);
    }
    memcpy(&whole, p + 4 * i, sizeof whole);
    return whole;
}

static void put(const emulate_dnn_tensor &t, char *p, int64_t i, float x)
{
    uint16_t half = bf16_from_float(x);

    if (t.type == CUDNN_DATA_BFLOAT16)
        memcpy(p + 2 * i, &half, sizeof half);
    else
        memcpy(p + 4 * i, &x, sizeof x);
}

static std::vector<float> unpack(const emulate_dnn_tensor &t, const char *p)
{
    std::vector<float> all(numbers(&t));

    for (size_t i = 0; i < all.size(); i++)
        all[i] = get(t, p, (int64_t)i);
    return all;
}

struct call {
    emulate_dnn_tensor x, w, y;
    emulate_dnn_conv conv;
    float alpha, beta;
    float *sums; /* the workspace, of the result's size */
};

/* For each pixel of y, each place of the kernel and the pixel of x that it
 * sees: f(number of y's pixel, of the place, of x's pixel). */
template <typename F> static void walk(const call &t, F f)
{
    int64_t k = t.w.h;

    for (int64_t pixel = 0; pixel < t.y.n * t.y.h * t.y.w; pixel++)
        for (int64_t place = 0; place < k * k; place++) {
            int64_t j = pixel % t.y.w, i = pixel / t.y.w % t.y.h;
            int64_t r = i * t.conv.stride - t.conv.pad + place / k;
            int64_t s = j * t.conv.stride - t.conv.pad + place % k;
            int64_t image = pixel / t.y.w / t.y.h;

            if (r >= 0 && r < t.x.h && s >= 0 && s < t.x.w)
                f(pixel, place, (image * t.x.h + r) * t.x.w + s);
        }
}

/* result = alpha * sums + beta * result. */
static void blend(const call &t, const emulate_dnn_tensor &of, char *result)
{
    for (size_t i = 0; i < numbers(&of); i++) {
        float x = t.alpha * t.sums[i];

        if (t.beta != 0)
            x += t.beta * get(of, result, (int64_t)i);
        put(of, result, (int64_t)i, x);
    }
}

static void forward(const call &t, const char *X, const char *W, char *Y)
{
    std::vector<float> x = unpack(t.x, X), w = unpack(t.w, W);
    int64_t in = t.x.c, out = t.y.c, places = t.w.h * t.w.w;

    memset(t.sums, 0, workspace_of(&t.y));
    walk(t, [&](int64_t to, int64_t place, int64_t from) {
        for (int64_t o = 0; o < out; o++) {
            double sum = 0;

            for (int64_t c = 0; c < in; c++)
                sum += (double)x[from * in + c] *
                       (double)w[(o * places + place) * in + c];
            t.sums[to * out + o] += (float)sum;
        }
    });
    blend(t, t.y, Y);
}

static void backward(const call &t, const char *W, const char *DY, char *DX)
{
    std::vector<float> dy = unpack(t.y, DY), w = unpack(t.w, W);
    int64_t in = t.x.c, out = t.y.c, places = t.w.h * t.w.w;

    memset(t.sums, 0, workspace_of(&t.x));
    walk(t, [&](int64_t from, int64_t place, int64_t to) {
        for (int64_t o = 0; o < out; o++)
            for (int64_t c = 0; c < in; c++)
                t.sums[to * in + c] +=
                    dy[from * out + o] * w[(o * places + place) * in + c];
    });
    blend(t, t.x, DX);
}

static void check_call(const void *a, const void *b, const void *c,
                       const void *workspace, size_t have, size_t need,
                       const emulate_dnn_tensor *x,
                       const emulate_dnn_conv *conv)
{
    if (!a || !b || !c || (uintptr_t)a % 16 || (uintptr_t)b % 16 ||
        (uintptr_t)c % 16)
        die("a pointer that is none, or not aligned");
    if (!workspace || (uintptr_t)workspace % 16 || have < need)
        die("a workspace that is none, too small, or not aligned");
    if (x->type == CUDNN_DATA_FLOAT && conv->math != CUDNN_FMA_MATH)
        die("floats that may be computed in TF32");
}

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha,
                                      cudnnTensorDescriptor_t x, const void *X,
                                      cudnnFilterDescriptor_t w, const void *W,
                                      cudnnConvolutionDescriptor_t conv,
                                      cudnnConvolutionFwdAlgo_t algo,
                                      void *workspace, size_t workspace_bytes,
                                      const void *beta,
                                      cudnnTensorDescriptor_t y, void *Y)
{
    cudnnStatus_t st = check(x, w, conv, y);
    call t = {*x,
              *w,
              *y,
              *conv,
              *(const float *)alpha,
              *(const float *)beta,
              (float *)workspace};

    if (st || algo != CUDNN_CONVOLUTION_FWD_ALGO_IMPLICIT_PRECOMP_GEMM ||
        w->h == 1)
        return st ? st : CUDNN_STATUS_NOT_SUPPORTED;
    check_call(X, W, Y, workspace, workspace_bytes, workspace_of(y), x, conv);
    emulate_enqueue(handle->stream, [=]() {
        forward(t, (const char *)X, (const char *)W, (char *)Y);
    });
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnConvolutionBackwardData(
    cudnnHandle_t handle, const void *alpha, cudnnFilterDescriptor_t w,
    const void *W, cudnnTensorDescriptor_t dy, const void *DY,
    cudnnConvolutionDescriptor_t conv, cudnnConvolutionBwdDataAlgo_t algo,
    void *workspace, size_t workspace_bytes, const void *beta,
    cudnnTensorDescriptor_t dx, void *DX)
{
    cudnnStatus_t st = check(dx, w, conv, dy);
    call t = {*dx,
              *w,
              *dy,
              *conv,
              *(const float *)alpha,
              *(const float *)beta,
              (float *)workspace};

    if (st || algo != CUDNN_CONVOLUTION_BWD_DATA_ALGO_1 || w->h == 1)
        return st ? st : CUDNN_STATUS_NOT_SUPPORTED;
    check_call(W, DY, DX, workspace, workspace_bytes, workspace_of(dx), dx,
               conv);
    emulate_enqueue(handle->stream, [=]() {
        backward(t, (const char *)W, (const char *)DY, (char *)DX);
    });
    return CUDNN_STATUS_SUCCESS;
}
