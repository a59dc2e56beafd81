/*
 * threads - run a kernel's grid now, block by block; see
 * include/cuda_runtime.h.
 */
#ifndef TESTS_EMULATE_THREADS_HH
#define TESTS_EMULATE_THREADS_HH

#include <cuda_runtime.h>

void threads_run(const cudaLaunchConfig_t &config,
                 const std::function<void()> &thread);

#endif
