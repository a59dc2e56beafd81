/* querylist/wikipedia: what comes of a dump is the same for any threads and
 * sizes of blocks, in the dump's order, and bad pages cost themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "querylist/wikipedia.h"
#include "tests/folder.h"

#define HEAD_OF(file)                                                          \
    "<mediawiki xml:lang=\"en\"><siteinfo><dbname>testwiki</dbname>"           \
    "<namespaces><namespace key=\"0\" /><namespace key=\"6\">" file            \
    "</namespace></namespaces></siteinfo>\n"
#define HEAD HEAD_OF("File")
#define END  "</mediawiki>\n"
#define PAGE_NS(ns, id, title, text)                                           \
    "<page><title>" title "</title><ns>" ns "</ns><id>" id "</id><revision>"   \
    "<id>1</id><text>" text "</text></revision></page>\n"
#define PAGE(id, title, text) PAGE_NS("0", id, title, text)
#define REDIRECT(title, target)                                                \
    "<page><title>" title                                                      \
    "</title><ns>0</ns><id>9</id><redirect title=\"" target                    \
    "\" /><revision><text>#REDIRECT</text></revision></page>\n"
#define BAD(title) /* a reference to what is no character */                   \
    "<page><title>" title "</title><ns>0</ns><id>9</id><revision><text>&#0;"   \
    "</text></revision></page>\n"

/* All that a reading gives. */
struct reading {
    struct wikipedia_config c;
    struct wikipedia_stats stats;
    struct tally drops;
    struct titles_aliases aliases;
    struct buf lines; /* what the sink got */
    unsigned puts;    /* calls of the sink */
    unsigned fail_at; /* which of them fails, from 1; 0: none */
    char sha256[SHA256_HEX];
    struct err e;
};

static int put(void *ctx, struct str lines, struct err *e)
{
    struct reading *r = ctx;

    assert_true(lines.n && lines.p[lines.n - 1] == '\n');
    buf_add(&r->lines, lines);
    if (++r->puts == r->fail_at)
        return err_set(e, E_IO, "the sink is full");
    return 0;
}

static void reading_init(struct reading *r, unsigned threads, size_t read_bytes,
                         size_t block_bytes)
{
    memset(r, 0, sizeof *r);
    r->c.threads = threads;
    r->c.dump.read_bytes = read_bytes;
    r->c.dump.block_bytes = block_bytes;
    r->c.sink = (struct wikipedia_sink){put, r};
    r->c.aliases = &r->aliases;
    tally_init(&r->drops);
    titles_aliases_init(&r->aliases, 1 << 20);
    buf_init(&r->lines, BUF_NO_LIMIT);
}

static void reading_release(struct reading *r)
{
    tally_release(&r->drops);
    titles_aliases_release(&r->aliases);
    buf_release(&r->lines);
}

static int read_file(struct reading *r, const char *path)
{
    r->e = (struct err)ERR_INIT;
    return wikipedia_read(path, &r->c, &r->stats, &r->drops, r->sha256, &r->e);
}

static int read_xml(struct reading *r, struct str xml)
{
    assert_int_equal(io_write_file(at("dump.xml"), xml, NULL), 0);
    return read_file(r, at("dump.xml"));
}

/* ---- by hand ---- */

static void test_wikipedia__small(void **state)
{
    static const char xml[] =
        HEAD PAGE("12", "A &amp; B", "''One'' [[two|2]] {{no}}&lt;!-- x -->")
            PAGE_NS("1", "13", "Talk:A", "not this") REDIRECT("C", "A &amp; B")
                PAGE("14", "Empty", "{{all of it}}")
                    PAGE("0", "Quote", "\"a\\b\"\n\n\n[[File:X.jpg|gone]]") END;
    struct reading r;

    (void)state;
    reading_init(&r, 1, 0, 0);
    assert_int_equal(read_xml(&r, str_of(xml)), 0);
    buf_add_char(&r.lines, 0);
    assert_string_equal(
        r.lines.p,
        "{\"id\":12,\"title\":\"A & B\",\"text\":\"One 2\"}\n"
        "{\"id\":14,\"title\":\"Empty\",\"text\":\"\"}\n"
        "{\"id\":0,\"title\":\"Quote\",\"text\":\"\\\"a\\\\b\\\"\"}\n");
    assert_int_equal(r.stats.pages, 5);
    assert_int_equal(r.stats.articles, 3);
    assert_int_equal(r.stats.redirects, 1);
    assert_int_equal(r.stats.text, 5 + 5);
    assert_int_equal(r.stats.truncated, 0);
    assert_int_equal(tally_sum(&r.drops), 0);
    assert_int_equal(r.aliases.n, 1);
    reading_release(&r);
}

