#include "base/err.h"
#include "base/mem.h"
#include "crawler/frontier_private.h"
#include <stdlib.h>

unsigned frontier_depth(const struct frontier *f, uint32_t url)
{
    return *frontier_mark(f, url) >> FRONTIER_STATE_BITS;
}

enum frontier_state frontier_state(const struct frontier *f, uint32_t url)
{
    return (enum frontier_state)(*frontier_mark(f, url) &
                                 ((1 << FRONTIER_STATE_BITS) - 1));
}

/* ---- ready lists: hosts that have a URL whose turn may come ---- */

static void ready_remove(struct frontier *f, uint32_t number)
{
    struct frontier_host *h = frontier_host_at(f, number);
    struct frontier_ready *list = &f->ready[h->ready_depth];

    if (!h->ready)
        return;
    if (h->before)
        frontier_host_at(f, h->before)->after = h->after;
    else
        list->first = h->after;
    if (h->after)
        frontier_host_at(f, h->after)->before = h->before;
    else
        list->last = h->before;
    h->before = h->after = 0;
    h->ready = false;
}

static void ready_append(struct frontier *f, uint32_t number, unsigned depth)
{
    struct frontier_host *h = frontier_host_at(f, number);
    struct frontier_ready *list = &f->ready[depth];

    h->ready = true;
    h->ready_depth = (uint16_t)depth;
    h->before = list->last;
    h->after = 0;
    if (list->last)
        frontier_host_at(f, list->last)->after = number;
    else
        list->first = number;
    list->last = number;
    if (depth < f->low)
        f->low = depth;
}

static bool below(uint64_t used, uint64_t limit)
{
    return limit == 0 || used < limit;
}

static bool host_affords(const struct frontier *f,
                         const struct frontier_host *h)
{
    return below((uint64_t)h->pages + h->out, f->limits.pages_per_host);
}

static bool domain_affords(const struct frontier *f,
                           const struct frontier_domain *d)
{
    return below((uint64_t)d->pages + d->out, f->limits.pages_per_domain);
}

static void wake_one(struct frontier *f, struct frontier_domain *d);

/* Put a host where its least depth says, or nowhere if it has no turn.  One
 * that drops out leaves its domain's budget to another. */
static void ready_update(struct frontier *f, uint32_t number)
{
    struct frontier_host *h = frontier_host_at(f, number);
    bool was = h->ready;
    unsigned depth;

    if (h->parked)
        return;
    if (h->held || h->n_levels == 0 || h->out >= f->limits.ahead ||
        !host_affords(f, h) || (depth = h->levels[0].depth) > f->limits.depth) {
        ready_remove(f, number);
        if (was)
            wake_one(f, frontier_domain_at(f, h->domain));
        return;
    }
    if (h->ready && h->ready_depth == depth)
        return;
    ready_remove(f, number);
    ready_append(f, number, depth);
}

static void park(struct frontier *f, uint32_t number)
{
    struct frontier_host *h = frontier_host_at(f, number);
    struct frontier_domain *d = frontier_domain_at(f, h->domain);

    h->parked = true;
    h->parked_after = d->parked;
    d->parked = number;
}

/* Wake a host that waits for its domain's budget, if there is some. */
static void wake_one(struct frontier *f, struct frontier_domain *d)
{
    bool woken = false;

    while (d->parked && !woken && domain_affords(f, d)) {
        uint32_t number = d->parked;
        struct frontier_host *h = frontier_host_at(f, number);

        d->parked = h->parked_after;
        h->parked = false;
        ready_update(f, number);
        woken = h->ready;
    }
}

/* ---- the set of URLs and hosts ---- */

struct frontier *frontier_new(const uint8_t key[SEEN_KEY_SIZE],
                              const struct frontier_limits *limits)
{
    struct frontier *f = xcalloc(1, sizeof *f);

    assert(limits->ahead >= 1);
    f->limits = *limits;
    if (f->limits.depth > FRONTIER_DEPTH_MAX)
        f->limits.depth = FRONTIER_DEPTH_MAX;
    seen_init(&f->urls, key);
    seen_init(&f->host_names, key);
    seen_init(&f->domain_names, key);
    return f;
}

