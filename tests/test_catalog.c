/* merge and corpus.db: every number against plain loops over the pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "catalog/ask.h"
#include "tests/small_corpus.h"
#include "tools/merge.h"

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

static void merge(struct small *s, enum merge_pairs pairs, uint64_t sample)
{
    struct merge_config config = {pairs, sample};
    struct err e = ERR_INIT;
    int rc = merge_corpus(&s->corpus, &config, &e);

    if (rc)
        fail_msg("merge: %s", e.message);
}

static void open_db(struct small *s, struct catalog *c)
{
    struct err e = ERR_INIT;

    if (catalog_open(c, s->dir, DB_READ, &e))
        fail_msg("%s", e.message);
}

static int64_t ask(struct small *s, const char *sql)
{
    struct catalog c = CATALOG_INIT;
    struct err e = ERR_INIT;
    int64_t v;

    open_db(s, &c);
    if (db_value(&c.db, sql, &v, &e))
        fail_msg("%s", e.message);
    catalog_close(&c);
    return v;
}

static void dump(struct small *s, struct buf *out)
{
    struct catalog c = CATALOG_INIT;

    buf_init(out, 1 << 24);
    open_db(s, &c);
    assert_int_equal(catalog_dump(&c, out, NULL), 0);
    catalog_close(&c);
}

/* ---- the query list ---- */

static void test_catalog__the_list_comes_in(void **state)
{
    struct small *s = *state;

    merge(s, MERGE_KEEP, 0);
    assert_int_equal(ask(s, "SELECT count(*) FROM query"), SMALL_QUERIES);
    assert_int_equal(
        ask(s, "SELECT count(*) FROM query WHERE group_id=0 AND norm='dog' "
               "AND text IN ('dog','Dog')"),
        2);
    assert_int_equal(ask(s, "SELECT count(*) FROM query WHERE group_id IS "
                            "NULL AND norm='' AND cannot='no-words'"),
                     1);
    assert_int_equal(ask(s, "SELECT count FROM query WHERE id=0"), 321);
    assert_int_equal(ask(s, "SELECT count(*) FROM query WHERE "
                            "synset='dog.n.01'"),
                     1);
    assert_int_equal(ask(s, "SELECT count(*) FROM synset"), 4);
    assert_int_equal(ask(s, "SELECT count(*) FROM synset_parent"), 3);
    assert_int_equal(ask(s, "SELECT value FROM fact WHERE name='seed'"),
                     SMALL_SEED);
    assert_int_equal(ask(s, "SELECT count(*) FROM query_count"), 0);
}

/* ---- counts ---- */

static uint64_t number(struct small *s, const char *stage, const char *column,
                       uint32_t q)
{
    char sql[160];

    snprintf(sql, sizeof sql,
             "SELECT %s FROM query_count WHERE stage='%s' AND group_id=%u",
             column, stage, q);
    return (uint64_t)ask(s, sql);
}

enum which { SELECTED, SURVIVED, PACKED };

static void check_numbers(struct small *s, const char *stage, enum which which,
                          int rounds, uint64_t packed_rows)
{
    for (uint32_t q = 0; q < SMALL_QUERIES; q++) {
        uint64_t picks = 0, contains = 0;

        if (small_groups[q] != q)
            continue;
        for (int i = 0; i < SMALL_PAIRS; i++) {
            bool in = s->round[i] >= 0 &&
                      (which == SELECTED || s->row[i] != UINT64_MAX) &&
                      (which != PACKED || s->row[i] < packed_rows);
            bool has = false;

            for (uint32_t k = 0; k < s->pairs[i].n_q; k++)
                has |= s->pairs[i].q[k] == q;
            contains += in && has;
            picks += in && has && small_picked(s, i, q, rounds);
        }
        assert_int_equal(number(s, stage, "contains", q), contains);
        assert_int_equal(number(s, stage, "picks", q), picks);
        assert_int_equal(number(s, stage, "cap", q), s->t[rounds - 1][q]);
    }
}

