#include "crawler/fetch_internal.h"

#include <assert.h>
#include <stdlib.h>

#define TURN_DECISIONS 256 /* jobs decided without asking, in one turn */

enum look {
    LOOK_GO,      /* may be sent now, to the address found */
    LOOK_WAIT,    /* for DNS or a robots.txt; something files the host again */
    LOOK_DECIDED, /* needs no request any more */
    LOOK_TROUBLE  /* DNS had no answer: again later */
};

struct fetch_host *fetch_host_of(struct fetch *f, struct str name)
{
    struct fetch_host *h = hosts_find(&f->hosts, name);
    unsigned limit;

    if (h)
        return h;
    h = hosts_get(&f->hosts, name);
    h->fetch = f;
    limit = fetch_limit_of(f, name);
    if (limit) {
        h->limit = limit;
        h->own_limit = true;
    }
    return h;
}

bool fetch_aim(struct fetch *f, struct fetch_job *j, struct str url)
{
    struct url_parts p;
    char *hop;

    if (!url_split(url, &p))
        return false;
    hop = xstrndup(url);
    free(j->hop);
    j->hop = hop;
    j->host = fetch_host_of(f, p.host);
    j->origin = hosts_origin(j->host, str_eq(p.scheme, STR("https")), p.port);
    j->origin->resolve = fetch_resolve_of(f, p.host, p.port);
    j->seen[j->redirects] = hash_xxh3(url);
    j->rotations = 0;
    return true;
}

void fetch_enqueue(struct fetch *f, struct fetch_job *j, bool front)
{
    struct fetch_queue *q =
        j->kind == FETCH_ROBOTS ? &j->host->urgent : &j->host->queue;

    if (front)
        queue_push_front(q, j);
    else
        queue_push(q, j);
    hosts_file(&f->hosts, j->host);
}

void fetch_free_job(struct fetch_job *j)
{
    free(j->hop);
    free(j);
}

/* ---- addresses ---- */

static void start_lookup(struct fetch *f, struct fetch_host *h);

static void next_lookup(struct fetch *f)
{
    struct fetch_host *h = f->lookup_first;

    if (!h || f->lookups >= FETCH_LOOKUPS_MAX)
        return;
    f->lookup_first = h->next;
    if (!f->lookup_first)
        f->lookup_last = NULL;
    h->next = NULL;
    start_lookup(f, h);
}

static void on_lookup(void *ctx, const struct dns_answer *a)
{
    struct fetch_host *h = ctx;
    struct fetch *f = h->fetch;
    uint32_t ttl = a->ttl_s;

    if (ttl < FETCH_DNS_TTL_MIN)
        ttl = FETCH_DNS_TTL_MIN;
    if (ttl > FETCH_DNS_TTL_MAX)
        ttl = FETCH_DNS_TTL_MAX;
    f->lookups--;
    h->lookup = a->result;
    h->lookup_until_ms = clock_mono_ms() + ttl * UINT64_C(1000);
    h->n_addrs = h->addr_at = 0;
    h->fresh = true; /* a connection from before may lead elsewhere */
    for (size_t i = 0; i < a->n; i++)
        if (netguard_permits(&f->guard, &a->addrs[i]))
            h->addrs[h->n_addrs++] = a->addrs[i];
    h->resolving = false;
    hosts_file(&f->hosts, h);
    next_lookup(f);
}

static void start_lookup(struct fetch *f, struct fetch_host *h)
{
    f->lookups++;
    f->stats.lookups++;
    dns_lookup(f->dns, h->name, on_lookup, h);
}

static void ask_dns(struct fetch *f, struct fetch_host *h)
{
    h->resolving = true;
    if (f->lookups < FETCH_LOOKUPS_MAX) {
        start_lookup(f, h);
        return;
    }
    h->next = NULL; /* a host that resolves is in no other list */
    if (f->lookup_last)
        f->lookup_last->next = h;
    else
        f->lookup_first = h;
    f->lookup_last = h;
}

static enum look look_up(struct fetch *f, struct fetch_host *h,
                         struct netguard_addr *addr, enum fetch_reason *why)
{
    if (h->literal) {
        bool sound = netguard_literal(str_make(h->name, h->name_n), addr) > 0;

        /* --no-dns means: nowhere but where I sent you */
        *why = !sound                                          ? FETCH_R_URL
               : !f->dns && !netguard_allowed(&f->guard, addr) ? FETCH_R_NO_DNS
                                                               : FETCH_R_NONE;
        return *why ? LOOK_DECIDED : LOOK_GO;
    }
    if (!f->dns) {
        *why = FETCH_R_NO_DNS;
        return LOOK_DECIDED;
    }
    if (h->lookup_until_ms <= clock_mono_ms()) {
        ask_dns(f, h);
        return LOOK_WAIT;
    }
    if (h->lookup == DNS_FAILED) {
        h->lookup_until_ms = 0;
        return LOOK_TROUBLE;
    }
    if (h->n_addrs == 0) {
        *why = h->lookup == DNS_NO_HOST ? FETCH_R_NO_HOST : FETCH_R_ADDRESS;
        return LOOK_DECIDED;
    }
    *addr = h->addrs[h->addr_at % h->n_addrs];
    return LOOK_GO;
}

