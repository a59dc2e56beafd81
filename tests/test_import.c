/* import: which pages of a saved site are read, how they are cut into parts,
 * what each record says, lists beside them, bad pages, bad options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pair.h"
#include "crawler/import.h"
#include "tests/stage_call.h"

static const char *const entries[] = {"dog"};

static void open_corpus(struct corpus *c)
{
    corpus_of_list(c, entries, 1, QUERY_POLICY_WORDS, 0, 1);
}

static int import(const struct corpus *c, const char *args,
                  struct import_summary *sum, struct err *e)
{
    struct call call;
    int rc;

    *sum = (struct import_summary){0};
    call_open(&call, "import", c->dir, args);
    rc = import_run(c, call.table, (void *)call.config, sum, e);
    call_close(&call);
    return rc;
}

static void release(struct import_summary *sum)
{
    tally_release(&sum->counts);
    tally_release(&sum->drops);
}

/* "FROM TEXT URL PAGE ORIGIN" of each record. */
static void records(const struct corpus *c, const char *part, struct buf *out)
{
    struct arena a;
    struct buf lines;
    struct str rest, line;

    arena_init(&a, 1 << 24);
    buf_init(&lines, 1 << 24);
    buf_clear(out);
    corpus_lines(c, part, &lines);
    rest = buf_str(&lines);
    while (str_split(&rest, '\n', &line) && line.n) {
        uint8_t uid[MD5_SIZE];
        struct err e = ERR_INIT;
        struct pair p;

        must(pair_read(line, &a, &p, &e), &e);
        pair_uid(p.text, p.url, uid);
        assert_memory_equal(uid, p.uid, MD5_SIZE);
        buf_addf(out, "%.*s|%.*s|%.*s|%.*s|%.*s|%.*s\n", STR_ARG(p.from),
                 STR_ARG(p.text), STR_ARG(p.url), STR_ARG(p.page),
                 STR_ARG(p.origin), STR_ARG(p.list_uid));
    }
    buf_release(&lines);
    arena_release(&a);
}

/* Rule 19: which files, in which order, under which URLs. */
static void test_import__pages_of_a_site(void **state)
{
    static const char *const paths[] = {
        "b.html",  "a/z.HTM", "a.xhtml",   "a-b.xht",       "a/%41 ?#.html",
        "not.txt", "html",    "x.html.gz", "d.html/in.html"};
    struct err e = ERR_INIT;
    struct import_summary sum;
    struct corpus c;
    struct buf b;
    char args[256];

    (void)state;
    open_corpus(&c);
    corpus_shell(&c, "mkdir -p site/a site/d.html");
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char name[64];

        snprintf(name, sizeof name, "site/%s", paths[i]);
        corpus_write(&c, name, STR("<img src=p.jpg alt='a dog'>"));
    }
    corpus_shell(&c, "ln -s b.html site/link.html; ln -s a site/more; "
                     "mkfifo site/pipe.html");
    snprintf(args, sizeof args,
             "--html %.60s/site --base HTTP://H.test:80/docs --as s", c.dir);
    must(import(&c, args, &sum, &e), &e);
    buf_init(&b, 1 << 20);
    records(&c, "pairs/s/part-00000.jsonl.zst", &b);
    assert_string_equal(
        b.p, "alt|a dog|http://h.test/docs/p.jpg|http://h.test/docs/a-b.xht|"
             "a-b.xht|\n"
             "alt|a dog|http://h.test/docs/p.jpg|http://h.test/docs/a.xhtml|"
             "a.xhtml|\n"
             "alt|a dog|http://h.test/docs/a/p.jpg|"
             "http://h.test/docs/a/%2541%20%3F%23.html|a/%41 ?#.html|\n"
             "alt|a dog|http://h.test/docs/a/p.jpg|http://h.test/docs/a/z.HTM|"
             "a/z.HTM|\n"
             "alt|a dog|http://h.test/docs/p.jpg|http://h.test/docs/b.html|"
             "b.html|\n"
             "alt|a dog|http://h.test/docs/d.html/p.jpg|"
             "http://h.test/docs/d.html/in.html|d.html/in.html|\n");
    assert_int_equal(sum.parts, 1);
    assert_int_equal(tally_get(&sum.counts, "pages"), 6);
    assert_int_equal(tally_get(&sum.counts, "images"), 6);
    assert_int_equal(tally_get(&sum.counts, "records"), 6);
    release(&sum);
    buf_release(&b);
    corpus_remove(&c);
}

