/*
 * runtime - put work of an emulated library into a stream.
 */
#ifndef TESTS_EMULATE_RUNTIME_H
#define TESTS_EMULATE_RUNTIME_H

#include <functional>

#include <cuda_runtime_api.h>

cudaError_t emulate_enqueue(cudaStream_t stream, std::function<void()> work);

#endif
