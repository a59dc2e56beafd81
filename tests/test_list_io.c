/* querylist/list_io, list_check: lists in three forms, both ways; class names
 * in a list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "querylist/list_check.h"
#include "querylist/list_io.h"
#include "tests/folder.h"

/* ---- reading ---- */

struct reading {
    struct query_candidates c;
    struct arena arena;
    struct tally drops;
    struct err e;
    int rc;
};

static void read_list(struct reading *r, enum query_form form, struct str bytes)
{
    *r = (struct reading){.e = ERR_INIT};
    arena_init(&r->arena, 1 << 24);
    tally_init(&r->drops);
    r->rc = query_list_import(&r->c, form, bytes, "list", &r->arena, &r->drops,
                              &r->e);
}

static void reading_release(struct reading *r)
{
    query_candidates_release(&r->c);
    arena_release(&r->arena);
    tally_release(&r->drops);
}

static void check_texts(const struct query_candidates *c, const char *want)
{
    struct buf got;

    buf_init(&got, BUF_NO_LIMIT);
    for (size_t i = 0; i < c->n; i++) {
        buf_add(&got, c->v[i].text);
        buf_add_char(&got, '|');
    }
    assert_string_equal(buf_str(&got).p, want);
    buf_release(&got);
}

static void test_list_io__forms(void **state)
{
    static const struct {
        const char *path;
        enum query_form form;
    } cases[] = {
        {"metadata.json", QUERY_FORM_JSON},
        {"a.JSON.gz", QUERY_FORM_JSON},
        {"list.tsv", QUERY_FORM_TSV},
        {"list.tsv.zst", QUERY_FORM_TSV},
        {"list.tsv.bz2", QUERY_FORM_TSV},
        {"list.txt", QUERY_FORM_TEXT},
        {"list", QUERY_FORM_TEXT},
        {"-", QUERY_FORM_TEXT},
        {"json", QUERY_FORM_TEXT},
        {"a.json.txt", QUERY_FORM_TEXT},
        {"", QUERY_FORM_TEXT},
        {".gz", QUERY_FORM_TEXT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(query_form_of(cases[i].path), cases[i].form);
}

static void test_list_io__read_json(void **state)
{
    static const struct {
        const char *bytes, *texts; /* NULL: refused */
    } cases[] = {
        {"[]", ""},
        {" [ ] \n", ""},
        {"[\"a\", \"b c\"]", "a|b c|"},
        {"\xef\xbb\xbf[\"a\"]", "a|"},
        {"[\" a \",\"\"]", " a ||"},
        {"[\"caf\\u00e9\",\"\\ud83d\\ude00\",\"q\\\"\\\\\\/\"]",
         "caf\xc3\xa9|\xf0\x9f\x98\x80|q\"\\/|"},
        {"", NULL},
        {"{\"a\": 1}", NULL},
        {"\"a\"", NULL},
        {"[\"a\", 1]", NULL},
        {"[\"a\", null]", NULL},
        {"[[\"a\"]]", NULL},
        {"[\"a\"", NULL},
        {"[\"a\",]", NULL},
        {"[\"a\"] x", NULL},
        {"[\"\\ud83d\"]", NULL},
        {"[\"\xff\"]", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct reading r;

        read_list(&r, QUERY_FORM_JSON, str_of(cases[i].bytes));
        if ((r.rc == 0) != (cases[i].texts != NULL))
            fail_msg("%s: %d", cases[i].bytes, r.rc);
        if (cases[i].texts) {
            check_texts(&r.c, cases[i].texts);
        } else {
            assert_int_equal(r.rc, -E_FORMAT);
            assert_non_null(strstr(r.e.message, "list"));
        }
        reading_release(&r);
    }
}

static void test_list_io__read_tsv(void **state)
{
    static const char good[] = "views\tx\ttext\tpmi\tcount\r\n"
                               "7\t\ta\\tb\\\\\\n\\r\t-1.5\t\r\n"
                               "\n"
                               "\tq\t b \t\t12";
    static const struct {
        const char *row, *drop;
    } bad[] = {
        {"a", "list-fields"},       {"1\ta\tx", "list-fields"},
        {"x\ta", "list-number"},    {"-1\ta", "list-number"},
        {"1\ta\\x", "list-escape"}, {"1\ta\\", "list-escape"},
        {"1.5\ta", "list-number"},
    };
    struct reading r;

    (void)state;
    read_list(&r, QUERY_FORM_TSV, str_of(good));
    assert_int_equal(r.rc, 0);
    check_texts(&r.c, "a\tb\\\n\r| b |");
    assert_int_equal(r.c.v[0].views, 7);
    assert_true(r.c.v[0].pmi == -1.5);
    assert_int_equal(r.c.v[0].count, 0);
    assert_int_equal(r.c.v[1].count, 12);
    assert_int_equal(r.c.v[1].synset, QUERY_NONE);
    assert_int_equal(tally_sum(&r.drops), 0);
    reading_release(&r);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char bytes[64];

        snprintf(bytes, sizeof bytes, "count\ttext\n%s\n5\tlast\n", bad[i].row);
        read_list(&r, QUERY_FORM_TSV, str_of(bytes));
        assert_int_equal(r.rc, 0);
        check_texts(&r.c, "last|");
        if (tally_get(&r.drops, bad[i].drop) != 1)
            fail_msg("%s is no %s", bad[i].row, bad[i].drop);
        reading_release(&r);
    }
    read_list(&r, QUERY_FORM_TSV, STR("id\ttexts\n1\ta\n"));
    assert_int_equal(r.rc, -E_FORMAT);
    assert_non_null(strstr(r.e.message, "column \"text\""));
    reading_release(&r);
    read_list(&r, QUERY_FORM_TSV, STR(""));
    assert_int_equal(r.rc, -E_FORMAT);
    reading_release(&r);
}

static void test_list_io__read_file(void **state)
{
    struct reading r;

    (void)state;
    read_list(&r, QUERY_FORM_TEXT, STR("\xef\xbb\xbf a \r\n\n[b]\n"));
    check_texts(&r.c, "a|[b]|");
    assert_int_equal(io_write_file(at("l.json"), STR("[\"x\"]"), NULL), 0);
    assert_int_equal(
        query_list_read(&r.c, at("l.json"), &r.arena, &r.drops, &r.e), 0);
    check_texts(&r.c, "a|[b]|x|");
    assert_int_equal(
        query_list_read(&r.c, at("absent"), &r.arena, &r.drops, NULL),
        -E_NOTFOUND);
    reading_release(&r);
    read_list(&r, QUERY_FORM_TEXT, STR(""));
    arena_release(&r.arena);
    arena_init(&r.arena, 4);
    assert_int_equal(
        query_list_read(&r.c, at("l.json"), &r.arena, &r.drops, NULL),
        -E_TOOBIG);
    reading_release(&r);
}

/* ---- writing ---- */

/* queries.bin of entries that came from --queries. */
struct made {
    struct query_list list;
    struct buf bytes;
    struct qlist q;
};

static void make(struct made *m, const struct query_candidates *file,
                 const struct query_candidates *bigram,
                 enum query_policy policy)
{
    const struct query_list_config c = {
        .size = 1000000,
        .policy = policy,
        .sources = {[QUERY_FILE] = file, [QUERY_BIGRAM] = bigram}};
    struct err e = ERR_INIT;

    buf_init(&m->bytes, BUF_NO_LIMIT);
    if (query_list_build(&m->list, &c, &e) ||
        qlist_encode(&m->list, NULL, policy, 0, 6, &m->bytes, &e) ||
        qlist_open_memory(&m->q, buf_str(&m->bytes), "made", &e))
        fail_msg("%s", e.message);
}

static void made_release(struct made *m)
{
    qlist_close(&m->q);
    buf_release(&m->bytes);
    query_list_release(&m->list);
}

static int put(void *ctx, struct str bytes, struct err *e)
{
    (void)e;
    buf_add(ctx, bytes);
    return 0;
}

static void check_export(const struct made *m, enum query_form form,
                         const char *want)
{
    struct buf got;

    buf_init(&got, BUF_NO_LIMIT);
    assert_int_equal(query_list_export(&m->q, form, put, &got, NULL), 0);
    assert_string_equal(buf_str(&got).p, want);
    buf_release(&got);
}

#define HEADER                                                                 \
    "id\ttext\tnorm\tgroup\tsources\tcount\tpmi\tviews\tsynset\tflags\n"

static void test_list_io__write(void **state)
{
    struct query_candidates file = {0}, bigram = {0};
    struct made m;

    (void)state;
    query_candidates_add(&file, STR("St. Louis"))->views = 70;
    query_candidates_add(&file, STR("?!"));
    query_candidates_add(&file, STR("q\"\\ \x7f"));
    *query_candidates_add(&bigram, STR("caf\xc3\xa9 \xf0\x9f\x98\x80")) =
        (struct query_candidate){.text = STR("caf\xc3\xa9 \xf0\x9f\x98\x80"),
                                 .count = 5,
                                 .pmi = 0.25,
                                 .synset = QUERY_NONE};
    query_candidates_add(&bigram, STR("st louis"))->count = 9;
    make(&m, &file, &bigram, QUERY_POLICY_WORDS);
    check_export(&m, QUERY_FORM_TEXT,
                 "St. Louis\n?!\nq\"\\ \x7f\ncaf\xc3\xa9 \xf0\x9f\x98\x80\n"
                 "st louis\n");
    check_export(&m, QUERY_FORM_JSON,
                 "[\"St. Louis\", \"?!\", \"q\\\"\\\\ \\u007f\", "
                 "\"caf\\u00e9 \\ud83d\\ude00\", \"st louis\"]");
    check_export(&m, QUERY_FORM_TSV,
                 HEADER "0\tSt. Louis\tst louis\t0\tfile\t\t\t70\t\t\n"
                        "1\t?!\t\t\tfile\t\t\t\t\tno-words\n"
                        "2\tq\"\\\\ \x7f\tq\t2\tfile\t\t\t\t\t\n"
                        "3\tcaf\xc3\xa9 \xf0\x9f\x98\x80\tcaf\xc3\xa9\t3\t"
                        "bigram\t5\t0.25\t\t\t\n"
                        "4\tst louis\tst louis\t0\tbigram\t9\t0\t\t\t\n");
    made_release(&m);
    make(&m, &file, NULL, QUERY_POLICY_METACLIP);
    check_export(&m, QUERY_FORM_TSV,
                 HEADER "0\tSt. Louis\tSt. Louis\t0\tfile\t\t\t70\t\tnever\n"
                        "1\t?!\t?!\t1\tfile\t\t\t\t\tnever\n"
                        "2\tq\"\\\\ \x7f\tq\"\\\\ \x7f\t2\tfile\t\t\t\t\t\n");
    made_release(&m);
    query_candidates_release(&file);
    query_candidates_release(&bigram);
    make(&m, NULL, NULL, QUERY_POLICY_WORDS);
    check_export(&m, QUERY_FORM_TEXT, "");
    check_export(&m, QUERY_FORM_JSON, "[]");
    check_export(&m, QUERY_FORM_TSV, HEADER);
    made_release(&m);
}

/* Bytes -> list -> bytes, many entries, so that pieces end between them. */
static void test_list_io__round_trip(void **state)
{
    static const char *const tails[] = {
        "", " \xc3\xa9", "\\", "\"", ".", "\xe2\x80\xa8", "\xf0\x90\x80\x80"};
    static const enum query_form forms[] = {QUERY_FORM_TEXT, QUERY_FORM_TSV,
                                            QUERY_FORM_JSON};
    struct query_candidates c = {0};
    struct arena arena;
    struct made m;

    (void)state;
    arena_init(&arena, 1 << 24);
    for (unsigned i = 0; i < 60000; i++) {
        char text[64];

        snprintf(text, sizeof text, "entry number %u%s", i, tails[i % 7]);
        query_candidates_add(&c, arena_str(&arena, str_of(text)))->count = i;
    }
    make(&m, &c, NULL, QUERY_POLICY_METACLIP);
    for (size_t f = 0; f < 3; f++) {
        struct buf first, second;
        struct reading r;
        struct made again;

        buf_init(&first, BUF_NO_LIMIT);
        buf_init(&second, BUF_NO_LIMIT);
        assert_int_equal(query_list_export(&m.q, forms[f], put, &first, NULL),
                         0);
        assert_true(first.n > (1u << 20) || f == 0);
        read_list(&r, forms[f], buf_str(&first));
        if (r.rc)
            fail_msg("%s", r.e.message);
        make(&again, &r.c, NULL, QUERY_POLICY_METACLIP);
        assert_int_equal(
            query_list_export(&again.q, forms[f], put, &second, NULL), 0);
        assert_true(str_eq(buf_str(&first), buf_str(&second)));
        made_release(&again);
        reading_release(&r);
        buf_release(&first);
        buf_release(&second);
    }
    made_release(&m);
    query_candidates_release(&c);
    arena_release(&arena);
}

static int full(void *ctx, struct str bytes, struct err *e)
{
    (void)ctx, (void)bytes;
    return err_set(e, E_IO, "full");
}

static void test_list_io__write_fails(void **state)
{
    struct query_candidates c = {0};
    struct made m;
    struct err e = ERR_INIT;

    (void)state;
    query_candidates_add(&c, STR("dog"));
    make(&m, &c, NULL, QUERY_POLICY_WORDS);
    assert_int_equal(query_list_export(&m.q, QUERY_FORM_TEXT, full, NULL, &e),
                     -E_IO);
    made_release(&m);
    query_candidates_release(&c);
}

/* ---- class names ---- */

static void check_name(const struct made *m, const char *name,
                       enum list_check_result want)
{
    struct list_check c;
    enum list_check_result got;

    assert_int_equal(list_check_open(&c, &m->q, NULL), 0);
    assert_int_equal(list_check_name(&c, str_of(name), &got, NULL), 0);
    if (got != want)
        fail_msg("%s: %d", name, got);
    list_check_close(&c);
}

static void test_list_io__check(void **state)
{
    struct query_candidates c = {0};
    struct made m;

    (void)state;
    query_candidates_add(&c, STR("apple pie"));
    query_candidates_add(&c, STR("St. Louis"));
    query_candidates_add(&c, STR("!"));
    query_candidates_add(&c, STR("\xe7\x8a\xac"));
    make(&m, &c, NULL, QUERY_POLICY_WORDS);
    check_name(&m, "apple pie", LIST_CHECK_EXACT);
    check_name(&m, "Apple_pie", LIST_CHECK_NORM);
    check_name(&m, "apple", LIST_CHECK_MISSING);
    check_name(&m, "St. Louis", LIST_CHECK_EXACT);
    check_name(&m, "st louis", LIST_CHECK_NORM);
    check_name(&m, "!", LIST_CHECK_MISSING);
    check_name(&m, "?", LIST_CHECK_MISSING);
    check_name(&m, "", LIST_CHECK_MISSING);
    check_name(&m, "\xff", LIST_CHECK_MISSING);
    check_name(&m, "\xe7\x8a\xac.", LIST_CHECK_NORM);
    made_release(&m);
    make(&m, &c, NULL, QUERY_POLICY_METACLIP);
    check_name(&m, "apple pie", LIST_CHECK_EXACT);
    check_name(&m, "Apple pie", LIST_CHECK_MISSING);
    check_name(&m, "St. Louis", LIST_CHECK_MISSING); /* cannot match */
    check_name(&m, "!", LIST_CHECK_EXACT);
    made_release(&m);
    query_candidates_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_io__forms),
        cmocka_unit_test(test_list_io__read_json),
        cmocka_unit_test(test_list_io__read_tsv),
        cmocka_unit_test(test_list_io__read_file),
        cmocka_unit_test(test_list_io__write),
        cmocka_unit_test(test_list_io__round_trip),
        cmocka_unit_test(test_list_io__write_fails),
        cmocka_unit_test(test_list_io__check),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
