/*
 * net - what tests of the crawler share: our server as a child, its log, and a
 * fetcher that keeps its results.
 *
 * Model.   Header only, so that each test stays one program.  All of it is on
 *          loopback.
 * Fails.   By failing the test.
 */
#ifndef TESTS_NET_H
#define TESTS_NET_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crawler/fetch.h"

#define NET_HOSTS_MAX   80
#define NET_RESULTS_MAX 2048

/* ---- tests/httpd as a child ---- */

struct net_server {
    pid_t pid;
    unsigned port;
    char log[64]; /* path of its log */
};

struct net_line { /* of the log */
    unsigned long long start_ms, end_ms, conn;
    char host[64], path[512];
    int status;
};

/* httpd lies beside the test program. */
static inline void net_httpd_path(char *out, size_t room)
{
    ssize_t n = readlink("/proc/self/exe", out, room - 8);
    char *slash;

    assert_true(n > 0);
    out[n] = '\0';
    slash = strrchr(out, '/');
    assert_non_null(slash);
    memcpy(slash + 1, "httpd", 6);
}

/* args: NULL-terminated, more options; false when it does not listen. */
static inline bool net_server_start(struct net_server *s,
                                    const char *const *args)
{
    const char *argv[64] = {NULL, "--script", "--die-with-parent", "--log"};
    char path[4096], line[32];
    int n = 4, out[2], fd;
    FILE *f;

    memset(s, 0, sizeof *s);
    snprintf(s->log, sizeof s->log, "/tmp/witmill-httpd-XXXXXX");
    fd = mkstemp(s->log);
    assert_true(fd >= 0);
    close(fd);
    net_httpd_path(path, sizeof path);
    argv[0] = path;
    argv[n++] = s->log;
    for (int i = 0; args && args[i] && n < 63; i++)
        argv[n++] = args[i];
    assert_int_equal(pipe(out), 0);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        dup2(out[1], 1);
        close(out[0]);
        close(out[1]);
        execv(path, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(out[1]);
    f = fdopen(out[0], "r");
    if (fgets(line, sizeof line, f))
        s->port = (unsigned)strtoul(line, NULL, 10);
    fclose(f);
    return s->port != 0;
}

static inline void net_server_stop(struct net_server *s)
{
    if (s->pid > 0) {
        kill(s->pid, SIGTERM);
        waitpid(s->pid, NULL, 0);
    }
    unlink(s->log);
    memset(s, 0, sizeof *s);
}

static inline int net_by_start(const void *a, const void *b)
{
    const struct net_line *x = a, *y = b;

    if (x->start_ms != y->start_ms)
        return x->start_ms < y->start_ms ? -1 : 1;
    return x->end_ms < y->end_ms ? -1 : x->end_ms > y->end_ms;
}

/* All lines so far, by start; free() them. */
static inline struct net_line *net_log(const struct net_server *s, size_t *n)
{
    struct net_line *v = NULL, l;
    size_t cap = 0;
    FILE *f;

    usleep(50000); /* a line is written when its answer is already out */
    f = fopen(s->log, "r");
    assert_non_null(f);
    *n = 0;
    while (fscanf(f, "%llu %llu %63s %511s %llu %d", &l.start_ms, &l.end_ms,
                  l.host, l.path, &l.conn, &l.status) == 6) {
        v = xgrow(v, &cap, *n + 1, sizeof *v);
        v[(*n)++] = l;
    }
    fclose(f);
    if (*n)
        qsort(v, *n, sizeof *v, net_by_start);
    return v;
}

static inline bool net_is(const struct net_line *l, const char *host,
                          const char *path)
{
    return (!host || strcmp(l->host, host) == 0) &&
           (!path || strcmp(l->path, path) == 0);
}

/* How many requests of host (NULL: all) for path (NULL: all). */
static inline size_t net_count(const struct net_line *v, size_t n,
                               const char *host, const char *path)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += net_is(&v[i], host, path);
    return count;
}

/* The most requests under way at a time.  A request that ends in the
 * millisecond in which the next begins is over. */
static inline unsigned net_overlap(const struct net_line *v, size_t n,
                                   const char *host)
{
    unsigned most = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned now = 0;

        for (size_t j = 0; j <= i; j++)
            if (net_is(&v[j], host, NULL) && net_is(&v[i], host, NULL))
                now += j == i || v[j].end_ms > v[i].start_ms;
        most = now > most ? now : most;
    }
    return most;
}

/* Shortest time from the end of a request of host to the start of the next;
 * UINT64_MAX with fewer than two. */
