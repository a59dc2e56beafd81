/* base/image, reading: sniffing, limits, formats, what counts as whole, EXIF.
 * tests/test_image_process.c has the rest, test_image_suites.c real files. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "tests/picture.h"

static enum image_reason decode(struct str bytes, unsigned flags,
                                struct image *m, struct image_header *h)
{
    struct image_decode_options o = {.limits = image_limits_decodable(),
                                     .flags = flags};

    *m = (struct image)IMAGE_INIT;
    return image_decode(bytes, &o, m, h, NULL);
}

static void test_image__reasons_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < IMAGE_REASONS; i++) {
        const char *name = image_reason_name((enum image_reason)i);
        enum image_reason found;

        assert_true(image_reason_find(str_of(name), &found));
        assert_int_equal(found, i);
        for (const char *c = name; *c; c++)
            assert_true((*c >= 'a' && *c <= 'z') || *c == '-');
    }
    assert_false(image_reason_find(STR("no-such"), &(enum image_reason){0}));
}

static void test_image__sniffs_by_magic(void **state)
{
    static const struct {
        struct str bytes;
        enum image_reason reason;
        enum image_format format;
    } cases[] = {
        {{"", 0}, IMAGE_EMPTY, 0},
        {{"\xff\xd8\xff\xe0", 4}, IMAGE_OK, IMAGE_JPEG},
        {{"\xff\xd8", 2}, IMAGE_NOT, 0},
        {{"\x89PNG\r\n\x1a\n", 8}, IMAGE_OK, IMAGE_PNG},
        {{"\x89PNG\n\x1a\n", 7}, IMAGE_NOT, 0}, /* went through text mode */
        {{"RIFF\4\0\0\0WEBPVP8 ", 16}, IMAGE_OK, IMAGE_WEBP},
        {{"RIFF\4\0\0\0WAVEfmt ", 16}, IMAGE_NOT, 0},
        {{"XXXX\4\0\0\0WEBPVP8 ", 16}, IMAGE_NOT, 0},
        {{"GIF87a", 6}, IMAGE_OK, IMAGE_GIF},
        {{"GIF89a", 6}, IMAGE_OK, IMAGE_GIF},
        {{"GIF88a", 6}, IMAGE_NOT, 0},
        {{"\0\0\0\x20"
          "ftypavif",
          12},
         IMAGE_OK,
         IMAGE_AVIF},
        {{"\0\0\0\x18"
          "ftypmif1\0\0\0\0miafavif",
          24},
         IMAGE_OK,
         IMAGE_AVIF},
        {{"\0\0\0\x18"
          "ftypmif1\0\0\0\0miafheic",
          24},
         IMAGE_UNSUPPORTED,
         0},
        {{"\0\0\0\x18"
          "ftypheic\0\0\0\0mif1heic",
          24},
         IMAGE_UNSUPPORTED,
         0},
        {{"\0\0\0\x18"
          "ftypmp42\0\0\0\0isommp42",
          24},
         IMAGE_NOT,
         0},
        {{"BM\x36\0\0\0", 6}, IMAGE_UNSUPPORTED, 0},
        {{"\0\0\1\0\1\0", 6}, IMAGE_UNSUPPORTED, 0},
        {{"II*\0", 4}, IMAGE_UNSUPPORTED, 0},
        {{"<svg xmlns='x'>", 15}, IMAGE_UNSUPPORTED, 0},
        {{"\xef\xbb\xbf <?xml?><!-- > -->\n<svg>", 27}, IMAGE_UNSUPPORTED, 0},
        {{"<?xml?><!DOCTYPE svg PUBLIC", 27}, IMAGE_UNSUPPORTED, 0},
        {{"<html><svg>", 11}, IMAGE_NOT, 0},
        {{"<!DOCTYPE html><svg>", 20}, IMAGE_NOT, 0},
        {{"<!-- no end <svg>", 17}, IMAGE_NOT, 0},
        {{"PK\3\4", 4}, IMAGE_NOT, 0},
        {{"%PDF-1.7", 8}, IMAGE_NOT, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum image_format f;
        enum image_reason r = image_sniff(cases[i].bytes, &f);

        if (r != cases[i].reason || f != cases[i].format)
            fail_msg("case %zu: %s, %s", i, image_reason_name(r),
                     image_format_name(f));
    }
}

