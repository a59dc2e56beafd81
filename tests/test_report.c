/* report.html: escaping, drawing, determinism, and a look in a browser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>

#include "base/log.h"
#include "tests/small_images.h"
#include "tools/merge.h"
#include "tools/report.h"
#include "tools/report_html.h"
#include "tools/report_pictures.h"
#include "tools/report_run.h"
#include "train/npy.h"

static const struct report_config config = {
    .title = "A <small> corpus", .pictures = 60, .top = 20};

static int setup(void **state)
{
    *state = small_new(2);
    return 0;
}

static int teardown(void **state)
{
    small_free(*state);
    return 0;
}

static void merge(struct small *s)
{
    struct merge_config c = MERGE_CONFIG_DEFAULT;

    MUST(merge_corpus(&s->corpus, &c, e));
}

/* The page; release it. */
static void render(struct small *s, const struct report_config *c,
                   struct buf *b)
{
    struct catalog catalog = CATALOG_INIT;

    buf_init(b, REPORT_MAX);
    MUST(catalog_open(&catalog, s->dir, DB_READ, e));
    MUST(report_render(&s->corpus, c, &catalog, b, e));
    catalog_close(&catalog);
}

static size_t times(const char *text, const char *part)
{
    size_t n = 0;

    for (const char *p = text; (p = strstr(p, part)); p += strlen(part))
        n++;
    return n;
}

/* ---- pieces ---- */

static void test_report__texts_are_escaped(void **state)
{
    static const struct {
        const char *in, *out;
        size_t max;
    } rows[] = {
        {"a < b & c > \"d\" 'e'",
         "a &lt; b &amp; c &gt; &quot;d&quot; &#39;e&#39;", 0},
        {"</style><script>x</script>",
         "&lt;/style&gt;&lt;script&gt;x&lt;/script&gt;", 0},
        {"a\x01\x7f\xc2\x85z", "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz", 0},
        {"\xef\xbf\xbf", "\xef\xbf\xbd", 0},
        {"\xc3", "\xef\xbf\xbd", 0},
        {"caf\xc3\xa9", "caf\xc3\xa9", 0},
        {"caf\xc3\xa9", "caf\xe2\x80\xa6", 4}, /* never half a character */
        {"&amp;", "&amp;amp;", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct buf b;

        buf_init(&b, 1 << 16);
        report_html_text(&b, str_of(rows[i].in), rows[i].max);
        assert_string_equal(buf_str(&b).p, rows[i].out);
        buf_release(&b);
    }
}

static void test_report__base64(void **state)
{
    /* RFC 4648, section 10. */
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"},
                                          {"\xff\xff\xfe", "///+"}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char want[64];
        struct buf b;

        buf_init(&b, 1 << 16);
        report_html_jpeg(&b, str_of(rows[i][0]));
        snprintf(want, sizeof want, "data:image/jpeg;base64,%s", rows[i][1]);
        assert_string_equal(buf_str(&b).p, want);
        buf_release(&b);
    }
}

static void test_report__curves(void **state)
{
    enum { N = 500000 };
    uint64_t *v = calloc(N, sizeof *v);
    const uint64_t tiny[] = {7, 0};
    struct report_html_curve c[] = {{"found", "one", v, N},
                                    {"tiny", "two", tiny, 2}};
    struct buf b;

    (void)state;
    /* Zipf's law, zero behind rank 400,000. */
    for (size_t i = 0; i < 400000; i++)
        v[i] = 120000000 / (i + 1);
    buf_init(&b, 1 << 20);
    report_html_curves(&b, c, 2, 20000);
    assert_int_equal(times(b.p, "<polyline"), 2);
    assert_int_equal(times(b.p, "nan"), 0);
    assert_int_equal(times(b.p, "inf"), 0);
    assert_non_null(strstr(b.p, "points=\"64.0,")); /* rank 1 at the left */
    assert_non_null(strstr(b.p, ">100M</text>"));
    assert_non_null(strstr(b.p, "the cap, 20,000"));
    assert_true(b.n < 12000); /* thinned, whatever the list's length */
    buf_clear(&b);
    v[0] = 0;
    report_html_curves(&b, c, 1, 20000); /* nothing found: nothing drawn */
    assert_int_equal(b.n, 0);
    buf_release(&b);
    free(v);
}

