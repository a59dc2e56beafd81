/*
 * crawl_web - a web drawn from a seed, for tests of the crawl's order.
 *
 * Model.   make_web() draws pages of every kind with links between them;
 *          expect() says which pairs a crawl must find, by a search of the
 *          whole graph.  The functions of crawler/fetch.h stand here, too: a
 *          fetcher without a network that answers in any order.  And write,
 *          fsync and fdatasync, which the linker puts before the C library's
 *          for our own code and for SQLite: they kill the process, or fail, at
 *          their Nth call, and else do not wait for the disk.
 *          Header only, and for one test program.
 */
#ifndef TESTS_CRAWL_WEB_H
#define TESTS_CRAWL_WEB_H

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/url.h"
#include "tests/crawl_corpus.h"

/* ---- the web ---- */

#define PAGES 120
#define LINKS 5

enum page_kind {
    KIND_PAGE,
    KIND_NOINDEX,  /* by its meta: links, no pairs */
    KIND_NOFOLLOW, /* by its meta: pairs, no links */
    KIND_TAG,      /* refused by a header: links, no pairs */
    KIND_REDIRECT,
    KIND_MISSING,
    KIND_PDF,
    KINDS
};

struct web_page {
    enum page_kind kind;
    unsigned host;         /* of hosts below */
    unsigned links[LINKS]; /* the first: where a redirect leads */
    bool rel_nofollow;     /* the last link says nofollow */
};

struct web {
    struct web_page page[PAGES];
    unsigned max_depth;
};

/* the last is out of scope */
static const char *const hosts[] = {"h0.one.test", "h1.two.test", "two.test",
                                    "h3.other.test"};

static uint64_t rng;

static uint32_t draw(uint32_t n)
{
    rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(rng >> 33) % n;
}

static void make_web(struct web *w, uint64_t seed)
{
    rng = seed * 2654435761u + 1;
    w->max_depth = 1 + draw(6);
    for (unsigned i = 0; i < PAGES; i++) {
        struct web_page *p = &w->page[i];

        p->kind = draw(2) || i < 2 ? KIND_PAGE
                  : draw(2)        ? KIND_REDIRECT
                                   : (enum page_kind)draw(KINDS);
        p->host = i < 2 ? i : draw(20) ? draw(3) : 3;
        p->rel_nofollow = draw(4) == 0;
        for (unsigned k = 0; k < LINKS; k++) /* mostly forward: long chains */
            p->links[k] = draw(3) ? (i + 1 + draw(4)) % PAGES : draw(PAGES);
    }
}

static struct str url_of(const struct web *w, unsigned i, char out[64])
{
    int n = snprintf(out, 64, "http://%s/p%u", hosts[w->page[i].host], i);

    return str_make(out, (size_t)n);
}

static unsigned page_of(struct str url)
{
    return (unsigned)strtoul(strstr(url.p, "/p") + 2, NULL, 10);
}

static void html_of(const struct web *w, unsigned i, struct buf *b)
{
    const struct web_page *p = &w->page[i];
    char url[64];

    buf_clear(b);
    if (p->kind == KIND_NOINDEX)
        buf_addf(b, "<meta name=robots content=noindex>");
    if (p->kind == KIND_NOFOLLOW)
        buf_addf(b, "<meta name=robots content=nofollow>");
    for (unsigned k = 0; k < LINKS; k++)
        buf_addf(b, "<a%s href='%s'>next</a>",
                 k == LINKS - 1 && p->rel_nofollow ? " rel=nofollow" : "",
                 url_of(w, p->links[k], url).p);
    buf_addf(b,
             "<img src=/i%u.png alt='picture of %u'>"
             "<img src=/i.png alt='all have %u'>",
             i, i, i);
}

/* ---- what must come out, by a search of the whole graph ---- */

/* Where a fetch of i ends: through redirects, all in scope, or UINT_MAX. */
static unsigned final_of(const struct web *w, unsigned i)
{
    for (unsigned hops = 0; hops <= FETCH_REDIRECTS_MAX; hops++) {
        if (w->page[i].host == 3)
            return UINT32_MAX;
        if (w->page[i].kind != KIND_REDIRECT)
            return i;
        i = w->page[i].links[0];
    }
    return UINT32_MAX;
}

