#include "train/profile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "train/random.h"

#define SIDE_FIRST 256
#define SIDE_MOST  8192
#define COPY_FIRST ((size_t)1 << 22)
#define COPY_MOST  ((size_t)1 << 31)
#define LONG_S     0.02 /* a run of so long has shown the rate */
#define REPEATS    4
#define FILL       (1u << 18) /* numbers */

/* ---- counting ---- */

static double clock_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void stamp(struct device *d, int i)
{
    if (d->ops->stamp)
        d->ops->stamp(d, i);
    else
        d->profile->at[i] = clock_s();
}

void profile_settle(struct device *d)
{
    struct profile *p = d->profile;

    for (int i = 0; i < p->waiting && !d->rc; i++)
        p->row[p->row_of[i]].seconds +=
            d->ops->stamp ? d->ops->seconds(d, 2 * i, 2 * i + 1)
                          : p->at[2 * i + 1] - p->at[2 * i];
    p->waiting = 0;
}

/* The row of this kind and shape; the last one when the table is full. */
static int row_of(struct profile *p, enum op_kind kind, const char *shape)
{
    int i = 0;

    while (i < p->n &&
           (p->row[i].kind != kind || strcmp(p->row[i].shape, shape) != 0))
        i++;
    if (i < p->n)
        return i;
    if (p->n == PROFILE_ROWS)
        return PROFILE_ROWS - 1;
    p->row[p->n].kind = kind;
    snprintf(p->row[p->n].shape, sizeof p->row[0].shape, "%s",
             p->n == PROFILE_ROWS - 1 ? "and others" : shape);
    return p->n++;
}

void profile_before(struct device *d, enum op_kind kind, const void *op)
{
    struct profile *p = d->profile;
    struct profile_cost c = profile_cost(d, kind, op);
    int at = row_of(p, kind, c.shape);

    if (2 * p->waiting == PROFILE_STAMPS)
        profile_settle(d);
    p->row[at].calls++;
    p->row[at].flops += c.flops;
    p->row[at].bytes += c.bytes;
    p->row_of[p->waiting] = at;
    stamp(d, 2 * p->waiting);
}

void profile_after(struct device *d)
{
    struct profile *p = d->profile;

    stamp(d, 2 * p->waiting + 1);
    p->waiting++;
}

/* ---- ceilings ---- */

/* Seconds of the one op that was called since the last look. */
static double seconds_of(struct profile *p, struct device *d)
{
    double s;

    profile_settle(d);
    s = p->n ? p->row[0].seconds : 0;
    p->n = 0;
    memset(p->row, 0, sizeof p->row[0]);
    return s;
}

/* Numbers that are not 0: a GPU multiplies those faster. */
static void fill(struct device *d, void *p, size_t bytes)
{
    size_t size = dtype_size(d->act), piece = FILL * size;
    uint64_t stream = random_stream(1, STR("profile"));
    double *x = xmalloc(FILL * sizeof *x);
    void *raw = xmalloc(piece);

    for (uint64_t i = 0; i < FILL; i++)
        x[i] = 2 * random_uniform(stream, i) - 1;
    dtype_convert(raw, d->act, x, DTYPE_F64, FILL);
    for (size_t at = 0; at < bytes; at += piece)
        device_put(d, (char *)p + at, raw,
                   bytes - at < piece ? bytes - at : piece);
    free(raw);
    free(x);
}

/* The best rate of products of side s; *s_one: seconds of one. */
static double product_rate(struct profile *p, struct device *d, int64_t s,
                           double *s_one)
{
    size_t bytes = (size_t)(s * s) * dtype_size(d->act);
    struct err quiet = ERR_INIT;
    char *x = device_alloc(d, 3 * bytes, &quiet);
    double best = 0;

    *s_one = LONG_S;
    if (!x)
        return 0;
    fill(d, x, 3 * bytes);
    for (int i = 0; i < REPEATS; i++) {
        op_linear(d, &(struct op_linear){.m = s,
                                         .n = s,
                                         .k = s,
                                         .x = x,
                                         .w = x + bytes,
                                         .y = x + 2 * bytes});
        *s_one = seconds_of(p, d);
        if (i && *s_one > 0 && 2.0 * (double)(s * s * s) / *s_one > best)
            best = 2.0 * (double)(s * s * s) / *s_one;
    }
    device_free(d, x);
    return best;
}

