/*
 * pool - a corpus behind gather, as large as asked, by counts of the published
 * shape (tests of balance at scale).
 *
 * Model.   MetaCLIP's first pool, as published: 500,000 entries, of which
 *          114,000 match nothing and 16,000 match more than 20,000 texts and
 *          hold 5.35 billion of 5.67 billion matches; the twenty largest one
 *          by one; 1.6 billion pairs.  Between these marks the logarithm of
 *          the count is a parabola of the logarithm of the rank, bent so that
 *          the sums are met.
 *          pool_counts() gives the counts themselves, or one `scale`-th of
 *          them, rounded up or down by a hash.  pool_new() makes a corpus
 *          whose counts are given and that has no pairs, only sidecars that
 *          say how many; pool_fill() draws pairs for each query and writes
 *          unique/ and counts.bin as they came out.
 */
#ifndef TESTS_POOL_H
#define TESTS_POOL_H

#include "base/jsonl.h"
#include "base/mem.h"
#include "base/pair.h"
#include "base/stage.h"
#include "filter/counts.h"
#include "querylist/qlist.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define POOL_QUERIES 500000u
#define POOL_ZERO    114000u
#define POOL_HEAD    16000u
#define POOL_TOP     20u
#define POOL_CAP     20000u

static const uint64_t pool_top[POOL_TOP] = {
    120, 107, 100, 89, 87, 67, 67, 61, 54, 50,
    48,  47,  45,  43, 43, 39, 38, 33, 30, 29}; /* millions */

struct pool {
    char dir[64];
    struct corpus corpus;
    struct qlist list;
    uint32_t n;  /* queries */
    uint64_t *c; /* by id */
    uint64_t pairs;
    unsigned copies; /* further ones of each record, which gather would drop */
    /* of pool_fill(): */
    struct pool_pair {
        uint64_t h; /* H(url) */
        uint8_t uid[MD5_SIZE];
        uint32_t number;
        uint32_t n_q;
        uint64_t at; /* of its q */
    } * v;           /* in the order of unique/ */
    uint32_t *q;
};

#define POOL_MUST(call)                                                        \
    do {                                                                       \
        struct err pool_err = ERR_INIT, *e = &pool_err;                        \
        if (call) {                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,                 \
                    pool_err.message);                                         \
            abort();                                                           \
        }                                                                      \
    } while (0)

static uint64_t pool_hash(uint64_t a, uint64_t b)
{
    uint64_t v[2] = {a, b};

    return hash_xxh3_seeded(str_make((const char *)v, sizeof v), 77);
}

/* ---- counts ---- */

/* From c0 at rank r0 down to c1 at r1, bent by b (0: a power law). */
static double pool_at(double r, double r0, double r1, double c0, double c1,
                      double b)
{
    double x = log(r / r0) / log(r1 / r0);

    return exp(log(c0) + log(c1 / c0) * (x + b * x * (1 - x)));
}

/* Ranks from r0 to r1 (both from 1) into c, so that they add up to sum. */
static void pool_curve(uint64_t *c, uint32_t r0, uint32_t r1, double c0,
                       double c1, double sum)
{
    double low = -1, high = 1;

    for (int step = 0; step < 26; step++) {
        double b = (low + high) / 2, s = 0;

        for (uint32_t r = r0; r <= r1; r++)
            s += pool_at(r, r0, r1, c0, c1, b);
        *(s > sum ? &low : &high) = b;
    }
    for (uint32_t r = r0; r <= r1; r++)
        c[r - 1] = (uint64_t)(pool_at(r, r0, r1, c0, c1, low) + 0.5);
}

/* By rank, into c[POOL_QUERIES]. */
static void pool_counts(uint64_t *c, uint64_t scale)
{
    double head = 5.35e9;

    for (uint32_t r = 0; r < POOL_QUERIES; r++)
        c[r] = 0;
    for (uint32_t r = 0; r < POOL_TOP; r++) {
        c[r] = pool_top[r] * 1000000;
        head -= (double)c[r];
    }
    pool_curve(c, POOL_TOP + 1, POOL_HEAD, 28.9e6, POOL_CAP + 1, head);
    pool_curve(c, POOL_HEAD + 1, POOL_QUERIES - POOL_ZERO, POOL_CAP, 1, 320e6);
    for (uint32_t r = 0; scale > 1 && r < POOL_QUERIES; r++)
        c[r] = (c[r] + pool_hash(scale, r) % scale) / scale;
}

/* ---- outputs ---- */

struct pool_options {
    uint64_t none;
};

