/* opt: help, docs page and completion words of a table and of all commands;
 * INI files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/mem.h"
#include "tools/command.h"

struct config {
    const char *corpus;
    uint64_t cap;
    bool exact, rule;
    const char *column;
    int mode;
    bool secret;
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
     .arg = "T",
     .def = "20000",
     .flags = OPT_BYTES,
     .help = "How many pairs a query may pick, which is a sentence that is "
             "long enough to be wrapped."},
    {.name = "exact",
     .type = OPT_BOOL,
     .at = offsetof(struct config, exact),
     .help = "Ranks."},
    {.name = "rule",
     .type = OPT_BOOL,
     .at = offsetof(struct config, rule),
     .def = "yes",
     .help = "Keep them."},
    {.name = "a-column-of-a-long-name",
     .type = OPT_STRING,
     .at = offsetof(struct config, column),
     .arg = "NAME|N",
     .help = "A|B."},
    {.name = "mode",
     .type = OPT_CHOICE,
     .at = offsetof(struct config, mode),
     .def = "one",
     .choices = modes,
     .help = "Mode."},
    {.name = "secret",
     .type = OPT_BOOL,
     .at = offsetof(struct config, secret),
     .flags = OPT_HIDDEN,
     .help = "For tests."},
};

static const struct opt_table table = {
    .command = "try",
    .synopsis = "CORPUS [options]",
    .summary = "Try it.",
    .details = "One.\n\nTwo.",
    .examples = "witmill try x\n# why\nwitmill try y",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct config)};

static void test_opt__help(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    opt_help(&table, &b);
    assert_string_equal(
        b.p,
        "witmill try CORPUS [options]\n"
        "\n"
        "Try it.\n"
        "\n"
        "One.\n"
        "\n"
        "Two.\n"
        "\n"
        "Options:\n"
        "  CORPUS                The folder. Required.\n"
        "  --cap T               How many pairs a query may pick, which is a "
        "sentence\n"
        "                        that is long enough to be wrapped. Default: "
        "20000.\n"
        "  --exact               Ranks.\n"
        "  --no-rule             Keep them.\n"
        "  --a-column-of-a-long-name NAME|N\n"
        "                        A|B.\n"
        "  --mode VALUE          Mode. One of one, two. Default: one.\n"
        "\n"
        "Examples:\n"
        "  witmill try x\n"
        "  # why\n"
        "  witmill try y\n");
    buf_release(&b);
}

static void test_opt__markdown_and_words(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    opt_markdown(&table, &b);
    assert_string_equal(
        b.p, "# witmill try\n\nTry it.\n\n    witmill try CORPUS [options]\n\n"
             "One.\n\nTwo.\n\n"
             "| option | meaning |\n|---|---|\n"
             "| `CORPUS` | The folder. Required. |\n"
             "| `--cap T` | How many pairs a query may pick, which is a "
             "sentence that is long enough to be wrapped. Default: 20000. (in "
             "the fingerprint) |\n"
             "| `--exact` | Ranks. |\n"
             "| `--no-rule` | Keep them. |\n"
             "| `--a-column-of-a-long-name NAME\\|N` | A\\|B. |\n"
             "| `--mode VALUE` | Mode. One of one, two. Default: one. |\n"
             "\nExamples:\n\n```\nwitmill try x\n# why\nwitmill try y\n```\n");
    buf_clear(&b);
    opt_words(&table, &b);
    assert_string_equal(b.p, "--cap --exact --rule --a-column-of-a-long-name "
                             "--mode --help");
    buf_release(&b);
}

/* The help of every command stays within a terminal; each option has a text
 * that ends as a sentence, and its default is one that its type takes. */
