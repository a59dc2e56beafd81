/* verify: nothing on a whole corpus; every kind of damage found, named with
 * file and place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "base/image.h"
#include "filter/dedup.h"
#include "shards/index.h"
#include "shards/pack.h"
#include "shards/verify.h"
#include "tests/corpus_fixture.h"
#include "tests/pack_tables.h"

static void gather_line(void *ctx, struct str line)
{
    buf_add(ctx, line);
    buf_add_char(ctx, '\n');
}

/* Damages found; what was said is in lines. */
static uint64_t verify(const struct corpus *c, bool deep, struct buf *lines)
{
    struct verify_config config = {.threads = 2, .deep = deep};
    struct verify_hooks hooks = {lines, gather_line};
    struct verify_summary sum;
    struct err e = ERR_INIT;

    buf_clear(lines);
    if (verify_run(c, &config, &hooks, &sum, &e))
        fail_msg("%s", e.message);
    return sum.damages;
}

static void make_corpus(struct fixture *f, size_t n)
{
    struct dedup_config dedup = {.stage = {.threads = 1}, .radius = 4};
    struct pack_config pack = {.stage = {.threads = 1}, .samples = 12};
    struct dedup_summary d;
    struct pack_summary p;
    struct err e = ERR_INIT;

    fixture_make(f, n, 1, 2, 2);
    if (dedup_run(&f->corpus, &dedup, &dedup_table, NULL, &d, &e) ||
        pack_run(&f->corpus, &pack, &pack_table, NULL, &p, &e))
        fail_msg("%s", e.message);
    tally_release(&d.counts);
    tally_release(&d.drops);
    tally_release(&p.counts);
}

static void flip(const char *path, size_t at)
{
    FILE *f = fopen(path, "r+b");
    int c;

    assert_non_null(f);
    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    c = fgetc(f);
    assert_true(c != EOF);
    assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
    assert_true(fputc(c ^ 0x10, f) != EOF);
    assert_int_equal(fclose(f), 0);
}

static void test_verify__whole_corpus(void **state)
{
    struct fixture f;
    struct buf lines;

    (void)state;
    buf_init(&lines, 1 << 20);
    make_corpus(&f, 60);
    assert_int_equal(verify(&f.corpus, false, &lines), 0);
    assert_int_equal(lines.n, 0);
    buf_release(&lines);
    fixture_remove(&f);
}

/* A bit of a zstd frame's header means nothing to zstd: where the content is
 * still the same, nothing is damaged.  Tars and indexes have no such bits. */
static void record_hash(const char *path, char out[SHA256_HEX])
{
    out[0] = 0;
    if (strstr(path, ".zst") && jsonl_sha256(path, out, NULL))
        out[0] = 0;
}

static bool same_records(const char *path, const char *before)
{
    char now[SHA256_HEX];

    record_hash(path, now);
    return before[0] && !strcmp(before, now);
}

/* Every file that a sidecar stands for, a byte in each 200 of it. */
static void test_verify__flipped_bytes(void **state)
{
    static const char *const folders[] = {"shards", "images", "survivors",
                                          "selected/round-0",
                                          "selected/round-1"};
    struct fixture f;
    struct buf lines;
    size_t flips = 0;

    (void)state;
    buf_init(&lines, 1 << 20);
    make_corpus(&f, 40);
    for (size_t k = 0; k < sizeof folders / sizeof *folders; k++) {
        char folder[IO_PATH_MAX], path[IO_PATH_MAX];
        struct io_list names;
        struct err e = ERR_INIT;

        assert_int_equal(corpus_path(&f.corpus, folders[k], folder, &e), 0);
        assert_int_equal(io_list(folder, &names, &e), 0);
        for (size_t i = 0; i < names.n; i++) {
            char records[SHA256_HEX];
            uint64_t size;

            if (strstr(names.names[i], ".meta.json"))
                continue;
            assert_int_equal(io_join(path, folder, names.names[i], &e), 0);
            assert_int_equal(io_size(path, &size, &e), 0);
            /* 13 of 512: every field of a tar header is met somewhere. */
            record_hash(path, records);
            for (size_t at = i % 7; at < size; at += size / 9 + 13) {
                flip(path, at);
                if (verify(&f.corpus, false, &lines)) {
                    assert_non_null(strstr(lines.p, names.names[i]));
                    assert_non_null(strstr(lines.p, "remove "));
                } else if (!same_records(path, records)) {
                    fail_msg("%s: flipped byte %zu not found", path,
                             (size_t)at);
                }
                flip(path, at);
                flips++;
            }
        }
        io_list_release(&names);
    }
    assert_true(flips > 100);
    assert_int_equal(verify(&f.corpus, false, &lines), 0);
    buf_release(&lines);
    fixture_remove(&f);
}

