#include "train/ranks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define MESSAGE 228 /* bytes; longer ones are cut */

struct ranks_word {
    double waited, flops;
    int32_t stop, unfed;
    int32_t code; /* 0, or the E_* of the message */
    char message[MESSAGE];
};
_Static_assert(sizeof(struct ranks_word) <= COLLECTIVE_MEET_MAX,
               "a word is exchanged at once");

int ranks_open(struct ranks *r, const struct launch *l, struct device *d,
               struct agreement *a, int rc, struct err *e)
{
    int met;

    memset(r, 0, sizeof *r);
    r->l = *l;
    if (l->size == 1) {
        collective_self(&r->c);
        return rc;
    }
    if (rc)
        agree_init(&a->word, rc, e);
    met = collective_open(&r->c, l, rc ? NULL : d, a, e);
    if (met)
        return met == -E_CANCEL
                   ? met
                   : err_wrap(e, met, "rank %d of %d", l->rank, l->size);
    r->all = xcalloc((size_t)l->size, sizeof *r->all);
    return 0;
}

/* It has been said. */
static int leave(struct ranks *r, struct err *e)
{
    r->over = true;
    if (e)
        *e = (struct err)ERR_INIT;
    return -E_CANCEL;
}

int ranks_meet(struct ranks *r, struct device *d, struct ranks_state *state,
               int rc, struct err *e)
{
    struct ranks_word mine = {.code = -rc};
    int met, first = -1;

    if (r->c.size <= 1 || r->over)
        return rc;
    if (state) {
        mine.waited = state->waited;
        mine.flops = state->flops;
        mine.stop = state->stop;
        mine.unfed = state->unfed;
        *state = (struct ranks_state){0};
    }
    if (rc)
        snprintf(mine.message, sizeof mine.message, "%.*s", MESSAGE - 1,
                 e && e->code ? e->message : err_name(rc));
    met = r->c.meet(&r->c, d, &mine, r->all, sizeof mine, e);
    if (met)
        return ranks_abort(r, met, e);
    for (int i = 0; i < r->c.size; i++) {
        const struct ranks_word *w = &r->all[i];

        if (w->code && first < 0)
            first = i;
        if (state && w->waited > state->waited)
            state->waited = w->waited;
        if (state)
            state->flops += w->flops;
        if (state && w->stop)
            state->stop = true;
        if (state && w->unfed)
            state->unfed = true;
    }
    if (first < 0)
        return 0;
    if (!r->c.rank)
        log_event("error", "rank %d of %d: %.*s", first, r->c.size, MESSAGE - 1,
                  r->all[first].message);
    /* nobody goes before it has been said */
    r->c.meet(&r->c, d, &mine, r->all, sizeof mine, NULL);
    return leave(r, e);
}

int ranks_abort(struct ranks *r, int rc, struct err *e)
{
    if (r->c.size <= 1 || r->over)
        return rc;
    log_event("error", "rank %d of %d: %s", r->c.rank, r->c.size,
              e && e->code ? e->message : err_name(rc));
    r->c.abort(&r->c);
    return leave(r, e);
}

void ranks_close(struct ranks *r)
{
    collective_close(&r->c);
    free(r->all);
    r->all = NULL;
}
