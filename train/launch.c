#include "train/launch.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The variables of one starter. */
static const struct starter {
    const char *by, *rank, *size, *local, *host;
    const char *here;  /* how many ranks this node has */
    const char *nodes; /* how many nodes there are */
    const char *step;  /* the rest counts where this names a job's step */
} starters[] = {
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR",
     "LOCAL_WORLD_SIZE", NULL, NULL},
    {"openmpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK", NULL, "OMPI_COMM_WORLD_LOCAL_SIZE", NULL,
     NULL},
    {"slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID",
     "SLURM_LAUNCH_NODE_IPADDR", NULL, "SLURM_STEP_NUM_NODES", "SLURM_STEP_ID"},
};

#define STARTERS (sizeof starters / sizeof *starters)

/* 0 with *out in low..high; -E_NOTFOUND where the variable is not set. */
static int number(const char *name, long low, long high, int *out,
                  struct err *e)
{
    const char *text = name ? getenv(name) : NULL;
    char *end = NULL;
    long x;

    if (!text)
        return -E_NOTFOUND;
    x = strtol(text, &end, 10);
    if (end == text || *end || x < low || x > high)
        return err_set(e, E_RANGE, "%s=%s: not a number from %ld to %ld", name,
                       text, low, high);
    *out = (int)x;
    return 0;
}

/* Slurm's numbers of steps that users start end below those it keeps for
 * shells, batch scripts and its own. */
static bool in_step(const char *name)
{
    const char *text = name ? getenv(name) : NULL;
    char *end = NULL;

    return !name || (text && strtoull(text, &end, 10) < 0xfffffff0u &&
                     end != text && !*end);
}

/* As number(), and a variable that is not set leaves *out. */
static int number_if(const char *name, long low, long high, int *out,
                     struct err *e)
{
    int rc = number(name, low, high, out, e);

    return rc == -E_NOTFOUND ? 0 : rc;
}

/* Whether this starter started us: rank and size are both there. */
static int ask(const struct starter *s, struct launch *l, struct err *e)
{
    int nodes = 0;
    int rc = in_step(s->step) ? 0 : -E_NOTFOUND;

    if (!rc)
        rc = number(s->size, 1, LAUNCH_RANKS_MAX, &l->size, e);
    if (!rc)
        rc = number(s->rank, 0, l->size - 1, &l->rank, e);
    if (rc)
        return rc;
    l->by = s->by;
    rc = number_if(s->local, 0, l->size - 1, &l->local, e);
    if (!rc)
        rc = number_if(s->here, 1, l->size, &l->here, e);
    if (!rc)
        rc = number_if(s->nodes, 1, LAUNCH_RANKS_MAX, &nodes, e);
    if (nodes == 1 || l->size == 1)
        l->here = l->size;
    return rc;
}

static int find_host(const struct starter *s, struct launch *l, struct err *e)
{
    const char *host = getenv("WITMILL_HOST");

    if (!host && s && s->host)
        host = getenv(s->host);
    if (!host && l->here == l->size)
        host = "127.0.0.1";
    if (!host)
        return 0; /* whoever needs it asks for it */
    if (!*host || strlen(host) >= sizeof l->host)
        return err_set(e, E_RANGE,
                       "the address of rank 0 is empty or longer "
                       "than a name may be");
    snprintf(l->host, sizeof l->host, "%s", host);
    return 0;
}

/* A starter that shares a node's GPUs out shows each process its own alone. */
static int own_gpu(const struct launch *l)
{
    const char *seen = getenv("CUDA_VISIBLE_DEVICES");

    return seen && *seen && !strchr(seen, ',') ? 0 : l->local;
}

int launch_read(struct launch *l, struct err *e)
{
    const struct starter *by = NULL;
    int rc;

    memset(l, 0, sizeof *l);
    for (size_t i = 0; i < STARTERS && !by; i++) {
        rc = ask(&starters[i], l, e);
        if (!rc)
            by = &starters[i];
        else if (rc != -E_NOTFOUND)
            return rc;
    }
    if (!by)
        *l = (struct launch){.size = 1, .here = 1, .by = "alone"};
    l->gpu = own_gpu(l);
    l->port = LAUNCH_PORT;
    rc = number_if("WITMILL_PORT", 1, 65535, &l->port, e);
    return rc ? rc : find_host(by, l, e);
}
