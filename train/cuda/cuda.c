#include "train/cuda/cuda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/cuda/conv.h"
#include "train/cuda/cuda_private.h"
#include "train/cuda/products.h"

void cuda_fail(struct device *d, const char *what, cudaError_t rc)
{
    device_fail(d, rc == cudaErrorMemoryAllocation ? E_NOMEM : E_IO,
                "cuda: %s: %s", what, cudaGetErrorString(rc));
}

/* ---- memory ---- */

static void *memory_alloc(struct device *d, size_t bytes)
{
    size_t left = 0, all;
    void *p = NULL;

    lt_tune_yield(d);
    if (cudaMemGetInfo(&left, &all) || left < bytes ||
        (bytes >= CUDA_LARGE && left - bytes < CUDA_RESERVE) ||
        cudaMalloc(&p, bytes)) {
        cudaGetLastError(); /* said by returning NULL */
        return NULL;
    }
    return p;
}

static void memory_free(struct device *d, void *p)
{
    cudaStreamSynchronize(cuda_of(d)->stream);
    graphs_drop(d);
    cudaFree(p);
}

/* Piece by piece through pinned slots: the caller's memory is read before this
 * returns, the device's is written in the stream's order. */
static void memory_put(struct device *d, void *to, const void *host,
                       size_t bytes)
{
    struct cuda *c = cuda_of(d);
    const char *from = host;
    char *at = to;

    while (bytes) {
        size_t n = bytes < CUDA_SLOT_BYTES ? bytes : CUDA_SLOT_BYTES;
        char *slot = c->pinned + (size_t)c->slot * CUDA_SLOT_BYTES;
        cudaError_t rc = cudaEventSynchronize(c->sent[c->slot]);

        if (!rc) {
            memcpy(slot, from, n);
            rc =
                cudaMemcpyAsync(at, slot, n, cudaMemcpyHostToDevice, c->stream);
        }
        if (!rc)
            rc = cudaEventRecord(c->sent[c->slot], c->stream);
        if (rc) {
            cuda_fail(d, "copy to the device", rc);
            return;
        }
        c->slot = (c->slot + 1) % CUDA_SLOTS;
        from += n;
        at += n;
        bytes -= n;
    }
}

static void memory_get(struct device *d, void *host, const void *from,
                       size_t bytes)
{
    struct cuda *c = cuda_of(d);
    const char *at = from;
    char *to = host;

    while (bytes) {
        size_t n = bytes < CUDA_SLOT_BYTES ? bytes : CUDA_SLOT_BYTES;
        char *slot = c->pinned + (size_t)c->slot * CUDA_SLOT_BYTES;
        cudaError_t rc =
            cudaMemcpyAsync(slot, at, n, cudaMemcpyDeviceToHost, c->stream);

        if (!rc)
            rc = cudaStreamSynchronize(c->stream);
        if (rc) {
            cuda_fail(d, "copy from the device", rc);
            return;
        }
        memcpy(to, slot, n);
        at += n;
        to += n;
        bytes -= n;
    }
}

/* The driver counts what is pinned and may say no: then copies from there go
 * through memory of its own. */
static void memory_pin(struct device *d, void *p, size_t bytes)
{
    (void)d;
    if (cudaHostRegister(p, bytes, cudaHostRegisterDefault))
        cudaGetLastError();
}

static void memory_unpin(struct device *d, void *p)
{
    cudaStreamSynchronize(cuda_of(d)->stream);
    if (cudaHostUnregister(p))
        cudaGetLastError();
}

/* ---- time ---- */

static void put_stamp(struct device *d, int i)
{
    struct cuda *c = cuda_of(d);
    cudaError_t rc = cudaSuccess;

    if (!c->stamp[i])
        rc = cudaEventCreateWithFlags(&c->stamp[i], 0);
    if (!rc)
        rc = cudaEventRecord(c->stamp[i], c->stream);
    if (rc)
        cuda_fail(d, "a stamp", rc);
}

static double seconds_between(struct device *d, int from, int to)
{
    struct cuda *c = cuda_of(d);
    float ms = 0;
    cudaError_t rc = cudaEventSynchronize(c->stamp[to]);

    if (!rc)
        rc = cudaEventElapsedTime(&ms, c->stamp[from], c->stamp[to]);
    if (rc)
        cuda_fail(d, "a stamp", rc);
    return (double)ms * 1e-3;
}

/* ---- scratch ---- */

void *cuda_scratch(struct device *d, size_t bytes)
{
    struct cuda *c = cuda_of(d);

    if (d->rc || bytes <= c->scratch_size)
        return c->scratch;
    if (d->in_graph && !d->planning && !c->eager) {
        device_fail(d, E_TOOBIG, "cuda: %zu bytes of scratch, planned were %zu",
                    bytes, c->scratch_size);
        return c->scratch;
    }
    if (c->scratch)
        memory_free(d, c->scratch);
    c->scratch_size = 0;
    c->scratch = memory_alloc(d, bytes);
    if (c->scratch)
        c->scratch_size = bytes;
    else
        device_fail(d, E_NOMEM, "cuda: no room for %zu bytes of scratch",
                    bytes);
    return c->scratch;
}

/* ---- what the device is given ---- */