static bool has_links(enum page_kind k)
{
    return k == KIND_PAGE || k == KIND_NOINDEX || k == KIND_TAG;
}

/* depth[i]: fewest links from a seed to the page i itself; UINT_MAX: never.
 * Relaxed until nothing changes, which is slow and plainly right. */
static void search(const struct web *w, unsigned depth[PAGES])
{
    bool changed = true;

    for (unsigned i = 0; i < PAGES; i++)
        depth[i] = i < 2 ? 0 : UINT32_MAX;
    while (changed) {
        changed = false;
        for (unsigned i = 0; i < PAGES; i++) {
            unsigned end =
                depth[i] <= w->max_depth ? final_of(w, i) : UINT32_MAX;
            unsigned n = LINKS - w->page[i].rel_nofollow;

            if (end == UINT32_MAX)
                continue;
            if (depth[end] > depth[i]) {
                depth[end] = depth[i];
                changed = true;
            }
            for (unsigned k = 0;
                 end == i && has_links(w->page[i].kind) && k < n; k++) {
                unsigned to = w->page[i].links[k];

                if (w->page[to].host != 3 && depth[to] > depth[i] + 1) {
                    depth[to] = depth[i] + 1;
                    changed = true;
                }
            }
        }
    }
}

static void expect(const struct web *w, struct corpus_lines *out)
{
    unsigned depth[PAGES];
    char url[64];

    search(w, depth);
    for (unsigned i = 0; i < PAGES; i++) {
        enum page_kind k = w->page[i].kind;

        if (depth[i] > w->max_depth || w->page[i].host == 3 ||
            (k != KIND_PAGE && k != KIND_NOFOLLOW))
            continue;
        url_of(w, i, url);
        corpus_add_line(out, xasprintf("%s http://%s/i%u.png picture of %u",
                                       url, hosts[w->page[i].host], i, i));
        corpus_add_line(out, xasprintf("%s http://%s/i.png all have %u", url,
                                       hosts[w->page[i].host], i));
    }
    corpus_sort_lines(out);
}

/* ---- a fetcher that answers in any order ---- */

static const struct web *web;
static struct clock_fake now;
static atomic_bool stop;
static unsigned stop_after;       /* turns of the fetcher; 0: never */
static enum fetch_reason down[4]; /* what ails each host; 0: nothing */

struct fetch {
    struct fetch_callbacks cb;
    struct fetch_request pending[8192];
    size_t n;
    bool stopped;
    struct fetch_stats stats;
    struct buf body;
};

int fetch_open(struct fetch **out, const struct fetch_config *c,
               const struct fetch_callbacks *cb, struct err *e)
{
    struct fetch *f = xcalloc(1, sizeof *f);

    (void)e;
    assert(c->contact);
    f->cb = *cb;
    buf_init(&f->body, BUF_NO_LIMIT);
    *out = f;
    return 0;
}

void fetch_close(struct fetch *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->n; i++)
        free((char *)f->pending[i].url.p);
    buf_release(&f->body);
    free(f);
}

int fetch_submit(struct fetch *f, const struct fetch_request *r)
{
    assert(f->n < 8192 && !f->stopped);
    f->pending[f->n] = *r;
    f->pending[f->n++].url = str_make(xstrndup(r->url), r->url.n);
    return 0;
}

size_t fetch_room(const struct fetch *f)
{
    return 8192 - f->n;
}

size_t fetch_pending(const struct fetch *f)
{
    return f->n;
}

/* Follow redirects as far as the crawl allows; why not further, if not. */
static enum fetch_reason walk(struct fetch *f, struct str url, unsigned *at,
                              struct fetch_robots *robots)
{
    char hop[64];
    enum page_kind kind;

