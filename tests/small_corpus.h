/*
 * small_corpus - a corpus of a few dozen pairs, made by hand for tests of what
 * looks at one: the catalogue, coverage, explain and the report.
 *
 * Model.   small_new() makes the folder and its query list; each small_*()
 *          behind it writes the outputs of one stage through base/stage, by
 *          DESIGN's arithmetic but with plain loops, so that tests can say
 *          from the arrays in struct small what the catalogue must hold.
 *          Two rounds: the cap of "dog" grows from 6 to 14 in round 1.
 */
#ifndef TESTS_SMALL_CORPUS_H
#define TESTS_SMALL_CORPUS_H

#include "base/jsonl.h"
#include "base/mem.h"
#include "base/stage.h"
#include "filter/caps.h"
#include "filter/counts.h"
#include "filter/draw.h"
#include "querylist/qlist.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SMALL_PAIRS   48
#define SMALL_QUERIES 8
#define SMALL_SEED    7
#define SMALL_SAMPLES 3 /* a shard */

/* The list; the last ones are found nowhere. */
static const char *const small_entries[SMALL_QUERIES] = {
    "dog", "cat", "olive oil", "Dog", "red", "zebra", "!!!", "caf\xc3\xa9"};
static const char *const small_norms[SMALL_QUERIES] = {
    "dog", "cat", "olive oil", "dog", "red", "zebra", "", "caf\xc3\xa9"};
static const uint32_t small_groups[SMALL_QUERIES] = {0, 1, 2,          0,
                                                     4, 5, QUERY_NONE, 7};

/* Without a place to break it. */
static const char small_long_word[] = " loooooooooooooooooooooooooooooooooooooo"
                                      "oooooooooooooooooooooooooooooooong";

struct small {
    char dir[64];
    struct corpus corpus;
    struct qlist list;
    struct pair pairs[SMALL_PAIRS]; /* by (H(url), url, uid) */
    uint64_t h[SMALL_PAIRS];        /* H(url) */
    uint32_t ids[SMALL_PAIRS][SMALL_QUERIES];
    uint32_t keep[SMALL_PAIRS][SMALL_QUERIES];
    int round[SMALL_PAIRS]; /* that selected it, -1: none */
    bool image[SMALL_PAIRS], duplicate[SMALL_PAIRS];
    uint64_t row[SMALL_PAIRS]; /* sample of its URL, or UINT64_MAX */
    uint64_t c[SMALL_QUERIES], t[2][SMALL_QUERIES];
    uint64_t rows; /* survivors */
    char *texts[SMALL_PAIRS], *urls[SMALL_PAIRS];
};

struct small_options {
    uint64_t samples;
};

static const struct opt small_rows[] = {
    {.name = "samples",
     .type = OPT_U64,
     .at = offsetof(struct small_options, samples),
     .flags = OPT_BYTES},
};
static const struct opt_table small_table = {.command = "small",
                                             .rows = small_rows,
                                             .n = 1,
                                             .config_size =
                                                 sizeof(struct small_options)};

#define MUST(call)                                                             \
    do {                                                                       \
        struct err must_err = ERR_INIT, *e = &must_err;                        \
        if (call) {                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,                 \
                    must_err.message);                                         \
            abort();                                                           \
        }                                                                      \
    } while (0)

/* ---- the list and the pairs ---- */

static void small_list(struct small *s, uint32_t bits)
{
    struct query_candidates file = {0};
    struct query_list list = {0};
    struct query_list_config config = {.size = SMALL_QUERIES};
    uint32_t parents[] = {0, 0, 1};
    struct synset synsets[] = {
        {STR("animal.n.01"), STR("animal"), STR("a living <organism>"), 1, 0, 0,
         'n'},
        {STR("dog.n.01"), STR("dog"), STR("a domestic animal"), 1, 0, 1, 'n'},
        {STR("cat.n.01"), STR("cat"), STR("feline mammal"), 1, 1, 1, 'n'},
        {STR("poodle.n.01"), STR("poodle"), STR("curly dog"), 1, 2, 1, 'n'},
    };
    struct wordnet w = {
        .synsets = synsets, .n = 4, .parents = parents, .n_parents = 3};
    char path[128];
    struct buf b;

    for (int i = 0; i < SMALL_QUERIES; i++) {
        struct query_candidate *c =
            query_candidates_add(&file, str_of(small_entries[i]));

        c->synset = i == 0 ? 1 : i == 1 ? 2 : QUERY_NONE;
        c->count = i == 0 ? 321 : 0;
    }
    config.sources[QUERY_FILE] = &file;
    MUST(query_list_build(&list, &config, e));
    buf_init(&b, 1 << 20);
    MUST(qlist_encode(&list, &w, QUERY_POLICY_WORDS, SMALL_SEED, bits, &b, e));
    snprintf(path, sizeof path, "%s/queries.bin", s->dir);
    MUST(io_write_file(path, buf_str(&b), e));
    buf_release(&b);
    query_list_release(&list);
    query_candidates_release(&file);
    MUST(corpus_open(&s->corpus, s->dir, e));
    MUST(qlist_open(&s->list, path, e));
}

