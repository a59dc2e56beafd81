/*
 * fetch - the one place that asks strangers' servers for anything.
 *
 * Model.   One event loop in one thread.  The caller keeps the frontier and
 *          submits canonical URLs while fetch_room() says there is room; the
 *          fetcher queues them per host, in the order they came, and calls
 *          done() exactly once for each.  When a host's queue runs dry it
 *          calls low(), so that the caller may submit that host's next ones
 *          before its delay has passed.  What happens to one request:
 *
 *            submit > address policy, DNS > robots.txt of its origin > turn of
 *            the host > GET > redirect: the next hop from the start, up to
 *            FETCH_REDIRECTS_MAX > transient failure: later again > done()
 *
 *          Politeness (DESIGN section 4).  In flight: one request per host, two
 *          per IP address; a host named in the host-limit file has the number
 *          given there and is not counted on its IP.  robots.txt and redirect
 *          hops are requests like any other and take their host's turn.
 *          Between requests to a host FETCH_CRAWL waits the greatest of the
 *          floor (1 s), a stated Crawl-delay and five times the last fetch;
 *          FETCH_DOWNLOAD a stated Crawl-delay only; each at most 300 s.  With
 *          min_delay_s set, a host whose address lies inside allow_net waits
 *          the greater of min_delay_s and its Crawl-delay instead; nobody
 *          else's wait can be lowered.  429, 503, other 5xx and time-outs
 *          double a wait of the host's own (Retry-After is its minimum), a
 *          success halves it.
 *
 *          Requests are GET, HTTP/1.1, http and https, TLS verified, no proxy,
 *          no cookies, no credentials.  Addresses are judged by
 *          crawler/netguard before the connection, on the socket, and again
 *          before the request goes out on a reused one.
 *
 *          robots.txt: crawler/robots decides; 4xx allows all, but 401 and 403
 *          forbid all; 429, 5xx, network errors and more than five redirects
 *          forbid all, as "robots-unreachable", once the retries are used up.
 *          Kept for at most 24 h, here and, through robots_load() and
 *          robots_save(), wherever the caller keeps it.
 *
 *          Consent: crawler/consent reads X-Robots-Tag; robots.txt's
 *          Content-Signal counts like a Disallow.  A refused image's body is
 *          not kept.  A refused page comes with its body, so that its links
 *          may be followed (unless nofollow); pairs must not be taken.  The
 *          meta element is the caller's to judge, with consent_meta().
 * Owns.    struct fetch owns connections, queues and copies of submitted URLs.
 *          A result and all that it points to live until done() returns.
 * Fails.   fetch_open: -E_USAGE without a contact or for a malformed option.
 *          fetch_submit: -E_BUSY without room.  What a server or the network
 *          does is never an error: it is a result's outcome and reason.
 * Threads. All calls from one thread, but fetch_wakeup(), which any thread and
 *          a signal handler may call.  Callbacks run in that thread inside
 *          fetch_step(); they may submit, pause and stop, not step or close.
 * Cost.    O(log n) a request, n hosts that wait; about 500 bytes a known host,
 *          200 bytes and twice its URL a queued request.  Bodies are capped in
 *          the write callback, decoding included.
 */
#ifndef CRAWLER_FETCH_H
#define CRAWLER_FETCH_H

#include "base/err.h"
#include "base/opt.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FETCH_REDIRECTS_MAX 5
#define FETCH_PER_IP        2
#define FETCH_FLOOR_MS      1000   /* crawl's least wait between requests */
#define FETCH_DELAY_MAX_MS  300000 /* no single delay is longer */
#define FETCH_SLOWNESS      5      /* crawl waits so many last fetches */
#define FETCH_ROBOTS_AGE_S  86400  /* a robots.txt is asked again after */
#define FETCH_ROBOTS_BYTES  (512u << 10)
#define FETCH_HEADER_BYTES_MAX                                                 \
    (256u << 10)              /* of one response, all together                 \
                               */