static void test_report__bars(void **state)
{
    const struct report_html_bar bars[] = {
        {STR("a<b"), 200, STR("note"), "one"},
        {STR("none"), 0, STR_NONE, "one"},
        {STR("half"), 100, STR_NONE, "two"},
    };
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 16);
    report_html_bars(&b, "Caption.", "what", "number", bars, 3);
    assert_non_null(strstr(b.p, "a&lt;b"));
    assert_int_equal(times(b.p, "width:100.0%"), 1);
    assert_int_equal(times(b.p, "width:50.0%"), 1);
    assert_int_equal(times(b.p, "<tr>"), 4);
    assert_int_equal(times(b.p, "style="), 2);
    buf_release(&b);
}

/* ---- the page ---- */

static void test_report__every_step_of_a_corpus(void **state)
{
    struct small *s = *state;
    struct buf b;

    merge(s);
    render(s, &config, &b);
    assert_non_null(strstr(b.p, "No stage has run yet"));
    assert_non_null(strstr(b.p, "Nothing has been packed yet"));
    buf_release(&b);
    small_import(s);
    small_gather(s);
    merge(s);
    render(s, &config, &b);
    assert_non_null(strstr(b.p, "found, before balancing"));
    assert_null(strstr(b.p, "selected, after balancing"));
    buf_release(&b);
    small_balance(s, 0);
    small_balance(s, 1);
    merge(s);
    render(s, &config, &b);
    assert_non_null(strstr(b.p, "selected, after balancing"));
    assert_non_null(strstr(b.p, "No picture has been asked for yet"));
    assert_non_null(strstr(b.p, "Lengths of selected texts"));
    buf_release(&b);
    small_download(s);
    small_dedup(s);
    small_pack(s);
    merge(s);
    render(s, &config, &b);
    assert_int_equal(times(b.p, "<img "), s->rows);
    assert_int_equal(times(b.p, "src=\"data:image/jpeg;base64,"), s->rows);
    assert_non_null(strstr(b.p, "Shorter side of the pictures"));
    assert_non_null(strstr(b.p, "http-status"));
    assert_non_null(strstr(b.p, "duplicate-near"));
    buf_release(&b);
}

