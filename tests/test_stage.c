/* opt, stage, sidecar, corpus: what every stage does alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/opt.h"
#include "base/stage.h"
#include "tests/folder.h"

/* ---- options ---- */

struct config {
    const char *corpus;
    uint64_t cap, memory;
    bool exact;
    struct opt_list seeds;
    int mode;
    double rate;
    struct part part;
};

static const char *const modes[] = {"one", "two", NULL};

static const struct opt rows[] = {
    {.name = "CORPUS",
     .type = OPT_STRING,
     .at = offsetof(struct config, corpus),
     .flags = OPT_REQUIRED | OPT_POSITIONAL,
     .help = "The folder."},
    {.name = "cap",
     .type = OPT_U64,
     .at = offsetof(struct config, cap),
     .def = "20000",
     .min = 1,
     .max = 1e9,
     .flags = OPT_BYTES,
     .help = "Cap."},
    {.name = "memory",
     .type = OPT_SIZE,
     .at = offsetof(struct config, memory),
     .def = "2G",
     .help = "Memory."},
    {.name = "exact",
     .type = OPT_BOOL,
     .at = offsetof(struct config, exact),
     .flags = OPT_BYTES,
     .help = "Exact."},
    {.name = "seed",
     .type = OPT_LIST,
     .at = offsetof(struct config, seeds),
     .flags = OPT_BYTES,
     .help = "Seeds."},
    {.name = "mode",
     .type = OPT_CHOICE,
     .at = offsetof(struct config, mode),
     .def = "one",
     .choices = modes,
     .flags = OPT_BYTES,
     .help = "Mode."},
    {.name = "rate",
     .type = OPT_DOUBLE,
     .at = offsetof(struct config, rate),
     .def = "1.5",
     .help = "Rate."},
    {.name = "part",
     .type = OPT_PART,
     .at = offsetof(struct config, part),
     .help = "Part."},
};

static const struct opt_table table = {.command = "test",
                                       .synopsis = "CORPUS",
                                       .summary = "A test.",
                                       .examples = "witmill test x",
                                       .rows = rows,
                                       .n = sizeof rows / sizeof *rows,
                                       .config_size = sizeof(struct config)};

static void test_opt__argv_and_fingerprint(void **state)
{
    const char *argv[] = {"dir",      "--cap",      "1_000",  "--exact",
                          "--seed=a", "--seed",     "b",      "--memory",
                          "3k",       "--mode=two", "--part", "1/4"};
    struct config c;
    struct opt_set s;
    struct buf b;

    (void)state;
    opt_init(&s, &table, &c);
    assert_int_equal(opt_argv(&s, 12, (char *const *)(uintptr_t)argv, NULL), 0);
    assert_int_equal(opt_finish(&s, NULL), 0);
    assert_string_equal(c.corpus, "dir");
    assert_int_equal(c.cap, 1000);
    assert_int_equal(c.memory, 3072);
    assert_int_equal(c.part.i, 1);
    buf_init(&b, 1000);
    opt_json(&table, &c, &b);
    assert_string_equal(b.p,
                        "{\"cap\":1000,\"exact\":true,\"seed\":[\"a\",\"b\"],"
                        "\"mode\":\"two\"}");
    buf_release(&b);
    opt_release(&s);
}

static void test_opt__refuses(void **state)
{
    static const char *const bad[][3] = {{"dir", "--cap", "0"},
                                         {"dir", "--cap", "x"},
                                         {"dir", "--nope", "1"},
                                         {"dir", "--mode", "three"},
                                         {"dir", "extra", "--exact"},
                                         {"dir", "--part", "4/4"},
                                         {"dir", "--memory", "1Q"},
                                         {"--exact", "--no-exact", "--exact"},
                                         {"dir", "--exact=maybe", "--exact"},
                                         {"dir", "--rate", "inf"}};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct config c;
        struct opt_set s;
        struct err e = ERR_INIT;
        int rc;

        opt_init(&s, &table, &c);
        rc = opt_argv(&s, 3, (char *const *)(uintptr_t)bad[i], &e);
        if (!rc)
            rc = opt_finish(&s, &e);
        if (rc != -E_USAGE)
            fail_msg("accepted case %zu", i);
        assert_true(e.message[0] != 0);
        opt_release(&s);
    }
}

static int take(void *ctx, struct str section, struct str name,
                struct str value, struct err *e)
{
    if (!str_eq(section, STR("balance")))
        return err_set(e, E_USAGE, "no section");
    return name.n ? opt_put(ctx, name, value, e) : 0;
}

static void test_opt__ini(void **state)
{
    struct config c;
    struct opt_set s;
    struct err e = ERR_INIT;

    (void)state;
    opt_init(&s, &table, &c);
    io_write_file(at("a.ini"),
                  STR("# a comment\n[balance]\ncap = 50\nseed = x y\n"
                      "exact = yes\n"),
                  NULL);
    assert_int_equal(opt_ini(at("a.ini"), take, &s, &e), 0);
    assert_int_equal(c.cap, 50);
    assert_int_equal(c.seeds.n, 2);
    assert_true(c.exact);
    io_write_file(at("b.ini"), STR("[balance]\n\ncapp = 50\n"), NULL);
    assert_int_equal(opt_ini(at("b.ini"), take, &s, &e), -E_USAGE);
    assert_non_null(strstr(e.message, "b.ini:3: unknown key \"capp\""));
    opt_release(&s);
}

/* ---- stages ---- */

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
        {"{\"cap\":6}", "{\"cap\":6}", "in",
         "from fewer or other inputs, or under another seed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sidecar old = {.options = str_of(cases[i].old),
                              .inputs = STR("{\"in\":\"5e\"}")};
        struct stage_inputs now;
        struct buf b;

        stage_inputs_init(&now);
        stage_inputs_add(&now, cases[i].input, "5e");
        buf_init(&b, 1024);
        stage_changes(&old, str_of(cases[i].now), &now, &b);
        buf_add_char(&b, 0);
        assert_string_equal(b.p, cases[i].want);
        buf_release(&b);
        stage_inputs_release(&now);
    }
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
        cmocka_unit_test(test_opt__argv_and_fingerprint),
        cmocka_unit_test(test_opt__refuses),
        cmocka_unit_test(test_opt__ini),
        cmocka_unit_test(test_stage__done_stale_redo),
        cmocka_unit_test(test_stage__what_changed_is_named),
        cmocka_unit_test(test_stage__damaged_sidecar_is_named),
        cmocka_unit_test(test_corpus__refuses_what_is_none),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
