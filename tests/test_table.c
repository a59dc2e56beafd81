/* table: rows of TSV, CSV and JSON lines as lists in the wild have them. */
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
#include "crawler/table.h"
#include "tests/folder.h"

static const char *file(const char *name, struct str bytes)
{
    static char path[IO_PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (io_write_file(path, bytes, NULL))
        abort();
    return path;
}

/* All rows as "NUMBER:url|text|page|uid;", a bad one as "NUMBER:bad;". */
static int dump(const char *path, const struct table_config *config,
                struct buf *out, struct err *e)
{
    struct table_row row;
    struct table t;
    bool more;
    int rc = table_open(&t, path, config, e);

    buf_clear(out);
    if (rc)
        return rc;
    while (!(rc = table_next(&t, &row, &more, e)) && more) {
        buf_addf(out, "%llu:", (unsigned long long)row.number);
        for (int c = 0; !row.bad && c < TABLE_COLUMNS; c++) {
            buf_addf(out, "%s", c ? "|" : "");
            buf_add(out, row.cell[c]);
        }
        buf_addf(out, "%s;", row.bad ? "bad" : "");
    }
    buf_addf(out, "%s", t.lines.too_long ? "(too long)" : "");
    table_close(&t);
    return rc;
}

struct table_case {
    const char *name, *bytes;
    struct table_config config;
    const char *rows;
};

static const struct table_case cases[] = {
    /* TSV: header found by the usual names, or none. */
    {"a.tsv", "url\tcaption\nu1\tt1\nu2\tt2\n", {0}, "2:u1|t1||;3:u2|t2||;"},
    {"b.tsv", "TEXT\tx\tURL\nt1\t-\tu1\n", {0}, "2:u1|t1||;"},
    {"c.tsv", "u1\tt1\nu2\tt2", {0}, "1:u1|t1||;2:u2|t2||;"},
    {"d.tsv", "u1\r\n", {0}, "1:u1|||;"},
    {"e.tsv",
     "u1\tt \"1\"\tx\r\nu2\t\"t2\r\n",
     {0},
     "1:u1|t \"1\"||;2:u2|\"t2||;"},
    {"f.tsv", "url\ttext\tpage\tuid\nu\tt\tp\ti\n", {0}, "2:u|t|p|i;"},
    {"empty.tsv", "", {0}, ""},
    {"blank.tsv", "\n\n\nurl\ttext\n\nu1\tt1\n\n", {0}, "6:u1|t1||;"},
    /* What the caller says wins over what is found. */
    {"g.tsv",
     "url\ttext\nu1\tt1\n",
     {.header = TABLE_HEADER_NO},
     "1:url|text||;2:u1|t1||;"},
    {"h.tsv", "a\tb\nu1\tt1\n", {.column = {"a", "b"}}, "2:u1|t1||;"},
    {"i.tsv", "t1\tx\tu1\n", {.column = {"3", "1"}}, "1:u1|t1||;"},
    {"j.tsv",
     "caption\tx\turl\nt1\tx\tu1\n",
     {.column = {"3", "1"}},
     "2:u1|t1||;"},
    {"k.tsv",
     "one\ttwo\nt1\tu1\n",
     {.header = TABLE_HEADER_YES, .column = {"2", "1"}},
     "2:u1|t1||;"},
    {"l.tsv",
     "caption\tz\nt1\tu1\n",
     {.header = TABLE_HEADER_YES, .column = {"2"}},
     "2:u1|t1||;"},
    /* Formats by name, packed or not, then by content. */
    {"m.CSV", "u1,t1\n", {0}, "1:u1|t1||;"},
    {"n.txt", "u1,t1\n", {0}, "1:u1|t1||;"},
    {"o.txt", "u1,1\tt1\n", {0}, "1:u1,1|t1||;"},
    {"p.txt", " {\"url\":\"u\",\"alt\":\"t\"}\n", {0}, "1:u|t||;"},
    {"q.csv", "u1\tt1\n", {.format = TABLE_TSV}, "1:u1|t1||;"},
    /* Byte order marks. */
    {"bom.tsv", "\xef\xbb\xbfurl\ttext\nu\tt\n", {0}, "2:u|t||;"},
    {"bom.csv", "\xef\xbb\xbf\"url\",\"text\"\nu,t\n", {0}, "2:u|t||;"},
    {"bom.jsonl",
     "\xef\xbb\xbf{\"url\":\"u\",\"text\":\"t\"}\n",
     {0},
     "1:u|t||;"},
    {"bom2.tsv", "url\ttext\n\xef\xbb\xbfu\tt\n", {0}, "2:\xef\xbb\xbfu|t||;"},
    /* CSV: quotes, doubled ones, commas and lines inside. */
    {"r.csv",
     "url,text\n\"u,1\",\"a \"\"b\"\" c\"\n",
     {0},
     "2:u,1|a \"b\" c||;"},
    {"s.csv",
     "url,text\nu1,\"two\nlines\r\nthree\"\nu2,t2\n",
     {0},
     "2:u1|two\nlines\nthree||;5:u2|t2||;"},
    {"first.csv",
     "u1,\"two\nlines\"\nu2,t2\n",
     {0},
     "1:u1|two\nlines||;3:u2|t2||;"},
    {"head.csv", "url,\"te\nxt\",text\nu,1,t\n", {0}, "3:u|t||;"},
    {"t.csv",
     "u1,\"\",x\nu2,\"\"\"\"\nu3,,\nu4,\n",
     {0},
     "1:u1|||;2:u2|\"||;3:u3|||;4:u4|||;"},
    {"u.csv", "u1,\"t\" rest,x\nu2,t2\n", {0}, "1:u1|t||;2:u2|t2||;"},
    /* A quote inside a cell opens nothing: the rows behind it stay. */
    {"inch.csv",
     "u1,a 5\" disk\nu2,t2\nu3,6\" and 7\"\nu4,t4\n",
     {0},
     "1:u1|a 5\" disk||;2:u2|t2||;3:u3|6\" and 7\"||;4:u4|t4||;"},
    {"v.csv", "u1,t1\nu2,\"never closed\nu3,t3\n", {0}, "1:u1|t1||;2:bad;"},
    /* JSON lines: other members, escapes, nulls, rows that are none. */
    {"w.jsonl",
     "{\"url\":\"u1\",\"n\":{\"url\":[1]},\"caption\":\"a\\n\\u00e9\"}\n"
     "{\"url\":\"u2\",\"text\":null,\"alt\":\"t2\",\"uid\":7}\n"
     "{\"url\":\"u3\",\n"
     "[1]\n"
     "{\"url\":\"u4\",\"text\":\"t4\"} x\n"
     "{}\n"
     "{\"url\":\"u5\",\"text\":\"t5\",\"uid\":\"i\",\"page_url\":\"p\"}",
     {0},
     "1:u1|a\n\xc3\xa9||;2:u2|t2||;3:bad;4:bad;5:bad;6:|||;7:u5|t5|p|i;"},
    {"x.ndjson",
     "{\"a\":\"u\",\"b\":\"t\",\"url\":\"x\"}\n",
     {.column = {"a", "b"}},
     "1:u|t||;"},
};

static void test_table__rows(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct table_case *c = &cases[i];
        struct err e = ERR_INIT;

        if (dump(file(c->name, str_of(c->bytes)), &c->config, &b, &e))
            fail_msg("%s: %s", c->name, e.message);
        if (!str_eq(buf_str(&b), str_of(c->rows)))
            fail_msg("%s: %s\nexpected %s", c->name, buf_str(&b).p, c->rows);
    }
    buf_release(&b);
}

