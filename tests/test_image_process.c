/* base/image: the whole of a download, in this process and through the jail. */
#include <stdio.h>
#include <stdlib.h>

#include "base/jail.h"
#include "base/phash.h"
#include "tests/picture.h"

#define TIFF_LE "II*\0\x08\0\0\0"

static struct image resized(const struct image *in, uint32_t width,
                            uint32_t height, enum image_filter filter)
{
    struct image out = IMAGE_INIT;

    assert_int_equal(image_resize(in, width, height, filter, &out), IMAGE_OK);
    assert_int_equal(out.width, width);
    assert_int_equal(out.height, height);
    return out;
}

static struct buf picture_file(uint32_t width, uint32_t height)
{
    struct image m = gradient(width, height);
    struct buf b;

    to_jpeg(&m, 95, &b);
    image_release(&m);
    return b;
}

static void test_image_process__process_stores(void **state)
{
    struct buf b = picture_file(1300, 1000);
    struct image_config c = image_config_default();
    struct image_decode_options o = {.limits = image_limits_default()};
    struct image_header h;
    struct image_result r;
    struct image m = IMAGE_INIT;
    uint8_t sha[SHA256_SIZE];
    bool flat;

    (void)state;
    image_result_init(&r);
    assert_int_equal(image_process(buf_str(&b), &c, &r), IMAGE_OK);
    assert_int_equal(r.reason, IMAGE_OK);
    assert_int_equal(r.format, IMAGE_JPEG);
    assert_int_equal(r.original_width, 1300);
    assert_int_equal(r.original_height, 1000);
    assert_int_equal(r.width, 666); /* 665.6 */
    assert_int_equal(r.height, 512);
    assert_int_equal(r.exif.n, 0);
    assert_int_equal(r.consent, 0);
    hash_sha256(buf_str(&b), sha);
    assert_memory_equal(sha, r.sha256, sizeof sha);
    assert_int_equal(image_decode(buf_str(&r.jpeg), &o, &m, &h, NULL),
                     IMAGE_OK);
    assert_int_equal(m.width, 666);
    assert_int_equal(r.phash,
                     phash_rgb(m.rgb, m.stride, m.width, m.height, &flat));
    assert_false(r.flat);
    image_release(&m);

    /* a refused one leaves nothing of the one before */
    assert_int_equal(image_process(STR("<html>"), &c, &r), IMAGE_NOT);
    assert_int_equal(r.reason, IMAGE_NOT);
    assert_int_equal(r.jpeg.n, 0);
    assert_int_equal(r.width, 0);
    hash_sha256(STR("<html>"), sha);
    assert_memory_equal(sha, r.sha256, sizeof sha);

    /* nor does one whose worker died */
    assert_int_equal(image_process(buf_str(&b), &c, &r), IMAGE_OK);
    image_result_clear(&r, IMAGE_CRASHED);
    assert_int_equal(r.reason, IMAGE_CRASHED);
    assert_int_equal(r.jpeg.n + r.exif.n + r.width + r.original_width, 0);
    assert_int_equal(r.phash, 0);
    image_result_release(&r);
    buf_release(&b);
}

static void test_image_process__process_resizes_by_mode(void **state)
{
    static const struct {
        enum image_resize_mode mode;
        uint32_t size, width, height, to_width, to_height;
    } cases[] = {
        {IMAGE_KEEP_SIZE, 100, 300, 200, 300, 200},
        {IMAGE_SHORTER_SIDE, 100, 300, 200, 150, 100},
        {IMAGE_SHORTER_SIDE, 100, 200, 300, 100, 150},
        {IMAGE_SHORTER_SIDE, 200, 300, 200, 300, 200},
        {IMAGE_SHORTER_SIDE, 250, 300, 200, 300, 200}, /* never enlarged */
        {IMAGE_SHORTER_SIDE, 128, 301, 200, 193, 128}, /* 192.64 */
        {IMAGE_LONGER_SIDE, 150, 300, 200, 150, 100},
        {IMAGE_LONGER_SIDE, 150, 200, 300, 100, 150},
        {IMAGE_LONGER_SIDE, 100, 300, 101, 100, 34}, /* 33.67 */
        {IMAGE_LONGER_SIDE, 300, 300, 200, 300, 200},
        {IMAGE_CENTER_CROP, 100, 300, 200, 100, 100},
        {IMAGE_CENTER_CROP, 400, 300, 200, 200, 200},
    };
    struct image_result r;

    (void)state;
    image_result_init(&r);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct image_config c = image_config_default();
        struct buf b = picture_file(cases[i].width, cases[i].height);

        c.mode = cases[i].mode;
        c.size = cases[i].size;
        assert_int_equal(image_process(buf_str(&b), &c, &r), IMAGE_OK);
        if (r.width != cases[i].to_width || r.height != cases[i].to_height)
            fail_msg("case %zu: %ux%u", i, r.width, r.height);
        assert_int_equal(r.original_width, cases[i].width);
        buf_release(&b);
    }
    image_result_release(&r);
}

