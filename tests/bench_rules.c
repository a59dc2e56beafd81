/* What the text rules cost a text beside cutting it, as the difference of
 * rounds with and without them: medians in one run, so that ratios hold where
 * times do not.
 *
 * usage: bench_rules FILE.tsv [LIST_ENTRIES]
 *
 * The file has lines URL<TAB>TEXT, packed or not. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/pair.h"
#include "base/stream.h"
#include "filter/textrules.h"

#define ROUNDS  15
#define TEXTS   20000 /* the file's, over and over, for each round */
#define ENTRIES 1000000

struct texts {
    struct buf bytes;
    struct str *url, *text;
    size_t n;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of this thread: others on the machine do not count. */
static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(int rc, const struct err *e)
{
    if (!rc)
        return;
    fprintf(stderr, "%s\n", e->message);
    exit(1);
}

static void read_texts(struct texts *t, const char *path)
{
    struct err e = ERR_INIT;
    struct stream *in;
    struct str rest, line;

    *t = (struct texts){0};
    buf_init(&t->bytes, (size_t)1 << 30);
    must(stream_open(&in, path, &e), &e);
    must(stream_read_all(in, &t->bytes, &e), &e);
    stream_close(in);
    t->url = xcalloc(TEXTS, sizeof *t->url);
    t->text = xcalloc(TEXTS, sizeof *t->text);
    while (t->n < TEXTS) {
        size_t before = t->n;

        rest = buf_str(&t->bytes);
        while (t->n < TEXTS && str_split(&rest, '\n', &line)) {
            size_t tab = str_find_char(line, '\t', 0);

            if (tab == SIZE_MAX || tab + 1 == line.n)
                continue;
            t->url[t->n] = str_slice(line, 0, tab);
            t->text[t->n] = str_slice(line, tab + 1, line.n);
            t->n++;
        }
        if (t->n == before) {
            fprintf(stderr, "%s: no lines URL<TAB>TEXT\n", path);
            exit(1);
        }
    }
}

/* A list of a million that holds hardly any of the texts, as lists do. */
static void write_list(const char *path, const char *format, size_t n)
{
    struct err e = ERR_INIT;
    struct io_file f;
    char line[128];

    must(io_file_open(&f, path, &e), &e);
    for (size_t i = 0; i < n; i++) {
        int length = snprintf(line, sizeof line, format, i);

        io_file_write(&f, str_make(line, (size_t)length), &e);
    }
    must(io_file_publish(&f, &e), &e);
}

/* The stage has read a pair's line when its text comes to be cut, so that the
 * URL is at hand. */
static void look_at(struct str url, volatile unsigned char *seen)
{
    for (size_t i = 0; i < url.n; i += 64)
        *seen = (unsigned char)url.p[i];
}

/* ns a text, cut and then judged as the stage does; r NULL: cut alone. */
static double round_ns(const struct textrules *r, struct textrules_seen *s,
                       const struct texts *t, size_t *dropped)
{
    volatile unsigned char seen;
    struct words w;
    double began;

    words_init(&w);
    began = now_ns();
    *dropped = 0;
    for (size_t i = 0; i < t->n; i++) {
        look_at(t->url[i], &seen);
        words_split(&w, QUERY_POLICY_WORDS, t->text[i]);
        if (r)
            *dropped +=
                textrules_verdict(r, t->url[i], t->text[i], &w) != NULL ||
                textrules_language(r, s, t->text[i]) != NULL;
    }
    began = now_ns() - began;
    words_release(&w);
    return began / (double)t->n;
}

static double cutting_ns(const struct texts *t)
{
    double ns[ROUNDS];
    size_t none;

    for (int k = 0; k < ROUNDS; k++)
        ns[k] = round_ns(NULL, NULL, t, &none);
    qsort(ns, ROUNDS, sizeof *ns, compare);
    return ns[ROUNDS / 2];
}

static void bench(const char *name, const struct textrules_config *c,
                  struct texts *t, double words)
{
    struct textrules_seen s = {0};
    struct err e = ERR_INIT;
    struct textrules r;
    double ns[ROUNDS], opened = now_ns();
    size_t dropped = 0;

