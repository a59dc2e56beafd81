/* Memory, streams, events and graphs; see include/cuda_runtime_api.h. */
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <map>
#include <vector>

#include <cuda_runtime.h>

#include "tests/emulate/emulate.h"
#include "tests/emulate/runtime.hh"
#include "tests/emulate/threads.hh"

typedef std::function<void()> work;

/* What stands in a stream: something to do, or an event to wait for. */
struct entry {
    work todo;
    emulate_event *event;
    uint64_t count; /* how often it must have been reached */
};

struct emulate_stream {
    std::deque<entry> queue;
    bool capturing, running;
};

struct emulate_graph {
    std::vector<work> nodes;
};

struct emulate_event {
    emulate_stream *stream;  /* it was recorded in; NULL: never */
    uint64_t asked, reached; /* how often recorded, how often passed */
    double ms;               /* when it was passed */
};

static std::vector<emulate_stream *> streams;
static emulate_counts counts;
static bool early;

emulate_counts emulate_counted()
{
    return counts;
}

void emulate_early(int on)
{
    early = on != 0;
}

static void refuse(const char *why)
{
    fprintf(stderr, "emulated streams: %s\n", why);
    exit(3);
}

static void step(emulate_stream *s);

/* Go on in the stream of an event until it was passed so many times. */
static void reach(emulate_event *e, uint64_t count)
{
    while (e->reached < count) {
        if (e->stream->queue.empty())
            refuse("an event that nobody will pass");
        step(e->stream);
    }
}

/* Do the first thing that stands in a stream. */
static void step(emulate_stream *s)
{
    entry now = s->queue.front();

    if (s->capturing)
        refuse("waited for one that is being captured");
    if (s->running)
        refuse("they wait for each other");
    s->running = true;
    s->queue.pop_front();
    if (now.event)
        reach(now.event, now.count);
    else
        now.todo();
    s->running = false;
}

/* Do what no event holds back in all streams but the first. */
static void hurry()
{
    bool moved = early;

    while (moved) {
        moved = false;
        for (emulate_stream *s : streams) {
            if (s == streams[0] || s->running || s->queue.empty())
                continue;
            const entry &next = s->queue.front();

            if (!next.event || next.event->reached >= next.count) {
                step(s);
                moved = true;
            }
        }
    }
}

/* Do all that waits in a stream. */
static void drain(emulate_stream *s)
{
    if (s->capturing)
        refuse("waited for one that is being captured");
    while (!s->queue.empty()) {
        step(s);
        hurry();
    }
}

static void drain_all()
{
    for (emulate_stream *s : streams)
        if (!s->capturing)
            drain(s);
}

cudaError_t emulate_enqueue(cudaStream_t s, std::function<void()> w)
{
    if (!s)
        return cudaErrorInvalidValue; /* train/cuda has a stream of its own */
    s->queue.push_back(entry{w, NULL, 0});
    hurry();
    return cudaSuccess;
}

cudaError_t emulate_launch(const cudaLaunchConfig_t &config, work thread)
{
    const dim3 &grid = config.gridDim;

    if (!grid.x || !grid.y || !grid.z || grid.y > 65535 || grid.z > 65535)
        return cudaErrorInvalidValue;
    return emulate_enqueue(config.stream, [=]() {
        counts.kernels++;
        threads_run(config, thread);
    });
}

/* ---- the device ---- */

const char *cudaGetErrorString(cudaError_t error)
{
    switch (error) {
    case cudaSuccess:
        return "no error";
    case cudaErrorMemoryAllocation:
        return "out of memory";
    case cudaErrorNoDevice:
        return "no CUDA-capable device is detected";
    case cudaErrorNotReady:
        return "device not ready";
    case cudaErrorInvalidValue:
        break;
    }
    return "invalid argument";
}

cudaError_t cudaGetLastError()
{
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device ? cudaErrorInvalidValue : cudaSuccess;
}

static int sms = 2;