/* ---- the same for all ---- */

static void many_pages(struct buf *xml)
{
    buf_add(xml, STR(HEAD));
    for (int i = 0; i < 400; i++) {
        if (i % 7 == 3)
            buf_addf(xml, REDIRECT("From %d", "To %d"), i % 50, i);
        else if (i % 11 == 5)
            buf_addf(xml, BAD("Bad %d"), i);
        else if (i % 13 == 6)
            buf_addf(xml, PAGE_NS("1", "5", "Talk:%d", "talk"), i);
        else
            buf_addf(xml,
                     PAGE("%d", "Page %d",
                          "The ''word%d'' and [[x|the word%d]]. {{t|%d}}\n"
                          "== Again ==\n* word%d"),
                     i, i, i % 5, i % 9, i, i % 3);
    }
    buf_add(xml, STR(END));
}

static void add_candidates(struct buf *out, const struct query_candidates *c)
{
    for (size_t i = 0; i < c->n; i++)
        buf_addf(out, "%.*s %llu\n", STR_ARG(c->v[i].text),
                 (unsigned long long)c->v[i].count);
}

/* Everything, in one text. */
static void transcript(struct str xml, unsigned threads, size_t read_bytes,
                       size_t block_bytes, struct buf *out)
{
    const struct ngrams_config counting = {.memory = 1 << 24,
                                           .counters = threads,
                                           .min_word_count = 1,
                                           .word_budget = 1000,
                                           .min_bigram_count = 1,
                                           .bigram_budget = 1000,
                                           .min_pmi = -100};
    struct query_candidates words = {0}, bigrams = {0};
    struct ngrams *n;
    struct reading r;

    reading_init(&r, threads, read_bytes, block_bytes);
    assert_int_equal(ngrams_open(&n, &counting, NULL), 0);
    r.c.ngrams = n;
    assert_int_equal(read_xml(&r, xml), 0);
    assert_int_equal(ngrams_finish(n, NULL), 0);
    assert_int_equal(ngrams_words(n, &words, NULL), 0);
    assert_int_equal(ngrams_bigrams(n, &bigrams, NULL), 0);
    buf_clear(out);
    buf_addf(out, "%llu pages %llu articles %llu redirects %llu bytes %s\n",
             (unsigned long long)r.stats.pages,
             (unsigned long long)r.stats.articles,
             (unsigned long long)r.stats.redirects,
             (unsigned long long)r.stats.text, r.sha256);
    for (size_t i = 0; i < r.drops.n; i++)
        buf_addf(out, "%s %llu\n", r.drops.rows[i].name,
                 (unsigned long long)r.drops.rows[i].n);
    add_candidates(out, &words);
    add_candidates(out, &bigrams);
    buf_add(out, buf_str(&r.aliases.names));
    buf_add(out, buf_str(&r.lines));
    query_candidates_release(&words);
    query_candidates_release(&bigrams);
    ngrams_close(n);
    reading_release(&r);
}

