/* base/image: all of the original picture, or none; and the limits that count
 * work. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/picture.h"

static enum image_reason decode(struct str bytes, unsigned flags,
                                struct image *m, struct image_header *h)
{
    struct image_decode_options o = {.limits = image_limits_decodable(),
                                     .flags = flags};

    *m = (struct image)IMAGE_INIT;
    return image_decode(bytes, &o, m, h, NULL);
}

static const struct fixture_case {
    const char *name;
    bool gif;      /* may end without its trailer */
    bool animated; /* and at any later frame */
} fixtures[] = {
    {"grey.jpg", false, false},      {"progressive.jpg", false, false},
    {"cmyk.jpg", false, false},      {"exif6.jpg", false, false},
    {"icc.jpg", false, false},       {"rgba.png", false, false},
    {"palette.png", false, false},   {"bilevel.png", false, false},
    {"deep.png", false, false},      {"adam7.png", false, false},
    {"icc-grey.png", false, false},  {"anim.gif", true, true},
    {"offset.gif", true, false},     {"lossy.webp", false, false},
    {"lossless.webp", false, false}, {"alpha.webp", false, false},
    {"anim.webp", false, true},      {"turned.avif", false, false},
};

#define N_FIXTURES (sizeof fixtures / sizeof fixtures[0])

/* No beginning of any fixture passes for the whole; but for a GIF without its
 * trailer, and a WebP or AVIF whose end is no part of the picture. */
static void test_image_whole__refuses_every_beginning(void **state)
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
            if (!r && !(c->gif && c->animated) && !(c->gif && n + 1 == b.n))
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
static void test_image_whole__survives_flipped_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_FIXTURES; i++) {
        struct image_header h;
        struct image m;
        struct buf b;

        fixture(fixtures[i].name, &b);
        for (size_t n = 0; n < b.n; n += 1 + b.n / 300) {
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

static void test_image_whole__counts_work(void **state)
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
static void test_image_whole__stops_behind_the_last_row(void **state)
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
static void test_image_whole__ignores_png_text(void **state)
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
        cmocka_unit_test(test_image_whole__refuses_every_beginning),
        cmocka_unit_test(test_image_whole__survives_flipped_bytes),
        cmocka_unit_test(test_image_whole__counts_work),
        cmocka_unit_test(test_image_whole__stops_behind_the_last_row),
        cmocka_unit_test(test_image_whole__ignores_png_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
