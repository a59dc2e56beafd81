#include "crawler/download.h"

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/url.h"
#include "crawler/download_prepare.h"
#include "crawler/download_private.h"
#include <stdlib.h>

#define STEP_MS 250 /* the longest wait before *stop is looked at */

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
        ask_hungry(d, &g->hosts[h]);
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

static int judge_silence(struct download *d)
{
    bool idle =
        !d->hungry && fetch_pending(d->fetch) == 0 && d->decode.pending == 0;

    if (d->stopping || (d->n_held < DOWNLOAD_SILENCE_MAX && !idle))
        return 0;
    if (d->n_held > DOWNLOAD_SILENCE_FEW)
        return err_set(d->e, E_NET,
                       "no server has answered, %u URLs were tried: is this "
                       "machine online, do its name servers answer? None of "
                       "them is recorded, run again; --believe-silence "
                       "records such failures for good",
                       d->n_held);
    ask_release_held(d);
    return d->rc;
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
        rc = judge_silence(d);
    if (!rc)
        rc = end_groups(d);
    if (rc || !working(d))
        return rc;
    ask_feed(d);
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
    int rc;

    d->synced_ms = clock_mono_ms();
    progress_begin(&d->progress, "download", "URLs", d->todo.total);
    do
        rc = turn(d);
    while (!rc && working(d));
    progress_end(&d->progress, rc);
    if (!rc)
        rc = sync_journals(d, true);
    if (!rc && d->stopping)
        rc = err_set(d->e, E_CANCEL,
                     "stopped on request; what was answered is kept; run "
                     "the same command again to go on");
    return rc;
}

/* ---- start and end ---- */

static void on_group_finished(void *ctx)
{
    struct download *d = ctx;

    fetch_wakeup(d->fetch);
}

static int ask_all(struct download *d, const struct download_tar *tar)
{
    struct fetch_callbacks cb = {.ctx = d, .done = ask_fetched, .low = ask_low};
    int rc;

    /* A journal and a list a group in work, and the fetcher's sockets. */
    io_allow_files(2 * LEDGER_GROUPS + 4 * d->config->fetch.in_flight);
    rc = fetch_open(&d->fetch, &d->config->fetch, &cb, d->e);
    if (rc)
        return rc;
    rc = fetch_poll_add(d->fetch, decode_fd(&d->decode), ask_decoder_ready, d);
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
    d->heard = config->believe_silence;
    d->groups = xcalloc(LEDGER_GROUPS, sizeof *d->groups);
    for (unsigned i = 0; i < LEDGER_GROUPS; i++)
        group_init(&d->groups[i]);
    buf_init(&d->url, URL_MAX + 64);
    rc = decode_open(&d->decode, &config->image, config->workers, ask_decoded,
                     d, e);
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
    ask_release(d);
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