static void test_image__limits(void **state)
{
    static const struct {
        uint32_t width, height;
        enum image_reason reason;
    } cases[] = {
        {100, 100, IMAGE_OK},         {99, 100, IMAGE_SMALL},
        {100, 99, IMAGE_SMALL},       {100, 300, IMAGE_OK},
        {300, 100, IMAGE_OK},         {100, 301, IMAGE_ASPECT},
        {301, 100, IMAGE_ASPECT},     {10000, 10000, IMAGE_OK},
        {10000, 10001, IMAGE_LARGE},  {50000, 50000, IMAGE_LARGE},
        {0, 100, IMAGE_CORRUPT},      {0x7fffffff, 0x7fffffff, IMAGE_LARGE},
        {1, 2000000000, IMAGE_LARGE},
    };
    struct image_limits l = image_limits_default();
    struct buf b;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct image_header h;
        enum image_reason r;

        png_begin(&b, cases[i].width, cases[i].height, 8, 2);
        r = image_header(buf_str(&b), &l, &h);
        if (r != cases[i].reason)
            fail_msg("%ux%u: %s", cases[i].width, cases[i].height,
                     image_reason_name(r));
        assert_int_equal(h.width, cases[i].width);
        assert_int_equal(h.height, cases[i].height);
        buf_release(&b);
    }
    png_begin(&b, 100, 100, 8, 2);
    l.max_bytes = b.n - 1;
    assert_int_equal(image_header(buf_str(&b), &l, &(struct image_header){0}),
                     IMAGE_BYTES);
    buf_release(&b);
}

static long resident_kib(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

/* Ten gigapixels in a few bytes: refused by their headers, in every format. */
static void test_image__bombs_cost_no_memory(void **state)
{
    static const struct {
        struct str bytes;
        const char *what;
    } bombs[] = {
        {{"\xff\xd8\xff\xc0\0\x11\x08\xff\xdc\xff\xdc\3\1\x22\0\2\x11\1\3\x11\1"
          "\xff\xda\0\x0c\3\1\0\2\x11\3\x11\0\x3f\0",
          35},
         "jpeg 65500 x 65500"},
        {{"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xc3\x50\0\0\xc3\x50\x8\x6\0\0\0"
          "\0\0\0\0",
          33},
         "png 50000 x 50000"},
        {{"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff"
          "\xff\xff\0\2\2L\1\0;",
          34},
         "gif 65535 x 65535"},
        {{"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\2\0\0\0\xff\x3f\0\xff\x3f\0", 30},
         "webp 16384 x 16384"},
        {{"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xff\xff\xff\x0f\0\0\0\0\0", 30},
         "webp 16384 x 16384, lossless"},
    };
    long before = resident_kib();

    (void)state;
    for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
        struct image m;
        struct image_header h;
        enum image_reason r = decode(bombs[i].bytes, 0, &m, &h);

        if (r != IMAGE_LARGE)
            fail_msg("%s: %s", bombs[i].what, image_reason_name(r));
    }
    assert_true(resident_kib() - before < 4096);
}

/* ---- the fixtures ---- */

