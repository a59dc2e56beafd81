/*
 * emulate - what tests ask of the emulated GPU.
 *
 * Model.   tests/emulate/include holds headers in place of the toolkit's, the
 *          sources beside this file what they declare: threads.cc runs
 *          kernels, runtime.cc holds memory, streams and graphs, lt.cc and
 *          dnn.cc stand for the libraries of products and convolutions.
 *          train/cuda is compiled against them unchanged.
 * Threads. One.
 */
#ifndef TESTS_EMULATE_EMULATE_H
#define TESTS_EMULATE_EMULATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In which order the threads of a block run between two barriers: 0 ascending,
 * 1 descending, else drawn anew from this seed for every block, some warps held
 * back until no other can go on. */
void emulate_schedule(uint64_t seed);

/* Of streams beside the first one, which the device opens first: 0, their work
 * is done as late as possible; else as early as the events allow that they wait
 * for.  A missing wait shows in the one or in the other. */
void emulate_early(int on);

/* Multiprocessors of the GPU that is opened next; 2 unless told. */
void emulate_sms(int count);

/* Bytes that cudaMemGetInfo says are left from now on. */
void emulate_memory(size_t left);

/* So many graphs, from now on, are refused for want of memory. */
void emulate_refuse_graphs(int count);

/* From now on the first answer that cublasLt gives for a shape is one that
 * takes its time: a millisecond. */
void emulate_slow_answer(bool slow);

/* Since the program began: kernels run, waits for the device, allocations,
 * graphs run, streams told to wait for an event. */
struct emulate_counts {
    uint64_t kernels, waits, allocations, graphs, orders;
};

struct emulate_counts emulate_counted(void);

#ifdef __cplusplus
}
#endif

#endif
