/* opt: argv, INI and the part of the fingerprint. test_opt.c prints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/opt.h"
#include "base/part.h"
#include "tests/folder.h"
#include "tools/command.h"

struct config {
    const char *corpus;
    uint64_t cap, memory;
    bool exact;
    struct opt_list seeds;
    int mode;
    double rate;
    struct part part;
    int style;
};

static const char *const modes[] = {"one", "two", NULL};

static const char *const styles[] = {"plain", "large", "bare", NULL};
static const struct opt_preset presets[] = {
    {"large", "cap", "900"},  {"large", "exact", "yes"},
    {"large", "seed", "p q"}, {"large", "mode", "two"},
    {"bare", "seed", ""},     {"bare", "cap", "1"},
    {NULL, NULL, NULL}};

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
    {.name = "style",
     .type = OPT_CHOICE,
     .at = offsetof(struct config, style),
     .def = "plain",
     .choices = styles,
     .presets = presets,
     .help = "Style."},
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

static void test_opt__sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {
        {"1", 1},
        {"1k", 1 << 10},
        {"1K", 1 << 10},
        {"3m", 3 << 20},
        {"3M", 3 << 20},
        {"2g", UINT64_C(2) << 30},
        {"2G", UINT64_C(2) << 30},
        {"1t", UINT64_C(1) << 40},
        {"1T", UINT64_C(1) << 40},
        {"512MiB", 512 << 20},
        {"7kib", 7 << 10},
        {"1_024K", 1 << 20},
        {"15T", UINT64_C(15) << 40},
        {"18446744073709551615", UINT64_MAX},
        {"16777215T", UINT64_C(16777215) << 40},
        {"16777216T", 0},
        {"18446744073709551616", 0},
        {"", 0},
        {"K", 0},
        {"iB", 0},
        {"KiB", 0},
        {"5iB", 0},
        {"5i", 0},
        {"5KB", 0}, /* 1000 or 1024? */
        {"1KK", 0},
        {"1 K", 0},
        {"-1K", 0},
        {"1.5G", 0},
        {"1Q", 0},
        {"1_K", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        struct config c;
        struct opt_set s;
        int rc;

        opt_init(&s, &table, &c);
        rc = opt_put(&s, STR("memory"), str_of(cases[i].text), &e);
        if (rc != (cases[i].bytes ? 0 : -E_USAGE) ||
            (!rc && c.memory != cases[i].bytes) ||
            (rc && !strstr(e.message, "K, M, G or T")))
            fail_msg("%s: %d, %llu, %s", cases[i].text, rc,
                     (unsigned long long)c.memory, e.message);
        opt_release(&s);
    }
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
                                         {"", "--exact", "--exact"},
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

/* What is given wins, wherever it stands; the fingerprint has what came of
 * it. */
static void test_opt__presets(void **state)
{
    static const struct {
        const char *argv[6], *json;
    } cases[] = {
        {{"d", "--exact"},
         "{\"cap\":20000,\"exact\":true,\"seed\":[],\"mode\":\"one\"}"},
        {{"d", "--style", "large"},
         "{\"cap\":900,\"exact\":true,\"seed\":[\"p\",\"q\"],"
         "\"mode\":\"two\"}"},
        {{"d", "--cap", "7", "--style", "large", "--no-exact"},
         "{\"cap\":7,\"exact\":false,\"seed\":[\"p\",\"q\"],"
         "\"mode\":\"two\"}"},
        {{"d", "--style", "large", "--seed=r", "--mode=one"},
         "{\"cap\":900,\"exact\":true,\"seed\":[\"r\"],\"mode\":\"one\"}"},
        {{"d", "--style", "bare"},
         "{\"cap\":1,\"exact\":false,\"seed\":[],\"mode\":\"one\"}"},
        {{"d", "--style", "plain"},
         "{\"cap\":20000,\"exact\":false,\"seed\":[],\"mode\":\"one\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct config c;
        struct opt_set s;
        struct buf b;
        int n = 0;

        while (n < 6 && cases[i].argv[n])
            n++;
        opt_init(&s, &table, &c);
        assert_int_equal(
            opt_argv(&s, n, (char *const *)(uintptr_t)cases[i].argv, NULL), 0);
        assert_int_equal(opt_finish(&s, NULL), 0);
        buf_init(&b, 1000);
        opt_json(&table, &c, &b);
        assert_string_equal(b.p, cases[i].json);
        buf_release(&b);
        opt_release(&s);
    }
}

/* Every preset of every command's table sets what its options take. */
static void test_opt__presets_of_commands(void **state)
{
    size_t n = 0;

    (void)state;
    for (size_t k = 0; command_list[k]; k++) {
        const struct opt_table *t = command_list[k]->options;

        for (size_t i = 0; i < t->n; i++)
            for (const struct opt_preset *p = t->rows[i].presets;
                 p && p->choice; p++) {
                _Alignas(16) char config[4096];
                struct opt_set s;
                int rc;

                opt_init(&s, t, config);
                rc = opt_put(&s, str_of(t->rows[i].name), str_of(p->choice),
                             NULL);
                rc = rc ? rc
                        : opt_put(&s, str_of(p->name), str_of(p->value), NULL);
                if (rc)
                    fail_msg("%s %s: %s", t->command, p->choice, p->name);
                opt_release(&s);
                n++;
            }
    }
    assert_true(n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opt__argv_and_fingerprint),
        cmocka_unit_test(test_opt__sizes),
        cmocka_unit_test(test_opt__refuses),
        cmocka_unit_test(test_opt__ini),
        cmocka_unit_test(test_opt__presets),
        cmocka_unit_test(test_opt__presets_of_commands),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
