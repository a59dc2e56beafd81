/* Parts of JPEGs are the whole's pixels, and refused where the whole is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jpeglib.h>

#include "base/image.h"
#include "train/random.h"

enum how {
    PROGRESSIVE = 1,
    ARITHMETIC = 2,
    PLAIN = 4, /* R, G, B as they are, or colours finer than grey */
};

struct coding {
    int across, down; /* colour samples: one for so many pixels */
    int channels;
    unsigned how;     /* bits of enum how */
    unsigned restart; /* rows of blocks */
};

static const struct coding codings[] = {
    {1, 1, 3, 0, 0},
    {2, 1, 3, 0, 0},
    {2, 2, 3, 0, 0},
    {1, 2, 3, 0, 0},
    {4, 1, 3, 0, 0},
    {4, 2, 3, 0, 0},
    {1, 1, 1, 0, 0},
    {2, 2, 1, 0, 0},
    {2, 2, 3, PROGRESSIVE, 0},
    {1, 1, 3, PROGRESSIVE, 0},
    {2, 1, 3, PROGRESSIVE, 0},
    {2, 2, 3, 0, 1},
    {1, 1, 4, 0, 0},
    {2, 2, 4, 0, 0},
    {4, 1, 3, 0, 2},
    {1, 2, 3, 0, 1},
    {1, 1, 1, 0, 1},
    {3, 1, 3, 0, 0},
    {1, 4, 3, 0, 0},
    {2, 4, 3, 0, 1},
    {1, 1, 3, ARITHMETIC, 0},
    {2, 2, 3, ARITHMETIC, 1},
    {2, 1, 3, PROGRESSIVE | ARITHMETIC, 0},
    {1, 1, 1, ARITHMETIC, 0},
    {1, 1, 3, PLAIN, 0},
    {2, 1, 3, PLAIN, 1},
    {2, 2, 3, PLAIN, 0},
};

#define CODINGS (sizeof codings / sizeof codings[0])

struct bytes {
    unsigned char *p;
    unsigned long n;
};

/* Without a change of colours; or, where there is one to be coarse, with the
 * first of three coarser than the others. */
static void plain_colours(struct jpeg_compress_struct *c,
                          const struct coding *k)
{
    if (k->across == 1 && k->down == 1)
        jpeg_set_colorspace(c, JCS_RGB);
    c->comp_info[0].h_samp_factor = 1;
    c->comp_info[0].v_samp_factor = 1;
    for (int i = 1; i < 3; i++) {
        c->comp_info[i].h_samp_factor = k->across;
        c->comp_info[i].v_samp_factor = k->down;
    }
}

/* Noise, which hides no difference. */
static struct bytes encode(const struct coding *k, uint32_t width,
                           uint32_t height)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    uint8_t *row = malloc((size_t)width * 4);
    struct bytes b = {NULL, 0};

    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &b.p, &b.n);
    c.image_width = width;
    c.image_height = height;
    c.input_components = k->channels;
    c.in_color_space = k->channels == 1   ? JCS_GRAYSCALE
                       : k->channels == 3 ? JCS_RGB
                                          : JCS_CMYK;
    jpeg_set_defaults(&c);
    if (k->channels == 4)
        jpeg_set_colorspace(&c, JCS_YCCK);
    jpeg_set_quality(&c, 90, TRUE);
    c.comp_info[0].h_samp_factor = k->across;
    c.comp_info[0].v_samp_factor = k->down;
    if (k->channels == 4) {
        c.comp_info[3].h_samp_factor = k->across;
        c.comp_info[3].v_samp_factor = k->down;
    }
    if (k->how & PLAIN)
        plain_colours(&c, k);
    c.restart_in_rows = (int)k->restart;
    c.arith_code = (k->how & ARITHMETIC) != 0;
    if (k->how & PROGRESSIVE)
        jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < height) {
        for (size_t i = 0; i < (size_t)width * (size_t)k->channels; i++)
            row[i] = (uint8_t)random_bits(c.next_scanline, i);
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    free(row);
    return b;
}

/* ---- asking for a part ---- */

struct asked {
    uint64_t draw;
    struct image_rect rect; /* as it was answered */
};

static uint32_t below(uint64_t draw, uint64_t i, uint32_t n)
{
    return (uint32_t)(random_bits(draw, i) % n);
}

