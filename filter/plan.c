#include "filter/plan.h"

#include <stdlib.h>

#include "base/mem.h"
#include "filter/draw.h"
#include "filter/scan.h"

static unsigned threads_of(const struct plan *p)
{
    return stage_threads(&p->config->stage);
}

static const struct part whole = {0, 0};

/* The numbers of one pair's draws; a record has at most so many. */
struct draws {
    uint64_t *d;
};

static void draws_init(struct draws *w)
{
    w->d = xcalloc(PAIR_MATCHES_MAX, sizeof *w->d);
}

static int start_nothing(void *ctx, void *item, uint32_t bucket, bool *skip,
                         struct err *e)
{
    (void)ctx, (void)item, (void)bucket, (void)skip, (void)e;
    return 0;
}

static int finish_nothing(void *ctx, void *item, struct err *e)
{
    (void)ctx, (void)item, (void)e;
    return 0;
}

/* ---- exact: the ranks of every query ---- */

struct rank_item {
    struct rank_entry {
        uint32_t q;
        struct caps_rank rank;
    } *v;
    size_t n, cap;
};

static void rank_init(void *ctx, void *item)
{
    (void)ctx;
    *(struct rank_item *)item = (struct rank_item){0};
}

static void rank_release(void *ctx, void *item)
{
    (void)ctx;
    free(((struct rank_item *)item)->v);
}

static int rank_start(void *ctx, void *item, uint32_t bucket, bool *skip,
                      struct err *e)
{
    (void)ctx, (void)bucket, (void)skip, (void)e;
    ((struct rank_item *)item)->n = 0;
    return 0;
}

static int rank_pair(void *ctx, void *item, const struct pair *pair,
                     struct err *e)
{
    const struct plan *p = ctx;
    struct rank_item *r = item;

    for (uint32_t i = 0; i < pair->n_q; i++) {
        struct rank_entry *to;

        if (pair->q[i] >= p->counts->n)
            return err_set(e, E_STALE, "it matches query %u of %u",
                           pair->q[i], p->counts->n);
        r->v = xgrow(r->v, &r->cap, r->n + 1, sizeof *r->v);
        to = &r->v[r->n++];
        to->q = pair->q[i];
        to->rank.h = draw_hash(p->corpus->head.seed, pair->uid,
                               qlist_norm(p->list, pair->q[i]));
        memcpy(to->rank.uid, pair->uid, MD5_SIZE);
    }
    return 0;
}

/* first[q + 1] is where q's next rank goes while the ranks come in. */
static int rank_consume(void *ctx, void *item, struct err *e)
{
    struct plan *p = ctx;
    struct rank_item *r = item;

    for (size_t i = 0; i < r->n; i++) {
        uint64_t *at = &p->first[r->v[i].q + 1];

        if (*at >= p->first[p->counts->n + 1])
            return err_set(e, E_STALE, "unique/ has more matches than "
                                       "counts.bin: run gather --redo");
        p->ranks[(*at)++] = r->v[i].rank;
    }
    return 0;
}

static const struct scan_ops rank_ops = {
    sizeof(struct rank_item), rank_init,    rank_start,  rank_pair,
    finish_nothing,           rank_consume, rank_release};

/* first[] is laid out one place up while it is filled: first[q + 1] begins as
 * the start of q and ends as its end, which is the start of q + 1. */
static int make_ranks(struct plan *p, struct err *e)
{
    uint64_t sum = 0;
    uint32_t n = p->counts->n;
    int rc;

    p->first = xcalloc((size_t)n + 2, sizeof *p->first);
    for (uint32_t q = 0; q < n; q++) {
        p->first[q + 1] = sum;
        sum += p->counts->c[q];
    }
    p->first[n + 1] = sum;
    p->ranks = malloc((sum ? sum : 1) * sizeof *p->ranks);
    if (!p->ranks)
        return err_set(e, E_NOMEM,
                       "no memory for %llu ranks; without --exact none are "
                       "needed",
                       (unsigned long long)sum);
    rc = scan_run(p->corpus, whole, threads_of(p), "balance: ranks",
                  &rank_ops, p, e);
    for (uint32_t q = 0; !rc && q < n; q++) {
        uint64_t from = p->first[q], count = p->first[q + 1] - from;

        if (count != p->counts->c[q])
            return err_set(e, E_STALE, "counts.bin is not of this unique/: "
                                       "run gather --redo");
        qsort(p->ranks + from, count, sizeof *p->ranks, caps_rank_cmp);
    }
    return rc;
}

