#include "train/flops.h"

#include <string.h>

#include "train/op.h"

/* ---- a device without memory ---- */

static char nowhere[DEVICE_ALIGN] __attribute__((aligned(DEVICE_ALIGN)));

static void memory_close(struct device *d)
{
    (void)d;
}

static void *memory_alloc(struct device *d, size_t bytes)
{
    (void)d;
    (void)bytes;
    return nowhere;
}

static void memory_free(struct device *d, void *p)
{
    (void)d;
    (void)p;
}

static void memory_copy(struct device *d, void *to, const void *from,
                        size_t bytes)
{
    (void)d;
    (void)to;
    (void)from;
    (void)bytes;
}

#define X(name)                                                                \
    static void nothing_##name(struct device *d, const struct op_##name *o)    \
    {                                                                          \
        (void)d;                                                               \
        (void)o;                                                               \
    }
OP_MAP(X)
#undef X

static const struct ops counting = {.name = "counting",
                                    .close = memory_close,
                                    .alloc = memory_alloc,
                                    .free = memory_free,
                                    .put = memory_copy,
                                    .get = memory_copy,
#define X(name) .name = nothing_##name,
                                    OP_MAP(X)
#undef X
};

/* ---- counting ---- */

/* Of clip_plan(): with `train` of a step and of encoding a batch, else of the
 * latter. */
static int plan(const struct clip_config *c, const struct clip_options *o,
                int n, bool train, uint64_t *flops, struct err *e)
{
    struct device d = {
        .ops = &counting, .act = DTYPE_F32, .real = DTYPE_F32, .row_step = 1};
    struct clip m;
    int rc = clip_open(&m, &d, c, train ? STORE_TRAIN : STORE_READ, e);

    if (!rc)
        rc = clip_plan(&m, o, n, e);
    *flops = d.flops;
    if (m.d)
        clip_close(&m);
    device_close(&d);
    return rc;
}

/* Of a batch that is played. */
static int played(const struct clip_config *c, const struct clip_options *o,
                  int n, uint64_t *flops, struct err *e)
{
    uint64_t both, encoding;
    int rc = plan(c, o, n, true, &both, e);

    if (!rc)
        rc = plan(c, o, n, false, &encoding, e);
    *flops = rc ? 0 : both - encoding;
    return rc;
}

/* In one piece a batch's towers cost a n, its loss b n^2: batches of one and
 * two tell both, and no batch is too large to be told of. */
int flops_of_step(const struct clip_config *c, const struct clip_options *o,
                  int n, uint64_t *flops, struct err *e)
{
    struct clip_options padded = *o; /* packed, a plan tries every length */
    uint64_t one, two, a, b, all = (uint64_t)n;
    int rc;

    padded.packed = false;
    if (o->chunk || o->bn_batch || n < 1)
        return played(c, &padded, n, flops, e);
    rc = played(c, &padded, 1, &one, e);
    if (!rc)
        rc = played(c, &padded, 2, &two, e);
    if (rc)
        return rc;
    b = (two - 2 * one) / 2;
    a = one - b;
    if (__builtin_mul_overflow(b, all, &b) ||
        __builtin_add_overflow(a, b, &a) ||
        __builtin_mul_overflow(a, all, flops))
        return err_set(e, E_RANGE,
                       "a step of %d pairs takes more than 2^64 operations", n);
    return 0;
}