static int small_by_key(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    struct pair_key kx = {hash_xxh3_seeded(x->url, SMALL_SEED), x->url, x->uid};
    struct pair_key ky = {hash_xxh3_seeded(y->url, SMALL_SEED), y->url, y->uid};

    return pair_key_cmp(&kx, &ky);
}

/* Texts differ in what they contain: every one has "dog", every third "cat"...
 * and some are hostile to whoever prints them. */
static void small_pairs(struct small *s)
{
    for (int i = 0; i < SMALL_PAIRS; i++) {
        struct pair *p = &s->pairs[i];

        s->texts[i] = xasprintf(
            "A dog%s%s%s, number %d%s%s", i % 3 == 0 ? " and a cat" : "",
            i % 8 == 0 ? " in olive oil" : "", i % 5 == 0 ? ", red" : "", i,
            i % 7 == 0 ? " <script>alert(1)</script>" : "",
            i % 4 == 0 ? small_long_word : "");
        /* Two texts of one picture now and then. */
        s->urls[i] = xasprintf("http://host%d.test/pictures/%d.jpg", i % 3,
                               i % 16 == 15 ? i - 3 : i);
        *p = (struct pair){.url = str_of(s->urls[i]),
                           .text = str_of(s->texts[i]),
                           .from = i % 2 ? STR("alt") : STR("title"),
                           .page = STR("http://host.test/page.html?a=1&b=2"),
                           .origin = STR("page.html"),
                           .matched = true};
        pair_uid(p->text, p->url, p->uid);
    }
    qsort(s->pairs, SMALL_PAIRS, sizeof *s->pairs, small_by_key);
    for (int i = 0; i < SMALL_PAIRS; i++) {
        struct pair *p = &s->pairs[i];

        s->h[i] = corpus_url_hash(&s->corpus, p->url);
        s->round[i] = -1;
        s->row[i] = UINT64_MAX;
        for (uint32_t q = 0; q < SMALL_QUERIES; q++) {
            if (small_groups[q] != q || !small_norms[q][0] ||
                str_find(p->text, str_of(small_norms[q]), 0) == SIZE_MAX)
                continue;
            s->ids[i][p->n_q++] = q;
            s->c[q]++;
        }
        p->q = s->ids[i];
    }
}

static struct small *small_new(uint32_t bucket_bits)
{
    struct small *s = xcalloc(1, sizeof *s);

    snprintf(s->dir, sizeof s->dir, "/tmp/small.XXXXXX");
    if (!mkdtemp(s->dir))
        abort();
    small_list(s, bucket_bits);
    small_pairs(s);
    return s;
}

static void small_free(struct small *s)
{
    char command[96];

    qlist_close(&s->list);
    for (int i = 0; i < SMALL_PAIRS; i++) {
        free(s->texts[i]);
        free(s->urls[i]);
    }
    snprintf(command, sizeof command, "rm -rf %s", s->dir);
    if (system(command))
        abort();
    free(s);
}

/* ---- one output ---- */

struct small_output {
    struct stage stage;
    struct stage_output out;
    struct stage_inputs in;
    bool done;
};

static void small_begin(struct small *s, struct small_output *o,
                        const char *stage, const char *name)
{
    struct small_options options = {SMALL_SAMPLES};

    stage_init(&o->stage, &s->corpus, stage, 1, &small_table, &options, true);
    stage_inputs_init(&o->in);
    MUST(stage_begin(&o->stage, &o->out, name, &o->in, &o->done, e));
}

static void small_end(struct small_output *o)
{
    MUST(stage_commit(&o->out, e));
    stage_output_release(&o->out);
    stage_inputs_release(&o->in);
    stage_release(&o->stage);
}

/* Publish lines as NAME.jsonl.zst (or NAME.ledger.jsonl.zst). */
static void small_lines(struct small_output *o, const char *suffix,
                        struct str lines)
{
    struct jsonl_writer w;
    char path[IO_PATH_MAX], name[STAGE_NAME_MAX + 32];

    MUST(stage_path(&o->out, suffix, path, e));
    MUST(jsonl_open_write(&w, path, e));
    if (lines.n)
        MUST(jsonl_write_block(&w, lines, e));
    MUST(jsonl_publish(&w, e));
    snprintf(name, sizeof name, "%s%s", o->out.name, suffix);
    stage_file(&o->out, name, w.sha256);
}

/* ---- pairs/ and matched/ ---- */