static void test_verify__missing_cut_and_garbled(void **state)
{
    static const struct {
        const char *command; /* with the corpus as folder */
        const char *said;
    } cases[] = {
        {"rm shards/00001.idx", "00001.idx: is not there"},
        {"truncate -s -512 shards/00000.tar", "without its two zero blocks"},
        {"truncate -s +512 shards/00000.tar", "no end of a tar"},
        {"truncate -s 540 shards/00000.tar", "reaches past the end"},
        {"echo '{' > shards/00000.meta.json", "is no sidecar"},
        {"rm shards/00001.meta.json", "no such shard is done"},
        {"cp shards/00001.idx shards/00000.idx", "is not the index of its tar"},
        {"cp shards/00001.tar shards/00000.tar", "expected 000000"},
        {"rm survivors/bucket-0001.jsonl.zst", "is not there"},
        {"truncate -s -3 selected/round-0/bucket-0000.jsonl.zst", "cut off"},
        {"printf x >> queries.bin", "queries.bin"},
    };
    struct buf lines;

    (void)state;
    buf_init(&lines, 1 << 20);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture f;
        char command[256];

        make_corpus(&f, 40);
        snprintf(command, sizeof command, "cd %s && %s", f.dir,
                 cases[i].command);
        assert_int_equal(system(command), 0);
        assert_true(verify(&f.corpus, false, &lines) > 0);
        if (!strstr(lines.p, cases[i].said))
            fail_msg("%s: said %s", cases[i].command, lines.p);
        fixture_remove(&f);
    }
    buf_release(&lines);
}

/* ---- what a right hash does not excuse ---- */

struct member {
    const char *name, *data;
};

#define UID_X "bb82b7d1cbf1fa1ab7a1b6ac38c3d3a2"
#define JPEG  "\xff\xd8\xff\xd9"
#define META(key, caption, uid)                                                \
    "{\"caption\":\"" caption "\",\"url\":\"http://a.test/x\",\"key\":\"" key  \
    "\",\"uid\":\"" uid "\"}"

/* Publish members as shard 0 with a matching index, sidecar and hashes.
 * first_bytes: of the first one's data, 0: they are C strings. */
static void write_shard(const struct fixture *f, const struct member *m,
                        size_t n, uint64_t samples, size_t first_bytes)
{
    struct pack_config config = {.samples = 10};
    struct stage stage;
    struct stage_output o;
    struct stage_inputs in;
    struct tar_writer w;
    struct tally skipped;
    struct buf index;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX], hex[SHA256_HEX];
    bool done;

    stage_inputs_init(&in);
    tally_init(&skipped);
    buf_init(&index, 1 << 20);
    stage_init(&stage, &f->corpus, "pack", 99, &pack_table, &config, true);
    assert_int_equal(stage_begin(&stage, &o, "shards/00000", &in, &done, &e),
                     0);
    assert_int_equal(stage_path(&o, ".tar", path, &e), 0);
    assert_int_equal(tar_writer_open(&w, path, &e), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(tar_writer_add(&w, str_of(m[i].name),
                                        i == 0 && first_bytes
                                            ? str_make(m[i].data, first_bytes)
                                            : str_of(m[i].data),
                                        NULL, &e),
                         0);
    assert_int_equal(tar_writer_publish(&w, &e), 0);
    stage_file(&o, "shards/00000.tar", w.file.sha256);
    assert_int_equal(index_of_tar(path, INDEX_TXT, &index, &skipped, &e), 0);
    assert_int_equal(stage_path(&o, ".idx", path, &e), 0);
    assert_int_equal(io_write_file(path, buf_str(&index), &e), 0);
    assert_int_equal(io_sha256_file(path, hex, &e), 0);
    stage_file(&o, "shards/00000.idx", hex);
    tally_add(&o.counts, "samples", samples);
    assert_int_equal(stage_commit(&o, &e), 0);
    stage_output_release(&o);
    stage_inputs_release(&in);
    stage_release(&stage);
    tally_release(&skipped);
    buf_release(&index);
}