void frontier_free(struct frontier *f)
{
    if (!f)
        return;
    for (uint32_t i = 0; i < f->host_names.n; i++)
        free(f->hosts[i].levels);
    for (size_t i = 0; i < f->n_nodes; i++)
        free(f->nodes[i]);
    free(f->nodes);
    free(f->cells);
    free(f->hosts);
    free(f->domains);
    seen_release(&f->urls);
    seen_release(&f->host_names);
    seen_release(&f->domain_names);
    free(f);
}

int frontier_host(struct frontier *f, struct str host, struct str domain,
                  uint32_t *number, bool *added)
{
    uint32_t d;
    bool new_domain;
    int rc = seen_add(&f->host_names, host, number, added);

    if (rc || !*added)
        return rc;
    rc = seen_add(&f->domain_names, domain, &d, &new_domain);
    if (rc)
        return rc;
    if (new_domain) {
        f->domains = xgrow(f->domains, &f->cap_domains, d, sizeof *f->domains);
        f->domains[d - 1] = (struct frontier_domain){0};
    }
    f->hosts = xgrow(f->hosts, &f->cap_hosts, *number, sizeof *f->hosts);
    f->hosts[*number - 1] = (struct frontier_host){.domain = d};
    return 0;
}

uint32_t frontier_find_host(const struct frontier *f, struct str host)
{
    return seen_find(&f->host_names, host);
}

uint32_t frontier_find(const struct frontier *f, struct str url)
{
    return seen_find(&f->urls, url);
}

uint32_t frontier_urls(const struct frontier *f)
{
    return f->urls.n;
}

uint32_t frontier_hosts(const struct frontier *f)
{
    return f->host_names.n;
}

int frontier_add(struct frontier *f, struct str url, uint32_t host,
                 unsigned depth, enum frontier_state state, uint32_t *number,
                 bool *added)
{
    int rc = seen_add(&f->urls, url, number, added);

    assert(depth <= FRONTIER_DEPTH_MAX && state != FRONTIER_TAKEN);
    if (rc || !*added)
        return rc;
    if ((*number - 1) / FRONTIER_NODES == f->n_nodes) {
        struct frontier_nodes *block = malloc(sizeof *block);
        if (!block)
            return -E_NOMEM;
        f->nodes =
            xgrow(f->nodes, &f->cap_nodes, f->n_nodes + 1, sizeof *f->nodes);
        f->nodes[f->n_nodes++] = block;
    }
    *frontier_next(f, *number) = 0;
    frontier_set_mark(f, *number, depth, state);
    if (state != FRONTIER_WAITING)
        return 0;
    rc = frontier_chain(f, *number, host, depth);
    ready_update(f, host);
    return rc;
}

int frontier_lower(struct frontier *f, uint32_t url, uint32_t host,
                   unsigned depth)
{
    enum frontier_state state = frontier_state(f, url);
    unsigned was = frontier_depth(f, url);
    int rc;

    assert(depth < was);
    frontier_set_mark(f, url, depth, state);
    if (state != FRONTIER_WAITING)
        return 0;
    f->waiting[was]--;
    rc = frontier_chain_again(f, url, host, depth);
    ready_update(f, host);
    return rc;
}

bool frontier_take(struct frontier *f, struct frontier_turn *t)
{
    if (!below(f->pages + f->out, f->limits.pages))
        return false;
    for (; f->low <= f->limits.depth; f->low++) {
        uint32_t number;

        while ((number = f->ready[f->low].first) != 0) {
            struct frontier_host *h = frontier_host_at(f, number);
            struct frontier_domain *d = frontier_domain_at(f, h->domain);

            ready_remove(f, number);
            if (!domain_affords(f, d)) {
                park(f, number);
                continue;
            }
            t->url = frontier_chain_pop(f, h, f->low);
            if (!t->url) { /* nothing but entries to pass over */
                ready_update(f, number);
                if (!h->ready)
                    wake_one(f, d);
                continue;
            }
            t->host = number;
            t->depth = frontier_depth(f, t->url);
            frontier_set_mark(f, t->url, t->depth, FRONTIER_TAKEN);
            f->waiting[t->depth]--;
            h->out++;
            d->out++;
            f->out++;
            ready_update(f, number);
            return true;
        }
    }
    return false;
}