/* An op's function knows that it is only planned. */
static void plan(struct device *d, enum op_kind kind, const void *op)
{
    switch (kind) {
#define X(name)                                                                \
    case OP_##name:                                                            \
        cuda_##name(d, (const struct op_##name *)op);                          \
        break;
        OP_MAP(X)
#undef X
    case OP_KINDS:
        break;
    }
}

static void cuda_close(struct device *d)
{
    struct cuda *c = cuda_of(d);

    if (c->stream)
        cudaStreamSynchronize(c->stream);
    lt_close(d);
    dnn_close(d);
    for (int i = 0; i < CUDA_SLOTS; i++)
        if (c->sent[i])
            cudaEventDestroy(c->sent[i]);
    graphs_close(d);
    for (int i = 0; i < OP_STAMPS; i++)
        if (c->stamp[i])
            cudaEventDestroy(c->stamp[i]);
    if (c->pinned)
        cudaFreeHost(c->pinned);
    if (c->scratch)
        cudaFree(c->scratch);
    if (c->stream)
        cudaStreamDestroy(c->stream);
    free(c);
}

static const struct ops cuda_ops = {.name = "cuda",
                                    .close = cuda_close,
                                    .alloc = memory_alloc,
                                    .free = memory_free,
                                    .put = memory_put,
                                    .get = memory_get,
                                    .pin = memory_pin,
                                    .unpin = memory_unpin,
                                    .plan = plan,
                                    .collective = cuda_collective,
                                    .stamp = put_stamp,
                                    .seconds = seconds_between,
                                    .graph_begin = cuda_graph_begin,
                                    .graph_end = cuda_graph_end,
#define X(name) .name = cuda_##name,
                                    OP_MAP(X)
#undef X
};

/* ---- opening ---- */

static int failed(struct err *e, const char *what, cudaError_t rc)
{
    return err_set(e, rc == cudaErrorMemoryAllocation ? E_NOMEM : E_IO,
                   "cuda: %s: %s", what, cudaGetErrorString(rc));
}

static int choose(struct cuda *c, struct err *e)
{
    struct cudaDeviceProp p;
    int count = 0, driver = 0, runtime = 0;
    cudaError_t rc = cudaGetDeviceCount(&count);

    if (rc || count < 1)
        return err_set(e, E_UNSUPPORTED, "cuda: no GPU here (%s)",
                       cudaGetErrorString(rc ? rc : cudaErrorNoDevice));
    if (c->index < 0 || c->index >= count)
        return err_set(e, E_RANGE, "cuda: GPU %d of %d", c->index, count);
    rc = cudaSetDevice(c->index);
    if (!rc)
        rc = cudaGetDeviceProperties(&p, c->index);
    if (rc)
        return failed(e, "open the GPU", rc);
    c->sms = p.multiProcessorCount;
    c->arch = p.major * 10 + p.minor;
    if (c->arch < 80)
        return err_set(e, E_UNSUPPORTED,
                       "cuda: %s is sm_%d; bfloat16 products need sm_80",
                       p.name, c->arch);
    cudaDriverGetVersion(&driver);
    cudaRuntimeGetVersion(&runtime);
    snprintf(c->description, sizeof c->description,
             "%.200s, sm_%d, %d SMs, %zu MiB, driver %d.%d, runtime %d.%d",
             p.name, c->arch, c->sms, p.totalGlobalMem >> 20, driver / 1000,
             driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    return 0;
}

static int open_stream(struct cuda *c, struct err *e)
{
    cudaError_t rc =
        cudaStreamCreateWithFlags(&c->stream, cudaStreamNonBlocking);

    if (!rc)
        rc = cudaMallocHost((void **)&c->pinned,
                            (size_t)CUDA_SLOTS * CUDA_SLOT_BYTES);
    for (int i = 0; !rc && i < CUDA_SLOTS; i++)
        rc = cudaEventCreateWithFlags(&c->sent[i], cudaEventDisableTiming);
    return rc ? failed(e, "a stream and its buffers", rc) : 0;
}

int cuda_open(struct device *d, enum dtype act, const struct cuda_options *o,
              struct err *e)
{
    struct cuda *c;
    int rc;

    memset(d, 0, sizeof *d);
    if (act != DTYPE_F32 && act != DTYPE_BF16)
        return err_set(e, E_USAGE, "cuda computes in f32 or bf16, not in %s",
                       dtype_name(act));
    c = xcalloc(1, sizeof *c);
    c->index = o->index;
    c->eager = o->eager;
    c->tune = o->tune;
    *d = (struct device){
        .ops = &cuda_ops,
        .state = c,
        .act = act,
        .real = DTYPE_F32,
        .row_step = o->row_step ? o->row_step : CUDA_ROW_STEP,
    };
    rc = choose(c, e);
    if (!rc)
        rc = open_stream(c, e);
    if (!rc)
        graphs_open(d);
    if (!rc)
        rc = lt_open(d, e);
    if (rc)
        device_close(d);
    return rc;
}

struct cuda_counts cuda_counted(const struct device *d)
{
    struct lt_counts lt = lt_counted(d);
    struct cuda_counts c = {.products = lt.shapes,
                            .products_refused = lt.refused,
                            .products_timed = lt.timed,
                            .products_changed = lt.changed};

    dnn_counted(d, &c.convolutions, &c.convolutions_refused);
    return c;
}

const char *cuda_describe(const struct device *d)
{
    return cuda_of(d)->description;
}
