#include "crawler/fetch_host.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/mem.h"

#define TABLE_MIN  256 /* slots; both tables double when full */
#define TRIM_STEPS 64  /* idle hosts looked at in one go */

/* ---- queues ---- */

void queue_push(struct fetch_queue *q, struct fetch_job *j)
{
    j->next = NULL;
    if (q->last)
        q->last->next = j;
    else
        q->first = j;
    q->last = j;
    q->n++;
}

void queue_push_front(struct fetch_queue *q, struct fetch_job *j)
{
    j->next = q->first;
    q->first = j;
    if (!q->last)
        q->last = j;
    q->n++;
}

struct fetch_job *queue_pop(struct fetch_queue *q)
{
    struct fetch_job *j = q->first;

    if (!j)
        return NULL;
    q->first = j->next;
    if (!q->first)
        q->last = NULL;
    q->n--;
    j->next = NULL;
    return j;
}

/* ---- tables ---- */

void hosts_init(struct fetch_hosts *s, size_t idle_max, size_t robots_max)
{
    memset(s, 0, sizeof *s);
    s->hosts_size = s->ips_size = TABLE_MIN;
    s->hosts = xcalloc(s->hosts_size, sizeof(struct fetch_host *));
    s->ips = xcalloc(s->ips_size, sizeof(struct fetch_ip *));
    s->idle_max = idle_max;
    s->robots_max = robots_max;
    /* without it (an old kernel) the order in a chain can be foreseen */
    if (getrandom(&s->seed, sizeof s->seed, GRND_NONBLOCK) < 0)
        s->seed = (uint64_t)(uintptr_t)s;
}

static void grow_hosts(struct fetch_hosts *s)
{
    size_t size = s->hosts_size * 2;
    struct fetch_host **v = xcalloc(size, sizeof(struct fetch_host *));

    for (size_t i = 0; i < s->hosts_size; i++)
        while (s->hosts[i]) {
            struct fetch_host *h = s->hosts[i];

            s->hosts[i] = h->hash_next;
            h->hash_next = v[h->hash & (size - 1)];
            v[h->hash & (size - 1)] = h;
        }
    free(s->hosts);
    s->hosts = v;
    s->hosts_size = size;
}

struct fetch_host *hosts_find(const struct fetch_hosts *s, struct str name)
{
    uint64_t hash = hash_xxh3_seeded(name, s->seed);
    struct fetch_host *h = s->hosts[hash & (s->hosts_size - 1)];

    while (h &&
           (h->hash != hash || !str_eq(str_make(h->name, h->name_n), name)))
        h = h->hash_next;
    return h;
}

struct fetch_host *hosts_get(struct fetch_hosts *s, struct str name)
{
    struct fetch_host *h = hosts_find(s, name);
    struct netguard_addr ignored;

    if (h)
        return h;
    if (s->n_hosts >= s->hosts_size)
        grow_hosts(s);
    h = xcalloc(1, sizeof *h + name.n + 1);
    memcpy(h->name, name.p, name.n);
    h->name_n = name.n;
    h->hash = hash_xxh3_seeded(name, s->seed);
    h->heap_at = SIZE_MAX;
    h->limit = 1;
    h->literal = netguard_literal(name, &ignored);
    h->hash_next = s->hosts[h->hash & (s->hosts_size - 1)];
    s->hosts[h->hash & (s->hosts_size - 1)] = h;
    s->n_hosts++;
    return h;
}

struct fetch_origin *hosts_origin(struct fetch_host *h, bool https,
                                  unsigned port)
{
    struct fetch_origin *o = h->origins;

    while (o && (o->https != https || o->port != port))
        o = o->next;
    if (o)
        return o;
    o = xcalloc(1, sizeof *o);
    o->host = h;
    o->https = https;
    o->port = port;
    o->next = h->origins;
    h->origins = o;
    return o;
}