void frontier_settle(struct frontier *f, uint32_t url,
                     enum frontier_state state)
{
    assert(state == FRONTIER_ENDED || state == FRONTIER_REDIRECT);
    if (frontier_state(f, url) == FRONTIER_WAITING)
        f->waiting[frontier_depth(f, url)]--;
    frontier_set_mark(f, url, frontier_depth(f, url), state);
}

void frontier_release(struct frontier *f, uint32_t host)
{
    struct frontier_host *h = frontier_host_at(f, host);
    struct frontier_domain *d = frontier_domain_at(f, h->domain);

    assert(h->out && d->out && f->out);
    h->out--;
    d->out--;
    f->out--;
    ready_update(f, host);
    wake_one(f, d);
}

void frontier_hold(struct frontier *f, uint32_t host)
{
    frontier_host_at(f, host)->held = true;
    ready_update(f, host);
}

void frontier_page(struct frontier *f, uint32_t host)
{
    struct frontier_host *h = frontier_host_at(f, host);

    h->pages++;
    frontier_domain_at(f, h->domain)->pages++;
    f->pages++;
    ready_update(f, host);
}

bool frontier_affords(const struct frontier *f, uint32_t host)
{
    const struct frontier_host *h = frontier_host_at(f, host);

    return below(f->pages + f->out, f->limits.pages) && host_affords(f, h) &&
           domain_affords(f, frontier_domain_at(f, h->domain));
}

void frontier_stats(const struct frontier *f, struct frontier_stats *out)
{
    *out = (struct frontier_stats){.urls = f->urls.n,
                                   .hosts = f->host_names.n,
                                   .domains = f->domain_names.n,
                                   .taken = f->out,
                                   .pages = f->pages};
    for (unsigned d = 0; d <= FRONTIER_DEPTH_MAX; d++)
        *(d <= f->limits.depth ? &out->waiting : &out->deeper) += f->waiting[d];
    out->bytes = sizeof *f + seen_bytes(&f->urls) + seen_bytes(&f->host_names) +
                 seen_bytes(&f->domain_names) +
                 f->n_nodes * sizeof(struct frontier_nodes) +
                 f->cap_cells * sizeof *f->cells +
                 f->cap_hosts * sizeof *f->hosts +
                 f->cap_domains * sizeof *f->domains;
    for (uint32_t i = 0; i < f->host_names.n; i++)
        out->bytes += f->hosts[i].cap_levels * sizeof(struct frontier_level);
}

/* The entries of h's chains that wait at their chain's depth. */
static void check_host(const struct frontier *f, const struct frontier_host *h,
                       uint64_t *seen)
{
    unsigned last = 0;

    for (uint32_t i = 0; i < h->n_levels; i++) {
        const struct frontier_level *l = &h->levels[i];

        assert(i == 0 || l->depth > last);
        last = l->depth;
        for (uint32_t u = l->head; u; u = *frontier_next(f, u))
            *seen += frontier_state(f, u) == FRONTIER_WAITING &&
                     frontier_depth(f, u) == l->depth;
        for (uint32_t c = l->moved; c; c = f->cells[c].next)
            *seen += frontier_state(f, f->cells[c].url) == FRONTIER_WAITING &&
                     frontier_depth(f, f->cells[c].url) == l->depth;
    }
    assert(!h->ready ||
           (h->n_levels && !h->parked && h->ready_depth == h->levels[0].depth));
}

void frontier_check(const struct frontier *f)
{
    uint64_t n[4] = {0}, chained = 0, waiting = 0, out = 0, ready = 0;

    for (uint32_t i = 1; i <= f->urls.n; i++)
        n[frontier_state(f, i)]++;
    for (uint32_t i = 0; i < f->host_names.n; i++) {
        check_host(f, &f->hosts[i], &chained);
        out += f->hosts[i].out;
        ready += f->hosts[i].ready;
    }
    for (unsigned d = 0; d <= FRONTIER_DEPTH_MAX; d++) {
        waiting += f->waiting[d];
        assert(d >= f->low || !f->ready[d].first);
        for (uint32_t h = f->ready[d].first; h;
             h = frontier_host_at(f, h)->after)
            ready--;
    }
    assert(n[FRONTIER_WAITING] == waiting && chained == waiting);
    assert(out == f->out && ready == 0);
    (void)n;
}