static void test_verify__wrong_samples(void **state)
{
    /* md5("cap" "http://a.test/x"), filled in below */
    static char meta[4][256];
    static const struct {
        struct member m[3];
        size_t n;
        uint64_t samples;
        const char *said; /* NULL: nothing to say */
    } cases[] = {
        {{{"000000.jpg", JPEG},
          {"000000.json", meta[0]},
          {"000000.txt", "cap"}},
         3,
         1,
         NULL},
        {{{"000000.jpg", JPEG},
          {"000000.json", meta[0]},
          {"000000.txt", "cap"}},
         3,
         2,
         "1 samples, its sidecar counts 2"},
        {{{"000000.jpg", JPEG},
          {"000000.txt", "cap"},
          {"000000.json", meta[0]}},
         3,
         1,
         "expected 000000.json here"},
        {{{"000001.jpg", JPEG},
          {"000001.json", meta[0]},
          {"000001.txt", "cap"}},
         3,
         1,
         "expected 000000.jpg here"},
        {{{"000000.jpg", JPEG}, {"000000.json", meta[0]}, {"", ""}},
         2,
         0,
         "the sample is not complete"},
        {{{"000000.jpg", "GIF89a"},
          {"000000.json", meta[0]},
          {"000000.txt", "cap"}},
         3,
         1,
         "does not begin as a JPEG"},
        {{{"000000.jpg", JPEG "x"},
          {"000000.json", meta[0]},
          {"000000.txt", "cap"}},
         3,
         1,
         "does not end as a JPEG"},
        {{{"000000.jpg", JPEG},
          {"000000.json", meta[0]},
          {"000000.txt", "other"}},
         3,
         1,
         "different captions"},
        {{{"000000.jpg", JPEG},
          {"000000.json", meta[1]},
          {"000000.txt", "cap"}},
         3,
         1,
         "another key"},
        {{{"000000.jpg", JPEG},
          {"000000.json", meta[2]},
          {"000000.txt", "cap"}},
         3,
         1,
         "uid is not the md5"},
        {{{"000000.jpg", JPEG}, {"000000.json", "{,}"}, {"000000.txt", "cap"}},
         3,
         1,
         "JSON"},
    };
    uint8_t uid[MD5_SIZE];
    char hex[2 * MD5_SIZE + 1];
    struct fixture f;
    struct buf lines;

    (void)state;
    pair_uid(STR("cap"), STR("http://a.test/x"), uid);
    hash_hex(uid, MD5_SIZE, hex);
    snprintf(meta[0], sizeof meta[0], META("000000", "cap", "%s"), hex);
    snprintf(meta[1], sizeof meta[1], META("000001", "cap", "%s"), hex);
    snprintf(meta[2], sizeof meta[2], META("000000", "cap", UID_X));
    buf_init(&lines, 1 << 20);
    fixture_make(&f, 5, 1, 1, 1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_shard(&f, cases[i].m, cases[i].n, cases[i].samples, 0);
        assert_int_equal(verify(&f.corpus, false, &lines) > 0,
                         cases[i].said != NULL);
        if (cases[i].said && !strstr(lines.p, cases[i].said))
            fail_msg("case %zu: said %s", i, lines.p);
    }
    buf_release(&lines);
    fixture_remove(&f);
}

/* Records with a right hash in a wrong order, bucket or form. */
static void write_records(const struct fixture *f, const char *name,
                          const struct str *records, size_t n)
{
    struct pack_config config = {.samples = 10};
    struct stage stage;
    struct stage_output o;
    struct stage_inputs in;
    struct jsonl_writer w;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX];
    bool done;

    stage_inputs_init(&in);
    stage_init(&stage, &f->corpus, "gather", 99, &pack_table, &config, true);
    assert_int_equal(stage_begin(&stage, &o, name, &in, &done, &e), 0);
    assert_int_equal(stage_path(&o, ".jsonl.zst", path, &e), 0);
    assert_int_equal(jsonl_open_write(&w, path, &e), 0);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(jsonl_write(&w, records[i], &e), 0);
    assert_int_equal(jsonl_publish(&w, &e), 0);
    snprintf(path, sizeof path, "%s.jsonl.zst", name);
    stage_file(&o, path, w.sha256);
    assert_int_equal(stage_commit(&o, &e), 0);
    stage_output_release(&o);
    stage_inputs_release(&in);
    stage_release(&stage);
}

