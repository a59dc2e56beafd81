#include "crawler/download.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/url.h"
#include "crawler/download_decode.h"
#include "crawler/download_finisher.h"
#include "crawler/download_group.h"
#include "crawler/download_prepare.h"
#include <stdlib.h>

#define STEP_MS 250 /* the longest wait before *stop is looked at */

/* One URL between its request and its outcome. */
struct ask {
    struct ask *next, **at; /* list of all, so that none is lost */
    struct download_group *group;
    struct str url;  /* points behind the struct */
    char *final_url; /* or NULL */
    uint32_t status, tries;
    char fetched[24]; /* date, or "" */
};

enum group_state {
    GROUP_WAITING, /* not begun */
    GROUP_ASKING,
    GROUP_FINISHING, /* with the finisher */
    GROUP_OVER
};

struct download {
    struct stage *stage;
    const struct download_config *config;
    struct download_summary *sum;
    struct download_pass pass;
    struct download_todo todo;
    struct download_group *groups; /* LEDGER_GROUPS */
    enum group_state state[LEDGER_GROUPS];
    unsigned next_group; /* the first that may be GROUP_WAITING */
    unsigned asking;     /* groups in that state */
    struct group_host *hungry, **hungry_last; /* hosts that want to ask */
    struct ask *asks;
    struct buf url;
    struct fetch *fetch;
    struct download_decode decode;
    struct download_finisher finisher;
    struct progress progress;
    uint64_t synced_ms;
    bool stopping;
    bool paused;
    int rc; /* of a callback; sticky */
    struct err *e;
};

/* ---- hosts that want to ask ---- */

static void hungry_push(struct download *d, struct group_host *h)
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
        hungry_push(d, h);
    }
}

static void feed(struct download *d)
{
    if (d->stopping)
        return;
    while (d->hungry && fetch_room(d->fetch) && !d->rc)
        submit(d, hungry_pop(d));
}

/* ---- callbacks ---- */

static struct group_host *host_of(struct download *d, struct str name)
{
    uint32_t g = ledger_group(name);

    return d->state[g] == GROUP_ASKING ? group_host(&d->groups[g], name) : NULL;
}

static void on_low(void *ctx, struct str host)
{
    struct download *d = ctx;
    struct group_host *h = host_of(d, host);

    if (h)
        hungry_push(d, h);
}

static void on_decoded(void *ctx, void *user, const struct image_result *r)
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

static void on_fetched(void *ctx, const struct fetch_result *r)
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
        on_low(d, parts.host);
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
    if (r->outcome == FETCH_REFUSED)
        l.outcome = LEDGER_REFUSED;
    l.reason = str_of(r->reason_name);
    l.signal = str_of(r->signal);
    record(d, a, &l, STR_NONE);
}

static void on_decoder(void *ctx)
{
    struct download *d = ctx;
    int rc = decode_ready(&d->decode, d->e);

    if (rc && !d->rc)
        d->rc = rc;
}

static void on_group_finished(void *ctx)
{
    struct download *d = ctx;

    fetch_wakeup(d->fetch);
}

/* ---- groups ---- */

static int begin_group(struct download *d, unsigned i)
{
    struct download_group *g = &d->groups[i];
    int rc;

    if (d->todo.urls[i] == 0 && !prepare_has_journal(d->stage, g)) {
        d->state[i] = GROUP_OVER;
        return 0;
    }
    rc = group_open(g, d->todo.urls[i], d->e);
    if (rc)
        return rc;
    d->sum->closed += g->closed;
    d->sum->resumed += g->resumed;
    progress_add(&d->progress, g->closed + g->resumed);
    d->state[i] = GROUP_ASKING;
    d->asking++;
    for (uint32_t h = 0; h < g->n_hosts; h++)
        hungry_push(d, &g->hosts[h]);
    return 0;
}

static int begin_groups(struct download *d)
{
    uint64_t held = 0;

    for (unsigned i = 0; i < LEDGER_GROUPS; i++)
        if (d->state[i] == GROUP_ASKING || d->state[i] == GROUP_FINISHING)
            held += group_memory(&d->groups[i]);
    while (d->next_group < LEDGER_GROUPS) {
        unsigned i = d->next_group;
        int rc;

        if (d->state[i] == GROUP_WAITING) {
            if (d->asking && held + d->todo.urls[i] * GROUP_URL_BYTES >
                                 d->config->memory_bytes)
                break;
            rc = begin_group(d, i);
            if (rc)
                return rc;
            held += group_memory(&d->groups[i]);
        }
        d->next_group++;
    }
    return 0;
}

/* Groups whose last URL is answered. */
static int end_groups(struct download *d)
{
    for (unsigned i = 0; i < d->next_group && d->asking; i++) {
        struct download_group *g = &d->groups[i];
        int rc = 0;

        if (d->state[i] != GROUP_ASKING || g->open)
            continue;
        d->asking--;
        group_forget_list(g);
        if (g->done || group_empty(g)) {
            rc = prepare_drop(g, d->e);
            group_release(g);
            d->state[i] = GROUP_OVER;
        } else {
            d->state[i] = GROUP_FINISHING;
            finisher_give(&d->finisher, g);
        }
        if (rc)
            return rc;
    }
    return 0;
}