/* ---- --target: the distribution of s ---- */

struct target_item {
    struct draws draws;
    uint64_t *s;
    size_t n, cap;
};

struct target {
    struct plan *plan;
    uint64_t *histogram; /* pairs by s */
    uint64_t size;
    uint64_t pairs;
};

static void target_init(void *ctx, void *item)
{
    struct target_item *t = item;

    (void)ctx;
    *t = (struct target_item){0};
    draws_init(&t->draws);
}

static void target_release(void *ctx, void *item)
{
    struct target_item *t = item;

    (void)ctx;
    free(t->draws.d);
    free(t->s);
}

static int target_start(void *ctx, void *item, uint32_t bucket, bool *skip,
                        struct err *e)
{
    (void)ctx, (void)bucket, (void)skip, (void)e;
    ((struct target_item *)item)->n = 0;
    return 0;
}

static int target_pair(void *ctx, void *item, const struct pair *pair,
                       struct err *e)
{
    struct target *t = ctx;
    struct target_item *to = item;
    uint64_t s = UINT64_MAX;
    int rc = scan_draws(t->plan->corpus, t->plan->list, &t->plan->caps, pair,
                        to->draws.d, e);

    if (rc)
        return rc;
    for (uint32_t i = 0; i < pair->n_q; i++)
        if (to->draws.d[i] < s)
            s = to->draws.d[i];
    if (s >= t->size)
        return err_set(e, E_STALE, "a draw beyond every count: run gather "
                                   "--redo");
    to->s = xgrow(to->s, &to->cap, to->n + 1, sizeof *to->s);
    to->s[to->n++] = s;
    return 0;
}

static int target_consume(void *ctx, void *item, struct err *e)
{
    struct target *t = ctx;
    struct target_item *from = item;

    (void)e;
    for (size_t i = 0; i < from->n; i++)
        t->histogram[from->s[i]]++;
    t->pairs += from->n;
    return 0;
}

static const struct scan_ops target_ops = {
    sizeof(struct target_item), target_init,    target_start,  target_pair,
    finish_nothing,             target_consume, target_release};

/* The largest t at which at most N pairs have s < t; with fewer pairs than N,
 * the last s + 1. */
static uint64_t target_cap(const struct target *t, uint64_t n)
{
    uint64_t below = 0, last = 0;

    for (uint64_t s = 0; s < t->size; s++)
        if (t->histogram[s])
            last = s + 1;
    for (uint64_t s = 0; s < last; s++) {
        if (t->histogram[s] > n - below)
            return s;
        below += t->histogram[s];
    }
    return last;
}

static int find_target(struct plan *p, uint64_t *cap, struct err *e)
{
    struct target t = {.plan = p};
    int rc;

    for (uint32_t q = 0; q < p->counts->n; q++)
        if (p->counts->c[q] > t.size)
            t.size = p->counts->c[q];
    t.histogram = calloc(t.size + 1, sizeof *t.histogram);
    if (!t.histogram)
        return err_set(e, E_NOMEM, "no memory for %llu counts",
                       (unsigned long long)t.size);
    rc = scan_run(p->corpus, whole, threads_of(p), "balance: target",
                  &target_ops, &t, e);
    if (!rc)
        *cap = target_cap(&t, p->config->target);
    free(t.histogram);
    return rc;
}

/* ---- the plans ---- */

static int prepare(struct plan *p, struct err *e)
{
    int rc = 0;

    p->t = xcalloc(p->counts->n, sizeof *p->t);
    if (p->config->exact)
        rc = make_ranks(p, e);
    p->caps = (struct caps){.n = p->counts->n,
                            .exact = p->config->exact,
                            .t = p->t,
                            .c = p->counts->c,
                            .first = p->first,
                            .ranks = p->ranks};
    return rc;
}

