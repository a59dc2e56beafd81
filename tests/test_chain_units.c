/* match, gather, balance on parts made by hand: spilling, duplicates, empty
 * buckets, gaps, cut parts, what a repeated run says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pair.h"
#include "crawler/import.h"
#include "filter/balance.h"
#include "filter/counts.h"
#include "filter/gather.h"
#include "filter/match.h"
#include "tests/stage_call.h"

static const char *const entries[] = {"dog", "cat", "red car",
                                      "Dog", "sea", "never"};

/* ---- running a stage; its error into e ---- */

static int import(const struct corpus *c, const char *args, struct err *e)
{
    struct import_summary sum;
    struct call call;
    int rc;

    call_open(&call, "import", c->dir, args);
    rc = import_run(c, call.table, (void *)call.config, &sum, e);
    tally_release(&sum.counts);
    tally_release(&sum.drops);
    call_close(&call);
    return rc;
}

static int match(const struct corpus *c, const char *args, uint64_t memory,
                 uint64_t *records, struct err *e)
{
    struct match_summary sum;
    struct call call;
    int rc;

    call_open(&call, "match", c->dir, args);
    if (memory)
        ((struct match_config *)(void *)call.config)->memory_bytes = memory;
    rc = match_run(c, call.table, (void *)call.config, &sum, e);
    if (records)
        *records = tally_get(&sum.counts, "records");
    tally_release(&sum.counts);
    tally_release(&sum.drops);
    call_close(&call);
    return rc;
}

static int gather(const struct corpus *c, const char *args, uint64_t memory,
                  struct gather_summary *sum, struct err *e)
{
    struct call call;
    int rc;

    call_open(&call, "gather", c->dir, args);
    if (memory)
        ((struct gather_config *)(void *)call.config)->memory_bytes = memory;
    rc = gather_run(c, call.table, (void *)call.config, sum, e);
    call_close(&call);
    tally_release(&sum->drops);
    return rc;
}

static int balance(const struct corpus *c, const char *args,
                   struct balance_summary *sum, struct err *e)
{
    struct call call;
    int rc;

    call_open(&call, "balance", c->dir, args);
    rc = balance_run(c, call.table, (void *)call.config, sum, e);
    call_close(&call);
    return rc;
}

static void list_of(const struct corpus *c, const char *name, unsigned rows,
                    unsigned from)
{
    struct buf b;

    buf_init(&b, 1 << 24);
    for (unsigned i = from; i < from + rows; i++)
        buf_addf(&b, "http://h%u.test/%u.jpg\tA %s %u by the %s\n", i % 3, i,
                 i % 2 ? "dog" : "red car", i, i % 5 ? "house" : "sea");
    corpus_write(c, name, buf_str(&b));
    buf_release(&b);
}

static void open_corpus(struct corpus *c, uint32_t bits, unsigned rows)
{
    struct err e = ERR_INIT;
    char args[128];

    corpus_of_list(c, entries, sizeof entries / sizeof *entries,
                   QUERY_POLICY_WORDS, 0, bits);
    if (!rows)
        return;
    list_of(c, "l.tsv", rows, 0);
    snprintf(args, sizeof args, "--links %.60s/l.tsv --as l", c->dir);
    must(import(c, args, &e), &e);
}

/* ---- match ---- */

static void test_match__spilling_changes_no_byte(void **state)
{
    static const uint64_t memory[] = {0, 1, 300, 20000};
    char hash[4][SHA256_HEX];

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct err e = ERR_INIT;
        char path[IO_PATH_MAX];
        uint64_t *offsets, size;
        struct corpus c;

        open_corpus(&c, 3, 500);
        must(match(&c, i % 2 ? "--threads 3" : "--threads 1", memory[i], NULL,
                   &e),
             &e);
        must(corpus_path(&c, "matched/l/part-00000.jsonl.zst", path, &e), &e);
        must(io_sha256_file(path, hash[i], &e), &e);
        assert_string_equal(hash[i], hash[0]);
        must(match_offsets(&c, "matched/l/part-00000", &offsets, &e), &e);
        must(io_size(path, &size, &e), &e);
        assert_int_equal(offsets[0], 0);
        assert_int_equal(offsets[8], size);
        free(offsets);
        corpus_remove(&c);
    }
}

