/* against_images: which hashes an evaluation set's samples are compared by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/image.h"
#include "base/log.h"
#include "shards/tar_write.h"
#include "tests/folder.h"
#include "tests/small_jpeg.h"
#include "tools/against_images.h"

#define SHA "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static void must(int rc, const struct err *e)
{
    if (rc) {
        fprintf(stderr, "%d: %s\n", rc, e->message);
        abort();
    }
}

static const struct str red = {(char *)(uintptr_t)small_jpeg_red,
                               sizeof small_jpeg_red};
static const struct str blue = {(char *)(uintptr_t)small_jpeg_blue,
                                sizeof small_jpeg_blue};

static void put_tar(const char *name)
{
    const struct {
        const char *name;
        struct str bytes;
    } members[] = {
        {"0.jpg", red},
        {"1.jpg", blue}, /* both hashes known: not decoded */
        {"1.json", STR("{\"sha256\":\"" SHA "\",\"phash\":"
                       "\"0123456789abcdeF\"}")},
        {"2.jpg", STR("no picture")},
        {"3.jpg", blue}, /* the original's sha256 is known */
        {"3.json", STR("{\"sha256\":\"" SHA "\"}")},
        {"4.jpg", red}, /* hashes of a wrong form are none */
        {"4.json", STR("{\"sha256\":\"12\",\"phash\":\"x123456789abcdef\"}")},
        {"5.txt", STR("no image")},
    };
    struct err e = ERR_INIT;
    struct tar_writer w;

    must(tar_writer_open(&w, at(name), &e), &e);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        must(tar_writer_add(&w, str_of(members[i].name), members[i].bytes, NULL,
                            &e),
             &e);
    must(tar_writer_publish(&w, &e), &e);
}

static uint64_t phash_as_downloaded(struct str bytes, struct image_config c,
                                    uint8_t *sha)
{
    struct image_result r;
    uint64_t phash;

    c.limits = image_limits_decodable();
    image_result_init(&r);
    assert_int_equal(image_process(bytes, &c, &r), IMAGE_OK);
    assert_false(r.flat);
    phash = r.phash;
    memcpy(sha, r.sha256, DEDUP_SET_SHA);
    image_result_release(&r);
    return phash;
}

static void check(const struct dedup_set *set, size_t i, const uint8_t *sha,
                  const uint64_t *phash)
{
    assert_true(set->images[i].has_sha);
    assert_memory_equal(set->images[i].sha, sha, DEDUP_SET_SHA);
    assert_int_equal(set->images[i].has_phash, phash != NULL);
    if (phash)
        assert_true(set->images[i].phash == *phash);
}

static void check_hashes(struct image_config config)
{
    static const uint8_t given[] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55,
                                    0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
                                    0xcc, 0xdd, 0xee, 0xff};
    const uint64_t told = UINT64_C(0x0123456789abcdef);
    uint8_t red_sha[32], blue_sha[32], junk_sha[32];
    uint64_t red_phash = phash_as_downloaded(red, config, red_sha);
    uint64_t blue_phash = phash_as_downloaded(blue, config, blue_sha);
    struct dedup_set set;
    struct tally counts;
    struct err e = ERR_INIT;
    const char *path;
    struct opt_list paths = {&path, 1};

    put_tar("set.tar");
    path = at("set.tar");
    dedup_set_init(&set);
    tally_init(&counts);
    must(against_images(&paths, 2, &config, &set, &counts, &e), &e);
    assert_int_equal(set.n, 5);
    assert_int_equal(set.inputs.n, 1);
    hash_sha256(STR("no picture"), junk_sha);
    check(&set, 0, red_sha, &red_phash);
    check(&set, 1, given, &told);
    check(&set, 2, junk_sha, NULL);
    check(&set, 3, given, &blue_phash);
    check(&set, 4, red_sha, &red_phash);
    assert_true(str_ends(dedup_set_name(&set, 3), STR("set.tar/3")));
    assert_int_equal(tally_get(&counts, "images"), 5);
    assert_int_equal(tally_get(&counts, "phashes"), 4);
    assert_int_equal(tally_get(&counts, "undecoded"), 1);
    assert_int_equal(
        tally_get(&counts, "without-image") + tally_get(&counts, "nothing"), 1);
    tally_release(&counts);
    dedup_set_release(&set);
}

/* As the corpus' images were made: by default, and small and coarse. */
static void test_against_images__hashes(void **state)
{
    struct image_config small = {.mode = IMAGE_CENTER_CROP,
                                 .size = 5,
                                 .filter = IMAGE_BICUBIC,
                                 .quality = 10};
    uint8_t sha[32];

    (void)state;
    check_hashes(image_config_default());
    check_hashes(small);
    assert_true(phash_as_downloaded(red, small, sha) !=
                phash_as_downloaded(red, image_config_default(), sha));
}

/* ---- how images/ was made ---- */

struct made {
    uint64_t image_size, quality;
    int resize;
};