/* Nothing in it that a browser would ask for or run. */
static void test_report__self_contained(void **state)
{
    struct small *s = *state;
    struct buf b;

    small_all(s);
    merge(s);
    render(s, &config, &b);
    assert_non_null(strstr(b.p, "default-src 'none'; img-src data:"));
    assert_null(strstr(b.p, "<script"));
    assert_null(strstr(b.p, "<link"));
    assert_null(strstr(b.p, "url("));
    assert_null(strstr(b.p, "@import"));
    assert_null(strstr(b.p, "http://")); /* no address, not even as text */
    assert_null(strstr(b.p, "https://"));
    assert_non_null(strstr(b.p, "<title>A &lt;small&gt; corpus</title>"));
    assert_int_equal(times(b.p, " href=\""), times(b.p, " href=\"#"));
    assert_int_equal(times(b.p, " src=\""), times(b.p, " src=\"data:"));
    /* Hostile texts are there, as text. */
    assert_non_null(strstr(b.p, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    buf_release(&b);
}

static void test_report__equal_corpora_equal_bytes(void **state)
{
    struct small *s = *state, *other = small_new(2);
    struct buf a, b;

    small_all(s);
    merge(s);
    render(s, &config, &a);
    small_all(other);
    merge(other);
    render(other, &config, &b);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.p, b.p, a.n);
    buf_release(&a);
    buf_release(&b);
    small_free(other);
}

static void test_report__pictures_keep_to_their_budget(void **state)
{
    struct small *s = *state;
    struct catalog catalog = CATALOG_INIT;
    struct pictures p;
    size_t one = sizeof small_jpeg_red;

    small_all(s);
    merge(s);
    assert_true(s->rows >= 6);
    MUST(catalog_open(&catalog, s->dir, DB_READ, e));
    MUST(pictures_draw(&p, &s->corpus, &catalog, 4, 1 << 20, 1 << 20, e));
    assert_int_equal(p.n, 4);
    assert_int_equal(p.total, s->rows);
    for (size_t i = 0; i < p.n; i++) {
        assert_true(p.v[i].jpeg.n > 100);
        assert_int_equal((unsigned char)p.v[i].jpeg.p[0], 0xff);
        assert_true(p.v[i].n_texts >= 1);
        assert_true(p.v[i].n_q >= 1);
        for (size_t k = 0; k < i; k++)
            assert_false(str_eq(p.v[i].key, p.v[k].key));
    }
    pictures_release(&p);
    MUST(pictures_draw(&p, &s->corpus, &catalog, 60, 2 * one + 50, 1 << 20, e));
    assert_int_equal(p.n, 2);
    assert_true(p.too_large > 0);
    pictures_release(&p);
    MUST(pictures_draw(&p, &s->corpus, &catalog, 60, 1 << 20, 10, e));
    assert_int_equal(p.n, 0);
    pictures_release(&p);
    catalog_close(&catalog);
}

static void test_report__a_damaged_shard(void **state)
{
    struct small *s = *state;
    char path[128];
    struct buf b;

    small_all(s);
    merge(s);
    snprintf(path, sizeof path, "%s/shards/00000.idx", s->dir);
    assert_int_equal(truncate(path, 100), 0);
    render(s, &config, &b);
    assert_non_null(strstr(b.p, "The shards could not be read"));
    assert_non_null(strstr(b.p, "</html>"));
    buf_release(&b);
}

static void test_report__is_published_whole(void **state)
{
    struct small *s = *state;
    struct report_config c = config;
    struct buf b, file;
    char path[128];

    small_all(s);
    merge(s);
    MUST(report_run(&s->corpus, &c, e));
    render(s, &config, &b);
    buf_init(&file, REPORT_MAX);
    snprintf(path, sizeof path, "%s/report.html", s->dir);
    MUST(io_read_file(path, &file, e));
    assert_true(str_eq(buf_str(&b), buf_str(&file)));
    buf_release(&b);
    buf_release(&file);
    c.out = "/nonexistent/report.html";
    assert_int_equal(report_run(&s->corpus, &c, NULL), -E_IO);
}

/* ---- the section about a model ---- */

static void put(const char *folder, const char *name, const char *text)
{
    char path[IO_PATH_MAX];

    MUST(io_join(path, folder, name, e));
    MUST(io_write_file(path, str_of(text), e));
}

static void put_npy(const char *folder, const char *name, const float *v,
                    size_t rows, size_t dim)
{
    char path[IO_PATH_MAX];
    struct npy_writer w;

    MUST(io_join(path, folder, name, e));
    MUST(npy_writer_open(&w, path, NPY_F32, dim, e));
    for (size_t i = 0; i < rows; i++)
        MUST(npy_writer_add(&w, v + i * dim, e));
    MUST(npy_writer_publish(&w, e));
}

static const char model_log[] =
    "{\"settings\":{\"batch\":8,\"objective\":\"contrastive\","
    "\"loss\":\"infonce\",\"data\":[\"/secret/place\"]}}\n"
    "{\"step\":1,\"samples\":8,\"epoch\":0.5,\"loss\":2.5}\n"
    "{\"step\":1,\"alarm\":\"norm\",\"text\":\"x\"}\n"
    "{\"step\":2,\"samples\":16,\"epoch\":1,\"loss\":null}\n"
    "{\"step\":2,\"eval\":{\"zeroshot_top1\":0.5}}\n"
    "{\"step\":3,\"samples\":24,\"epoch\":1.5,\"loss\":0.75}\n";

/* A run's folder inside the corpus, with a log. */
static void small_run(struct small *s, char folder[IO_PATH_MAX])
{
    MUST(io_join(folder, s->dir, "models/small", e));
    MUST(io_mkdirs(folder, e));
    put(folder, "log.jsonl", model_log);
}

/* Four pictures, a query of which two have the same product. */
static void small_features(const char *folder)
{
    static const float pictures[4][2] = {
        {0.6f, 0.8f}, {1, 0}, {0.6f, -0.8f}, {0, 1}};
    static const float queries[2][2] = {{1, 0}, {0, 1}};

    put_npy(folder, "pictures.npy", pictures[0], 4, 2);
    put_npy(folder, "queries.npy", queries[0], 2, 2);
    put(folder, "pictures.keys", "000000\n000001\n000010\n990000\n");
    put(folder, "queries.txt", "a <red> dog\nanother");
    put(folder, "queries.keys", "000010\n777777\n");
}

static void small_results(const char *folder)
{
    put(folder, "zeroshot.json",
        "{\"task\":\"zeroshot\",\"images\":40,\"top1\":0.375,"
        "\"mean_per_class_recall\":0.25,\"per_class\":["
        "{\"name\":\"a<b\",\"images\":30,\"right\":12},"
        "{\"name\":\"c\",\"images\":10,\"right\":3}]}");
    put(folder, "retrieval.json",
        "{\"task\":\"retrieval\",\"images\":8,\"texts\":12,"
        "\"image_to_text_r1\":0.3125,\"image_to_text_r5\":0.4375,"
        "\"image_to_text_r10\":1,\"text_to_image_r1\":0.0625,"
        "\"text_to_image_r5\":0.6875,\"text_to_image_r10\":1}");
}

static void test_report__a_run_is_read(void **state)
{
    struct small *s = *state;
    char folder[IO_PATH_MAX];
    struct report_run r;

    small_run(s, folder);
    MUST(report_run_read(&r, folder, e));
    assert_int_equal(r.n, 3);
    assert_int_equal(r.steps, 3);
    assert_int_equal(r.samples, 24);
    assert_int_equal(r.batch, 8);
    assert_true(r.infonce);
    assert_false(r.retrieval.known || r.zeroshot.known);
    assert_int_equal(r.n_queries, 0);
    report_run_release(&r);
    small_features(folder);
    small_results(folder);
    MUST(report_run_read(&r, folder, e));
    assert_true(r.retrieval.known && r.zeroshot.known);
    assert_int_equal(r.zeroshot.n, 2);
    assert_int_equal(r.pictures, 4);
    assert_int_equal(r.n_queries, 2);
    /* Of equal products the first stands first. */
    assert_int_equal(r.queries[0].n, 4);
    assert_true(str_eq(r.queries[0].hits[0].key, STR("000001")));
    assert_true(str_eq(r.queries[0].hits[1].key, STR("000000")));
    assert_true(str_eq(r.queries[0].hits[2].key, STR("000010")));
    assert_true(str_eq(r.queries[0].hits[3].key, STR("990000")));
    assert_int_equal(r.queries[0].rank, 3);
    assert_true(str_eq(r.queries[1].hits[0].key, STR("990000")));
    assert_true(str_eq(r.queries[1].text, STR("another")));
    assert_int_equal(r.queries[1].rank, 0); /* its sample is not there */
    report_run_release(&r);
}

static void test_report__the_model_of_a_run(void **state)
{
    struct small *s = *state;
    struct report_config c = config;
    char folder[IO_PATH_MAX];
    size_t elsewhere;
    struct buf b;

    small_all(s);
    merge(s);
    small_run(s, folder);
    render(s, &config, &b); /* nobody asked for it */
    assert_null(strstr(b.p, "id=\"model\""));
    assert_null(strstr(b.p, "href=\"#model\""));
    elsewhere = times(b.p, ">100.0%<");
    buf_release(&b);
    c.model = folder;
    render(s, &c, &b); /* a curve alone */
    assert_non_null(strstr(b.p, "<h2 id=\"model\">"));
    assert_non_null(strstr(b.p, "href=\"#model\""));
    assert_non_null(strstr(b.p, "of guessing, 2.08")); /* ln 8 */
    assert_null(strstr(b.p, "nan"));
    assert_null(strstr(b.p, "Retrieval"));
    assert_null(strstr(b.p, "Zero-shot"));
    assert_null(strstr(b.p, "/secret/place"));
    buf_release(&b);
    small_features(folder);
    small_results(folder);
    render(s, &c, &b);
    assert_int_equal(times(b.p, ">31.2%<") + times(b.p, ">31.3%<"), 1);
    assert_int_equal(times(b.p, ">12.5%<"), 1); /* chance of R@1: 1 of 8 */
    assert_int_equal(times(b.p, ">62.5%<"), 1); /* and of R@5 */
    assert_int_equal(times(b.p, ">100.0%<"), elsewhere + 3);
    assert_int_equal(times(b.p, ">50.0%<"), 1); /* of two classes */
    assert_int_equal(times(b.p, ">75.0%<"), 1); /* 30 of 40 */
    assert_int_equal(times(b.p, ">37.5%<"), 1);
    assert_non_null(strstr(b.p, "a&lt;b"));
    assert_non_null(strstr(b.p, "a &lt;red&gt; dog"));
    assert_non_null(strstr(b.p, "Its own picture is number 3 of 4"));
    assert_int_equal(times(b.p, "class=\"own\""), 1);
    /* Three of the four keys are in the shards; all stand in both rows. */
    assert_int_equal(times(b.p, "sample 990000"), 2);
    assert_int_equal(times(b.p, "<img "), s->rows + 6);
    buf_release(&b);
}

static void test_report__what_a_run_lacks_is_said(void **state)
{
    static const struct {
        const char *name, *text, *said;
    } rows[] = {
        {"log.jsonl", "{\"step\":1,\"loss\":\n", "log.jsonl: line 1"},
        {"zeroshot.json", "{\"task\":\"retrieval\"}", "eval zeroshot"},
        {"retrieval.json", "[]", "retrieval.json"},
        {"retrieval.json", "{\"task\":\"retrieval\",\"images\":-1}",
         "retrieval.json"},
        {"pictures.keys", "000000\n", "4 rows for 1 keys"},
        {"queries.txt", "one\ntwo\nthree\n", "2 rows for 3 texts"},
        {"queries.keys", "000000\n", "1 lines for 2 texts"},
        {"pictures.npy", "no", "pictures.npy"},
    };
    struct small *s = *state;
    char folder[IO_PATH_MAX];
    struct report_run r;
    struct err err = ERR_INIT;

    assert_int_equal(report_run_read(&r, s->dir, &err), -E_NOTFOUND);
    assert_non_null(strstr(err.message, "log.jsonl"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        small_run(s, folder);
        small_features(folder);
        small_results(folder);
        put(folder, rows[i].name, rows[i].text);
        err = (struct err)ERR_INIT;
        assert_true(report_run_read(&r, folder, &err) < 0);
        if (!strstr(err.message, rows[i].said))
            fail_msg("row %zu: %s", i, err.message);
    }
}

static void test_report__rows_of_other_lengths(void **state)
{
    static const float odd[2][3] = {{1, 0, 0}, {0, 1, 0}};
    struct small *s = *state;
    char folder[IO_PATH_MAX];
    struct report_run r;
    struct err err = ERR_INIT;

    small_run(s, folder);
    small_features(folder);
    put_npy(folder, "queries.npy", odd[0], 2, 3);
    assert_int_equal(report_run_read(&r, folder, &err), -E_FORMAT);
    assert_non_null(strstr(err.message, "rows of 2 numbers"));
}

static void test_report__losses(void **state)
{
    enum { N = 100000 };
    float *v = calloc(N, sizeof *v);
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < N; i++)
        v[i] = 4 - 3 * (float)i / N;
    report_html_loss(&b, v, N, 4.5);
    assert_int_equal(times(b.p, "<polyline"), 1);
    assert_non_null(strstr(b.p, ">100,000</text>"));
    assert_non_null(strstr(b.p, "of guessing, 4.50"));
    assert_true(b.n < 8000); /* thinned, however long the run */
    buf_clear(&b);
    for (size_t i = 0; i < 50; i++)
        v[2 * i] = NAN; /* steps whose loss was not finite */
    report_html_loss(&b, v, 100, 0);
    assert_null(strstr(b.p, "nan"));
    assert_null(strstr(b.p, "guessing"));
    buf_clear(&b);
    v[0] = NAN;
    report_html_loss(&b, v, 1, 0); /* nothing to draw */
    assert_int_equal(b.n, 0);
    report_html_loss(&b, v, 0, 0);
    assert_int_equal(b.n, 0);
    buf_release(&b);
    free(v);
}

/* ---- in a browser ---- */

/* Run chromium on a page of ours; its stdout goes to out_path. */
static int browse(const char *dir, const char *options, const char *page,
                  const char *out_path)
{
    char command[1024];
    int rc = 0;

    snprintf(command, sizeof command,
             "timeout 60 chromium --headless --no-sandbox --disable-gpu "
             "--disable-dev-shm-usage --hide-scrollbars "
             "--virtual-time-budget=2000 "
             "--user-data-dir=%s/browser %s file://%s >%s 2>%s/log",
             dir, options, page, out_path, dir);
    /* On a busy machine the browser itself now and then aborts; a page cannot
     * make it do so three times in a row. */
    for (int i = 0; i < 3; i++) {
        rc = system(command);
        if (rc < 0 || !WIFEXITED(rc) || WEXITSTATUS(rc) < 128)
            break;
    }
    return rc;
}

/* A page that holds the report in a frame as wide as a phone, and writes down
 * how wide the report wants to be. */
static void phone_page(const struct buf *report, const char *path)
{
    struct buf b;

    buf_init(&b, REPORT_MAX);
    report_html_add(&b, "<!DOCTYPE html><body style=\"margin:0\"><iframe id=f "
                        "width=390 height=844 style=\"border:0\" srcdoc=\"");
    for (size_t i = 0; i < report->n; i++)
        if (report->p[i] == '"')
            report_html_add(&b, "&quot;");
        else if (report->p[i] == '&')
            report_html_add(&b, "&amp;");
        else
            buf_add_char(&b, report->p[i]);
    report_html_add(
        &b, "\"></iframe><p id=said></p><script>onload=function(){var d="
            "document.getElementById('f').contentDocument."
            "documentElement;document.getElementById('said')."
            "textContent='wants '+d.scrollWidth+' of '+d.clientWidth;}"
            "</script>");
    MUST(io_write_file(path, buf_str(&b), e));
    buf_release(&b);
}

static void read_all(const char *path, struct buf *b)
{
    buf_init(b, 64 << 20);
    MUST(io_read_file(path, b, e));
    buf_add_char(b, 0);
}

/* Width and height of a PNG, from its header. */
static void png_size(const char *path, unsigned *width, unsigned *height)
{
    struct buf b;
    const unsigned char *p;

    read_all(path, &b);
    assert_true(b.n > 1000);
    p = (const unsigned char *)b.p;
    assert_memory_equal(p, "\x89PNG", 4);
    *width = (unsigned)p[18] << 8 | p[19];
    *height = (unsigned)p[22] << 8 | p[23];
    buf_release(&b);
}

static void test_report__looked_at_in_a_browser(void **state)
{
    struct small *s = *state;
    char page[160], phone[160], out[160], option[300];
    unsigned width, height;
    struct buf b, dom;

    if (system("command -v chromium >/dev/null 2>&1"))
        skip();
    small_all(s);
    merge(s);
    render(s, &config, &b);
    snprintf(page, sizeof page, "%s/report.html", s->dir);
    snprintf(phone, sizeof phone, "%s/phone.html", s->dir);
    snprintf(out, sizeof out, "%s/out", s->dir);
    MUST(io_write_file(page, buf_str(&b), e));
    phone_page(&b, phone);
    buf_release(&b);

    assert_int_equal(browse(s->dir, "--dump-dom", page, out), 0);
    read_all(out, &dom);
    assert_non_null(strstr(dom.p, "<h1>A &lt;small&gt; corpus</h1>"));
    assert_null(strstr(dom.p, "<script")); /* none came out of a text */
    assert_int_equal(times(dom.p, "<img "), s->rows);
    assert_int_equal(times(dom.p, "<polyline "), 3);
    buf_release(&dom);

    snprintf(option, sizeof option,
             "--window-size=1280,1000 --screenshot=%s/desktop.png", s->dir);
    assert_int_equal(browse(s->dir, option, page, out), 0);
    snprintf(out, sizeof out, "%s/desktop.png", s->dir);
    png_size(out, &width, &height);
    assert_int_equal(width, 1280);
    assert_int_equal(height, 1000);
    snprintf(out, sizeof out, "%s/out", s->dir);
    snprintf(option, sizeof option,
             "--window-size=500,844 --screenshot=%s/phone.png", s->dir);
    assert_int_equal(browse(s->dir, option, phone, out), 0);
    snprintf(option, sizeof option, "--print-to-pdf=%s/page.pdf", s->dir);
    assert_int_equal(browse(s->dir, option, page, out), 0);
    snprintf(out, sizeof out, "%s/page.pdf", s->dir);
    read_all(out, &dom);
    assert_memory_equal(dom.p, "%PDF", 4);
    buf_release(&dom);
    if (getenv("WITMILL_SCREENSHOTS")) {
        snprintf(option, sizeof option, "cp %s/*.png %s/*.pdf %s/*.html %s",
                 s->dir, s->dir, s->dir, getenv("WITMILL_SCREENSHOTS"));
        assert_int_equal(system(option), 0);
    }

    /* Nothing sticks out on a phone. */
    snprintf(out, sizeof out, "%s/out", s->dir);
    assert_int_equal(browse(s->dir, "--dump-dom", phone, out), 0);
    read_all(out, &dom);
    if (!strstr(dom.p, "wants 390 of 390"))
        fail_msg("%s", strstr(dom.p, "id=\"said\""));
    buf_release(&dom);
}

int main(void)
{
#define T(name)                                                                \
    cmocka_unit_test_setup_teardown(test_report__##name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(texts_are_escaped),
        T(base64),
        T(curves),
        T(bars),
        T(every_step_of_a_corpus),
        T(self_contained),
        T(equal_corpora_equal_bytes),
        T(pictures_keep_to_their_budget),
        T(a_damaged_shard),
        T(is_published_whole),
        T(a_run_is_read),
        T(the_model_of_a_run),
        T(what_a_run_lacks_is_said),
        T(rows_of_other_lengths),
        T(losses),
        T(looked_at_in_a_browser),
    };

    log_quiet(true);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
