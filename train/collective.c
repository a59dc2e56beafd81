#include "train/collective.h"

#include <string.h>

#include "train/op.h"

static void self_gather(struct collective *c, struct device *d,
                        const void *mine, void *all, int64_t bytes)
{
    (void)c;
    op_copy(d, &(struct op_copy){.bytes = bytes, .x = mine, .y = all});
}

static void self_nothing(struct collective *c, struct device *d, void *x,
                         int64_t n)
{
    (void)c;
    (void)d;
    (void)x;
    (void)n;
}

static void self_close(struct collective *c)
{
    (void)c;
}

void collective_self(struct collective *c)
{
    *c = (struct collective){.size = 1,
                             .name = "self",
                             .close = self_close,
                             .gather = self_gather,
                             .sum = self_nothing,
                             .tell = self_nothing};
}

int collective_open(struct collective *c, const struct launch *l,
                    struct device *d, struct err *e)
{
    int rc = 0;

    memset(c, 0, sizeof *c);
    if (l->size == 1) {
        collective_self(c);
        return 0;
    }
    if (d->ops->collective)
        return d->ops->collective(d, l, c, e);
#ifdef WITMILL_MPI
    rc = collective_mpi(c, e);
    if (!rc && (c->size != l->size || c->rank != l->rank)) {
        rc = err_set(e, E_UNSUPPORTED,
                     "rank %d of %d by %s is %d of %d for MPI; start the ranks "
                     "with mpirun",
                     l->rank, l->size, l->by, c->rank, c->size);
        collective_close(c);
    }
    return rc;
#else
    (void)rc;
    return err_set(e, E_UNSUPPORTED,
                   "%d ranks on %s: this build has no MPI; make MPI=1", l->size,
                   d->ops->name);
#endif
}

void collective_close(struct collective *c)
{
    if (c->close)
        c->close(c);
    memset(c, 0, sizeof *c);
}

double collective_sum_host(struct collective *c, struct device *d, double x)
{
    size_t mark = device_mark(d), host = device_host_mark(d);
    size_t bytes = (size_t)c->size * sizeof x;
    void *mine = device_take(d, sizeof x), *all = device_take(d, bytes);
    double *back = device_host_take(d, bytes);
    double sum = 0;

    device_put(d, mine, &x, sizeof x);
    c->gather(c, d, mine, all, sizeof x);
    device_get(d, back, all, bytes);
    for (int r = 0; !d->planning && !d->rc && r < c->size; r++)
        sum += back[r];
    device_host_release(d, host);
    device_release(d, mark);
    return sum;
}