static void test_table__usage(void **state)
{
    static const struct {
        const char *bytes;
        struct table_config config;
        const char *says;
    } bad[] = {
        {"url\tfoo\nu\tt\n", {0}, "--text-column"},
        {"u\tt\n", {.column = {"src"}}, "no column \"src\""},
        {"url\ttext\nu\tt\n",
         {.column = {"url", "words"}},
         "no column \"words\""},
        {"u\tt\n", {.column = {"0", "2"}}, "count from 1"},
        {"u\tt\n", {.column = {"1", "5000"}}, "count from 1"},
        {"a\tb\nu\tt\n", {.header = TABLE_HEADER_YES}, "--url-column"},
    };
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = ERR_INIT;

        assert_int_equal(
            dump(file("bad.tsv", str_of(bad[i].bytes)), &bad[i].config, &b, &e),
            -E_USAGE);
        if (!strstr(e.message, bad[i].says))
            fail_msg("case %zu: %s", i, e.message);
    }
    assert_int_equal(
        dump("/nowhere/x.tsv", &(struct table_config){0}, &b, NULL),
        -E_NOTFOUND);
    buf_release(&b);
}

/* A line over the ceiling is skipped and counted; a quoted row that grows over
 * it is bad, and the reading goes on. */
static void test_table__over_long_rows(void **state)
{
    static const struct table_config config = {0};
    struct buf in, out;
    char *long_line = xmalloc(TABLE_ROW_MAX + 8);

    (void)state;
    buf_init(&in, BUF_NO_LIMIT);
    buf_init(&out, BUF_NO_LIMIT);
    memset(long_line, 'x', TABLE_ROW_MAX + 8);
    buf_add(&in, STR("u1\tt1\n"));
    buf_add_bytes(&in, long_line, TABLE_ROW_MAX + 1);
    buf_add(&in, STR("\nu3\tt3\n"));
    assert_int_equal(dump(file("long.tsv", buf_str(&in)), &config, &out, NULL),
                     0);
    assert_string_equal(out.p, "1:u1|t1||;3:u3|t3||;(too long)");

    /* The longest that fits does, with either line ending. */
    for (int crlf = 0; crlf < 2; crlf++) {
        buf_clear(&in);
        buf_add(&in, STR("u\t"));
        buf_add_bytes(&in, long_line, TABLE_ROW_MAX - 2);
        buf_add(&in, crlf ? STR("\r\nu2\tt2\r\n") : STR("\nu2\tt2\n"));
        assert_int_equal(
            dump(file("fits.tsv", buf_str(&in)), &config, &out, NULL), 0);
        assert_int_equal(out.n, TABLE_ROW_MAX + 15);
        assert_string_equal(out.p + out.n - 10, "2:u2|t2||;");
    }

    buf_clear(&in);
    buf_add(&in, STR("u1,\""));
    for (int i = 0; i < 3; i++) {
        buf_add_bytes(&in, long_line, TABLE_ROW_MAX / 2);
        buf_add_char(&in, '\n');
    }
    buf_add(&in, STR("u5,t5\n"));
    assert_int_equal(dump(file("long.csv", buf_str(&in)), &config, &out, NULL),
                     0);
    assert_int_equal(strncmp(out.p, "1:bad;3:xxx", 11), 0);
    assert_string_equal(out.p + out.n - 10, "4:u5|t5||;");
    free(long_line);
    buf_release(&in);
    buf_release(&out);
}