static void test_import__texts_of_one_image(void **state)
{
    static const char page[] =
        "<figure><img src=/p.jpg alt='a dog' title=' the\n dog ' "
        "aria-label='a dog'><figcaption>Dog, <b>old</b></figcaption></figure>"
        "<img src=/p.jpg alt='a dog'><img src=/q.jpg alt=''>"
        "<img src=/data:x alt=x width=1 height=1>";
    struct err e = ERR_INIT;
    struct import_summary sum;
    struct corpus c;
    struct buf b;
    char args[256];

    (void)state;
    open_corpus(&c);
    corpus_shell(&c, "mkdir site");
    corpus_write(&c, "site/i.html", str_of(page));
    snprintf(args, sizeof args, "--html %.60s/site --base http://h.test/",
             c.dir);
    must(import(&c, args, &sum, &e), &e);
    buf_init(&b, 1 << 20);
    records(&c, "pairs/import/part-00000.jsonl.zst", &b);
    assert_string_equal(
        b.p, "alt|a dog|http://h.test/p.jpg|http://h.test/i.html|i.html|\n"
             "title|the dog|http://h.test/p.jpg|http://h.test/i.html|i.html|\n"
             "aria-label|a dog|http://h.test/p.jpg|http://h.test/i.html|"
             "i.html|\n"
             "figcaption|Dog, old|http://h.test/p.jpg|http://h.test/i.html|"
             "i.html|\n");
    release(&sum);
    buf_release(&b);
    corpus_remove(&c);
}

static void write_page(const struct corpus *c, unsigned i)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%.60s/site/%04u.html", c->dir, i);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "<img src=%u.jpg alt='dog %u'>\n", i, i);
    fclose(f);
}

/* 2,001 pages make three parts, for any share of machines and threads. */
static void test_import__a_site_is_cut_into_parts(void **state)
{
    static const char *const runs[3][3] = {
        {"--threads 1", NULL, NULL},
        {"--threads 3", NULL, NULL},
        {"--part 1/2", "--part 0/2 --threads 2", NULL}};
    struct corpus site;
    struct buf b, one;

    (void)state;
    open_corpus(&site);
    corpus_shell(&site, "mkdir site");
    for (unsigned i = 0; i <= 2000; i++)
        write_page(&site, i);
    buf_init(&b, 1 << 24);
    buf_init(&one, 1 << 24);
    for (int i = 0; i < 3; i++) {
        struct import_summary sum;
        struct err e = ERR_INIT;
        struct corpus c;
        char args[256];
        size_t lines = 0;

        open_corpus(&c);
        for (int k = 0; runs[i][k]; k++) {
            snprintf(args, sizeof args,
                     "--html %.60s/site --base http://h.test/ --as s %s",
                     site.dir, runs[i][k]);
            must(import(&c, args, &sum, &e), &e);
            assert_int_equal(sum.parts, i < 2 ? 3 : k ? 2 : 1);
            release(&sum);
        }
        buf_clear(&b);
        for (int part = 0; part < 3; part++) {
            char name[64];
            size_t before = b.n;

            snprintf(name, sizeof name, "pairs/s/part-%05d.jsonl.zst", part);
            corpus_lines(&c, name, &b);
            for (size_t k = before; k < b.n; k++)
                lines += b.p[k] == '\n';
            assert_int_equal(lines, part < 2 ? 1000 * (part + 1) : 2001);
        }
        if (i == 0)
            buf_add(&one, buf_str(&b));
        assert_true(str_eq(buf_str(&one), buf_str(&b)));
        corpus_remove(&c);
    }
    buf_release(&one);
    buf_release(&b);
    corpus_remove(&site);
}