void emulate_sms(int count)
{
    sms = count;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    *p = cudaDeviceProp();
    snprintf(p->name, sizeof p->name, "emulated");
    p->totalGlobalMem = (size_t)1 << 34;
    p->sharedMemPerBlockOptin = 227 << 10;
    p->major = 9;
    p->multiProcessorCount = sms;
    p->l2CacheSize = 1 << 20;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version)
{
    *version = CUDART_VERSION;
    return cudaSuccess;
}

/* ---- memory ---- */

static size_t memory_left = SIZE_MAX;
static int graphs_refused;

void emulate_memory(size_t left)
{
    memory_left = left;
}

void emulate_refuse_graphs(int count)
{
    graphs_refused = count;
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *all)
{
    *left = memory_left;
    *all = SIZE_MAX;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    if (posix_memalign(p, 256, bytes))
        return cudaErrorMemoryAllocation;
    counts.allocations++;
    memset(*p, 0xff, bytes);
    return cudaSuccess;
}

cudaError_t cudaFree(void *p)
{
    drain_all();
    free(p);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **p, size_t bytes)
{
    return cudaMalloc(p, bytes);
}

cudaError_t cudaFreeHost(void *p)
{
    return cudaFree(p);
}

/* Where copies are done late, memory must not be let go of before. */
static std::map<char *, size_t> pinned;

cudaError_t cudaHostRegister(void *p, size_t bytes, unsigned)
{
    char *at = (char *)p;
    auto next = pinned.lower_bound(at);

    if (!at || !bytes || (next != pinned.end() && next->first < at + bytes))
        return cudaErrorInvalidValue;
    if (next != pinned.begin() && (--next)->first + next->second > at)
        return cudaErrorInvalidValue;
    pinned[at] = bytes;
    return cudaSuccess;
}

cudaError_t cudaHostUnregister(void *p)
{
    return pinned.erase((char *)p) ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes,
                            cudaMemcpyKind, cudaStream_t s)
{
    return emulate_enqueue(s, [=]() { memcpy(to, from, bytes); });
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t s)
{
    return emulate_enqueue(s, [=]() { memset(to, value, bytes); });
}

/* ---- streams and events ---- */

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    *s = new emulate_stream();
    streams.push_back(*s);
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    drain(s);
    streams.erase(std::find(streams.begin(), streams.end(), s));
    delete s;
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    counts.waits++;
    drain(s);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
    *e = new emulate_event();
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    drain_all();
    delete e;
    return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    e->stream = s;
    e->asked++;
    return emulate_enqueue(s, [=]() {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        e->ms = (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
        e->reached++;
    });
}

cudaError_t cudaEventQuery(cudaEvent_t e)
{
    return e->reached < e->asked ? cudaErrorNotReady : cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    if (e->reached == e->asked)
        return cudaSuccess;
    counts.waits++;
    while (e->reached < e->asked) {
        step(e->stream);
        hurry();
    }
    return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    if (s->capturing)
        return cudaErrorInvalidValue; /* one stream is captured at a time */
    counts.orders++;
    if (e->asked) {
        s->queue.push_back(entry{work(), e, e->asked});
        hurry();
    }
    return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    if (cudaEventQuery(from) || cudaEventQuery(to))
        return cudaErrorNotReady;
    *ms = (float)(to->ms - from->ms);
    return cudaSuccess;
}

/* ---- graphs ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode)
{
    if (s->capturing)
        return cudaErrorInvalidValue;
    drain(s);
    s->capturing = true;
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *graph)
{
    if (!s->capturing)
        return cudaErrorInvalidValue;
    *graph = new emulate_graph();
    for (entry &n : s->queue)
        (*graph)->nodes.push_back(n.todo);
    s->queue.clear();
    s->capturing = false;
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph,
                                 unsigned long long)
{
    if (graphs_refused > 0) {
        graphs_refused--;
        *exec = NULL;
        return cudaErrorMemoryAllocation;
    }
    *exec = new emulate_graph(*graph);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t s)
{
    return emulate_enqueue(s, [=]() {
        counts.graphs++;
        for (work &w : exec->nodes)
            w();
    });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    drain_all();
    delete exec;
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    delete graph;
    return cudaSuccess;
}
