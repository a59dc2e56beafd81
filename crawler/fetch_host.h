/*
 * fetch_host - whose turn it is: hosts, their queues and delays, IP addresses.
 *
 * Model.   A host has a queue of jobs and one moment, ready_ms, before which
 *          nothing more is sent to it.  It is always in exactly one place:
 *            heap      has a job that may be looked at, and room in flight;
 *                      ordered by ready_ms
 *            IP wait   is ready, but its address has FETCH_PER_IP in flight
 *            neither   resolving, or all that it has waits for a robots.txt,
 *                      or its limit is in flight; what ends that files it
 *                      again with hosts_file()
 *            idle      nothing to do; the longest idle are forgotten first,
 *                      never before their delay has passed
 *          Invariants: hosts_check().
 * Owns.    Hosts, origins and IPs; jobs while they are queued.
 * Threads. One.
 * Cost.    O(log n) a filing; lookups by hash with a secret seed, since host
 *          names come from strangers.
 */
#ifndef CRAWLER_FETCH_HOST_H
#define CRAWLER_FETCH_HOST_H

#include "crawler/consent.h"
#include "crawler/dns.h"
#include "crawler/fetch.h"
#include "crawler/netguard.h"
#include "crawler/robots.h"
#include <stdbool.h>
#include <stdint.h>

struct fetch_host;

/* One submitted URL, or a robots.txt, on its way. */
struct fetch_job {
    struct fetch_job *next;
    struct fetch_host *host;        /* of the current hop */
    struct fetch_origin *origin;    /* of the current hop */
    struct fetch_origin *robots_of; /* FETCH_ROBOTS: who asked for it */
    char *hop;                      /* the URL now; url without redirects */
    void *user;
    enum fetch_kind kind;
    unsigned tries, failures, redirects, rotations;
    uint64_t seen[FETCH_REDIRECTS_MAX + 1]; /* hashes of the URLs so far */
    struct fetch_ip *ip;       /* in flight: where; NULL: not counted */
    struct netguard_addr addr; /* in flight: where */
    struct consent consent;    /* of all hops */
    size_t url_n;
    char url[]; /* as submitted, terminated */
};

struct fetch_queue {
    struct fetch_job *first, *last;
    size_t n;
};

enum robots_state { ROBOTS_UNKNOWN, ROBOTS_PENDING, ROBOTS_KNOWN };

/* scheme://host:port, what a robots.txt speaks for. */
struct fetch_origin {
    struct fetch_origin *next; /* of the same host */
    struct fetch_host *host;
    bool https;
    unsigned port;
    const struct fetch_resolve *resolve; /* --resolve, or NULL */
    enum robots_state state;
    enum fetch_reason forbids; /* all of it, for this reason; NONE: rules */
    struct robots *robots;     /* NULL: allows all */
    int64_t until_s;           /* wall clock; KNOWN no longer behind it */
};

/* --resolve HOST:PORT:ADDR:PORT2 */
struct fetch_resolve {
    char *host;
    unsigned port, port2;
    struct netguard_addr addr;
};

struct fetch_ip {
    struct fetch_ip *hash_next;
    uint64_t hash;
    struct netguard_addr addr;
    unsigned in_flight;
    unsigned chances; /* hosts woken for a place and not yet had their turn */
    struct fetch_host *first, *last; /* hosts that wait for a place */
};

struct fetch_host {
    struct fetch_host *hash_next;
    uint64_t hash;
    struct fetch_host *prev, *next; /* idle list, or those waiting for an IP */
    size_t heap_at;                 /* SIZE_MAX: not in the heap */
    bool idle;                      /* in the idle list */
    bool held;                      /* being worked on; in no place */
    struct fetch *fetch;            /* whose it is, for DNS answers */
    struct fetch_ip *waits;         /* in this one's waiting list */
    struct fetch_ip *woken;         /* has been given a chance on this one */
    struct fetch_queue urgent;      /* robots.txt jobs */
    struct fetch_queue queue;
    unsigned in_flight, limit; /* limit: 1 unless in the file */
    bool own_limit;            /* not counted on its IP */
    bool resolving;
    unsigned pins;              /* robots.txt jobs out for its origins */
    uint64_t ready_ms, away_ms; /* away: Retry-After beyond our patience */
    uint64_t backoff_ms;
    unsigned failures; /* in a row */
    struct fetch_origin *origins;
    int literal;              /* netguard_literal() of the name */
    enum dns_result lookup;   /* what DNS said */
    uint64_t lookup_until_ms; /* and until when that holds; 0: nothing */
    struct netguard_addr addrs[DNS_ADDRS_MAX]; /* the permitted ones */
    size_t n_addrs, addr_at;
    bool fresh; /* the address changed: no old connection */
    size_t name_n;
    char name[]; /* terminated */
};

struct fetch_hosts {
    struct fetch_host **hosts; /* hash table, chained */
    size_t n_hosts, hosts_size;
    struct fetch_ip **ips;
    size_t n_ips, ips_size;
    struct fetch_host **heap; /* by ready_ms */
    size_t heap_n, heap_cap;
    struct fetch_host *idle_first, *idle_last; /* oldest first */
    size_t n_idle, idle_max;
    uint64_t seed;
    size_t robots_bytes, robots_max; /* held by all origins */
};

void hosts_init(struct fetch_hosts *s, size_t idle_max, size_t robots_max);
void hosts_release(struct fetch_hosts *s); /* queues must be empty */

struct fetch_host *hosts_find(const struct fetch_hosts *s, struct str name);
struct fetch_host *hosts_get(struct fetch_hosts *s, struct str name);
struct fetch_origin *hosts_origin(struct fetch_host *h, bool https,
                                  unsigned port);

/* Take over r (NULL: all allowed) as what o's robots.txt says. */
void hosts_set_robots(struct fetch_hosts *s, struct fetch_origin *o,
                      struct robots *r, enum fetch_reason forbids,
                      int64_t until_s);

void queue_push(struct fetch_queue *q, struct fetch_job *j);
void queue_push_front(struct fetch_queue *q, struct fetch_job *j);
struct fetch_job *queue_pop(struct fetch_queue *q);

/* Put h where it belongs after any change to it; nothing while it is held. */
void hosts_file(struct fetch_hosts *s, struct fetch_host *h);

/* Take h out of its place while its fields change, and put it back. */
void hosts_hold(struct fetch_hosts *s, struct fetch_host *h);
void hosts_unhold(struct fetch_hosts *s, struct fetch_host *h);

/* The host whose turn is next, held, or NULL before its time. */
struct fetch_host *hosts_next(struct fetch_hosts *s, uint64_t now_ms);

/* When that will be; UINT64_MAX: nothing is in the heap. */
uint64_t hosts_when(const struct fetch_hosts *s);

/* A place on addr: NULL when there is none, and h then waits for one. */
struct fetch_ip *hosts_take_ip(struct fetch_hosts *s, struct fetch_host *h,
                               const struct netguard_addr *addr);
void hosts_leave_ip(struct fetch_hosts *s, struct fetch_ip *ip);

/* Forget hosts that have been idle longest, down to the ceilings. */
void hosts_trim(struct fetch_hosts *s, uint64_t now_ms);

/* Assert the invariants; for tests and debugging. */
void hosts_check(const struct fetch_hosts *s);

#endif
