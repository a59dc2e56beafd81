/*
 * The download end to end: our server on loopback, pictures made here, and
 * what the ledger says of each URL; then kills, threads, parts, full disks.
 */
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
#define SLOW     40 /* answers that take 30 ms, one after the other */

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
static void picture(unsigned seed, uint32_t width, uint32_t height,
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

static void put_file(const char *name, struct str bytes)
{
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX];

    CHECK(io_join(path, world.folder, name, &e));
    *strrchr(path, '/') = 0;
    CHECK(io_mkdirs(path, &e));
    CHECK(io_join(path, world.folder, name, &e));
    CHECK(io_write_file(path, bytes, &e));
}

static void put_picture(const char *name, unsigned seed, uint32_t width,
                        uint32_t height)
{
    struct buf b;

    buf_init(&b, 16 << 20);
    picture(seed, width, height, &b);
    put_file(name, buf_str(&b));
    buf_release(&b);
}

static void add_url(unsigned host, unsigned number)
{
    char url[256];

    snprintf(url, sizeof url, "http://p%u.test/%u.jpg", host, number);
    world.urls[world.n_urls++] = xstrdup(url);
}

static void make_pictures(void)
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

static void add_resolve(const char *host, unsigned port)
{
    unsigned n = 0;

    while (world.resolve_list[n])
        n++;
    snprintf(world.resolve[n], sizeof world.resolve[n], "%s:80:127.0.0.1:%u",
             host, port);
    world.resolve_list[n] = world.resolve[n];
}

static void server_path(char out[IO_PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, IO_PATH_MAX - 8);

    assert_true(n > 0);
    out[n] = 0;
    memcpy(strrchr(out, '/'), "/httpd", 7);
}

static void start_server(void)
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

static int group_set_up(void **state)
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

static int group_tear_down(void **state)
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

static size_t count_strings(const char *const *list)
{
    size_t n = 0;

    while (list[n])
        n++;
    return n;
}

static void configure(struct download_config *d, unsigned workers)
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

static int run_with(const struct corpus *c, const struct download_config *d,
                    bool redo, struct download_summary *sum, struct err *e)
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

