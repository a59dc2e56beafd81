/* Windows of shards with their tars open. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "train/loader_private.h"

#define TELL_CHUNK                                                             \
    ((uint64_t)8 << 20) /* bytes told to the kernel at a time                  \
                         */

static uint64_t memory_for_ahead(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

    return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size / 4
                                 : (uint64_t)1 << 30;
}

/* What the next window will read; names are kept, as the order goes on. */
static void plan_ahead(struct pane *p, struct order *o)
{
    const uint32_t *shards = order_ahead(o, &p->w, &p->n_ahead);
    uint64_t most = memory_for_ahead();

    if (p->n_ahead)
        p->paths = xcalloc(p->n_ahead, sizeof *p->paths);
    for (size_t i = 0; i < p->n_ahead; i++) {
        const struct source_shard *t = &p->source->shards[shards[i]];

        p->paths[i] = xstrdup(t->path);
        p->tell += t->tar_size;
    }
    p->tell = p->tell < most ? p->tell : most;
}

static int open_shards(struct pane *p, struct err *e)
{
    int rc = 0;

    p->fd = xcalloc(p->w.n_shards, sizeof *p->fd);
    p->x = xcalloc(p->w.n_shards, sizeof *p->x);
    for (size_t i = 0; i < p->w.n_shards; i++)
        p->fd[i] = -1;
    for (size_t i = 0; !rc && i < p->w.n_shards; i++)
        rc = source_shard_open(p->source, p->w.shards[i], &p->fd[i], &p->x[i],
                               e);
    return rc;
}

int pane_open(struct pane **out, struct order *o, const struct source *s,
              const struct order_place *place, struct err *e)
{
    struct pane *p = xcalloc(1, sizeof *p);
    int rc;

    *out = NULL;
    p->source = s;
    p->held = 1;
    p->ahead_fd = -1;
    rc = order_window_open(o, place->source, place->epoch, place->window, &p->w,
                           e);
    if (rc) {
        free(p);
        return rc;
    }
    rc = open_shards(p, e);
    if (rc) {
        pane_drop(p);
        return rc;
    }
    plan_ahead(p, o);
    *out = p;
    return 0;
}

int pane_enter(struct pane **now, struct order *o, const struct source *s,
               const struct order_place *place, struct err *e)
{
    if (*now && (*now)->w.epoch == place->epoch &&
        (*now)->w.number == place->window)
        return 0;
    pane_drop(*now);
    return pane_open(now, o, s, place, e);
}

void pane_hold(struct pane *p)
{
    p->held++;
}

void pane_drop(struct pane *p)
{
    if (!p || --p->held)
        return;
    for (size_t i = 0; p->fd && i < p->w.n_shards; i++) {
        if (p->fd[i] >= 0)
            close(p->fd[i]);
        index_release(&p->x[i]);
    }
    for (size_t i = 0; i < p->n_ahead; i++)
        free(p->paths[i]);
    if (p->ahead_fd >= 0)
        close(p->ahead_fd);
    free(p->paths);
    free(p->fd);
    free(p->x);
    order_window_close(&p->w);
    free(p);
}

/* A tar that cannot be opened is not ours to judge: its window will be. */
static void tell_chunk(struct pane *p)
{
    off_t size;

    if (p->ahead_fd < 0) {
        p->ahead_fd = open(p->paths[p->ahead], O_RDONLY | O_CLOEXEC);
        p->at = 0;
    }
    size = p->ahead_fd < 0 ? 0 : lseek(p->ahead_fd, 0, SEEK_END);
    if (size <= 0 || p->at >= (uint64_t)size) {
        if (p->ahead_fd >= 0)
            close(p->ahead_fd);
        p->ahead_fd = -1;
        p->ahead++;
        return;
    }
    (void)posix_fadvise(p->ahead_fd, (off_t)p->at, (off_t)TELL_CHUNK,
                        POSIX_FADV_WILLNEED);
    p->at += TELL_CHUNK;
    p->told += TELL_CHUNK;
}

void pane_used(struct pane *p, uint64_t at)
{
    double due = (double)p->tell * (double)(at + 1) / (double)p->w.n;

    while (p->ahead < p->n_ahead && (double)p->told < due)
        tell_chunk(p);
}