    for (int hops = 0; web->page[*at].kind == KIND_REDIRECT; hops++) {
        unsigned next = web->page[*at].links[0];

        if (hops == FETCH_REDIRECTS_MAX)
            return FETCH_R_REDIRECTS;
        if (!f->cb.follow(f->cb.ctx, url, url_of(web, next, hop), FETCH_PAGE))
            return FETCH_R_SCOPE;
        *at = next;
    }
    assert(web->page[*at].host != 3);
    if (!f->cb.robots_load(f->cb.ctx, url_origin(url), robots))
        f->cb.robots_save(f->cb.ctx, url_origin(url), robots);
    kind = web->page[*at].kind;
    return kind == KIND_MISSING ? FETCH_R_STATUS
           : kind == KIND_TAG   ? FETCH_R_SIGNAL
                                : FETCH_R_NONE;
}

static void answer(struct fetch *f, struct fetch_request q)
{
    struct fetch_robots robots = {.status = 404};
    unsigned at = page_of(q.url);
    char final_url[64];
    struct fetch_result r = {.url = q.url,
                             .kind = q.kind,
                             .user = q.user,
                             .status = 200,
                             .content_type = STR("text/html; charset=utf-8"),
                             .signal = ""};

    f->stats.requests++;
    r.reason = f->stopped ? FETCH_R_CANCELLED : down[web->page[at].host];
    if (!r.reason)
        r.reason = walk(f, q.url, &at, &robots);
    r.final_url = url_of(web, at, final_url);
    r.outcome = fetch_reason_outcome(r.reason);
    r.reason_name = fetch_reason_name(r.reason);
    if (r.reason == FETCH_R_NONE || r.reason == FETCH_R_SIGNAL) {
        html_of(web, at, &f->body);
        r.body = buf_str(&f->body);
    }
    if (r.reason == FETCH_R_SIGNAL)
        r.signal = r.reason_name = "noai";
    if (web->page[at].kind == KIND_PDF)
        r.content_type = STR("application/pdf");
    f->cb.done(f->cb.ctx, &r);
    free((char *)q.url.p);
}

int fetch_step(struct fetch *f, unsigned timeout_ms, struct err *e)
{
    size_t n = f->stopped ? f->n : draw(4);

    (void)timeout_ms;
    (void)e;
    now.mono_ms += draw(700);
    if (stop_after && --stop_after == 0)
        atomic_store(&stop, true);
    while (f->n && n--) {
        size_t i = draw((uint32_t)f->n);
        struct fetch_request q = f->pending[i];

        f->pending[i] = f->pending[--f->n];
        answer(f, q);
    }
    if (f->n == 0)
        usleep(50); /* the readers are at work */
    return 0;
}

void fetch_pause(struct fetch *f, bool paused)
{
    (void)f;
    (void)paused;
}

void fetch_stop(struct fetch *f)
{
    f->stopped = true;
}

void fetch_wakeup(struct fetch *f)
{
    (void)f;
}

void fetch_stats(const struct fetch *f, struct fetch_stats *out)
{
    *out = f->stats;
}

/* ---- death, or a full disk, at the Nth write or sync ---- */

static long fail_at; /* 0: never */
static bool fail_dies;
static long calls;

static bool due(void)
{
    return fail_at &&
           __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST) == fail_at;
}

static void die(void)
{
    if (fail_dies) {
        kill(getpid(), SIGKILL);
        _exit(9);
    }
}

static ssize_t half_write(long number, int fd, const void *p, size_t n,
                          off_t at)
{
    if (due()) {
        if (fail_dies) /* a torn write */
            syscall(number, fd, p, n / 2, at);
        die();
        errno = ENOSPC;
        return -1;
    }
    return syscall(number, fd, p, n, at);
}

static int no_sync(int fd)
{
    if (due()) {
        die();
        errno = EIO;
        return -1;
    }
    return fcntl(fd, F_GETFD) < 0 ? -1 : 0; /* a kill needs no disk */
}

ssize_t write(int fd, const void *p, size_t n)
{
    return half_write(SYS_write, fd, p, n, 0);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return half_write(SYS_pwrite64, fd, p, n, at);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return half_write(SYS_pwrite64, fd, p, n, at);
}

int fsync(int fd)
{
    return no_sync(fd);
}

int fdatasync(int fd)
{
    return no_sync(fd);
}

#endif
