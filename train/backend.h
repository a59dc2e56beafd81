/*
 * backend - which backends this build has, and opening one by its name.
 *
 * Model.   ref is always there, cuda in a build with CUDA=1, cpu in every build
 *          but train-only's (oneDNN is no part of a toolkit).
 * Fails.   -E_UNSUPPORTED for a backend that this build, or for a GPU that this
 *          machine, does not have; else as the backend's open.
 * Threads. One.
 */
#ifndef TRAIN_BACKEND_H
#define TRAIN_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include "base/err.h"
#include "base/json.h"
#include "train/device.h"

enum backend { BACKEND_CPU, BACKEND_CUDA, BACKEND_REF, BACKENDS };

struct backend_options {
    int threads; /* cpu: 0 is all of them */
    int gpu;     /* cuda: which one, from 0 */
    bool tune;   /* cuda: time kernels while planning (train/cuda/cuda.h) */
};

/* Shapes that libraries of the cuda backend were asked for; 0 elsewhere. */
struct backend_counts {
    int products, products_refused;         /* refused ones are slow */
    int products_timed, products_changed;   /* by tune */
    int convolutions, convolutions_refused; /* refused: by columns */
};

/* "cpu", "cuda", "ref", NULL. */
extern const char *const backend_names[BACKENDS + 1];

bool backend_built(enum backend b);

int backend_open(struct device *d, enum backend b, enum dtype act,
                 const struct backend_options *o, struct err *e);

struct backend_counts backend_counted(const struct device *d, enum backend b);

/* What computes, for people: "NVIDIA H200, sm_90, ..."; "cpu, 16 threads". */
void backend_describe(const struct device *d, enum backend b, char *out,
                      size_t size);

/* Members of an object: libraries by name, and their versions.  Those of a GPU
 * come with its runtime, which backend_describe() tells. */
void backend_libraries(enum backend b, struct json_out *o);

#endif