static struct image_rect answer(void *ctx, const struct image_header *h,
                                uint32_t width, uint32_t height)
{
    struct asked *a = ctx;
    struct image_rect *r = &a->rect;

    assert_true(width <= h->width && height <= h->height);
    r->x = below(a->draw, 0, width);
    r->y = below(a->draw, 1, height);
    r->width = 1 + below(a->draw, 2, width - r->x);
    r->height = 1 + below(a->draw, 3, height - r->y);
    if (a->draw % 5 == 0) /* up to the edges */
        r->width = width - r->x;
    if (a->draw % 7 == 0)
        r->height = height - r->y;
    return *r;
}

static void compare(struct bytes b, unsigned flags, uint32_t keep,
                    uint64_t draws)
{
    struct str in = str_make((const char *)b.p, b.n);
    struct image_decode_options o = {.limits = image_limits_decodable(),
                                     .flags = flags,
                                     .keep_width = keep,
                                     .keep_height = keep};
    struct image_room all = {NULL, 0}, some = {NULL, 0};
    struct image_header h;
    enum image_kind kind, other;
    struct image whole, part;

    assert_int_equal(image_decode_raw(in, &o, &all, &whole, &kind, &h), 0);
    for (uint64_t draw = 0; draw < draws; draw++) {
        struct asked a = {draw, {0, 0, whole.width, whole.height}};
        size_t bytes = image_kind_bytes(kind);

        o.wanted = answer;
        o.ctx = &a;
        if (some.p)
            memset(some.p, 0xa5, some.n);
        assert_int_equal(image_decode_raw(in, &o, &some, &part, &other, &h), 0);
        assert_int_equal(kind, other);
        assert_int_equal(whole.width, part.width);
        assert_int_equal(whole.height, part.height);
        for (uint32_t y = a.rect.y; y < a.rect.y + a.rect.height; y++)
            assert_memory_equal(whole.rgb + y * whole.stride + a.rect.x * bytes,
                                part.rgb + y * part.stride + a.rect.x * bytes,
                                a.rect.width * bytes);
    }
    image_room_release(&all);
    image_room_release(&some);
}

static void test_image_part__is_the_wholes(void **state)
{
    static const uint32_t sizes[][2] = {
        {213, 150}, {64, 200}, {200, 17}, {129, 128}, {5, 3},
        {1, 1},     {1, 200},  {200, 1},  {2, 33},    {33, 2}};

    (void)state;
    for (size_t k = 0; k < CODINGS; k++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct bytes b = encode(&codings[k], sizes[i][0], sizes[i][1]);

            compare(b, 0, 0, 12);
            compare(b, IMAGE_QUICK, 0, 4);
            compare(b, IMAGE_QUICK, 50, 4);
            compare(b, 0, 16, 4);
            free(b.p);
        }
}

/* ---- verdicts ---- */

static struct image_rect corner(void *ctx, const struct image_header *h,
                                uint32_t width, uint32_t height)
{
    (void)ctx;
    (void)h;
    return (struct image_rect){0, 0, width / 4, height / 4};
}

/* Cut anywhere, or with a byte changed anywhere: the same reason. */
static void test_image_part__is_refused_where_the_whole_is(void **state)
{
    struct image_decode_options o = {.limits = image_limits_decodable()};
    struct image_room room = {NULL, 0};
    unsigned refused = 0;

    (void)state;
    for (size_t k = 0; k < CODINGS; k++) {
        struct bytes b = encode(&codings[k], 120, 90);

        for (uint64_t i = 0; i < 100; i++) {
            struct image_header h;
            enum image_kind kind;
            struct image m;
            enum image_reason r[2];
            size_t at = (size_t)(random_bits(k, i) % b.n);
            size_t n = i % 2 ? at : b.n;
            unsigned char was = b.p[at];

            b.p[at] ^= (unsigned char)(1 + i % 255);
            for (int j = 0; j < 2; j++) {
                o.wanted = j ? corner : NULL;
                r[j] = image_decode_raw(str_make((const char *)b.p, n), &o,
                                        &room, &m, &kind, &h);
            }
            b.p[at] = was;
            assert_int_equal(r[0], r[1]);
            refused += r[0] != IMAGE_OK;
        }
        free(b.p);
    }
    assert_true(refused > CODINGS * 40);
    image_room_release(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_part__is_the_wholes),
        cmocka_unit_test(test_image_part__is_refused_where_the_whole_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