static void test_wikipedia__same_for_any_threads(void **state)
{
    static const size_t sizes[][2] = {
        {0, 0}, {61, 64}, {997, 1000}, {4096, 10000}};
    struct buf xml, want, got;

    (void)state;
    buf_init(&xml, BUF_NO_LIMIT);
    buf_init(&want, BUF_NO_LIMIT);
    buf_init(&got, BUF_NO_LIMIT);
    many_pages(&xml);
    transcript(buf_str(&xml), 1, 0, 0, &want);
    assert_true(str_find(buf_str(&want), STR("the 576\n"), 0) != SIZE_MAX);
    for (unsigned threads = 1; threads <= 4; threads++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            transcript(buf_str(&xml), threads, sizes[i][0], sizes[i][1], &got);
            if (!str_eq(buf_str(&got), buf_str(&want)))
                fail_msg("%u threads, blocks of %zu bytes:\n%.*s\nnot\n%.*s",
                         threads, sizes[i][1], STR_ARG(buf_str(&got)),
                         STR_ARG(buf_str(&want)));
        }
    buf_release(&xml);
    buf_release(&want);
    buf_release(&got);
}

/* A word at the end of an article and one at the beginning of the next are no
 * bigram, however the pages lie in blocks. */
static void test_wikipedia__an_article_ends_a_phrase(void **state)
{
    static const char xml[] =
        HEAD PAGE("1", "A", "one two") PAGE("2", "B", "one two") END;
    struct buf got;

    (void)state;
    buf_init(&got, BUF_NO_LIMIT);
    for (unsigned threads = 1; threads <= 2; threads++) {
        transcript(str_of(xml), threads, 0, threads * 100, &got);
        assert_true(str_find(buf_str(&got), STR("one two 2\n"), 0) != SIZE_MAX);
        assert_true(str_find(buf_str(&got), STR("two one"), 0) == SIZE_MAX);
    }
    buf_release(&got);
}

/* ---- redirects ---- */

static void test_wikipedia__redirects(void **state)
{
    static const char xml[] = HEAD REDIRECT("first_page", "One")
        REDIRECT("First page", "Two") REDIRECT("Two", "three#Section")
            REDIRECT("Way", "Two") REDIRECT("Circle", "circle")
                REDIRECT("Caf\xc3\xa9", "cafe\xcc\x81s")
                    REDIRECT("Out", "Category:X") PAGE("1", "Three", "") END;
    static const char *const pairs[][2] = {
        {"First page", "One"},
        {"Two", "Three"},
        {"Way", "Three"},
        {"Circle", "Circle"},
        {"Caf\xc3\xa9", "Caf\xc3\xa9s"},
        {"Out", "Category:X"},
        {"Three", "Three"},
    };

    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct reading r;

        reading_init(&r, threads, 16, 32);
        assert_int_equal(read_xml(&r, str_of(xml)), 0);
        assert_int_equal(r.stats.redirects, 7);
        assert_int_equal(r.stats.articles, 1);
        for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
            struct str to =
                titles_aliases_target(&r.aliases, str_of(pairs[i][0]));

            if (!str_eq(to, str_of(pairs[i][1])))
                fail_msg("%s leads to %.*s", pairs[i][0], STR_ARG(to));
        }
        reading_release(&r);
    }
}

static void test_wikipedia__no_room_for_redirects(void **state)
{
    struct reading r;

    (void)state;
    reading_init(&r, 2, 0, 0);
    r.aliases.max_bytes = 100;
    assert_int_equal(read_xml(&r, STR(HEAD REDIRECT("A", "B") END)), -E_TOOBIG);
    assert_non_null(strstr(r.e.message, "dump.xml: redirects"));
    reading_release(&r);
    reading_init(&r, 2, 0, 0); /* nobody wants them */
    r.c.aliases = NULL;
    assert_int_equal(read_xml(&r, STR(HEAD REDIRECT("A", "B") END)), 0);
    assert_int_equal(r.stats.redirects, 1);
    reading_release(&r);
}

/* ---- bad pages ---- */

/* What goes to standard error meanwhile, as text. */
static void read_with_log(struct reading *r, struct str xml, struct buf *log)
{
    int keep = dup(STDERR_FILENO);

    assert_non_null(freopen(at("log"), "w", stderr));
    log_quiet(false);
    assert_int_equal(read_xml(r, xml), 0);
    log_quiet(true);
    fflush(stderr);
    assert_int_equal(dup2(keep, STDERR_FILENO), STDERR_FILENO);
    close(keep);
    buf_clear(log);
    assert_int_equal(io_read_file(at("log"), log, NULL), 0);
}

