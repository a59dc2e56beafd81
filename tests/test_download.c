/* The download end to end: our server on loopback, pictures made here, and what
 * the ledger says of each URL; rounds, options, silence. */
#include "tests/download_world.h"

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
        cmocka_unit_test(test_download__later_rounds_ask_for_the_rest),
        cmocka_unit_test(test_download__other_options_drop_every_pass),
        cmocka_unit_test(test_download__silence_is_not_believed),
    };
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