static double copy_rate(struct profile *p, struct device *d, size_t bytes,
                        double *s_one)
{
    struct err quiet = ERR_INIT;
    char *x = device_alloc(d, 2 * bytes, &quiet);
    double best = 0;

    *s_one = LONG_S;
    if (!x)
        return 0;
    fill(d, x, bytes);
    for (int i = 0; i < REPEATS; i++) {
        op_copy(d, &(struct op_copy){
                       .bytes = (int64_t)bytes, .x = x, .y = x + bytes});
        *s_one = seconds_of(p, d);
        if (i && *s_one > 0 && 2 * (double)bytes / *s_one > best)
            best = 2 * (double)bytes / *s_one;
    }
    device_free(d, x);
    return best;
}

int profile_begin(struct profile *p, struct device *d, struct err *e)
{
    double s = 0, rate;

    memset(p, 0, sizeof *p);
    d->profile = p;
    for (int64_t n = SIDE_FIRST; s < LONG_S && n <= SIDE_MOST; n *= 2) {
        rate = product_rate(p, d, n, &s);
        if (rate > p->flops_s)
            p->flops_s = rate;
    }
    s = 0;
    for (size_t n = COPY_FIRST; s < LONG_S && n <= COPY_MOST; n *= 2) {
        rate = copy_rate(p, d, n, &s);
        if (rate > p->bytes_s)
            p->bytes_s = rate;
    }
    if (d->rc)
        d->profile = NULL;
    return device_check(d, e);
}

void profile_end(struct profile *p, struct device *d)
{
    (void)p;
    profile_settle(d);
    d->profile = NULL;
}

/* ---- the table ---- */

/* The least time of a row by the ceilings. */
static double limit_of(const struct profile *p, const struct profile_row *r)
{
    double a = p->flops_s > 0 ? (double)r->flops / p->flops_s : 0;
    double b = p->bytes_s > 0 ? (double)r->bytes / p->bytes_s : 0;

    return a > b ? a : b;
}

static int by_time(const void *a, const void *b)
{
    const struct profile_row *const *x = a, *const *y = b;

    return ((*x)->seconds < (*y)->seconds) - ((*x)->seconds > (*y)->seconds);
}

static void print_row(const char *name, const struct profile_row *r,
                      double limit, double all, struct buf *out)
{
    double s = r->seconds > 0 ? r->seconds : 1e-12;

    buf_addf(out, "%-18s %-36s %6llu %9.3f %5.1f%% %9.1f %8.1f %5.0f%%\n", name,
             r->shape, (unsigned long long)r->calls, r->seconds * 1e3,
             all > 0 ? 100 * r->seconds / all : 0, (double)r->flops / s * 1e-9,
             (double)r->bytes / s * 1e-9, 100 * limit / s);
}

void profile_print(const struct profile *p, struct buf *out)
{
    const struct profile_row *order[PROFILE_ROWS];
    struct profile_row sum = {.shape = ""};
    double limit = 0;

    for (int i = 0; i < p->n; i++) {
        order[i] = &p->row[i];
        sum.calls += p->row[i].calls;
        sum.flops += p->row[i].flops;
        sum.bytes += p->row[i].bytes;
        sum.seconds += p->row[i].seconds;
        limit += limit_of(p, &p->row[i]);
    }
    qsort(order, (size_t)p->n, sizeof *order, by_time);
    buf_addf(out,
             "ceilings measured here: %.1f GFLOP/s of a product, %.1f GB/s of "
             "a copy, read and written\n%-18s %-36s %6s %9s %6s %9s %8s %6s\n",
             p->flops_s * 1e-9, p->bytes_s * 1e-9, "op", "shape", "calls", "ms",
             "time", "GFLOP/s", "GB/s", "limit");
    for (int i = 0; i < p->n; i++)
        print_row(op_kind_name(order[i]->kind), order[i], limit_of(p, order[i]),
                  sum.seconds, out);
    print_row("all", &sum, limit, sum.seconds, out);
}