#define FETCH_HEADERS_MAX 500 /* lines of one response */
#define FETCH_RATIO_MAX   200 /* bytes out per byte in, once past 1 MiB */
#define FETCH_TAGS_MAX    8   /* X-Robots-Tag lines kept for the caller */
#define FETCH_IP_MAX      46  /* bytes of an address as text */

enum fetch_mode { FETCH_CRAWL, FETCH_DOWNLOAD };

enum fetch_kind {
    FETCH_PAGE,  /* Accept: HTML; page_max_bytes */
    FETCH_IMAGE, /* Accept: images; image_max_bytes */
    FETCH_ROBOTS /* the fetcher's own; never submitted */
};

enum fetch_outcome {
    FETCH_OK,        /* 2xx, whole body, no signal against it */
    FETCH_REFUSED,   /* by us: robots, consent, address, scope; final */
    FETCH_FAILED,    /* by the server, and asking again will not help; final */
    FETCH_EXHAUSTED, /* transient, retries used up: final for this pass */
    FETCH_CANCELLED  /* fetch_stop(); ask again in another run */
};

/*
 * Why: the name goes into ledgers and drop counts.  A refusal by consent has
 * the signal's own name (consent.h) as reason_name and FETCH_R_SIGNAL as code.
 *   code, name, outcome it comes with
 */
#define FETCH_REASON_MAP(X)                                                    \
    X(FETCH_R_NONE, "ok", FETCH_OK)                                            \
    X(FETCH_R_SCHEME, "url-scheme", FETCH_REFUSED)                             \
    X(FETCH_R_URL, "url-invalid", FETCH_REFUSED)                               \
    X(FETCH_R_PORT, "port", FETCH_REFUSED)                                     \
    X(FETCH_R_ADDRESS, "address", FETCH_REFUSED)                               \
    X(FETCH_R_NO_DNS, "no-dns", FETCH_REFUSED)                                 \
    X(FETCH_R_SCOPE, "scope", FETCH_REFUSED)                                   \
    X(FETCH_R_ROBOTS, "robots", FETCH_REFUSED)                                 \
    X(FETCH_R_ROBOTS_AUTH, "robots-unauthorized", FETCH_REFUSED)               \
    X(FETCH_R_ROBOTS_DOWN, "robots-unreachable", FETCH_EXHAUSTED)              \
    X(FETCH_R_SIGNAL, "consent", FETCH_REFUSED)                                \
    X(FETCH_R_STATUS, "http-status", FETCH_FAILED)                             \
    X(FETCH_R_NO_HOST, "dns-no-host", FETCH_FAILED)                            \
    X(FETCH_R_TLS, "tls", FETCH_FAILED)                                        \
    X(FETCH_R_REDIRECTS, "redirect-limit", FETCH_FAILED)                       \
    X(FETCH_R_LOOP, "redirect-loop", FETCH_FAILED)                             \
    X(FETCH_R_LOCATION, "redirect-location", FETCH_FAILED)                     \
    X(FETCH_R_TOO_LARGE, "too-large", FETCH_FAILED)                            \
    X(FETCH_R_HEADERS, "headers-too-large", FETCH_FAILED)                      \
    X(FETCH_R_BOMB, "compression-ratio", FETCH_FAILED)                         \
    X(FETCH_R_ENCODING, "content-encoding", FETCH_FAILED)                      \
    X(FETCH_R_PROTOCOL, "protocol", FETCH_FAILED)                              \
    X(FETCH_R_DNS, "dns", FETCH_EXHAUSTED)                                     \
    X(FETCH_R_CONNECT, "connect", FETCH_EXHAUSTED)                             \
    X(FETCH_R_TIMEOUT, "timeout", FETCH_EXHAUSTED)                             \
    X(FETCH_R_SLOW, "slow", FETCH_EXHAUSTED)                                   \
    X(FETCH_R_TRUNCATED, "truncated", FETCH_EXHAUSTED)                         \
    X(FETCH_R_BROKEN, "connection-broken", FETCH_EXHAUSTED)                    \
    X(FETCH_R_BUSY, "rate-limited", FETCH_EXHAUSTED)   /* 429, 503 */          \
    X(FETCH_R_SERVER, "server-error", FETCH_EXHAUSTED) /* other 5xx, 408 */    \
    X(FETCH_R_AWAY, "retry-after", FETCH_EXHAUSTED) /* longer than we wait */  \
    X(FETCH_R_HOST_DOWN, "host-down", FETCH_EXHAUSTED) /* too many in a row */ \
    X(FETCH_R_CANCELLED, "cancelled", FETCH_CANCELLED)