static void test_catalog__numbers_of_every_stage(void **state)
{
    struct small *s = *state;

    small_import(s);
    small_gather(s);
    merge(s, MERGE_KEEP, 0);
    for (uint32_t q = 0; q < SMALL_QUERIES; q++)
        if (small_groups[q] == q)
            assert_int_equal(number(s, "gather", "contains", q), s->c[q]);
    assert_int_equal(ask(s, "SELECT count(*) FROM query_count WHERE picks IS "
                            "NOT NULL OR cap IS NOT NULL"),
                     0);
    assert_int_equal(s->c[0], SMALL_PAIRS);

    small_balance(s, 0);
    merge(s, MERGE_KEEP, 0);
    check_numbers(s, "balance", SELECTED, 1, 0);
    small_balance(s, 1);
    merge(s, MERGE_KEEP, 0);
    check_numbers(s, "balance", SELECTED, 2, 0);
    /* The point of picks at the last cap: more than keep says. */
    assert_int_equal(ask(s, "SELECT picks FROM query_count WHERE "
                            "stage='balance' AND group_id=0"),
                     ask(s, "SELECT count(*) FROM pair_query WHERE group_id=0 "
                            "AND picked"));

    small_download(s);
    small_dedup(s);
    merge(s, MERGE_KEEP, 0);
    check_numbers(s, "dedup", SURVIVED, 2, 0);
    assert_int_equal(ask(s, "SELECT count(*) FROM query_count WHERE "
                            "stage='pack'"),
                     0);
    /* One shard of two or more done: its rows alone are packed. */
    assert_true(s->rows > SMALL_SAMPLES);
    small_shard(s, 0);
    merge(s, MERGE_KEEP, 0);
    check_numbers(s, "pack", PACKED, 2, SMALL_SAMPLES);
    small_pack(s);
    merge(s, MERGE_KEEP, 0);
    check_numbers(s, "pack", PACKED, 2, UINT64_MAX);
    assert_int_equal(ask(s, "SELECT sum(samples) FROM shard"), s->rows);
}

static void test_catalog__pairs_and_their_fates(void **state)
{
    struct small *s = *state;
    int selected = 0, images = 0, packed = 0;

    small_all(s);
    merge(s, MERGE_FULL, 0);
    for (int i = 0; i < SMALL_PAIRS; i++) {
        selected += s->round[i] >= 0;
        images += s->round[i] >= 0 && s->image[i];
        packed += s->row[i] != UINT64_MAX;
    }
    assert_in_range(selected, 10, SMALL_PAIRS - 1);
    assert_in_range(packed, 5, images);
    assert_int_equal(ask(s, "SELECT count(*) FROM pair"), selected);
    assert_int_equal(ask(s, "SELECT count(*) FROM pair WHERE "
                            "outcome='image' AND width > 0"),
                     images);
    assert_int_equal(ask(s, "SELECT count(*) FROM pair WHERE outcome IS NULL"),
                     0);
    assert_int_equal(
        ask(s, "SELECT count(*) FROM pair WHERE sample IS NOT NULL"), packed);
    assert_int_equal(ask(s, "SELECT count(*) FROM pair WHERE round=1") > 0, 1);
    /* Key order, so equal corpora have equal ids. */
    for (int i = 0, id = 0; i < SMALL_PAIRS; i++) {
        char sql[256];

        if (s->round[i] < 0)
            continue;
        snprintf(sql, sizeof sql,
                 "SELECT count(*) FROM pair WHERE id=%d AND url='%.*s' AND "
                 "round=%d AND s=%llu",
                 ++id, STR_ARG(s->pairs[i].url), s->round[i],
                 (unsigned long long)s->pairs[i].s);
        assert_int_equal(ask(s, sql), 1);
    }
}

static void test_catalog__a_sample_is_the_same_for_all(void **state)
{
    struct small *s = *state;

    small_all(s);
    merge(s, MERGE_SAMPLED, 5);
    assert_int_equal(ask(s, "SELECT count(*) FROM pair"), 5);
    assert_int_equal(ask(s, "SELECT count(*) FROM pair WHERE outcome IS NULL"),
                     0);
    merge(s, MERGE_KEEP, 0); /* what it was told stays */
    assert_int_equal(ask(s, "SELECT count(*) FROM pair"), 5);
    merge(s, MERGE_NONE, 0);
    assert_int_equal(ask(s, "SELECT count(*) FROM pair"), 0);
    assert_int_equal(ask(s, "SELECT count(*) FROM pair_query"), 0);
    assert_true(ask(s, "SELECT count(*) FROM query_count WHERE "
                       "stage='pack'") > 0);
}

/* ---- parts, drops, hosts ---- */