void hosts_set_robots(struct fetch_hosts *s, struct fetch_origin *o,
                      struct robots *r, enum fetch_reason forbids,
                      int64_t until_s)
{
    if (o->robots)
        s->robots_bytes -= o->robots->bytes;
    robots_free(o->robots);
    o->robots = r;
    if (r)
        s->robots_bytes += r->bytes;
    o->forbids = forbids;
    o->until_s = until_s;
    o->state = ROBOTS_KNOWN;
}

static void free_host(struct fetch_hosts *s, struct fetch_host *h)
{
    struct fetch_host **at = &s->hosts[h->hash & (s->hosts_size - 1)];

    while (*at != h)
        at = &(*at)->hash_next;
    *at = h->hash_next;
    s->n_hosts--;
    while (h->origins) {
        struct fetch_origin *o = h->origins;

        h->origins = o->next;
        if (o->robots)
            s->robots_bytes -= o->robots->bytes;
        robots_free(o->robots);
        free(o);
    }
    free(h);
}

/* ---- the heap ---- */

static void heap_set(struct fetch_hosts *s, size_t i, struct fetch_host *h)
{
    s->heap[i] = h;
    h->heap_at = i;
}

static void heap_up(struct fetch_hosts *s, size_t i)
{
    struct fetch_host *h = s->heap[i];

    while (i > 0 && s->heap[(i - 1) / 2]->ready_ms > h->ready_ms) {
        heap_set(s, i, s->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    heap_set(s, i, h);
}

static void heap_down(struct fetch_hosts *s, size_t i)
{
    struct fetch_host *h = s->heap[i];

    for (;;) {
        size_t kid = 2 * i + 1;

        if (kid >= s->heap_n)
            break;
        if (kid + 1 < s->heap_n &&
            s->heap[kid + 1]->ready_ms < s->heap[kid]->ready_ms)
            kid++;
        if (s->heap[kid]->ready_ms >= h->ready_ms)
            break;
        heap_set(s, i, s->heap[kid]);
        i = kid;
    }
    heap_set(s, i, h);
}

static void heap_add(struct fetch_hosts *s, struct fetch_host *h)
{
    s->heap = xgrow(s->heap, &s->heap_cap, s->heap_n + 1, sizeof *s->heap);
    heap_set(s, s->heap_n++, h);
    heap_up(s, h->heap_at);
}

static void heap_remove(struct fetch_hosts *s, struct fetch_host *h)
{
    size_t i = h->heap_at;
    struct fetch_host *moved = s->heap[--s->heap_n];

    h->heap_at = SIZE_MAX;
    if (moved == h)
        return;
    heap_set(s, i, moved);
    heap_up(s, i);
    heap_down(s, moved->heap_at);
}

/* ---- the two lists, which share prev and next ---- */

static void unlink_idle(struct fetch_hosts *s, struct fetch_host *h)
{
    if (h->prev)
        h->prev->next = h->next;
    else
        s->idle_first = h->next;
    if (h->next)
        h->next->prev = h->prev;
    else
        s->idle_last = h->prev;
    h->prev = h->next = NULL;
    h->idle = false;
    s->n_idle--;
}

static void add_idle(struct fetch_hosts *s, struct fetch_host *h)
{
    h->prev = s->idle_last;
    h->next = NULL;
    if (h->prev)
        h->prev->next = h;
    else
        s->idle_first = h;
    s->idle_last = h;
    h->idle = true;
    s->n_idle++;
}

static void unlink_wait(struct fetch_host *h)
{
    struct fetch_ip *ip = h->waits;

    if (h->prev)
        h->prev->next = h->next;
    else
        ip->first = h->next;
    if (h->next)
        h->next->prev = h->prev;
    else
        ip->last = h->prev;
    h->prev = h->next = NULL;
    h->waits = NULL;
}

/* Out of whatever place h is in. */
static void unfile(struct fetch_hosts *s, struct fetch_host *h)
{
    if (h->heap_at != SIZE_MAX)
        heap_remove(s, h);
    if (h->idle)
        unlink_idle(s, h);
    if (h->waits)
        unlink_wait(h);
}

/* Has h a job that a turn could do something about? */
static bool has_work(const struct fetch_host *h)
{
    if (h->urgent.n)
        return true;
    return h->queue.n && h->queue.first->origin->state != ROBOTS_PENDING;
}

uint64_t hosts_when(const struct fetch_hosts *s)
{
    return s->heap_n ? s->heap[0]->ready_ms : UINT64_MAX;
}

/* ---- IP addresses ---- */

static uint64_t hash_ip(const struct fetch_hosts *s,
                        const struct netguard_addr *a)
{
    return hash_xxh3_seeded(str_make((const char *)a->bytes, a->v6 ? 16 : 4),
                            s->seed);
}

static void grow_ips(struct fetch_hosts *s)
{
    size_t size = s->ips_size * 2;
    struct fetch_ip **v = xcalloc(size, sizeof(struct fetch_ip *));

    for (size_t i = 0; i < s->ips_size; i++)
        while (s->ips[i]) {
            struct fetch_ip *ip = s->ips[i];

            s->ips[i] = ip->hash_next;
            ip->hash_next = v[ip->hash & (size - 1)];
            v[ip->hash & (size - 1)] = ip;
        }
    free(s->ips);
    s->ips = v;
    s->ips_size = size;
}

static struct fetch_ip *get_ip(struct fetch_hosts *s,
                               const struct netguard_addr *addr)
{
    uint64_t hash = hash_ip(s, addr);
    struct fetch_ip *ip = s->ips[hash & (s->ips_size - 1)];

    while (ip && !netguard_same(&ip->addr, addr))
        ip = ip->hash_next;
    if (ip)
        return ip;
    if (s->n_ips >= s->ips_size)
        grow_ips(s);
    ip = xcalloc(1, sizeof *ip);
    ip->hash = hash;
    ip->addr = *addr;
    ip->hash_next = s->ips[hash & (s->ips_size - 1)];
    s->ips[hash & (s->ips_size - 1)] = ip;
    s->n_ips++;
    return ip;
}

static void drop_ip(struct fetch_hosts *s, struct fetch_ip *ip)
{
    struct fetch_ip **at = &s->ips[ip->hash & (s->ips_size - 1)];

    if (ip->in_flight || ip->chances || ip->first)
        return;
    while (*at != ip)
        at = &(*at)->hash_next;
    *at = ip->hash_next;
    s->n_ips--;
    free(ip);
}

/*
 * A chance is a place held for the host that was woken, so that those who come
 * later do not overtake those who wait.
 */
struct fetch_ip *hosts_take_ip(struct fetch_hosts *s, struct fetch_host *h,
                               const struct netguard_addr *addr)
{
    struct fetch_ip *ip = get_ip(s, addr);
    bool mine = h->woken == ip;

    if (mine ? ip->in_flight < FETCH_PER_IP
             : ip->in_flight + ip->chances < FETCH_PER_IP && !ip->first) {
        ip->in_flight++;
        return ip;
    }
    unfile(s, h);
    h->waits = ip;
    h->next = NULL;
    h->prev = ip->last;
    if (h->prev)
        h->prev->next = h;
    else
        ip->first = h;
    ip->last = h;
    return NULL;
}

/* Let the first in line have its turn. */
static void wake_one(struct fetch_hosts *s, struct fetch_ip *ip)
{
    struct fetch_host *h = ip->first;

    if (!h || ip->in_flight + ip->chances >= FETCH_PER_IP)
        return;
    unlink_wait(h);
    h->woken = ip;
    ip->chances++;
    heap_add(s, h);
}

void hosts_leave_ip(struct fetch_hosts *s, struct fetch_ip *ip)
{
    ip->in_flight--;
    wake_one(s, ip);
    drop_ip(s, ip);
}

/* h has had its turn; if the place is still free, the next may. */
static void pass_on(struct fetch_hosts *s, struct fetch_host *h)
{
    struct fetch_ip *ip = h->woken;

    if (!ip)
        return;
    h->woken = NULL;
    ip->chances--;
    wake_one(s, ip);
    drop_ip(s, ip);
}

/* ---- filing ---- */

void hosts_file(struct fetch_hosts *s, struct fetch_host *h)
{
    bool may = has_work(h) && !h->resolving && h->in_flight < h->limit;

    if (h->held || (h->waits && may))
        return; /* a place in the line is kept */
    unfile(s, h);
    if (may)
        heap_add(s, h);
    else
        pass_on(s, h);
    if (h->urgent.n + h->queue.n + h->in_flight + h->pins == 0 && !h->resolving)
        add_idle(s, h);
}

void hosts_hold(struct fetch_hosts *s, struct fetch_host *h)
{
    unfile(s, h);
    h->held = true;
}

void hosts_unhold(struct fetch_hosts *s, struct fetch_host *h)
{
    h->held = false;
    pass_on(s, h); /* its chance, if it had one, is used or gone */
    hosts_file(s, h);
}

struct fetch_host *hosts_next(struct fetch_hosts *s, uint64_t now_ms)
{
    struct fetch_host *h;

    if (s->heap_n == 0 || s->heap[0]->ready_ms > now_ms)
        return NULL;
    h = s->heap[0];
    hosts_hold(s, h);
    return h;
}

/* ---- forgetting ---- */

void hosts_trim(struct fetch_hosts *s, uint64_t now_ms)
{
    struct fetch_host *h = s->idle_first;

    for (int i = 0; h && i < TRIM_STEPS; i++) {
        struct fetch_host *next = h->next;

        if (s->n_idle <= s->idle_max && s->robots_bytes <= s->robots_max)
            return;
        /* a host asked for peace is remembered until it has had it */
        if (h->ready_ms <= now_ms && h->away_ms <= now_ms) {
            unlink_idle(s, h);
            free_host(s, h);
        }
        h = next;
    }
}

void hosts_release(struct fetch_hosts *s)
{
    for (size_t i = 0; i < s->hosts_size; i++)
        while (s->hosts[i])
            free_host(s, s->hosts[i]);
    for (size_t i = 0; i < s->ips_size; i++)
        while (s->ips[i]) {
            struct fetch_ip *ip = s->ips[i];

            s->ips[i] = ip->hash_next;
            free(ip);
        }
    free(s->hosts);
    free(s->ips);
    free(s->heap);
    memset(s, 0, sizeof *s);
}

void hosts_check(const struct fetch_hosts *s)
{
    size_t n = 0, idle = 0, in_heap = 0;

    for (size_t i = 0; i < s->hosts_size; i++)
        for (struct fetch_host *h = s->hosts[i]; h; h = h->hash_next) {
            bool heaped = h->heap_at != SIZE_MAX;

            n++;
            idle += h->idle;
            in_heap += heaped;
            /* one place at most */
            assert(heaped + h->idle + (h->waits != NULL) <= 1);
            assert(!heaped || s->heap[h->heap_at] == h);
            /* what could go on is somewhere it will be found */
            assert(heaped || h->waits || h->resolving || h->held ||
                   h->in_flight >= h->limit || !has_work(h));
            assert(h->in_flight <= h->limit);
            assert(!h->woken || heaped || h->held);
            assert(!h->idle || h->urgent.n + h->queue.n == 0);
        }
    for (size_t i = 1; i < s->heap_n; i++)
        assert(s->heap[(i - 1) / 2]->ready_ms <= s->heap[i]->ready_ms);
    for (size_t i = 0; i < s->ips_size; i++)
        for (struct fetch_ip *ip = s->ips[i]; ip; ip = ip->hash_next) {
            assert(ip->in_flight <= FETCH_PER_IP);
            assert(ip->in_flight + ip->chances >= FETCH_PER_IP || !ip->first);
        }
    assert(n == s->n_hosts && idle == s->n_idle && in_heap == s->heap_n);
    (void)n;
    (void)idle;
    (void)in_heap;
}
