#include "train/median.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/random.h"

void median_init(struct median *m, uint64_t most)
{
    memset(m, 0, sizeof *m);
    m->most = most < MEDIAN_SIZE ? most : MEDIAN_SIZE;
    m->x = xcalloc(m->most ? m->most : 1, sizeof *m->x);
}

void median_release(struct median *m)
{
    free(m->x);
    memset(m, 0, sizeof *m);
}

void median_add(struct median *m, double x)
{
    uint64_t at = m->n++;

    if (at >= m->most) {
        assert(m->most == MEDIAN_SIZE);
        /* the n-th number stays with a chance of most / n */
        at = random_bits(random_stream(0, STR("median")), at) % m->n;
    }
    if (at < m->most)
        m->x[at] = x;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double median_share(struct median *m, double share)
{
    uint64_t n = m->n < m->most ? m->n : m->most;
    uint64_t at = (uint64_t)((double)n * share);

    if (!n)
        return 0;
    qsort(m->x, n, sizeof *m->x, compare);
    return m->x[at < n ? at : n - 1];
}

double median_of(struct median *m)
{
    return median_share(m, 0.5);
}
