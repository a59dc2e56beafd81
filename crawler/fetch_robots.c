#include "crawler/fetch_internal.h"

#include <stdio.h>
#include <stdlib.h>

static void origin_text(const struct fetch_origin *o, struct buf *out)
{
    buf_clear(out);
    buf_addf(out, "%s://%s", o->https ? "https" : "http", o->host->name);
    if (o->port != (o->https ? 443u : 80u))
        buf_addf(out, ":%u", o->port);
}

/*
 * What a final status means (RFC 9309, 2.3.1): 4xx is "unavailable", all is
 * allowed; but 401 and 403 close a door, and whoever closes it for
 * robots.txt does not mean to leave the rest open.  429 and 5xx are
 * "unreachable", nothing is allowed.
 */
static enum fetch_reason verdict_of(int status)
{
    if (status / 100 == 2)
        return FETCH_R_NONE;
    if (status == 401 || status == 403)
        return FETCH_R_ROBOTS_AUTH;
    if (status / 100 == 4 && status != 429 && status != 408)
        return FETCH_R_NONE;
    return FETCH_R_ROBOTS_DOWN;
}

static void settle(struct fetch *f, struct fetch_origin *o,
                   enum fetch_reason forbids, const struct fetch_robots *r)
{
    struct robots *rules = NULL;
    int64_t age = FETCH_ROBOTS_AGE_S;

    if (forbids == FETCH_R_NONE && r->status / 100 == 2 && r->body.n)
        rules = robots_parse(r->body, STR(FETCH_TOKEN));
    if (forbids != FETCH_R_NONE && forbids != FETCH_R_ROBOTS_AUTH)
        age = FETCH_DOWN_S;
    hosts_set_robots(&f->hosts, o, rules, forbids, r->fetched_s + age);
}

/* From the caller's keep, when it is young enough and was an answer. */
static bool load(struct fetch *f, struct fetch_origin *o)
{
    struct fetch_robots r = {0};
    struct buf name;
    int64_t age;
    bool have;

    if (!f->cb.robots_load)
        return false;
    buf_init(&name, URL_MAX);
    origin_text(o, &name);
    have = f->cb.robots_load(f->cb.ctx, buf_str(&name), &r);
    buf_release(&name);
    age = clock_wall_s() - r.fetched_s;
    if (!have || age < 0 || age >= FETCH_ROBOTS_AGE_S ||
        verdict_of(r.status) == FETCH_R_ROBOTS_DOWN)
        return false;
    settle(f, o, verdict_of(r.status), &r);
    return true;
}

bool fetch_robots_ready(struct fetch *f, struct fetch_origin *o)
{
    struct fetch_job *j;
    struct buf url;

    if (o->state == ROBOTS_KNOWN && clock_wall_s() < o->until_s)
        return true;
    if (o->state == ROBOTS_PENDING)
        return false;
    if (load(f, o))
        return true;
    buf_init(&url, URL_MAX + 16);
    origin_text(o, &url);
    buf_add(&url, STR("/robots.txt"));
    j = xcalloc(1, sizeof *j + url.n + 1);
    memcpy(j->url, url.p, url.n);
    j->url_n = url.n;
    buf_release(&url);
    j->kind = FETCH_ROBOTS;
    j->robots_of = o;
    o->state = ROBOTS_PENDING;
    o->host->pins++;
    if (!fetch_aim(f, j, str_make(j->url, j->url_n))) {
        fetch_robots_done(f, j, FETCH_R_URL, NULL);
        return false;
    }
    fetch_enqueue(f, j, false);
    return false;
}

enum fetch_reason fetch_robots_judge(const struct fetch_origin *o,
                                     struct str url)
{
    struct url_parts p;
    struct str path;

    if (o->forbids)
        return o->forbids;
    if (!o->robots || !url_split(url, &p))
        return FETCH_R_NONE;
    path = str_make(p.path.p, p.path.n + p.query.n);
    if (!robots_allows(o->robots, path))
        return FETCH_R_ROBOTS;
    return robots_reserves(o->robots, path) ? FETCH_R_SIGNAL : FETCH_R_NONE;
}

/* Everything that is no answer of the server's leaves us without permission:
 * RFC 9309 2.3.1.4, and more than five redirects or a redirect that we may
 * not follow is read the same, strict way. */
void fetch_robots_done(struct fetch *f, struct fetch_job *j,
                       enum fetch_reason why, const struct http_response *r)
{
    struct fetch_origin *o = j->robots_of;
    struct fetch_robots kept = {0};
    enum fetch_reason forbids = FETCH_R_ROBOTS_DOWN;
    struct buf name;

    kept.fetched_s = clock_wall_s();
    if (r && (why == FETCH_R_NONE || why == FETCH_R_STATUS)) {
        kept.status = r->status;
        kept.body = r->body;
        forbids = verdict_of(r->status);
    } else if (why == FETCH_R_TLS) {
        forbids = FETCH_R_TLS; /* says more, and is final */
    } else if (r && verdict_of(r->status) == FETCH_R_ROBOTS_DOWN) {
        kept.status = r->status; /* never a 200 that broke off */
    }
    settle(f, o, forbids, &kept);
    if (f->cb.robots_save && why != FETCH_R_CANCELLED) {
        buf_init(&name, URL_MAX);
        origin_text(o, &name);
        f->cb.robots_save(f->cb.ctx, buf_str(&name), &kept);
        buf_release(&name);
    }
    fetch_free_job(j);
    o->host->pins--;
    hosts_file(&f->hosts, o->host);
}
