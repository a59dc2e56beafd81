#include "filter/plan.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "filter/plan_target.h"
#include "filter/scan.h"

static unsigned threads_of(const struct plan *p)
{
    return stage_threads(&p->config->stage);
}

/* ---- one cap ---- */

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

uint64_t plan_tail_cap(const uint64_t *c, uint32_t n, uint64_t share)
{
    uint64_t *v = xcalloc((size_t)n + 1, sizeof *v), total = 0, sum = 0, t = 0;
    unsigned __int128 best = 0;

    if (n)
        memcpy(v, c, n * sizeof *v);
    qsort(v, n, sizeof *v, ascending);
    for (uint32_t i = 0; i < n; i++)
        total += v[i];
    for (uint32_t i = 0; i < n; i++) {
        unsigned __int128 here, aim = (unsigned __int128)share * total, off;

        sum += v[i];
        here = (unsigned __int128)sum * PLAN_SHARE_ONE;
        off = here > aim ? here - aim : aim - here;
        if (i && off >= best)
            continue;
        best = off;
        t = v[i];
    }
    free(v);
    return t ? t : 1;
}

/* ---- ranks ---- */

static void use_ranks(struct plan *p)
{
    p->caps.first = p->ranks.first;
    p->caps.ranks = p->ranks.ranks;
    p->caps.ties = p->ranks.ties;
    p->caps.n_ties = p->ranks.n_ties;
}

static int make_ranks(struct plan *p, uint64_t depth, struct err *e)
{
    struct plan_ranks_config config = {.threads = threads_of(p),
                                       .memory_bytes = p->config->memory_bytes,
                                       .depth = depth,
                                       .slack = p->config->slack};
    int rc;

    plan_ranks_release(&p->ranks);
    rc = plan_ranks_make(&p->ranks, p->corpus, p->counts, p->draws, &config, e);
    p->caps.exact = true;
    use_ranks(p);
    return rc;
}

/* Draws and ranks differ by a hundredth where t is in the thousands, so the
 * cap by draws tells how many ranks will do; where they do not, twice as
 * many. */
static int find_exact(struct plan *p, uint64_t by_draws, uint64_t *cap,
                      struct err *e)
{
    uint64_t depth = by_draws + by_draws / 16 + 64;
    struct plan_target found = {.found = false};
    int rc = 0;

    for (; !rc && !found.found; depth *= 2) {
        rc = make_ranks(p, depth, e);
        if (!rc)
            rc = plan_target_find(&found, p->corpus, p->draws, &p->caps,
                                  p->config->target, threads_of(p), e);
    }
    *cap = found.cap;
    return rc;
}

static int find_target(struct plan *p, uint64_t *cap, struct err *e)
{
    struct plan_target found;
    int rc = plan_target_find(&found, p->corpus, p->draws, &p->caps,
                              p->config->target, threads_of(p), e);

    if (!rc && p->config->exact)
        return find_exact(p, found.cap, cap, e);
    *cap = rc ? 0 : found.cap;
    return rc;
}

/* ---- the plans ---- */

static void prepare(struct plan *p)
{
    p->t = xcalloc(p->counts->n, sizeof *p->t);
    p->caps = (struct caps){
        .n = p->counts->n, .exact = false, .t = p->t, .c = p->counts->c};
}

static int finish(struct plan *p, struct err *e)
{
    for (uint32_t q = 0; q < p->counts->n; q++)
        if (p->t[q] > p->depth)
            p->depth = p->t[q];
    if (!p->config->exact || p->ranks.first)
        return 0;
    return make_ranks(p, p->depth, e);
}

int plan_first(struct plan *p, struct err *e)
{
    uint64_t cap = p->config->cap;
    int rc = 0;

    prepare(p);
    if (p->config->target)
        rc = find_target(p, &cap, e);
    else if (p->config->tail_share > 0)
        cap = plan_tail_cap(
            p->counts->c, p->counts->n,
            (uint64_t)(p->config->tail_share * PLAN_SHARE_ONE + 0.5));
    for (uint32_t q = 0; !rc && q < p->counts->n; q++)
        p->t[q] = qlist_group(p->list, q) == q ? cap : 0;
    return rc ? rc : finish(p, e);
}

/* ---- later rounds ---- */

struct use_item {
    struct draw_bytes bytes;
    struct outcomes_view outcomes;
    uint64_t not_asked;
};

