/*
 * gpu_peak - how fast a device multiplies: what a training rate is compared
 * with.
 *
 * usage: gpu_peak cuda|cpu|ref fp32|bf16 SIDE [TIMES]
 *
 * Multiplies two SIDE x SIDE matrices TIMES times (20) through op_linear, in
 * one go, after a first time that is left out; prints TFLOP/s.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "train/backend.h"
#include "train/op.h"
#include "train/random.h"

struct matrices {
    int64_t side;
    void *x, *w, *y; /* act, on the device's stack */
};

static void take(struct device *d, struct matrices *m)
{
    m->x = device_take_act(d, m->side * m->side);
    m->w = device_take_act(d, m->side * m->side);
    m->y = device_take_act(d, m->side * m->side);
}

static void multiply(struct device *d, const struct matrices *m, int times)
{
    for (int i = 0; i < times; i++)
        op_linear(d, &(struct op_linear){.m = m->side,
                                         .n = m->side,
                                         .k = m->side,
                                         .x = m->x,
                                         .w = m->w,
                                         .y = m->y});
}

/* Small random numbers: zeros take less power, and so less time. */
static void fill(struct device *d, void *to, int64_t side, uint64_t stream)
{
    size_t n = (size_t)side, size = dtype_size(d->act);
    float *row = xmalloc(n * sizeof *row);
    char *act = xmalloc(n * size);

    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            row[j] = (float)(random_uniform(stream, i * n + j) - 0.5);
        dtype_convert(act, d->act, row, DTYPE_F32, n);
        device_put(d, (char *)to + i * n * size, act, n * size);
    }
    free(row);
    free(act);
}

static int measure(struct device *d, int64_t side, int times, struct err *e)
{
    struct matrices m = {.side = side};
    uint64_t began;
    char last[8];
    int rc;

    device_plan_begin(d);
    take(d, &m);
    multiply(d, &m, 1);
    rc = device_plan_end(d, e);
    if (rc)
        return rc;
    take(d, &m);
    fill(d, m.x, side, random_stream(1, STR("x")));
    fill(d, m.w, side, random_stream(1, STR("w")));
    multiply(d, &m, 1);
    device_get(d, last, m.y, dtype_size(d->act)); /* waits */
    began = clock_mono_ns();
    multiply(d, &m, times);
    device_get(d, last, m.y, dtype_size(d->act));
    rc = device_check(d, e);
    if (!rc)
        printf("%.4g\n", 2.0 * (double)side * (double)side * (double)side *
                             times / (double)(clock_mono_ns() - began) * 1e-3);
    return rc;
}

int main(int argc, char **argv)
{
    const struct backend_options o = {0};
    struct err e = ERR_INIT;
    struct device d;
    int b = 0, times = argc > 4 ? (int)strtol(argv[4], NULL, 10) : 20, rc;
    long side = argc > 3 ? strtol(argv[3], NULL, 10) : 0;

    while (argc > 1 && b < BACKENDS && strcmp(backend_names[b], argv[1]) != 0)
        b++;
    if (argc < 4 || b == BACKENDS || side < 1 || times < 1) {
        fprintf(stderr, "usage: gpu_peak cuda|cpu|ref fp32|bf16 SIDE "
                        "[TIMES]\n");
        return 2;
    }
    rc = backend_open(&d, (enum backend)b,
                      strcmp(argv[2], "bf16") ? DTYPE_F32 : DTYPE_BF16, &o, &e);
    if (!rc) {
        rc = measure(&d, side, times, &e);
        device_close(&d);
    }
    if (rc)
        fprintf(stderr, "gpu_peak: %s\n", e.message);
    return rc ? 3 : 0;
}
