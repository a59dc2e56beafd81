/* base/image: resampling, encoding, EXIF, and the whole of a download, in this
 * process and through the jail. */
#include <stdio.h>
#include <stdlib.h>

#include "base/jail.h"
#include "base/phash.h"
#include "tests/oracle.h"
#include "tests/picture.h"

static struct image lcg_picture(uint32_t width, uint32_t height)
{
    struct image m = IMAGE_INIT;
    uint32_t state = 12345;

    assert_int_equal(image_alloc(&m, width, height), IMAGE_OK);
    for (size_t i = 0; i < m.stride * height; i++) {
        state = (state * 1103515245u + 12345u) & 0x7fffffffu;
        m.rgb[i] = (uint8_t)(state >> 16);
    }
    return m;
}

static struct image resized(const struct image *in, uint32_t width,
                            uint32_t height, enum image_filter filter)
{
    struct image out = IMAGE_INIT;

    assert_int_equal(image_resize(in, width, height, filter, &out), IMAGE_OK);
    assert_int_equal(out.width, width);
    assert_int_equal(out.height, height);
    return out;
}

/* ---- resampling ---- */

static void test_image__resizes_as_pillow_to_the_bit(void **state)
{
    struct oracle o;
    unsigned cases = 0;

    (void)state;
    oracle_open(&o, "/usr/bin/python3 tests/oracle_image.py resize");
    while (oracle_next(&o)) {
        char name[16];
        unsigned w, h, tw, th;
        enum image_filter f;
        struct image in, out;

        assert_int_equal(
            sscanf(o.in.p, "%15s %u %u %u %u", name, &w, &h, &tw, &th), 5);
        assert_true(image_filter_find(str_of(name), &f));
        in = lcg_picture(w, h);
        out = resized(&in, tw, th, f);
        assert_int_equal(o.want.n, out.stride * th);
        for (size_t i = 0; i < o.want.n; i++)
            if (out.rgb[i] != (uint8_t)o.want.p[i])
                fail_msg("%s: byte %zu is %u, not %u", o.in.p, i, out.rgb[i],
                         (uint8_t)o.want.p[i]);
        image_release(&in);
        image_release(&out);
        cases++;
    }
    if (!oracle_close(&o)) {
        print_message("skipped: no Pillow\n");
        skip();
    }
    assert_int_equal(cases, 48);
}

/* Frozen where Pillow is absent. Equal to it when these were written down. */
static void test_image__resize_golden(void **state)
{
    static const uint64_t want[IMAGE_FILTERS][2] = {
        {0xf23409c6735941c4, 0x6b722ab53ea4c1f5},
        {0x1ef8d5e30ead4c72, 0x311f0dcb7d6f4767},
        {0x2efdc92e4f2b6f65, 0x64a77ae3ec21d345},
        {0x671e4e1480b2e56a, 0x30f7f67b6051c59e}};
    struct image in = lcg_picture(97, 61);

    (void)state;
    for (int f = 0; f < IMAGE_FILTERS; f++) {
        struct image small = resized(&in, 40, 23, (enum image_filter)f);
        struct image large = resized(&in, 120, 100, (enum image_filter)f);
        uint64_t a =
            hash_xxh3(str_make((char *)small.rgb, small.stride * small.height));
        uint64_t b =
            hash_xxh3(str_make((char *)large.rgb, large.stride * large.height));

        if (a != want[f][0] || b != want[f][1])
            fail_msg("%s: %llx %llx", image_filter_name((enum image_filter)f),
                     (unsigned long long)a, (unsigned long long)b);
        image_release(&small);
        image_release(&large);
    }
    image_release(&in);
}

static void test_image__resizes_views(void **state)
{
    struct image in = lcg_picture(90, 70), tight = IMAGE_INIT;
    struct image view = image_view(&in, 11, 7, 50, 40), a, b;

    (void)state;
    assert_int_equal(image_alloc(&tight, 50, 40), IMAGE_OK);
    for (uint32_t y = 0; y < 40; y++)
        memcpy(tight.rgb + y * tight.stride, view.rgb + y * view.stride,
               tight.stride);
    for (int i = 0; i < 4; i++) {
        uint32_t w = i & 1 ? 50 : 20, h = i & 2 ? 40 : 9;

        a = resized(&view, w, h, IMAGE_BICUBIC);
        b = resized(&tight, w, h, IMAGE_BICUBIC);
        assert_memory_equal(a.rgb, b.rgb, a.stride * h);
        image_release(&a);
        image_release(&b);
    }
    image_release(&in);
    image_release(&tight);
}

