#include "crawler/fetch_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- delays ---- */

uint64_t fetch_delay_ms(const struct fetch *f, const struct fetch_host *h,
                        const struct netguard_addr *addr, uint64_t elapsed_ms)
{
    uint64_t wait = 0;

    if (f->config.min_delay_s >= 0 && netguard_allowed(&f->guard, addr))
        wait = (uint64_t)(f->config.min_delay_s * 1000);
    else if (f->config.mode == FETCH_CRAWL)
        wait = FETCH_SLOWNESS * elapsed_ms > FETCH_FLOOR_MS
                   ? FETCH_SLOWNESS * elapsed_ms
                   : FETCH_FLOOR_MS;
    for (const struct fetch_origin *o = h->origins; o; o = o->next)
        if (o->robots && o->robots->delay_ms > wait)
            wait = o->robots->delay_ms;
    return wait < FETCH_DELAY_MAX_MS ? wait : FETCH_DELAY_MAX_MS;
}

static void wait_until(struct fetch_host *h, uint64_t when_ms)
{
    if (h->ready_ms < when_ms)
        h->ready_ms = when_ms;
}

/* The host did not cope: twice the wait of the last time, and at least what
 * it asked for. */
static void back_off(struct fetch *f, struct fetch_host *h,
                     int64_t retry_after_s)
{
    uint64_t now = clock_mono_ms(), asked = 0;

    h->failures++;
    h->backoff_ms = h->backoff_ms ? h->backoff_ms * 2 : f->config.backoff_ms;
    if (h->backoff_ms > FETCH_DELAY_MAX_MS)
        h->backoff_ms = FETCH_DELAY_MAX_MS;
    if (retry_after_s > 0)
        asked = (uint64_t)retry_after_s;
    if (asked > f->config.retry_after_max_s) {
        if (asked > FETCH_ROBOTS_AGE_S)
            asked = FETCH_ROBOTS_AGE_S;
        h->away_ms = now + asked * 1000;
    } else {
        wait_until(h, now + asked * 1000);
    }
    wait_until(h, now + h->backoff_ms);
}

static void recover(struct fetch *f, struct fetch_host *h)
{
    h->failures = 0;
    h->backoff_ms /= 2;
    if (h->backoff_ms < f->config.backoff_ms)
        h->backoff_ms = 0;
}

/* ---- completing ---- */

static void fill_result(struct fetch_result *out, const struct fetch_job *j,
                        enum fetch_reason why, const struct http_response *r)
{
    enum consent_signal signal = consent_verdict(&j->consent);

    memset(out, 0, sizeof *out);
    out->url = str_make(j->url, j->url_n);
    out->final_url = str_of(j->hop);
    out->kind = j->kind;
    out->user = j->user;
    out->outcome = fetch_reason_outcome(why);
    out->reason = why;
    out->signal = why == FETCH_R_SIGNAL ? consent_name(signal) : "";
    out->reason_name =
        why == FETCH_R_SIGNAL ? consent_name(signal) : fetch_reason_name(why);
    out->nofollow = j->consent.nofollow;
    out->tries = j->tries;
    out->redirects = j->redirects;
    if (!r)
        return;
    out->status = r->status;
    out->content_type = r->content_type;
    out->etag = r->etag;
    out->last_modified = r->last_modified;
    out->n_tags = r->n_tags;
    memcpy(out->tags, r->tags, sizeof out->tags);
    if (why == FETCH_R_NONE || (why == FETCH_R_SIGNAL && j->kind == FETCH_PAGE))
        out->body = r->body;
    out->wire_bytes = r->wire_bytes;
    out->elapsed_ms = r->elapsed_ms;
    memcpy(out->ip, r->ip, sizeof out->ip);
}

void fetch_finish(struct fetch *f, struct fetch_job *j, enum fetch_reason why,
                  const struct http_response *r)
{
    struct fetch_result result;

    if (j->kind == FETCH_ROBOTS) {
        fetch_robots_done(f, j, why, r);
        return;
    }
    fill_result(&result, j, why, r);
    f->pending--;
    f->stats.done++;
    f->stats.outcome[result.outcome]++;
    f->stats.reason[why]++;
    f->cb.done(f->cb.ctx, &result);
    fetch_free_job(j);
}

/* Robots jobs first: a verdict for their origins may be what the rest waits
 * for.  Callbacks may submit to h again; those new ones stay. */
void fetch_flush(struct fetch *f, struct fetch_host *h, enum fetch_reason why)
{
    for (size_t n = h->urgent.n; n > 0; n--)
        fetch_finish(f, queue_pop(&h->urgent), why, NULL);
    for (size_t n = h->queue.n; n > 0; n--)
        fetch_finish(f, queue_pop(&h->queue), why, NULL);
}

/* Of several addresses, one that does not answer is no failure of the host
 * until all have been tried. */
static bool rotate(struct fetch_job *j, enum fetch_reason why)
{
    struct fetch_host *h = j->host;

    if (why != FETCH_R_CONNECT || j->origin->resolve ||
        ++j->rotations >= h->n_addrs)
        return false;
    h->addr_at++;
    h->fresh = true;
    return true;
}

