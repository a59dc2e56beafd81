/*
 * corpus_fixture - a small corpus made by hand, from queries.bin to images/.
 *
 * Model.   Every URL, text, image and phash is a function of the fixture's
 *          numbers and splitmix64, so that a test can say what dedup and pack
 *          must make of them.  selected/ and images/ are written with the base
 *          interfaces and sidecars, as balance and download would.
 * Owns.    The folder, removed by fixture_remove(); the arrays.
 */
#ifndef TESTS_CORPUS_FIXTURE_H
#define TESTS_CORPUS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>

#include "base/corpus.h"
#include "base/io.h"
#include "base/jsonl.h"
#include "base/ledger.h"
#include "base/mem.h"
#include "base/pair.h"
#include "base/stage.h"
#include "shards/tar_write.h"

#define FIXTURE_QUERIES 40
#define FIXTURE_GROUPS  256

struct fixture_pair {
    uint8_t uid[MD5_SIZE];
    char text[64];
    uint32_t q[4]; /* ascending */
    uint32_t n_q;
    uint64_t s;
    unsigned round;
};

struct fixture_url {
    char url[96];
    uint64_t h;
    uint32_t group;
    unsigned pass; /* download pass that asked for it */
    bool image;    /* else it failed */
    bool selected; /* else only the ledger knows it */
    struct ledger ledger;
    char jpeg[600];
    size_t jpeg_bytes;
    size_t n_pairs;
    struct fixture_pair *pairs; /* by uid */
};

struct fixture {
    char dir[64];
    struct corpus corpus;
    uint64_t seed, random;
    unsigned rounds, passes;
    struct fixture_url *urls; /* in (H(url), url) order */
    size_t n;
};

