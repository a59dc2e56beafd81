/* The text of wiki pages, for scripts.
 *
 *   wikitext_dump [bench] < RECORDS
 *
 * Records: lines "ns NUMBER NAME" for a wiki's namespaces, then "page BYTES"
 * with so many bytes of wikitext behind each.  Answers "page BYTES" with the
 * text, page by page; with "bench" one line of JSON: bytes, and nanoseconds a
 * byte of the stripper and of memcpy over the same pages, best of several
 * rounds taken in turn. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "querylist/wikitext.h"

#define ROUNDS    9
#define INPUT_MAX (1u << 30) /* bytes of records */

struct world {
    struct dump_site *site;
    struct wikitext wikitext;
    struct str *pages; /* n_pages of them, in input */
    size_t n_pages, cap_pages;
    uint64_t bytes; /* of all pages */
    struct buf input, text;
};

static int read_all(struct buf *b)
{
    for (;;) {
        char *p = buf_reserve(b, 1u << 20);
        size_t n;

        if (!p)
            return b->rc;
        n = fread(p, 1, 1u << 20, stdin);
        b->n += n;
        if (n == 0)
            return ferror(stdin) ? -E_IO : 0;
    }
}

static int add_page(struct world *w, struct str page)
{
    if (w->n_pages == w->cap_pages) {
        size_t cap = 2 * w->cap_pages + 64;
        struct str *grown = realloc(w->pages, cap * sizeof *grown);

        if (!grown)
            return -E_NOMEM;
        w->pages = grown;
        w->cap_pages = cap;
    }
    w->pages[w->n_pages++] = page;
    w->bytes += page.n;
    return 0;
}

static int parse(struct world *w)
{
    struct str rest = buf_str(&w->input);

    while (rest.n) {
        size_t end = str_find_char(rest, '\n', 0), space;
        struct str line = str_slice(rest, 0, end), word;
        uint64_t bytes;
        int64_t number;

        if (end == SIZE_MAX)
            return -E_FORMAT;
        rest = str_slice(rest, end + 1, rest.n);
        if (str_starts(line, STR("page "))) {
            if (str_u64(str_slice(line, 5, line.n), &bytes) || bytes > rest.n ||
                add_page(w, str_slice(rest, 0, bytes)))
                return -E_FORMAT;
            rest = str_slice(rest, bytes, rest.n);
            continue;
        }
        space = str_find_char(line, ' ', 3);
        word = str_slice(line, 3, space);
        if (!str_starts(line, STR("ns ")) || space == SIZE_MAX ||
            str_i64(word, &number) ||
            site_add(w->site, str_slice(line, space + 1, line.n),
                     (int32_t)number))
            return -E_FORMAT;
    }
    return 0;
}

static int print_texts(struct world *w)
{
    for (size_t i = 0; i < w->n_pages; i++) {
        int rc;

        buf_clear(&w->text);
        rc = wikitext_text(&w->wikitext, w->site, w->pages[i], &w->text);
        if (rc)
            return rc;
        printf("page %zu\n", w->text.n);
        fwrite(w->text.p, 1, w->text.n, stdout);
    }
    return fflush(stdout) ? -E_IO : 0;
}

/* Of this process alone, whatever else the machine does. */
static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t round_ns(struct world *w, bool strip)
{
    uint64_t start = cpu_ns();

    for (size_t i = 0; i < w->n_pages; i++) {
        buf_clear(&w->text);
        if (strip)
            wikitext_text(&w->wikitext, w->site, w->pages[i], &w->text);
        else
            buf_add(&w->text, w->pages[i]);
    }
    return cpu_ns() - start;
}

static void bench(struct world *w)
{
    uint64_t strip = UINT64_MAX, copy = UINT64_MAX;

    for (int i = 0; i < ROUNDS; i++) {
        uint64_t a = round_ns(w, true), b = round_ns(w, false);

        strip = a < strip ? a : strip;
        copy = b < copy ? b : copy;
    }
    printf("{\"pages\": %zu, \"bytes\": %" PRIu64
           ", \"strip_ns_per_byte\": %.4f, \"memcpy_ns_per_byte\": %.4f, "
           "\"steps_per_byte\": %.4f}\n",
           w->n_pages, w->bytes, (double)strip / (double)w->bytes,
           (double)copy / (double)w->bytes,
           (double)w->wikitext.steps / (double)w->bytes / ROUNDS);
}

int main(int argc, char **argv)
{
    struct world w = {.site = malloc(sizeof *w.site)};
    int rc = -E_NOMEM;

    buf_init(&w.input, INPUT_MAX);
    buf_init(&w.text, BUF_NO_LIMIT);
    wikitext_init(&w.wikitext);
    if (w.site) {
        site_init(w.site);
        rc = read_all(&w.input);
    }
    if (!rc)
        rc = parse(&w);
    if (!rc && argc == 2 && strcmp(argv[1], "bench") == 0)
        bench(&w);
    else if (!rc)
        rc = print_texts(&w);
    if (rc)
        fprintf(stderr, "wikitext_dump: %s\n", err_name(rc));
    free(w.site);
    free(w.pages);
    buf_release(&w.input);
    buf_release(&w.text);
    wikitext_release(&w.wikitext);
    return rc ? 3 : 0;
}
