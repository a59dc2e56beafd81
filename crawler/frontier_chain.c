#include "base/err.h"
#include "crawler/frontier_private.h"
#include <stdlib.h>

/* The level of depth, made if it is not there. */
static int level_at(struct frontier_host *h, unsigned depth,
                    struct frontier_level **out)
{
    uint32_t i = h->n_levels;

    while (i > 0 && h->levels[i - 1].depth > depth)
        i--;
    if (i > 0 && h->levels[i - 1].depth == depth) {
        *out = &h->levels[i - 1];
        return 0;
    }
    if (h->n_levels == h->cap_levels) {
        uint32_t cap = h->cap_levels ? 2 * h->cap_levels : 1;
        struct frontier_level *p = realloc(h->levels, cap * sizeof *p);
        if (!p)
            return -E_NOMEM;
        h->levels = p;
        h->cap_levels = cap;
    }
    memmove(h->levels + i + 1, h->levels + i,
            (h->n_levels - i) * sizeof *h->levels);
    h->n_levels++;
    h->levels[i] = (struct frontier_level){.depth = (uint16_t)depth};
    *out = &h->levels[i];
    return 0;
}

static void levels_trim(struct frontier_host *h)
{
    uint32_t empty = 0;

    while (empty < h->n_levels && !h->levels[empty].head &&
           !h->levels[empty].moved)
        empty++;
    h->n_levels -= empty;
    memmove(h->levels, h->levels + empty, h->n_levels * sizeof *h->levels);
    if (h->n_levels == 0) {
        free(h->levels);
        h->levels = NULL;
        h->cap_levels = 0;
    }
}

int frontier_chain(struct frontier *f, uint32_t url, uint32_t host,
                   unsigned depth)
{
    struct frontier_level *l;
    int rc = level_at(frontier_host_at(f, host), depth, &l);

    if (rc)
        return rc;
    *frontier_next(f, url) = 0;
    if (l->tail)
        *frontier_next(f, l->tail) = url;
    else
        l->head = url;
    l->tail = url;
    f->waiting[depth]++;
    return 0;
}

int frontier_chain_again(struct frontier *f, uint32_t url, uint32_t host,
                         unsigned depth)
{
    struct frontier_level *l;
    uint32_t c = f->free_cells;
    int rc = level_at(frontier_host_at(f, host), depth, &l);

    if (rc)
        return rc;
    if (c) {
        f->free_cells = f->cells[c].next;
    } else {
        if (f->n_cells == UINT32_MAX)
            return -E_TOOBIG;
        if (f->n_cells + 2 > f->cap_cells) {
            size_t cap = f->cap_cells ? f->cap_cells * 3 / 2 : 256;
            struct frontier_cell *p = realloc(f->cells, cap * sizeof *p);
            if (!p)
                return -E_NOMEM;
            f->cells = p;
            f->cap_cells = cap;
        }
        c = (uint32_t)++f->n_cells;
    }
    f->cells[c] = (struct frontier_cell){.url = url, .next = l->moved};
    l->moved = c;
    f->waiting[depth]++;
    return 0;
}

/* Take the first entry off a level, 0 when it is empty. */
static uint32_t level_pop(struct frontier *f, struct frontier_level *l)
{
    uint32_t url = 0;

    if (l->moved) {
        uint32_t c = l->moved;
        url = f->cells[c].url;
        l->moved = f->cells[c].next;
        f->cells[c].next = f->free_cells;
        f->free_cells = c;
    } else if (l->head) {
        url = l->head;
        l->head = *frontier_next(f, url);
        if (!l->head)
            l->tail = 0;
    }
    return url;
}

uint32_t frontier_chain_pop(struct frontier *f, struct frontier_host *h,
                            unsigned depth)
{
    uint32_t url = 0;

    if (h->n_levels == 0 || h->levels[0].depth != depth)
        return 0;
    do
        url = level_pop(f, &h->levels[0]);
    while (url && (frontier_state(f, url) != FRONTIER_WAITING ||
                   frontier_depth(f, url) != depth));
    levels_trim(h);
    return url;
}