static inline uint64_t fixture_random(struct fixture *f)
{
    uint64_t z = f->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* No assert of cmocka here: a fixture that cannot be made ends the test. */
static inline void fixture_must(int rc, const struct err *e)
{
    if (rc) {
        fprintf(stderr, "fixture: %s\n", e->code ? e->message : err_name(rc));
        abort();
    }
}

/* ---- making it up ---- */

/* A third of the images lie near another one, some at the very radius, some
 * one bit beyond; some share all bytes; some are exempt. */
static inline void fixture_image(struct fixture *f, struct fixture_url *u,
                                 size_t i)
{
    struct ledger *l = &u->ledger;
    uint64_t r = fixture_random(f);

    u->jpeg_bytes = 64 + (size_t)(r % 500);
    for (size_t k = 0; k < u->jpeg_bytes; k++)
        u->jpeg[k] = (char)fixture_random(f);
    u->jpeg[0] = u->jpeg[u->jpeg_bytes - 2] = (char)0xff;
    u->jpeg[1] = (char)0xd8;
    u->jpeg[u->jpeg_bytes - 1] = (char)0xd9;
    hash_sha256(str_make(u->jpeg, u->jpeg_bytes), l->sha256);
    l->phash = fixture_random(f);
    if (i && r % 3 == 0) {
        const struct ledger *o = &f->urls[fixture_random(f) % i].ledger;
        unsigned flips = (unsigned)(fixture_random(f) % 7);

        l->phash = o->phash;
        while (flips--)
            l->phash ^= UINT64_C(1) << fixture_random(f) % 64;
        if (r % 5 == 0)
            memcpy(l->sha256, o->sha256, SHA256_SIZE);
    }
    l->phash_exempt = r % 11 == 0;
    l->width = 100 + (uint32_t)(r % 400);
    l->height = 120;
    l->original_width = 2 * l->width;
    l->original_height = 240;
    l->bytes = u->jpeg_bytes;
    if (r % 4 == 0)
        l->exif = STR("{\"Make\":\"Seven \\\"7\\\"\"}");
}

static inline int fixture_by_uid(const void *a, const void *b)
{
    return memcmp(a, b, MD5_SIZE);
}

static inline void fixture_texts(struct fixture *f, struct fixture_url *u,
                                 size_t n)
{
    u->n_pairs = n;
    u->pairs = xcalloc(n, sizeof *u->pairs);
    for (size_t i = 0; i < n; i++) {
        struct fixture_pair *p = &u->pairs[i];
        uint32_t q = (uint32_t)(fixture_random(f) % 10);

        snprintf(p->text, sizeof p->text, "Text %zu \"of\" %.20s", i, u->url);
        pair_uid(str_of(p->text), str_of(u->url), p->uid);
        p->n_q = 1 + (uint32_t)(fixture_random(f) % 4);
        for (uint32_t k = 0; k < p->n_q; k++, q += 1 + (uint32_t)k)
            p->q[k] = q;
        p->s = fixture_random(f) % 5;
        p->round = (unsigned)(fixture_random(f) % f->rounds);
    }
    qsort(u->pairs, n, sizeof *u->pairs, fixture_by_uid);
}

static inline int fixture_by_h(const void *a, const void *b)
{
    const struct fixture_url *x = a, *y = b;

    if (x->h != y->h)
        return x->h < y->h ? -1 : 1;
    return strcmp(x->url, y->url);
}

static inline void fixture_make_urls(struct fixture *f, size_t n)
{
    f->n = n;
    f->urls = xcalloc(n, sizeof *f->urls);
    for (size_t i = 0; i < n; i++) {
        struct fixture_url *u = &f->urls[i];
        char host[32];

        snprintf(host, sizeof host, "host%u.test",
                 (unsigned)(fixture_random(f) % 9));
        snprintf(u->url, sizeof u->url, "http://%s/picture-%zu.jpg", host, i);
        u->h = corpus_url_hash(&f->corpus, str_of(u->url));
        u->group = ledger_group(str_of(host));
    }
    qsort(f->urls, n, sizeof *f->urls, fixture_by_h);
    for (size_t i = 0; i < n; i++) {
        struct fixture_url *u = &f->urls[i];
        uint64_t r = fixture_random(f);

        u->image = r % 10 != 0;
        u->selected = r % 13 != 0;
        u->pass = (unsigned)(r / 1000 % f->passes);
        u->ledger.url = str_of(u->url);
        u->ledger.outcome = u->image ? LEDGER_IMAGE : LEDGER_FAILED;
        u->ledger.reason = u->image ? STR_NONE : STR("http-404");
        u->ledger.status = u->image ? 200 : 404;
        u->ledger.tries = 1;
        if (u->image)
            fixture_image(f, u, i);
        fixture_texts(f, u, r % 17 == 0 ? 200 : 1 + (size_t)(r % 3));
    }
}

/* ---- writing it down ---- */

struct fixture_options {
    struct stage_options stage;
    bool exact;
};

static inline const struct opt_table *fixture_table(void)
{
    static const struct opt rows[] = {
        {.name = "exact",
         .type = OPT_BOOL,
         .at = offsetof(struct fixture_options, exact),
         .help = "As balance has it.",
         .flags = OPT_BYTES}};
    static const struct opt_table table = {.command = "fixture",
                                           .synopsis = "",
                                           .summary = "fixture",
                                           .rows = rows,
                                           .n = 1,
                                           .config_size =
                                               sizeof(struct fixture_options)};

    return &table;
}

static inline void fixture_write_queries(struct fixture *f, unsigned bits)
{
    struct corpus_header h = {.version = CORPUS_VERSION,
                              .seed = f->seed,
                              .bucket_bits = bits,
                              .n_queries = FIXTURE_QUERIES,
                              .n_groups = FIXTURE_QUERIES,
                              .file_size = CORPUS_HEADER_SIZE};
    char head[CORPUS_HEADER_SIZE], path[128];
    struct err e = ERR_INIT;

    h.body_xxh3 = hash_xxh3(STR(""));
    corpus_header_write(&h, head);
    snprintf(path, sizeof path, "%s/queries.bin", f->dir);
    fixture_must(io_write_file(path, str_make(head, sizeof head), &e), &e);
    fixture_must(corpus_open(&f->corpus, f->dir, &e), &e);
}

static inline struct pair fixture_pair(const struct fixture_url *u,
                                       const struct fixture_pair *p)
{
    struct pair out = {.url = str_of(u->url),
                       .text = str_of(p->text),
                       .from = STR("alt"),
                       .page = STR("http://pages.test/p?a=1"),
                       .origin = STR("crawl"),
                       .q = p->q,
                       .n_q = p->n_q,
                       .matched = true,
                       .selected = true,
                       .s = p->s,
                       .keep = p->q,
                       .n_keep = 1};

    memcpy(out.uid, p->uid, MD5_SIZE);
    return out;
}

static inline void fixture_commit(struct stage_output *o, const char *name,
                                  const char *sha)
{
    struct err e = ERR_INIT;

    stage_file(o, name, sha);
    fixture_must(stage_commit(o, &e), &e);
}

/* The plan of a round; only that it is there matters here. */
static inline void fixture_plan(struct stage *stage, unsigned round)
{
    struct stage_output o;
    struct stage_inputs in;
    struct err e = ERR_INIT;
    char name[128], path[IO_PATH_MAX], hex[SHA256_HEX];
    bool done;

    stage_inputs_init(&in);
    snprintf(name, sizeof name, "selected/round-%u/caps", round);
    fixture_must(stage_begin(stage, &o, name, &in, &done, &e), &e);
    fixture_must(stage_path(&o, ".bin", path, &e), &e);
    fixture_must(io_write_file(path, STR("caps"), &e), &e);
    fixture_must(io_sha256_file(path, hex, &e), &e);
    snprintf(path, sizeof path, "%s.bin", name);
    fixture_commit(&o, path, hex);
    stage_output_release(&o);
    stage_inputs_release(&in);
}

static inline void fixture_selected(struct fixture *f, struct stage *stage,
                                    unsigned round, uint32_t bucket)
{
    struct stage_output o;
    struct stage_inputs in;
    struct jsonl_writer w;
    struct err e = ERR_INIT;
    struct buf line;
    char name[128], path[IO_PATH_MAX];
    bool done;

    stage_inputs_init(&in);
    buf_init(&line, JSONL_LINE_MAX);
    snprintf(name, sizeof name, "selected/round-%u/bucket-%04u", round, bucket);
    fixture_must(stage_begin(stage, &o, name, &in, &done, &e), &e);
    fixture_must(stage_path(&o, ".jsonl.zst", path, &e), &e);
    fixture_must(jsonl_open_write(&w, path, &e), &e);
    for (size_t i = 0; i < f->n; i++) {
        const struct fixture_url *u = &f->urls[i];

        if (corpus_bucket(&f->corpus, u->h) != bucket || !u->selected)
            continue;
        for (size_t k = 0; k < u->n_pairs; k++) {
            struct pair p = fixture_pair(u, &u->pairs[k]);

            if (u->pairs[k].round != round)
                continue;
            buf_clear(&line);
            pair_write(&p, &line);
            fixture_must(jsonl_write(&w, buf_str(&line), &e), &e);
            tally_add(&o.counts, "records", 1);
        }
    }
    fixture_must(jsonl_publish(&w, &e), &e);
    snprintf(path, sizeof path, "%s.jsonl.zst", name);
    fixture_commit(&o, path, w.sha256);
    stage_output_release(&o);
    stage_inputs_release(&in);
    buf_release(&line);
}

static inline void fixture_images(struct fixture *f, struct stage *stage,
                                  uint32_t group, unsigned pass)
{
    struct stage_output o;
    struct stage_inputs in;
    struct jsonl_writer w;
    struct tar_writer tar;
    struct err e = ERR_INIT;
    struct buf line;
    char id[16], name[128], path[IO_PATH_MAX];
    bool done, any = false;

    for (size_t i = 0; i < f->n; i++)
        any |= f->urls[i].group == group && f->urls[i].pass == pass;
    if (!any)
        return;
    stage_inputs_init(&in);
    buf_init(&line, JSONL_LINE_MAX);
    ledger_name(group, pass, id);
    snprintf(name, sizeof name, "images/%s", id);
    fixture_must(stage_begin(stage, &o, name, &in, &done, &e), &e);
    fixture_must(stage_path(&o, ".tar", path, &e), &e);
    fixture_must(tar_writer_open(&tar, path, &e), &e);
    fixture_must(stage_path(&o, ".ledger.jsonl.zst", path, &e), &e);
    fixture_must(jsonl_open_write(&w, path, &e), &e);
    for (size_t i = 0; i < f->n; i++) {
        struct fixture_url *u = &f->urls[i];
        char member[40];

        if (u->group != group || u->pass != pass)
            continue;
        snprintf(member, sizeof member, "%016llx.jpg",
                 (unsigned long long)u->h);
        if (u->image)
            fixture_must(tar_writer_add(&tar, str_of(member),
                                        str_make(u->jpeg, u->jpeg_bytes),
                                        &u->ledger.offset, &e),
                         &e);
        buf_clear(&line);
        ledger_write(&u->ledger, &line);
        fixture_must(jsonl_write(&w, buf_str(&line), &e), &e);
    }
    fixture_must(tar_writer_publish(&tar, &e), &e);
    fixture_must(jsonl_publish(&w, &e), &e);
    snprintf(path, sizeof path, "%s.tar", name);
    stage_file(&o, path, tar.file.sha256);
    snprintf(path, sizeof path, "%s.ledger.jsonl.zst", name);
    fixture_commit(&o, path, w.sha256);
    stage_output_release(&o);
    stage_inputs_release(&in);
    buf_release(&line);
}

/* The whole: n URLs, 2^bits buckets, rounds of balance, download passes. */
static inline void fixture_make(struct fixture *f, size_t n, unsigned bits,
                                unsigned rounds, unsigned passes)
{
    struct fixture_options options = {.exact = false};
    struct stage balance, download;

    *f = (struct fixture){.seed = UINT64_C(12345678901234567890),
                          .random = n,
                          .rounds = rounds,
                          .passes = passes};
    snprintf(f->dir, sizeof f->dir, "/tmp/witmill-corpus-XXXXXX");
    fixture_must(mkdtemp(f->dir) ? 0 : -E_IO, &(struct err)ERR_INIT);
    fixture_write_queries(f, bits);
    fixture_make_urls(f, n);
    stage_init(&balance, &f->corpus, "balance", 1, fixture_table(), &options,
               false);
    stage_init(&download, &f->corpus, "download", 1, fixture_table(), &options,
               false);
    for (unsigned r = 0; r < rounds; r++) {
        fixture_plan(&balance, r);
        for (uint32_t k = 0; k < corpus_buckets(&f->corpus); k++)
            fixture_selected(f, &balance, r, k);
    }
    for (unsigned p = 0; p < passes; p++)
        for (uint32_t g = 0; g < FIXTURE_GROUPS; g++)
            fixture_images(f, &download, g, p);
    stage_release(&balance);
    stage_release(&download);
}

/* Copy the corpus folder, as another corpus. */
static inline void fixture_copy(const struct fixture *from, struct corpus *to,
                                char dir[64])
{
    struct err e = ERR_INIT;
    char command[256];

    snprintf(dir, 64, "/tmp/witmill-corpus-XXXXXX");
    fixture_must(mkdtemp(dir) ? 0 : -E_IO, &e);
    snprintf(command, sizeof command, "cp -r %s/. %s", from->dir, dir);
    fixture_must(system(command) ? -E_IO : 0, &e);
    fixture_must(corpus_open(to, dir, &e), &e);
}

static inline void fixture_remove_dir(const char *dir)
{
    char command[IO_PATH_MAX + 128];

    snprintf(command, sizeof command, "rm -rf %s", dir);
    fixture_must(system(command) ? -E_IO : 0, &(struct err)ERR_INIT);
}

static inline void fixture_remove(struct fixture *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->urls[i].pairs);
    free(f->urls);
    fixture_remove_dir(f->dir);
}

/* What the file reads uncompressed, or "" when it is absent. */
static inline void fixture_content(const char *dir, const char *name,
                                   struct buf *out)
{
    char path[256];
    struct err e = ERR_INIT;

    buf_clear(out);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (io_exists(path))
        fixture_must(io_read_file(path, out, &e), &e);
}

#endif