struct use {
    struct plan *plan;
    const struct caps *first;    /* of round 0: what each query is to get */
    const struct caps *previous; /* what it was given so far */
    const struct outcomes *outcomes;
    _Atomic uint64_t *want, *usable; /* sums: their order is nothing to them */
    uint64_t not_asked;
};

static void use_init(void *ctx, void *item)
{
    struct use *u = ctx;
    struct use_item *i = item;

    i->not_asked = 0;
    outcomes_view_init(&i->outcomes, u->outcomes);
}

static void use_release(void *ctx, void *item)
{
    (void)ctx;
    outcomes_view_release(&((struct use_item *)item)->outcomes);
}

/* What became of the URL is asked once a query has drawn it: most pairs of a
 * large corpus none has. */
static int use_record(void *ctx, void *item, const struct scan_record *r,
                      struct err *e)
{
    struct use *u = ctx;
    struct use_item *to = item;
    const struct plan *p = u->plan;
    bool image = false, asked = false, selected = false;

    draw_table_fetch(p->draws, r->q, r->n_q);
    draw_begin(&to->bytes, p->draws->seed, r->uid);
    for (uint32_t i = 0; i < r->n_q; i++) {
        uint32_t q = r->q[i];
        uint64_t h = draw_table_hash(p->draws, q, &to->bytes);
        uint64_t d = caps_draw(u->previous, q, h, r->uid);

        if (d >= u->previous->t[q])
            continue;
        if (!selected) {
            int rc = outcomes_find(&to->outcomes,
                                   corpus_url_hash(p->corpus, r->url), r->url,
                                   &asked, &image, e);

            if (rc)
                return rc;
        }
        selected = true;
        if (d < u->first->t[q])
            atomic_fetch_add_explicit(&u->want[q], 1, memory_order_relaxed);
        if (image)
            atomic_fetch_add_explicit(&u->usable[q], 1, memory_order_relaxed);
    }
    to->not_asked += selected && !asked;
    return 0;
}

static int use_consume(void *ctx, void *item, struct err *e)
{
    struct use *u = ctx;
    struct use_item *from = item;

    (void)e;
    u->not_asked += from->not_asked;
    from->not_asked = 0;
    return 0;
}

static const struct scan_ops use_ops = {.item_size = sizeof(struct use_item),
                                        .init = use_init,
                                        .record = use_record,
                                        .consume = use_consume,
                                        .release = use_release};

/* In 128-bit integers where they multiply. */
uint64_t plan_raised_cap(uint64_t t, uint64_t c, uint64_t want, uint64_t usable)
{
    uint64_t u = usable ? usable : 1;
    unsigned __int128 next;

    if (usable >= want || t >= c)
        return t;
    if (want >= (unsigned __int128)4 * u)
        next = (unsigned __int128)4 * t;
    else
        next = ((unsigned __int128)t * want + u - 1) / u;
    return next < c ? (uint64_t)next : c;
}

static int count_use(struct use *u, struct err *e)
{
    const struct plan *p = u->plan;
    struct scan_config scan = {.threads = threads_of(p),
                               .n_queries = p->counts->n,
                               .label = "balance: losses"};
    int rc = scan_run(p->corpus, &scan, &use_ops, u, e);

    if (!rc && u->not_asked)
        rc = err_set(e, E_NOTFOUND,
                     "%llu pairs of the rounds so far have not been asked "
                     "for: run `witmill download %s` first",
                     (unsigned long long)u->not_asked, p->corpus->dir);
    return rc;
}

int plan_next(struct plan *p, const struct caps *first,
              const struct caps *previous, const struct outcomes *outcomes,
              struct err *e)
{
    struct use u = {
        .plan = p, .first = first, .previous = previous, .outcomes = outcomes};
    uint32_t n = p->counts->n;
    int rc;

    prepare(p);
    u.want = xcalloc(n, sizeof *u.want);
    u.usable = xcalloc(n, sizeof *u.usable);
    rc = count_use(&u, e);
    for (uint32_t q = 0; !rc && q < n; q++) {
        p->t[q] = plan_raised_cap(previous->t[q], p->counts->c[q], u.want[q],
                                  u.usable[q]);
        p->raised += p->t[q] != previous->t[q];
    }
    free(u.want);
    free(u.usable);
    return rc ? rc : finish(p, e);
}

void plan_release(struct plan *p)
{
    plan_ranks_release(&p->ranks);
    free(p->t);
    p->t = NULL;
}