/* A part that no stage of ours wrote so: one frame of unknown size, or frames
 * that end inside a line, are read as well. */
static void test_match__frames_of_others(void **state)
{
    static const char *const packers[] = {
        "cat l.jsonl | zstd -q --no-check -c",
        "split -b 700 --filter='zstd -q -c' l.jsonl",
        "split -l 3 --filter='zstd -q -c' l.jsonl",
    };
    char want[SHA256_HEX], hash[SHA256_HEX];

    (void)state;
    if (system("zstd -q --version >/dev/null 2>&1")) {
        print_message("skipped: no zstd\n");
        return;
    }
    for (size_t i = 0; i < sizeof packers / sizeof *packers; i++) {
        struct err e = ERR_INIT;
        char path[IO_PATH_MAX], command[512];
        struct corpus c;

        open_corpus(&c, 2, 100);
        must(corpus_path(&c, "matched/l/part-00000.jsonl.zst", path, &e), &e);
        must(match(&c, "", 0, NULL, &e), &e);
        must(jsonl_sha256(path, want, &e), &e);
        corpus_shell(&c, "zstd -dqc pairs/l/part-00000.jsonl.zst >l.jsonl && "
                         "rm -r matched");
        snprintf(command, sizeof command, "%s >pairs/l/part-00000.jsonl.zst",
                 packers[i]);
        corpus_shell(&c, command);
        must(match(&c, "--threads 3", 0, NULL, &e), &e);
        must(jsonl_sha256(path, hash, &e), &e);
        assert_string_equal(hash, want);
        corpus_remove(&c);
    }
}

/* Whichever way it is read, a bad record is told by file and line. */
static void test_match__a_bad_record(void **state)
{
    (void)state;
    for (int threads = 1; threads < 4; threads += 2) {
        struct err e = ERR_INIT;
        char path[IO_PATH_MAX], text[128], args[32];
        struct jsonl_writer w;
        struct corpus c;

        open_corpus(&c, 2, 100);
        must(corpus_path(&c, "pairs/l/part-00000.jsonl.zst", path, &e), &e);
        must(jsonl_open_write(&w, path, &e), &e);
        for (unsigned i = 0; i < 100; i++) {
            snprintf(text, sizeof text,
                     "{\"uid\":\"%032x\",\"url\":\"u\",\"text\":\"%s\"}", i,
                     i == 70 ? "" : "a dog");
            must(jsonl_write(&w, str_of(text), &e), &e);
            if (i % 7 == 0)
                must(jsonl_frame(&w, NULL, &e), &e);
        }
        must(jsonl_publish(&w, &e), &e);
        snprintf(args, sizeof args, "--threads %d", threads);
        assert_int_equal(match(&c, args, 0, NULL, &e), -E_FORMAT);
        assert_non_null(strstr(e.message, "pairs/l/part-00000.jsonl.zst: "
                                          "line 71: no pair"));
        corpus_shell(&c, "test ! -e matched/l/part-00000.meta.json");
        corpus_remove(&c);
    }
}

/* The frames hold the buckets' records in the order of the part. */
static void test_match__frames_are_buckets(void **state)
{
    struct err e = ERR_INIT;
    uint64_t *offsets, seen = 0, records;
    struct corpus c;
    char path[IO_PATH_MAX];

    (void)state;
    open_corpus(&c, 2, 200);
    must(match(&c, "", 1000, &records, &e), &e);
    must(match_offsets(&c, "matched/l/part-00000", &offsets, &e), &e);
    must(corpus_path(&c, "matched/l/part-00000.jsonl.zst", path, &e), &e);
    for (uint32_t k = 0; k < 4; k++) {
        struct jsonl_reader r;
        struct arena a;
        struct str line;
        uint64_t last = 0;
        bool more;

        arena_init(&a, 1 << 20);
        must(jsonl_open_range(&r, path, offsets[k], offsets[k + 1], &e), &e);
        for (;;) {
            struct pair p;
            uint64_t number;

            must(jsonl_next(&r, &line, &more, &e), &e);
            if (!more)
                break;
            arena_reset(&a);
            must(pair_read(line, &a, &p, &e), &e);
            assert_int_equal(corpus_bucket(&c, corpus_url_hash(&c, p.url)), k);
            assert_int_equal(
                str_u64(str_slice(p.origin, strlen("l.tsv:"), p.origin.n),
                        &number),
                0);
            assert_true(number > last);
            last = number;
            assert_true(p.matched && p.n_q > 0);
            seen++;
        }
        jsonl_close(&r);
        arena_release(&a);
    }
    assert_int_equal(seen, records);
    assert_int_equal(seen, 200);
    free(offsets);
    corpus_remove(&c);
}