static void test_table__packed_by_content(void **state)
{
    static const char *const packers[][2] = {
        {"gzip", "gz"}, {"bzip2", "bz2"}, {"zstd -q", "zst"}};
    static const struct table_config config = {0};
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    file("packed.csv", STR("url,text\nu1,\"a\nb\"\n"));
    for (int i = 0; i < 3; i++) {
        char command[512], path[96];
        struct err e = ERR_INIT;

        snprintf(path, sizeof path, "%s/packed.csv.%s", folder, packers[i][1]);
        snprintf(command, sizeof command,
                 "%s -c %s/packed.csv > %s/packed.csv.%s 2>/dev/null",
                 packers[i][0], folder, folder, packers[i][1]);
        if (system(command))
            continue; /* that packer is not installed */
        if (dump(path, &config, &b, &e))
            fail_msg("%s", e.message);
        assert_string_equal(b.p, "2:u1|a\nb||;");
        /* Cut short, it is an error with the place, not a shorter list. */
        snprintf(command, sizeof command, "truncate -s -3 %s", path);
        assert_int_equal(system(command), 0);
        assert_int_equal(dump(path, &config, &b, &e), -E_FORMAT);
        assert_non_null(strstr(e.message, "byte"));
    }
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table__rows),
        cmocka_unit_test(test_table__usage),
        cmocka_unit_test(test_table__over_long_rows),
        cmocka_unit_test(test_table__packed_by_content),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
