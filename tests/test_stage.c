/* stage, sidecar, corpus: what every stage does alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/opt.h"
#include "base/stage.h"
#include "tests/folder.h"

struct config {
    uint64_t cap;
};

static const struct opt rows[] = {
    {.name = "cap",
     .type = OPT_U64,
     .at = offsetof(struct config, cap),
     .flags = OPT_BYTES,
     .help = "Cap."},
};

static const struct opt_table table = {.command = "test",
                                       .synopsis = "CORPUS",
                                       .summary = "A test.",
                                       .examples = "witmill test x",
                                       .rows = rows,
                                       .n = sizeof rows / sizeof *rows,
                                       .config_size = sizeof(struct config)};

static void make_output(struct stage *s, const char *input, bool *done,
                        int want)
{
    struct stage_inputs in;
    struct stage_output o;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX], hex[SHA256_HEX];
    int rc;

    stage_inputs_init(&in);
    memset(hex, 'a', 64);
    hex[64] = 0;
    stage_inputs_add(&in, input, hex);
    rc = stage_begin(s, &o, "unique/bucket-0000", &in, done, &e);
    assert_int_equal(rc, want);
    if (!rc && !*done) {
        assert_int_equal(stage_path(&o, ".txt", path, NULL), 0);
        assert_int_equal(io_write_file(path, STR("x"), NULL), 0);
        stage_file(&o, "unique/bucket-0000.txt", hex);
        tally_add(&o.counts, "records", 3);
        tally_add(&o.drops, "svg", 2);
        json_put_u64(&o.more, "answer", 42);
        assert_int_equal(stage_commit(&o, &e), 0);
    }
    stage_output_release(&o);
    stage_inputs_release(&in);
}

static void test_stage__done_stale_redo(void **state)
{
    struct corpus c = {.head = {.seed = 7, .bucket_bits = 6}};
    struct config config = {.cap = 5};
    struct stage s;
    struct sidecar side;
    bool done;

    (void)state;
    snprintf(c.dir, sizeof c.dir, "%s", folder);
    stage_init(&s, &c, "gather", 1, &table, &config, false);
    make_output(&s, "in", &done, 0);
    assert_false(done);
    make_output(&s, "in", &done, 0);
    assert_true(done);
    make_output(&s, "other", &done, -E_STALE);
    stage_release(&s);
    config.cap = 6;
    stage_init(&s, &c, "gather", 1, &table, &config, false);
    make_output(&s, "in", &done, -E_STALE);
    s.redo = true;
    make_output(&s, "in", &done, 0);
    assert_false(done);
    stage_release(&s);

    assert_int_equal(sidecar_read(&side, &c, "unique/bucket-0000", NULL), 0);
    assert_string_equal(side.stage, "gather");
    assert_int_equal(tally_get(&side.counts, "records"), 3);
    assert_int_equal(tally_get(&side.drops, "svg"), 2);
    assert_true(str_eq(side.extra, STR("{\"answer\":42}")));
    assert_int_equal(side.n_files, 1);
    assert_string_equal(side.files[0].name, "unique/bucket-0000.txt");
    sidecar_release(&side);
}

static void test_stage__what_changed_is_named(void **state)
{
    static const struct {
        const char *old, *now, *input, *want;
    } cases[] = {
        {"{\"cap\":6}", "{\"cap\":7}", "in", "with --cap 6, now 7"},
        {"{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":1}", "in", "with --b 2, now 1"},
        {"{}", "{\"cap\":7}", "in", "with --cap unknown, now 7"},
        {"{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1}",
         "{\"a\":2,\"b\":2,\"c\":2,\"d\":2,\"e\":2}", "in",
         "with --a 1, now 2, --b 1, now 2, --c 1, now 2, and more"},
        {"{\"cap\":6}", "{\"cap\":6}", "in \"2\"", "from another in \"2\""},
        {"{\"cap\":6}", "{\"cap\":6}", "no/in", "from another no/in"},
        {"{\"cap\":6}", "{\"cap\":6}", NULL,
         "from in too, which is not given now"},
        {"{\"cap\":6}", "{\"cap\":6}", "in",
         "under another seed, or by another version"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sidecar old = {.options = str_of(cases[i].old),
                              .inputs = STR("{\"in\":\"5e\"}")};
        struct stage_inputs now;
        struct buf b;

        stage_inputs_init(&now);
        if (cases[i].input)
            stage_inputs_add(&now, cases[i].input, "5e");
        buf_init(&b, 1024);
        stage_changes(&old, str_of(cases[i].now), &now, &b);
        buf_add_char(&b, 0);
        assert_string_equal(b.p, cases[i].want);
        buf_release(&b);
        stage_inputs_release(&now);
    }
}

/* One more input, or one less, is named: not the next one, which has only
 * moved. */