/* DCT scaling must not be seen: nearly the same pixels as without. */
static void test_image_process__process_of_large_jpegs(void **state)
{
    struct buf b = picture_file(2400, 1700);
    struct image_decode_options o = {.limits = image_limits_default()};
    struct image_header h;
    struct image full = IMAGE_INIT, half = IMAGE_INIT, a, c;
    double sum = 0;

    (void)state;
    assert_int_equal(image_decode(buf_str(&b), &o, &full, &h, NULL), IMAGE_OK);
    assert_int_equal(full.width, 2400);
    o.keep_width = 500;
    o.keep_height = 400;
    assert_int_equal(image_decode(buf_str(&b), &o, &half, &h, NULL), IMAGE_OK);
    assert_int_equal(half.width, 600); /* a quarter: an eighth is below 500 */
    assert_int_equal(half.height, 425);
    assert_int_equal(h.width, 2400);
    a = resized(&full, 250, 200, IMAGE_BICUBIC);
    c = resized(&half, 250, 200, IMAGE_BICUBIC);
    for (size_t i = 0; i < a.stride * a.height; i++)
        sum += abs(a.rgb[i] - c.rgb[i]);
    assert_true(sum / (double)(a.stride * a.height) < 1.0);
    image_release(&full);
    image_release(&half);
    image_release(&a);
    image_release(&c);
    buf_release(&b);
}

static void test_image_process__process_turns_and_tells(void **state)
{
    struct image_config c = image_config_default();
    struct buf b = picture_file(300, 200);
    struct image_decode_options o = {.limits = image_limits_default()};
    struct image_header h;
    struct image_result r;
    struct image m = IMAGE_INIT;

    (void)state;
    image_result_init(&r);
    jpeg_insert(
        &b, 0xe1,
        STR("Exif\0\0" TIFF_LE "\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"));
    c.keep_original = true; /* it cannot be kept: it lies on its side */
    assert_int_equal(image_process(buf_str(&b), &c, &r), IMAGE_OK);
    assert_int_equal(r.original_width, 200);
    assert_int_equal(r.original_height, 300);
    assert_int_equal(r.width, 200);
    assert_int_equal(r.height, 300);
    assert_true(str_eq(buf_str(&r.exif),
                       STR("{\"Image Orientation\":\"Rotated 90 CW\"}")));
    assert_int_equal(str_find(buf_str(&r.jpeg), STR("Exif"), 0), SIZE_MAX);
    /* red grew to the right, so it grows downwards now */
    assert_int_equal(image_decode(buf_str(&r.jpeg), &o, &m, &h, NULL),
                     IMAGE_OK);
    assert_int_equal(h.orientation, 1);
    assert_true(pixel(&m, 100, 290)[0] > 230 && pixel(&m, 100, 10)[0] < 25);
    image_release(&m);
    image_result_release(&r);
    buf_release(&b);
}

