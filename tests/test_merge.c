/* merge: stepwise, killed, short of room, beside another, on bad input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "tests/small_catalog.h"

static int setup(void **state)
{
    *state = small_new(2);
    return 0;
}

static int teardown(void **state)
{
    small_free(*state);
    return 0;
}

/* ---- incremental, idempotent, killed ---- */

static void test_merge__stepwise_equals_at_once(void **state)
{
    struct small *s = *state;
    struct buf stepwise, once;
    char path[128];

    merge(s, MERGE_KEEP, 0);
    small_import(s);
    small_gather(s);
    merge(s, MERGE_KEEP, 0);
    small_balance(s, 0);
    merge(s, MERGE_KEEP, 0);
    small_balance(s, 1);
    small_download(s);
    merge(s, MERGE_KEEP, 0);
    small_dedup(s);
    small_pack(s);
    merge(s, MERGE_KEEP, 0);
    dump(s, &stepwise);
    assert_true(stepwise.n > 1000);
    snprintf(path, sizeof path, "%s/corpus.db", s->dir);
    assert_int_equal(unlink(path), 0);
    merge(s, MERGE_KEEP, 0);
    dump(s, &once);
    assert_string_equal(stepwise.p, once.p);
    buf_release(&stepwise);
    buf_release(&once);
}

static void test_merge__nothing_new_writes_nothing(void **state)
{
    struct small *s = *state;
    struct clock_fake later = {.wall_s = 2000000000};
    struct buf before, after;
    char path[128];

    small_all(s);
    merge(s, MERGE_KEEP, 0);
    snprintf(path, sizeof path, "%s/corpus.db", s->dir);
    buf_init(&before, 1 << 24);
    buf_init(&after, 1 << 24);
    assert_int_equal(io_read_file(path, &before, NULL), 0);
    clock_set_fake(&later);
    merge(s, MERGE_KEEP, 0);
    clock_set_fake(NULL);
    assert_int_equal(io_read_file(path, &after, NULL), 0);
    assert_int_equal(before.n, after.n);
    assert_memory_equal(before.p, after.p, before.n);
    buf_release(&before);
    buf_release(&after);
}

static void test_merge__what_is_gone_is_forgotten(void **state)
{
    struct small *s = *state;
    char command[160];

    small_all(s);
    merge(s, MERGE_KEEP, 0);
    snprintf(command, sizeof command, "rm -r %s/shards %s/survivors", s->dir,
             s->dir);
    assert_int_equal(system(command), 0);
    merge(s, MERGE_KEEP, 0);
    assert_int_equal(ask(s, "SELECT count(*) FROM shard"), 0);
    assert_int_equal(ask(s, "SELECT count(*) FROM query_count WHERE stage IN "
                            "('dedup', 'pack')"),
                     0);
    assert_int_equal(ask(s, "SELECT count(*) FROM pair WHERE sample IS NOT "
                            "NULL"),
                     0);
    assert_int_equal(
        ask(s, "SELECT count(*) FROM part WHERE output LIKE 'shards/%'"), 0);
}

/* A child is killed ever later; the merge after it ends the same. */
static void test_merge__killed_at_any_instant(void **state)
{
    struct small *s = *state;
    struct buf want, got;
    char path[128];
    int killed = 0;

    small_all(s);
    merge(s, MERGE_KEEP, 0);
    dump(s, &want);
    snprintf(path, sizeof path, "rm -f %s/corpus.db*", s->dir);
    for (unsigned us = 200; us < 60000; us = us * 3 / 2) {
        int status;
        pid_t pid;

        assert_int_equal(system(path), 0);
        pid = fork();
        if (pid == 0) {
            struct merge_config config = MERGE_CONFIG_DEFAULT;

            _exit(merge_corpus(&s->corpus, &config, NULL) ? 1 : 0);
        }
        usleep(us);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        killed += WIFSIGNALED(status);
        merge(s, MERGE_KEEP, 0);
        dump(s, &got);
        assert_string_equal(want.p, got.p);
        buf_release(&got);
    }
    buf_release(&want);
    assert_true(killed > 0);
}

