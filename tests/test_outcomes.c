/* outcomes: what any ledger says of a URL is found, in slices of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/ledger.h"
#include "filter/outcomes.h"

#define URLS   6000
#define GROUPS 40
#define PASSES 3

static struct corpus corpus = {.head = {.seed = 5, .bucket_bits = 2}};

struct none {
    uint64_t none;
};

static const struct opt rows[] = {
    {.name = "none", .type = OPT_U64, .at = offsetof(struct none, none)},
};
static const struct opt_table table = {.command = "download",
                                       .rows = rows,
                                       .n = 1,
                                       .config_size = sizeof(struct none)};

#define MUST(call)                                                             \
    do {                                                                       \
        struct err must_err = ERR_INIT, *e = &must_err;                        \
        if (call)                                                              \
            fail_msg("%s", must_err.message);                                  \
    } while (0)

static struct str url_of(char to[64], unsigned i)
{
    snprintf(to, 64, "http://h%u.test/%u.jpg", i % GROUPS, i);
    return str_of(to);
}

/* Every seventh URL is never asked; of the others each has its pass. */
static bool is_asked(unsigned i, unsigned pass)
{
    return i % 7 && i % 11 % PASSES == pass;
}

static bool is_image(unsigned i)
{
    return i % 5 != 0;
}

static void write_ledger(unsigned group, unsigned pass)
{
    struct none none = {0};
    char name[64], path[IO_PATH_MAX], url[64];
    struct jsonl_writer w;
    struct stage_output o;
    struct stage_inputs in;
    struct stage stage;
    struct buf line;
    bool done;

    stage_init(&stage, &corpus, "download", 1, &table, &none, false);
    stage_inputs_init(&in);
    snprintf(name, sizeof name, "images/%03u-%02u", group, pass);
    MUST(stage_begin(&stage, &o, name, &in, &done, e));
    MUST(stage_path(&o, ".ledger.jsonl.zst", path, e));
    MUST(jsonl_open_write(&w, path, e));
    buf_init(&line, BUF_NO_LIMIT);
    for (unsigned i = group; i < URLS; i += GROUPS) {
        struct ledger l = {.url = url_of(url, i),
                           .outcome =
                               is_image(i) ? LEDGER_IMAGE : LEDGER_FAILED,
                           .reason = is_image(i) ? STR_NONE : STR("http-404"),
                           .width = 1,
                           .height = 1,
                           .original_width = 1,
                           .original_height = 1};

        if (!is_asked(i, pass))
            continue;
        buf_clear(&line);
        ledger_write(&l, &line);
        MUST(jsonl_write(&w, buf_str(&line), e));
    }
    MUST(jsonl_publish(&w, e));
    stage_file(&o, path, w.sha256);
    MUST(stage_commit(&o, e));
    buf_release(&line);
    stage_output_release(&o);
    stage_inputs_release(&in);
    stage_release(&stage);
}

static int setup(void **state)
{
    (void)state;
    snprintf(corpus.dir, sizeof corpus.dir, "/tmp/outcomes-XXXXXX");
    if (!mkdtemp(corpus.dir))
        return -1;
    for (unsigned g = 0; g < GROUPS; g++)
        for (unsigned p = 0; p < PASSES; p++)
            write_ledger(g, p);
    return 0;
}

static int teardown(void **state)
{
    char command[IO_PATH_MAX + 16];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", corpus.dir);
    return system(command);
}

static void ask_all(const struct outcomes *o, unsigned passes)
{
    struct outcomes_view w;
    char text[64];

    outcomes_view_init(&w, o);
    for (unsigned i = 0; i < URLS; i++) {
        struct str url = url_of(text, i);
        bool expect = false, asked, image;

        for (unsigned p = 0; p < passes; p++)
            expect = expect || is_asked(i, p);
        MUST(outcomes_find(&w, corpus_url_hash(&corpus, url), url, &asked,
                           &image, e));
        assert_int_equal(asked, expect);
        assert_int_equal(image, expect && is_image(i));
    }
    outcomes_view_release(&w);
}

static void test_outcomes__of_all_passes_below(void **state)
{
    static const struct {
        uint64_t memory, pairs;
        unsigned threads, bits;
    } ways[] = {{1 << 30, URLS, 3, 2},
                {1 << 16, URLS, 2, 4},
                {0, URLS, 1, 3},
                {1 << 22, 2000000, 2, 6},
                {1 << 22, 1000000, 4, 6}};

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        for (unsigned passes = 0; passes <= PASSES; passes++) {
            struct outcomes_config config = {.passes = passes,
                                             .threads = ways[i].threads,
                                             .memory_bytes = ways[i].memory,
                                             .pairs = ways[i].pairs};
            struct stage_inputs in;
            struct outcomes o;

            stage_inputs_init(&in);
            MUST(outcomes_read(&o, &corpus, &config, &in, e));
            assert_int_equal(o.bits, ways[i].bits);
            assert_int_equal(in.n, passes * GROUPS);
            for (size_t k = 1; k < in.n; k++) /* in the order of names */
                assert_true(strcmp(in.v[k - 1].name, in.v[k].name) < 0);
            ask_all(&o, passes);
            outcomes_release(&o);
            stage_inputs_release(&in);
        }
}

/* Slices have blocks, so that memory bounds their number, and views have to
 * hold one each: what does not go is said before anything is read. */
static void test_outcomes__too_little_memory(void **state)
{
    static const struct {
        uint64_t memory, pairs;
        unsigned threads;
        const char *times;
    } ways[] = {{1 << 22, 20000000, 1, "2 times"},
                {1 << 22, 20000000, 64, "16 times"},
                {0, 100000, 1, "8 times"}};

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct outcomes_config config = {.passes = PASSES,
                                         .threads = ways[i].threads,
                                         .memory_bytes = ways[i].memory,
                                         .pairs = ways[i].pairs};
        struct err e = ERR_INIT;
        struct outcomes o;

        assert_int_equal(outcomes_read(&o, &corpus, &config, NULL, &e),
                         -E_USAGE);
        if (!strstr(e.message, ways[i].times) ||
            !strstr(e.message, "raise --memory"))
            fail_msg("\"%s\" without \"%s\"", e.message, ways[i].times);
        outcomes_release(&o);
    }
}

static void test_outcomes__passes_on_disk(void **state)
{
    struct corpus none = {.dir = "/nowhere"};
    unsigned passes;

    (void)state;
    MUST(outcomes_passes(&corpus, &passes, e));
    assert_int_equal(passes, PASSES);
    MUST(outcomes_passes(&none, &passes, e));
    assert_int_equal(passes, 0);
}

/* The same H for two URLs: the rest of the key tells them apart. */
static void test_outcomes__same_hash_of_two_urls(void **state)
{
    struct outcomes_config config = {
        .passes = PASSES, .threads = 1, .memory_bytes = 1 << 20, .pairs = URLS};
    struct outcomes_view w;
    struct outcomes o;
    char text[64];
    struct str url = url_of(text, 1);
    bool asked, image;

    (void)state;
    MUST(outcomes_read(&o, &corpus, &config, NULL, e));
    outcomes_view_init(&w, &o);
    MUST(outcomes_find(&w, corpus_url_hash(&corpus, url), STR("http://x/"),
                       &asked, &image, e));
    assert_false(asked || image);
    outcomes_view_release(&w);
    outcomes_release(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_outcomes__of_all_passes_below),
        cmocka_unit_test(test_outcomes__too_little_memory),
        cmocka_unit_test(test_outcomes__passes_on_disk),
        cmocka_unit_test(test_outcomes__same_hash_of_two_urls),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