static const struct fixture_case {
    const char *name;
    enum image_format format;
    unsigned orientation;
    bool icc, animated;
    int tolerance; /* against the gradient, grey or composited as it may be */
    enum { COLOUR, GREY, OTHER } look;
} fixtures[] = {
    {"grey.jpg", IMAGE_JPEG, 1, false, false, 12, GREY},
    {"progressive.jpg", IMAGE_JPEG, 1, false, false, 24, COLOUR},
    {"cmyk.jpg", IMAGE_JPEG, 1, false, false, 40, COLOUR},
    {"exif6.jpg", IMAGE_JPEG, 6, false, false, 60, COLOUR},
    {"icc.jpg", IMAGE_JPEG, 1, true, false, 60, COLOUR},
    {"rgba.png", IMAGE_PNG, 1, false, false, 0, OTHER},
    {"palette.png", IMAGE_PNG, 1, false, false, 0, OTHER},
    {"bilevel.png", IMAGE_PNG, 1, false, false, 0, OTHER},
    {"deep.png", IMAGE_PNG, 1, false, false, 0, OTHER},
    {"adam7.png", IMAGE_PNG, 1, false, false, 0, OTHER},
    {"icc-grey.png", IMAGE_PNG, 1, true, false, 1, GREY},
    {"anim.gif", IMAGE_GIF, 1, false, true, 80, COLOUR},
    {"offset.gif", IMAGE_GIF, 1, false, false, 0, OTHER},
    {"lossy.webp", IMAGE_WEBP, 1, false, false, 80, COLOUR},
    {"lossless.webp", IMAGE_WEBP, 1, false, false, 0, OTHER},
    {"alpha.webp", IMAGE_WEBP, 1, false, false, 0, OTHER},
    {"anim.webp", IMAGE_WEBP, 1, false, true, 0, OTHER},
    {"turned.avif", IMAGE_AVIF, 8, false, false, 0, OTHER},
};

#define N_FIXTURES (sizeof fixtures / sizeof fixtures[0])

static void check_look(const struct fixture_case *c, const struct image *m)
{
    struct image want = gradient(24, 16);

    for (uint32_t y = 0; y < 16 && c->look != OTHER; y++)
        for (uint32_t x = 0; x < 24; x++) {
            const uint8_t *p = pixel(&want, x, y), *q = pixel(m, x, y);
            int grey = (299 * p[0] + 587 * p[1] + 114 * p[2] + 500) / 1000;

            for (int i = 0; i < 3; i++)
                if (abs(q[i] - (c->look == GREY ? grey : p[i])) > c->tolerance)
                    fail_msg("%s at %u,%u: channel %d is %d", c->name, x, y, i,
                             q[i]);
        }
    image_release(&want);
}

static void test_image__decodes_every_format(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        const struct fixture_case *c = &fixtures[i];
        struct image_header h;
        struct image m;
        struct buf b;
        enum image_reason r;

        fixture(c->name, &b);
        r = decode(buf_str(&b), 0, &m, &h);
        if (r)
            fail_msg("%s: %s", c->name, image_reason_name(r));
        assert_int_equal(h.format, c->format);
        assert_int_equal(h.orientation, c->orientation);
        assert_int_equal(h.has_icc, c->icc);
        assert_int_equal(h.animated, c->animated);
        assert_int_equal(m.width, 24);
        assert_int_equal(m.height, 16);
        check_look(c, &m);
        image_release(&m);
        buf_release(&b);
    }
}