static void test_catalog__drops_and_hosts(void **state)
{
    struct small *s = *state;
    int asked = 0, failed = 0;

    small_all(s);
    merge(s, MERGE_KEEP, 0);
    for (int i = 0; i < SMALL_PAIRS; i++) {
        bool first = s->round[i] >= 0;

        for (int k = 0; k < i; k++)
            first &=
                !(s->round[k] >= 0 && str_eq(s->pairs[k].url, s->pairs[i].url));
        asked += first;
        failed += first && !s->image[i];
    }
    assert_int_equal(ask(s, "SELECT sum(asked) FROM host"), asked);
    assert_int_equal(ask(s, "SELECT sum(n) FROM host_failure"), failed);
    assert_int_equal(ask(s, "SELECT count(*) FROM host_failure WHERE "
                            "(outcome='failed' AND reason='http-status') OR "
                            "(outcome='refused' AND reason='robots')"),
                     ask(s, "SELECT count(*) FROM host_failure"));
    assert_int_equal(ask(s, "SELECT n FROM drop_total WHERE stage='match' "
                            "AND reason='boilerplate'"),
                     1);
    assert_int_equal(ask(s, "SELECT n FROM stage_total WHERE stage='gather' "
                            "AND name='records'"),
                     SMALL_PAIRS);
}

/* ---- incremental, idempotent, killed ---- */

static void test_catalog__stepwise_equals_at_once(void **state)
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

static void test_catalog__nothing_new_writes_nothing(void **state)
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

static void test_catalog__what_is_gone_is_forgotten(void **state)
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
static void test_catalog__killed_at_any_instant(void **state)
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

static void test_catalog__one_merge_at_a_time(void **state)
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
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    close(ready[0]);
    merge(s, MERGE_KEEP, 0);
}

/* ---- bad input ---- */

static void test_catalog__bad_input(void **state)
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

static void test_catalog__catalog_option(void **state)
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

/* ---- questions ---- */

static int sum_depths(void *ctx, const struct ask_entry *row, struct err *e)
{
    uint64_t *sum = ctx;

    (void)e;
    *sum += 100 + row->depth;
    return 0;
}

static void test_catalog__questions(void **state)
{
    struct small *s = *state;
    struct catalog c = CATALOG_INIT;
    struct ask_spread spread;
    uint64_t *curve, sum = 0, counts[3];
    const uint64_t edges[] = {0, 20, 40, 4097};
    size_t n;

    small_all(s);
    merge(s, MERGE_KEEP, 0);
    open_db(s, &c);
    assert_int_equal(ask_spread(&c, "gather", 10, &spread, NULL), 0);
    assert_true(spread.known);
    assert_int_equal(spread.entries, SMALL_QUERIES);
    assert_int_equal(spread.wordless, 1);
    assert_int_equal(spread.groups, 6);
    assert_int_equal(spread.zero, 2); /* zebra and caf\xc3\xa9 */
    assert_int_equal(spread.zero + spread.tail + spread.head, 6);
    assert_int_equal(spread.tail_sum + spread.head_sum,
                     s->c[0] + s->c[1] + s->c[2] + s->c[4]);
    assert_int_equal(ask_curve(&c, "gather", &curve, &n, NULL), 0);
    assert_int_equal(n, 6);
    assert_int_equal(curve[0], SMALL_PAIRS);
    for (size_t i = 1; i < n; i++)
        assert_true(curve[i - 1] >= curve[i]);
    free(curve);
    assert_int_equal(ask_under(&c, STR("animal.n.01"), sum_depths, &sum, NULL),
                     0);
    assert_int_equal(sum, 404); /* itself 0, dog 1, cat 1, poodle 2 */
    assert_int_equal(ask_histogram(&c, ASK_TEXT_BYTES, edges, 3, counts, NULL),
                     0);
    assert_int_equal(counts[0] + counts[1] + counts[2],
                     ask(s, "SELECT count(*) FROM pair"));
    catalog_close(&c);
}

int main(void)
{
#define T(name)                                                                \
    cmocka_unit_test_setup_teardown(test_catalog__##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_list_comes_in),
        T(numbers_of_every_stage),
        T(pairs_and_their_fates),
        T(a_sample_is_the_same_for_all),
        T(drops_and_hosts),
        T(stepwise_equals_at_once),
        T(nothing_new_writes_nothing),
        T(what_is_gone_is_forgotten),
        T(killed_at_any_instant),
        T(one_merge_at_a_time),
        T(bad_input),
        T(catalog_option),
        T(questions),
    };

    log_quiet(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
