/*
 * bench_counts - what counting costs, a core.
 *
 *   bench_counts              MB/s of plain text: words, and counting them and
 *                             their bigrams, over the extract of Wikipedia in
 *                             ../shared (WITMILL_SHARED) where it is there
 *   bench_counts size FOLDER  the published size: runs of 10 million words, 500
 *                             million bigrams and 60 million titles, made up
 *                             and written to FOLDER (some 8 GB), are merged and
 *                             ranked to a list of 500,000: time, memory, disk
 *
 * Times are of the processor.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/mem.h"
#include "base/stream.h"
#include "querylist/ngrams.h"
#include "querylist/words.h"
#include "tests/bench_counts_size.h"

#define PIECE      "data/wiki/enwiki-2021-plaintext-rewrapped-dev.xml.bz2"
#define ROUNDS     5
#define PIECE_TEXT ((size_t)64 << 10) /* about what a block's pages have */

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int fail(const struct err *e)
{
    fprintf(stderr, "bench_counts: %s\n", e->message);
    return 1;
}

/* What stands between <text ...> and </text>, a page after the other. */
static void texts_of(struct str xml, struct buf *out)
{
    size_t at = 0;

    while ((at = str_find(xml, STR("<text"), at)) != SIZE_MAX) {
        size_t from = str_find_char(xml, '>', at);
        size_t to = str_find(xml, STR("</text>"), at);

        if (from == SIZE_MAX || to == SIZE_MAX)
            break;
        buf_add(out, str_slice(xml, from + 1, to));
        buf_add(out, STR("\n\n"));
        at = to;
    }
}

static int read_text(const char *path, struct buf *out, struct err *e)
{
    struct stream *in;
    struct buf xml;
    int rc = stream_open(&in, path, e);

    if (rc)
        return rc;
    buf_init(&xml, BUF_NO_LIMIT);
    rc = stream_read_all(in, &xml, e);
    stream_close(in);
    if (!rc)
        texts_of(buf_str(&xml), out);
    buf_release(&xml);
    return rc;
}

/* The next piece of a text, cut at a line feed. */
static struct str next_piece(struct str *rest)
{
    size_t n = rest->n < PIECE_TEXT ? rest->n : PIECE_TEXT;
    struct str piece;

    while (n < rest->n && rest->p[n - 1] != '\n')
        n++;
    piece = str_make(rest->p, n);
    *rest = str_make(rest->p + n, rest->n - n);
    return piece;
}

static double time_words(struct str text)
{
    struct words w;
    double from = seconds();

    words_init(&w);
    for (struct str rest = text; rest.n;)
        words_split(&w, QUERY_POLICY_WORDS, next_piece(&rest));
    words_release(&w);
    return seconds() - from;
}

static int time_counting(struct str text, uint64_t bigrams, double *count,
                         double *finish, struct ngrams_report *r, struct err *e)
{
    const struct ngrams_config c = {.memory = (uint64_t)1 << 30,
                                    .counters = 1,
                                    .min_word_count = 100,
                                    .word_budget = 251465,
                                    .min_bigram_count = 100,
                                    .bigram_budget = bigrams};
    struct ngrams_counter *k;
    struct ngrams *n;
    double from = seconds();
    int rc = ngrams_open(&n, &c, e);

    if (rc)
        return rc;
    k = ngrams_take(n);
    for (struct str rest = text; !rc && rest.n;)
        rc = ngrams_add(k, next_piece(&rest), e);
    ngrams_give(n, k);
    *count = seconds() - from;
    from = seconds();
    if (!rc)
        rc = ngrams_finish(n, e);
    *finish = seconds() - from;
    ngrams_report(n, r);
    ngrams_close(n);
    return rc;
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

static int bench_text(struct err *e)
{
    const char *env = getenv("WITMILL_SHARED");
    double split = 1e9, words = 1e9, both = 1e9, done = 1e9, finish;
    char path[IO_PATH_MAX];
    struct ngrams_report r = {0};
    struct buf text;
    double mb;
    int rc = io_join(path, env ? env : "../shared", PIECE, e);

    if (rc)
        return rc;
    if (!io_exists(path)) {
        printf("counting: skipped, no %s\n", path);
        return 0;
    }
    buf_init(&text, BUF_NO_LIMIT);
    rc = read_text(path, &text, e);
    for (int i = 0; !rc && i < ROUNDS; i++) {
        double count;

        split = least(split, time_words(buf_str(&text)));
        rc = time_counting(buf_str(&text), 0, &count, &finish, &r, e);
        words = least(words, count);
        if (!rc)
            rc = time_counting(buf_str(&text), 100646, &count, &finish, &r, e);
        both = least(both, count);
        done = least(done, finish);
    }
    mb = (double)text.n / 1e6;
    if (!rc)
        printf("counting, MB of plain text per second of a core (%.1f MB, "
               "%llu words, %llu distinct; best of %d):\n"
               "  cut into words            %6.0f\n"
               "  and words counted         %6.0f\n"
               "  and bigrams counted       %6.0f\n"
               "  the end (sort, rank)      %6.2f s\n",
               mb, (unsigned long long)r.tokens, (unsigned long long)r.distinct,
               ROUNDS, mb / split, mb / words, mb / both, done);
    buf_release(&text);
    return rc;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;

    if (argc == 3 && str_eq(str_of(argv[1]), STR("size")))
        return bench_counts_size(argv[2], &e) ? fail(&e) : 0;
    if (argc != 1) {
        fprintf(stderr, "usage: bench_counts [size FOLDER]\n");
        return 2;
    }
    return bench_text(&e) ? fail(&e) : 0;
}