static void test_opt__every_command(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; command_list[i]; i++) {
        const struct opt_table *t = command_list[i]->options;
        void *config = xcalloc(1, t->config_size);
        struct str rest, line;
        struct opt_set s;

        buf_clear(&b);
        opt_help(t, &b);
        /* Examples are to be copied whole. */
        rest = str_slice(buf_str(&b), 0,
                         str_find(buf_str(&b), STR("\nExamples:\n"), 0));
        while (str_split(&rest, '\n', &line))
            if (line.n > 79)
                fail_msg("%s: %.*s", t->command, STR_ARG(line));
        opt_init(&s, t, config);
        opt_release(&s);
        free(config);
        for (size_t k = 0; k < t->n; k++) {
            const char *help = t->rows[k].help;

            if (!str_ends(str_of(help), STR(".")) &&
                !str_ends(str_of(help), STR(".)")))
                fail_msg("%s --%s: %s", t->command, t->rows[k].name, help);
            for (size_t m = 0; m < k; m++)
                if (!strcmp(t->rows[m].name, t->rows[k].name))
                    fail_msg("%s: two --%s", t->command, t->rows[k].name);
        }
    }
    buf_release(&b);
}

/* ---- INI ---- */

static int record(void *ctx, struct str section, struct str name,
                  struct str value, struct err *e)
{
    if (str_eq(name, STR("bad")))
        return err_set(e, E_USAGE, "bad it is");
    buf_addf(ctx, "[%.*s]%.*s=%.*s;", STR_ARG(section), STR_ARG(name),
             STR_ARG(value));
    return 0;
}

static const char *ini(const char *folder, struct str bytes)
{
    static char path[IO_PATH_MAX];

    snprintf(path, sizeof path, "%s/a.ini", folder);
    if (io_write_file(path, bytes, NULL))
        abort();
    return path;
}

static void test_opt__ini(void **state)
{
    static const struct {
        const char *bytes, *pairs, *error;
    } cases[] = {
        {"", "", NULL},
        {"\n# a\n  ; b = c\n", "", NULL},
        {"[a]\nx = 1\n y=2 3 \n[ b c ]\nz =\n",
         "[a]=;[a]x=1;[a]y=2 3;[b c]=;[b c]z=;", NULL},
        {"[a]\nx = a = b # c\r\n", "[a]=;[a]x=a = b # c;", NULL},
        {"x = 1", "[]x=1;", NULL},
        {"[empty]", "[empty]=;", NULL},
        {"[a]\nx", "[a]=;", "a.ini:2: expected `name = value`"},
        {"[a]\n\n= 1", "[a]=;", "a.ini:3: expected `name = value`"},
        {"[a\n", "", "a.ini:1: a section"},
        {"[]\n", "", "a.ini:1: a section"},
        {"[a]\n#\nbad = 1\nx = 1\n", "[a]=;", "a.ini:3: bad it is"},
    };
    char folder[] = "/tmp/witmill-opt-XXXXXX", command[64];
    char *wide = xmalloc((64 << 10) + 2);
    struct buf b;

    (void)state;
    assert_non_null(mkdtemp(folder));
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        int rc;

        buf_clear(&b);
        rc = opt_ini(ini(folder, str_of(cases[i].bytes)), record, &b, &e);
        assert_int_equal(rc, cases[i].error ? -E_USAGE : 0);
        if (cases[i].error && !strstr(e.message, cases[i].error))
            fail_msg("%s", e.message);
        assert_true(str_eq(buf_str(&b), str_of(cases[i].pairs)));
    }
    assert_int_equal(opt_ini("/nowhere/a.ini", record, &b, NULL), -E_NOTFOUND);
    /* A line that cannot be read is no line to leave out. */
    memset(wide, 'x', (64 << 10) + 1);
    wide[1] = '=';
    assert_int_equal(
        opt_ini(ini(folder, str_make(wide, (64 << 10) + 1)), record, &b, NULL),
        -E_USAGE);
    free(wide);
    buf_release(&b);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opt__help),
        cmocka_unit_test(test_opt__markdown_and_words),
        cmocka_unit_test(test_opt__every_command),
        cmocka_unit_test(test_opt__ini),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
