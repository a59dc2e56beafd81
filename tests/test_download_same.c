/* The download's tars are the same bytes for any number of decoders, parts and
 * groups in work, after kills, a full disk and a request to stop. */
#include "tests/download_world.h"

#define SLOW 40 /* answers that take 30 ms, one after the other */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_download__threads_change_nothing),
        cmocka_unit_test(test_download__parts_change_nothing),
        cmocka_unit_test(test_download__memory_changes_nothing),
        cmocka_unit_test(test_download__killed_at_random_instants),
        cmocka_unit_test(test_download__full_disk_loses_nothing),
        cmocka_unit_test(test_download__stopped_on_request),
    };
    return cmocka_run_group_tests(tests, group_set_up, group_tear_down);
}
