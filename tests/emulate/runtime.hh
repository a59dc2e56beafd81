/*
 * runtime - put work of an emulated library into a stream.
 */
#ifndef TESTS_EMULATE_RUNTIME_HH
#define TESTS_EMULATE_RUNTIME_HH

#include <functional>

#include <cuda_runtime_api.h>

cudaError_t emulate_enqueue(cudaStream_t stream, std::function<void()> work);

#endif
