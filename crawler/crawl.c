#include "crawler/crawl.h"
#include "base/mem.h"
#include "crawler/crawl_private.h"
#include <stdlib.h>

#define TURN_MS 200 /* how long the loop sleeps at most: *stop, saves */

void crawl_result_init(struct crawl_result *r)
{
    *r = (struct crawl_result){0};
    tally_init(&r->counts);
    tally_init(&r->refused);
    tally_init(&r->failed);
    tally_init(&r->drops);
    tally_init(&r->held);
}

void crawl_result_release(struct crawl_result *r)
{
    tally_release(&r->counts);
    tally_release(&r->refused);
    tally_release(&r->failed);
    tally_release(&r->drops);
    tally_release(&r->held);
}

static void wake_fetcher(void *ctx)
{
    struct crawl *c = ctx;

    fetch_wakeup(c->fetch);
}

/* ---- the loop ---- */

/* Hand the fetcher what has its turn. */
static int refill(struct crawl *c, struct err *e)
{
    struct frontier_turn turn;

    while (c->free_tickets && fetch_room(c->fetch) &&
           !crawl_pool_full(c->pool) && frontier_take(c->frontier, &turn)) {
        struct crawl_ticket *t = c->free_tickets;
        struct crawldb_url row;
        int rc = crawldb_get_url(c->store.db, turn.url, &row, e);

        if (rc)
            return rc;
        c->free_tickets = t->next;
        t->url = turn.url;
        t->host = turn.host;
        rc = fetch_submit(c->fetch, &(struct fetch_request){.url = row.text,
                                                            .kind = FETCH_PAGE,
                                                            .user = t});
        if (rc)
            return err_set(e, -rc, "cannot ask for %.*s", STR_ARG(row.text));
        c->asked++;
    }
    return 0;
}

static int take_pages(struct crawl *c, struct err *e)
{
    struct crawl_job *j;
    int rc = 0;

    while (!rc && (j = crawl_pool_take(c->pool)) != NULL) {
        rc = crawl_page_done(c, j, e);
        crawl_pool_put(c->pool, j);
        if (!rc && crawl_store_due(&c->store))
            rc = crawl_store_save(&c->store, e);
    }
    return rc;
}

static bool told_to_stop(const struct crawl *c)
{
    return c->config->stop && atomic_load(c->config->stop);
}

static int loop(struct crawl *c, struct err *e)
{
    int rc = 0;

    while (!rc) {
        if (told_to_stop(c) && !c->stopping) {
            c->stopping = true;
            fetch_stop(c->fetch);
        }
        if (!c->stopping && (rc = refill(c, e)) != 0)
            break;
        if (fetch_pending(c->fetch) == 0 && crawl_pool_jobs(c->pool) == 0)
            break; /* and refill() found nothing */
        rc = fetch_step(c->fetch, TURN_MS, e);
        if (!rc)
            rc = c->rc;
        if (!rc)
            rc = take_pages(c, e);
        fetch_pause(c->fetch, crawl_pool_full(c->pool));
        if (!rc && crawl_store_due(&c->store))
            rc = crawl_store_save(&c->store, e);
    }
    return rc;
}

/* ---- start and end ---- */

static int check(const struct crawl_config *config, struct err *e)
{
    if (!config->fetch.contact || !*config->fetch.contact)
        return err_set(e, E_USAGE,
                       "--contact is missing: the URL or e-mail address under "
                       "which those whose sites are crawled reach you");
    return 0;
}

static int open_fetch(struct crawl *c, struct err *e)
{
    struct fetch_callbacks callbacks = crawl_callbacks(c);
    struct fetch_config config;

    fetch_config_from(&config, FETCH_CRAWL, &c->config->fetch);
    config.min_delay_s = c->config->fetch.min_delay_s;
    config.page_max = c->config->fetch.page_max;
    config.queue_max = CRAWL_QUEUE;
    c->tickets = xcalloc(CRAWL_QUEUE, sizeof *c->tickets);
    for (size_t i = CRAWL_QUEUE; i-- > 0;)
        crawl_ticket_put(c, &c->tickets[i]);
    return fetch_open(&c->fetch, &config, &callbacks, e);
}

/* --retry-failed: what failed in a way that time may mend waits again. */
static int wait_again(struct crawl *c, struct err *e)
{
    int rc = 0;

    for (int i = 0; !rc && i < FETCH_REASONS; i++)
        if (fetch_reason_outcome((enum fetch_reason)i) == FETCH_EXHAUSTED)
            rc = crawldb_wait_again(c->store.db,
                                    fetch_reason_name((enum fetch_reason)i), e);
    return rc;
}

