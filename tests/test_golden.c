/* Records and sidecars as they lie on disk: today's code writes exactly the
 * bytes of the golden files and reads them.  With WITMILL_WRITE_GOLDEN set the
 * files are made anew; a difference in git is then a change of format, which
 * wants a new version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/ledger.h"
#include "base/pair.h"
#include "base/stage.h"

/* Against the golden file, or into it. */
static void same_as(const char *name, struct str bytes)
{
    char path[128];
    struct buf want;

    snprintf(path, sizeof path, "tests/golden/%s", name);
    if (getenv("WITMILL_WRITE_GOLDEN"))
        io_write_file(path, bytes, NULL);
    buf_init(&want, 1 << 20);
    assert_int_equal(io_read_file(path, &want, NULL), 0);
    if (!str_eq(buf_str(&want), bytes))
        fail_msg("%s: %.*s", path, STR_ARG(bytes));
    buf_release(&want);
}

/* ---- pairs, by stage ---- */

static void make_pairs(struct buf *out, bool matched, bool selected)
{
    static const uint32_t q[] = {0, 7, 499999}, keep[] = {7};
    struct pair p = {.url = STR("http://manual.test/a%20b.jpg?x=1"),
                     .text = STR("a \"dog\" \\ caf\xc3\xa9 \xe7\x8a\xac"),
                     .from = STR("figcaption"),
                     .page = STR("http://manual.test/"),
                     .origin = STR("a/index.html")};
    struct pair list = {.url = STR("https://a.test/"),
                        .text = STR("a dog"),
                        .from = STR("column"),
                        .origin = STR("list.tsv:12"),
                        .list_uid = STR("00017")};
    struct pair *both[] = {&p, &list};

    for (int i = 0; i < 2; i++) {
        pair_uid(both[i]->text, both[i]->url, both[i]->uid);
        both[i]->matched = matched;
        both[i]->q = q;
        both[i]->n_q = i ? 1 : 3;
        both[i]->selected = selected;
        both[i]->s = i ? 0 : 19999;
        both[i]->keep = i ? q : keep;
        both[i]->n_keep = 1;
        pair_write(both[i], out);
        buf_add_char(out, '\n');
    }
}

static void test_golden__pairs(void **state)
{
    static const struct {
        const char *name;
        bool matched, selected;
    } stages[] = {{"pairs-v1.jsonl", false, false},
                  {"unique-v1.jsonl", true, false},
                  {"selected-v1.jsonl", true, true}};
    struct arena a;
    struct buf b, again;

    (void)state;
    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    buf_init(&again, 1 << 20);
    for (int i = 0; i < 3; i++) {
        struct str rest, line;

        buf_clear(&b);
        buf_clear(&again);
        make_pairs(&b, stages[i].matched, stages[i].selected);
        same_as(stages[i].name, buf_str(&b));
        rest = buf_str(&b);
        while (str_split(&rest, '\n', &line) && line.n) {
            struct pair p;

            assert_int_equal(pair_read(line, &a, &p, NULL), 0);
            assert_int_equal(p.matched, stages[i].matched);
            assert_int_equal(p.selected, stages[i].selected);
            pair_write(&p, &again);
            buf_add_char(&again, '\n');
        }
        assert_true(str_eq(buf_str(&b), buf_str(&again)));
    }
    buf_release(&b);
    buf_release(&again);
    arena_release(&a);
}

/* ---- the ledger ---- */

static void test_golden__ledger(void **state)
{
    struct ledger rows[] = {{.url = STR("http://manual.test/a.jpg"),
                             .outcome = LEDGER_IMAGE,
                             .status = 200,
                             .tries = 2,
                             .final_url = STR("http://manual.test/b.jpg"),
                             .fetched = STR("2026-11-21T12:00:00Z"),
                             .phash = UINT64_C(0x0123456789abcdef),
                             .width = 96,
                             .height = 64,
                             .original_width = 960,
                             .original_height = 640,
                             .bytes = 12345,
                             .offset = 512,
                             .exif = STR("{\"Make\":\"x\"}")},
                            {.url = STR("http://manual.test/c.jpg"),
                             .outcome = LEDGER_FAILED,
                             .reason = STR("http-404"),
                             .status = 404,
                             .tries = 1},
                            {.url = STR("http://manual.test/d.jpg"),
                             .outcome = LEDGER_REFUSED,
                             .reason = STR("consent"),
                             .signal = STR("noai"),
                             .status = 200,
                             .tries = 1}};
    struct arena a;
    struct buf b, again;

    (void)state;
    arena_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    buf_init(&again, 1 << 20);
    for (int i = 0; i < 3; i++) {
        ledger_write(&rows[i], &b);
        buf_add_char(&b, '\n');
    }
    same_as("ledger-v1.jsonl", buf_str(&b));
    for (struct str rest = buf_str(&b), line;
         str_split(&rest, '\n', &line) && line.n;) {
        struct ledger l;

        assert_int_equal(ledger_read(line, &a, &l, NULL), 0);
        ledger_write(&l, &again);
        buf_add_char(&again, '\n');
    }
    assert_true(str_eq(buf_str(&b), buf_str(&again)));
    buf_release(&b);
    buf_release(&again);
    arena_release(&a);
}

