/*
 * download_world - a server with pictures, and runs of the download against
 * it, for the tests that go end to end.
 *
 * Model.   group_set_up() makes the pictures, starts tests/httpd on a free
 *          port and lists the URLs; each test makes corpora of its own with
 *          work_begin() and work_end().
 */
#ifndef TESTS_DOWNLOAD_WORLD_H
#define TESTS_DOWNLOAD_WORLD_H

#include "tests/download_corpus.h"

#include "base/clock.h"
#include "base/image.h"
#include "base/log.h"
#include "base/url.h"
#include "crawler/download.h"
#include "crawler/download_journal.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define HOSTS    6  /* with pictures alone: p0.test to p5.test */
#define PICTURES 30 /* on each */

static struct {
    char *folder; /* the server's roots and log */
    pid_t server;
    unsigned port;
    char resolve[16][64];
    const char *resolve_list[16];
    const char *allow_list[1];
    char limits[IO_PATH_MAX];
    char *urls[1024]; /* all that tests ask for */
    size_t n_urls;
    char reference[SHA256_HEX]; /* of the tars of an undisturbed run */
    unsigned reference_ms;      /* how long that took */
} world;

/* ---- the server and its pictures ---- */

/* Blocks of colour that no two pictures share. */
static inline void picture(unsigned seed, uint32_t width, uint32_t height,
                           struct buf *out)
{
    struct image m;

    assert_int_equal(image_alloc(&m, width, height), IMAGE_OK);
    for (uint32_t y = 0; y < height; y++) {
        for (uint32_t x = 0; x < width; x++) {
            uint32_t cell[3] = {seed, x / 16, y / 16};
            uint64_t h = hash_xxh3(str_make((char *)cell, sizeof cell));
            uint8_t *p = m.rgb + y * m.stride + 3 * x;

            p[0] = (uint8_t)h;
            p[1] = (uint8_t)(h >> 8);
            p[2] = (uint8_t)(h >> 16);
        }
    }
    buf_clear(out);
    assert_int_equal(image_encode_jpeg(&m, 90, out), IMAGE_OK);
    image_release(&m);
}

static inline void put_file(const char *name, struct str bytes)
{
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX];

    CHECK(io_join(path, world.folder, name, &e));
    *strrchr(path, '/') = 0;
    CHECK(io_mkdirs(path, &e));
    CHECK(io_join(path, world.folder, name, &e));
    CHECK(io_write_file(path, bytes, &e));
}

static inline void put_picture(const char *name, unsigned seed, uint32_t width,
                               uint32_t height)
{
    struct buf b;

    buf_init(&b, 16 << 20);
    picture(seed, width, height, &b);
    put_file(name, buf_str(&b));
    buf_release(&b);
}

static inline void add_url(unsigned host, unsigned number)
{
    char url[256];

    snprintf(url, sizeof url, "http://p%u.test/%u.jpg", host, number);
    world.urls[world.n_urls++] = xstrdup(url);
}

static inline void make_pictures(void)
{
    char name[64];
    struct buf b;

    for (unsigned h = 0; h < HOSTS; h++) {
        for (unsigned i = 0; i < PICTURES; i++) {
            snprintf(name, sizeof name, "p%u/%u.jpg", h, i);
            put_picture(name, h * 1000 + i, 120 + i, 110);
        }
    }
    put_picture("x/good.jpg", 1, 640, 520);
    put_picture("x/small.jpg", 2, 99, 400);
    put_picture("x/long.jpg", 3, 400, 120);
    put_picture("x/private/no.jpg", 4, 200, 200);
    put_picture("signal/no.jpg", 5, 200, 200);
    buf_init(&b, 1 << 20);
    picture(6, 200, 200, &b);
    put_file("x/cut.jpg", str_slice(buf_str(&b), 0, b.n / 2));
    buf_release(&b);
    put_file("x/page.jpg", STR("<html><p>not found, says the page</p></html>"));
    put_file("x/empty.jpg", STR_NONE);
    put_file("x.robots", STR("User-agent: *\nDisallow: /private/\n"));
    put_file("signal.robots",
             STR("User-agent: *\nContent-Signal: ai-train=no\nAllow: /\n"));
}