/* ---- encoding ---- */

static void test_image__encodes(void **state)
{
    struct image m = gradient(300, 200), again = IMAGE_INIT;
    struct image_decode_options o = {.limits = image_limits_default()};
    struct image_header h;
    struct buf a, b, coarse;
    int worst = 0;

    (void)state;
    to_jpeg(&m, 95, &a);
    to_jpeg(&m, 95, &b);
    to_jpeg(&m, 30, &coarse);
    assert_true(str_eq(buf_str(&a), buf_str(&b)));
    assert_true(coarse.n < a.n);
    assert_int_equal(image_decode(buf_str(&a), &o, &again, &h, NULL), IMAGE_OK);
    for (size_t i = 0; i < m.stride * m.height; i++) {
        int d = abs(m.rgb[i] - again.rgb[i]);

        worst = d > worst ? d : worst;
    }
    assert_in_range(worst, 0, 16);
    image_release(&again);
    image_release(&m);
    buf_release(&a);
    buf_release(&b);
    buf_release(&coarse);
}

/* At every ceiling: the whole JPEG, or a verdict and the buffer as it was. */
static void test_image__encoding_keeps_to_its_ceiling(void **state)
{
    struct image m = lcg_picture(300, 300); /* noise: over one step of output */
    struct buf whole;

    (void)state;
    to_jpeg(&m, 95, &whole);
    assert_true(whole.n > 66000);
    for (size_t max = 0; max < whole.n + 300; max += 997) {
        struct buf b;
        enum image_reason r;

        buf_init(&b, max + 3);
        buf_add(&b, STR("abc"));
        r = image_encode_jpeg(&m, 95, &b);
        if (max >= whole.n) {
            assert_int_equal(r, IMAGE_OK);
            assert_int_equal(b.n, whole.n + 3);
            assert_memory_equal(b.p + 3, whole.p, whole.n);
        } else {
            assert_int_equal(r, IMAGE_BYTES);
            assert_int_equal(b.n, 3);
        }
        assert_memory_equal(b.p, "abc", 3);
        buf_release(&b);
    }
    buf_release(&whole);
    image_release(&m);
}

/* ---- exif ---- */

#define TIFF_LE "II*\0\x08\0\0\0"
#define TIFF_BE "MM\0*\0\0\0\x08"