static size_t occurrences(struct str s, struct str what)
{
    size_t n = 0, from = 0;

    while ((from = str_find(s, what, from)) != SIZE_MAX) {
        from += what.n;
        n++;
    }
    return n;
}

static void test_wikipedia__bad_pages(void **state)
{
    struct buf xml, log;

    (void)state;
    buf_init(&xml, BUF_NO_LIMIT);
    buf_init(&log, BUF_NO_LIMIT);
    buf_add(&xml, STR(HEAD PAGE("1", "Good", "good")
                          PAGE("2", "Latin", "caf\xe9") PAGE("x", "Id", "")));
    for (int i = 0; i < 30; i++)
        buf_add(&xml, STR(BAD("Bad") PAGE("3", "Good", "as well")));
    buf_add(&xml, STR(END));
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct reading r;
        struct str s;

        reading_init(&r, threads, 100, 300);
        read_with_log(&r, buf_str(&xml), &log);
        s = buf_str(&log);
        assert_int_equal(r.stats.pages, 63);
        assert_int_equal(r.stats.articles, 31);
        assert_int_equal(tally_get(&r.drops, "page-charset"), 1);
        assert_int_equal(tally_get(&r.drops, "page-number"), 1);
        assert_int_equal(tally_get(&r.drops, "page-code"), 30);
        assert_int_equal(occurrences(s, STR("is left out")), WIKIPEDIA_LOGGED);
        assert_int_equal(occurrences(s, STR("further ones")), 1);
        assert_int_equal(
            occurrences(s, STR("page 2 is left out: invalid UTF-8\"")), 1);
        assert_int_equal(
            occurrences(s, STR("page 3 is left out: a number expected")), 1);
        assert_true(str_find(s, STR("page 4 "), 0) <
                    str_find(s, STR("page 6 "), 0));
        /* Of 20 the last is the 18th of those 30. */
        assert_int_equal(
            occurrences(s, STR("page 38 is left out: a character that XML "
                               "forbids; further ones are counted")),
            1);
        reading_release(&r);
    }
    buf_release(&xml);
    buf_release(&log);
}

static void test_wikipedia__a_text_too_long(void **state)
{
    struct reading r;
    struct buf xml, log;

    (void)state;
    buf_init(&xml, BUF_NO_LIMIT);
    buf_init(&log, BUF_NO_LIMIT);
    buf_add(
        &xml,
        STR(HEAD PAGE(
            "1", "A",
            "short") "<page><title>Long</title><ns>0</ns><id>2</id><revision>"
                     "<text>"));
    for (size_t i = 0; i < DUMP_TEXT_MAX / 8; i++)
        buf_add(&xml, STR("{{word}}"));
    buf_add(&xml, STR("!</text></revision></page>" PAGE("3", "B", "too") END));
    reading_init(&r, 2, 0, 0);
    read_with_log(&r, buf_str(&xml), &log);
    assert_int_equal(r.stats.articles, 2);
    assert_int_equal(tally_get(&r.drops, "page-size"), 1);
    assert_int_equal(tally_sum(&r.drops), 1);
    assert_int_equal(
        occurrences(buf_str(&log),
                    STR("page 2 is left out: larger than any page may be")),
        1);
    reading_release(&r);
    buf_release(&xml);
    buf_release(&log);
}

/* ---- what stops a reading ---- */

static void test_wikipedia__the_sink_stops_all(void **state)
{
    struct buf xml;

    (void)state;
    buf_init(&xml, BUF_NO_LIMIT);
    many_pages(&xml);
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct reading r;

        reading_init(&r, threads, 300, 500);
        r.fail_at = 7;
        assert_int_equal(read_xml(&r, buf_str(&xml)), -E_IO);
        assert_string_equal(r.e.message, "the sink is full");
        assert_int_equal(r.puts, 7);
        reading_release(&r);
    }
    buf_release(&xml);
}

