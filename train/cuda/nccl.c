/*
 * Ranks over NCCL: every call is enqueued in the device's stream, none of them
 * is part of a graph (train/clip_batch.c says why).  NCCL's id travels with
 * the ranks' agreement.
 */
#include "train/collective.h"
#include "train/cuda/cuda_private.h"

#ifdef WITMILL_NCCL

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <nccl.h>

#include "base/mem.h"

struct nccl {
    ncclComm_t ranks;
    struct device *d; /* whose memory the next two are */
    char *mine, *all; /* COLLECTIVE_MEET_MAX bytes, and as many of each rank */
};

static ncclComm_t ranks_of(const struct collective *c)
{
    return ((const struct nccl *)c->state)->ranks;
}

static void check(struct device *d, const char *what, ncclResult_t rc)
{
    if (rc != ncclSuccess)
        device_fail(d, E_NET, "nccl: %s: %s", what, ncclGetErrorString(rc));
}

static void nccl_gather(struct collective *c, struct device *d,
                        const void *mine, void *all, int64_t bytes)
{
    if (cuda_runs(d))
        check(d, "gather",
              ncclAllGather(mine, all, (size_t)bytes, ncclUint8, ranks_of(c),
                            cuda_of(d)->stream));
}

static void nccl_sum(struct collective *c, struct device *d, void *x,
                     int64_t count)
{
    if (cuda_runs(d))
        check(d, "sum",
              ncclAllReduce(x, x, (size_t)count, ncclFloat32, ncclSum,
                            ranks_of(c), cuda_of(d)->stream));
}

static void nccl_tell(struct collective *c, struct device *d, void *x,
                      int64_t bytes)
{
    if (cuda_runs(d))
        check(d, "tell",
              ncclBroadcast(x, x, (size_t)bytes, ncclUint8, 0, ranks_of(c),
                            cuda_of(d)->stream));
}

static int nccl_meet(struct collective *c, struct device *d, const void *mine,
                     void *all, int64_t bytes, struct err *e)
{
    struct nccl *m = c->state;

    assert(bytes <= COLLECTIVE_MEET_MAX);
    device_put(d, m->mine, mine, (size_t)bytes);
    nccl_gather(c, d, m->mine, m->all, bytes);
    device_get(d, all, m->all, (size_t)c->size * (size_t)bytes);
    return device_check(d, e);
}

static void free_all(struct nccl *m)
{
    device_free(m->d, m->mine);
    device_free(m->d, m->all);
    free(m);
}

static void nccl_close(struct collective *c)
{
    ncclCommDestroy(ranks_of(c));
    free_all(c->state);
}

/* Frees what is under way in the stream, which would wait for ever. */
static void nccl_abort(struct collective *c)
{
    ncclCommAbort(ranks_of(c));
    free_all(c->state);
    c->close = NULL;
}

/* All that can fail before the ranks agree. */
static int prepare(struct device *d, const struct launch *l, struct nccl *m,
                   ncclUniqueId *id, struct err *e)
{
    size_t bytes = COLLECTIVE_MEET_MAX;
    ncclResult_t rc = ncclSuccess;

    m->d = d;
    m->mine = device_alloc(d, bytes, e);
    m->all = m->mine ? device_alloc(d, bytes * (size_t)l->size, e) : NULL;
    if (!m->all)
        return -E_NOMEM;
    if (!l->rank)
        rc = ncclGetUniqueId(id);
    return rc == ncclSuccess
               ? 0
               : err_set(e, E_NET, "nccl: %s", ncclGetErrorString(rc));
}

int cuda_collective(struct device *d, const struct launch *l,
                    const struct agreement *a, struct collective *out,
                    struct err *e)
{
    struct nccl *m = xcalloc(1, sizeof *m);
    struct agreement mine = *a;
    struct err why = ERR_INIT;
    ncclUniqueId id;
    ncclResult_t init;
    int rc;

    _Static_assert(sizeof id <= AGREE_BYTES, "the id travels in an answer");
    memset(&id, 0, sizeof id);
    rc = prepare(d, l, m, &id, &why);
    if (rc && !mine.word.code)
        agree_init(&mine.word, rc, &why);
    rc = collective_agree_tcp(l, &mine, &id, sizeof id, e);
    if (!rc) {
        init = ncclCommInitRank(&m->ranks, l->size, id, l->rank);
        if (init != ncclSuccess)
            rc = err_set(e, E_NET, "nccl: rank %d of %d: %s", l->rank, l->size,
                         ncclGetErrorString(init));
    }
    if (rc) {
        free_all(m);
        return rc;
    }
    *out = (struct collective){.rank = l->rank,
                               .size = l->size,
                               .name = "nccl",
                               .state = m,
                               .close = nccl_close,
                               .abort = nccl_abort,
                               .gather = nccl_gather,
                               .sum = nccl_sum,
                               .tell = nccl_tell,
                               .meet = nccl_meet};
    return 0;
}

#else

int cuda_collective(struct device *d, const struct launch *l,
                    const struct agreement *a, struct collective *out,
                    struct err *e)
{
    (void)a;
    (void)out;
    return err_set(e, E_UNSUPPORTED,
                   "%d ranks on %s: this build has no NCCL (libnccl-dev, or "
                   "NCCL_HOME)",
                   l->size, d->ops->name);
}

#endif
