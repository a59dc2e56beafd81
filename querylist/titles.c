#include "querylist/titles.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/progress.h"
#include "base/workq.h"
#include "querylist/keycount.h"
#include "querylist/pageviews.h"
#include "querylist/titles_reader.h"

const char *const titles_redirects_names[] = {"own", "target", "both", NULL};

struct ranked {
    struct str text; /* owned */
    uint64_t views;
};

struct titles {
    struct titles_config c;
    struct pageviews_project project;
    struct titles_reader *readers; /* n_readers of them, n_open were opened */
    size_t n_readers, n_open;
    struct titles_reader *idle;
    pthread_mutex_t lock; /* of idle */
    struct ranked *best;  /* a heap, the worst of them first */
    size_t n_best, cap_best;
    struct titles_stats stats;
};

static size_t count_readers(const struct titles_config *c)
{
    uint64_t least = c->thread_memory ? c->thread_memory : TITLES_THREAD_MEMORY;
    uint64_t fit = c->memory / 4 * 3 / least;

    if (c->threads <= 1 || fit <= 1)
        return 1;
    return fit < c->threads ? (size_t)fit : c->threads;
}

int titles_open(struct titles **to, const struct titles_config *c,
                struct err *e)
{
    struct titles *t = xcalloc(1, sizeof *t);
    int rc;

    *to = NULL;
    t->c = *c;
    t->n_readers = count_readers(c);
    t->readers = xcalloc(t->n_readers, sizeof *t->readers);
    pthread_mutex_init(&t->lock, NULL);
    rc = pageviews_project(&t->project, c->project, e);
    while (!rc && t->n_open < t->n_readers) {
        struct titles_reader *r = &t->readers[t->n_open++];

        rc = titles_reader_open(r, &t->c, &t->project,
                                c->memory / 4 * 3 / t->n_readers, e);
        r->next = t->idle;
        t->idle = r;
    }
    if (rc)
        titles_close(t);
    else
        *to = t;
    return rc;
}

void titles_close(struct titles *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_best; i++)
        free((char *)t->best[i].text.p);
    free(t->best);
    for (size_t i = 0; i < t->n_open; i++)
        titles_reader_close(&t->readers[i]);
    free(t->readers);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* ---- files ---- */

struct file {
    const char *path;
    struct pageviews_period period;
    size_t number; /* as given */
};

static int compare_files(const void *a, const void *b)
{
    const struct file *x = a, *y = b;

    if (x->period.unit != y->period.unit)
        return x->period.unit < y->period.unit ? -1 : 1;
    if (x->period.number != y->period.number)
        return x->period.number < y->period.number ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static bool same_period(const struct file *a, const struct file *b)
{
    return a->period.unit == b->period.unit &&
           a->period.number == b->period.number;
}

/* All files, in order of periods, on their way to readers. */
struct reading {
    struct titles *t;
    struct file *files;
    size_t n, at;
    struct progress progress;
};

/* The files of one period, for one reader. */
struct share {
    const struct file *files;
    size_t n;
};

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct reading *r = ctx;
    struct share *s = item;

    (void)e;
    *more = r->at < r->n;
    *s = (struct share){.files = r->files + r->at};
    while (r->at < r->n && same_period(s->files, r->files + r->at)) {
        r->at++;
        s->n++;
    }
    return 0;
}

static struct titles_reader *take(struct titles *t)
{
    struct titles_reader *r;

    pthread_mutex_lock(&t->lock);
    r = t->idle; /* there is one for every thread */
    t->idle = r->next;
    pthread_mutex_unlock(&t->lock);
    return r;
}

static void give(struct titles *t, struct titles_reader *r)
{
    pthread_mutex_lock(&t->lock);
    r->next = t->idle;
    t->idle = r;
    pthread_mutex_unlock(&t->lock);
}

static int work(void *ctx, void *item, struct err *e)
{
    const struct reading *all = ctx;
    const struct share *s = item;
    struct titles_reader *r = take(all->t);
    int rc = 0;

    for (size_t i = 0; !rc && i < s->n; i++)
        rc = titles_reader_add(r, s->files[i].path, e);
    if (!rc)
        rc = titles_reader_end(r, e);
    give(all->t, r);
    return rc;
}

static int consume(void *ctx, void *item, struct err *e)
{
    struct reading *r = ctx;
    const struct share *s = item;

    (void)e;
    progress_add(&r->progress, s->n);
    return 0;
}

