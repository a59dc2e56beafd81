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
#include "base/ledger.h"
#include "base/mem.h"
#include "base/stage.h"
#include "base/survivor.h"
#include "base/url.h"
#include "filter/caps.h"
#include "filter/counts.h"
#include "filter/draw.h"
#include "querylist/qlist.h"
#include "shards/index.h"
#include "shards/sample.h"
#include "shards/tar_write.h"
#include "tests/small_jpeg.h"
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
            "A dog%s%s%s, number %d%s", i % 3 == 0 ? " and a cat" : "",
            i % 8 == 0 ? " in olive oil" : "", i % 5 == 0 ? ", red" : "", i,
            i % 7 == 0 ? " <script>alert(1)</script>" : "");
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
    MUST(caps_write(&k, path, hex, e));
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
static bool small_picked(const struct small *s, int i, uint32_t q, int rounds)
{
    return small_draw(s, i, q) < s->t[rounds - 1][q];
}

/* ---- images/ ---- */

static struct str small_jpeg(int i)
{
    return i % 2 ? str_make((const char *)small_jpeg_red, sizeof small_jpeg_red)
                 : str_make((const char *)small_jpeg_blue,
                            sizeof small_jpeg_blue);
}

static struct ledger small_ledger_row(struct small *s, int i)
{
    struct ledger l = {.url = s->pairs[i].url, .tries = 1, .status = 200};

    l.outcome = i % 6 == 1   ? LEDGER_FAILED
                : i % 6 == 3 ? LEDGER_REFUSED
                             : LEDGER_IMAGE;
    if (l.outcome == LEDGER_FAILED) {
        l.reason = STR("http-status");
        l.status = 404;
    } else if (l.outcome == LEDGER_REFUSED) {
        l.reason = STR("robots");
        l.status = 0;
    } else {
        hash_sha256(l.url, l.sha256);
        l.phash = s->h[i];
        l.width = 24 + (uint32_t)i;
        l.height = 16 + (uint32_t)i;
        l.original_width = 240;
        l.original_height = 160;
        l.bytes = small_jpeg(i).n;
        l.fetched = STR("2026-11-21T12:00:00Z");
    }
    return l;
}

/* One pass: all selected URLs are asked; the pairs of a URL share its fate. */
static void small_download(struct small *s)
{
    struct buf group[LEDGER_GROUPS];
    uint64_t asked[LEDGER_GROUPS] = {0}, images[LEDGER_GROUPS] = {0};
    int first = 0; /* of the URL */

    for (uint32_t g = 0; g < LEDGER_GROUPS; g++)
        buf_init(&group[g], 1 << 20);
    for (int i = 0; i < SMALL_PAIRS; i++) {
        struct url_parts u;
        struct ledger l;
        uint32_t g;

        if (i && !str_eq(s->pairs[i].url, s->pairs[i - 1].url))
            first = i;
        l = small_ledger_row(s, first);
        if (s->round[i] < 0)
            continue;
        s->image[i] = l.outcome == LEDGER_IMAGE;
        for (int k = first; k < i; k++)
            if (s->round[k] >= 0)
                l.url = STR_NONE; /* asked for another text of it */
        if (!l.url.p)
            continue;
        if (!url_split(l.url, &u))
            abort();
        g = ledger_group(u.host);
        ledger_write(&l, &group[g]);
        buf_add_char(&group[g], '\n');
        asked[g]++;
        images[g] += s->image[i];
    }
    for (uint32_t g = 0; g < LEDGER_GROUPS; g++) {
        struct small_output o;
        char base[16], name[32];

        if (group[g].n) {
            ledger_name(g, 0, base);
            snprintf(name, sizeof name, "images/%s", base);
            small_begin(s, &o, "download", name);
            small_lines(&o, ".ledger.jsonl.zst", buf_str(&group[g]));
            tally_add(&o.out.counts, "urls", asked[g]);
            tally_add(&o.out.counts, "images", images[g]);
            tally_add(&o.out.drops, "robots", asked[g] - images[g]);
            small_end(&o);
        }
        buf_release(&group[g]);
    }
}

/* ---- survivors/: some pictures are called a duplicate ---- */

static void small_survivors_of(struct small *s, uint32_t k, struct buf *dups)
{
    struct small_output o;
    struct jsonl_writer w;
    struct buf line;
    char name[64], path[IO_PATH_MAX];

    buf_init(&line, 1 << 20);
    snprintf(name, sizeof name, "survivors/bucket-%04u", k);
    small_begin(s, &o, "dedup", name);
    MUST(stage_path(&o.out, ".jsonl.zst", path, e));
    MUST(jsonl_open_write(&w, path, e));
    tally_add(&o.out.counts, "rows", 0);
    for (int i = 0, end; i < SMALL_PAIRS; i = end) {
        struct pair texts[SMALL_PAIRS];
        size_t n = 0;

        for (end = i;
             end < SMALL_PAIRS && str_eq(s->pairs[end].url, s->pairs[i].url);
             end++)
            if (s->round[end] >= 0 && s->image[end])
                texts[n++] = s->pairs[end];
        if (!n || corpus_bucket(&s->corpus, s->h[i]) != k)
            continue;
        if (i % 4 == 3) {
            for (int m = i; m < end; m++)
                s->duplicate[m] = s->image[m];
            buf_addf(dups,
                     "{\"url\":\"%.*s\",\"h\":\"%016llx\",\"reason\":"
                     "\"duplicate-near\",\"by\":\"%.*s\",\"bits\":3}\n",
                     STR_ARG(s->pairs[i].url), (unsigned long long)s->h[i],
                     STR_ARG(s->pairs[0].url));
            tally_add(&o.out.drops, "duplicate-near", 1);
            continue;
        }
        for (int m = i; m < end; m++)
            if (s->round[m] >= 0)
                s->row[m] = s->rows;
        s->rows++;
        struct survivor row = {.url = s->pairs[i].url,
                               .h = s->h[i],
                               .group = STR("000-00"),
                               .image = small_ledger_row(s, i)};
        row.image.outcome = LEDGER_IMAGE;
        MUST(survivor_write(&w, &row, texts, n, &line, e));
        tally_add(&o.out.counts, "rows", 1);
    }
    MUST(jsonl_publish(&w, e));
    snprintf(name, sizeof name, "survivors/bucket-%04u.jsonl.zst", k);
    stage_file(&o.out, name, w.sha256);
    small_end(&o);
    buf_release(&line);
}