enum fetch_reason {
#define X(code, name, outcome) code,
    FETCH_REASON_MAP(X)
#undef X
        FETCH_REASONS
};

const char *fetch_reason_name(enum fetch_reason r);
enum fetch_outcome fetch_reason_outcome(enum fetch_reason r);

struct fetch_request {
    struct str url;       /* canonical (base/url); copied */
    enum fetch_kind kind; /* FETCH_PAGE or FETCH_IMAGE */
    void *user;           /* comes back in the result */
};

struct fetch_result {
    struct str url;       /* as submitted */
    struct str final_url; /* behind redirects; the same without any */
    enum fetch_kind kind;
    void *user;
    enum fetch_outcome outcome;
    enum fetch_reason reason;
    const char *signal; /* name of the consent signal that refused, or "" */
    const char *reason_name; /* static; the signal's name for a consent refusal,
                                "ok" for FETCH_OK */
    int status;              /* of the last response, 0 when there was none */
    struct str content_type; /* with its parameters; empty when absent */
    struct str etag;         /* empty when absent */
    struct str last_modified;
    struct str
        tags[FETCH_TAGS_MAX]; /* X-Robots-Tag lines of the last response */
    size_t n_tags;
    bool nofollow;         /* X-Robots-Tag says nofollow or none to us */
    struct str body;       /* decoded; empty unless OK, or a refused page */
    uint64_t wire_bytes;   /* body bytes as they came */
    unsigned tries;        /* requests sent for it, hops included */
    unsigned redirects;    /* hops taken */
    char ip[FETCH_IP_MAX]; /* last address connected to, "" without one */
    uint64_t elapsed_ms;   /* the last request alone */
};

/* What robots_load() gives back and robots_save() is given. */
struct fetch_robots {
    int status;        /* of the response that decided; 0: unreachable */
    int64_t fetched_s; /* clock_wall_s() then */
    struct str body;   /* for 2xx; at most FETCH_ROBOTS_BYTES */
};

struct fetch_callbacks {
    void *ctx;
    /* Once per submitted request. */
    void (*done)(void *ctx, const struct fetch_result *r);
    /* The last queued request of host (no port) has started.  May be NULL. */
    void (*low)(void *ctx, struct str host);
    /* May a redirect go to url (canonical)?  from: the URL submitted; kind
     * FETCH_ROBOTS for robots.txt's own hops.  False refuses it as "scope".
     * NULL allows all. */
    bool (*follow)(void *ctx, struct str from, struct str url,
                   enum fetch_kind kind);
    /* A robots.txt kept from earlier, of origin "scheme://host[:port]"; true
     * and *out (body borrowed for the call) when there is one; its age is
     * checked here.  May be NULL. */
    bool (*robots_load)(void *ctx, struct str origin, struct fetch_robots *out);
    /* A robots.txt was decided; keep it.  Unreachable ones come too.  May be
     * NULL. */
    void (*robots_save)(void *ctx, struct str origin,
                        const struct fetch_robots *r);
};

/* Fill with fetch_config_init(), or from an option table that points in here,
 * then set what differs.  Strings are borrowed until fetch_open() returns. */
