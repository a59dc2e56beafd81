/*
 * threads - run a kernel's grid now, block by block; see
 * include/cuda_runtime.h.
 */
#ifndef TESTS_EMULATE_THREADS_H
#define TESTS_EMULATE_THREADS_H

#include <cuda_runtime.h>

void threads_run(const cudaLaunchConfig_t &config,
                 const std::function<void()> &thread);

#endif