static void small_dedup(struct small *s)
{
    struct small_output o;
    struct buf dups;

    s->rows = 0;
    buf_init(&dups, 1 << 20);
    for (uint32_t k = 0; k < corpus_buckets(&s->corpus); k++)
        small_survivors_of(s, k, &dups);
    small_begin(s, &o, "dedup", "survivors/duplicates");
    small_lines(&o, ".jsonl.zst", buf_str(&dups));
    small_end(&o);
    buf_release(&dups);
}

/* ---- shards/ ---- */

static void small_sample(struct small *s, int i, const char *key,
                         struct tar_writer *tar, struct index_writer *index)
{
    struct survivor row = {.url = s->pairs[i].url,
                           .image = small_ledger_row(s, i),
                           .texts_total = 1};
    struct index_entry entry = {.image = INDEX_JPG, .key = str_of(key)};
    struct str jpeg = small_jpeg(i);
    char name[64];
    struct buf meta;

    buf_init(&meta, 1 << 20);
    sample_begin(&row, &s->pairs[i], key, &meta);
    sample_text(&s->pairs[i], &meta);
    sample_end(&meta);
    snprintf(name, sizeof name, "%s.jpg", key);
    MUST(tar_writer_add(tar, str_of(name), jpeg, &entry.image_offset, e));
    snprintf(name, sizeof name, "%s.json", key);
    MUST(tar_writer_add(tar, str_of(name), buf_str(&meta), &entry.json_offset,
                        e));
    snprintf(name, sizeof name, "%s.txt", key);
    MUST(tar_writer_add(tar, str_of(name), s->pairs[i].text, &entry.text_offset,
                        e));
    memcpy(entry.uid, s->pairs[i].uid, MD5_SIZE);
    entry.image_size = (uint32_t)jpeg.n;
    entry.json_size = (uint32_t)meta.n;
    entry.text_size = (uint32_t)s->pairs[i].text.n;
    MUST(index_writer_add(index, &entry, e));
    buf_release(&meta);
}

static void small_shard(struct small *s, uint64_t shard)
{
    struct small_output o;
    struct tar_writer tar;
    struct index_writer index;
    char name[64], path[IO_PATH_MAX], key[SAMPLE_KEY_MAX];
    struct buf b;
    uint64_t n = 0, next = shard * SMALL_SAMPLES;

    buf_init(&b, 1 << 20);
    snprintf(name, sizeof name, "shards/%05llu", (unsigned long long)shard);
    small_begin(s, &o, "pack", name);
    MUST(stage_path(&o.out, ".tar", path, e));
    MUST(tar_writer_open(&tar, path, e));
    index_writer_init(&index);
    for (int i = 0; i < SMALL_PAIRS && n < SMALL_SAMPLES; i++) {
        if (s->row[i] != next)
            continue;
        sample_key(shard, n++, sample_digits(SMALL_SAMPLES), key);
        small_sample(s, i, key, &tar, &index);
        next++;
    }
    MUST(tar_writer_publish(&tar, e));
    MUST(index_writer_finish(&index, tar.file.bytes, &b, e));
    MUST(stage_path(&o.out, ".idx", path, e));
    MUST(io_write_file(path, buf_str(&b), e));
    snprintf(name, sizeof name, "shards/%05llu.tar", (unsigned long long)shard);
    stage_file(&o.out, name, tar.file.sha256);
    tally_add(&o.out.counts, "samples", n);
    small_end(&o);
    index_writer_release(&index);
    buf_release(&b);
}

static void small_pack(struct small *s)
{
    struct small_output o;

    for (uint64_t k = 0; k * SMALL_SAMPLES < s->rows; k++)
        small_shard(s, k);
    small_begin(s, &o, "pack", "shards/sizes");
    stage_file(&o.out, "shards/sizes.json",
               "0000000000000000000000000000000000000000000000000000000000000"
               "000");
    tally_add(&o.out.counts, "samples", s->rows);
    small_end(&o);
}

/* The whole chain. */
static void small_all(struct small *s)
{
    small_import(s);
    small_gather(s);
    small_balance(s, 0);
    small_balance(s, 1);
    small_download(s);
    small_dedup(s);
    small_pack(s);
}

#endif
