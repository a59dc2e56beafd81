/*
 * bench_counts_size - the query list of a made-up Wikipedia of the real size.
 *
 * Model.   10 million words in bytewise order, of which the p-th most frequent
 *          occurs C/p times, less from p = 50,000 on; 500 million distinct
 *          bigrams, a word having as many followers as the 0.75th power of its
 *          count, eight tenths of them frequent words; counts of bigrams fall
 *          as x^-1.2.  What would be SIZE_RUNS spilled runs is written in the
 *          runs' own format, each occurrence in one of them, and given to
 *          ngrams_finish(); 60 million titles go through keycount.
 * Fails.   As the modules do.
 * Threads. One.
 */
#ifndef TESTS_BENCH_COUNTS_SIZE_H
#define TESTS_BENCH_COUNTS_SIZE_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "querylist/keycount.h"
#include "querylist/list.h"
#include "querylist/ngrams_private.h"

#ifndef SIZE_DIVISOR
#define SIZE_DIVISOR 1 /* of all sizes, to try it */
#endif
#define SIZE_RUNS  32u
#define SIZE_WORDS (10000000u / SIZE_DIVISOR)
/* Drawn; some fall together, and half a billion are distinct. */
#define SIZE_BIGRAMS (6.7e8 / SIZE_DIVISOR)
#define SIZE_TITLES (60000000u / SIZE_DIVISOR)
#define SIZE_COMMON                                                            \
    (365000u / SIZE_DIVISOR) /* words that occur 100 times, about */
#define SIZE_MOST 180e6      /* occurrences of the most frequent word */

static inline double size_wall(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline double size_cpu(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The most memory since the last call, MB; 0 where the system does not say. */
static inline double size_peak(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    double kb = 0;

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "VmHWM: %lf", &kb) == 1)
            break;
    if (f)
        fclose(f);
    f = fopen("/proc/self/clear_refs", "w");
    if (f) {
        fputs("5", f);
        fclose(f);
    }
    return kb / 1024;
}

static inline uint64_t size_hash(uint64_t x)
{
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    x ^= x >> 32;
    x *= UINT64_C(0xd6e8feb86659fd93);
    return x ^ x >> 32;
}

/* ---- the world ---- */

struct size_world {
    struct ngrams *n;
    uint32_t *common; /* words that are followed often, ascending */
    size_t n_common;
    double followers; /* factor of the number of followers */
    uint32_t *counts; /* of words */
    struct size_block {
        uint64_t bits;   /* of 64 words: has the run the word? */
        uint64_t before; /* words of the run before them */
    } (*blocks)[SIZE_RUNS];
    struct pairrun_writer out[SIZE_RUNS];
    uint64_t bigrams, entries;
};

/* How frequent the word is among all: a permutation, SIZE_WORDS being no
 * multiple of the factor. */
static inline uint32_t size_place(uint32_t word)
{
    return (uint32_t)((uint64_t)word * 7368787 % SIZE_WORDS) + 1;
}

static inline double size_count(uint32_t place)
{
    double n = SIZE_MOST / place;

    if (place > 50000)
        n = SIZE_MOST / 50000 * pow(50000.0 / place, 1.8);
    return n < 1 ? 1 : n;
}

static inline struct str size_text(uint32_t word, char *to)
{
    /* Five letters count the words, more make them as long as words are. */
    static const uint32_t power[] = {456976, 17576, 676, 26, 1};
    uint32_t more = (uint32_t)size_hash(word) % 8;

    for (int i = 0; i < 5; i++)
        to[i] = (char)('a' + word / power[i] % 26);
    for (uint32_t i = 0; i < more; i++)
        to[5 + i] = (char)('a' + size_hash(word + i) % 26);
    return str_make(to, 5 + more);
}

/* Deals n occurrences out to runs, by chance or evenly where they are many;
 * which runs got any. */
static inline uint32_t size_deal(uint64_t n, uint64_t h, uint32_t in[SIZE_RUNS])
{
    uint32_t runs = 0;

    if (n >= 2 * SIZE_RUNS) {
        for (unsigned r = 0; r < SIZE_RUNS; r++)
            in[r] = (uint32_t)(n / SIZE_RUNS) + (r < n % SIZE_RUNS);
        return UINT32_MAX;
    }
    for (; n;
         n--, h = h * UINT64_C(6364136223846793005) + 1442695040888963407) {
        unsigned r = h >> 59;

        if (!(runs >> r & 1))
            in[r] = 0;
        runs |= 1u << r;
        in[r]++;
    }
    return runs;
}