/* ---- the sidecar ---- */

struct config {
    const char *corpus;
    uint64_t cap, threads;
    bool exact;
};

static const struct opt rows[] = {
    {.name = "cap",
     .type = OPT_U64,
     .at = offsetof(struct config, cap),
     .flags = OPT_BYTES},
    {.name = "threads",
     .type = OPT_U64,
     .at = offsetof(struct config, threads)},
    {.name = "exact",
     .type = OPT_BOOL,
     .at = offsetof(struct config, exact),
     .flags = OPT_BYTES},
};

static const struct opt_table table = {.command = "balance",
                                       .rows = rows,
                                       .n = sizeof rows / sizeof *rows,
                                       .config_size = sizeof(struct config)};

/* What the sidecar of a stage says, up to "run", whose dates vary. */
static void commit(const struct corpus *c, bool two_files, struct buf *out)
{
    struct config config = {.cap = 6, .threads = 9, .exact = true};
    char hex[SHA256_HEX], path[IO_PATH_MAX];
    struct stage s;
    struct stage_output o;
    struct stage_inputs in;
    bool done;
    size_t run;

    stage_init(&s, c, "balance", 3, &table, &config, false);
    stage_inputs_init(&in);
    memset(hex, 'a', sizeof hex - 1);
    hex[sizeof hex - 1] = 0;
    stage_inputs_add(&in, "queries.bin", hex);
    hex[0] = 'b';
    stage_inputs_add(&in, "a \"b\".tsv", hex);
    assert_int_equal(
        stage_begin(&s, &o, two_files ? "x/two" : "x/one", &in, &done, NULL),
        0);
    assert_false(done);
    hex[0] = '1';
    stage_file(&o, "x/one.jsonl.zst", hex);
    hex[0] = '2';
    if (two_files)
        stage_file(&o, "x/one.counts", hex);
    tally_add(&o.counts, "read", 10);
    tally_add(&o.counts, "records", 9);
    tally_add(&o.drops, "svg", 1);
    if (two_files)
        json_put_u64(&o.more, "passes_before", 2);
    assert_int_equal(stage_commit(&o, NULL), 0);
    assert_int_equal(stage_path(&o, ".meta.json", path, NULL), 0);
    stage_output_release(&o);
    stage_inputs_release(&in);
    stage_release(&s);
    buf_clear(out);
    assert_int_equal(io_read_file(path, out, NULL), 0);
    run = str_find(buf_str(out), STR(",\"run\":{\"finished\":\""), 0);
    assert_true(run != SIZE_MAX);
    out->n = run;
    buf_add(out, STR("}\n"));
}

static void test_golden__sidecar(void **state)
{
    struct corpus c = {.dir = "/tmp/witmill-golden-XXXXXX",
                       .head = {.seed = UINT64_C(12345678901234567890)}};
    struct sidecar s;
    struct buf b;
    char command[96];

    (void)state;
    assert_non_null(mkdtemp(c.dir));
    buf_init(&b, 1 << 20);
    commit(&c, false, &b);
    same_as("sidecar-v1.meta.json", buf_str(&b));
    commit(&c, true, &b);
    same_as("sidecar-two-v1.meta.json", buf_str(&b));
    assert_int_equal(sidecar_read(&s, &c, "x/two", NULL), 0);
    assert_string_equal(s.stage, "balance");
    assert_int_equal(s.n_files, 2);
    assert_string_equal(s.files[1].name, "x/one.counts");
    assert_int_equal(s.files[1].sha256[0], '2');
    assert_int_equal(tally_get(&s.counts, "records"), 9);
    assert_int_equal(tally_get(&s.drops, "svg"), 1);
    assert_true(str_eq(s.options, STR("{\"cap\":6,\"exact\":true}")));
    assert_true(str_eq(s.extra, STR("{\"passes_before\":2}")));
    sidecar_release(&s);
    buf_release(&b);
    snprintf(command, sizeof command, "rm -rf %.60s", c.dir);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden__pairs),
        cmocka_unit_test(test_golden__ledger),
        cmocka_unit_test(test_golden__sidecar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
