#include "train/backend.h"

#include <stdio.h>

#include "train/op.h"
#include "train/ref/ref.h"
#ifndef WITMILL_TRAIN_ONLY
#include "train/cpu/cpu.h"
#include "train/cpu/products.h"
#endif
#ifdef WITMILL_CUDA
#include "train/cuda/cuda.h"
#endif

const char *const backend_names[BACKENDS + 1] = {"cpu", "cuda", "ref", NULL};

bool backend_built(enum backend b)
{
#ifdef WITMILL_TRAIN_ONLY
    if (b == BACKEND_CPU)
        return false;
#endif
#ifndef WITMILL_CUDA
    if (b == BACKEND_CUDA)
        return false;
#endif
    return true;
}

static int open_cpu(struct device *d, enum dtype act, int threads,
                    struct err *e)
{
#ifndef WITMILL_TRAIN_ONLY
    return cpu_open(d, act, threads, e);
#else
    (void)d;
    (void)act;
    (void)threads;
    return err_set(e, E_UNSUPPORTED,
                   "this build has no cpu backend: `make train-only` leaves it "
                   "out, as it needs oneDNN; `make` builds it");
#endif
}

static int open_cuda(struct device *d, enum dtype act,
                     const struct backend_options *from, struct err *e)
{
#ifdef WITMILL_CUDA
    const struct cuda_options o = {.index = from->gpu, .tune = from->tune};

    return cuda_open(d, act, &o, e);
#else
    (void)d;
    (void)act;
    (void)from;
    return err_set(e, E_UNSUPPORTED,
                   "this build has no cuda backend; `make CUDA=1` builds it");
#endif
}

int backend_open(struct device *d, enum backend b, enum dtype act,
                 const struct backend_options *o, struct err *e)
{
    switch (b) {
    case BACKEND_CPU:
        return open_cpu(d, act, o->threads, e);
    case BACKEND_CUDA:
        return open_cuda(d, act, o, e);
    case BACKEND_REF:
    case BACKENDS:
        break;
    }
    return ref_open(d, act, e);
}

struct backend_counts backend_counted(const struct device *d, enum backend b)
{
#ifdef WITMILL_CUDA
    if (b == BACKEND_CUDA) {
        struct cuda_counts c = cuda_counted(d);

        return (struct backend_counts){
            c.products,         c.products_refused, c.products_timed,
            c.products_changed, c.convolutions,     c.convolutions_refused};
    }
#endif
    (void)d;
    (void)b;
    return (struct backend_counts){0};
}

void backend_describe(const struct device *d, enum backend b, char *out,
                      size_t size)
{
#ifdef WITMILL_CUDA
    if (b == BACKEND_CUDA) {
        snprintf(out, size, "%s", cuda_describe(d));
        return;
    }
#endif
#ifndef WITMILL_TRAIN_ONLY
    if (b == BACKEND_CPU) {
        snprintf(out, size, "cpu, kernels %s, %d threads",
                 cpu_isa_name(cpu_of(d)->isa), cpu_of(d)->threads);
        return;
    }
#endif
    snprintf(out, size, "%s, one thread", d->ops->name);
    (void)b;
}

void backend_libraries(enum backend b, struct json_out *o)
{
#ifndef WITMILL_TRAIN_ONLY
    char version[32];

    if (b == BACKEND_CPU) {
        cpu_products_version(version, sizeof version);
        json_put_string(o, "oneDNN", str_of(version));
    }
#endif
    (void)b;
    (void)o;
}