static inline bool size_has(const struct size_world *w, unsigned r,
                            uint32_t word)
{
    return w->blocks[word / 64][r].bits >> word % 64 & 1;
}

static inline uint32_t size_rank(const struct size_world *w, unsigned r,
                                 uint32_t word)
{
    uint64_t below = (UINT64_C(1) << word % 64) - 1;

    const struct size_block *k = &w->blocks[word / 64][r];

    return (uint32_t)k->before +
           (uint32_t)__builtin_popcountll(k->bits & below);
}

/* ---- writing ---- */

/* A word to each of the runs that have it. */
static inline int size_put_word(struct size_world *w, struct keyrun_writer *out,
                                uint32_t word, struct err *e)
{
    uint32_t in[SIZE_RUNS], runs;
    char text[64];
    struct str key = size_text(word, text);
    int rc = 0;

    runs =
        size_deal(w->counts[word], size_hash(word + (UINT64_C(5) << 32)), in);
    for (; !rc && runs; runs &= runs - 1) {
        unsigned r = (unsigned)__builtin_ctz(runs);

        w->blocks[word / 64][r].bits |= UINT64_C(1) << word % 64;
        w->n->counters[r].tokens += in[r];
        rc = keyrun_put(&out[r], key, in[r], e);
    }
    return rc;
}

static inline int size_write_words(struct size_world *w, struct err *e)
{
    struct keyrun_writer *out = xcalloc(SIZE_RUNS, sizeof *out);
    int rc = 0, rc_close;

    w->counts = xcalloc(SIZE_WORDS, sizeof *w->counts);
    w->blocks = xcalloc(SIZE_WORDS / 64 + 1, sizeof *w->blocks);
    for (uint32_t i = 0; i < SIZE_WORDS; i++)
        w->counts[i] = (uint32_t)size_count(size_place(i));
    for (unsigned r = 0; !rc && r < SIZE_RUNS; r++) {
        rc = keyrun_open(&out[r], &w->n->counters[r].file, e);
    }
    for (uint32_t i = 0; !rc && i < SIZE_WORDS; i++)
        rc = size_put_word(w, out, i, e);
    for (unsigned r = 0; r < SIZE_RUNS; r++) {
        struct ngrams_run *run = &w->n->counters[r].runs[0];
        uint32_t n = 0;

        rc_close = keyrun_close(&out[r], &run->words, e);
        rc = rc ? rc : rc_close;
        for (uint32_t i = 0; i <= SIZE_WORDS / 64; i++) {
            w->blocks[i][r].before = n;
            n += (uint32_t)__builtin_popcountll(w->blocks[i][r].bits);
        }
    }
    free(out);
    return rc;
}

/* Of x^-1.2: n with P(n >= x); below what the word can have. */
static inline uint64_t size_bigram_count(uint64_t h, double most)
{
    double u = ((double)(h >> 11) + 1) / 9007199254740993.0;
    double n = h & 1 ? 1 : pow(u, -1 / 1.2);

    return n > most ? (uint64_t)most + 1 : (uint64_t)n;
}

static inline int size_put_bigram(struct size_world *w, uint32_t a, uint32_t b,
                                  double most, struct err *e)
{
    uint64_t h = size_hash((uint64_t)a << 32 | b);
    uint32_t in[SIZE_RUNS], runs;
    bool any = false;
    int rc = 0;

    runs = size_deal(size_bigram_count(h, most), h * 25214903917, in);
    for (; !rc && runs; runs &= runs - 1) {
        unsigned r = (unsigned)__builtin_ctz(runs);

        if (!size_has(w, r, a) || !size_has(w, r, b))
            continue;
        rc = pairrun_put(
            &w->out[r], (uint64_t)size_rank(w, r, a) << 32 | size_rank(w, r, b),
            in[r], e);
        w->entries++;
        any = true;
    }
    w->bigrams += any;
    return rc;
}

/* Followers of a, ascending: common words and any words, in turn as their
 * numbers are; steps are chance with the mean that makes them so many. */
static inline int size_followers(struct size_world *w, uint32_t a,
                                 struct err *e)
{
    double most = w->counts[a];
    double many = w->followers * pow(most, 0.75);
    double step_common, step_any, at = 0, any = 0;
    uint64_t h = size_hash(a + UINT64_C(77777777777));
    int rc = 0;