static void test_stage__input_put_in_or_left_out(void **state)
{
    static const struct {
        const char *now[4], *want; /* beside a, b, c */
    } cases[] = {
        {{"a", "c"}, "from b too, which is not given now"},
        {{"b", "c"}, "from a too, which is not given now"},
        {{"a", "b"}, "from c too, which is not given now"},
        {{"a", "b", "x", "c"}, "without x"},
        {{"a", "b", "c", "-"}, "without standard input"},
        {{"a", "x", "c"}, "from another x"},
        {{"a", "c", "b"}, "from another c"},
    };
    struct sidecar old = {.options = STR("{}"),
                          .inputs =
                              STR("{\"a\":\"5e\",\"b\":\"5e\",\"c\":\"5e\"}")};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct stage_inputs now;
        struct buf b;

        stage_inputs_init(&now);
        for (size_t k = 0; k < 4 && cases[i].now[k]; k++)
            stage_inputs_add(&now, cases[i].now[k], "5e");
        buf_init(&b, 1024);
        stage_changes(&old, STR("{}"), &now, &b);
        buf_add_char(&b, 0);
        assert_string_equal(b.p, cases[i].want);
        buf_release(&b);
        stage_inputs_release(&now);
    }
}

/* A file from outside is its last name and its bytes, whatever leads there;
 * what is shown is what was typed. */
static void test_stage__paths_from_outside(void **state)
{
    static const struct {
        const char *path, *bytes;
        bool same;
    } cases[] = {
        {"/in/./d.gz", "one", true},     {"//in/d.gz", "one", true},
        {"/in/../in/d.gz", "one", true}, {"/link/d.gz", "one", true},
        {"/other/d.gz", "one", true},    {"/other/d.gz", "two", false},
        {"/other/e.gz", "one", false},   {"/in/d.gz", "one", true},
    };
    struct corpus c = {.head = {.seed = 7}};
    struct config config = {.cap = 5};
    struct stage_inputs in, copy;
    struct err e = ERR_INIT;
    char first[SHA256_HEX];
    struct stage_output o;
    struct stage s;
    bool done;

    (void)state;
    snprintf(c.dir, sizeof c.dir, "%s/outside", folder);
    stage_init(&s, &c, "test", 1, &table, &config, true);
    assert_int_equal(io_mkdirs(at("in"), &e) + io_mkdirs(at("other"), &e), 0);
    assert_int_equal(symlink("in", at("link")), 0);
    stage_inputs_init(&copy);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[IO_PATH_MAX];
        struct sidecar side;

        snprintf(path, sizeof path, "%s%s", folder, cases[i].path);
        assert_int_equal(io_write_file(path, str_of(cases[i].bytes), &e), 0);
        stage_inputs_init(&in);
        stage_inputs_clear(&copy);
        stage_inputs_add(&in, "queries.bin", "5e");
        assert_int_equal(stage_inputs_add_file(&in, path, &e), 0);
        assert_string_equal(in.v[1].name, path);
        stage_inputs_add_all(&copy, &in);
        stage_inputs_release(&in); /* the copy is its own */
        assert_int_equal(stage_begin(&s, &o, "out", &copy, &done, &e), 0);
        if (i == 0)
            memcpy(first, o.fingerprint, sizeof first);
        assert_int_equal(!strcmp(first, o.fingerprint), cases[i].same);
        if (!done) {
            stage_file(&o, "out.x", first);
            assert_int_equal(stage_commit(&o, &e), 0);
            assert_int_equal(sidecar_read(&side, &c, "out", &e), 0);
            assert_true(str_find(side.inputs, str_of(path), 0) != SIZE_MAX);
            sidecar_release(&side);
        }
        stage_output_release(&o);
    }
    stage_inputs_release(&copy);
    stage_release(&s);
}

static void test_stage__damaged_sidecar_is_named(void **state)
{
    struct corpus c = {.head = {.seed = 7}};
    struct sidecar side;
    struct err e = ERR_INIT;

    (void)state;
    snprintf(c.dir, sizeof c.dir, "%s", folder);
    io_write_file(at("bad.meta.json"), STR("{\"stage\":"), NULL);
    assert_int_equal(sidecar_read(&side, &c, "bad", &e), -E_DAMAGED);
    assert_non_null(strstr(e.message, "bad.meta.json"));
    assert_int_equal(sidecar_read(&side, &c, "absent", NULL), -E_NOTFOUND);
}

static void test_corpus__refuses_what_is_none(void **state)
{
    struct corpus c;
    struct err e = ERR_INIT;
    char head[CORPUS_HEADER_SIZE];
    struct corpus_header h = {.version = CORPUS_VERSION,
                              .seed = 3,
                              .bucket_bits = 6,
                              .file_size = 64};

    (void)state;
    assert_int_equal(corpus_open(&c, folder, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "is no corpus"));
    corpus_header_write(&h, head);
    io_write_file(at("queries.bin"), str_make(head, 64), NULL);
    assert_int_equal(corpus_open(&c, folder, NULL), 0);
    assert_int_equal(c.head.seed, 3);
    io_write_file(at("queries.bin"), str_make(head, 50), NULL);
    assert_int_equal(corpus_open(&c, folder, NULL), -E_DAMAGED);
    h.version = 99;
    corpus_header_write(&h, head);
    io_write_file(at("queries.bin"), str_make(head, 64), NULL);
    assert_int_equal(corpus_open(&c, folder, NULL), -E_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stage__done_stale_redo),
        cmocka_unit_test(test_stage__what_changed_is_named),
        cmocka_unit_test(test_stage__input_put_in_or_left_out),
        cmocka_unit_test(test_stage__paths_from_outside),
        cmocka_unit_test(test_stage__damaged_sidecar_is_named),
        cmocka_unit_test(test_corpus__refuses_what_is_none),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
