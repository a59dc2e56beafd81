/*
 * bf16 - whether this processor multiplies bfloat16.
 *
 * Model.   oneDNN does so from AVX-512 on.  Where it does not, the cpu backend
 *          opens in f32 alone, and tests leave the other precision out and say
 *          so: bf16_types() is how many of {f32, bf16} there are.
 */
#ifndef TESTS_BF16_H
#define TESTS_BF16_H

#include <stdbool.h>
#include <stdio.h>
#include "train/backend.h"

static inline bool bf16_here(void)
{
    struct err e = ERR_INIT;
    struct device d;
    const struct backend_options one = {.threads = 1};
    int rc = backend_open(&d, BACKEND_CPU, DTYPE_BF16, &one, &e);

    if (!rc)
        device_close(&d);
    else if (rc == -E_UNSUPPORTED)
        printf("bf16: skipped: %s\n", e.message);
    return rc != -E_UNSUPPORTED; /* another failure is the test's to meet */
}

static inline int bf16_types(void)
{
    return bf16_here() ? 2 : 1;
}

#endif