/* ---- one job ---- */

static enum look look_at(struct fetch *f, struct fetch_job *j,
                         struct netguard_addr *addr, enum fetch_reason *why)
{
    const struct fetch_origin *o = j->origin;
    enum look look;

    if (j->host->away_ms > clock_mono_ms()) {
        *why = FETCH_R_AWAY;
        return LOOK_DECIDED;
    }
    if (o->resolve) {
        *addr = o->resolve->addr;
    } else if (!netguard_port(o->port)) {
        *why = FETCH_R_PORT;
        return LOOK_DECIDED;
    } else {
        look = look_up(f, j->host, addr, why);
        if (look != LOOK_GO)
            return look;
    }
    if (!netguard_permits(&f->guard, addr)) {
        *why = FETCH_R_ADDRESS;
        return LOOK_DECIDED;
    }
    if (j->kind == FETCH_ROBOTS)
        return LOOK_GO;
    if (!fetch_robots_ready(f, j->origin))
        return LOOK_WAIT;
    *why = fetch_robots_judge(j->origin, str_of(j->hop));
    if (*why == FETCH_R_SIGNAL)
        consent_add(&j->consent, CONSENT_AI_TRAIN);
    return *why ? LOOK_DECIDED : LOOK_GO;
}

static void start(struct fetch *f, struct fetch_job *j, struct fetch_ip *ip,
                  const struct netguard_addr *addr)
{
    struct fetch_host *h = j->host;
    struct http_request r = {0};
    struct url_parts parts;

    url_split(str_of(j->hop), &parts);
    r.url = j->hop;
    r.host = parts.host; /* as curl will read it, final dot and all */
    r.port = j->origin->port;
    r.literal = h->literal != 0;
    r.kind = j->kind;
    r.addr = *addr;
    r.connect_port = j->origin->resolve ? j->origin->resolve->port2 : 0;
    r.fresh = h->fresh;
    r.body_max = j->kind == FETCH_PAGE    ? f->config.page_max
                 : j->kind == FETCH_IMAGE ? f->config.image_max
                                          : FETCH_ROBOTS_BYTES;
    r.user = j;
    j->ip = ip;
    j->addr = *addr;
    j->tries++;
    h->fresh = false;
    h->in_flight++;
    f->in_flight++;
    f->stats.requests++;
    f->stats.robots += j->kind == FETCH_ROBOTS;
    if (h->limit > 1) /* several at a time still start one by one */
        h->ready_ms = clock_mono_ms() + fetch_delay_ms(f, h, addr, 0);
    http_start(f->http, &r);
}

/* What is next at h: a robots.txt before all, then the queue, unless its head
 * waits for one. */
static struct fetch_queue *next_queue(struct fetch_host *h)
{
    if (h->urgent.n)
        return &h->urgent;
    if (h->queue.n && h->queue.first->origin->state != ROBOTS_PENDING)
        return &h->queue;
    return NULL;
}

/* Decide what can be decided, start what may be started; false: the turn is
 * over. */
static bool turn_once(struct fetch *f, struct fetch_host *h)
{
    struct fetch_queue *q = next_queue(h);
    enum fetch_reason why = FETCH_R_NONE;
    struct netguard_addr addr;
    struct fetch_ip *ip = NULL;
    struct fetch_job *j;

    if (!q || h->resolving)
        return false;
    j = q->first;
    switch (look_at(f, j, &addr, &why)) {
    case LOOK_WAIT:
        return h->urgent.n > 0 && !h->resolving;
    case LOOK_DECIDED:
        queue_pop(q);
        fetch_finish(f, j, why, NULL);
        return true;
    case LOOK_TROUBLE:
        queue_pop(q);
        fetch_later(f, j, FETCH_R_DNS, NULL);
        return false;
    case LOOK_GO:
        break;
    }
    if (h->in_flight >= h->limit || h->ready_ms > clock_mono_ms() ||
        f->in_flight >= f->config.in_flight)
        return false;
    if (!h->own_limit && !(ip = hosts_take_ip(&f->hosts, h, &addr)))
        return false;
    queue_pop(q);
    start(f, j, ip, &addr);
    return true;
}

void fetch_turn(struct fetch *f, struct fetch_host *h)
{
    size_t had = h->queue.n;
    int left = TURN_DECISIONS;

    assert(h->held);
    while (left-- > 0 && turn_once(f, h))
        ;
    hosts_unhold(&f->hosts, h);
    if (had && h->queue.n == 0 && f->cb.low && !f->stopping)
        f->cb.low(f->cb.ctx, str_make(h->name, h->name_n));
}