    must(textrules_open(&r, c, &e), &e);
    opened = now_ns() - opened;
    for (int k = 0; k < ROUNDS; k++) {
        double without = round_ns(NULL, &s, t, &dropped);

        ns[k] = round_ns(&r, &s, t, &dropped) - without;
    }
    qsort(ns, ROUNDS, sizeof *ns, compare);
    printf("%-20s %8.1f ns a text  %6.2f of cutting it  drops %5.1f%%  opened "
           "in %.2f s\n",
           name, ns[ROUNDS / 2], ns[ROUNDS / 2] / words,
           100.0 * (double)dropped / (double)t->n, opened / 1e9);
    fflush(stdout);
    textrules_close(&r);
}

/* A text as long as a pair's may be, which repeats itself no sooner than its
 * last words tell: two letters a word, the distinct ones last. */
static void bench_repetition(void)
{
    struct textrules_config c = {.repetition = true};
    struct err e = ERR_INIT;
    struct textrules r;
    struct words w;
    struct buf b;
    double began;

    buf_init(&b, BUF_NO_LIMIT);
    while (b.n < 3000)
        buf_add(&b, STR("a "));
    for (int i = 0; b.n < PAIR_TEXT_MAX - 3; i++)
        buf_addf(&b, "%c%c ", 'a' + i / 26 % 26, 'a' + i % 26);
    words_init(&w);
    must(words_split(&w, QUERY_POLICY_WORDS, buf_str(&b)), &e);
    must(textrules_open(&r, &c, &e), &e);
    began = now_ns();
    for (int k = 0; k < 100; k++)
        textrules_verdict(&r, STR_NONE, buf_str(&b), &w);
    printf("%-20s %8.1f ns a text, of %zu words chosen for it\n",
           "repetition at worst", (now_ns() - began) / 100, w.n);
    textrules_close(&r);
    words_release(&w);
    buf_release(&b);
}

static void bench_lists(struct texts *t, double words, size_t entries)
{
    static const char *const formats[] = {"word%zu other\n",
                                          "host%zu.example.com\n",
                                          "http://host.example.com/%zu.jpg\n"};
    char dir[] = "/tmp/witmill-rules-XXXXXX", path[3][64];
    struct textrules_config c = {0};

    if (!mkdtemp(dir))
        exit(1);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path[i], sizeof path[i], "%s/%zu", dir, i);
        write_list(path[i], formats[i], entries);
    }
    printf("lists of %zu:\n", entries);
    c.block_terms = path[0];
    bench("--block-terms", &c, t, words);
    c = (struct textrules_config){.block_hosts = path[1]};
    bench("--block-hosts", &c, t, words);
    c = (struct textrules_config){.block_urls = path[2]};
    bench("--block-urls", &c, t, words);
    for (size_t i = 0; i < 3; i++)
        unlink(path[i]);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    static const struct textrules_config standard = {.svg = true,
                                                     .boilerplate = true,
                                                     .filename = true,
                                                     .repetition = true,
                                                     .min_words = 2};
    struct textrules_config strict = standard, c = {0};
    struct texts t;
    double words;

    if (argc < 2) {
        fprintf(stderr, "usage: bench_rules FILE.tsv [LIST_ENTRIES]\n");
        return 2;
    }
    if (!io_exists(argv[1])) {
        printf("skipped: %s is not there\n", argv[1]);
        return 0;
    }
    read_texts(&t, argv[1]);
    words = cutting_ns(&t);
    printf("%-20s %8.1f ns a text\n", "cutting into words", words);
    bench("--text-rules none", &c, &t, words);
    bench("default", &standard, &t, words);
    c = (struct textrules_config){.svg = true};
    bench("  svg", &c, &t, words);
    c = (struct textrules_config){.boilerplate = true};
    bench("  boilerplate", &c, &t, words);
    c = (struct textrules_config){.filename = true};
    bench("  filename", &c, &t, words);
    c = (struct textrules_config){.repetition = true};
    bench("  repetition", &c, &t, words);
    bench_repetition();
    c = (struct textrules_config){.min_tokens = 3, .min_chars = 6};
    bench("datacomp, any lang.", &c, &t, words);
    strict.link = strict.markup = strict.entity = strict.template = true;
    strict.code = strict.filler = true;
    strict.min_chars = 6;
    strict.max_word_chars = 45;
    strict.max_char_run = 7;
    strict.min_letters = 50;
    bench("strict", &strict, &t, words);
    bench_lists(&t, words, argc > 2 ? strtoul(argv[2], NULL, 10) : ENTRIES);
    c = (struct textrules_config){.language = "en", .language_bytes = 20};
    if (language_available())
        bench("--language en", &c, &t, words);
    else
        printf("--language en: skipped, built without CLD2\n");
    return 0;
}