static void test_image_process__process_keeps_originals_on_request(void **state)
{
    struct image_config c = image_config_default();
    struct buf b = picture_file(300, 200), large = picture_file(700, 600);
    struct image_result r;

    (void)state;
    image_result_init(&r);
    c.keep_original = true;
    assert_int_equal(image_process(buf_str(&b), &c, &r), IMAGE_OK);
    assert_true(str_eq(buf_str(&r.jpeg), buf_str(&b)));
    assert_int_equal(r.width, 300);
    assert_int_equal(image_process(buf_str(&large), &c, &r), IMAGE_OK);
    assert_int_equal(r.height, 512);
    c.keep_original = false;
    c.quality = 80;
    assert_int_equal(image_process(buf_str(&b), &c, &r), IMAGE_OK);
    assert_false(str_eq(buf_str(&r.jpeg), buf_str(&b)));
    image_result_release(&r);
    buf_release(&b);
    buf_release(&large);
}

static void test_image_process__process_judges(void **state)
{
    struct image_config c = image_config_default();
    struct image_result r;
    struct buf b;

    (void)state;
    image_result_init(&r);
    b = picture_file(300, 99);
    assert_int_equal(image_process(buf_str(&b), &c, &r), IMAGE_SMALL);
    assert_int_equal(r.original_width, 300); /* said all the same */
    buf_release(&b);
    b = picture_file(310, 100);
    assert_int_equal(image_process(buf_str(&b), &c, &r), IMAGE_ASPECT);
    buf_release(&b);
    b = picture_file(300, 200);
    assert_int_equal(
        image_process(str_slice(buf_str(&b), 0, b.n - 400), &c, &r),
        IMAGE_TRUNCATED);
    c.limits.max_bytes = 1000;
    assert_int_equal(image_process(buf_str(&b), &c, &r), IMAGE_BYTES);
    buf_release(&b);
    image_result_release(&r);
}

/* ---- through the jail ---- */

static void expect_same(const struct image_result *a,
                        const struct image_result *b)
{
    assert_int_equal(a->reason, b->reason);
    assert_int_equal(a->format, b->format);
    assert_int_equal(a->width, b->width);
    assert_int_equal(a->height, b->height);
    assert_int_equal(a->original_width, b->original_width);
    assert_int_equal(a->original_height, b->original_height);
    assert_int_equal(a->phash, b->phash);
    assert_int_equal(a->flat, b->flat);
    assert_memory_equal(a->sha256, b->sha256, SHA256_SIZE);
    assert_true(str_eq(buf_str(&a->exif), buf_str(&b->exif)));
    assert_true(str_eq(buf_str(&a->jpeg), buf_str(&b->jpeg)));
}

static void test_image_process__jail_gives_the_same(void **state)
{
    static const char *const names[] = {
        "grey.jpg",   "progressive.jpg", "cmyk.jpg",      "exif6.jpg",
        "icc.jpg",    "rgba.png",        "palette.png",   "adam7.png",
        "anim.gif",   "offset.gif",      "lossless.webp", "anim.webp",
        "lossy.webp", "turned.avif",     "page.html",     "drawing.svg"};
    struct image_config c = image_config_default();
    struct image_result here, there;
    struct jail_config jc = jail_config_default(image_worker, &c);
    struct jail *j;

    (void)state;
    c.limits = image_limits_decodable();
    jc.workers = 2;
    assert_true(jc.out_max >= IMAGE_PACKED_MAX);
    assert_int_equal(jail_open(&j, &jc, NULL), 0);
    image_result_init(&here);
    image_result_init(&there);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct jail_done d;
        struct buf b;

        fixture(names[i], &b);
        for (int cut = 0; cut < 2; cut++, b.n /= 2) {
            image_process(buf_str(&b), &c, &here);
            assert_int_equal(jail_submit(j, buf_str(&b), NULL, NULL), 0);
            assert_true(jail_wait(j, 30000, &d));
            if (d.outcome != JAIL_DONE)
                fail_msg("%s: outcome %d, signal %d", names[i], d.outcome,
                         d.signal);
            assert_int_equal(d.rc, 0);
            assert_int_equal(image_unpack(d.out, &there), 0);
            expect_same(&here, &there);
        }
        buf_release(&b);
    }
    assert_int_equal(jail_stats_of(j).replaced, 0);
    image_result_release(&here);
    image_result_release(&there);
    jail_close(j);
}

