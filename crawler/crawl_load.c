#include "crawler/crawl_private.h"
#include <sys/random.h>

#define SEEN_KEY "seen_key"

/* The key of the hashes in memory: drawn once, so that a stranger cannot know
 * it, and kept, so that two runs of one crawl lose the same URL if two URLs
 * ever share a hash. */
static int load_key(struct crawl *c, uint8_t key[SEEN_KEY_SIZE], struct err *e)
{
    struct buf b;
    bool found;
    int rc;

    buf_init(&b, SEEN_KEY_SIZE + 1);
    rc = crawldb_get_meta(c->store.db, SEEN_KEY, &b, &found, e);
    if (!rc && found && b.n == SEEN_KEY_SIZE) {
        memcpy(key, b.p, SEEN_KEY_SIZE);
    } else if (!rc && found) {
        rc = err_set(e, E_DAMAGED,
                     "crawl.db: meta " SEEN_KEY " has %zu bytes, not %d", b.n,
                     SEEN_KEY_SIZE);
    } else if (!rc) {
        if (getrandom(key, SEEN_KEY_SIZE, 0) != SEEN_KEY_SIZE)
            rc = err_errno(e, E_IO, "read", "random bytes");
        if (!rc)
            rc =
                crawldb_put_meta(c->store.db, SEEN_KEY,
                                 str_make((const char *)key, SEEN_KEY_SIZE), e);
    }
    buf_release(&b);
    return rc;
}

static int load_host(void *ctx, uint32_t id, struct str name, struct err *e)
{
    struct crawl *c = ctx;
    uint32_t number;
    bool added;
    int rc =
        frontier_host(c->frontier, name, crawl_scope_domain(&c->scope, name),
                      &number, &added);

    if (rc)
        return err_set(e, -rc, "the table of hosts is full");
    if (number != id || !added)
        return err_set(e, E_DAMAGED, "crawl.db: host %u is not in order", id);
    return 0;
}

static int load_url(void *ctx, const struct crawldb_url *u, struct err *e)
{
    struct crawl *c = ctx;
    enum frontier_state state = u->state == CRAWLDB_WAITING ? FRONTIER_WAITING
                                : u->state == CRAWLDB_REDIRECT
                                    ? FRONTIER_REDIRECT
                                    : FRONTIER_ENDED;
    uint32_t number;
    bool added;
    int rc;

    if (u->host == 0 || u->host > frontier_hosts(c->frontier) ||
        u->depth > FRONTIER_DEPTH_MAX)
        return err_set(e, E_DAMAGED, "crawl.db: url %u has host %u, depth %u",
                       u->id, u->host, u->depth);
    rc = frontier_add(c->frontier, u->text, u->host, u->depth, state, &number,
                      &added);
    if (rc)
        return err_set(e, -rc, "the frontier is full");
    if (number != u->id || !added)
        return err_set(e, E_DAMAGED, "crawl.db: url %u is not in order", u->id);
    if (u->state == CRAWLDB_PAGE || u->state == CRAWLDB_WITHHELD)
        frontier_page(c->frontier, u->host);
    return 0;
}

/* A link from another part; what is not for us is not taken. */
static int load_link(void *ctx, struct str url, unsigned depth, struct err *e)
{
    struct crawl *c = ctx;
    uint32_t id;

    if (!crawl_scope_has(&c->scope, url) || !crawl_is_mine(c, url))
        return 0;
    return crawl_offer(c, url, depth, &id, e);
}

int crawl_load(struct crawl *c, struct err *e)
{
    const struct frontier_limits limits = {
        .pages = c->config->max_pages,
        .pages_per_host = c->config->max_pages_per_host,
        .pages_per_domain = c->config->max_pages_per_domain,
        .depth = (unsigned)c->config->max_depth,
        .ahead = CRAWL_AHEAD,
    };
    uint8_t key[SEEN_KEY_SIZE];
    int rc = load_key(c, key, e);

    if (rc)
        return rc;
    c->frontier = frontier_new(key, &limits);
    rc = crawldb_scan_hosts(c->store.db, load_host, c, e);
    if (!rc)
        rc = crawldb_scan_urls(c->store.db, load_url, c, e);
    for (size_t i = 0; !rc && i < c->seeds.n; i++) {
        uint32_t id;

        if (crawl_is_mine(c, str_of(c->seeds.v[i])))
            rc = crawl_offer(c, str_of(c->seeds.v[i]), 0, &id, e);
    }
    return rc ? rc : crawl_out_read(&c->store.out, load_link, c, e);
}