static void test_verify__wrong_records(void **state)
{
    struct fixture f;
    struct buf lines, one, two, bad;
    struct pair p, q;

    (void)state;
    buf_init(&lines, 1 << 20);
    buf_init(&one, 4096);
    buf_init(&two, 4096);
    buf_init(&bad, 4096);
    fixture_make(&f, 20, 1, 1, 1);
    p = fixture_pair(&f.urls[0], &f.urls[0].pairs[0]);
    q = fixture_pair(&f.urls[1], &f.urls[1].pairs[0]);
    pair_write(&p, &one);
    pair_write(&q, &two);
    p.uid[0] ^= 1;
    pair_write(&p, &bad);
    {
        const struct str right[] = {buf_str(&one), buf_str(&two)};
        const struct str back[] = {buf_str(&two), buf_str(&one)};
        const struct str twice[] = {buf_str(&one), buf_str(&one)};
        const struct str no_pair[] = {STR("{\"a\":1}")};
        const struct str other_uid[] = {buf_str(&bad)};
        const char *name = "unique/bucket-0000";
        uint32_t bucket = corpus_bucket(&f.corpus, f.urls[1].h);

        assert_int_equal(bucket, 0); /* of 20 URLs the first two */
        write_records(&f, name, right, 2);
        verify(&f.corpus, true, &lines); /* the images are no real ones */
        assert_null(strstr(lines.p, "unique/"));
        write_records(&f, name, back, 2);
        assert_int_equal(verify(&f.corpus, false, &lines), 1);
        assert_non_null(strstr(lines.p, "line 2: is not behind"));
        write_records(&f, name, twice, 2);
        assert_int_equal(verify(&f.corpus, false, &lines), 1);
        write_records(&f, name, no_pair, 1);
        assert_int_equal(verify(&f.corpus, false, &lines), 1);
        assert_non_null(strstr(lines.p, "line 1: no pair"));
        write_records(&f, name, other_uid, 1);
        assert_int_equal(verify(&f.corpus, false, &lines), 0);
        verify(&f.corpus, true, &lines);
        assert_non_null(strstr(lines.p, "line 1: its uid is not the md5"));
        write_records(&f, name, right, 2);
        write_records(&f, "unique/bucket-0001", right, 2);
        assert_int_equal(verify(&f.corpus, false, &lines), 2);
        assert_non_null(strstr(lines.p, "another bucket"));
    }
    buf_release(&lines);
    buf_release(&one);
    buf_release(&two);
    buf_release(&bad);
    fixture_remove(&f);
}

/* A real JPEG passes; one with sound ends and a hole only --deep sees. */
static void test_verify__deep_decodes(void **state)
{
    struct image image = IMAGE_INIT;
    struct buf jpeg, lines;
    struct member m[3] = {
        {"000000.jpg", ""}, {"000000.json", ""}, {"000000.txt", "cap"}};
    uint8_t uid[MD5_SIZE];
    char hex[2 * MD5_SIZE + 1], text[256];
    struct fixture f;

    (void)state;
    buf_init(&jpeg, 1 << 20);
    buf_init(&lines, 1 << 20);
    pair_uid(STR("cap"), STR("http://a.test/x"), uid);
    hash_hex(uid, MD5_SIZE, hex);
    snprintf(text, sizeof text, META("000000", "cap", "%s"), hex);
    m[1].data = text;
    fixture_make(&f, 5, 1, 1, 1);
    assert_int_equal(image_alloc(&image, 32, 24), IMAGE_OK);
    memset(image.rgb, 99, 24 * image.stride);
    assert_int_equal(image_encode_jpeg(&image, 90, &jpeg), IMAGE_OK);
    image_release(&image);
    m[0].data = jpeg.p;
    write_shard(&f, m, 3, 1, jpeg.n);
    verify(&f.corpus, true, &lines);
    assert_null(strstr(lines.p ? lines.p : "", "shards/"));
    m[0].data = "\xff\xd8\xff\xe0 hole \xff\xd9";
    write_shard(&f, m, 3, 1, 0);
    assert_int_equal(verify(&f.corpus, false, &lines), 0);
    assert_true(verify(&f.corpus, true, &lines) > 0);
    assert_non_null(strstr(lines.p, "000000.jpg at byte 512: does not decode"));
    buf_release(&jpeg);
    buf_release(&lines);
    fixture_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify__whole_corpus),
        cmocka_unit_test(test_verify__flipped_bytes),
        cmocka_unit_test(test_verify__missing_cut_and_garbled),
        cmocka_unit_test(test_verify__wrong_samples),
        cmocka_unit_test(test_verify__wrong_records),
        cmocka_unit_test(test_verify__deep_decodes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
