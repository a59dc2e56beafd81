#include "train/launch.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The variables of one starter; `one_node`: how many ranks this node has,
 * which tells whether the loopback reaches them all. */
static const struct starter {
    const char *by, *rank, *size, *local, *host, *one_node;
} starters[] = {
    {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR",
     "LOCAL_WORLD_SIZE"},
    {"openmpi", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
     "OMPI_COMM_WORLD_LOCAL_RANK", NULL, "OMPI_COMM_WORLD_LOCAL_SIZE"},
    {"slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID",
     "SLURM_LAUNCH_NODE_IPADDR", NULL},
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

/* Whether this starter started us: rank and size are both there. */
static int ask(const struct starter *s, struct launch *l, struct err *e)
{
    int rc = number(s->size, 1, LAUNCH_RANKS_MAX, &l->size, e);

    if (!rc)
        rc = number(s->rank, 0, l->size - 1, &l->rank, e);
    if (rc)
        return rc;
    rc = number(s->local, 0, l->size - 1, &l->local, e);
    if (rc == -E_NOTFOUND)
        rc = 0; /* one a node */
    l->by = s->by;
    return rc;
}

static int find_host(const struct starter *s, struct launch *l, struct err *e)
{
    const char *host = getenv("WITMILL_HOST");
    int here = 0, rc;

    if (!host && s && s->host)
        host = getenv(s->host);
    if (!host && s) {
        rc = number(s->one_node, 1, LAUNCH_RANKS_MAX, &here, e);
        if (rc && rc != -E_NOTFOUND)
            return rc;
    }
    if (!host && (l->size == 1 || here == l->size))
        host = "127.0.0.1";
    if (!host)
        return err_set(e, E_RANGE,
                       "%d ranks by %s, and nothing says where rank 0 is; "
                       "set WITMILL_HOST to its address",
                       l->size, l->by);
    if (!*host || strlen(host) >= sizeof l->host)
        return err_set(e, E_RANGE,
                       "the address of rank 0 is empty or longer "
                       "than a name may be");
    snprintf(l->host, sizeof l->host, "%s", host);
    return 0;
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
        *l = (struct launch){.size = 1, .by = "alone"};
    l->port = LAUNCH_PORT;
    rc = number("WITMILL_PORT", 1, 65535, &l->port, e);
    if (rc && rc != -E_NOTFOUND)
        return rc;
    return find_host(by, l, e);
}