static inline uint64_t net_gap(const struct net_line *v, size_t n,
                               const char *host)
{
    const struct net_line *last = NULL;
    uint64_t gap = UINT64_MAX;

    for (size_t i = 0; i < n; i++) {
        if (!net_is(&v[i], host, NULL))
            continue;
        if (last) {
            uint64_t g =
                v[i].start_ms > last->end_ms ? v[i].start_ms - last->end_ms : 0;

            gap = g < gap ? g : gap;
        }
        last = &v[i];
    }
    return gap;
}

/* ---- a fetcher that keeps its results ---- */

struct net_result {
    char *url, *final_url, *body, *type;
    size_t body_n;
    enum fetch_outcome outcome;
    char reason[32], signal[32], ip[FETCH_IP_MAX];
    int status;
    unsigned tries, redirects;
    size_t n_tags;
    bool nofollow;
    uint64_t wire_bytes;
    void *user;
};

struct net_fetch {
    struct fetch_config config;
    struct fetch_callbacks cb; /* done is ours */
    struct fetch *f;
    const char *resolve[NET_HOSTS_MAX];
    const char *allow[4];
    struct net_result results[NET_RESULTS_MAX];
    size_t n;
    void (*also)(struct net_fetch *t, const struct fetch_result *r);
    void *user;
};

static inline void net_done(void *ctx, const struct fetch_result *r)
{
    struct net_fetch *t = ctx;
    struct net_result *k = &t->results[t->n];

    assert_true(t->n < NET_RESULTS_MAX);
    t->n++;
    k->url = xstrndup(r->url);
    k->final_url = xstrndup(r->final_url);
    k->body = xstrndup(r->body.p ? r->body : STR(""));
    k->body_n = r->body.n;
    k->type = xstrndup(r->content_type.p ? r->content_type : STR(""));
    k->outcome = r->outcome;
    snprintf(k->reason, sizeof k->reason, "%s", r->reason_name);
    snprintf(k->signal, sizeof k->signal, "%s", r->signal);
    snprintf(k->ip, sizeof k->ip, "%s", r->ip);
    k->status = r->status;
    k->tries = r->tries;
    k->redirects = r->redirects;
    k->n_tags = r->n_tags;
    k->nofollow = r->nofollow;
    k->wire_bytes = r->wire_bytes;
    k->user = r->user;
    if (t->also)
        t->also(t, r);
}

/* Settings for loopback: no DNS, 127.0.0.0/8 allowed and without floors, quick
 * retries, short deadlines; each of hosts (NULL-terminated) at port. */
static inline struct net_fetch *net_new(enum fetch_mode mode, unsigned port,
                                        const char *const *hosts)
{
    struct net_fetch *t = xcalloc(1, sizeof *t);

    fetch_config_init(&t->config, mode);
    t->config.contact = "https://witmill.example/bot";
    t->config.no_dns = true;
    t->allow[0] = "127.0.0.0/8";
    t->config.allow_net = (struct opt_list){t->allow, 1};
    t->config.min_delay_s = 0;
    t->config.backoff_ms = 20;
    t->config.retries = 2;
    t->config.connect_timeout_ms = 1000;
    t->config.total_timeout_ms = 4000;
    t->config.slow_time_s = 2;
    t->config.resolve.v = t->resolve;
    for (int i = 0; hosts && hosts[i]; i++) {
        assert_true(i < NET_HOSTS_MAX);
        t->resolve[i] = xasprintf("%s:80:127.0.0.1:%u", hosts[i], port);
        t->config.resolve.n++;
    }
    t->cb.ctx = t;
    t->cb.done = net_done;
    return t;
}

static inline void net_open(struct net_fetch *t)
{
    struct err e = ERR_INIT;

    if (fetch_open(&t->f, &t->config, &t->cb, &e))
        fail_msg("%s", e.message);
}

static inline void net_get(struct net_fetch *t, enum fetch_kind kind,
                           const char *url)
{
    struct fetch_request r = {.url = str_of(url), .kind = kind, .user = t};

    if (!t->f)
        net_open(t);
    if (fetch_submit(t->f, &r))
        fail_msg("%s was not taken", url);
}

static inline void net_run(struct net_fetch *t)
{
    struct err e = ERR_INIT;

    if (fetch_run(t->f, &e))
        fail_msg("%s", e.message);
}

static inline const struct net_result *net_find(const struct net_fetch *t,
                                                const char *url)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->results[i].url, url) == 0)
            return &t->results[i];
    fail_msg("%s: no result", url);
    return NULL;
}

static inline void net_free(struct net_fetch *t)
{
    fetch_close(t->f);
    for (size_t i = 0; i < t->n; i++) {
        free(t->results[i].url);
        free(t->results[i].final_url);
        free(t->results[i].body);
        free(t->results[i].type);
    }
    for (size_t i = 0; i < t->config.resolve.n; i++)
        free((void *)(uintptr_t)t->resolve[i]);
    free(t);
}

#endif