static void small_import(struct small *s)
{
    struct small_output o;
    struct buf b;

    buf_init(&b, 1 << 20);
    small_begin(s, &o, "import", "pairs/web/part-00000");
    for (int i = 0; i < SMALL_PAIRS; i++) {
        struct pair p = s->pairs[i];

        p.matched = false;
        pair_write(&p, &b);
        buf_add_char(&b, '\n');
    }
    /* One that match drops. */
    buf_add(&b, STR("{\"uid\":\"b9c1b3c0b1a5c9c7d3fb6a1d0a9d2a11\",\"url\":"
                    "\"http://host0.test/next.png\",\"text\":\"Next\","
                    "\"from\":\"alt\",\"page\":\"http://host.test/\","
                    "\"origin\":\"index.html\"}\n"));
    small_lines(&o, ".jsonl.zst", buf_str(&b));
    tally_add(&o.out.counts, "pages", 4);
    tally_add(&o.out.counts, "records", SMALL_PAIRS + 1);
    tally_add(&o.out.drops, "placeholder", 2);
    small_end(&o);
    buf_clear(&b);
    small_begin(s, &o, "match", "matched/web/part-00000");
    small_lines(&o, ".jsonl.zst", STR_NONE);
    tally_add(&o.out.counts, "records", SMALL_PAIRS);
    tally_add(&o.out.drops, "boilerplate", 1);
    small_end(&o);
    buf_release(&b);
}

/* ---- unique/ ---- */

static void small_gather(struct small *s)
{
    struct counts counts = {s->c, SMALL_QUERIES};
    struct small_output o;
    char name[64], path[IO_PATH_MAX], hex[SHA256_HEX];
    struct buf b;

    buf_init(&b, 1 << 20);
    for (uint32_t k = 0; k < corpus_buckets(&s->corpus); k++) {
        snprintf(name, sizeof name, "unique/bucket-%04u", k);
        small_begin(s, &o, "gather", name);
        buf_clear(&b);
        for (int i = 0; i < SMALL_PAIRS; i++) {
            if (corpus_bucket(&s->corpus, s->h[i]) != k)
                continue;
            pair_write(&s->pairs[i], &b);
            buf_add_char(&b, '\n');
            tally_add(&o.out.counts, "records", 1);
        }
        small_lines(&o, ".jsonl.zst", buf_str(&b));
        small_end(&o);
    }
    buf_release(&b);
    small_begin(s, &o, "gather", "unique/counts");
    MUST(stage_path(&o.out, ".bin", path, e));
    MUST(counts_write(&counts, path, hex, e));
    stage_file(&o.out, "unique/counts.bin", hex);
    small_end(&o);
}

/* ---- selected/ ---- */

static uint64_t small_draw(const struct small *s, int i, uint32_t q)
{
    return draw_below(
        draw_hash(SMALL_SEED, s->pairs[i].uid, str_of(small_norms[q])),
        s->c[q]);
}

static void small_caps(struct small *s, int round)
{
    struct caps k = {.n = SMALL_QUERIES, .t = s->t[round], .c = s->c};
    struct small_output o;
    char name[64], path[IO_PATH_MAX], hex[SHA256_HEX];

    snprintf(name, sizeof name, "selected/round-%d/caps", round);
    small_begin(s, &o, "balance", name);
    MUST(stage_path(&o.out, ".bin", path, e));
    MUST(caps_write(&k, UINT64_MAX, path, hex, e));
    snprintf(name, sizeof name, "selected/round-%d/caps.bin", round);
    stage_file(&o.out, name, hex);
    small_end(&o);
}

/* Round 0 with cap 6, then round 1 with 14 for "dog". */
static void small_balance(struct small *s, int round)
{
    struct small_output o;
    char name[64];
    struct buf b;

    for (uint32_t q = 0; q < SMALL_QUERIES; q++)
        s->t[round][q] = small_groups[q] != q ? 0 : round && q == 0 ? 14 : 6;
    small_caps(s, round);
    for (int i = 0; i < SMALL_PAIRS; i++) {
        struct pair *p = &s->pairs[i];

        if (s->round[i] >= 0)
            continue;
        p->s = UINT64_MAX;
        for (uint32_t k = 0; k < p->n_q; k++) {
            uint64_t d = small_draw(s, i, p->q[k]);

            p->s = d < p->s ? d : p->s;
            if (d < s->t[round][p->q[k]])
                s->keep[i][p->n_keep++] = p->q[k];
        }
        p->keep = s->keep[i];
        p->selected = p->n_keep > 0;
        s->round[i] = p->selected ? round : -1;
    }
    buf_init(&b, 1 << 20);
    for (uint32_t k = 0; k < corpus_buckets(&s->corpus); k++) {
        snprintf(name, sizeof name, "selected/round-%d/bucket-%04u", round, k);
        small_begin(s, &o, "balance", name);
        buf_clear(&b);
        for (int i = 0; i < SMALL_PAIRS; i++) {
            if (corpus_bucket(&s->corpus, s->h[i]) != k || s->round[i] != round)
                continue;
            pair_write(&s->pairs[i], &b);
            buf_add_char(&b, '\n');
            tally_add(&o.out.counts, "records", 1);
        }
        small_lines(&o, ".jsonl.zst", buf_str(&b));
        small_end(&o);
    }
    buf_release(&b);
}

/* Does q pick pair i at the last round's cap? */
static inline bool small_picked(const struct small *s, int i, uint32_t q,
                                int rounds)
{
    return small_draw(s, i, q) < s->t[rounds - 1][q];
}

#endif
