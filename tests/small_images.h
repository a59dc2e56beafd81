/*
 * small_images - the second half of tests/small_corpus.h: ledgers, survivors
 * and shards for its selected pairs, and the whole chain in one call.
 */
#ifndef TESTS_SMALL_IMAGES_H
#define TESTS_SMALL_IMAGES_H

#include "base/ledger.h"
#include "base/survivor.h"
#include "base/url.h"
#include "shards/index.h"
#include "shards/sample.h"
#include "shards/tar_write.h"
#include "tests/small_corpus.h"
#include "tests/small_jpeg.h"

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
    struct buf line, all;
    char name[64], path[IO_PATH_MAX];

    buf_init(&line, 1 << 20);
    buf_init(&all, 1 << 20);
    snprintf(name, sizeof name, "survivors/bucket-%04u", k);
    small_begin(s, &o, "dedup", name);
    MUST(stage_path(&o.out, ".jsonl.zst", path, e));
    MUST(jsonl_open_write(&w, path, e));
    tally_add(&o.out.counts, "rows", 0);
    for (int i = 0, end; i < SMALL_PAIRS; i = end) {
        struct str texts[SMALL_PAIRS];
        size_t at[SMALL_PAIRS], n = 0;

        for (end = i;
             end < SMALL_PAIRS && str_eq(s->pairs[end].url, s->pairs[i].url);
             end++)
            if (s->round[end] >= 0 && s->image[end])
                at[n++] = (size_t)end;
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
        row.texts_total = n;
        buf_clear(&all);
        for (size_t m = 0, from = 0; m < n; m++, from = all.n) {
            pair_write(&s->pairs[at[m]], &all);
            texts[m] = str_make(NULL, all.n - from);
        }
        for (size_t m = 0, from = 0; m < n; from += texts[m++].n)
            texts[m].p = all.p + from;
        MUST(survivor_write(&w, &row, texts, n, &line, e));
        tally_add(&o.out.counts, "rows", 1);
    }
    MUST(jsonl_publish(&w, e));
    snprintf(name, sizeof name, "survivors/bucket-%04u.jsonl.zst", k);
    stage_file(&o.out, name, w.sha256);
    small_end(&o);
    buf_release(&line);
    buf_release(&all);
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