static const struct opt pool_rows[] = {
    {.name = "none",
     .type = OPT_U64,
     .at = offsetof(struct pool_options, none),
     .flags = OPT_BYTES},
};
static const struct opt_table pool_table = {.command = "pool",
                                            .rows = pool_rows,
                                            .n = 1,
                                            .config_size =
                                                sizeof(struct pool_options)};

struct pool_output {
    struct stage stage;
    struct stage_output out;
    struct stage_inputs in;
};

static void pool_begin(struct pool *p, struct pool_output *o, const char *name)
{
    struct pool_options options = {0};
    bool done;

    stage_init(&o->stage, &p->corpus, "gather", 1, &pool_table, &options, true);
    stage_inputs_init(&o->in);
    POOL_MUST(stage_begin(&o->stage, &o->out, name, &o->in, &done, e));
}

static void pool_end(struct pool_output *o)
{
    POOL_MUST(stage_commit(&o->out, e));
    stage_output_release(&o->out);
    stage_inputs_release(&o->in);
    stage_release(&o->stage);
}

static void pool_write_counts(struct pool *p)
{
    struct counts counts = {p->c, p->n};
    char path[IO_PATH_MAX], hex[SHA256_HEX];
    struct pool_output o;

    pool_begin(p, &o, "unique/counts");
    POOL_MUST(stage_path(&o.out, ".bin", path, e));
    POOL_MUST(counts_write(&counts, path, hex, e));
    stage_file(&o.out, "unique/counts.bin", hex);
    pool_end(&o);
}

/* ---- the list ---- */

static void pool_list(struct pool *p, uint32_t bits)
{
    struct query_candidates file = {0};
    struct query_list list = {0};
    struct query_list_config config = {.size = p->n};
    char(*words)[40] = xcalloc(p->n, sizeof *words), path[128];
    struct buf b;

    for (uint32_t q = 0; q < p->n; q++) {
        /* Some norms are longer than fit a row of draws. */
        snprintf(words[q], sizeof *words,
                 q % 9 ? "q%u" : "a name of many words q%u", q);
        query_candidates_add(&file, str_of(words[q]));
    }
    config.sources[QUERY_FILE] = &file;
    POOL_MUST(query_list_build(&list, &config, e));
    buf_init(&b, BUF_NO_LIMIT);
    POOL_MUST(
        qlist_encode(&list, NULL, QUERY_POLICY_WORDS, 12345, bits, &b, e));
    snprintf(path, sizeof path, "%s/queries.bin", p->dir);
    POOL_MUST(io_write_file(path, buf_str(&b), e));
    buf_release(&b);
    query_list_release(&list);
    query_candidates_release(&file);
    free(words);
    POOL_MUST(corpus_open(&p->corpus, p->dir, e));
    POOL_MUST(qlist_open(&p->list, path, e));
}

/* ---- a corpus without pairs ---- */

/* c by id, taken over; pairs: what the sidecars say. */
static struct pool *pool_new(uint64_t *c, uint32_t n, uint32_t bits,
                             uint64_t pairs)
{
    struct pool *p = xcalloc(1, sizeof *p);

    p->c = c;
    p->n = n;
    p->pairs = pairs;
    snprintf(p->dir, sizeof p->dir, "/tmp/pool.XXXXXX");
    if (!mkdtemp(p->dir))
        abort();
    pool_list(p, bits);
    for (uint32_t k = 0; k < corpus_buckets(&p->corpus); k++) {
        char path[IO_PATH_MAX], name[STAGE_NAME_MAX + 16];
        struct pool_output o;
        struct jsonl_writer w;

        snprintf(name, sizeof name, "unique/bucket-%04u", k);
        pool_begin(p, &o, name);
        POOL_MUST(stage_path(&o.out, ".jsonl.zst", path, e));
        POOL_MUST(jsonl_open_write(&w, path, e));
        POOL_MUST(jsonl_publish(&w, e));
        snprintf(name, sizeof name, "%s.jsonl.zst", o.out.name);
        stage_file(&o.out, name, w.sha256);
        tally_add(&o.out.counts, "records", pairs / corpus_buckets(&p->corpus));
        pool_end(&o);
    }
    pool_write_counts(p);
    return p;
}

static void pool_free(struct pool *p)
{
    char command[96];

    qlist_close(&p->list);
    snprintf(command, sizeof command, "rm -rf %s", p->dir);
    if (system(command))
        abort();
    free(p->v);
    free(p->q);
    free(p->c);
    free(p);
}

/* ---- pairs ---- */