static void test_match__a_second_run_says_the_same(void **state)
{
    uint64_t first, again;
    struct gather_summary one, two;
    struct err e = ERR_INIT;
    struct corpus c;

    (void)state;
    open_corpus(&c, 2, 50);
    must(match(&c, "", 0, &first, &e), &e);
    must(match(&c, "", 0, &again, &e), &e);
    assert_int_equal(first, 50);
    assert_int_equal(again, first);
    must(gather(&c, "", 0, &one, &e), &e);
    must(gather(&c, "", 0, &two, &e), &e);
    assert_int_equal(two.buckets_done_before, 4);
    assert_int_equal(tally_get(&one.counts, "records"), 50);
    assert_int_equal(tally_get(&two.counts, "records"), 50);
    assert_int_equal(two.matches, one.matches);
    tally_release(&one.counts);
    tally_release(&two.counts);
    corpus_remove(&c);
}

/* Part 0 is another machine's and not there yet: what is there is matched, and
 * nothing is called a leftover. A part that is gone for good is one. */
static void test_match__parts_with_gaps(void **state)
{
    struct err e = ERR_INIT;
    char args[256];
    uint64_t records;
    struct corpus c;

    (void)state;
    open_corpus(&c, 1, 0);
    for (unsigned i = 0; i < 3; i++) {
        char name[8];

        snprintf(name, sizeof name, "%u.tsv", i);
        list_of(&c, name, 10, i * 10);
    }
    snprintf(
        args, sizeof args,
        "--links %.60s/0.tsv --links %.60s/1.tsv --links %.60s/2.tsv --as l "
        "--part 2/3",
        c.dir, c.dir, c.dir);
    must(import(&c, args, &e), &e);
    must(match(&c, "", 0, &records, &e), &e);
    assert_int_equal(records, 10);
    must(match(&c, "", 0, &records, &e), &e);
    memcpy(strstr(args, "--part"), "          ", 10);
    must(import(&c, args, &e), &e);
    must(match(&c, "", 0, &records, &e), &e);
    assert_int_equal(records, 30);
    corpus_shell(&c, "rm pairs/l/part-00002.*");
    assert_int_equal(match(&c, "", 0, NULL, &e), -E_STALE);
    assert_non_null(strstr(e.message, "matched/l/part-00002"));
    e = (struct err)ERR_INIT;
    must(match(&c, "--redo", 0, NULL, &e), &e);
    corpus_shell(&c, "test ! -e matched/l/part-00002.jsonl.zst");
    corpus_remove(&c);
}

static void test_match__batches(void **state)
{
    struct err e = ERR_INIT;
    uint64_t records;
    struct corpus c;

    (void)state;
    open_corpus(&c, 1, 10);
    must(match(&c, "--batch l", 0, &records, &e), &e);
    assert_int_equal(records, 10);
    assert_int_equal(match(&c, "--batch l --batch typo", 0, NULL, &e),
                     -E_USAGE);
    assert_non_null(strstr(e.message, "typo"));
    corpus_remove(&c);
}

/* ---- gather ---- */