static uint8_t over_white(unsigned value, unsigned alpha)
{
    return (uint8_t)((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

static struct image load(const char *name, unsigned flags)
{
    struct image_header h;
    struct image m;
    struct buf b;

    fixture(name, &b);
    assert_int_equal(decode(buf_str(&b), flags, &m, &h), IMAGE_OK);
    buf_release(&b);
    return m;
}

static void expect_pixel(const struct image *m, uint32_t x, uint32_t y, int r,
                         int g, int b)
{
    const uint8_t *p = pixel(m, x, y);

    if (p[0] != r || p[1] != g || p[2] != b)
        fail_msg("%u,%u is %d %d %d, not %d %d %d", x, y, p[0], p[1], p[2], r,
                 g, b);
}

static void test_image__composites_on_white(void **state)
{
    struct image m = load("adam7.png", 0), png = load("rgba.png", 0);
    struct image webp = load("lossless.webp", 0);

    (void)state;
    for (uint32_t y = 0; y < 16; y++)
        for (uint32_t x = 0; x < 24; x++) {
            int v = over_white(x * 10, y * 16);

            expect_pixel(&m, x, y, v, v, v);
        }
    /* the same picture in two formats, nearly transparent at its top */
    assert_memory_equal(png.rgb, webp.rgb, png.stride * 16);
    assert_true(pixel(&png, 12, 0)[0] > 245 && pixel(&png, 12, 0)[2] > 245);
    image_release(&m);
    image_release(&png);
    image_release(&webp);
}

static void test_image__keeps_the_high_byte_of_16_bits(void **state)
{
    struct image m = load("deep.png", 0);

    (void)state;
    for (uint32_t y = 0; y < 16; y++)
        for (uint32_t x = 0; x < 24; x++)
            expect_pixel(&m, x, y, (int)(x * 2560 + 7) >> 8,
                         (int)(y * 3840 + 9) >> 8,
                         (int)(x * y * 200 % 65536) >> 8);
    image_release(&m);
}

/* Interlaced, at 5,4 on a screen of 24x16, index 3 transparent. */
static void test_image__places_gif_frames(void **state)
{
    static const int palette[4][3] = {
        {255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};
    struct image m = load("offset.gif", 0);

    (void)state;
    for (uint32_t y = 0; y < 16; y++)
        for (uint32_t x = 0; x < 24; x++) {
            bool inside = x >= 5 && x < 15 && y >= 4 && y < 13;
            const int *c = palette[inside ? (x - 5 + y - 4) % 4 : 3];

            expect_pixel(&m, x, y, c[0], c[1], c[2]);
        }
    image_release(&m);
}

/* irot by a quarter anti-clockwise: the right edge becomes the top. */
static void test_image__turns_avif(void **state)
{
    struct image flat = load("turned.avif", 0);
    struct image turned = load("turned.avif", IMAGE_ORIENT);

    (void)state;
    assert_int_equal(turned.width, 16);
    assert_int_equal(turned.height, 24);
    for (uint32_t y = 0; y < 24; y++)
        for (uint32_t x = 0; x < 16; x++)
            assert_memory_equal(pixel(&turned, x, y), pixel(&flat, 23 - y, x),
                                3);
    image_release(&flat);
    image_release(&turned);
}

static void test_image__orients(void **state)
{
    enum { W = 5, H = 3 };

    (void)state;
    for (unsigned o = 0; o <= 9; o++) {
        bool swap = o >= 5 && o <= 8;
        struct image in = gradient(W, H), out = gradient(W, H);

        assert_int_equal(image_orient(&out, o), IMAGE_OK);
        assert_int_equal(out.width, swap ? H : W);
        for (uint32_t y = 0; y < out.height; y++)
            for (uint32_t x = 0; x < out.width; x++) {
                /* where the pixel at x,y of an upright picture is stored */
                const uint32_t from[10][2] = {
                    {x, y},         {x, y},
                    {W - 1 - x, y}, {W - 1 - x, H - 1 - y},
                    {x, H - 1 - y}, {y, x},
                    {y, H - 1 - x}, {W - 1 - y, H - 1 - x},
                    {W - 1 - y, x}, {x, y}};

                assert_memory_equal(pixel(&out, x, y),
                                    pixel(&in, from[o][0], from[o][1]), 3);
            }
        image_release(&in);
        image_release(&out);
    }
}

/* Mid grey in a profile of gamma 1.8: (128/255)^1.8 is 0.289, which is 146 in
 * sRGB. A second, broken profile is no reason to refuse. */
static void test_image__converts_to_srgb(void **state)
{
    struct image grey = IMAGE_INIT, m;
    struct image_header h;
    struct buf jpeg, icc;
    size_t at;

    (void)state;
    assert_int_equal(image_alloc(&grey, 40, 40), IMAGE_OK);
    memset(grey.rgb, 128, grey.stride * 40);
    to_jpeg(&grey, 95, &jpeg);
    fixture("icc.jpg", &icc);
    at = str_find(buf_str(&icc), STR("ICC_PROFILE"), 0);
    assert_true(at != SIZE_MAX);
    jpeg_insert(&jpeg, 0xe2,
                str_slice(buf_str(&icc), at,
                          at - 2 + (uint8_t)icc.p[at - 2] * 256u +
                              (uint8_t)icc.p[at - 1]));
    assert_int_equal(decode(buf_str(&jpeg), 0, &m, &h), IMAGE_OK);
    assert_in_range(m.rgb[0], 127, 129);
    image_release(&m);
    assert_int_equal(decode(buf_str(&jpeg), IMAGE_SRGB, &m, &h), IMAGE_OK);
    for (int i = 0; i < 3; i++)
        assert_in_range(m.rgb[i], 145, 148);
    image_release(&m);
    buf_release(&jpeg);

    to_jpeg(&grey, 95, &jpeg);
    jpeg_insert(&jpeg, 0xe2, str_make("ICC_PROFILE\0\1\1rubbish", 21));
    assert_int_equal(decode(buf_str(&jpeg), IMAGE_SRGB, &m, &h), IMAGE_OK);
    assert_in_range(m.rgb[0], 127, 129);
    image_release(&m);
    buf_release(&jpeg);
    buf_release(&icc);
    image_release(&grey);
}

/* A grey profile of gamma 1.4 on a grey picture lightens it; greys stay
 * grey. */
static void test_image__converts_grey(void **state)
{
    struct image raw = load("icc-grey.png", 0);
    struct image srgb = load("icc-grey.png", IMAGE_SRGB);
    int moved = 0;

    (void)state;
    for (uint32_t y = 0; y < 16; y++)
        for (uint32_t x = 0; x < 24; x++) {
            const uint8_t *p = pixel(&raw, x, y), *q = pixel(&srgb, x, y);

            assert_int_equal(q[0], q[1]);
            assert_int_equal(q[1], q[2]);
            assert_true(q[0] >= p[0]);
            moved += q[0] > p[0] + 10;
        }
    assert_true(moved > 100);
    image_release(&raw);
    image_release(&srgb);
}

/* ---- all of the original image ---- */

/* No beginning of any fixture passes for the whole; but for a GIF without its
 * trailer, and a WebP or AVIF whose end is no part of the picture. */
static void test_image__refuses_every_beginning(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        const struct fixture_case *c = &fixtures[i];
        struct image_header h;
        struct image m;
        struct buf b;

        fixture(c->name, &b);
        for (size_t n = 0; n < b.n; n++) {
            /* a copy of its own, so that sanitizers see its end */
            char *part = malloc(n + 1);
            enum image_reason r;

            assert_non_null(part);
            memcpy(part, b.p, n);
            r = decode(str_make(part, n), 0, &m, &h);
            if (!r && !(c->format == IMAGE_GIF && c->animated) &&
                !(c->format == IMAGE_GIF && n + 1 == b.n))
                fail_msg("%s: %zu of %zu bytes pass", c->name, n, b.n);
            if (!r)
                image_release(&m);
            if (n >= 16 && r && r != IMAGE_TRUNCATED && r != IMAGE_CORRUPT)
                fail_msg("%s: %zu of %zu bytes are %s", c->name, n, b.n,
                         image_reason_name(r));
            free(part);
        }
        buf_release(&b);
    }
}

/* A flipped bit in entropy-coded data may give another valid picture; in PNG,
 * a CRC tells. Here only: no crash, and a verdict. */
static void test_image__survives_flipped_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        struct image_header h;
        struct image m;
        struct buf b;

        fixture(fixtures[i].name, &b);
        for (size_t n = 0; n < b.n; n++) {
            enum image_reason r;

            b.p[n] = (char)~b.p[n];
            r = decode(buf_str(&b), IMAGE_SRGB | IMAGE_ORIENT, &m, &h);
            assert_true(r < IMAGE_MEMORY);
            if (!r)
                image_release(&m);
            b.p[n] = (char)~b.p[n];
        }
        buf_release(&b);
    }
}

static void test_image__counts_work(void **state)
{
    static const struct {
        const char *name;
        uint32_t scans, frames, chunks;
        enum image_reason reason;
    } cases[] = {
        {"progressive.jpg", 100, 1, 1, IMAGE_OK},
        {"progressive.jpg", 3, 1, 1, IMAGE_WORK},
        {"grey.jpg", 1, 1, 1, IMAGE_OK},
        {"anim.gif", 1, 3, 1000, IMAGE_OK},
        {"anim.gif", 1, 2, 1000, IMAGE_WORK},
        {"anim.gif", 1, 3, 2, IMAGE_WORK},
        {"anim.webp", 1, 2, 1, IMAGE_OK},
        {"anim.webp", 1, 1, 1, IMAGE_WORK},
        {"deep.png", 1, 1, 3, IMAGE_OK},
        {"deep.png", 1, 1, 2, IMAGE_WORK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct image_decode_options o = {.limits = image_limits_decodable()};
        struct image m = IMAGE_INIT;
        struct image_header h;
        struct buf b;
        enum image_reason r;

        o.limits.max_scans = cases[i].scans;
        o.limits.max_frames = cases[i].frames;
        o.limits.max_chunks = cases[i].chunks;
        fixture(cases[i].name, &b);
        r = image_decode(buf_str(&b), &o, &m, &h, NULL);
        if (r != cases[i].reason)
            fail_msg("case %zu, %s: %s", i, cases[i].name,
                     image_reason_name(r));
        if (!r)
            image_release(&m);
        buf_release(&b);
    }
}

/* Image data behind the last row: a little is forgiven, as everywhere; much is
 * a bomb. */
static void test_image__stops_behind_the_last_row(void **state)
{
    struct image_header h;
    struct image m;
    struct buf b;

    (void)state;
    png_grey(&b, 30, 20, 100);
    assert_int_equal(decode(buf_str(&b), 0, &m, &h), IMAGE_OK);
    image_release(&m);
    buf_release(&b);
    png_grey(&b, 30, 20, 1 << 20);
    assert_int_equal(decode(buf_str(&b), 0, &m, &h), IMAGE_WORK);
    buf_release(&b);
}

/* Text and unknown chunks are passed over, however large they inflate. */
static void test_image__ignores_png_text(void **state)
{
    static const char text[100000] = "key\0";
    struct image_header h;
    struct image m;
    struct buf b, rows;

    (void)state;
    buf_init(&rows, BUF_NO_LIMIT);
    for (int i = 0; i < 8 * 9; i++)
        buf_add_char(&rows, 0);
    png_begin(&b, 8, 8, 8, 0);
    for (int i = 0; i < 200; i++)
        png_chunk(&b, i % 2 ? "tEXt" : "zTXt",
                  str_make(text, i == 3 ? sizeof text : 10));
    png_data(&b, str_make(rows.p, rows.n));
    png_chunk(&b, "IEND", STR_NONE);
    assert_int_equal(decode(buf_str(&b), 0, &m, &h), IMAGE_OK);
    assert_int_equal(m.width, 8);
    image_release(&m);
    buf_release(&rows);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image__reasons_have_names),
        cmocka_unit_test(test_image__sniffs_by_magic),
        cmocka_unit_test(test_image__limits),
        cmocka_unit_test(test_image__bombs_cost_no_memory),
        cmocka_unit_test(test_image__decodes_every_format),
        cmocka_unit_test(test_image__composites_on_white),
        cmocka_unit_test(test_image__keeps_the_high_byte_of_16_bits),
        cmocka_unit_test(test_image__places_gif_frames),
        cmocka_unit_test(test_image__turns_avif),
        cmocka_unit_test(test_image__orients),
        cmocka_unit_test(test_image__converts_to_srgb),
        cmocka_unit_test(test_image__converts_grey),
        cmocka_unit_test(test_image__refuses_every_beginning),
        cmocka_unit_test(test_image__survives_flipped_bytes),
        cmocka_unit_test(test_image__counts_work),
        cmocka_unit_test(test_image__stops_behind_the_last_row),
        cmocka_unit_test(test_image__ignores_png_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
