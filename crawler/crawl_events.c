#include "base/log.h"
#include "base/url.h"
#include "crawler/crawl_private.h"

#define WARNINGS_MAX 20 /* seeds that gave no page and are named */

void crawl_ticket_put(struct crawl *c, struct crawl_ticket *t)
{
    t->next = c->free_tickets;
    c->free_tickets = t;
}

static void count(struct crawl *c, enum crawldb_count kind, const char *name,
                  uint64_t n)
{
    tally_add(&c->store.tallies[kind], name, n);
    c->store.changes++;
}

/* url ends without a page; the turn was reserved's. */
static int end_without(struct crawl *c, uint32_t url, uint32_t reserved,
                       enum crawldb_count kind, const char *reason,
                       struct err *e)
{
    unsigned state;
    int rc = crawldb_reason_state(c->store.db, reason, &state, e);

    if (!rc)
        rc = crawldb_set_state(c->store.db, url, state, e);
    if (!rc && kind == CRAWLDB_REFUSED)
        rc = crawldb_put_refusal(c->store.db, url, reason, e);
    frontier_settle(c->frontier, url, FRONTIER_ENDED);
    frontier_release(c->frontier, reserved);
    count(c, kind, reason, 1);
    return rc;
}

/* A crawl of one seed that leads out of scope ends at once: say why. */
static void warn_seed(struct crawl *c, uint32_t url,
                      const struct fetch_result *r)
{
    if (frontier_depth(c->frontier, url) != 0 || c->warned == WARNINGS_MAX)
        return;
    c->warned++;
    if (r->reason == FETCH_R_SCOPE)
        log_event("warning",
                  "seed %.*s leads to %.*s, out of scope: give that as seed, "
                  "or a wider --scope",
                  STR_ARG(r->url), STR_ARG(buf_str(&c->refused_to)));
    else
        log_event("warning", "seed %.*s gave no page: %s (status %d)",
                  STR_ARG(r->url), r->reason_name, r->status);
}

/*
 * url led to target, which has the page.  *page is its row, 0 when the page is
 * not to be read here: it has been, or will be in its own turn, or its host
 * has no budget left.
 */
static int follow_redirect(struct crawl *c, uint32_t url, uint32_t host,
                           struct str target, uint32_t *page,
                           uint32_t *page_host, struct err *e)
{
    struct crawldb_ids to = {0};
    struct url_parts parts;
    uint32_t id;
    int rc = crawl_offer(c, target, frontier_depth(c->frontier, url), &id, e);

    *page = 0;
    if (rc)
        return rc;
    crawldb_ids_add(&to, id);
    rc = crawldb_put_links(c->store.db, url, &to, e);
    crawldb_ids_release(&to);
    if (!rc)
        rc = crawldb_set_state(c->store.db, url, CRAWLDB_REDIRECT, e);
    frontier_settle(c->frontier, url, FRONTIER_REDIRECT);
    count(c, CRAWLDB_COUNTS, "redirects", 1);
    if (rc || !url_split(target, &parts))
        return rc;
    *page_host = frontier_find_host(c->frontier, parts.host);
    if (frontier_state(c->frontier, id) != FRONTIER_WAITING ||
        (*page_host != host && !frontier_affords(c->frontier, *page_host)))
        return 0;
    /* In memory it is taken; crawl.db says so when it has been read, so that
     * after a kill it is fetched in a turn of its own. */
    frontier_settle(c->frontier, id, FRONTIER_ENDED);
    *page = id;
    return 0;
}

static int page_came(struct crawl *c, uint32_t url, uint32_t host,
                     const struct fetch_result *r, struct err *e)
{
    uint32_t page = url, page_host = host;
    struct crawl_job *j;
    int rc = 0;

    if (!str_eq(r->url, r->final_url))
        rc = follow_redirect(c, url, host, r->final_url, &page, &page_host, e);
    if (rc || !page) {
        frontier_release(c->frontier, host);
        return rc;
    }
    if (!crawl_page_is_html(r->content_type))
        return end_without(c, page, host, CRAWLDB_FAILED, "content-type", e);
    j = crawl_pool_get(c->pool);
    j->url = page;
    j->host = page_host;
    j->reserved = host;
    j->refused = r->outcome == FETCH_REFUSED ? r->reason_name : NULL;
    j->no_links = r->nofollow;
    buf_add(&j->final_url, r->final_url);
    buf_add(&j->content_type, r->content_type);
    buf_add(&j->body, r->body);
    if (j->body.rc || j->final_url.rc || j->content_type.rc)
        rc =
            err_set(e, E_NOMEM, "no memory for a page of %zu bytes", r->body.n);
    crawl_pool_give(c->pool, j);
    return rc;
}

/* Failures of a host, not of a URL, that time may mend: were they final, an
 * hour without a network would burn the whole frontier.  The URL goes on
 * waiting, with all others of the host, for a later run. */
static bool is_held(enum fetch_reason reason)
{
    return reason == FETCH_R_HOST_DOWN || reason == FETCH_R_AWAY ||
           reason == FETCH_R_ROBOTS_DOWN;
}

/* Was url's redirect refused only because its target is another part's? */
static bool to_other_part(const struct crawl *c, struct str url)
{
    return str_eq(buf_str(&c->refused_from), url) &&
           crawl_scope_has(&c->scope, buf_str(&c->refused_to));
}