static void test_merge__one_merge_at_a_time(void **state)
{
    struct small *s = *state;
    struct merge_config config = MERGE_CONFIG_DEFAULT;
    struct err e = ERR_INIT;
    char lock[128];
    int ready[2], status;
    pid_t pid;
    char byte;

    /* Another process holds the lock until its pipe is closed. */
    assert_int_equal(pipe(ready), 0);
    snprintf(lock, sizeof lock, "%s/merge.lock", s->dir);
    pid = fork();
    if (pid == 0) {
        int fd;

        close(ready[0]);
        if (io_lock(lock, "witmill merge", &fd, NULL))
            _exit(1);
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(merge_corpus(&s->corpus, &config, &e), -E_BUSY);
    assert_int_equal(merge_stage(&s->corpus, NULL), 0); /* it is done */
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(ready[0]);
    merge(s, MERGE_KEEP, 0);
}

/* ---- bad input ---- */

static void test_merge__bad_input(void **state)
{
    struct small *s = *state;
    struct merge_config config = MERGE_CONFIG_DEFAULT;
    struct err e = ERR_INIT;
    struct buf before, after;
    char path[160];

    small_all(s);
    merge(s, MERGE_KEEP, 0);
    dump(s, &before);
    /* A torn bucket stops the merge and leaves the old rows. */
    snprintf(path, sizeof path, "%s/selected/round-1/bucket-0001.jsonl.zst",
             s->dir);
    assert_int_equal(truncate(path, 20), 0);
    snprintf(path, sizeof path, "%s/selected/round-0/bucket-0003.meta.json",
             s->dir);
    assert_int_equal(unlink(path), 0); /* something did change */
    assert_int_not_equal(merge_corpus(&s->corpus, &config, &e), 0);
    assert_non_null(strstr(e.message, "bucket-0001.jsonl.zst"));
    dump(s, &after);
    assert_non_null(strstr(after.p, "query_count [\"balance\",\"0\""));
    buf_release(&before);
    buf_release(&after);
}

/* A limit on the size of files stands for a disk that is full: every merge
 * says so, or is done, and the next one ends as ever. */
static void test_merge__no_room_left(void **state)
{
    struct small *s = *state;
    struct buf want, got;
    char path[128];
    int refused = 0;

    small_all(s);
    merge(s, MERGE_KEEP, 0);
    dump(s, &want);
    snprintf(path, sizeof path, "rm -f %s/corpus.db*", s->dir);
    for (rlim_t limit = 1000; limit < 400000; limit = limit * 4 / 3) {
        int status;
        pid_t pid;

        assert_int_equal(system(path), 0);
        pid = fork();
        if (pid == 0) {
            struct merge_config config = MERGE_CONFIG_DEFAULT;
            struct rlimit r = {limit, limit};
            struct err e = ERR_INIT;

            signal(SIGXFSZ, SIG_IGN);
            if (setrlimit(RLIMIT_FSIZE, &r))
                _exit(2);
            switch (merge_corpus(&s->corpus, &config, &e)) {
            case 0:
                _exit(0);
            case -E_IO:
                _exit(strstr(e.message, "corpus.db") ? 1 : 2);
            default:
                _exit(2);
            }
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_in_range(WEXITSTATUS(status), 0, 1);
        refused += WEXITSTATUS(status);
        merge(s, MERGE_KEEP, 0);
        dump(s, &got);
        assert_string_equal(want.p, got.p);
        buf_release(&got);
    }
    buf_release(&want);
    assert_true(refused > 5);
}

static void test_merge__catalog_option(void **state)
{
    static const struct {
        const char *text;
        int rc;
        enum merge_pairs pairs;
        uint64_t n;
    } rows[] = {
        {"", 0, MERGE_KEEP, 0},        {"full", 0, MERGE_FULL, 0},
        {"none", 0, MERGE_NONE, 0},    {"sample:17", 0, MERGE_SAMPLED, 17},
        {"sample:0", -E_USAGE, 0, 0},  {"sample:", -E_USAGE, 0, 0},
        {"sample:-1", -E_USAGE, 0, 0}, {"sample:99999999999", -E_USAGE, 0, 0},
        {"Full", -E_USAGE, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct merge_config c;

        assert_int_equal(merge_parse_catalog(rows[i].text, &c, NULL),
                         rows[i].rc);
        if (rows[i].rc)
            continue;
        assert_int_equal(c.pairs, rows[i].pairs);
        assert_int_equal(c.sample, rows[i].n);
    }
}

int main(void)
{
#define T(name)                                                                \
    cmocka_unit_test_setup_teardown(test_merge__##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(stepwise_equals_at_once),
        T(nothing_new_writes_nothing),
        T(what_is_gone_is_forgotten),
        T(killed_at_any_instant),
        T(one_merge_at_a_time),
        T(bad_input),
        T(no_room_left),
        T(catalog_option),
    };

    log_quiet(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
