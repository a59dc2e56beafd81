/* corpus.db: every number against plain loops over the pairs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

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
    /* Exactly the cap is tail, as balance says: it picks all of them. */
    assert_int_equal(ask_spread(&c, "gather", s->c[1], &spread, NULL), 0);
    assert_true(spread.tail_sum >= s->c[1]);
    sum = spread.tail;
    assert_int_equal(ask_spread(&c, "gather", s->c[1] - 1, &spread, NULL), 0);
    assert_true(spread.tail < sum);
    assert_int_equal(ask_spread(&c, "gather", 0, &spread, NULL), 0);
    assert_int_equal(spread.tail, 0);
    assert_int_equal(spread.head, 4);
    sum = 0;
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

/* ---- docs/queries.md ---- */

/* Run one question; its rows, cells joined by '|', a line each. */
static uint64_t run_question(struct catalog *c, struct str sql, struct buf *out)
{
    struct db_stmt st = DB_STMT_INIT;
    struct err e = ERR_INIT;
    char *text = xstrndup(sql);
    uint64_t rows = 0;
    bool more = true;
    int rc = db_prepare(&c->db, text, &st, &e);

    buf_clear(out);
    while (!rc && !(rc = db_row(&st, &more, &e)) && more) {
        for (int i = 0; i < db_columns(&st); i++) {
            buf_add(out, i ? STR("|") : STR_NONE);
            buf_add(out, db_get_text(&st, i));
        }
        buf_add_char(out, '\n');
        rows++;
    }
    if (rc)
        fail_msg("%s: %s", e.message, text);
    db_stmt_release(&st);
    free(text);
    return rows;
}

static void test_catalog__ready_questions(void **state)
{
    /* What each must say of the small corpus, somewhere. */
    static const char *const says[] = {
        "gather|unique|records|48\n",
        "match|boilerplate|1|100.0\n",
        "dog|48|14|",
        "file|8|2|1\n", /* zebra and an accented one; !!! has no row */
        "6|3|2|92.5\n",
        "dog|",
        "host2.test|",
        "|alt|http://host.test/page.html?a=1&b=2|1|image\n",
        "dog.n.01|dog|48|",
        "title|",
    };
    struct small *s = *state;
    struct catalog c = CATALOG_INIT;
    struct buf doc, out;
    size_t at = 0, n = 0;

    small_all(s);
    merge(s, MERGE_KEEP, 0);
    open_db(s, &c);
    buf_init(&doc, 1 << 20);
    buf_init(&out, 1 << 20);
    MUST(io_read_file("docs/queries.md", &doc, e));
    while ((at = str_find(buf_str(&doc), STR("```sql\n"), at)) != SIZE_MAX) {
        size_t end = str_find(buf_str(&doc), STR("```\n"), at + 7);

        assert_true(end != SIZE_MAX && n < sizeof says / sizeof *says);
        assert_true(
            run_question(&c, str_slice(buf_str(&doc), at + 7, end), &out));
        if (!strstr(out.p, says[n]))
            fail_msg("question %zu does not say %s:\n%s", n + 1, says[n],
                     out.p);
        at = end;
        n++;
    }
    assert_int_equal(n, 10);
    buf_release(&doc);
    buf_release(&out);
    catalog_close(&c);
}

int main(void)
{
#define T(name)                                                                \
    cmocka_unit_test_setup_teardown(test_catalog__##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_list_comes_in),     T(numbers_of_every_stage),
        T(pairs_and_their_fates), T(a_sample_is_the_same_for_all),
        T(drops_and_hosts),       T(questions),
        T(ready_questions),
    };

    log_quiet(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