static int run(const struct corpus *c, const struct download_config *d,
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

static void work_begin(struct work *w, size_t n_urls, unsigned workers)
{
    w->folder = test_folder();
    test_corpus(&w->corpus, w->folder, 11);
    test_select(&w->corpus, 0, (const char *const *)world.urls, n_urls, 0);
    configure(&w->config, workers);
}

static void work_end(struct work *w)
{
    test_remove(w->folder);
}

static void run_to_end(struct work *w, struct download_summary *sum)
{
    struct err e = ERR_INIT;

    CHECK(run(&w->corpus, &w->config, sum, &e));
    assert_int_equal(test_count_files(&w->corpus, ".journal"), 0);
    assert_int_equal(test_count_files(&w->corpus, ".todo"), 0);
    assert_int_equal(test_count_files(&w->corpus, ".tmp"), 0);
}

/* In a process of its own; its exit status: 0, or the error's code. */
static pid_t run_in_child(struct work *w, uint64_t file_max)
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

static void nap_ms(unsigned ms)
{
    struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

/* ---- what becomes of a URL ---- */

static const struct special {
    const char *url;
    enum ledger_outcome outcome;
    const char *reason, *signal;
    unsigned status, tries; /* tries 0: not looked at */
} specials[] = {
    {"http://x.test/good.jpg", LEDGER_IMAGE, "", "", 200, 1},
    {"http://x.test/_/redirect/302?then=/good.jpg", LEDGER_IMAGE, "", "", 200,
     2},
    {"http://x.test/gone.jpg", LEDGER_FAILED, "http-status", "", 404, 1},
    {"http://x.test/_/status/410", LEDGER_FAILED, "http-status", "", 410, 1},
    {"http://x.test/_/status/500", LEDGER_FAILED, "server-error", "", 500, 3},
    {"http://x.test/_/short/1", LEDGER_FAILED, "truncated", "", 200, 3},
    {"http://x.test/_/loop/a", LEDGER_FAILED, "redirect-loop", "", 302, 0},
    {"http://x.test/_/flaky/1/x", LEDGER_REJECTED, "not-image", "", 200, 2},
    {"http://x.test/_/late/200", LEDGER_REJECTED, "not-image", "", 200, 1},
    {"http://x.test/page.jpg", LEDGER_REJECTED, "not-image", "", 200, 1},
    {"http://x.test/empty.jpg", LEDGER_REJECTED, "image-empty", "", 200, 1},
    {"http://x.test/cut.jpg", LEDGER_REJECTED, "image-truncated", "", 200, 1},
    {"http://x.test/small.jpg", LEDGER_REJECTED, "image-too-small", "", 200, 1},
    {"http://x.test/long.jpg", LEDGER_REJECTED, "image-aspect", "", 200, 1},
    {"http://x.test/private/no.jpg", LEDGER_REFUSED, "robots", "", 0, 0},
    {"http://x.test/_/size/900?tag=noai", LEDGER_REFUSED, "noai", "noai", 200,
     1},
    {"http://signal.test/no.jpg", LEDGER_REFUSED, "content-signal",
     "content-signal", 0, 0},
    {"http://unknown.test/a.jpg", LEDGER_REFUSED, "no-dns", "", 0, 0},
    {"http://away.test/a.jpg", LEDGER_FAILED, "robots-unreachable", "", 0, 0},
};
#define N_SPECIAL (sizeof specials / sizeof *specials)

static const struct special *find_special(struct str url)
{
    for (size_t i = 0; i < N_SPECIAL; i++)
        if (str_eq(str_of(specials[i].url), url))
            return &specials[i];
    return NULL;
}

static void check_record(const struct ledger *l, const struct special *s)
{
    if (l->outcome != s->outcome || !str_eq(l->reason, str_of(s->reason)) ||
        !str_eq(l->signal, str_of(s->signal)) || l->status != s->status ||
        (s->tries && l->tries != s->tries))
        fail_msg("%s: %s \"%.*s\" signal \"%.*s\" status %u tries %u", s->url,
                 ledger_outcome_name(l->outcome), STR_ARG(l->reason),
                 STR_ARG(l->signal), l->status, l->tries);
    assert_int_equal(l->status != 0, l->fetched.n == 20);
    if (l->outcome != LEDGER_IMAGE)
        return;
    assert_int_equal(l->original_width, 640);
    assert_int_equal(l->original_height, 520);
    assert_int_equal(l->height, 128);
    assert_int_equal(l->width, 158);
    if (l->tries == 2)
        assert_true(str_eq(l->final_url, STR("http://x.test/good.jpg")));
}

static unsigned check_ledger(const struct corpus *c, const char *file)
{
    struct err e = ERR_INIT;
    char name[64], path[IO_PATH_MAX];
    struct jsonl_reader r;
    unsigned seen = 0;
    struct arena a;

    snprintf(name, sizeof name, "images/%s", file);
    CHECK(corpus_path(c, name, path, &e));
    CHECK(jsonl_open(&r, path, &e));
    arena_init(&a, 1 << 22);
    for (;;) {
        const struct special *s;
        struct str line;
        struct ledger l;
        bool more;

        CHECK(jsonl_next(&r, &line, &more, &e));
        if (!more)
            break;
        CHECK(ledger_read(line, &a, &l, &e));
        s = find_special(l.url);
        if (!s)
            fail_msg("nobody asked for %.*s", STR_ARG(l.url));
        check_record(&l, s);
        seen++;
    }
    arena_release(&a);
    jsonl_close(&r);
    return seen;
}

static void test_download__what_becomes_of_each_url(void **state)
{
    const char *urls[N_SPECIAL];
    struct download_summary sum;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX];
    struct io_list files;
    unsigned seen = 0;
    struct work w;

    (void)state;
    for (size_t i = 0; i < N_SPECIAL; i++)
        urls[i] = specials[i].url;
    work_begin(&w, 0, 2);
    test_select(&w.corpus, 0, urls, N_SPECIAL, 0);
    run_to_end(&w, &sum);
    CHECK(corpus_path(&w.corpus, "images", path, &e));
    CHECK(io_list(path, &files, &e));
    for (size_t i = 0; i < files.n; i++)
        if (str_ends(str_of(files.names[i]), STR(".ledger.jsonl.zst")))
            seen += check_ledger(&w.corpus, files.names[i]);
    io_list_release(&files);
    assert_int_equal(seen, N_SPECIAL);
    assert_int_equal(sum.asked, N_SPECIAL);
    assert_int_equal(sum.images, 2);
    assert_int_equal(tally_get(&sum.outcomes, "refused"), 4);
    assert_int_equal(tally_get(&sum.reasons, "not-image"), 3);
    assert_int_equal(tally_sum(&sum.outcomes), N_SPECIAL);
    download_summary_release(&sum);

    /* Once more: nothing is asked. */
    run_to_end(&w, &sum);
    assert_int_equal(sum.asked, 0);
    assert_int_equal(sum.groups, 0);
    download_summary_release(&sum);
    work_end(&w);
}

/* ---- the same bytes ---- */

static void test_download__threads_change_nothing(void **state)
{
    static const unsigned workers[] = {1, 2, 4};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct download_summary sum;
        char sha[SHA256_HEX];
        struct work w;
        uint64_t began;

        work_begin(&w, world.n_urls, workers[i]);
        began = clock_mono_ms();
        run_to_end(&w, &sum);
        world.reference_ms = (unsigned)(clock_mono_ms() - began);
        assert_int_equal(sum.asked, HOSTS * PICTURES);
        assert_int_equal(sum.images, HOSTS * PICTURES);
        download_summary_release(&sum);
        test_tars(&w.corpus, i ? sha : world.reference);
        if (i)
            assert_string_equal(sha, world.reference);
        work_end(&w);
    }
}