    if (many > most)
        many = most;
    step_common = (double)w->n_common / (many * 0.8 + 0.2);
    step_any = SIZE_WORDS / (many * 0.2 + 0.05);
    if (step_common < 1.001)
        step_common = 1.001;
    at = step_common * (double)(h >> 40) / 16777216.0;
    any = step_any * (double)(h & 0xffffff) / 16777216.0;
    while (!rc && (at < (double)w->n_common || any < SIZE_WORDS)) {
        uint32_t c =
            at < (double)w->n_common ? w->common[(size_t)at] : UINT32_MAX;
        uint32_t b = any < SIZE_WORDS ? (uint32_t)any : UINT32_MAX;

        rc = size_put_bigram(w, a, c < b ? c : b, most / 10, e);
        h = h * UINT64_C(6364136223846793005) + 1442695040888963407;
        if (c <= b)
            at += 1 + (step_common - 1) * 2 * (double)(h >> 40) / 16777216.0;
        if (b <= c)
            any += 1 + (step_any - 1) * 2 * (double)(h >> 40) / 16777216.0;
    }
    return rc;
}

static inline int size_write_bigrams(struct size_world *w, struct err *e)
{
    double sum = 0;
    int rc = 0, rc_close;

    w->common = xcalloc(SIZE_COMMON + 1, sizeof *w->common);
    for (uint32_t i = 0; i < SIZE_WORDS; i++) {
        double n = w->counts[i];

        if (size_place(i) <= SIZE_COMMON)
            w->common[w->n_common++] = i;
        sum += n > 4 ? pow(n, 0.75) : 0;
    }
    w->followers = 1.05 * SIZE_BIGRAMS / sum;
    for (unsigned r = 0; !rc && r < SIZE_RUNS; r++)
        rc = pairrun_open(&w->out[r], &w->n->counters[r].file, e);
    for (uint32_t a = 0; !rc && a < SIZE_WORDS; a++)
        rc = size_followers(w, a, e);
    for (unsigned r = 0; r < SIZE_RUNS; r++) {
        rc_close =
            pairrun_close(&w->out[r], &w->n->counters[r].runs[0].pairs, e);
        rc = rc ? rc : rc_close;
    }
    return rc;
}

static inline int size_make(struct size_world *w, struct err *e)
{
    int rc;

    for (unsigned r = 0; r < SIZE_RUNS; r++) {
        struct ngrams_counter *c = &w->n->counters[r];

        c->runs = xcalloc(1, sizeof *c->runs);
        c->n_runs = c->cap_runs = 1;
    }
    rc = size_write_words(w, e);
    if (!rc)
        rc = size_write_bigrams(w, e);
    free(w->blocks);
    free(w->common);
    free(w->counts);
    return rc;
}

/* ---- titles ---- */

/* A title of 13 to 40 letters, its number in the midst of it. */
static inline struct str size_title(uint32_t number, uint64_t h, char *to)
{
    static const char *const before[] = {"", "List of ", "Stations and the "};
    size_t n = strlen(before[h % 3]);

    memcpy(to, before[h % 3], n);
    for (int i = 0; i < 8; i++)
        to[n++] = (char)('a' + (number >> 4 * i & 15));
    to[n++] = ' ';
    for (uint64_t i = 0; i < 4 + h % 11; i++)
        to[n++] = (char)('a' + (h >> 4 * i & 15));
    return str_make(to, n);
}

/* Views fall as 1/x; two adds a title, as hours would bring them. */
static inline int size_titles(struct keycount *k, struct err *e)
{
    char text[96];
    int rc = 0;

    for (uint64_t i = 0; !rc && i < 2 * (uint64_t)SIZE_TITLES; i++) {
        uint32_t t = (uint32_t)(i * 7368787 % SIZE_TITLES);
        uint64_t h = size_hash(t + UINT64_C(999999999999));

        rc = keycount_add(k, size_title(t, h, text),
                          1 + (uint64_t)(20.0 * 4294967296.0 /
                                         (double)((h >> 8 & 0xffffffff) + 1)),
                          e);
    }
    return rc;
}

static inline int size_by_views(const void *a, const void *b)
{
    const struct query_candidate *x = a, *y = b;

    if (x->views != y->views)
        return x->views > y->views ? -1 : 1;
    return str_cmp(x->text, y->text);
}