static int pool_by_key(const void *a, const void *b)
{
    const struct pool_pair *x = a, *y = b;

    if (x->h != y->h)
        return x->h < y->h ? -1 : 1;
    return (x->number > y->number) - (x->number < y->number);
}

static void pool_pair_of(const struct pool *p, uint32_t number, struct pair *to,
                         char url[64], char text[64])
{
    snprintf(url, 64, "http://host%u.test/%u.jpg", number % 1009, number);
    snprintf(text, 64, "the text of pair %u", number);
    *to = (struct pair){.url = str_of(url),
                        .text = str_of(text),
                        .from = STR("alt"),
                        .matched = true};
    pair_uid(to->text, to->url, to->uid);
    (void)p;
}

/* The i-th pair that matches q: all different as long as i < pairs, which is
 * prime. */
static uint32_t pool_match(const struct pool *p, uint32_t q, uint64_t i)
{
    uint64_t start = pool_hash(1, q) % p->pairs;
    uint64_t step = 1 + pool_hash(2, q) % (p->pairs - 1);

    return (uint32_t)((start + i * step) % p->pairs);
}

static void pool_draw(struct pool *p)
{
    uint64_t *at = xcalloc(p->pairs + 1, sizeof *at), sum = 0;

    p->v = xcalloc(p->pairs, sizeof *p->v);
    for (uint32_t q = 0; q < p->n; q++)
        for (uint64_t i = 0; i < p->c[q]; i++, sum++)
            at[pool_match(p, q, i) + 1]++;
    for (uint64_t k = 0; k < p->pairs; k++)
        at[k + 1] += at[k];
    p->q = xcalloc(sum + 1, sizeof *p->q);
    for (uint64_t k = 0; k < p->pairs; k++)
        p->v[k] = (struct pool_pair){.number = (uint32_t)k, .at = at[k]};
    for (uint32_t q = 0; q < p->n; q++) /* ascending in each */
        for (uint64_t i = 0; i < p->c[q]; i++) {
            struct pool_pair *v = &p->v[pool_match(p, q, i)];

            p->q[v->at + v->n_q++] = q;
        }
    free(at);
}

static void pool_bucket(struct pool *p, uint32_t bucket, uint64_t *k)
{
    char path[IO_PATH_MAX], name[STAGE_NAME_MAX + 16], url[64], text[64];
    struct pool_output o;
    struct jsonl_writer w;
    struct buf line;

    snprintf(name, sizeof name, "unique/bucket-%04u", bucket);
    POOL_MUST(corpus_path(&p->corpus, name, path, e));
    strncat(path, ".meta.json", sizeof path - strlen(path) - 1);
    POOL_MUST(io_remove(path, e));
    pool_begin(p, &o, name);
    POOL_MUST(stage_path(&o.out, ".jsonl.zst", path, e));
    POOL_MUST(jsonl_open_write(&w, path, e));
    buf_init(&line, BUF_NO_LIMIT);
    for (; *k < p->pairs && corpus_bucket(&p->corpus, p->v[*k].h) == bucket;
         ++*k) {
        struct pair pair;

        pool_pair_of(p, p->v[*k].number, &pair, url, text);
        pair.q = p->q + p->v[*k].at;
        pair.n_q = p->v[*k].n_q;
        if (!pair.n_q)
            continue; /* matches nothing: match drops it */
        buf_clear(&line);
        pair_write(&pair, &line);
        for (unsigned i = 0; i <= p->copies; i++) {
            POOL_MUST(jsonl_write(&w, buf_str(&line), e));
            tally_add(&o.out.counts, "records", 1);
        }
    }
    POOL_MUST(jsonl_publish(&w, e));
    snprintf(name, sizeof name, "%s.jsonl.zst", o.out.name);
    stage_file(&o.out, name, w.sha256);
    pool_end(&o);
    buf_release(&line);
}

static inline void pool_fill(struct pool *p)
{
    char url[64], text[64];
    uint64_t k = 0;

    pool_draw(p);
    for (uint64_t i = 0; i < p->pairs; i++) {
        struct pair pair;

        pool_pair_of(p, p->v[i].number, &pair, url, text);
        p->v[i].h = corpus_url_hash(&p->corpus, pair.url);
        memcpy(p->v[i].uid, pair.uid, MD5_SIZE);
    }
    qsort(p->v, p->pairs, sizeof *p->v, pool_by_key);
    for (uint32_t b = 0; b < corpus_buckets(&p->corpus); b++)
        pool_bucket(p, b, &k);
}

#endif
