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
        cuda_free(d, c->scratch);
    c->scratch_size = 0;
    c->scratch = cuda_alloc(d, bytes);
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
    graphs_close(d);
    memory_close(d);
    for (int i = 0; i < OP_STAMPS; i++)
        if (c->stamp[i])
            cudaEventDestroy(c->stamp[i]);
    if (c->scratch)
        cudaFree(c->scratch);
    if (c->stream)
        cudaStreamDestroy(c->stream);
    free(c);
}

static const struct ops cuda_ops = {.name = "cuda",
                                    .close = cuda_close,
                                    .alloc = cuda_alloc,
                                    .free = cuda_free,
                                    .put = cuda_put,
                                    .get = cuda_get,
                                    .pin = cuda_pin,
                                    .unpin = cuda_unpin,
                                    .send = cuda_send,
                                    .bring = cuda_bring,
                                    .stood = cuda_stood,
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

static int open_streams(struct device *d, struct err *e)
{
    cudaError_t rc =
        cudaStreamCreateWithFlags(&cuda_of(d)->stream, cudaStreamNonBlocking);

    if (!rc)
        rc = memory_open(d);
    return rc ? failed(e, "streams and their buffers", rc) : 0;
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
        rc = open_streams(d, e);
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
