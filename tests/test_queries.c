/* querylist/queries: the stage, on small texts and lists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "querylist/qlist.h"
#include "querylist/queries.h"

static const struct opt rows[] = {
    {.name = "size",
     .type = OPT_U64,
     .at = offsetof(struct queries_config, size),
     .flags = OPT_BYTES},
};

static const struct opt_table table = {
    .command = "queries",
    .rows = rows,
    .n = 1,
    .config_size = sizeof(struct queries_config),
};

/* A folder of its own for each test; everything in it goes at the end. */
struct place {
    char dir[64], corpus[128], text[128];
    struct queries_config c;
    struct queries_summary sum;
    struct err e;
    const char *paths[2];
};

static void place_init(struct place *p)
{
    memset(p, 0, sizeof *p);
    snprintf(p->dir, sizeof p->dir, "/tmp/witmill-queries-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->corpus, sizeof p->corpus, "%s/corpus", p->dir);
    snprintf(p->text, sizeof p->text, "%s/text", p->dir);
    p->c = (struct queries_config){
        .stage.corpus = p->corpus,
        .wordnet = WORDNET_FOLDER,
        .size = 1000,
        .bucket_bits = 6,
        .seed = 5,
        .min_word_count = 2,
        .word_budget = 100,
        .min_bigram_count = 2,
        .bigram_budget = 100,
        .memory = 1 << 24,
    };
}

static void place_release(struct place *p)
{
    char command[256];

    snprintf(command, sizeof command, "rm -rf %s", p->dir);
    assert_int_equal(system(command), 0);
}

static void put(const struct place *p, const char *name, const char *text)
{
    char path[IO_PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", p->dir, name);
    *strrchr(path, '/') = 0;
    assert_int_equal(io_mkdirs(path, NULL), 0);
    path[strlen(path)] = '/';
    assert_int_equal(io_write_file(path, str_of(text), NULL), 0);
}

static int run(struct place *p)
{
    int rc;

    p->e = (struct err)ERR_INIT;
    rc = queries_run(&p->c, &table, &p->sum, &p->e);
    queries_summary_release(&p->sum);
    return rc;
}

static void check_list(const struct place *p, const char *want)
{
    char path[IO_PATH_MAX];
    struct qlist l;
    struct buf got;
    struct err e = ERR_INIT;

    snprintf(path, sizeof path, "%s/" QLIST_FILE, p->corpus);
    if (qlist_open(&l, path, &e))
        fail_msg("%s", e.message);
    buf_init(&got, BUF_NO_LIMIT);
    for (uint32_t i = 0; i < qlist_count(&l); i++) {
        if (i)
            buf_add_char(&got, '|');
        buf_add(&got, qlist_text(&l, i));
    }
    assert_string_equal(buf_str(&got).p, want);
    assert_int_equal(l.head.seed, 5);
    assert_int_equal(l.head.bucket_bits, 6);
    buf_release(&got);
    qlist_close(&l);
}

static void test_queries__text_and_html(void **state)
{
    struct place p;

    (void)state;
    place_init(&p);
    put(&p, "text/b.txt", "Olive oil. Olive\noil!\n\nOil\n");
    put(&p, "text/a/page.HTML",
        "<!doctype html><title>t</title><p>Olive <b>oil</b></p>"
        "<p>dog</p><p>dog</p><script>dog dog</script>");
    put(&p, "text/c.jpg", "dog dog dog");
    p.paths[0] = p.text;
    p.c.text = (struct opt_list){p.paths, 1};
    p.c.sources = "word,bigram";
    assert_int_equal(run(&p), 0);
    assert_int_equal(p.sum.files, 2);
    check_list(&p, "oil|olive|dog|olive oil");
    place_release(&p);
}

static void test_queries__own_list(void **state)
{
    struct place p;
    char path[128];

    (void)state;
    place_init(&p);
    put(&p, "own.txt", "zebra\nDog\ndog");
    snprintf(path, sizeof path, "%s/own.txt", p.dir);
    p.paths[0] = p.paths[1] = path;
    p.c.queries = (struct opt_list){p.paths, 2};
    assert_int_equal(run(&p), 0);
    assert_int_equal(p.sum.entries, 3);
    assert_int_equal(p.sum.groups, 2);
    check_list(&p, "zebra|Dog|dog");
    place_release(&p);
}

/* Rule 3 of the stages: nothing to do, stale, replaced. */
static void test_queries__again(void **state)
{
    struct place p;
    char path[128];

    (void)state;
    place_init(&p);
    put(&p, "own.txt", "a b\nc\n!\n");
    snprintf(path, sizeof path, "%s/own.txt", p.dir);
    p.paths[0] = path;
    p.c.queries = (struct opt_list){p.paths, 1};
    assert_int_equal(run(&p), 0);
    assert_false(p.sum.was_done);
    assert_int_equal(run(&p), 0);
    assert_true(p.sum.was_done);
    assert_int_equal(p.sum.entries, 3);
    assert_int_equal(p.sum.no_words, 1);
    assert_int_equal(p.sum.first[QUERY_FILE], 3);
    put(&p, "own.txt", "a b\nc\nd\n");
    assert_int_equal(run(&p), -E_STALE);
    assert_non_null(strstr(p.e.message, "--redo"));
    check_list(&p, "a b|c|!");
    p.c.stage.redo = true;
    assert_int_equal(run(&p), 0);
    check_list(&p, "a b|c|d");
    p.c.stage.redo = false;
    p.c.size = 2;
    assert_int_equal(run(&p), -E_STALE);
    p.c.size = 1000;
    p.c.seed = 6;
    assert_int_equal(run(&p), -E_STALE);
    place_release(&p);
}

/* Killed before the sidecar: what lies there is replaced. */
static void test_queries__no_sidecar(void **state)
{
    struct place p;
    char path[160];

    (void)state;
    place_init(&p);
    put(&p, "own.txt", "a\n");
    put(&p, "corpus/queries.bin", "torn");
    snprintf(path, sizeof path, "%s/own.txt", p.dir);
    p.paths[0] = path;
    p.c.queries = (struct opt_list){p.paths, 1};
    assert_int_equal(run(&p), 0);
    check_list(&p, "a");
    place_release(&p);
}

static void test_queries__refused(void **state)
{
    static const struct {
        const char *sources;
        bool queries, text;
        int rc;
        const char *says;
    } cases[] = {
        {"words", false, false, -E_USAGE, "expected file, word"},
        {"", false, false, -E_USAGE, "expected file, word"},
        {"title", false, false, -E_USAGE, "--pageviews"},
        {"word", false, false, -E_USAGE, "--text"},
        {"bigram,wordnet", false, false, -E_USAGE, "--text"},
        {"file", false, false, -E_USAGE, "--queries"},
        {"numeral", true, false, -E_USAGE, "--queries"},
        {"file", true, false, -E_NOTFOUND, "absent"},
        {NULL, false, true, -E_NOTFOUND, "absent"},
    };
    static const char *absent[] = {"/nonexistent/absent"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct place p;
        int rc;

        place_init(&p);
        p.c.sources = cases[i].sources;
        if (cases[i].queries)
            p.c.queries = (struct opt_list){absent, 1};
        if (cases[i].text)
            p.c.text = (struct opt_list){absent, 1};
        rc = run(&p);
        if (rc != cases[i].rc || !strstr(p.e.message, cases[i].says))
            fail_msg("case %zu: %d %s", i, rc, p.e.message);
        place_release(&p);
    }
}

static void test_queries__bad_text(void **state)
{
    struct place p;

    (void)state;
    place_init(&p);
    put(&p, "text/a.txt", "dog dog\nbad \xff line dog\ndog\n");
    p.paths[0] = p.text;
    p.c.text = (struct opt_list){p.paths, 1};
    p.c.sources = "word";
    p.e = (struct err)ERR_INIT;
    assert_int_equal(queries_run(&p.c, &table, &p.sum, &p.e), 0);
    assert_int_equal(tally_get(&p.sum.drops, "charset"), 1);
    assert_int_equal(p.sum.words, 3);
    queries_summary_release(&p.sum);
    check_list(&p, "dog");
    /* an empty folder is a mistake of the caller's */
    p.paths[0] = p.corpus;
    p.c.stage.redo = true;
    assert_int_equal(run(&p), -E_NOTFOUND);
    assert_non_null(strstr(p.e.message, ".html"));
    place_release(&p);
}

/* WordNet whole: twice the same bytes, and another policy other bytes. */
static void test_queries__deterministic(void **state)
{
    char one[SHA256_HEX], two[SHA256_HEX], path[IO_PATH_MAX];
    struct place p;

    (void)state;
    if (!io_exists(WORDNET_FOLDER "/data.noun")) {
        print_message("skipped: no wordnet-base\n");
        skip();
    }
    place_init(&p);
    p.c.size = 500000;
    p.c.sources = "wordnet,numeral";
    assert_int_equal(run(&p), 0);
    assert_int_equal(p.sum.entries, 86654);
    snprintf(path, sizeof path, "%s/" QLIST_FILE, p.corpus);
    assert_int_equal(io_sha256_file(path, one, NULL), 0);
    place_release(&p);
    place_init(&p);
    p.c.size = 500000;
    p.c.sources = "numeral,wordnet";
    assert_int_equal(run(&p), 0);
    snprintf(path, sizeof path, "%s/" QLIST_FILE, p.corpus);
    assert_int_equal(io_sha256_file(path, two, NULL), 0);
    assert_string_equal(one, two);
    place_release(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries__text_and_html),
        cmocka_unit_test(test_queries__own_list),
        cmocka_unit_test(test_queries__again),
        cmocka_unit_test(test_queries__no_sidecar),
        cmocka_unit_test(test_queries__refused),
        cmocka_unit_test(test_queries__bad_text),
        cmocka_unit_test(test_queries__deterministic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
