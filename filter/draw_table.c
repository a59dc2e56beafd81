#include "filter/draw_table.h"

#include <stdlib.h>

int draw_table_make(struct draw_table *t, const struct qlist *list,
                    uint64_t seed, const uint64_t *c, struct err *e)
{
    *t = (struct draw_table){.n = qlist_count(list), .seed = seed};
    /* Never of no bytes, and each row a cache line of its own. */
    t->rows = aligned_alloc(64, ((size_t)t->n + 1) * sizeof *t->rows);
    if (!t->rows)
        return err_set(e, E_NOMEM, "no memory for the draws of %u queries",
                       t->n);
    for (uint32_t q = 0; q < t->n; q++) {
        struct str norm = qlist_norm(list, q);
        struct draw_row *r = &t->rows[q];

        *r = (struct draw_row){.c = c[q], .n = (uint16_t)norm.n};
        if (norm.n > DRAW_NORM_MAX) {
            draw_table_release(t);
            return err_set(e, E_DAMAGED, "query %u: a norm of %zu bytes", q,
                           norm.n);
        }
        if (norm.n > DRAW_NORM_INLINE)
            memcpy(r->norm, &norm.p, sizeof norm.p);
        else if (norm.n)
            memcpy(r->norm, norm.p, norm.n);
    }
    return 0;
}

void draw_table_release(struct draw_table *t)
{
    free(t->rows);
    *t = (struct draw_table){0};
}

void draw_table_caps(struct draw_table *t, const uint64_t *caps,
                     const uint64_t *before)
{
    for (uint32_t q = 0; q < t->n; q++) {
        struct draw_row *r = &t->rows[q];

        r->t = caps[q];
        r->before = before ? before[q] : 0;
        r->misses = r->t >= r->c ? 0 : 1 - (double)r->t / (double)r->c;
    }
}