int plan_first(struct plan *p, struct err *e)
{
    uint64_t cap = p->config->cap;
    int rc = prepare(p, e);

    if (!rc && p->config->target)
        rc = find_target(p, &cap, e);
    for (uint32_t q = 0; !rc && q < p->counts->n; q++)
        p->t[q] = qlist_group(p->list, q) == q ? cap : 0;
    return rc;
}

struct use_item {
    struct draws draws;
    uint64_t *want, *usable; /* by query id */
    uint64_t not_asked;
};

struct use {
    struct plan *plan;
    const struct caps *first;    /* of round 0: what each query is to get */
    const struct caps *previous; /* what it was given so far */
    const struct outcomes *outcomes;
    uint64_t *want, *usable;
    uint64_t not_asked;
};

static void use_init(void *ctx, void *item)
{
    struct use *u = ctx;
    struct use_item *i = item;

    *i = (struct use_item){0};
    draws_init(&i->draws);
    i->want = xcalloc(u->plan->counts->n, sizeof *i->want);
    i->usable = xcalloc(u->plan->counts->n, sizeof *i->usable);
}

static void use_release(void *ctx, void *item)
{
    struct use_item *i = item;

    (void)ctx;
    free(i->draws.d);
    free(i->want);
    free(i->usable);
}

static int use_pair(void *ctx, void *item, const struct pair *pair,
                    struct err *e)
{
    struct use *u = ctx;
    struct use_item *to = item;
    bool image = false, asked, selected = false;
    int rc = scan_draws(u->plan->corpus, u->plan->list, u->previous, pair,
                        to->draws.d, e);

    if (rc)
        return rc;
    asked = outcomes_find(u->outcomes, pair->url, &image);
    for (uint32_t i = 0; i < pair->n_q; i++) {
        uint32_t q = pair->q[i];

        if (to->draws.d[i] >= u->previous->t[q])
            continue;
        selected = true;
        to->want[q] += to->draws.d[i] < u->first->t[q];
        to->usable[q] += image;
    }
    to->not_asked += selected && !asked;
    return 0;
}

static int use_consume(void *ctx, void *item, struct err *e)
{
    struct use *u = ctx;
    struct use_item *from = item;

    (void)e;
    for (uint32_t q = 0; q < u->plan->counts->n; q++) {
        u->want[q] += from->want[q];
        u->usable[q] += from->usable[q];
        from->want[q] = from->usable[q] = 0;
    }
    u->not_asked += from->not_asked;
    from->not_asked = 0;
    return 0;
}

static const struct scan_ops use_ops = {
    sizeof(struct use_item), use_init,    start_nothing, use_pair,
    finish_nothing,          use_consume, use_release};

/* In 128-bit integers where they multiply. */
uint64_t plan_raised_cap(uint64_t t, uint64_t c, uint64_t want,
                         uint64_t usable)
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

int plan_next(struct plan *p, const struct caps *first,
              const struct caps *previous, const struct outcomes *outcomes,
              struct err *e)
{
    struct use u = {.plan = p,
                    .first = first,
                    .previous = previous,
                    .outcomes = outcomes};
    uint32_t n = p->counts->n;
    int rc = prepare(p, e);

    u.want = xcalloc(n, sizeof *u.want);
    u.usable = xcalloc(n, sizeof *u.usable);
    if (!rc)
        rc = scan_run(p->corpus, whole, threads_of(p), "balance: losses",
                      &use_ops, &u, e);
    if (!rc && u.not_asked)
        rc = err_set(e, E_NOTFOUND,
                     "%llu pairs of the rounds so far have not been asked "
                     "for: run `witmill download %s` first",
                     (unsigned long long)u.not_asked, p->corpus->dir);
    for (uint32_t q = 0; !rc && q < n; q++) {
        p->t[q] = plan_raised_cap(previous->t[q], p->counts->c[q],
                                  u.want[q], u.usable[q]);
        p->raised += p->t[q] != previous->t[q];
    }
    free(u.want);
    free(u.usable);
    return rc;
}

void plan_release(struct plan *p)
{
    free(p->t);
    free(p->first);
    free(p->ranks);
    *p = (struct plan){0};
}