static void test_download__parts_change_nothing(void **state)
{
    struct download_summary sum;
    char sha[SHA256_HEX];
    uint64_t images = 0;
    struct work w;

    (void)state;
    work_begin(&w, world.n_urls, 2);
    for (uint32_t i = 0; i < 3; i++) {
        w.config.part = (struct part){i, 3};
        run_to_end(&w, &sum);
        images += sum.images;
        download_summary_release(&sum);
    }
    assert_int_equal(images, HOSTS * PICTURES);
    test_tars(&w.corpus, sha);
    assert_string_equal(sha, world.reference);
    work_end(&w);
}

/* So little memory that groups are done one after the other. */
static void test_download__memory_changes_nothing(void **state)
{
    struct download_summary sum;
    char sha[SHA256_HEX];
    struct work w;

    (void)state;
    work_begin(&w, world.n_urls, 2);
    w.config.memory_bytes = 1;
    run_to_end(&w, &sum);
    download_summary_release(&sum);
    test_tars(&w.corpus, sha);
    assert_string_equal(sha, world.reference);
    work_end(&w);
}

/* Answers that journals and ledgers hold. */
static uint64_t finished(const struct corpus *c)
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

/* One corpus, killed until a run ends by itself or *kills are used up. */
static void kill_and_finish(unsigned *kills, uint64_t *seed)
{
    struct download_summary sum;
    char sha[SHA256_HEX];
    uint64_t kept = 0;
    int status = 0;
    struct work w;

    work_begin(&w, world.n_urls, 2);
    while (*kills) {
        pid_t pid = run_in_child(&w, 0);
        uint64_t now;

        /* anywhere: before the first answer, or while tars are made */
        *seed = hash_xxh3_seeded(STR("nap"), *seed);
        nap_ms((unsigned)(*seed % world.reference_ms));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        now = finished(&w.corpus);
        assert_true(now >= kept);
        kept = now;
        if (!WIFSIGNALED(status))
            break;
        --*kills;
    }
    run_to_end(&w, &sum);
    assert_int_equal(sum.asked, HOSTS * PICTURES - kept);
    download_summary_release(&sum);
    test_tars(&w.corpus, sha);
    assert_string_equal(sha, world.reference);
    work_end(&w);
}