static int read_all(struct reading *r, struct err *e)
{
    static const struct workq_ops ops = {produce, work, consume};
    unsigned threads = (unsigned)r->t->n_readers, depth = 2 * threads;
    struct share *shares = xcalloc(depth, sizeof *shares);
    int rc;

    progress_begin(&r->progress, "queries", "files", r->n);
    rc = workq_run(&ops, r, shares, sizeof *shares, depth, threads, e);
    progress_end(&r->progress, rc);
    free(shares);
    return rc;
}

int titles_read(struct titles *t, char *const *paths, size_t n,
                struct tally *drops, struct err *e)
{
    struct reading r = {
        .t = t, .files = xcalloc(n + 1, sizeof *r.files), .n = n};
    int rc;

    for (size_t i = 0; i < n; i++) {
        r.files[i] = (struct file){paths[i], pageviews_period(paths[i]), i};
        if (r.files[i].period.unit == PAGEVIEWS_OWN)
            r.files[i].period.number = (uint32_t)i;
    }
    qsort(r.files, n, sizeof *r.files, compare_files);
    rc = read_all(&r, e);
    t->stats.files = n;
    for (size_t i = 0; i < t->n_readers; i++) {
        t->stats.lines += t->readers[i].views.lines;
        t->stats.spilled += t->readers[i].spilled;
        tally_add_all(drops, &t->readers[i].drops);
    }
    free(r.files);
    return rc;
}

/* ---- ranks ---- */

/* Whether a ranks behind b. */
static bool is_worse(const struct ranked *a, const struct ranked *b)
{
    if (a->views != b->views)
        return a->views < b->views;
    return str_cmp(a->text, b->text) > 0;
}

static void swap(struct ranked *a, struct ranked *b)
{
    struct ranked c = *a;

    *a = *b;
    *b = c;
}

static void sink(struct titles *t)
{
    for (size_t i = 0, child; (child = 2 * i + 1) < t->n_best; i = child) {
        if (child + 1 < t->n_best &&
            is_worse(&t->best[child + 1], &t->best[child]))
            child++;
        if (!is_worse(&t->best[child], &t->best[i]))
            break;
        swap(&t->best[child], &t->best[i]);
    }
}

static void rise(struct titles *t, size_t i)
{
    while (i && is_worse(&t->best[i], &t->best[(i - 1) / 2])) {
        swap(&t->best[i], &t->best[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static void offer(struct titles *t, struct str title, uint64_t views)
{
    struct ranked r = {title, views};

    if (t->n_best == t->c.keep) {
        if (!t->c.keep || is_worse(&r, &t->best[0]))
            return;
        free((char *)t->best[0].text.p);
        r.text.p = xstrndup(title);
        t->best[0] = r;
        sink(t);
        return;
    }
    r.text.p = xstrndup(title);
    t->best = xgrow(t->best, &t->cap_best, t->n_best + 1, sizeof *t->best);
    t->best[t->n_best] = r;
    rise(t, t->n_best++);
}

static int compare_ranked(const void *a, const void *b)
{
    return is_worse(a, b) ? 1 : is_worse(b, a) ? -1 : 0;
}

/* Every title once, with its sum: the best are kept. */
static int offer_all(struct titles *t, struct keycount_merge *m, struct err *e)
{
    struct str title;
    uint64_t views;
    bool more = true;
    int rc = 0;

    while (!rc && more) {
        rc = keycount_merge_next(m, &title, &views, &more, e);
        if (rc || !more)
            break;
        t->stats.titles++;
        if (views < t->c.min_views)
            continue;
        t->stats.ranked++;
        offer(t, title, views);
    }
    return rc;
}

int titles_rank(struct titles *t, struct query_candidates *to, struct err *e)
{
    struct keycount **sums = xcalloc(t->n_readers, sizeof(struct keycount *));
    struct keycount_merge *m = NULL;
    int rc;

    for (size_t i = 0; i < t->n_readers; i++)
        sums[i] = t->readers[i].sums;
    rc = keycount_merge_open(&m, sums, t->n_readers, e);
    if (!rc)
        rc = offer_all(t, m, e);
    keycount_merge_close(m);
    for (size_t i = 0; i < t->n_readers; i++)
        t->stats.spilled += keycount_spilled(sums[i]);
    free(sums);
    if (rc)
        return rc;
    if (t->n_best)
        qsort(t->best, t->n_best, sizeof *t->best, compare_ranked);
    for (size_t i = 0; i < t->n_best; i++)
        query_candidates_add(to, t->best[i].text)->views = t->best[i].views;
    return 0;
}

void titles_stats(const struct titles *t, struct titles_stats *s)
{
    *s = t->stats;
}
