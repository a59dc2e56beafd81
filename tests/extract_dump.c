/*
 * extract_dump FOLDER BASE: the pairs of a saved site, a JSON object a page on
 * standard output, for tests/extract_compare.py.
 * extract_dump --text FILE: a page's visible text.
 * extract_dump --bench FOLDER: megabytes a second over the folder's pages.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/html.h"
#include "base/io.h"
#include "base/json.h"
#include "base/markup.h"
#include "base/pages.h"

static struct markup m;
static struct buf file = {.max = BUF_NO_LIMIT};

static int die(const struct err *e)
{
    fprintf(stderr, "%s\n", e->message);
    return 3;
}

static void put_page(const char *path, struct str url)
{
    static struct buf out = {.max = BUF_NO_LIMIT};
    struct json_out o;

    buf_clear(&out);
    json_out_init(&o, &out);
    json_out_object(&o);
    json_put_string(&o, "path", str_of(path));
    json_put_string(&o, "url", url);
    json_put_string(&o, "charset", str_of(charset_name(m.charset)));
    json_put_string(&o, "base", m.base);
    json_out_name(&o, "pairs");
    json_out_array(&o);
    for (size_t i = 0; i < m.n_pairs; i++) {
        json_out_array(&o);
        json_out_string(&o, m.pairs[i].url);
        json_out_string(&o, str_of(markup_from_name(m.pairs[i].from)));
        json_out_string(&o, m.pairs[i].text);
        json_out_end_array(&o);
    }
    json_out_end_array(&o);
    json_out_name(&o, "drops");
    json_out_object(&o);
    for (unsigned i = 1; i < MARKUP_DROPS; i++)
        if (m.drops[i])
            json_put_u64(&o, markup_drop_name(i), m.drops[i]);
    json_out_end_object(&o);
    json_put_u64(&o, "images", m.n_images);
    json_out_end_object(&o);
    printf("%s\n", out.p);
}

static int dump(const char *folder, const char *base, struct err *e)
{
    struct buf url = {.max = BUF_NO_LIMIT};
    char path[IO_PATH_MAX];
    struct pages p;

    if (pages_list(folder, &p, e))
        return die(e);
    for (size_t i = 0; i < p.n; i++) {
        buf_clear(&file);
        if (io_join(path, folder, p.paths[i], e) ||
            io_read_file(path, &file, e))
            return die(e);
        if (pages_url(str_of(base), str_of(p.paths[i]), &url))
            continue;
        if (markup_page(&m, buf_str(&file), buf_str(&url), STR_NONE))
            return 3;
        put_page(p.paths[i], buf_str(&url));
    }
    pages_release(&p);
    buf_release(&url);
    return 0;
}

static int bench(const char *folder, struct err *e)
{
    enum { ROUNDS = 5 };
    struct buf all = {.max = BUF_NO_LIMIT};
    size_t *ends, pairs = 0;
    static struct html h;
    char path[IO_PATH_MAX];
    struct pages p;
    uint64_t from, took[2];

    if (pages_list(folder, &p, e))
        return die(e);
    ends = calloc(p.n + 1, sizeof *ends);
    for (size_t i = 0; ends && i < p.n; i++) {
        if (io_join(path, folder, p.paths[i], e) || io_read_file(path, &all, e))
            return die(e);
        ends[i + 1] = all.n;
    }
    for (int what = 0; ends && what < 2; what++) {
        from = clock_mono_ms();
        for (int k = 0; k < ROUNDS; k++) {
            for (size_t i = 0; i < p.n; i++) {
                struct str page =
                    str_slice(buf_str(&all), ends[i], ends[i + 1]);

                if (what) {
                    markup_page(&m, page, STR("http://a.test/"), STR_NONE);
                    pairs += m.n_pairs;
                } else {
                    html_open(&h, page);
                    while (html_next(&h) != HTML_EOF)
                        ;
                }
            }
        }
        took[what] = clock_mono_ms() - from;
        printf("%s: %.0f MB/s\n", what ? "pairs" : "tokens",
               (double)all.n * ROUNDS / 1e3 / (double)(took[what] + 1));
    }
    printf("%zu pages, %.1f MB, %zu pairs\n", p.n, (double)all.n / 1e6,
           pairs / ROUNDS);
    free(ends);
    pages_release(&p);
    buf_release(&all);
    return 0;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    int rc = 2;

    markup_init(&m);
    if (argc == 3 && strcmp(argv[1], "--text") == 0) {
        struct buf text = {.max = BUF_NO_LIMIT};

        rc = io_read_file(argv[2], &file, &e) ? die(&e) : 0;
        if (!rc && !markup_text(buf_str(&file), STR_NONE, &text))
            printf("%s\n", text.p ? text.p : "");
        buf_release(&text);
    } else if (argc == 3 && strcmp(argv[1], "--bench") == 0) {
        rc = bench(argv[2], &e);
    } else if (argc == 3) {
        rc = dump(argv[1], argv[2], &e);
    } else {
        fprintf(stderr, "usage: extract_dump FOLDER BASE\n");
    }
    markup_release(&m);
    buf_release(&file);
    return rc;
}