static int open_all(struct crawl *c, const struct corpus *corpus,
                    const struct opt_table *table, struct err *e)
{
    const struct crawl_config *config = c->config;
    int rc = check(config, e);

    if (!rc)
        rc = crawl_seeds_read(&c->seeds, config->seed.v, config->seed.n,
                              config->seeds, e);
    if (!rc)
        rc = crawl_scope_open(&c->scope, (enum crawl_scope_kind)config->scope,
                              c->seeds.v, c->seeds.n, e);
    if (!rc)
        rc = open_fetch(c, e);
    if (rc)
        return rc;
    stage_init(&c->stage, corpus, "crawl", CRAWL_VERSION, table, config,
               config->stage.redo);
    stage_inputs_add(&c->inputs, "seeds", c->seeds.sha256);
    rc = crawl_store_open(&c->store,
                          &(struct crawl_store_config){
                              .stage = &c->stage,
                              .inputs = &c->inputs,
                              .part = config->stage.part,
                              .part_bytes = config->part_bytes,
                              .save_ms = config->save_ms,
                          },
                          e);
    if (!rc && config->retry_failed)
        rc = wait_again(c, e);
    if (!rc)
        rc = crawl_load(c, e);
    if (!rc)
        rc = crawl_pool_open(&c->pool, stage_threads(&config->stage), &c->scope,
                             wake_fetcher, c, e);
    return rc;
}

static void close_all(struct crawl *c)
{
    crawl_pool_close(c->pool); /* its threads wake the fetcher */
    fetch_close(c->fetch);
    frontier_free(c->frontier);
    crawl_store_close(&c->store);
    crawl_scope_close(&c->scope);
    crawl_seeds_release(&c->seeds);
    stage_release(&c->stage);
    stage_inputs_release(&c->inputs);
    tally_release(&c->held);
    buf_release(&c->refused_from);
    buf_release(&c->refused_to);
    crawldb_ids_release(&c->links);
    crawldb_ids_release(&c->lowered);
    crawldb_ids_release(&c->targets);
    free(c->tickets);
}

static int report(struct crawl *c, struct crawl_result *r, struct err *e)
{
    struct tally *into[CRAWLDB_DROPS + 1] = {
        [CRAWLDB_COUNTS] = &r->counts,
        [CRAWLDB_REFUSED] = &r->refused,
        [CRAWLDB_FAILED] = &r->failed,
        [CRAWLDB_DROPS] = &r->drops,
    };
    struct fetch_stats sent;
    int rc = 0;

    for (int i = 0; !rc && i <= CRAWLDB_DROPS; i++)
        rc = crawldb_get_counts(c->store.db, UINT32_MAX, (enum crawldb_count)i,
                                into[i], e);
    frontier_stats(c->frontier, &r->frontier);
    fetch_stats(c->fetch, &sent);
    r->requests = sent.requests;
    tally_add_all(&r->held, &c->held);
    r->asked = c->asked - tally_sum(&c->held);
    r->handed = c->handed;
    r->published = c->stage.merge_needed;
    r->end = c->stopping           ? CRAWL_STOPPED
             : tally_sum(&c->held) ? CRAWL_DOWN
             : r->frontier.waiting ? CRAWL_BUDGET
             : r->frontier.deeper  ? CRAWL_DEPTH
                                   : CRAWL_ALL;
    return rc;
}

static int end(struct crawl *c, struct crawl_result *r, struct err *e)
{
    int rc = c->stopping ? crawl_store_save(&c->store, e)
                         : crawl_store_finish(&c->store, e);

    if (!rc)
        rc = report(c, r, e);
    if (!rc && c->stopping)
        rc = err_set(e, E_CANCEL,
                     "stopped on request; all that was read is saved, run it "
                     "again to continue");
    return rc;
}

int crawl_run(const struct corpus *corpus, const struct crawl_config *config,
              const struct opt_table *table, struct crawl_result *r,
              struct err *e)
{
    struct crawl c = {.config = config, .err = e};
    int rc;

    c.store.lock = -1;
    stage_inputs_init(&c.inputs);
    tally_init(&c.held);
    buf_init(&c.refused_from, BUF_NO_LIMIT);
    buf_init(&c.refused_to, BUF_NO_LIMIT);
    rc = open_all(&c, corpus, table, e);
    if (!rc) {
        progress_begin(&c.progress, "crawl", "pages", config->max_pages);
        rc = loop(&c, e);
        progress_end(&c.progress, rc);
    }
    if (!rc)
        rc = end(&c, r, e);
    close_all(&c);
    return rc;
}
