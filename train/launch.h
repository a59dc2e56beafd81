/*
 * launch - which of how many processes this one is, by its environment.
 *
 * Model.   Whoever starts several processes tells each its rank in variables.
 *          Read are, the first that is complete: torchrun's (RANK, WORLD_SIZE,
 *          LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR), Open MPI's
 *          (OMPI_COMM_WORLD_RANK, _SIZE, _LOCAL_RANK, _LOCAL_SIZE), Slurm's
 *          (SLURM_PROCID, SLURM_NTASKS, SLURM_LOCALID, SLURM_STEP_NUM_NODES,
 *          SLURM_LAUNCH_NODE_IPADDR).  Slurm's count in a step alone
 *          (SLURM_STEP_ID): the shells of salloc and sbatch have them, too, and
 *          are no tasks.  Without any this is the only process.  WITMILL_HOST
 *          and WITMILL_PORT say where rank 0 waits for the others, whatever the
 *          starter says: torchrun's own port is taken by torchrun.
 * Owns.    Nothing.
 * Fails.   -E_RANGE for numbers that are none, a rank beyond the size.  That
 *          nobody names the first of several nodes is no failure: MPI need not
 *          know it; train/rendezvous.h, which must, refuses.
 * Threads. Any; reads the environment.
 */
#ifndef TRAIN_LAUNCH_H
#define TRAIN_LAUNCH_H

#include "base/err.h"

#define LAUNCH_PORT      29617
#define LAUNCH_RANKS_MAX 65536

struct launch {
    int rank, size; /* of all processes; 0 <= rank < size */
    int local;      /* rank on this node */
    int here;       /* ranks on this node; 0: not known */
    int gpu;        /* which of the GPUs that this process sees is its own:
                       `local`, or 0 where it was given but one
                       (CUDA_VISIBLE_DEVICES) */
    const char *by; /* "torchrun", "slurm", "openmpi", "alone" */
    char host[256]; /* where rank 0 is; "": nobody says */
    int port;       /* 1..65535 */
};

int launch_read(struct launch *l, struct err *e);

#endif
