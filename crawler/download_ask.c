#include "base/clock.h"
#include "base/mem.h"
#include "base/url.h"
#include "crawler/download_private.h"
#include <stdlib.h>

/* ---- hosts that want to ask ---- */

void ask_hungry(struct download *d, struct group_host *h)
{
    if (h->waiting || h->head == GROUP_NONE)
        return;
    h->waiting = true;
    h->after = NULL;
    *d->hungry_last = h;
    d->hungry_last = &h->after;
}

static struct group_host *hungry_pop(struct download *d)
{
    struct group_host *h = d->hungry;

    d->hungry = h->after;
    if (!d->hungry)
        d->hungry_last = &d->hungry;
    h->waiting = false;
    return h;
}

/* ---- asking ---- */

static struct ask *ask_new(struct download *d, struct download_group *g,
                           struct str url)
{
    struct ask *a = xcalloc(1, sizeof *a + url.n);
    char *copy = (char *)(a + 1);

    memcpy(copy, url.p, url.n);
    a->url = str_make(copy, url.n);
    a->group = g;
    a->next = d->asks;
    a->at = &d->asks;
    if (a->next)
        a->next->at = &a->next;
    d->asks = a;
    return a;
}

static void ask_free(struct ask *a)
{
    *a->at = a->next;
    if (a->next)
        a->next->at = a->at;
    free(a->final_url);
    free(a);
}

static void record(struct download *d, struct ask *a, struct ledger *l,
                   struct str jpeg)
{
    struct download_summary *s = d->sum;
    char reason[TALLY_NAME_MAX] = "";
    int rc;

    l->url = a->url;
    l->status = a->status;
    l->tries = a->tries;
    l->final_url = str_of(a->final_url);
    l->fetched = str_of(a->fetched);
    rc = group_answer(a->group, l, jpeg, d->e);
    if (rc && !d->rc)
        d->rc = rc;
    s->asked++;
    s->images += l->outcome == LEDGER_IMAGE;
    s->stored_bytes += jpeg.n;
    tally_add(&s->outcomes, ledger_outcome_name(l->outcome), 1);
    if (l->outcome != LEDGER_IMAGE) {
        memcpy(reason, l->reason.p,
               l->reason.n < sizeof reason ? l->reason.n : sizeof reason - 1);
        tally_add(&s->reasons, reason, 1);
    }
    progress_add(&d->progress, 1);
    ask_free(a);
}

static void submit(struct download *d, struct group_host *h)
{
    struct download_group *g = &d->groups[h->group];
    struct fetch_request r = {.kind = FETCH_IMAGE};
    struct ask *a;
    int rc = group_take(g, h, &d->url, d->e);

    if (rc) {
        d->rc = d->rc ? d->rc : rc;
        return;
    }
    a = ask_new(d, g, buf_str(&d->url));
    r.url = a->url;
    r.user = a;
    rc = fetch_submit(d->fetch, &r);
    if (rc && rc != -E_FORMAT) {
        d->rc =
            err_set(d->e, -rc, "%.*s: cannot be asked for", STR_ARG(a->url));
    } else if (rc) {
        struct ledger l = {.outcome = LEDGER_REFUSED,
                           .reason = str_of(fetch_reason_name(FETCH_R_URL))};

        record(d, a, &l, STR_NONE);
        ask_hungry(d, h);
    }
}

void ask_feed(struct download *d)
{
    if (d->stopping)
        return;
    while (d->hungry && fetch_room(d->fetch) && !d->rc)
        submit(d, hungry_pop(d));
}

/* ---- failures before the first answer ---- */

static void hold(struct download *d, struct ask *a, const char *reason)
{
    a->reason = reason;
    a->after = d->held;
    d->held = a;
    d->n_held++;
}

void ask_release_held(struct download *d)
{
    while (d->held) {
        struct ask *a = d->held;
        struct ledger l = {.outcome = LEDGER_FAILED,
                           .reason = str_of(a->reason)};

        d->held = a->after;
        d->n_held--;
        record(d, a, &l, STR_NONE);
    }
}

/* A server has answered: for the URL itself, or by its robots.txt. */
static bool is_answer(const struct fetch_result *r)
{
    return r->status > 0 || r->reason == FETCH_R_ROBOTS ||
           r->reason == FETCH_R_ROBOTS_AUTH || r->reason == FETCH_R_SIGNAL;
}

/* ---- callbacks ---- */

static struct group_host *host_of(struct download *d, struct str name)
{
    uint32_t g = ledger_group(name);

    return d->state[g] == GROUP_ASKING ? group_host(&d->groups[g], name) : NULL;
}

void ask_low(void *ctx, struct str host)
{
    struct download *d = ctx;
    struct group_host *h = host_of(d, host);

    if (h)
        ask_hungry(d, h);
}

void ask_decoded(void *ctx, void *user, const struct image_result *r)
{
    struct download *d = ctx;
    struct ask *a = user;
    struct ledger l = {.outcome = LEDGER_IMAGE};

    if (r->reason != IMAGE_OK) {
        l.outcome = LEDGER_REJECTED;
        l.reason = str_of(image_reason_name(r->reason));
        record(d, a, &l, STR_NONE);
        return;
    }
    memcpy(l.sha256, r->sha256, sizeof l.sha256);
    l.phash = r->phash;
    l.phash_exempt = r->flat;
    l.width = r->width;
    l.height = r->height;
    l.original_width = r->original_width;
    l.original_height = r->original_height;
    l.bytes = r->jpeg.n;
    l.exif = buf_str(&r->exif);
    record(d, a, &l, buf_str(&r->jpeg));
}

void ask_fetched(void *ctx, const struct fetch_result *r)
{
    struct download *d = ctx;
    struct ask *a = r->user;
    struct ledger l = {.outcome = LEDGER_FAILED};
    struct url_parts parts;
    int rc;

    if (r->outcome == FETCH_CANCELLED) {
        ask_free(a);
        return;
    }
    /* A host whose requests end before they start (robots.txt, a refused
     * address) never runs low. */
    if (url_split(a->url, &parts) && fetch_queued(d->fetch, parts.host) == 0)
        ask_low(d, parts.host);
    if (is_answer(r)) {
        d->heard = true;
        ask_release_held(d);
    }
    a->status = r->status > 0 ? (uint32_t)r->status : 0;
    a->tries = r->tries;
    if (a->status)
        clock_iso(clock_wall_s(), a->fetched);
    if (!str_eq(r->final_url, a->url) && r->final_url.n)
        a->final_url = xstrndup(r->final_url);
    d->sum->wire_bytes += r->wire_bytes;
    if (r->outcome == FETCH_OK) {
        rc = decode_put(&d->decode, r->body, a, d->e);
        if (rc && !d->rc)
            d->rc = rc;
        return;
    }
    if (r->outcome != FETCH_REFUSED && !d->heard) {
        hold(d, a, r->reason_name);
        return;
    }
    if (r->outcome == FETCH_REFUSED)
        l.outcome = LEDGER_REFUSED;
    l.reason = str_of(r->reason_name);
    l.signal = str_of(r->signal);
    record(d, a, &l, STR_NONE);
}

void ask_decoder_ready(void *ctx)
{
    struct download *d = ctx;
    int rc = decode_ready(&d->decode, d->e);

    if (rc && !d->rc)
        d->rc = rc;
}

void ask_release(struct download *d)
{
    while (d->asks)
        ask_free(d->asks);
}
