#include "filter/dedup_exact.h"

#include <stdlib.h>

/* Ranks of q that are below its last cap, and that a pair of it can have. */
static uint64_t depth_of(const struct dedup_ranks *r, uint32_t q)
{
    return r->t_last[q] < r->c[q] ? r->t_last[q] : r->c[q];
}

/* Only where some of these may go does it matter which are marked. */
static uint64_t bits_of(const struct dedup_ranks *r, uint32_t q)
{
    uint64_t depth = depth_of(r, q);

    return r->t0[q] && r->t0[q] < depth ? depth : 0;
}

int dedup_exact_init(struct dedup_exact *x, const struct dedup_ranks *ranks,
                     struct err *e)
{
    uint64_t bits = 0;

    *x = (struct dedup_exact){.ranks = ranks};
    x->first = malloc(((size_t)ranks->n + 1) * sizeof *x->first);
    x->cut = calloc((size_t)ranks->n + 1, sizeof *x->cut);
    if (x->first && x->cut) {
        for (uint32_t q = 0; q < ranks->n; q++) {
            x->first[q] = bits;
            bits += bits_of(ranks, q);
        }
        x->first[ranks->n] = bits;
        x->marked = calloc((size_t)(bits / 8) + 1, 1);
    }
    if (!x->marked) {
        dedup_exact_release(x);
        return err_set(e, E_NOMEM, "no memory for %llu ranks",
                       (unsigned long long)bits);
    }
    return 0;
}

void dedup_exact_release(struct dedup_exact *x)
{
    free(x->first);
    free(x->marked);
    free(x->cut);
    x->first = x->cut = NULL;
    x->marked = NULL;
}

static uint64_t rank_of(const struct dedup_exact *x, uint32_t q,
                        const struct pair *p)
{
    return q < x->ranks->n ? x->ranks->rank(x->ranks->ctx, q, p->uid)
                           : UINT64_MAX;
}

void dedup_exact_mark(struct dedup_exact *x, const struct pair *p)
{
    for (uint32_t i = 0; i < p->n_q; i++) {
        uint32_t q = p->q[i];
        uint64_t rank, bit;

        if (q >= x->ranks->n || x->first[q] == x->first[q + 1])
            continue;
        rank = rank_of(x, q, p);
        if (rank >= x->first[q + 1] - x->first[q])
            continue;
        bit = x->first[q] + rank;
        x->marked[bit / 8] |= (uint8_t)(1u << bit % 8);
    }
}

void dedup_exact_cut(struct dedup_exact *x)
{
    for (uint32_t q = 0; q < x->ranks->n; q++) {
        uint64_t left = x->ranks->t0[q], bit = x->first[q];
        uint64_t depth = depth_of(x->ranks, q);

        for (; left && bit < x->first[q + 1]; bit++)
            left -= x->marked[bit / 8] >> bit % 8 & 1;
        x->cut[q] = bits_of(x->ranks, q) ? bit - x->first[q]
                    : left < depth       ? left
                                         : depth;
    }
}

uint32_t dedup_exact_keep(const struct dedup_exact *x, const struct pair *p,
                          uint32_t *keep)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < p->n_q; i++)
        if (p->q[i] < x->ranks->n && rank_of(x, p->q[i], p) < x->cut[p->q[i]])
            keep[n++] = p->q[i];
    return n;
}
