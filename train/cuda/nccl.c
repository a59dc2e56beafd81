/*
 * Ranks over NCCL: every call is enqueued in the device's stream, none of them
 * is part of a graph (train/clip_batch.c says why).  NCCL's id travels by
 * rendezvous.
 */
#include "train/collective.h"
#include "train/cuda/cuda_private.h"
#include "train/rendezvous.h"

#ifdef WITMILL_NCCL

#include <string.h>

#include <nccl.h>

#include "base/mem.h"

#define MEET_MS 300000 /* a cluster's last node may boot for minutes */

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
              ncclAllGather(mine, all, (size_t)bytes, ncclUint8,
                            (ncclComm_t)c->state, cuda_of(d)->stream));
}

static void nccl_sum(struct collective *c, struct device *d, void *x,
                     int64_t count)
{
    if (cuda_runs(d))
        check(d, "sum",
              ncclAllReduce(x, x, (size_t)count, ncclFloat32, ncclSum,
                            (ncclComm_t)c->state, cuda_of(d)->stream));
}

static void nccl_tell(struct collective *c, struct device *d, void *x,
                      int64_t bytes)
{
    if (cuda_runs(d))
        check(d, "tell",
              ncclBroadcast(x, x, (size_t)bytes, ncclUint8, 0,
                            (ncclComm_t)c->state, cuda_of(d)->stream));
}

static void nccl_close(struct collective *c)
{
    ncclCommDestroy((ncclComm_t)c->state);
}

int cuda_collective(struct device *d, const struct launch *l,
                    struct collective *out, struct err *e)
{
    ncclUniqueId id;
    ncclComm_t comm;
    ncclResult_t rc = ncclSuccess;
    int met;

    (void)d; /* its GPU is the current one */
    memset(&id, 0, sizeof id);
    if (!l->rank)
        rc = ncclGetUniqueId(&id);
    if (rc != ncclSuccess)
        return err_set(e, E_NET, "nccl: %s", ncclGetErrorString(rc));
    met = rendezvous_share(l, &id, sizeof id, MEET_MS, e);
    if (met)
        return met;
    rc = ncclCommInitRank(&comm, l->size, id, l->rank);
    if (rc != ncclSuccess)
        return err_set(e, E_NET, "nccl: rank %d of %d: %s", l->rank, l->size,
                       ncclGetErrorString(rc));
    *out = (struct collective){.rank = l->rank,
                               .size = l->size,
                               .name = "nccl",
                               .state = comm,
                               .close = nccl_close,
                               .gather = nccl_gather,
                               .sum = nccl_sum,
                               .tell = nccl_tell};
    return 0;
}

#else

int cuda_collective(struct device *d, const struct launch *l,
                    struct collective *out, struct err *e)
{
    (void)out;
    return err_set(e, E_UNSUPPORTED,
                   "%d ranks on %s: this build has no NCCL (libnccl-dev, or "
                   "NCCL_HOME)",
                   l->size, d->ops->name);
}

#endif