static inline void add_resolve(const char *host, unsigned port)
{
    unsigned n = 0;

    while (world.resolve_list[n])
        n++;
    snprintf(world.resolve[n], sizeof world.resolve[n], "%s:80:127.0.0.1:%u",
             host, port);
    world.resolve_list[n] = world.resolve[n];
}

static inline void server_path(char out[IO_PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, IO_PATH_MAX - 8);

    assert_true(n > 0);
    out[n] = 0;
    memcpy(strrchr(out, '/'), "/httpd", 7);
}

static inline void start_server(void)
{
    char path[IO_PATH_MAX], hosts[HOSTS + 2][IO_PATH_MAX],
        robots[2][IO_PATH_MAX], log[IO_PATH_MAX], line[16] = "";
    const char *argv[64] = {path, "--script", "--die-with-parent"};
    int n = 3, out[2];

    server_path(path);
    for (unsigned i = 0; i < HOSTS; i++)
        snprintf(hosts[i], sizeof hosts[i], "p%u.test=%s/p%u", i, world.folder,
                 i);
    snprintf(hosts[HOSTS], sizeof *hosts, "x.test=%s/x", world.folder);
    snprintf(hosts[HOSTS + 1], sizeof *hosts, "signal.test=%s/signal",
             world.folder);
    for (unsigned i = 0; i < HOSTS + 2; i++) {
        argv[n++] = "--host";
        argv[n++] = hosts[i];
    }
    snprintf(robots[0], sizeof *robots, "x.test=%s/x.robots", world.folder);
    snprintf(robots[1], sizeof *robots, "signal.test=%s/signal.robots",
             world.folder);
    for (unsigned i = 0; i < 2; i++) {
        argv[n++] = "--robots";
        argv[n++] = robots[i];
    }
    snprintf(log, sizeof log, "%s/log", world.folder);
    argv[n++] = "--log";
    argv[n++] = log;
    assert_int_equal(pipe(out), 0);
    world.server = fork();
    if (world.server == 0) {
        dup2(out[1], 1);
        execv(path, (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    close(out[1]);
    assert_true(read(out[0], line, sizeof line - 1) > 0);
    close(out[0]);
    world.port = (unsigned)strtoul(line, NULL, 10);
    assert_true(world.port > 0);
}

static inline int group_set_up(void **state)
{
    char name[32];
    struct buf limits;

    (void)state;
    log_quiet(true);
    world.folder = test_folder();
    make_pictures();
    start_server();
    buf_init(&limits, 4096);
    for (unsigned i = 0; i < HOSTS; i++) {
        snprintf(name, sizeof name, "p%u.test", i);
        add_resolve(name, world.port);
        buf_addf(&limits, "%s %u\n", name, 1 + i % 3);
        for (unsigned p = 0; p < PICTURES; p++)
            add_url(i, p);
    }
    buf_add(&limits, STR("x.test 1\nsignal.test 1\n"));
    put_file("limits", buf_str(&limits));
    buf_release(&limits);
    snprintf(world.limits, sizeof world.limits, "%s/limits", world.folder);
    add_resolve("x.test", world.port);
    add_resolve("signal.test", world.port);
    add_resolve("away.test", 1); /* nobody listens there */
    world.allow_list[0] = "127.0.0.0/8";
    return 0;
}

static inline int group_tear_down(void **state)
{
    (void)state;
    kill(world.server, SIGTERM);
    waitpid(world.server, NULL, 0);
    test_remove(world.folder);
    for (size_t i = 0; i < world.n_urls; i++)
        free(world.urls[i]);
    return 0;
}

/* ---- one run ---- */

static inline size_t count_strings(const char *const *list)
{
    size_t n = 0;

    while (list[n])
        n++;
    return n;
}

static inline void configure(struct download_config *d, unsigned workers)
{
    memset(d, 0, sizeof *d);
    d->round = -1;
    d->workers = workers;
    d->memory_bytes = 64 << 20;
    d->image = image_config_default();
    d->image.size = 128;
    fetch_config_init(&d->fetch, FETCH_DOWNLOAD);
    d->fetch.contact = "https://example.org/test";
    d->fetch.no_dns = true;
    d->fetch.allow_net = (struct opt_list){world.allow_list, 1};
    d->fetch.resolve = (struct opt_list){world.resolve_list,
                                         count_strings(world.resolve_list)};
    d->fetch.host_limit = world.limits;
    d->fetch.backoff_ms = 10;
    d->fetch.retries = 2;
    d->fetch.total_timeout_ms = 1000;
    d->fetch.image_max = IMAGE_BYTES_MAX;
}

static inline int run_with(const struct corpus *c,
                           const struct download_config *d, bool redo,
                           struct download_summary *sum, struct err *e)
{
    struct image_config_row options = {.quality = (uint64_t)d->image.quality};
    struct tar_writer writer;
    struct download_tar tar = test_tar(&writer);
    struct stage stage;
    int rc;

    stage_init(&stage, c, "download", DOWNLOAD_VERSION, &download_options,
               &options, redo);
    download_summary_init(sum);
    rc = download_run(&stage, d, &tar, sum, e);
    stage_release(&stage);
    return rc;
}

static inline int run(const struct corpus *c, const struct download_config *d,
                      struct download_summary *sum, struct err *e)
{
    return run_with(c, d, false, sum, e);
}

/* A corpus of its own whose round 0 is these URLs. */
struct work {
    char *folder;
    struct corpus corpus;
    struct download_config config;
};

static inline void work_begin(struct work *w, size_t n_urls, unsigned workers)
{
    w->folder = test_folder();
    test_corpus(&w->corpus, w->folder, 11);
    test_select(&w->corpus, 0, (const char *const *)world.urls, n_urls, 0);
    configure(&w->config, workers);
}

static inline void work_end(struct work *w)
{
    test_remove(w->folder);
}

static inline void run_to_end(struct work *w, struct download_summary *sum)
{
    struct err e = ERR_INIT;

    CHECK(run(&w->corpus, &w->config, sum, &e));
    assert_int_equal(test_count_files(&w->corpus, ".journal"), 0);
    assert_int_equal(test_count_files(&w->corpus, ".todo"), 0);
    assert_int_equal(test_count_files(&w->corpus, ".tmp"), 0);
}

/* In a process of its own; its exit status: 0, or the error's code. */
static inline pid_t run_in_child(struct work *w, uint64_t file_max)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct rlimit r = {file_max, file_max};
        struct download_summary sum;
        struct err e = ERR_INIT;
        int rc;

        if (file_max) {
            signal(SIGXFSZ, SIG_IGN);
            setrlimit(RLIMIT_FSIZE, &r);
        }
        rc = run(&w->corpus, &w->config, &sum, &e);
        download_summary_release(&sum);
        _exit(rc && !e.message[0] ? 99 : -rc);
    }
    assert_true(pid > 0);
    return pid;
}

static inline void nap_ms(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

/* Answers that journals and ledgers hold. */
static inline uint64_t finished(const struct corpus *c)
{
    struct err e = ERR_INIT;
    char folder[IO_PATH_MAX];
    struct io_list files;
    uint64_t n = 0;

    CHECK(corpus_path(c, "images", folder, &e));
    if (io_list(folder, &files, NULL))
        return 0;
    for (size_t i = 0; i < files.n; i++) {
        struct str name = str_of(files.names[i]);
        char path[IO_PATH_MAX], done[IO_PATH_MAX + 16];

        CHECK(io_join(path, folder, files.names[i], &e));
        snprintf(done, sizeof done, "%.*s.meta.json", (int)(strlen(folder) + 7),
                 path);
        if (str_ends(name, STR(".meta.json"))) {
            char output[32];
            struct sidecar s;

            snprintf(output, sizeof output, "images/%.6s", name.p);
            CHECK(sidecar_read(&s, c, output, &e));
            n += tally_get(&s.counts, "urls");
            sidecar_release(&s);
        } else if (str_ends(name, STR(".journal")) && !io_exists(done)) {
            struct download_journal j;
            struct buf head;

            buf_init(&head, 1 << 30);
            CHECK(io_read_file(path, &head, &e));
            if (head.n >= 88) {
                char print[65] = "";

                memcpy(print, head.p + 16, 64);
                CHECK(journal_open(&j, c, path, print, &e));
                n += j.n;
                journal_close(&j);
            }
            buf_release(&head);
        }
    }
    io_list_release(&files);
    return n;
}

#endif