static const struct opt made_rows[] = {
    {.name = "image-size",
     .type = OPT_U64,
     .at = offsetof(struct made, image_size),
     .flags = OPT_BYTES,
     .help = "Size."},
    {.name = "resize",
     .type = OPT_CHOICE,
     .at = offsetof(struct made, resize),
     .choices = image_resize_names,
     .flags = OPT_BYTES,
     .help = "How."},
    {.name = "quality",
     .type = OPT_U64,
     .at = offsetof(struct made, quality),
     .flags = OPT_BYTES,
     .help = "Quality."},
};

static void put_group(const struct corpus *c, const char *name,
                      const struct made *made)
{
    static const struct opt_table table = {.command = "test",
                                           .synopsis = "CORPUS",
                                           .summary = "A test.",
                                           .examples = "witmill test x",
                                           .rows = made_rows,
                                           .n = sizeof made_rows /
                                                sizeof *made_rows,
                                           .config_size = sizeof(struct made)};
    struct stage_inputs in;
    struct stage_output o;
    struct err e = ERR_INIT;
    struct stage s;
    bool done;

    stage_inputs_init(&in);
    stage_init(&s, c, "download", 1, &table, made, true);
    must(stage_begin(&s, &o, name, &in, &done, &e), &e);
    stage_file(&o, "images/group.tar", SHA);
    must(stage_commit(&o, &e), &e);
    stage_output_release(&o);
    stage_release(&s);
    stage_inputs_release(&in);
}

static void check_config(const struct corpus *c, enum image_resize_mode mode,
                         uint32_t size, int quality)
{
    struct image_config got, standard = image_config_default();
    struct err e = ERR_INIT;

    must(against_images_config(c, &got, &e), &e);
    assert_int_equal(got.mode, mode);
    assert_int_equal(got.size, size);
    assert_int_equal(got.quality, quality);
    assert_int_equal(got.filter, standard.filter);
}

static void test_against_images__config(void **state)
{
    struct made small = {96, 40, IMAGE_LONGER_SIDE}, other = {512, 95, 1};
    struct image_config got;
    struct err e = ERR_INIT;
    struct corpus c = {.head = {.seed = 0}};

    (void)state;
    log_quiet(true);
    snprintf(c.dir, sizeof c.dir, "%s/corpus", folder);
    check_config(&c, IMAGE_SHORTER_SIDE, 512, 95); /* nothing downloaded */
    put_group(&c, "images/003-00", &small);
    put_group(&c, "images/003-01", &small);
    check_config(&c, IMAGE_LONGER_SIDE, 96, 40);
    put_group(&c, "images/200-00", &other);
    check_config(&c, IMAGE_LONGER_SIDE, 96, 40); /* with a warning */
    small.quality = 101;
    put_group(&c, "images/001-00", &small);
    assert_int_equal(against_images_config(&c, &got, &e), -E_DAMAGED);
    assert_non_null(strstr(e.message, "images/001-00"));
    small.quality = 1;
    small.image_size = 0;
    put_group(&c, "images/001-00", &small);
    assert_int_equal(against_images_config(&c, &got, &e), -E_DAMAGED);
    log_quiet(false);
}

/* Lines have hashes alone: of a ledger, where few bits may be exempt. */
static void test_against_images__lines(void **state)
{
    static const char lines[] =
        "{\"phash\":\"0123456789abcdef\"}\n"
        "{\"sha256\":\"" SHA "\",\"phash\":\"0123456789abcdef\","
        "\"phash_exempt\":true}\n"
        "{\"phash\":\"0123456789abcdef\",\"phash_exempt\":true}\n";
    struct image_config config = image_config_default();
    struct dedup_set set;
    struct tally counts;
    struct err e = ERR_INIT;
    const char *path;
    struct opt_list paths = {&path, 1};

    (void)state;
    path = at("hashes.jsonl");
    must(io_write_file(path, STR(lines), &e), &e);
    dedup_set_init(&set);
    tally_init(&counts);
    must(against_images(&paths, 1, &config, &set, &counts, &e), &e);
    assert_int_equal(set.n, 2);
    assert_false(set.images[0].has_sha);
    assert_true(set.images[0].has_phash);
    assert_true(set.images[0].phash == UINT64_C(0x0123456789abcdef));
    assert_true(set.images[1].has_sha);
    assert_false(set.images[1].has_phash);
    assert_int_equal(tally_get(&counts, "nothing"), 1);
    tally_release(&counts);
    dedup_set_release(&set);
}

static void test_against_images__needs_one(void **state)
{
    struct image_config config = image_config_default();
    struct dedup_set set;
    struct tally counts;
    struct err e = ERR_INIT;
    const char *path;
    struct opt_list paths = {&path, 1};

    (void)state;
    path = at("texts.jsonl");
    must(io_write_file(path, STR("{\"text\":\"a dog\"}\n"), &e), &e);
    dedup_set_init(&set);
    tally_init(&counts);
    assert_int_equal(against_images(&paths, 1, &config, &set, &counts, &e),
                     -E_USAGE);
    tally_release(&counts);
    dedup_set_release(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_images__hashes),
        cmocka_unit_test(test_against_images__config),
        cmocka_unit_test(test_against_images__lines),
        cmocka_unit_test(test_against_images__needs_one),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
