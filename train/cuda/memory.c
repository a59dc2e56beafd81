/*
 * Device memory, and what travels to it and back.
 *
 * What is put or got goes piece by piece through pinned slots, in the stream of
 * the ops: memory of any kind will do, and is free on return.  That copies on
 * the host and makes the device wait, which is nothing for indices and losses.
 *
 * What is sent ahead, a batch's pixels, goes by a stream of its own, straight
 * from memory that the ring of batches has pinned, into the landing place; two
 * events order the streams:
 *
 *     copies      [landing := chunk 1] arrived   ...waits for taken, then
 *                                                [landing := chunk 2] arrived
 *     ops      ...waits for arrived [stack := landing] taken  [chunk 1's ops]
 *
 * So a chunk travels while the one before it computes, and ops read it from
 * where they read every other: a graph needs no second copy of itself.  The
 * copy within the device costs 2 bytes of its traffic a byte of pixels: 0.3 ms
 * of 4,096 pictures of 224 pixels a side on an H200, 617 MB.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/cuda/cuda_private.h"
#include "train/cuda/products.h"

#define SLOTS      4          /* copies on their way to the device */
#define SLOT_BYTES (8u << 20) /* pinned memory of each */
#define PINS       8          /* pieces of the host's memory */
#define STOPS      32         /* whose end is not known yet */

struct pin {
    char *p; /* NULL: a free place */
    size_t bytes;
};

/* Between the two the ops' stream stood still. */
struct stop {
    cudaEvent_t from, to;
    bool open; /* not added to `stood` yet */
};

struct memory {
    char *slots;              /* SLOTS of SLOT_BYTES, pinned */
    cudaEvent_t empty[SLOTS]; /* behind the copy out of each slot */
    int slot;                 /* the next one */
    cudaStream_t copies;
    cudaEvent_t arrived, taken;
    struct pin pin[PINS];
    const void *landing; /* where `sent_bytes` of `sent` were sent to */
    const void *sent;    /* host memory; NULL: nothing */
    size_t sent_bytes;
    struct stop stop[STOPS];
    int next_stop;
    double stood; /* seconds */
};

/* ---- opening ---- */

static cudaError_t open_events(struct memory *m)
{
    cudaError_t rc = cudaSuccess;

    for (int i = 0; !rc && i < SLOTS; i++)
        rc = cudaEventCreateWithFlags(&m->empty[i], cudaEventDisableTiming);
    if (!rc)
        rc = cudaEventCreateWithFlags(&m->arrived, cudaEventDisableTiming);
    if (!rc)
        rc = cudaEventCreateWithFlags(&m->taken, cudaEventDisableTiming);
    for (int i = 0; !rc && i < STOPS; i++) {
        rc = cudaEventCreateWithFlags(&m->stop[i].from, 0);
        if (!rc)
            rc = cudaEventCreateWithFlags(&m->stop[i].to, 0);
    }
    return rc;
}

cudaError_t memory_open(struct device *d)
{
    struct memory *m = xcalloc(1, sizeof *m);
    cudaError_t rc;

    cuda_of(d)->memory = m;
    rc = cudaMallocHost((void **)&m->slots, (size_t)SLOTS * SLOT_BYTES);
    if (!rc)
        rc = cudaStreamCreateWithFlags(&m->copies, cudaStreamNonBlocking);
    return rc ? rc : open_events(m);
}

static void close_event(cudaEvent_t e)
{
    if (e)
        cudaEventDestroy(e);
}

void memory_close(struct device *d)
{
    struct memory *m = cuda_of(d)->memory;

    if (!m)
        return;
    if (m->copies)
        cudaStreamDestroy(m->copies);
    for (int i = 0; i < SLOTS; i++)
        close_event(m->empty[i]);
    close_event(m->arrived);
    close_event(m->taken);
    for (int i = 0; i < STOPS; i++) {
        close_event(m->stop[i].from);
        close_event(m->stop[i].to);
    }
    if (m->slots)
        cudaFreeHost(m->slots);
    free(m);
    cuda_of(d)->memory = NULL;
}

/* Nothing reads or writes memory behind it. */
static void settle(struct device *d)
{
    cudaStreamSynchronize(cuda_of(d)->stream);
    cudaStreamSynchronize(cuda_of(d)->memory->copies);
}

/* ---- device memory ---- */

void *cuda_alloc(struct device *d, size_t bytes)
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

void cuda_free(struct device *d, void *p)
{
    struct memory *m = cuda_of(d)->memory;

    settle(d);
    graphs_drop(d);
    if (p == m->landing)
        m->sent = NULL;
    cudaFree(p);
}

/* ---- through slots ---- */

