/* Another sample in the place of one that cannot be used. */
#include "base/log.h"
#include "train/loader_private.h"
#include "train/random.h"

#define LOGGED_MAX 20 /* replacements that are logged one by one */

static void tell(struct loader *l, const struct job *j, const char *reason)
{
    struct str key;
    const char *tar;

    j->batch->load.replaced++;
    pthread_mutex_lock(&l->lock);
    tally_add(&l->reasons, reason, 1);
    pthread_mutex_unlock(&l->lock);
    if (l->logged++ >= LOGGED_MAX)
        return;
    sample_name(j, &key, &tar);
    log_event("replaced", "%s: sample %.*s cannot be used: %s%s", tar,
              STR_ARG(key), reason,
              l->logged == LOGGED_MAX ? "; further ones are counted, not logged"
                                      : "");
}

static int give_up(const struct job *j, const char *reason, struct err *e)
{
    struct str key;
    const char *tar;

    sample_name(j, &key, &tar);
    return err_set(e, E_FORMAT,
                   "position %llu: %u samples of its window and of the %d "
                   "behind it cannot be used, the last one %.*s of %s: %s",
                   (unsigned long long)j->position, j->attempt + 1,
                   LOADER_WINDOWS, STR_ARG(key), tar, reason);
}

/* The job goes on in the next window that holds a sample. */
static int leave_window(struct loader *l, struct job *j, const char *reason,
                        struct err *e)
{
    const struct dataset *d = l->c.data;
    const struct order_window *w = &j->pane->w;
    struct order_place p = {
        .source = w->source, .epoch = w->epoch, .window = w->number};
    struct pane **next = &l->panes[d->n + p.source];
    int rc;

    do {
        if (j->left++ == LOADER_WINDOWS)
            return give_up(j, reason, e);
        order_next_window(d->order, &p);
        rc = pane_enter(next, d->order, &d->sources[p.source], &p, e);
        if (rc)
            return rc;
    } while ((*next)->w.n == 0);
    pane_drop(j->pane);
    j->pane = *next;
    pane_hold(*next);
    j->tried = 0;
    return 0;
}

int loader_draw_again(struct loader *l, struct job *j, const char *reason,
                      struct err *e)
{
    uint64_t stream = random_bits(l->again, j->position), at;
    int rc = 0;

    tell(l, j, reason);
    if (j->tried == LOADER_ATTEMPTS)
        rc = leave_window(l, j, reason, e);
    if (rc)
        return rc;
    j->tried++;
    j->attempt++;
    at = (uint64_t)(((unsigned __int128)random_bits(stream, j->attempt) *
                     j->pane->w.n) >>
                    64);
    j->item = j->pane->w.items[at];
    return 0;
}
