#include "crawler/fetch_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Hosts in one step, so that answers are not starved. */
#define TURNS_MAX 4096
/* Connections kept open beyond those in use; curl looks through all of them
 * whenever it closes one. */
#define IDLE_CONNS 128

int fetch_open(struct fetch **out, const struct fetch_config *c,
               const struct fetch_callbacks *cb, struct err *e)
{
    struct fetch *f = xcalloc(1, sizeof *f);
    struct http_config hc = {0};
    int rc;

    f->cb = *cb;
    hosts_init(&f->hosts, (size_t)c->hosts_max, (size_t)c->robots_max);
    rc = fetch_config_take(f, c, e);
    if (!rc && !c->no_dns)
        rc = dns_open(&f->dns, c->dns_servers, c->dns_timeout_ms, e);
    if (!rc) {
        hc.agent = f->agent;
        hc.token = STR(FETCH_TOKEN);
        hc.ca_file = c->ca_file;
        hc.guard = &f->guard;
        hc.connect_timeout_ms = c->connect_timeout_ms;
        hc.total_timeout_ms = c->total_timeout_ms;
        hc.slow_bytes_s = c->slow_bytes_s;
        hc.slow_time_s = c->slow_time_s;
        hc.connections = c->in_flight + IDLE_CONNS;
        rc = http_open(&f->http, &hc, e);
    }
    if (rc) {
        fetch_close(f);
        return rc;
    }
    *out = f;
    return 0;
}

static void free_user_job(void *ctx, void *user)
{
    (void)ctx;
    fetch_free_job(user);
}

void fetch_close(struct fetch *f)
{
    if (!f)
        return;
    if (f->http)
        http_cancel_all(f->http, free_user_job, NULL);
    for (size_t i = 0; i < f->hosts.hosts_size; i++)
        for (struct fetch_host *h = f->hosts.hosts[i]; h; h = h->hash_next) {
            struct fetch_job *j;

            while ((j = queue_pop(&h->urgent)) || (j = queue_pop(&h->queue)))
                fetch_free_job(j);
        }
    http_close(f->http);
    dns_close(f->dns);
    hosts_release(&f->hosts);
    fetch_config_drop(f);
    free(f->polls);
    free(f);
}

/* ---- submitting ---- */

size_t fetch_room(const struct fetch *f)
{
    return f->pending < f->config.queue_max && !f->stopping
               ? (size_t)f->config.queue_max - f->pending
               : 0;
}

size_t fetch_pending(const struct fetch *f)
{
    return f->pending;
}

size_t fetch_queued(const struct fetch *f, struct str host)
{
    const struct fetch_host *h = hosts_find(&f->hosts, host);

    return h ? h->queue.n : 0;
}

int fetch_submit(struct fetch *f, const struct fetch_request *r)
{
    struct fetch_job *j;

    if (f->stopping)
        return -E_CANCEL;
    if (fetch_room(f) == 0)
        return -E_BUSY;
    if (r->url.n > URL_MAX || r->kind == FETCH_ROBOTS)
        return -E_FORMAT;
    j = xcalloc(1, sizeof *j + r->url.n + 1);
    memcpy(j->url, r->url.p, r->url.n);
    j->url_n = r->url.n;
    j->kind = r->kind;
    j->user = r->user;
    if (!fetch_aim(f, j, r->url)) {
        fetch_free_job(j);
        return -E_FORMAT;
    }
    f->pending++;
    f->stats.submitted++;
    fetch_enqueue(f, j, false);
    return 0;
}

/* ---- stopping ---- */

void fetch_stop(struct fetch *f)
{
    f->stopping = true;
}

static void cancel_job(void *ctx, void *user)
{
    struct fetch *f = ctx;
    struct fetch_job *j = user;
    struct fetch_host *h = j->host;

    h->in_flight--;
    f->in_flight--;
    if (j->ip)
        hosts_leave_ip(&f->hosts, j->ip);
    fetch_finish(f, j, FETCH_R_CANCELLED, NULL);
    hosts_file(&f->hosts, h);
}

static void cancel_all(struct fetch *f)
{
    http_cancel_all(f->http, cancel_job, f);
    for (size_t i = 0; i < f->hosts.hosts_size; i++)
        for (struct fetch_host *h = f->hosts.hosts[i]; h; h = h->hash_next) {
            hosts_hold(&f->hosts, h);
            fetch_flush(f, h, FETCH_R_CANCELLED);
            hosts_unhold(&f->hosts, h);
        }
}

