#include "train/collective.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/op.h"
#include "train/rendezvous.h"

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

static int self_meet(struct collective *c, struct device *d, const void *mine,
                     void *all, int64_t bytes, struct err *e)
{
    (void)c;
    (void)d;
    (void)e;
    memcpy(all, mine, (size_t)bytes);
    return 0;
}

void collective_self(struct collective *c)
{
    *c = (struct collective){.size = 1,
                             .name = "self",
                             .close = self_close,
                             .abort = self_close,
                             .meet = self_meet,
                             .gather = self_gather,
                             .sum = self_nothing,
                             .tell = self_nothing};
}

/* ---- the first meeting ---- */

#define MEET_MS 300000 /* a cluster's last node may boot for minutes */

/* What rank 0 answers all: its judgement, and its bytes. */
struct answer {
    int32_t code; /* 0, or the E_* that ends the run */
    uint8_t bytes[AGREE_BYTES];
};

/* Of rank 0: the judge of a rendezvous.  The refusal is said before any rank
 * hears of it: with the first that goes, a launcher may end all others. */
static void judge(void *ctx, const void *all, int size, void *answer)
{
    const struct agreement *a = ctx;
    struct answer *to = answer;
    struct err e = ERR_INIT;

    to->code = -agree_judge(all, size, a->names, &e);
    if (to->code)
        agree_refuse(0, &e);
}

int collective_agree_tcp(const struct launch *l, const struct agreement *a,
                         void *bytes, size_t n, struct err *e)
{
    struct rendezvous r = {.mine = &a->word,
                           .mine_bytes = sizeof a->word,
                           .judge = judge,
                           .ctx = (void *)a,
                           .timeout_ms = MEET_MS};
    struct answer answer = {0};
    int rc;

    memcpy(answer.bytes, bytes, n);
    r.answer = &answer;
    r.answer_bytes = sizeof answer;
    rc = rendezvous(l, &r, e);
    if (rc)
        return rc;
    memcpy(bytes, answer.bytes, n);
    return answer.code ? agree_refuse(1, e) : 0;
}

#ifdef WITMILL_MPI
static int agree_mpi(struct collective *c, const struct agreement *a,
                     struct err *e)
{
    struct agree *all = xcalloc((size_t)c->size, sizeof *all);
    int rc = c->meet(c, NULL, &a->word, all, sizeof a->word, e);

    if (!rc) {
        *e = (struct err)ERR_INIT; /* this rank's reason is in its word */
        rc = agree_judge(all, c->size, a->names, e);
        if (rc) {
            rc = agree_refuse(c->rank, e);
            /* nobody goes before it has been said */
            c->meet(c, NULL, &a->word, all, sizeof a->word, NULL);
        }
    }
    free(all);
    return rc;
}

static int open_mpi(struct collective *c, const struct launch *l,
                    const struct agreement *a, struct err *e)
{
    int rc = collective_mpi(c, e);

    if (rc)
        return rc;
    if (c->size != l->size || c->rank != l->rank)
        rc = err_set(e, E_UNSUPPORTED,
                     "rank %d of %d by %s is %d of %d for MPI; start the ranks "
                     "with mpirun",
                     l->rank, l->size, l->by, c->rank, c->size);
    else
        rc = agree_mpi(c, a, e);
    if (rc)
        collective_close(c);
    return rc;
}
#else
static int open_mpi(struct collective *c, const struct launch *l,
                    const struct agreement *a, struct err *e)
{
    (void)c;
    (void)a;
    return err_set(e, E_UNSUPPORTED,
                   "%d ranks by %s: this build has no MPI; make MPI=1", l->size,
                   l->by);
}
#endif

int collective_open(struct collective *c, const struct launch *l,
                    struct device *d, const struct agreement *a, struct err *e)
{
    char none[AGREE_BYTES] = "";
    struct err mine = ERR_INIT;
    int rc;

    memset(c, 0, sizeof *c);
    if (l->size == 1) {
        collective_self(c);
        return 0;
    }
    if (!a->gpus)
        rc = open_mpi(c, l, a, &mine);
    else if (d)
        rc = d->ops->collective(d, l, a, c, &mine);
    else
        rc = collective_agree_tcp(l, a, none, sizeof none, &mine);
    if (rc != -E_CANCEL && rc && a->word.code)
        return -a->word.code; /* e says why already */
    if (e)
        *e = mine;
    return rc;
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
