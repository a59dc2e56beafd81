#include "train/cpu/k.h"

/* Rows by index.  Indices were checked where they came from; an index that
 * leaves its table is our bug. */

#include <assert.h>

static void add_row(float *y, const act_t *x, int64_t n)
{
    K_SIMD
    for (int64_t c = 0; c < n; c++)
        y[c] += k_get(x[c]);
}

void CPU(embed)(struct device *d, const struct op_embed *o)
{
    K_PARALLEL(d, o->rows * o->dim)
    for (int64_t r = 0; r < o->rows; r++) {
        const float *token = (const float *)o->token + o->ids[r] * o->dim;
        const float *place = (const float *)o->position + o->places[r] * o->dim;
        act_t *x = (act_t *)o->x + r * o->dim;

        assert(o->ids[r] >= 0 && o->ids[r] < o->vocab);
        assert(o->places[r] >= 0 && o->places[r] < o->places_max);
        K_SIMD
        for (int64_t c = 0; c < o->dim; c++)
            x[c] = k_put(token[c] + place[c]);
    }
}

/*
 * Every entry is the sum of its rows in ascending order, whoever adds it, so
 * the cut may depend on the thread count: threads share the columns, and when
 * these get too narrow the entries, by their number modulo `shares`.
 */
#define COLUMNS_MIN 64

struct share {
    int64_t begin, end; /* columns */
    int64_t which, shares;
};

static void embed_bwd_share(const struct op_embed_bwd *o, struct share s)
{
    const int64_t n = s.end - s.begin;

    for (int64_t r = 0; r < o->rows; r++) {
        const act_t *dx = (const act_t *)o->dx + r * o->dim + s.begin;
        const int64_t id = o->ids[r], place = o->places[r];

        assert(id >= 0 && id < o->vocab);
        assert(place >= 0 && place < o->places_max);
        if (id % s.shares == s.which)
            add_row((float *)o->dtoken + id * o->dim + s.begin, dx, n);
        if (place % s.shares == s.which)
            add_row((float *)o->dposition + place * o->dim + s.begin, dx, n);
    }
}

void CPU(embed_bwd)(struct device *d, const struct op_embed_bwd *o)
{
    const int64_t threads = k_threads(d, o->rows * o->dim);
    int64_t tiles = (o->dim + COLUMNS_MIN - 1) / COLUMNS_MIN;
    int64_t shares;

    tiles = tiles < threads ? tiles : threads;
    shares = (threads + tiles - 1) / tiles;
    K_PARALLEL(d, o->rows * o->dim)
    for (int64_t i = 0; i < tiles * shares; i++) {
        struct share s = {o->dim * (i % tiles) / tiles,
                          o->dim * (i % tiles + 1) / tiles, i / tiles, shares};

        embed_bwd_share(o, s);
    }
}

void CPU(gather)(struct device *d, const struct op_gather *o)
{
    K_PARALLEL(d, o->n * o->dim)
    for (int64_t i = 0; i < o->n; i++) {
        assert(o->rows[i] >= 0 && o->rows[i] < o->total);
        memcpy((act_t *)o->y + i * o->dim,
               (const act_t *)o->x + o->rows[i] * o->dim,
               (size_t)o->dim * sizeof(act_t));
    }
}

void CPU(scatter_add)(struct device *d, const struct op_scatter_add *o)
{
    K_PARALLEL(d, o->n * o->dim)
    for (int64_t i = 0; i < o->n; i++) {
        const act_t *y = (const act_t *)o->y + i * o->dim;
        act_t *x = (act_t *)o->x + o->rows[i] * o->dim;

        assert(o->rows[i] >= 0 && o->rows[i] < o->total);
        K_SIMD
        for (int64_t c = 0; c < o->dim; c++)
            x[c] = k_put(k_get(x[c]) + k_get(y[c]));
    }
}