static void test_import__bad_pages_cost_themselves(void **state)
{
    struct err e = ERR_INIT;
    struct import_summary sum;
    struct corpus c;
    struct buf b;
    char args[256];

    (void)state;
    open_corpus(&c);
    corpus_shell(&c, "mkdir site && cd site && : > empty.html && "
                     "head -c 5000 /dev/urandom > noise.html && "
                     "printf '<img src=a.jpg alt=\"a dog' > open.html && "
                     "printf '<img src=a.jpg alt=\"a dog\">' > z.html && "
                     "cp z.html \"$(printf 'no\\377utf8.html')\" && "
                     "truncate -s 65M large.html");
    snprintf(args, sizeof args, "--html %.60s/site --base http://h.test/",
             c.dir);
    must(import(&c, args, &sum, &e), &e);
    buf_init(&b, 1 << 20);
    records(&c, "pairs/import/part-00000.jsonl.zst", &b);
    assert_non_null(strstr(b.p, "alt|a dog|http://h.test/a.jpg|"
                                "http://h.test/z.html|z.html|\n"));
    assert_int_equal(tally_get(&sum.counts, "pages"), 6);
    assert_int_equal(tally_get(&sum.drops, "page-name"), 1);
    assert_int_equal(tally_get(&sum.drops, "page-too-large"), 1);
    release(&sum);
    buf_release(&b);
    corpus_remove(&c);
}

static void test_import__lists(void **state)
{
    static const char rows[] = "uid\tURL\tTEXT\n"
                               "7\tHTTP://A.test/x y.jpg#f\t a\xc2\xa0"
                               "dog \n"
                               "8\tno url\tdog\n"
                               "9\tftp://a.test/x.jpg\tdog\n"
                               "10\thttp://a.test/x.jpg\t \n"
                               "11\thttp://a.test/x.jpg\ta\xff\n"
                               " 12 \thttp://a.test/x.jpg\tdog\textra\n";
    struct err e = ERR_INIT;
    struct import_summary sum;
    struct corpus c;
    struct buf b;
    char args[256];

    (void)state;
    open_corpus(&c);
    corpus_write(&c, "l.tsv", str_of(rows));
    snprintf(args, sizeof args, "--links %.60s/l.tsv --as l", c.dir);
    must(import(&c, args, &sum, &e), &e);
    buf_init(&b, 1 << 20);
    records(&c, "pairs/l/part-00000.jsonl.zst", &b);
    assert_string_equal(b.p, "column|a\xc2\xa0"
                             "dog|http://a.test/x%20y.jpg||"
                             "l.tsv:2|7\n"
                             "column|dog|http://a.test/x.jpg||l.tsv:7|12\n");
    assert_int_equal(tally_get(&sum.counts, "rows"), 6);
    assert_int_equal(tally_sum(&sum.drops), 4);
    assert_int_equal(tally_get(&sum.drops, "url-scheme"), 2);
    assert_int_equal(tally_get(&sum.drops, "text-empty"), 1);
    assert_int_equal(tally_get(&sum.drops, "charset"), 1);
    release(&sum);
    /* Again: nothing to do, the same said. */
    must(import(&c, args, &sum, &e), &e);
    assert_int_equal(sum.parts_done_before, 1);
    assert_int_equal(tally_get(&sum.counts, "records"), 2);
    assert_int_equal(tally_sum(&sum.drops), 4);
    release(&sum);
    /* Another content under the same name. */
    corpus_write(&c, "l.tsv", STR("u\tt\n"));
    assert_int_equal(import(&c, args, &sum, &e), -E_STALE);
    release(&sum);
    buf_release(&b);
    corpus_remove(&c);
}

static void test_import__options(void **state)
{
    static const struct {
        const char *args, *says;
    } bad[] = {
        {"", "nothing to import"},
        {"--html /tmp", "--base"},
        {"--base http://h.test/ --links x", "--base"},
        {"--html /tmp --base h.test", "no http(s) URL"},
        {"--html /tmp --base ftp://h.test/", "no http(s) URL"},
        {"--links x --as a/b", "without slashes"},
        {"--links x --as .x", "without slashes"},
        {"--links x --as crawl", "crawler's"},
    };
    struct corpus c;

    (void)state;
    open_corpus(&c);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct import_summary sum;
        struct err e = ERR_INIT;

        assert_int_equal(import(&c, bad[i].args, &sum, &e), -E_USAGE);
        if (!strstr(e.message, bad[i].says))
            fail_msg("%s: %s", bad[i].args, e.message);
        release(&sum);
    }
    corpus_remove(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_import__pages_of_a_site),
        cmocka_unit_test(test_import__texts_of_one_image),
        cmocka_unit_test(test_import__a_site_is_cut_into_parts),
        cmocka_unit_test(test_import__bad_pages_cost_themselves),
        cmocka_unit_test(test_import__lists),
        cmocka_unit_test(test_import__options),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
