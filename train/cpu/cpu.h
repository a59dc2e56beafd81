/*
 * cpu - the backend that trains on processors.
 *
 * Model.   Products and convolutions are oneDNN's (train/cpu/products.c, the
 *          only file that knows it); everything else is kernels of our own
 *          (train/cpu/k_*.c, see k.h) that OpenMP spreads over threads.  A
 *          kernel is one C source compiled for several instruction sets and
 *          for both types of activation; the set is chosen when the device is
 *          opened, by what the processor has.
 *          Work is cut by shape alone, never by thread count, wherever sums
 *          meet: kernels give the same bits with any number of threads.  With
 *          another instruction set sums have another order.
 * Owns.    struct cpu belongs to the device; ops borrow it.  One scratch
 *          buffer serves whatever op runs, and holds nothing between ops.
 * Fails.   -E_UNSUPPORTED for an instruction set the processor lacks, -E_USAGE
 *          for a type of activation that is none of F32 and BF16, -E_NOMEM.
 * Threads. One thread opens and calls; its OpenMP thread count is set to
 *          `threads`, so that oneDNN uses as many.
 * Cost.    Scratch grows during a dry run only; an op that was never planned
 *          grows it once, at its first call.
 */
#ifndef TRAIN_CPU_CPU_H
#define TRAIN_CPU_CPU_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "train/device.h"
#include "train/op.h"

/* Instruction sets kernels are compiled for, ascending.  Other machines than
 * x86-64 have CPU_BASE alone. */
enum cpu_isa {
    CPU_BASE, /* what every machine of the architecture has */
    CPU_V3,   /* x86-64-v3: AVX2, FMA */
    CPU_V4,   /* x86-64-v4: AVX-512 F, BW, CD, DQ, VL */
    CPU_ISAS
};

/*
 * Passes that products need around oneDNN, of the chosen variant.  Counts are
 * of numbers; all may be called with arrays of any alignment.
 *   act:      y = act(pre) + res; res may be NULL, y may be pre or res
 *   bias_act: pre += b, where b is given and kind is none of ACT_NONE;
 *             y = act(pre + b) + res, of m rows of n numbers; b and res may
 *             be NULL, y may be pre or res
 *   act_bwd:  dx *= act'(pre)
 *   colsum:   sums[n] += column sums of x [m, n]; uses the scratch
 *   to_float: y = x; and from_float: back, rounding to nearest even
 */
struct cpu_passes {
    void (*act)(struct device *d, enum act_kind kind, int64_t count,
                const void *pre, const void *res, void *y);
    void (*bias_act)(struct device *d, enum act_kind kind, int64_t m, int64_t n,
                     const float *b, void *pre, const void *res, void *y);
    void (*act_bwd)(struct device *d, enum act_kind kind, int64_t count,
                    const void *pre, void *dx);
    void (*colsum)(struct device *d, int64_t m, int64_t n, const void *x,
                   float *sums);
    void (*to_float)(struct device *d, int64_t count, const void *x, float *y);
    void (*from_float)(struct device *d, int64_t count, const float *x,
                       void *y);
};

struct cpu {          /* struct device's state */
    int threads;      /* >= 1 */
    enum dtype act;   /* DTYPE_F32 or DTYPE_BF16 */
    enum cpu_isa isa; /* of the kernels */
    int64_t worth;    /* numbers that wake up other threads; tests set 0 */
    struct ops ops;   /* what the device points to */
    struct cpu_passes passes;
    char *scratch;       /* aligned to DEVICE_ALIGN */
    size_t scratch_size; /* bytes */
    void *products;      /* what products.c keeps, its own */
};

/* Fill in d.  threads 0: OpenMP's default. */
int cpu_open(struct device *d, enum dtype act, int threads, struct err *e);

/* With kernels of this set (tests; oneDNN chooses its own). */
int cpu_open_isa(struct device *d, enum dtype act, int threads,
                 enum cpu_isa isa, struct err *e);

/* The best set of this processor; "base", "v3", "v4". */
enum cpu_isa cpu_isa_best(void);
const char *cpu_isa_name(enum cpu_isa isa);

static inline struct cpu *cpu_of(const struct device *d)
{
    return (struct cpu *)d->state;
}

/* Scratch of so many bytes for the op that runs, aligned to DEVICE_ALIGN, not
 * cleared.  NULL, and the failure sticks in d, when there is no memory. */
void *cpu_scratch(struct device *d, size_t bytes);

/* Bytes that an op takes of it: what a dry run asks (train/cpu/scratch.c). */
size_t cpu_scratch_need(const struct cpu *c, enum op_kind kind, const void *op);

#endif
