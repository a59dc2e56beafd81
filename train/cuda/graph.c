/*
 * A step's ops as CUDA graphs: what the host would launch one by one, some
 * 700 kernels for a ViT-B/32, is launched so the first time (kernels and
 * libraries are loaded then, which no capture likes), captured the second time
 * and from then on launched as one.  A graph holds addresses of the stack and
 * of scratch, so freeing either drops all.
 *
 * A graph takes some MB of the device.  Where that much is not left, nothing is
 * captured and steps go on op by op; where it turns out so only behind a
 * capture, whose ops have not run then, all other graphs make room for it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/cuda/cuda_private.h"

#define GRAPHS_MAX                                                             \
    256 /* sizes of packed captions times phases, and then some */
#define GRAPH_ROOM ((size_t)64 << 20) /* bytes left; with less, no capture */

struct graph {
    uint64_t key;        /* 0: a free place */
    uint64_t used;       /* when: by graphs.clock */
    cudaGraphExec_t run; /* NULL: seen once */
    size_t stack;        /* bytes of the device's stack behind it */
    uint64_t flops;      /* counted in it */
};

struct graphs {
    struct graph list[GRAPHS_MAX];
    uint64_t clock;
    struct graph *now; /* being captured */
    uint64_t flops;    /* of the device when capturing began */
};

void graphs_open(struct device *d)
{
    cuda_of(d)->graphs = xcalloc(1, sizeof(struct graphs));
}

static void drop(struct graph *g)
{
    if (g->run)
        cudaGraphExecDestroy(g->run);
    memset(g, 0, sizeof *g);
}

void graphs_drop(struct device *d)
{
    struct graphs *s = cuda_of(d)->graphs;

    for (int i = 0; s && i < GRAPHS_MAX; i++)
        drop(&s->list[i]);
}

void graphs_close(struct device *d)
{
    graphs_drop(d);
    free(cuda_of(d)->graphs);
    cuda_of(d)->graphs = NULL;
}

/* The graph of this key, or the place for it: a free one, else the one that
 * was not used for longest. */
static struct graph *place_of(struct graphs *s, uint64_t key)
{
    struct graph *oldest = &s->list[0];

    for (int i = 0; i < GRAPHS_MAX; i++) {
        if (s->list[i].key == key)
            return &s->list[i];
        if (s->list[i].used < oldest->used)
            oldest = &s->list[i];
    }
    return oldest;
}

/* Whether a graph may be made.  Old ones go first. */
static bool has_room(struct device *d)
{
    size_t left, all;

    if (cudaMemGetInfo(&left, &all) || left >= GRAPH_ROOM)
        return true;
    cudaStreamSynchronize(cuda_of(d)->stream);
    graphs_drop(d);
    return !cudaMemGetInfo(&left, &all) && left >= GRAPH_ROOM;
}

bool cuda_graph_begin(struct device *d, uint64_t key)
{
    struct cuda *c = cuda_of(d);
    struct graphs *s = c->graphs;
    struct graph *g;
    cudaError_t rc;

    if (c->eager)
        return true;
    key ^= (d->used + 1) * 0x9e3779b97f4a7c15u;
    key += !key; /* 0 says free */
    g = place_of(s, key);
    if (g->key == key && g->run) {
        rc = cudaGraphLaunch(g->run, c->stream);
        if (rc)
            cuda_fail(d, "launch a graph", rc);
        g->used = ++s->clock;
        d->used = g->stack;
        d->flops += g->flops;
        return false;
    }
    if (g->key != key || !has_room(d)) {
        drop(g);
        g->key = key;
        g->used = ++s->clock;
        return true;
    }
    g->key = key; /* it may have made room */
    rc = cudaStreamBeginCapture(c->stream, cudaStreamCaptureModeRelaxed);
    if (rc) {
        cuda_fail(d, "begin a graph", rc);
        return true;
    }
    s->now = g;
    s->flops = d->flops;
    return true;
}

/* Drop all but this one, when none runs any more. */
static void drop_others(struct cuda *c, const struct graph *g)
{
    cudaStreamSynchronize(c->stream);
    for (int i = 0; i < GRAPHS_MAX; i++)
        if (&c->graphs->list[i] != g)
            drop(&c->graphs->list[i]);
}

/* Instantiate what was captured, and run it. */
static cudaError_t finish(struct cuda *c, struct graph *g)
{
    cudaGraph_t captured = NULL;
    cudaError_t rc = cudaStreamEndCapture(c->stream, &captured);

    if (!rc)
        rc = cudaGraphInstantiate(&g->run, captured, 0);
    if (rc == cudaErrorMemoryAllocation && captured) {
        cudaGetLastError();
        drop_others(c, g);
        rc = cudaGraphInstantiate(&g->run, captured, 0);
    }
    if (captured)
        cudaGraphDestroy(captured);
    return rc ? rc : cudaGraphLaunch(g->run, c->stream);
}

void cuda_graph_end(struct device *d)
{
    struct graphs *s = cuda_of(d)->graphs;
    struct graph *g = s->now;
    cudaError_t rc;

    if (!g)
        return;
    s->now = NULL;
    if (d->rc) { /* an op failed: leave the capture, keep nothing of it */
        cudaGraph_t broken = NULL;

        cudaStreamEndCapture(cuda_of(d)->stream, &broken);
        if (broken)
            cudaGraphDestroy(broken);
        drop(g);
        return;
    }
    rc = finish(cuda_of(d), g);
    if (rc) {
        cuda_fail(d, "make a graph", rc);
        drop(g);
        return;
    }
    g->used = ++s->clock;
    g->stack = d->used;
    g->flops = d->flops - s->flops;
}