static void test_wikipedia__stops(void **state)
{
    static const struct {
        const char *xml, *message;
    } rows[] = {
        {"<!DOCTYPE mediawiki [<!ENTITY a \"b\">]>" HEAD END, "DOCTYPE"},
        {"", "dump.xml"},
        {"<html></html>", "dump.xml"},
        {HEAD PAGE("1", "A", "b") "<page><title>B</title><oops", "page 2"},
        {HEAD PAGE("1", "A", "b") PAGE("1", "C", "&foo;") END,
         "page 2 \"C\": a reference to an unknown entity, &foo"},
        {HEAD PAGE("1", "A", "b"), "byte"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (unsigned threads = 1; threads <= 2; threads++) {
            struct reading r;

            reading_init(&r, threads, 0, 50);
            assert_int_equal(read_xml(&r, str_of(rows[i].xml)), -E_FORMAT);
            if (!strstr(r.e.message, rows[i].message))
                fail_msg("%s: %s", rows[i].xml, r.e.message);
            reading_release(&r);
        }
}

static void test_wikipedia__no_file(void **state)
{
    struct reading r;

    (void)state;
    reading_init(&r, 2, 0, 0);
    assert_int_not_equal(read_file(&r, at("absent")), 0);
    assert_non_null(strstr(r.e.message, "absent"));
    assert_int_equal(r.stats.pages, 0);
    reading_release(&r);
}

static void test_wikipedia__cut_off(void **state)
{
    static const char xml[] =
        HEAD PAGE("1", "A", "one") PAGE("2", "B", "two") END;
    struct str whole = str_of(xml);
    size_t second = str_find(whole, STR("<page><title>B"), 0);

    (void)state;
    for (size_t n = second; n < whole.n - strlen(END); n++) {
        struct str cut = str_slice(whole, 0, n);
        bool has_both = n >= whole.n - strlen(END) - 1;
        struct reading r;

        reading_init(&r, 1 + n % 3, 64, 64);
        assert_int_equal(read_xml(&r, cut), -E_FORMAT);
        assert_non_null(strstr(r.e.message, "page "));
        reading_release(&r);
        reading_init(&r, 1 + n % 3, 64, 64);
        r.c.dump.allow_truncated = true;
        assert_int_equal(read_xml(&r, cut), 0);
        assert_int_equal(r.stats.articles, 1 + has_both);
        assert_int_equal(r.stats.truncated, 1);
        assert_int_equal(tally_get(&r.drops, "truncated-dump"), 1);
        reading_release(&r);
    }
}

/* ---- the hash ---- */

static void hash_of(const char *path, unsigned threads, size_t block_bytes,
                    char sha256[SHA256_HEX])
{
    struct reading r;

    reading_init(&r, threads, block_bytes, block_bytes);
    assert_int_equal(read_file(&r, path), 0);
    memcpy(sha256, r.sha256, SHA256_HEX);
    reading_release(&r);
}

static void hash_of_xml(const char *xml, char sha256[SHA256_HEX])
{
    assert_int_equal(io_write_file(at("dump.xml"), str_of(xml), NULL), 0);
    hash_of(at("dump.xml"), 1, 0, sha256);
}

static void test_wikipedia__hash_however_packed(void **state)
{
    char command[256], want[SHA256_HEX], got[SHA256_HEX];
    struct buf xml;
    int keep = dup(STDIN_FILENO);

    (void)state;
    buf_init(&xml, BUF_NO_LIMIT);
    many_pages(&xml);
    assert_int_equal(io_write_file(at("many.xml"), buf_str(&xml), NULL), 0);
    snprintf(command, sizeof command,
             "cd %s && gzip -c many.xml > many.gz && head -c 700 many.xml | "
             "gzip > two.gz && tail -c +701 many.xml | gzip >> two.gz",
             folder);
    assert_int_equal(system(command), 0);
    hash_of(at("many.xml"), 1, 0, want);
    hash_of(at("many.xml"), 4, 200, got);
    assert_string_equal(got, want);
    hash_of(at("many.gz"), 2, 0, got);
    assert_string_equal(got, want);
    hash_of(at("two.gz"), 2, 0, got);
    assert_string_equal(got, want);
    assert_non_null(freopen(at("two.gz"), "r", stdin));
    hash_of("-", 3, 1000, got);
    assert_string_equal(got, want);
    dup2(keep, STDIN_FILENO);
    close(keep);
    buf_release(&xml);
}

static void test_wikipedia__hash_of_what_counts(void **state)
{
    static const char *const others[] = {
        HEAD PAGE("1", "A", "ab") PAGE("2", "B", "c") REDIRECT("D", "A") END,
        HEAD PAGE("1", "A", "a") PAGE("2", "C", "c") REDIRECT("D", "A") END,
        HEAD PAGE("1", "A", "a") PAGE("2", "B", "c") REDIRECT("D", "B") END,
        HEAD PAGE("2", "B", "c") PAGE("1", "A", "a") REDIRECT("D", "A") END,
        HEAD PAGE("1", "A", "a") PAGE("2", "B", "c") END,
        HEAD PAGE("1", "Aa", "") PAGE("2", "B", "c") REDIRECT("D", "A") END,
        HEAD_OF("Datei") PAGE("1", "A", "a") PAGE("2", "B", "c")
            REDIRECT("D", "A") END,
    };
    char want[SHA256_HEX], got[SHA256_HEX];

    (void)state;
    hash_of_xml(HEAD PAGE("1", "A", "a") PAGE("2", "B", "c") REDIRECT("D", "A")
                    END,
                want);
    hash_of_xml(HEAD "<!-- x -->" PAGE("1", "A", "&#97;") BAD("No")
                    PAGE("2", "B", "<![CDATA[c]]>")
                        PAGE_NS("1", "9", "Talk:A", "talk") REDIRECT("D", "A")
                            END,
                got);
    assert_string_equal(got, want);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        hash_of_xml(others[i], got);
        if (strcmp(got, want) == 0)
            fail_msg("the same hash for %s", others[i]);
    }
}

/* ---- parts ---- */

static void test_wikipedia__parts_add_up(void **state)
{
    static const char one[] = HEAD PAGE("1", "A", "a") BAD("X") END;
    static const char two[] = HEAD REDIRECT("B", "A") PAGE("2", "C", "c") END;
    struct reading r;

    (void)state;
    reading_init(&r, 2, 0, 0);
    assert_int_equal(read_xml(&r, str_of(one)), 0);
    assert_int_equal(read_xml(&r, str_of(two)), 0);
    assert_int_equal(r.stats.pages, 4);
    assert_int_equal(r.stats.articles, 2);
    assert_int_equal(r.stats.redirects, 1);
    assert_int_equal(tally_get(&r.drops, "page-code"), 1);
    assert_int_equal(occurrences(buf_str(&r.lines), STR("\n")), 2);
    reading_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wikipedia__small),
        cmocka_unit_test(test_wikipedia__same_for_any_threads),
        cmocka_unit_test(test_wikipedia__an_article_ends_a_phrase),
        cmocka_unit_test(test_wikipedia__redirects),
        cmocka_unit_test(test_wikipedia__no_room_for_redirects),
        cmocka_unit_test(test_wikipedia__bad_pages),
        cmocka_unit_test(test_wikipedia__a_text_too_long),
        cmocka_unit_test(test_wikipedia__the_sink_stops_all),
        cmocka_unit_test(test_wikipedia__stops),
        cmocka_unit_test(test_wikipedia__no_file),
        cmocka_unit_test(test_wikipedia__cut_off),
        cmocka_unit_test(test_wikipedia__hash_however_packed),
        cmocka_unit_test(test_wikipedia__hash_of_what_counts),
        cmocka_unit_test(test_wikipedia__parts_add_up),
    };

    log_quiet(true); /* but where a test reads what is said */
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