/* Rows of one pair that differ in page and line alone. */
static void test_gather__which_duplicate_stays(void **state)
{
    static const char rows[] = "url\ttext\tpage\n"
                               "http://a.test/1.jpg\ta dog\thttp://p.test/b\n"
                               "http://a.test/1.jpg\ta dog\thttp://p.test/a\n"
                               "http://a.test/1.jpg\tthe dog\t\n"
                               "http://a.test/2.jpg\ta dog\thttp://p.test/z\n"
                               "http://a.test/1.jpg\ta dog\thttp://p.test/a\n"
                               "HTTP://A.test:80/2.jpg#x\ta dog \t\n"
                               "http://a.test/1.jpg\ta dog\thttp://p.test/a/\n"
                               "x\tx\t\nx\tx\t\n"
                               "http://a.test/1.jpg\ta dog\thttp://p.test/a\n";
    struct gather_summary sum;
    struct err e = ERR_INIT;
    struct counts counts;
    struct corpus c;
    char args[128];
    struct buf b;

    (void)state;
    open_corpus(&c, 1, 0);
    corpus_write(&c, "l.tsv", str_of(rows));
    snprintf(args, sizeof args, "--links %.60s/l.tsv --as l", c.dir);
    must(import(&c, args, &e), &e);
    must(match(&c, "", 0, NULL, &e), &e);
    must(gather(&c, "", 0, &sum, &e), &e);
    assert_int_equal(tally_get(&sum.counts, "read"), 8);
    assert_int_equal(tally_get(&sum.counts, "records"), 3);
    buf_init(&b, 1 << 20);
    corpus_lines(&c, "unique/bucket-0000.jsonl.zst", &b);
    corpus_lines(&c, "unique/bucket-0001.jsonl.zst", &b);
    /* Of the lines 3, 6 and 11 with one page the smallest origin stays, as
     * bytes; no page is smaller than any. */
    assert_true(str_find(buf_str(&b),
                         STR("\"text\":\"a dog\",\"from\":\"column\",\"page\":"
                             "\"http://p.test/a\",\"origin\":\"l.tsv:11\""),
                         0) != SIZE_MAX);
    assert_true(str_find(buf_str(&b),
                         STR("http://a.test/2.jpg\",\"text\":\"a dog\","
                             "\"from\":\"column\",\"origin\":\"l.tsv:7\""),
                         0) != SIZE_MAX);
    assert_true(str_find(buf_str(&b), STR("the dog"), 0) != SIZE_MAX);
    must(counts_open(&counts, &c, &e), &e);
    assert_int_equal(counts.n, 6);
    assert_int_equal(counts.c[0], 3); /* distinct pairs that say dog */
    assert_int_equal(counts.c[3], 0); /* Dog is dog's group */
    counts_release(&counts);
    buf_release(&b);
    tally_release(&sum.counts);
    corpus_remove(&c);
}

static void test_gather__empty_buckets_and_memory(void **state)
{
    struct gather_summary sum;
    struct balance_summary balanced;
    struct err e = ERR_INIT;
    struct corpus c;

    (void)state;
    open_corpus(&c, 6, 3);
    must(match(&c, "", 0, NULL, &e), &e);
    /* Of memory a worker takes what any record fits in. */
    must(gather(&c, "--threads 1", 100, &sum, &e), &e);
    assert_int_equal(sum.buckets, 64);
    assert_int_equal(sum.spilled, 0);
    assert_int_equal(tally_get(&sum.counts, "records"), 3);
    tally_release(&sum.counts);
    must(balance(&c, "", &balanced, &e), &e);
    assert_int_equal(balanced.kept, 3);
    corpus_shell(&c, "test $(ls selected/round-0/*.jsonl.zst | wc -l) = 64");
    assert_int_equal(gather(&c, "--finish --part 0/2", 0, &sum, &e), -E_USAGE);
    corpus_remove(&c);
}

/* Parts add up to what the whole gives. */
static void test_gather__parts(void **state)
{
    struct gather_summary sum;
    struct err e = ERR_INIT;
    struct corpus c;

    (void)state;
    open_corpus(&c, 3, 60);
    must(match(&c, "", 0, NULL, &e), &e);
    must(gather(&c, "--part 0/2", 0, &sum, &e), &e);
    tally_release(&sum.counts);
    assert_int_equal(gather(&c, "--finish", 0, &sum, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "unique/bucket-0001"));
    e = (struct err)ERR_INIT;
    must(gather(&c, "--part 1/2", 0, &sum, &e), &e);
    tally_release(&sum.counts);
    corpus_shell(&c, "test ! -e unique/counts.bin");
    must(gather(&c, "--finish", 0, &sum, &e), &e);
    assert_int_equal(sum.matches, 60 + 12);
    corpus_remove(&c);
}

