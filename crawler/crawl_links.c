#include "base/url.h"
#include "crawler/crawl_private.h"

static int host_number(struct crawl *c, struct str host, uint32_t *number,
                       struct err *e)
{
    struct str domain;
    bool added;
    int rc;

    *number = frontier_find_host(c->frontier, host);
    if (*number)
        return 0;
    domain = crawl_scope_domain(&c->scope, host);
    rc = frontier_host(c->frontier, host, domain, number, &added);
    if (rc)
        return err_set(e, -rc, "the table of hosts is full");
    return crawldb_put_host(c->store.db, *number, host, e);
}

bool crawl_is_mine(const struct crawl *c, struct str url)
{
    const struct crawl_out *o = &c->store.out;
    struct url_parts parts;

    return o->part.n == 0 ||
           (url_split(url, &parts) &&
            crawl_out_owner(o, crawl_scope_domain(&c->scope, parts.host)) ==
                o->part.i);
}

/* url is another part's: tell it. */
static void hand_over(struct crawl *c, struct str url, unsigned depth)
{
    struct url_parts parts;

    if (!url_split(url, &parts))
        return;
    crawl_out_add(&c->store.out,
                  crawl_out_owner(&c->store.out,
                                  crawl_scope_domain(&c->scope, parts.host)),
                  url, depth);
    c->handed++;
}

/* One step of lower(): the new depth of id, and the links it gave, which are
 * one deeper, unless it is a redirect, whose target is no deeper. */
static int lower_one(struct crawl *c, uint32_t id, unsigned depth,
                     struct err *e)
{
    struct frontier *f = c->frontier;
    enum frontier_state state = frontier_state(f, id);
    unsigned next = depth + (state != FRONTIER_REDIRECT);
    struct crawldb_url row;
    int rc = crawldb_get_url(c->store.db, id, &row, e);

    if (!rc)
        rc = crawldb_set_depth(c->store.db, id, depth, e);
    if (rc)
        return rc;
    c->store.changes++;
    rc = frontier_lower(f, id, row.host, depth);
    if (rc)
        return err_set(e, -rc, "the frontier is full");
    if (row.state == CRAWLDB_FOREIGN)
        hand_over(c, row.text, depth);
    if (state != FRONTIER_ENDED && state != FRONTIER_REDIRECT)
        return 0;
    rc = crawldb_get_links(c->store.db, id, &c->targets, e);
    for (size_t i = 0; !rc && i < c->targets.n; i++) {
        uint32_t t = c->targets.v[i];

        if (t > frontier_urls(f))
            return err_set(e, E_DAMAGED, "crawl.db: url %u links to %u", id, t);
        if (frontier_depth(f, t) > next) {
            crawldb_ids_add(&c->lowered, t);
            crawldb_ids_add(&c->lowered, next);
        }
    }
    return rc;
}

/* A page that was met again on a shorter path takes its depth and offers its
 * links anew; so do those, and so on.  Depths only sink, so this ends. */
static int lower(struct crawl *c, uint32_t id, unsigned depth, struct err *e)
{
    int rc = 0;

    c->lowered.n = 0;
    crawldb_ids_add(&c->lowered, id);
    crawldb_ids_add(&c->lowered, depth);
    while (!rc && c->lowered.n) {
        depth = c->lowered.v[--c->lowered.n];
        id = c->lowered.v[--c->lowered.n];
        if (frontier_depth(c->frontier, id) > depth)
            rc = lower_one(c, id, depth, e);
    }
    return rc;
}

int crawl_offer(struct crawl *c, struct str url, unsigned depth, uint32_t *id,
                struct err *e)
{
    struct url_parts parts;
    uint32_t host;
    bool added, mine;
    int rc;

    if (depth > FRONTIER_DEPTH_MAX)
        depth = FRONTIER_DEPTH_MAX;
    *id = frontier_find(c->frontier, url);
    if (*id)
        return frontier_depth(c->frontier, *id) > depth
                   ? lower(c, *id, depth, e)
                   : 0;
    if (!url_split(url, &parts))
        return err_set(e, E_FORMAT, "not canonical: %.*s", STR_ARG(url));
    rc = host_number(c, parts.host, &host, e);
    if (rc)
        return rc;
    mine = crawl_is_mine(c, url);
    rc = frontier_add(c->frontier, url, host, depth,
                      mine ? FRONTIER_WAITING : FRONTIER_ENDED, id, &added);
    if (rc)
        return err_set(e, -rc, "the frontier is full");
    if (!mine)
        hand_over(c, url, depth);
    c->store.changes++;
    return crawldb_put_url(
        c->store.db,
        &(struct crawldb_url){.id = *id,
                              .host = host,
                              .depth = depth,
                              .state = mine ? CRAWLDB_WAITING : CRAWLDB_FOREIGN,
                              .text = url},
        e);
}
