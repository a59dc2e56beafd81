/*
 * frontier_private - what frontier.c (turns and budgets) and frontier_chain.c
 * (the waiting URLs of each host) share and nobody else needs.
 */
#ifndef CRAWLER_FRONTIER_PRIVATE_H
#define CRAWLER_FRONTIER_PRIVATE_H

#include "crawler/frontier.h"
#include <assert.h>

#define FRONTIER_STATE_BITS 3
#define FRONTIER_NODES      SEEN_BLOCK

/* What is kept of a URL beside its hash; columns, because a struct of them
 * would be padded from 6 bytes to 8. */
struct frontier_nodes {
    uint32_t next[FRONTIER_NODES]; /* in the chain it was first put into */
    uint16_t mark[FRONTIER_NODES]; /* depth << FRONTIER_STATE_BITS | state */
};

/* A second entry of a URL in a chain: its depth was lowered. */
struct frontier_cell {
    uint32_t url, next; /* next: index of a cell, 0 at the end */
};

/* The waiting URLs of one host at one depth. */
struct frontier_level {
    uint32_t head, tail; /* URLs chained by nodes.next; 0: none */
    uint32_t moved;      /* cells; 0: none */
    uint16_t depth;
};

struct frontier_host {
    struct frontier_level *levels; /* ascending by depth */
    uint32_t n_levels, cap_levels;
    uint32_t domain;
    uint32_t pages, out;    /* counted; taken and not released */
    uint32_t before, after; /* neighbours in its ready list; 0: none */
    uint32_t parked_after;  /* in its domain's list */
    uint16_t ready_depth;
    bool ready, parked, held;
};

struct frontier_domain {
    uint32_t pages, out;
    uint32_t parked; /* hosts that wait for this domain's budget */
};

struct frontier_ready {
    uint32_t first, last;
};

struct frontier {
    struct frontier_limits limits;
    struct seen urls, host_names, domain_names;
    struct frontier_nodes **nodes; /* by (number - 1) / FRONTIER_NODES */
    size_t n_nodes, cap_nodes;
    struct frontier_cell *cells; /* [0] is unused */
    size_t n_cells, cap_cells;
    uint32_t free_cells;
    struct frontier_host *hosts; /* by number - 1 */
    size_t cap_hosts;
    struct frontier_domain *domains; /* by number - 1 */
    size_t cap_domains;
    struct frontier_ready
        ready[FRONTIER_DEPTH_MAX + 1]; /* hosts by least depth */
    unsigned low;                      /* no ready list below has any */
    uint64_t waiting[FRONTIER_DEPTH_MAX + 1];
    uint64_t pages, out;
};

/* ---- URLs ---- */

static inline uint16_t *frontier_mark(const struct frontier *f, uint32_t url)
{
    return &f->nodes[(url - 1) / FRONTIER_NODES]
                ->mark[(url - 1) % FRONTIER_NODES];
}

static inline uint32_t *frontier_next(const struct frontier *f, uint32_t url)
{
    return &f->nodes[(url - 1) / FRONTIER_NODES]
                ->next[(url - 1) % FRONTIER_NODES];
}

static inline void frontier_set_mark(struct frontier *f, uint32_t url,
                                     unsigned depth, enum frontier_state state)
{
    *frontier_mark(f, url) =
        (uint16_t)(depth << FRONTIER_STATE_BITS | (unsigned)state);
}

static inline struct frontier_host *frontier_host_at(const struct frontier *f,
                                                     uint32_t host)
{
    assert(host >= 1 && host <= f->host_names.n);
    return &f->hosts[host - 1];
}

static inline struct frontier_domain *
frontier_domain_at(const struct frontier *f, uint32_t domain)
{
    return &f->domains[domain - 1];
}

/* Put a waiting URL behind the others of its host at depth: for the first
 * time, or again because its depth was lowered. */
int frontier_chain(struct frontier *f, uint32_t url, uint32_t host,
                   unsigned depth);
int frontier_chain_again(struct frontier *f, uint32_t url, uint32_t host,
                         unsigned depth);

/* The next URL of h that waits at depth, its least, off its chain; 0 when none
 * does.  Entries of URLs that were lowered or settled meanwhile are passed
 * over. */
uint32_t frontier_chain_pop(struct frontier *f, struct frontier_host *h,
                            unsigned depth);

#endif