static inline int size_best_titles(struct keycount *k, struct arena *texts,
                                   struct query_candidates *c, uint64_t *all,
                                   struct err *e)
{
    struct keycount_merge *m;
    struct str title;
    uint64_t views;
    bool more = true;
    int rc = keycount_merge_open(&m, &k, 1, e);

    while (!rc) {
        rc = keycount_merge_next(m, &title, &views, &more, e);
        if (rc || !more)
            break;
        ++*all;
        if (views > 10000)
            query_candidates_add(c, arena_str(texts, title))->views = views;
    }
    keycount_merge_close(m);
    if (c->n)
        qsort(c->v, c->n, sizeof *c->v, size_by_views);
    return rc;
}

/* ---- all of it ---- */

static inline void size_say(const char *what, double wall, double cpu)
{
    printf("  %-34s %6.1f s, %6.1f s of the processor, memory %5.0f MB\n", what,
           size_wall() - wall, size_cpu() - cpu, size_peak());
    fflush(stdout);
}

static inline int size_list(struct query_candidates source[QUERY_SOURCES],
                            struct err *e)
{
    struct query_list_config c = {.order = QUERY_ORDER_CLIP, .size = 500000};
    struct query_list list;
    int rc;

    for (int s = 0; s < QUERY_SOURCES; s++)
        if (source[s].n)
            c.sources[s] = &source[s];
    rc = query_list_build(&list, &c, e);
    if (rc)
        return rc;
    printf("  list: %zu entries; word %llu, bigram %llu, title %llu\n", list.n,
           (unsigned long long)list.first[QUERY_WORD],
           (unsigned long long)list.first[QUERY_BIGRAM],
           (unsigned long long)list.first[QUERY_TITLE]);
    query_list_release(&list);
    return 0;
}

static inline int size_run(struct size_world *w, struct keycount *k,
                           struct err *e)
{
    struct query_candidates source[QUERY_SOURCES] = {{0}};
    struct arena texts;
    uint64_t titles = 0;
    double wall = size_wall(), cpu = size_cpu();
    int rc = size_make(w, e);

    arena_init(&texts, QUERY_LIST_BYTES);
    printf("published size: %llu distinct bigrams in %u runs, %llu entries\n",
           (unsigned long long)w->bigrams, SIZE_RUNS,
           (unsigned long long)w->entries);
    size_say("made up, written", wall, cpu);
    wall = size_wall(), cpu = size_cpu();
    if (!rc)
        rc = ngrams_finish(w->n, e);
    size_say("words and bigrams merged, ranked", wall, cpu);
    wall = size_wall(), cpu = size_cpu();
    if (!rc)
        rc = size_titles(k, e);
    size_say("titles added, twice", wall, cpu);
    wall = size_wall(), cpu = size_cpu();
    if (!rc)
        rc = size_best_titles(k, &texts, &source[QUERY_TITLE], &titles, e);
    size_say("titles merged", wall, cpu);
    wall = size_wall(), cpu = size_cpu();
    if (!rc)
        rc = ngrams_words(w->n, &source[QUERY_WORD], e);
    if (!rc)
        rc = ngrams_bigrams(w->n, &source[QUERY_BIGRAM], e);
    if (!rc)
        rc = size_list(source, e);
    size_say("the list", wall, cpu);
    printf("  %llu distinct words, %llu bigrams that reach 100, %llu titles; "
           "disk %.1f GB and %.1f GB\n",
           (unsigned long long)w->n->report.distinct,
           (unsigned long long)w->n->report.bigrams, (unsigned long long)titles,
           (double)w->n->report.disk / 1e9, (double)keycount_spilled(k) / 1e9);
    for (int s = 0; s < QUERY_SOURCES; s++)
        query_candidates_release(&source[s]);
    arena_release(&texts);
    return rc;
}

static inline int bench_counts_size(const char *folder, struct err *e)
{
    const struct ngrams_config c = {.memory = (uint64_t)1 << 30,
                                    .counters = SIZE_RUNS,
                                    .folder = folder,
                                    .min_word_count = 100,
                                    .word_budget = 251465,
                                    .min_bigram_count = 100,
                                    .bigram_budget = 100646};
    struct size_world w = {0};
    struct keycount *k = NULL;
    int rc = ngrams_open(&w.n, &c, e);

    if (!rc)
        rc = keycount_open(&k, (uint64_t)512 << 20, folder, e);
    if (!rc)
        rc = size_run(&w, k, e);
    keycount_close(k);
    ngrams_close(w.n);
    return rc;
}

#endif
