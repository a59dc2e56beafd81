/* Sorting what is uniform: each rank goes to where its h says, and few have to
 * move from there. */
#include "filter/plan_ranks.h"

#include <stdlib.h>

#include "base/mem.h"

#define CROWD 24 /* ranks in one place that are left to qsort() */

static int by_order(const void *a, const void *b)
{
    const struct plan_rank *x = a, *y = b;
    uint64_t hx = plan_rank_h(x), hy = plan_rank_h(y);

    if (x->q != y->q)
        return x->q < y->q ? -1 : 1;
    if (hx != hy)
        return hx < hy ? -1 : 1;
    return memcmp(x->uid, y->uid, MD5_SIZE);
}

static void insertion(struct plan_rank *v, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct plan_rank one = v[i];
        size_t k = i;

        for (; k && by_order(&v[k - 1], &one) > 0; k--)
            v[k] = v[k - 1];
        v[k] = one;
    }
}

/* What is known of a query's ranks before they are placed. */
struct extent {
    uint64_t low, high; /* of their h */
    uint32_t n, base;   /* how many, and where their places begin */
};

static size_t place_of(const struct extent *x, const struct plan_rank *r)
{
    unsigned __int128 from = plan_rank_h(r) - x->low;
    uint64_t span = x->high - x->low;

    return x->base + (span ? (size_t)(from * (x->n - 1) / span) : 0);
}

static void measure(struct extent *x, const struct plan_rank *v, size_t n,
                    uint32_t from, uint32_t queries)
{
    for (size_t i = 0; i < n; i++) {
        struct extent *at = &x[v[i].q - from];
        uint64_t h = plan_rank_h(&v[i]);

        if (at->n++ == 0)
            at->low = at->high = h;
        at->low = h < at->low ? h : at->low;
        at->high = h > at->high ? h : at->high;
    }
    for (uint32_t q = 1; q < queries; q++)
        x[q].base = x[q - 1].base + x[q - 1].n;
}

void plan_ranks_sort(struct plan_rank *v, size_t n, uint32_t from, uint32_t to,
                     struct plan_rank *room, uint32_t *places)
{
    uint32_t queries = to - from + 1;
    struct extent *x = xcalloc(queries, sizeof *x);

    measure(x, v, n, from, queries);
    memset(places, 0, (n + 1) * sizeof *places);
    for (size_t i = 0; i < n; i++)
        places[place_of(&x[v[i].q - from], &v[i]) + 1]++;
    for (size_t i = 0; i < n; i++)
        places[i + 1] += places[i];
    /* places[i] ends as the end of place i, that is the start of i + 1. */
    for (size_t i = 0; i < n; i++)
        room[places[place_of(&x[v[i].q - from], &v[i])]++] = v[i];
    memcpy(v, room, n * sizeof *v);
    for (size_t i = 0, start = 0; i < n; start = places[i++]) {
        size_t count = places[i] - start;

        if (count > CROWD)
            qsort(v + start, count, sizeof *v, by_order);
        else if (count > 1)
            insertion(v + start, count);
    }
    free(x);
}