static void test_download__killed_at_random_instants(void **state)
{
    unsigned kills = 20, corpora = 0;
    uint64_t seed = 99;

    (void)state;
    for (; kills && corpora < 100; corpora++)
        kill_and_finish(&kills, &seed);
    print_message("20 kills within %u ms each, %u corpora, the same bytes\n",
                  world.reference_ms, corpora);
    assert_int_equal(kills, 0);
}

/* Files may not grow past a limit, which fails writes as a full disk does:
 * an error with a message each time, and the next run ends well. */
static void test_download__full_disk_loses_nothing(void **state)
{
    static const uint64_t limits[] = {1,     87,    200,   3000,  9000,
                                      20000, 50000, 90000, 130000};
    struct download_summary sum;
    char sha[SHA256_HEX];
    unsigned failures = 0;
    uint64_t kept = 0;
    struct work w;

    (void)state;
    work_begin(&w, world.n_urls, 2);
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) {
        uint64_t now;
        int status;

        waitpid(run_in_child(&w, limits[i]), &status, 0);
        assert_true(WIFEXITED(status));
        assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == E_IO);
        failures += WEXITSTATUS(status) == E_IO;
        now = finished(&w.corpus);
        assert_true(now >= kept);
        kept = now;
    }
    assert_true(failures >= 5);
    run_to_end(&w, &sum);
    assert_int_equal(sum.asked, HOSTS * PICTURES - kept);
    download_summary_release(&sum);
    test_tars(&w.corpus, sha);
    assert_string_equal(sha, world.reference);
    work_end(&w);
}

static atomic_bool stop;

static void on_alarm(int signal)
{
    (void)signal;
    atomic_store(&stop, true);
}

/* Slow answers beside the pictures, so that the alarm comes in between; they
 * are no images and do not show in the tars. */
static void select_slow(struct work *w)
{
    const char *urls[HOSTS * PICTURES + SLOW];
    char slow[SLOW][64];

    memcpy(urls, world.urls, world.n_urls * sizeof *urls);
    for (unsigned i = 0; i < SLOW; i++) {
        snprintf(slow[i], sizeof slow[i], "http://p0.test/_/late/30?n=%u", i);
        urls[world.n_urls + i] = slow[i];
    }
    test_select(&w->corpus, 0, urls, world.n_urls + SLOW, 0);
}

static void test_download__stopped_on_request(void **state)
{
    struct itimerval soon = {.it_value = {.tv_usec = 200000}};
    struct download_summary sum;
    struct err e = ERR_INIT;
    char sha[SHA256_HEX];
    uint64_t asked;
    struct work w;
    int rc;

    (void)state;
    work_begin(&w, 0, 1);
    select_slow(&w);
    w.config.stop = &stop;
    atomic_store(&stop, false);
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &soon, NULL);
    rc = run(&w.corpus, &w.config, &sum, &e);
    assert_int_equal(rc, -E_CANCEL);
    assert_non_null(strstr(e.message, "run the same command again"));
    asked = sum.asked;
    assert_int_equal(finished(&w.corpus), asked);
    download_summary_release(&sum);
    atomic_store(&stop, false);
    run_to_end(&w, &sum);
    assert_int_equal(sum.asked + asked, HOSTS * PICTURES + SLOW);
    download_summary_release(&sum);
    test_tars(&w.corpus, sha);
    assert_string_equal(sha, world.reference);
    work_end(&w);
}

/* ---- rounds ---- */