void cuda_put(struct device *d, void *to, const void *host, size_t bytes)
{
    struct cuda *c = cuda_of(d);
    struct memory *m = c->memory;
    const char *from = host;
    char *at = to;

    while (bytes) {
        size_t n = bytes < SLOT_BYTES ? bytes : SLOT_BYTES;
        char *slot = m->slots + (size_t)m->slot * SLOT_BYTES;
        cudaError_t rc = cudaEventSynchronize(m->empty[m->slot]);

        if (!rc) {
            memcpy(slot, from, n);
            rc =
                cudaMemcpyAsync(at, slot, n, cudaMemcpyHostToDevice, c->stream);
        }
        if (!rc)
            rc = cudaEventRecord(m->empty[m->slot], c->stream);
        if (rc) {
            cuda_fail(d, "copy to the device", rc);
            return;
        }
        m->slot = (m->slot + 1) % SLOTS;
        from += n;
        at += n;
        bytes -= n;
    }
}

void cuda_get(struct device *d, void *host, const void *from, size_t bytes)
{
    struct cuda *c = cuda_of(d);
    struct memory *m = c->memory;
    const char *at = from;
    char *to = host;

    while (bytes) {
        size_t n = bytes < SLOT_BYTES ? bytes : SLOT_BYTES;
        char *slot = m->slots + (size_t)m->slot * SLOT_BYTES;
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

/* ---- ahead ---- */

/* The driver counts what is pinned and may say no. */
void cuda_pin(struct device *d, void *p, size_t bytes)
{
    struct memory *m = cuda_of(d)->memory;

    for (int i = 0; i < PINS; i++) {
        if (m->pin[i].p)
            continue;
        if (cudaHostRegister(p, bytes, cudaHostRegisterDefault))
            cudaGetLastError();
        else
            m->pin[i] = (struct pin){p, bytes};
        return;
    }
}

void cuda_unpin(struct device *d, void *p)
{
    struct memory *m = cuda_of(d)->memory;

    settle(d);
    m->sent = NULL;
    for (int i = 0; i < PINS; i++)
        if (m->pin[i].p == p) {
            if (cudaHostUnregister(p))
                cudaGetLastError();
            m->pin[i].p = NULL;
            return;
        }
}

static bool is_pinned(const struct memory *m, const char *p, size_t bytes)
{
    for (int i = 0; i < PINS; i++) {
        const struct pin *k = &m->pin[i];

        if (k->p && p >= k->p && p + bytes <= k->p + k->bytes)
            return true;
    }
    return false;
}

void cuda_send(struct device *d, void *landing, const void *host, size_t bytes)
{
    struct memory *m = cuda_of(d)->memory;
    cudaError_t rc;

    m->sent = NULL;
    if (!is_pinned(m, host, bytes))
        return;
    rc = cudaStreamWaitEvent(m->copies, m->taken, 0);
    if (!rc)
        rc = cudaMemcpyAsync(landing, host, bytes, cudaMemcpyHostToDevice,
                             m->copies);
    if (!rc)
        rc = cudaEventRecord(m->arrived, m->copies);
    if (rc) {
        cuda_fail(d, "send to the device", rc);
        return;
    }
    m->landing = landing;
    m->sent = host;
    m->sent_bytes = bytes;
}

/* ---- how long it took ---- */

/* What is known by now, without waiting. */
static void add_stops(struct memory *m)
{
    for (int i = 0; i < STOPS; i++) {
        struct stop *s = &m->stop[i];
        float ms = 0;

        if (!s->open)
            continue;
        if (cudaEventQuery(s->to)) {
            cudaGetLastError(); /* not yet */
            continue;
        }
        if (!cudaEventElapsedTime(&ms, s->from, s->to))
            m->stood += (double)ms * 1e-3;
        s->open = false;
    }
}

double cuda_stood(struct device *d)
{
    add_stops(cuda_of(d)->memory);
    return cuda_of(d)->memory->stood;
}

/* The ops' stream stops here, unless too many stops are open: a time is lost
 * then, nothing else. */
static struct stop *begin_stop(struct memory *m, cudaStream_t ops)
{
    struct stop *s = &m->stop[m->next_stop];

    if (s->open)
        add_stops(m);
    if (s->open || cudaEventRecord(s->from, ops))
        return NULL;
    m->next_stop = (m->next_stop + 1) % STOPS;
    return s;
}

static void end_stop(struct stop *s, cudaStream_t ops)
{
    if (s)
        s->open = !cudaEventRecord(s->to, ops);
}

void cuda_bring(struct device *d, void *to, const void *host, size_t bytes)
{
    struct cuda *c = cuda_of(d);
    struct memory *m = c->memory;
    bool sent = m->sent == host && m->sent_bytes == bytes;
    struct stop *s = begin_stop(m, c->stream);
    cudaError_t rc = cudaSuccess;

    m->sent = NULL;
    if (!sent) {
        cuda_put(d, to, host, bytes);
        end_stop(s, c->stream);
        return;
    }
    rc = cudaStreamWaitEvent(c->stream, m->arrived, 0);
    end_stop(s, c->stream);
    if (!rc)
        rc = cudaMemcpyAsync(to, m->landing, bytes, cudaMemcpyDeviceToDevice,
                             c->stream);
    if (!rc)
        rc = cudaEventRecord(m->taken, c->stream);
    if (rc)
        cuda_fail(d, "take what was sent to the device", rc);
}
