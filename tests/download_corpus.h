/*
 * download_corpus - what the tests of the download share: a corpus that
 * consists of a header and of selected/ alone, a tar writer, comparisons.
 */
#ifndef TESTS_DOWNLOAD_CORPUS_H
#define TESTS_DOWNLOAD_CORPUS_H

#include "base/corpus.h"
#include "base/io.h"
#include "base/jsonl.h"
#include "base/mem.h"
#include "base/pair.h"
#include "base/stage.h"
#include "crawler/download_tar.h"
#include "shards/tar_write.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define CHECK(call)                                                            \
    do {                                                                       \
        int check_rc = (call);                                                 \
        if (check_rc)                                                          \
            fail_msg("%s: %d %s", #call, check_rc, e.message);                 \
    } while (0)

struct none_config {
    int unused;
};

static const struct opt_table no_options = {
    .command = "balance", .config_size = sizeof(struct none_config)};

/* What stands in for the download's own options in fingerprints. */
struct image_config_row {
    uint64_t quality;
};

static const struct opt quality_row = {
    .name = "quality",
    .type = OPT_U64,
    .at = offsetof(struct image_config_row, quality),
    .flags = OPT_BYTES};

static const struct opt_table download_options = {
    .command = "download",
    .rows = &quality_row,
    .n = 1,
    .config_size = sizeof(struct image_config_row)};

static inline char *test_folder(void)
{
    char path[] = "/tmp/witmill-download-XXXXXX";

    assert_non_null(mkdtemp(path));
    return xstrdup(path);
}

static inline void test_remove(char *folder)
{
    char command[256];

    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    assert_int_equal(system(command), 0);
    free(folder);
}

static inline void test_corpus(struct corpus *c, const char *dir, uint64_t seed)
{
    struct corpus_header h = {.version = CORPUS_VERSION,
                              .seed = seed,
                              .bucket_bits = 2,
                              .file_size = CORPUS_HEADER_SIZE,
                              .body_xxh3 = hash_xxh3(STR_NONE)};
    char path[IO_PATH_MAX], head[CORPUS_HEADER_SIZE];
    struct err e = ERR_INIT;

    corpus_header_write(&h, head);
    CHECK(io_mkdirs(dir, &e));
    CHECK(io_join(path, dir, "queries.bin", &e));
    CHECK(io_write_file(path, str_make(head, sizeof head), &e));
    CHECK(corpus_open(c, dir, &e));
}

static const struct corpus *sort_corpus;

static inline int by_key(const void *a, const void *b)
{
    struct str x = str_of(*(const char *const *)a);
    struct str y = str_of(*(const char *const *)b);
    uint64_t hx = corpus_url_hash(sort_corpus, x);
    uint64_t hy = corpus_url_hash(sort_corpus, y);

    return hx != hy ? (hx < hy ? -1 : 1) : str_cmp(x, y);
}

/* Two texts for every URL, so that distinct ones have to be found. */
static inline void write_url(struct jsonl_writer *w, const char *url)
{
    static const uint32_t ids[] = {1, 5};
    static const char *const texts[] = {"a dog", "a cat"};
    struct err e = ERR_INIT;
    struct buf line;

    buf_init(&line, 1 << 20);
    for (unsigned i = 0; i < 2; i++) {
        struct pair p = {.url = str_of(url),
                         .text = str_of(texts[i]),
                         .from = STR("alt"),
                         .origin = STR("crawl"),
                         .q = ids,
                         .n_q = 2,
                         .matched = true,
                         .selected = true,
                         .s = 3,
                         .keep = ids,
                         .n_keep = 1};

        pair_uid(p.text, p.url, p.uid);
        buf_clear(&line);
        pair_write(&p, &line);
        CHECK(jsonl_write(w, buf_str(&line), &e));
    }
    buf_release(&line);
}

/* The plan of a round; only that it is there matters here. */
static inline void test_plan(struct stage *stage, unsigned round)
{
    static const struct stage_inputs none;
    char name[STAGE_NAME_MAX], path[IO_PATH_MAX], hex[SHA256_HEX];
    struct err e = ERR_INIT;
    struct stage_output o;
    bool done;

    snprintf(name, sizeof name, "selected/round-%u/caps", round);
    CHECK(stage_begin(stage, &o, name, &none, &done, &e));
    CHECK(stage_path(&o, ".bin", path, &e));
    CHECK(io_write_file(path, STR("caps"), &e));
    CHECK(io_sha256_file(path, hex, &e));
    memcpy(name + strlen(name), ".bin", sizeof ".bin");
    stage_file(&o, name, hex);
    CHECK(stage_commit(&o, &e));
    stage_output_release(&o);
}

/* selected/round-R of these URLs, any order. */
static inline void test_select(struct corpus *c, unsigned round,
                               const char *const *urls, size_t n,
                               unsigned before)
{
    static const struct stage_inputs none;
    struct none_config config = {0};
    const char **v = xmalloc((n + 1) * sizeof *v);
    struct err e = ERR_INIT;
    struct stage stage;
    size_t at = 0;

    memcpy(v, urls, n * sizeof *v);
    sort_corpus = c;
    qsort(v, n, sizeof *v, by_key);
    stage_init(&stage, c, "balance", 1, &no_options, &config, true);
    test_plan(&stage, round);
    for (uint32_t k = 0; k < corpus_buckets(c); k++) {
        char name[STAGE_NAME_MAX], path[IO_PATH_MAX];
        struct stage_output o;
        struct jsonl_writer w;
        bool done;

        snprintf(name, sizeof name, "selected/round-%u/bucket-%04u", round, k);
        CHECK(stage_begin(&stage, &o, name, &none, &done, &e));
        CHECK(stage_path(&o, ".jsonl.zst", path, &e));
        CHECK(jsonl_open_write(&w, path, &e));
        for (;
             at < n && corpus_bucket(c, corpus_url_hash(c, str_of(v[at]))) == k;
             at++)
            write_url(&w, v[at]);
        CHECK(jsonl_publish(&w, &e));
        memcpy(name + strlen(name), ".jsonl.zst", sizeof ".jsonl.zst");
        stage_file(&o, name, w.sha256);
        json_put_u64(&o.more, "passes_before", before);
        CHECK(stage_commit(&o, &e));
        stage_output_release(&o);
    }
    assert_int_equal(at, n);
    stage_release(&stage);
    free(v);
}

/* ---- the tar writer ---- */

static inline int tar_open(void *ctx, const char *path, struct err *e)
{
    return tar_writer_open(ctx, path, e);
}

static inline int tar_add(void *ctx, struct str name, struct str data,
                          uint64_t *offset, struct err *e)
{
    return tar_writer_add(ctx, name, data, offset, e);
}

static inline int tar_publish(void *ctx, char sha256[SHA256_HEX], struct err *e)
{
    struct tar_writer *w = ctx;
    int rc = tar_writer_publish(w, e);

    if (!rc)
        memcpy(sha256, w->file.sha256, SHA256_HEX);
    return rc;
}

static inline void tar_abandon(void *ctx)
{
    tar_writer_abandon(ctx);
}

static inline struct download_tar test_tar(struct tar_writer *w)
{
    return (struct download_tar){w, tar_open, tar_add, tar_publish,
                                 tar_abandon};
}

/* ---- looking at outputs ---- */

/* sha256 over the names and bytes of all of images/'s tars. */
static inline void test_tars(const struct corpus *c, char out[SHA256_HEX])
{
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX];
    struct io_list files;
    struct sha256 h;

    CHECK(corpus_path(c, "images", path, &e));
    CHECK(io_list(path, &files, &e));
    sha256_init(&h);
    for (size_t i = 0; i < files.n; i++) {
        char hex[SHA256_HEX], file[IO_PATH_MAX];

        if (!str_ends(str_of(files.names[i]), STR(".tar")))
            continue;
        CHECK(io_join(file, path, files.names[i], &e));
        CHECK(io_sha256_file(file, hex, &e));
        sha256_add(&h, str_of(files.names[i]));
        sha256_add(&h, str_of(hex));
    }
    sha256_final_hex(&h, out);
    io_list_release(&files);
}

static inline unsigned test_count_files(const struct corpus *c,
                                        const char *suffix)
{
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX];
    struct io_list files;
    unsigned n = 0;

    CHECK(corpus_path(c, "images", path, &e));
    CHECK(io_list(path, &files, &e));
    for (size_t i = 0; i < files.n; i++)
        n += str_ends(str_of(files.names[i]), str_of(suffix));
    io_list_release(&files);
    return n;
}

#endif