struct fetch_config {
    enum fetch_mode mode;
    const char *contact;         /* --contact: URL or e-mail; required */
    const char *version;         /* of the user agent; WITMILL_VERSION */
    struct opt_list allow_net;   /* --allow-net CIDR, each */
    struct opt_list resolve;     /* --resolve HOST:PORT:ADDR:PORT2, each */
    bool no_dns;                 /* --no-dns */
    const char *dns_servers;     /* "ADDR:PORT,..." or NULL: the system's */
    const char *host_limit;      /* --host-limit FILE; lines "HOST N", # */
    const char *ca_file;         /* PEM, or NULL: the system's */
    double min_delay_s;          /* --min-delay for allowed nets; -1: not set */
    uint64_t in_flight;          /* transfers at a time, all hosts; 128 */
    uint64_t queue_max;          /* requests submitted and not done; 16,384 */
    uint64_t hosts_max;          /* idle hosts remembered; 65,536 */
    uint64_t robots_max;         /* bytes of parsed robots.txt held; 256 MiB */
    uint64_t retries;            /* after transient failures, per URL; 3 */
    uint64_t host_failures;      /* in a row, then host-down; 12 */
    uint64_t backoff_ms;         /* first wait after a failure; 2,000 */
    uint64_t retry_after_max_s;  /* a longer Retry-After gives up; 900 */
    uint64_t page_max;           /* bytes, decoded; 4 MiB */
    uint64_t image_max;          /* bytes, decoded; 32 MiB */
    uint64_t dns_timeout_ms;     /* 10,000 */
    uint64_t connect_timeout_ms; /* TLS included; 10,000 */
    uint64_t total_timeout_ms;   /* one request, robots too; 60,000 */
    uint64_t slow_bytes_s;       /* slower than this ... 256 */
    uint64_t slow_time_s;        /* ... for so long ends it; 15 */
};

void fetch_config_init(struct fetch_config *c, enum fetch_mode mode);

/* The defaults of mode, and from given what both commands have options for:
 * contact, who may be asked, load and patience. */
void fetch_config_from(struct fetch_config *c, enum fetch_mode mode,
                       const struct fetch_config *given);

struct fetch; /* the loop, its connections and queues */

/* Start.  Nothing is contacted yet. */
int fetch_open(struct fetch **f, const struct fetch_config *c,
               const struct fetch_callbacks *cb, struct err *e);

/* Requests not done yet are dropped without done(); NULL is fine. */
void fetch_close(struct fetch *f);

/* Queue one.  done() comes later, never from inside this call.  -E_BUSY when
 * fetch_room() is 0; -E_FORMAT when url is not canonical (nothing queued). */
int fetch_submit(struct fetch *f, const struct fetch_request *r);

size_t fetch_room(const struct fetch *f); /* how many more may be submitted */
size_t fetch_pending(const struct fetch *f); /* submitted and not done */

/* Requests of host (no port) that have not started; retries count. */
size_t fetch_queued(const struct fetch *f, struct str host);

/* One turn: start what may start, wait at most timeout_ms for something to
 * happen, make the callbacks.  -E_NET only when the loop itself is broken. */
int fetch_step(struct fetch *f, unsigned timeout_ms, struct err *e);

/* Turns until nothing is pending. */
int fetch_run(struct fetch *f, struct err *e);

/* While paused nothing new starts; what is in flight goes on.  For a caller
 * whose own queue (decoders) is full. */
void fetch_pause(struct fetch *f, bool paused);

/* Complete all pending requests as FETCH_CANCELLED in the next turn; later
 * submits are -E_CANCEL. */
void fetch_stop(struct fetch *f);

/* End a fetch_step() that waits.  Any thread, any signal handler. */
void fetch_wakeup(struct fetch *f);

/* Call ready(ctx) from fetch_step() whenever fd is readable (the jail's
 * completion pipe).  One entry per fd. */
int fetch_poll_add(struct fetch *f, int fd, void (*ready)(void *ctx),
                   void *ctx);
void fetch_poll_remove(struct fetch *f, int fd);

struct fetch_stats {
    uint64_t submitted, done;
    uint64_t outcome[FETCH_CANCELLED + 1];
    uint64_t reason[FETCH_REASONS];
    uint64_t requests;   /* sent, robots.txt and hops included */
    uint64_t robots;     /* of these, robots.txt */
    uint64_t retries;    /* of these, after a transient failure */
    uint64_t lookups;    /* DNS questions asked */
    uint64_t wire_bytes; /* bodies as they came */
    size_t in_flight;    /* now */
    size_t hosts;        /* known now */
};

void fetch_stats(const struct fetch *f, struct fetch_stats *out);

#endif
