/*
 * launch - which of how many processes this one is, by its environment.
 *
 * Model.   Whoever starts several processes tells each its rank in variables.
 *          Read are, the first that is complete: torchrun's (RANK, WORLD_SIZE,
 *          LOCAL_RANK, MASTER_ADDR), Slurm's (SLURM_PROCID, SLURM_NTASKS,
 *          SLURM_LOCALID, SLURM_LAUNCH_NODE_IPADDR), Open MPI's
 *          (OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE).  Without
 *          any this is the only process.  WITMILL_HOST and WITMILL_PORT say
 *          where rank 0 waits for the others, whatever the starter says:
 *          torchrun's own port is taken by torchrun.
 * Owns.    Nothing.
 * Fails.   -E_RANGE for numbers that are none, a rank beyond the size; for
 *          several nodes whose first nobody names (WITMILL_HOST does).
 * Threads. Any; reads the environment.
 */
#ifndef TRAIN_LAUNCH_H
#define TRAIN_LAUNCH_H

#include "base/err.h"

#define LAUNCH_PORT      29617
#define LAUNCH_RANKS_MAX 65536

struct launch {
    int rank, size;     /* of all processes; 0 <= rank < size */
    int local;          /* rank on this node: which GPU */
    const char *by;     /* "torchrun", "slurm", "openmpi", "alone" */
    char host[256];     /* where rank 0 is */
    int port;           /* 1..65535 */
};

int launch_read(struct launch *l, struct err *e);

#endif