/* A picture that needs more than a worker has is refused, not fatal. */
static void test_image_process__keeps_to_the_workers_memory(void **state)
{
#ifdef WITMILL_SANITIZED
    (void)state;
    print_message("skipped: no memory limit under sanitizers\n");
    skip();
#else
    struct image_config c = image_config_default();
    struct jail_config jc = jail_config_default(image_worker, &c);
    struct buf b = picture_file(5000, 5000), small = picture_file(300, 200);
    struct image_result r;
    struct jail_done d;
    struct jail *j;

    (void)state;
    c.mode = IMAGE_KEEP_SIZE;
    jc.workers = 1;
    jc.memory_max = 150u << 20; /* program and libraries included */
    assert_int_equal(jail_open(&j, &jc, NULL), 0);
    image_result_init(&r);
    assert_int_equal(jail_submit(j, buf_str(&b), NULL, NULL), 0);
    assert_true(jail_wait(j, 30000, &d));
    assert_int_equal(d.outcome, JAIL_DONE);
    assert_int_equal(image_unpack(d.out, &r), 0);
    assert_int_equal(r.reason, IMAGE_MEMORY);
    assert_int_equal(jail_submit(j, buf_str(&small), NULL, NULL), 0);
    assert_true(jail_wait(j, 30000, &d));
    assert_int_equal(image_unpack(d.out, &r), 0);
    assert_int_equal(r.reason, IMAGE_OK);
    image_result_release(&r);
    jail_close(j);
    buf_release(&b);
    buf_release(&small);
#endif
}

/* Whatever a worker that was taken over may answer. */
static void test_image_process__unpack_believes_nothing(void **state)
{
    struct image_config c = image_config_default();
    struct buf b = picture_file(120, 110);
    uint8_t *packed = malloc(IMAGE_PACKED_MAX);
    struct image_result r;
    size_t n;

    (void)state;
    assert_non_null(packed);
    jpeg_insert(
        &b, 0xe1,
        STR("Exif\0\0" TIFF_LE "\1\0\x12\1\3\0\1\0\0\0\1\0\0\0\0\0\0\0"));
    image_result_init(&r);
    assert_int_equal(
        image_worker(&c, buf_str(&b), packed, IMAGE_PACKED_MAX, &n), 0);
    assert_int_equal(image_unpack(str_make((char *)packed, n), &r), 0);
    assert_true(r.exif.n > 0);
    for (size_t cut = 0; cut < n; cut += cut < 200 ? 1 : 101)
        assert_int_equal(image_unpack(str_make((char *)packed, cut), &r),
                         -E_FORMAT);
    /* the header's words, each made absurd */
    for (size_t at = 0; at < 11 * 4; at += 4) {
        uint32_t keep, absurd = 0xfffffff0u;

        memcpy(&keep, packed + at, 4);
        memcpy(packed + at, &absurd, 4);
        if (at != 5 * 4 && at != 6 * 4 && at != 8 * 4) /* original, consent */
            assert_int_equal(image_unpack(str_make((char *)packed, n), &r),
                             -E_FORMAT);
        memcpy(packed + at, &keep, 4);
    }
    /* exif that is no JSON */
    packed[n - r.jpeg.n - 1] = '"';
    assert_int_equal(image_unpack(str_make((char *)packed, n), &r), -E_FORMAT);
    assert_int_equal(image_worker(&c, buf_str(&b), packed, 100, &n), -E_TOOBIG);
    image_result_release(&r);
    free(packed);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_process__process_stores),
        cmocka_unit_test(test_image_process__process_resizes_by_mode),
        cmocka_unit_test(test_image_process__process_of_large_jpegs),
        cmocka_unit_test(test_image_process__process_turns_and_tells),
        cmocka_unit_test(
            test_image_process__process_keeps_originals_on_request),
        cmocka_unit_test(test_image_process__process_judges),
        cmocka_unit_test(test_image_process__jail_gives_the_same),
        cmocka_unit_test(test_image_process__keeps_to_the_workers_memory),
        cmocka_unit_test(test_image_process__unpack_believes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