static void test_download__later_rounds_ask_for_the_rest(void **state)
{
    const char *const *urls = (const char *const *)world.urls;
    struct download_summary sum;
    struct work w;

    (void)state;
    work_begin(&w, 40, 2);
    run_to_end(&w, &sum);
    assert_int_equal(sum.asked, 40);
    download_summary_release(&sum);
    test_select(&w.corpus, 1, urls + 20, 60, 0);
    run_to_end(&w, &sum);
    assert_int_equal(sum.round, 1);
    assert_int_equal(sum.pass, 1);
    assert_int_equal(sum.closed, 20);
    assert_int_equal(sum.asked, 40);
    download_summary_release(&sum);

    /* balance anew, from round 0, with two passes on disk */
    test_select(&w.corpus, 0, urls, 90, 2);
    w.config.round = 0;
    run_to_end(&w, &sum);
    assert_int_equal(sum.pass, 2);
    assert_int_equal(sum.closed, 80);
    assert_int_equal(sum.asked, 10);
    download_summary_release(&sum);
    work_end(&w);
}

/* Images of two sizes in one corpus are nobody's wish: all passes stop. */
static void test_download__other_options_drop_every_pass(void **state)
{
    const char *const *urls = (const char *const *)world.urls;
    struct download_summary sum;
    struct err e = ERR_INIT;
    struct work w;

    (void)state;
    work_begin(&w, 40, 2);
    run_to_end(&w, &sum);
    download_summary_release(&sum);
    test_select(&w.corpus, 1, urls + 40, 20, 0);
    run_to_end(&w, &sum);
    download_summary_release(&sum);

    w.config.image.quality = 50;
    w.config.round = 0;
    assert_int_equal(run(&w.corpus, &w.config, &sum, &e), -E_STALE);
    assert_non_null(strstr(e.message, "--redo"));
    assert_int_equal(sum.asked, 0);
    download_summary_release(&sum);

    /* Both passes go; round 0 is asked for anew, and then round 1. */
    e = (struct err)ERR_INIT;
    CHECK(run_with(&w.corpus, &w.config, true, &sum, &e));
    assert_int_equal(sum.asked, 40);
    assert_int_equal(test_count_files(&w.corpus, "-01.tar"), 0);
    download_summary_release(&sum);
    w.config.round = 1;
    run_to_end(&w, &sum);
    assert_int_equal(sum.asked, 20);
    download_summary_release(&sum);
    work_end(&w);
}

/* A machine without a network must not close a corpus' URLs for ever. */
static void test_download__silence_is_not_believed(void **state)
{
    static const struct {
        unsigned urls;
        bool believe;
        int rc;
    } rows[] = {{30, false, -E_NET}, {30, true, 0}, {5, false, 0}};
    char urls[30][64];
    const char *list[30];

    (void)state;
    for (unsigned i = 0; i < 30; i++) {
        snprintf(urls[i], sizeof urls[i], "http://away.test/%u.jpg", i);
        list[i] = urls[i];
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct download_summary sum;
        struct err e = ERR_INIT;
        struct work w;

        work_begin(&w, 0, 1);
        test_select(&w.corpus, 0, list, rows[i].urls, 0);
        w.config.believe_silence = rows[i].believe;
        assert_int_equal(run(&w.corpus, &w.config, &sum, &e), rows[i].rc);
        assert_int_equal(sum.asked, rows[i].rc ? 0 : rows[i].urls);
        assert_int_equal(finished(&w.corpus), sum.asked);
        download_summary_release(&sum);
        work_end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_download__what_becomes_of_each_url),
        cmocka_unit_test(test_download__threads_change_nothing),
        cmocka_unit_test(test_download__parts_change_nothing),
        cmocka_unit_test(test_download__memory_changes_nothing),
        cmocka_unit_test(test_download__killed_at_random_instants),
        cmocka_unit_test(test_download__full_disk_loses_nothing),
        cmocka_unit_test(test_download__stopped_on_request),
        cmocka_unit_test(test_download__later_rounds_ask_for_the_rest),
        cmocka_unit_test(test_download__other_options_drop_every_pass),
        cmocka_unit_test(test_download__silence_is_not_believed),
    };
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