void fetch_pause(struct fetch *f, bool paused)
{
    f->paused = paused;
}

void fetch_wakeup(struct fetch *f)
{
    http_wakeup(f->http);
}

/* ---- other descriptors ---- */

int fetch_poll_add(struct fetch *f, int fd, void (*ready)(void *ctx), void *ctx)
{
    fetch_poll_remove(f, fd);
    f->polls = xgrow(f->polls, &f->polls_cap, f->n_polls + 1, sizeof *f->polls);
    f->polls[f->n_polls++] = (struct fetch_poll){fd, ready, ctx};
    return 0;
}

void fetch_poll_remove(struct fetch *f, int fd)
{
    for (size_t i = 0; i < f->n_polls; i++)
        if (f->polls[i].fd == fd) {
            f->polls[i] = f->polls[--f->n_polls];
            return;
        }
}

/* By descriptor: a callback may have removed or added others. */
static void poll_ready(struct fetch *f, int fd)
{
    for (size_t i = 0; i < f->n_polls; i++)
        if (f->polls[i].fd == fd) {
            f->polls[i].ready(f->polls[i].ctx);
            return;
        }
}

/* ---- the loop ---- */

static bool may_start(const struct fetch *f)
{
    return !f->paused && !f->stopping && f->in_flight < f->config.in_flight;
}

static void run_turns(struct fetch *f)
{
    uint64_t now = clock_mono_ms();
    struct fetch_host *h;

    for (int i = 0; i < TURNS_MAX && may_start(f); i++) {
        h = hosts_next(&f->hosts, now);
        if (!h)
            return;
        fetch_turn(f, h);
    }
}

static unsigned how_long(struct fetch *f, unsigned timeout_ms)
{
    uint64_t now = clock_mono_ms(), wait = timeout_ms, when;

    if (f->stopping)
        return 0;
    when = may_start(f) ? hosts_when(&f->hosts) : UINT64_MAX;
    if (when <= now)
        return 0;
    if (when - now < wait)
        wait = when - now;
    return (unsigned)(f->dns ? dns_wait_ms(f->dns, wait) : wait);
}

/* Wait for curl's sockets, DNS's and the caller's; hand out what came. */
static int wait_and_work(struct fetch *f, unsigned timeout_ms, struct err *e)
{
    struct dns_fd dns[DNS_FDS_MAX];
    size_t n_dns = f->dns ? dns_fds(f->dns, dns) : 0, n = f->n_polls;
    struct http_fd *fds = xcalloc(n_dns + n + 1, sizeof *fds);
    int rc;

    for (size_t i = 0; i < n_dns; i++)
        fds[i] = (struct http_fd){dns[i].fd, dns[i].in, dns[i].out};
    for (size_t i = 0; i < n; i++)
        fds[n_dns + i] = (struct http_fd){f->polls[i].fd, true, false};
    rc = http_turn(f->http, fds, n_dns + n, how_long(f, timeout_ms),
                   fetch_answer, f, e);
    for (size_t i = 0; i < n_dns; i++) {
        dns[i].in = fds[i].in;
        dns[i].out = fds[i].out;
    }
    if (f->dns)
        dns_turn(f->dns, dns, n_dns);
    for (size_t i = 0; i < n; i++)
        if (fds[n_dns + i].in)
            poll_ready(f, fds[n_dns + i].fd);
    free(fds);
    return rc;
}

int fetch_step(struct fetch *f, unsigned timeout_ms, struct err *e)
{
    int rc;

    if (f->stopping)
        cancel_all(f);
    run_turns(f);
    rc = wait_and_work(f, timeout_ms, e);
    run_turns(f);
    hosts_trim(&f->hosts, clock_mono_ms());
    return rc;
}

int fetch_run(struct fetch *f, struct err *e)
{
    int rc = 0;

    while (!rc && f->pending > 0)
        rc = fetch_step(f, 1000, e);
    return rc;
}

void fetch_stats(const struct fetch *f, struct fetch_stats *out)
{
    *out = f->stats;
    out->in_flight = f->in_flight;
    out->hosts = f->hosts.n_hosts;
}