void fetch_later(struct fetch *f, struct fetch_job *j, enum fetch_reason why,
                 const struct http_response *r)
{
    struct fetch_host *h = j->host;

    if (rotate(j, why)) {
        fetch_enqueue(f, j, true);
        return;
    }
    j->rotations = 0;
    /* a body that broke off says little about the host */
    if (why != FETCH_R_TRUNCATED)
        back_off(f, h, r ? r->retry_after_s : -1);
    if (h->away_ms > clock_mono_ms()) {
        fetch_finish(f, j, FETCH_R_AWAY, r);
        fetch_flush(f, h, FETCH_R_AWAY);
    } else if (h->failures >= f->config.host_failures) {
        fetch_finish(f, j, why, r);
        fetch_flush(f, h, FETCH_R_HOST_DOWN);
    } else if (j->failures++ >= f->config.retries) {
        fetch_finish(f, j, why, r);
    } else {
        f->stats.retries++;
        fetch_enqueue(f, j, false);
    }
}

/* ---- redirects ---- */

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 ||
           status == 308;
}

static bool seen_before(const struct fetch_job *j, struct str url)
{
    uint64_t hash = hash_xxh3(url);

    for (unsigned i = 0; i <= j->redirects; i++)
        if (j->seen[i] == hash)
            return true;
    return false;
}

static enum fetch_reason next_hop(struct fetch *f, struct fetch_job *j,
                                  const struct http_response *r,
                                  struct buf *url)
{
    enum url_reason bad;

    if (!r->location.p || r->location.n == 0 || r->locations_differ)
        return FETCH_R_LOCATION;
    bad = url_resolve(str_of(j->hop), r->location, url);
    if (bad)
        return bad == URL_SCHEME ? FETCH_R_SCHEME : FETCH_R_LOCATION;
    if (seen_before(j, buf_str(url)))
        return FETCH_R_LOOP;
    if (j->redirects == FETCH_REDIRECTS_MAX)
        return FETCH_R_REDIRECTS;
    if (f->cb.follow && !f->cb.follow(f->cb.ctx, str_make(j->url, j->url_n),
                                      buf_str(url), j->kind))
        return FETCH_R_SCOPE;
    return FETCH_R_NONE;
}

static void redirect(struct fetch *f, struct fetch_job *j,
                     const struct http_response *r)
{
    enum fetch_reason why;
    struct buf url;

    buf_init(&url, URL_MAX + 1);
    why = next_hop(f, j, r, &url);
    if (!why) {
        j->redirects++;
        if (!fetch_aim(f, j, buf_str(&url))) {
            j->redirects--;
            why = FETCH_R_LOCATION;
        }
    }
    buf_release(&url);
    if (why)
        fetch_finish(f, j, why, r);
    else
        fetch_enqueue(f, j, true); /* what was begun goes first */
}

/* ---- answers ---- */

static enum fetch_reason judge(const struct fetch_job *j,
                               const struct http_response *r)
{
    if (r->reason)
        return r->reason;
    if (r->status == 429 || r->status == 503)
        return FETCH_R_BUSY;
    if (r->status == 408 ||
        (r->status / 100 == 5 && r->status != 501 && r->status != 505))
        return FETCH_R_SERVER;
    if (j->kind != FETCH_ROBOTS &&
        consent_verdict(&j->consent) != CONSENT_ALLOWED && r->status == 200)
        return FETCH_R_SIGNAL;
    if (r->status == 200)
        return FETCH_R_NONE;
    return FETCH_R_STATUS;
}

static void deliver(struct fetch *f, struct fetch_job *j,
                    const struct http_response *r)
{
    enum fetch_reason why;

    j->consent.seen |= r->consent.seen;
    j->consent.nofollow |= r->consent.nofollow;
    why = judge(j, r);
    if (fetch_reason_outcome(why) == FETCH_EXHAUSTED) {
        fetch_later(f, j, why, r);
        return;
    }
    if (r->status)
        recover(f, j->host);
    if (!r->reason && is_redirect(r->status))
        redirect(f, j, r);
    else
        fetch_finish(f, j, why, r);
}

void fetch_answer(void *ctx, const struct http_response *r)
{
    struct fetch *f = ctx;
    struct fetch_job *j = r->user;
    struct fetch_host *h = j->host;
    struct netguard_addr addr = j->addr;

    hosts_hold(&f->hosts, h);
    h->in_flight--;
    f->in_flight--;
    if (j->ip)
        hosts_leave_ip(&f->hosts, j->ip);
    j->ip = NULL;
    f->stats.wire_bytes += r->wire_bytes;
    deliver(f, j, r); /* j is gone, or waits elsewhere */
    /* only now is the Crawl-delay of a robots.txt just read known */
    wait_until(h, clock_mono_ms() + fetch_delay_ms(f, h, &addr, r->elapsed_ms));
    hosts_unhold(&f->hosts, h);
}
