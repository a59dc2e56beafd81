/*
 * cuda_play - what tests of the cuda backend share: a device, and the same case
 * twice.
 *
 * Model.   With CUDA=1 tests run on the GPU; where there is none they are
 *          skipped.  Else the kernels run on the processor (tests/emulate), and
 *          play_again() runs them under another order of a block's threads:
 *          an order that matters is a barrier, or a wait for a copy, that is
 *          missing.
 * Fails.   By cmocka's asserts.
 */
#ifndef TESTS_CUDA_PLAY_H
#define TESTS_CUDA_PLAY_H

#include "tests/emulate/emulate.h"
#include "tests/op_play.h"
#include "train/cuda/cuda.h"

/* Skips the test where there is no GPU. */
static inline void open_cuda(struct device *d, enum dtype act)
{
    const struct cuda_options o = {.row_step = 8};
    struct err e = ERR_INIT;
    int rc = cuda_open(d, act, &o, &e);

    if (rc == -E_UNSUPPORTED)
        skip();
    if (rc)
        fail_msg("%s", e.message);
}

/* A case on two devices alike, the second time in the order `schedule`; every
 * output has the same bits. */
static inline void play_again(const char *name, play_case *run, uint64_t seed,
                              bool large, struct device *one,
                              struct device *two, uint64_t schedule)
{
    struct play a, b;

    play_open(&a, one, seed);
    play_open(&b, two, seed);
    a.large = b.large = large;
    a.bf16 = b.bf16 = one->act == DTYPE_BF16;
    play_run(&a, run);
#ifdef WITMILL_EMULATED
    emulate_schedule(schedule);
#else
    (void)schedule;
#endif
    b.oracle = &a;
    play_run(&b, run);
#ifdef WITMILL_EMULATED
    emulate_schedule(0);
#endif
    for (int i = 0; i < a.n; i++)
        if (a.slot[i].role != PLAY_IN && play_apart(&b, i) > 0)
            fail_msg("%s, seed %llu: %s has other bits", name,
                     (unsigned long long)seed, a.slot[i].name);
    play_close(&a);
    play_close(&b);
}

#endif