static int take_finished(struct download *d)
{
    for (;;) {
        int rc;
        struct download_group *g = finisher_take(&d->finisher, &rc, d->e);

        if (!g)
            return rc;
        d->state[g->id] = GROUP_OVER;
        d->sum->groups++;
        group_release(g);
    }
}

static int sync_journals(struct download *d, bool now)
{
    uint64_t ms = clock_mono_ms();

    if (!now && ms - d->synced_ms < DOWNLOAD_SYNC_MS)
        return 0;
    d->synced_ms = ms;
    for (unsigned i = 0; i < LEDGER_GROUPS; i++) {
        int rc = d->state[i] == GROUP_ASKING
                     ? journal_sync(&d->groups[i].journal, d->e)
                     : 0;

        if (rc)
            return rc;
    }
    return 0;
}

/* ---- the loop ---- */

static bool working(const struct download *d)
{
    if (d->stopping)
        return fetch_pending(d->fetch) || d->decode.pending;
    return d->next_group < LEDGER_GROUPS || d->asking || d->finisher.held;
}

static int turn(struct download *d)
{
    bool full;
    int rc = 0;

    if (!d->stopping && d->config->stop && atomic_load(d->config->stop)) {
        d->stopping = true;
        fetch_stop(d->fetch);
    }
    if (!d->stopping)
        rc = begin_groups(d);
    if (!rc)
        rc = end_groups(d);
    if (rc || !working(d))
        return rc;
    feed(d);
    full = decode_waiting(&d->decode) > DOWNLOAD_WAITING_MAX;
    if (full != d->paused)
        fetch_pause(d->fetch, full);
    d->paused = full;
    rc = fetch_step(d->fetch, STEP_MS, d->e);
    if (!rc)
        rc = d->rc;
    if (!rc)
        rc = take_finished(d);
    return rc ? rc : sync_journals(d, false);
}

static int loop(struct download *d)
{
    uint64_t began = clock_mono_ms();
    int rc;

    d->synced_ms = began;
    progress_begin(&d->progress, "download", "URLs", d->todo.total);
    do
        rc = turn(d);
    while (!rc && working(d));
    progress_end(&d->progress);
    d->sum->milliseconds = clock_mono_ms() - began;
    if (!rc)
        rc = sync_journals(d, true);
    if (!rc && d->stopping)
        rc = err_set(d->e, E_CANCEL,
                     "stopped on request; what was answered is kept; run "
                     "the same command again to go on");
    return rc;
}

/* ---- start and end ---- */

static int ask_all(struct download *d, const struct download_tar *tar)
{
    struct fetch_callbacks cb = {.ctx = d, .done = on_fetched, .low = on_low};
    int rc;

    /* A journal and a list a group in work, and the fetcher's sockets. */
    io_allow_files(2 * LEDGER_GROUPS + 4 * d->config->fetch.in_flight);
    rc = fetch_open(&d->fetch, &d->config->fetch, &cb, d->e);
    if (rc)
        return rc;
    rc = fetch_poll_add(d->fetch, decode_fd(&d->decode), on_decoder, d);
    if (!rc)
        rc = finisher_start(&d->finisher, tar, on_group_finished, d, d->e);
    if (!rc) {
        rc = loop(d);
        finisher_stop(&d->finisher);
    }
    fetch_close(d->fetch);
    return rc;
}

int download_run(struct stage *stage, const struct download_config *config,
                 const struct download_tar *tar, struct download_summary *sum,
                 struct err *e)
{
    struct download *d = xcalloc(1, sizeof *d);
    bool skip[LEDGER_GROUPS];
    int rc, lock = -1;

    *d =
        (struct download){.stage = stage, .config = config, .sum = sum, .e = e};
    d->hungry_last = &d->hungry;
    d->groups = xcalloc(LEDGER_GROUPS, sizeof *d->groups);
    for (unsigned i = 0; i < LEDGER_GROUPS; i++)
        group_init(&d->groups[i]);
    buf_init(&d->url, URL_MAX + 64);
    rc = decode_open(&d->decode, &config->image, config->workers, on_decoded, d,
                     e);
    if (!rc)
        rc = todo_pass(stage->corpus, config->round, &d->pass, e);
    if (!rc)
        rc = prepare_lock(stage, config->part, &lock, e);
    if (!rc) {
        sum->round = d->pass.round;
        sum->pass = d->pass.pass;
        rc = prepare_groups(stage, &d->pass, config->part, tar, d->groups, skip,
                            e);
    }
    if (!rc)
        rc = todo_partition(stage->corpus, &d->pass, config->part, skip,
                            config->stop, &d->todo, e);
    if (!rc) {
        sum->listed = d->todo.total;
        for (unsigned i = 0; i < LEDGER_GROUPS; i++)
            d->state[i] = skip[i] ? GROUP_OVER : GROUP_WAITING;
        rc = ask_all(d, tar);
    }
    for (unsigned i = 0; i < LEDGER_GROUPS; i++)
        group_release(&d->groups[i]);
    while (d->asks)
        ask_free(d->asks);
    decode_close(&d->decode);
    io_unlock(lock);
    buf_release(&d->url);
    free(d->groups);
    free(d);
    return rc;
}

void download_summary_init(struct download_summary *s)
{
    memset(s, 0, sizeof *s);
    tally_init(&s->outcomes);
    tally_init(&s->reasons);
}

void download_summary_release(struct download_summary *s)
{
    tally_release(&s->outcomes);
    tally_release(&s->reasons);
}