static void test_image__reads_exif(void **state)
{
    static const struct {
        struct str tiff;
        unsigned orientation;
        const char *json; /* "": nothing */
    } cases[] = {
        {STR(TIFF_LE "\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"), 6,
         "{\"Image Orientation\":\"Rotated 90 CW\"}"},
        {STR(TIFF_BE "\0\1\1\x12\0\3\0\0\0\1\0\3\0\0\0\0\0\0"), 3,
         "{\"Image Orientation\":\"Rotated 180\"}"},
        /* a value of 9 is none */
        {STR(TIFF_LE "\1\0\x12\1\3\0\1\0\0\0\x09\0\0\0\0\0\0\0"), 1,
         "{\"Image Orientation\":\"9\"}"},
        /* text behind the directory, in quotes, with spaces around */
        {STR(TIFF_LE "\1\0\x0f\1\2\0\6\0\0\0\x1a\0\0\0\0\0\0\0 \"a\" \0"), 1,
         "{\"Image Make\":\"\\\"a\\\"\"}"},
        /* exposure 10/600 and f/2.8 in the EXIF directory; bias -1/3 */
        {STR(TIFF_BE
             "\0\1\x87\x69\0\4\0\0\0\1\0\0\0\x1a\0\0\0\0"
             "\0\3\x82\x9a\0\5\0\0\0\1\0\0\0\x44\x82\x9d\0\5\0\0\0\1\0\0\0\x4c"
             "\x92\4\0\x0a\0\0\0\1\0\0\0\x54\0\0\0\0"
             "\0\0\0\x0a\0\0\2\x58\0\0\0\x1c\0\0\0\x0a"
             "\xff\xff\xff\xff\0\0\0\3"),
         1,
         "{\"EXIF ExposureTime\":\"1/60\",\"EXIF FNumber\":\"14/5\","
         "\"EXIF ExposureBiasValue\":\"-1/3\"}"},
        /* where somebody was is not read */
        {STR(TIFF_LE "\1\0\x25\x88\4\0\1\0\0\0\x1a\0\0\0\0\0\0\0"
                     "\1\0\1\0\2\0\2\0\0\0N\0\0\0\0\0\0\0"),
         1, ""},
        /* invalid UTF-8 */
        {STR(TIFF_LE "\1\0\x0f\1\2\0\4\0\0\0\xff\xfe\x61\0\0\0\0\0"), 1, ""},
        /* broken in many ways */
        {STR(""), 1, ""},
        {STR("II*\0"), 1, ""},
        {STR("IM*\0\x08\0\0\0\1\0"), 1, ""},
        {STR("II*\0\xff\xff\xff\xff\1\0"), 1, ""},
        {STR(TIFF_LE "\xff\xff\x12\1"), 1, ""},
        {STR(TIFF_LE "\1\0\x12\1\3\0\1\0\0\0\6\0\0"), 1, ""},
        {STR(TIFF_LE "\1\0\x12\1\x63\0\1\0\0\0\6\0\0\0"), 1, ""},
        {STR(TIFF_LE "\1\0\x0f\1\2\0\xff\xff\xff\xff\1\0\0\0"), 1, ""},
        {STR(TIFF_LE "\1\0\x0f\1\2\0\0\0\0\0\1\0\0\0"), 1, ""},
        /* the EXIF directory is the first one again */
        {STR(TIFF_LE "\1\0\x69\x87\4\0\1\0\0\0\x08\0\0\0\0\0\0\0"), 1, ""},
        /* a ratio with nothing below */
        {STR(TIFF_LE "\1\0\x1a\1\5\0\1\0\0\0\x1a\0\0\0\0\0\0\0"
                     "\x07\0\0\0\0\0\0\0"),
         1, "{\"Image XResolution\":\"1/0\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* a copy of its own, so that sanitizers see its end */
        char *copy = malloc(cases[i].tiff.n + 1);
        struct str tiff = str_make(copy, cases[i].tiff.n);
        struct buf json;

        assert_non_null(copy);
        memcpy(copy, cases[i].tiff.p, tiff.n);
        buf_init(&json, IMAGE_EXIF_MAX);
        if (image_exif_orientation(tiff) != cases[i].orientation)
            fail_msg("case %zu: orientation %u", i,
                     image_exif_orientation(tiff));
        image_exif_json(tiff, &json);
        if (!str_eq(buf_str(&json), str_of(cases[i].json)))
            fail_msg("case %zu: %s", i, buf_str(&json).p);
        buf_release(&json);
        free(copy);
    }
}

static void test_image__exif_keeps_to_its_ceiling(void **state)
{
    struct str tiff = STR(TIFF_LE "\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0");
    struct buf b;

    (void)state;
    buf_init(&b, 20);
    buf_add(&b, STR("x"));
    image_exif_json(tiff, &b);
    assert_true(str_eq(buf_str(&b), STR("x")));
    assert_int_equal(b.rc, 0);
    buf_release(&b);
}

/* ---- process ---- */

static struct buf picture_file(uint32_t width, uint32_t height)
{
    struct image m = gradient(width, height);
    struct buf b;

    to_jpeg(&m, 95, &b);
    image_release(&m);
    return b;
}

static void test_image__process_stores(void **state)
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
    image_result_release(&r);
    buf_release(&b);
}

static void test_image__process_resizes_by_mode(void **state)
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
static void test_image__process_of_large_jpegs(void **state)
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

static void test_image__process_turns_and_tells(void **state)
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

static void test_image__process_keeps_originals_on_request(void **state)
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

static void test_image__process_judges(void **state)
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

static void test_image__jail_gives_the_same(void **state)
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

/* Whatever a worker that was taken over may answer. */
static void test_image__unpack_believes_nothing(void **state)
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
        cmocka_unit_test(test_image__resizes_as_pillow_to_the_bit),
        cmocka_unit_test(test_image__resize_golden),
        cmocka_unit_test(test_image__resizes_views),
        cmocka_unit_test(test_image__encodes),
        cmocka_unit_test(test_image__encoding_keeps_to_its_ceiling),
        cmocka_unit_test(test_image__reads_exif),
        cmocka_unit_test(test_image__exif_keeps_to_its_ceiling),
        cmocka_unit_test(test_image__process_stores),
        cmocka_unit_test(test_image__process_resizes_by_mode),
        cmocka_unit_test(test_image__process_of_large_jpegs),
        cmocka_unit_test(test_image__process_turns_and_tells),
        cmocka_unit_test(test_image__process_keeps_originals_on_request),
        cmocka_unit_test(test_image__process_judges),
        cmocka_unit_test(test_image__jail_gives_the_same),
        cmocka_unit_test(test_image__unpack_believes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