static void on_done(void *ctx, const struct fetch_result *r)
{
    struct crawl *c = ctx;
    struct crawl_ticket *t = r->user;
    uint32_t url = t->url, host = t->host;

    crawl_ticket_put(c, t);
    if (c->rc)
        return;
    if (r->outcome == FETCH_CANCELLED || is_held(r->reason)) {
        /* crawl.db still has it waiting */
        if (r->outcome != FETCH_CANCELLED) {
            tally_add(&c->held, r->reason_name, 1);
            frontier_hold(c->frontier, host);
        }
        frontier_release(c->frontier, host);
        return;
    }
    if (r->outcome == FETCH_OK ||
        (r->reason == FETCH_R_SIGNAL && r->body.n > 0)) {
        c->rc = page_came(c, url, host, r, c->err);
        return;
    }
    if (r->reason == FETCH_R_SCOPE && to_other_part(c, r->url)) {
        uint32_t page, page_host;

        c->rc = follow_redirect(c, url, host, buf_str(&c->refused_to), &page,
                                &page_host, c->err);
        frontier_release(c->frontier, host);
        return;
    }
    warn_seed(c, url, r);
    c->rc = end_without(c, url, host,
                        r->outcome == FETCH_REFUSED ? CRAWLDB_REFUSED
                                                    : CRAWLDB_FAILED,
                        r->reason_name, c->err);
}

static bool on_redirect(void *ctx, struct str from, struct str url,
                        enum fetch_kind kind)
{
    struct crawl *c = ctx;

    /* robots.txt's redirects stay in scope like all others */
    if (crawl_scope_has(&c->scope, url) &&
        (kind == FETCH_ROBOTS || crawl_is_mine(c, url)))
        return true;
    buf_clear(&c->refused_from);
    buf_clear(&c->refused_to);
    buf_add(&c->refused_from, from);
    buf_add(&c->refused_to, url);
    return false;
}

static bool on_robots_load(void *ctx, struct str origin,
                           struct fetch_robots *out)
{
    struct crawl *c = ctx;
    struct crawldb_robots r;
    bool found;

    if (c->rc)
        return false;
    c->rc = crawldb_get_robots(c->store.db, origin, &r, &found, c->err);
    if (c->rc || !found)
        return false;
    *out = (struct fetch_robots){
        .status = r.status, .fetched_s = r.fetched_s, .body = r.body};
    return true;
}

static void on_robots_save(void *ctx, struct str origin,
                           const struct fetch_robots *r)
{
    struct crawl *c = ctx;

    if (c->rc)
        return;
    c->store.changes++;
    c->rc = crawldb_put_robots(c->store.db, origin,
                               &(struct crawldb_robots){
                                   .status = r->status,
                                   .fetched_s = r->fetched_s,
                                   .body = r->body,
                               },
                               c->err);
}

struct fetch_callbacks crawl_callbacks(struct crawl *c)
{
    return (struct fetch_callbacks){
        .ctx = c,
        .done = on_done,
        .follow = on_redirect,
        .robots_load = on_robots_load,
        .robots_save = on_robots_save,
    };
}

static int offer_links(struct crawl *c, struct crawl_job *j, struct err *e)
{
    struct str rest = buf_str(&j->page.links), link;
    unsigned depth = frontier_depth(c->frontier, j->url) + 1;
    int rc = j->rc ? err_set(e, -j->rc, "no memory to read a page") : 0;

    c->links.n = 0;
    while (!rc && rest.n && str_split(&rest, '\n', &link) && link.n) {
        uint32_t id;

        rc = crawl_offer(c, link, depth, &id, e);
        if (!rc && id != j->url)
            crawldb_ids_add(&c->links, id);
    }
    crawldb_ids_sort(&c->links);
    if (!rc && c->links.n)
        rc = crawldb_put_links(c->store.db, j->url, &c->links, e);
    return rc;
}

int crawl_page_done(struct crawl *c, struct crawl_job *j, struct err *e)
{
    struct crawl_store *s = &c->store;
    const char *refused = j->refused ? j->refused : j->page.refused;
    int rc = offer_links(c, j, e);

    if (!rc)
        rc = crawldb_set_state(s->db, j->url,
                               refused ? CRAWLDB_WITHHELD : CRAWLDB_PAGE, e);
    if (!rc && refused)
        rc = crawldb_put_refusal(s->db, j->url, refused, e);
    frontier_settle(c->frontier, j->url, FRONTIER_ENDED);
    frontier_release(c->frontier, j->reserved);
    frontier_page(c->frontier, j->host);
    if (refused)
        count(c, CRAWLDB_REFUSED, refused, 1);
    count(c, CRAWLDB_COUNTS, refused ? "withheld" : "pages", 1);
    count(c, CRAWLDB_COUNTS, "records", j->page.n_pairs);
    tally_add_all(&s->tallies[CRAWLDB_COUNTS], &j->page.counts);
    tally_add_all(&s->tallies[CRAWLDB_DROPS], &j->page.drops);
    buf_add(&s->pairs, buf_str(&j->page.pairs));
    if (!rc && (s->pairs.rc))
        rc = err_set(e, E_NOMEM, "no memory for pairs");
    progress_add(&c->progress, 1);
    return rc;
}