/* ---- cut parts: at a frame's end a file reads well ---- */

static void test_chain__parts_cut_between_frames(void **state)
{
    struct gather_summary sum;
    struct balance_summary balanced;
    struct err e = ERR_INIT;
    struct corpus c;

    (void)state;
    open_corpus(&c, 1, 40);
    corpus_shell(&c, "cp pairs/l/part-00000.jsonl.zst kept && "
                     "truncate -s 0 pairs/l/part-00000.jsonl.zst");
    assert_int_equal(match(&c, "", 0, NULL, &e), -E_DAMAGED);
    assert_non_null(strstr(e.message, "part-00000.jsonl.zst has 0 records"));
    corpus_shell(&c, "test -z \"$(ls matched/l)\" && "
                     "mv kept pairs/l/part-00000.jsonl.zst");
    e = (struct err)ERR_INIT;
    must(match(&c, "", 0, NULL, &e), &e);

    corpus_shell(&c, "cp matched/l/part-00000.jsonl.zst kept && "
                     "truncate -s 0 matched/l/part-00000.jsonl.zst");
    assert_int_equal(gather(&c, "", 0, &sum, &e), -E_FORMAT);
    assert_non_null(strstr(e.message, "matched/l/part-00000.jsonl.zst"));
    tally_release(&sum.counts);
    corpus_shell(&c, "test ! -e unique/bucket-0000.meta.json && "
                     "mv kept matched/l/part-00000.jsonl.zst");
    e = (struct err)ERR_INIT;
    must(gather(&c, "", 0, &sum, &e), &e);
    tally_release(&sum.counts);

    corpus_shell(&c, "cp unique/bucket-0001.jsonl.zst kept && "
                     "truncate -s 0 unique/bucket-0001.jsonl.zst");
    assert_int_equal(balance(&c, "", &balanced, &e), -E_DAMAGED);
    assert_non_null(strstr(e.message, "unique/bucket-0001.jsonl.zst"));
    corpus_shell(&c, "test ! -e selected/round-0/bucket-0001.meta.json && "
                     "mv kept unique/bucket-0001.jsonl.zst");
    e = (struct err)ERR_INIT;
    must(balance(&c, "", &balanced, &e), &e);
    assert_int_equal(balanced.kept, 40);
    corpus_remove(&c);
}

/* ---- leftovers ---- */

/* Another selection makes later rounds something that nobody would select. */
static void test_balance__later_rounds_go_with_the_first(void **state)
{
    struct gather_summary sum;
    struct balance_summary balanced;
    struct err e = ERR_INIT;
    struct corpus c;

    (void)state;
    open_corpus(&c, 1, 40);
    must(match(&c, "", 0, NULL, &e), &e);
    must(gather(&c, "", 0, &sum, &e), &e);
    tally_release(&sum.counts);
    must(balance(&c, "--cap 3", &balanced, &e), &e);
    corpus_shell(&c, "cp -r selected/round-0 selected/round-1 && "
                     "cp -r selected/round-0 selected/round-2");
    must(balance(&c, "--cap 3", &balanced, &e), &e);
    assert_int_equal(balance(&c, "--cap 4", &balanced, &e), -E_STALE);
    corpus_shell(&c, "test -e selected/round-2/caps.bin");
    e = (struct err)ERR_INIT;
    must(balance(&c, "--cap 4 --redo", &balanced, &e), &e);
    corpus_shell(&c, "test ! -e selected/round-1 && "
                     "test ! -e selected/round-2");
    corpus_remove(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_match__spilling_changes_no_byte),
        cmocka_unit_test(test_match__frames_of_others),
        cmocka_unit_test(test_match__a_bad_record),
        cmocka_unit_test(test_match__frames_are_buckets),
        cmocka_unit_test(test_match__a_second_run_says_the_same),
        cmocka_unit_test(test_match__parts_with_gaps),
        cmocka_unit_test(test_match__batches),
        cmocka_unit_test(test_gather__which_duplicate_stays),
        cmocka_unit_test(test_gather__empty_buckets_and_memory),
        cmocka_unit_test(test_gather__parts),
        cmocka_unit_test(test_chain__parts_cut_between_frames),
        cmocka_unit_test(test_balance__later_rounds_go_with_the_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
