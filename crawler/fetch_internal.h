/*
 * fetch_internal - what the files of crawler/fetch share, and nobody else
 * includes.
 *
 *   fetch.c         the public calls and the loop
 *   fetch_config.c  settings: contact, --resolve, --host-limit
 *   fetch_turn.c    a host's turn: decide, look up, start
 *   fetch_answer.c  what an answer means: done, next hop, again later
 *   fetch_robots.c  robots.txt of an origin: ask, judge, keep
 *   fetch_host.c    queues, delays, places        (knows no network)
 *   fetch_http.c    one GET                       (the door to libcurl)
 *   fetch_head.c    the head of its answer
 *   dns.c           one lookup                    (the door to c-ares)
 */
#ifndef CRAWLER_FETCH_INTERNAL_H
#define CRAWLER_FETCH_INTERNAL_H

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/url.h"
#include "crawler/fetch.h"
#include "crawler/fetch_host.h"
#include "crawler/fetch_http.h"

#define FETCH_TOKEN       "witmill" /* our name in robots.txt and tags */
#define FETCH_LOOKUPS_MAX 256       /* DNS questions under way */
#define FETCH_DNS_TTL_MIN 60        /* seconds an answer holds at least */
#define FETCH_DNS_TTL_MAX 3600      /* and at most */
#define FETCH_DOWN_S      3600 /* an unreachable robots.txt is asked again */

struct fetch_limit { /* a line of --host-limit */
    char *host;
    unsigned limit;
};

struct fetch_poll {
    int fd;
    void (*ready)(void *ctx);
    void *ctx;
};

struct fetch {
    struct fetch_config config; /* numbers only; its strings are gone */
    struct fetch_callbacks cb;
    char agent[HTTP_AGENT_MAX];
    struct netguard guard;
    struct fetch_resolve *resolve;
    size_t n_resolve;
    struct fetch_limit *limits; /* by host, ascending */
    size_t n_limits;
    struct http *http;
    struct dns *dns;                               /* NULL with --no-dns */
    size_t lookups;                                /* under way */
    struct fetch_host *lookup_first, *lookup_last; /* waiting for one */
    struct fetch_hosts hosts;
    size_t pending;   /* submitted and not done */
    size_t in_flight; /* transfers */
    struct fetch_poll *polls;
    size_t n_polls, polls_cap;
    struct fetch_stats stats;
    bool paused, stopping;
};

/* fetch_config.c */
int fetch_config_take(struct fetch *f, const struct fetch_config *c,
                      struct err *e);
void fetch_config_drop(struct fetch *f);
unsigned fetch_limit_of(const struct fetch *f, struct str host); /* 0: none */
const struct fetch_resolve *fetch_resolve_of(const struct fetch *f,
                                             struct str host, unsigned port);

/* fetch_turn.c */
struct fetch_host *fetch_host_of(struct fetch *f, struct str name);
/* Make url the job's hop; false when it is not canonical. */
bool fetch_aim(struct fetch *f, struct fetch_job *j, struct str url);
void fetch_enqueue(struct fetch *f, struct fetch_job *j, bool front);
void fetch_turn(struct fetch *f, struct fetch_host *h);
void fetch_free_job(struct fetch_job *j);

/* fetch_answer.c */
void fetch_answer(void *ctx, const struct http_response *r);
/* Complete j: done() for a submitted one, the origin's verdict for a
 * robots.txt.  r may be NULL.  Frees j. */
void fetch_finish(struct fetch *f, struct fetch_job *j, enum fetch_reason why,
                  const struct http_response *r);
/* A transient failure of j at its host: later again, or finished. */
void fetch_later(struct fetch *f, struct fetch_job *j, enum fetch_reason why,
                 const struct http_response *r);
/* Complete all that h has queued. */
void fetch_flush(struct fetch *f, struct fetch_host *h, enum fetch_reason why);
uint64_t fetch_delay_ms(const struct fetch *f, const struct fetch_host *h,
                        const struct netguard_addr *addr, uint64_t elapsed_ms);

/* fetch_robots.c */
/* Does o's robots.txt stand?  If not, ask for it (a job, or the caller's
 * keep); true when it is known now. */
bool fetch_robots_ready(struct fetch *f, struct fetch_origin *o);
/* NONE, or why url (of o) may not be asked for. */
enum fetch_reason fetch_robots_judge(const struct fetch_origin *o,
                                     struct str url);
void fetch_robots_done(struct fetch *f, struct fetch_job *j,
                       enum fetch_reason why, const struct http_response *r);

#endif
