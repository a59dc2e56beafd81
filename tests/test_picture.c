/* train/picture: which square is cut, and how its pixels come about. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/image_resample.h"
#include "tests/picture.h"
#include "train/picture.h"
#include "train/random.h"

static struct picture_request request(enum picture_rule rule, uint32_t size,
                                      uint64_t draw)
{
    return (struct picture_request){rule, false, size, draw};
}

static void make(const struct picture_request *q, struct str bytes,
                 uint8_t *out)
{
    struct picture_scratch s = PICTURE_SCRATCH_INIT;

    assert_int_equal(picture_make(&s, q, bytes, out), IMAGE_OK);
    picture_scratch_release(&s);
}

/* ---- geometry ---- */

/* Worked out by hand from int(size * long / short) and
 * int(round((side - size) / 2.0)), whose halves go to the even side. */
static void test_picture__plans_the_eval_crop(void **state)
{
    static const struct {
        uint32_t size, width, height;
        uint64_t to_width, to_height, to_x, to_y;
    } t[] = {
        {224, 224, 224, 224, 224, 0, 0},
        {224, 640, 480, 298, 224, 37, 0}, /* 298.67 */
        {224, 480, 640, 224, 298, 0, 37},
        {224, 500, 375, 298, 224, 37, 0},
        {224, 225, 224, 225, 224, 0, 0},  /* 0.5 to 0 */
        {224, 227, 224, 227, 224, 2, 0},  /* 1.5 to 2 */
        {224, 229, 224, 229, 224, 2, 0},  /* 2.5 to 2 */
        {224, 224, 231, 224, 231, 0, 4},  /* 3.5 to 4 */
        {336, 640, 427, 503, 336, 84, 0}, /* 503.6; 83.5 to 84 */
        {288, 1, 1, 288, 288, 0, 0},
        {224, 1, 3, 224, 672, 0, 224},
        {224, 3, 1, 672, 224, 224, 0},
        {7, 100, 1, 700, 7, 346, 0}, /* 346.5 to 346 */
        {224, 100000000, 1, 22400000000u, 224, 11199999888u, 0},
        {2048, 4097, 4096, 2048, 2048, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct picture_request q = request(PICTURE_EVAL, t[i].size, i);
        struct picture_plan p;

        picture_plan(&q, t[i].width, t[i].height, &p);
        if (p.x || p.y || p.width != t[i].width || p.height != t[i].height ||
            p.to_width != t[i].to_width || p.to_height != t[i].to_height ||
            p.to_x != t[i].to_x || p.to_y != t[i].to_y)
            fail_msg("row %zu: to %ju x %ju at %ju, %ju", i,
                     (uintmax_t)p.to_width, (uintmax_t)p.to_height,
                     (uintmax_t)p.to_x, (uintmax_t)p.to_y);
    }
}

/* Every place along the longer side, each about as often. */
static void test_picture__draws_the_square_evenly(void **state)
{
    unsigned seen[5] = {0};

    (void)state;
    for (uint64_t draw = 0; draw < 5000; draw++) {
        struct picture_request q =
            request(PICTURE_SQUARE, 224, random_mix(draw));
        struct picture_plan wide, high;

        picture_plan(&q, 228, 224, &wide);
        picture_plan(&q, 224, 228, &high);
        assert_int_equal(wide.to_y, 0);
        assert_int_equal(high.to_x, 0);
        assert_int_equal(wide.to_x, high.to_y);
        assert_in_range(wide.to_x, 0, 4);
        seen[wide.to_x]++;
    }
    for (int i = 0; i < 5; i++)
        assert_in_range(seen[i], 880, 1120); /* 1000, 4 deviations */
}

static void test_picture__draws_resized_crops_within_bounds(void **state)
{
    double least = 1, most = 0, narrow = 9, broad = 0;

    (void)state;
    for (uint64_t draw = 0; draw < 2000; draw++) {
        struct picture_request q =
            request(PICTURE_RESIZED, 224, random_mix(draw));
        struct picture_plan p;
        double area, ratio;

        picture_plan(&q, 1000, 1000, &p);
        assert_true(p.x + p.width <= 1000 && p.y + p.height <= 1000);
        assert_true(p.to_width == 224 && p.to_height == 224);
        assert_true(p.to_x == 0 && p.to_y == 0);
        area = (double)p.width * p.height / 1e6;
        ratio = (double)p.width / p.height;
        least = area < least ? area : least;
        most = area > most ? area : most;
        narrow = ratio < narrow ? ratio : narrow;
        broad = ratio > broad ? ratio : broad;
    }
    /* A square allows ratios of 0.9 to 1.11 at areas of 0.9 to 1. */
    assert_true(least >= 0.899 && least < 0.91 && most > 0.98 && most <= 1);
    assert_true(narrow >= 0.898 && narrow < 0.93);
    assert_true(broad <= 1.113 && broad > 1.07);
}

/* Where no try can fit, the largest middle part within the ratios. */
static void test_picture__falls_back_to_the_middle(void **state)
{
    static const struct {
        uint32_t width, height, x, y, part_width, part_height;
    } t[] = {
        {1000, 100, 433, 0, 133, 100}, /* 133.3 wide; (1000 - 133) / 2 */
        {100, 1000, 0, 433, 100, 133}, {1, 9, 0, 4, 1, 1}, {9, 1, 4, 0, 1, 1},
        {90, 2, 43, 0, 3, 2}, /* 2.67 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        struct picture_request q = request(PICTURE_RESIZED, 64, 77 + i);
        struct picture_plan p;

        picture_plan(&q, t[i].width, t[i].height, &p);
        assert_int_equal(p.x, t[i].x);
        assert_int_equal(p.y, t[i].y);
        assert_int_equal(p.width, t[i].part_width);
        assert_int_equal(p.height, t[i].part_height);
    }
}

static void test_picture__names_its_rules(void **state)
{
    enum picture_rule r;

    (void)state;
    for (int i = 0; i < PICTURE_RULES; i++) {
        struct str name = str_of(picture_rule_name((enum picture_rule)i));

        assert_true(picture_rule_find(name, &r));
        assert_int_equal(r, i);
    }
    assert_false(picture_rule_find(STR("Eval"), &r));
}

/* ---- kernels ---- */

struct lines {
    uint8_t *from[IMAGE_ROWS_AT_ONCE], *to[2][IMAGE_ROWS_AT_ONCE];
};

static void compare_across(const struct image_kernels *fast,
                           const struct image_taps *t, unsigned bytes)
{
    const struct image_kernels *both[] = {&image_kernels_plain, fast};
    size_t in = (size_t)t->reach * bytes + IMAGE_BEYOND;
    size_t out = (size_t)t->n * bytes;
    struct lines l;

    for (unsigned i = 0; i < IMAGE_ROWS_AT_ONCE; i++) {
        l.from[i] = malloc(in);
        for (size_t x = 0; x < in; x++)
            l.from[i][x] = (uint8_t)random_bits(i + 1, x);
        for (int k = 0; k < 2; k++)
            l.to[k][i] = malloc(out); /* to the byte: a sanitizer looks */
    }
    for (int k = 0; k < 2; k++)
        both[k]->across((const uint8_t *const *)l.from, l.to[k], bytes, t);
    for (unsigned i = 0; i < IMAGE_ROWS_AT_ONCE; i++) {
        assert_memory_equal(l.to[0][i], l.to[1][i], out);
        free(l.from[i]);
        free(l.to[0][i]);
        free(l.to[1][i]);
    }
}

static void compare_down(const struct image_kernels *fast,
                         const struct image_taps *t, uint32_t in, size_t n)
{
    uint8_t *from = malloc(in * n), *to[2] = {malloc(n), malloc(n)};

    for (size_t i = 0; i < in * n; i++)
        from[i] = (uint8_t)(random_bits(9, i) % 3 * 127); /* overshoots */
    for (uint32_t at = 0; at < t->n; at++) {
        const uint8_t *first = from + t->first[at] * n;

        image_kernels_plain.down(first, n, t, at, to[0], n);
        fast->down(first, n, t, at, to[1], n);
        assert_memory_equal(to[0], to[1], n);
    }
    free(from);
    free(to[0]);
    free(to[1]);
}

static void compare_kernels(const struct image_kernels *fast)
{
    static const uint32_t sizes[][2] = {
        {640, 224}, {100, 224}, {1, 7},     {2, 9},      {7, 3},      {999, 10},
        {225, 224}, {50, 1},    {512, 224}, {1000, 224}, {1300, 224}, {700, 4}};
    static const size_t widths[] = {1, 31, 32, 33, 63, 64, 65, 95, 129};

    if (!fast)
        skip();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (int f = 0; f < IMAGE_FILTERS; f++) {
            struct image_axis a = {sizes[i][0], sizes[i][1], 0, sizes[i][1]};
            struct image_taps t;
            uint8_t *room, *wide;

            room = malloc(image_taps_bytes(&a, (enum image_filter)f));
            image_taps_init(&t, &a, (enum image_filter)f, room);
            wide = malloc(image_wide_bytes(&a, t.size) + 1);
            if (image_wide_bytes(&a, t.size))
                image_wide_init(&t, wide);
            assert_non_null(t.split);
            assert_non_null(t.digits);
            compare_across(fast, &t, 3);
            compare_across(fast, &t, 4);
            for (size_t w = 0;
                 fast->down && w < sizeof widths / sizeof widths[0]; w++)
                compare_down(fast, &t, a.in, widths[w]);
            free(wide);
            free(room);
        }
}

static void test_picture__avx2_equals_the_plain_kernels(void **state)
{
    (void)state;
    compare_kernels(image_kernels_avx2());
}

static void test_picture__vnni_equals_the_plain_kernels(void **state)
{
    (void)state;
    compare_kernels(image_kernels_vnni());
}

static void test_picture__vbmi_equals_the_plain_kernels(void **state)
{
    (void)state;
    compare_kernels(image_kernels_vbmi());
}

/* ---- pixels ---- */

/* The part alone is what the whole would have there. */
static void test_picture__equals_resizing_the_whole(void **state)
{
    static const uint32_t sides[][2] = {
        {300, 200}, {200, 300}, {64, 64}, {17, 5}, {1, 1}, {3, 90}, {64, 200}};
    const uint32_t size = 64;
    uint8_t out[64 * 64 * 3];

    (void)state;
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++)
        for (int rule = PICTURE_EVAL; rule < PICTURE_RULES; rule++) {
            struct image m = gradient(sides[i][0], sides[i][1]);
            struct picture_request q =
                request((enum picture_rule)rule, size, 1234567 * i);
            struct image_decode_options o = {.limits =
                                                 image_limits_decodable()};
            struct image decoded = IMAGE_INIT, view, whole = IMAGE_INIT;
            struct image_header h;
            struct picture_plan p;
            struct buf file;

            to_jpeg(&m, 90, &file);
            make(&q, buf_str(&file), out);
            assert_int_equal(
                image_decode(buf_str(&file), &o, &decoded, &h, NULL), IMAGE_OK);
            picture_plan(&q, m.width, m.height, &p);
            view = image_view(&decoded, p.x, p.y, p.width, p.height);
            assert_int_equal(image_resize(&view, (uint32_t)p.to_width,
                                          (uint32_t)p.to_height, IMAGE_BICUBIC,
                                          &whole),
                             IMAGE_OK);
            view = image_view(&whole, (uint32_t)p.to_x, (uint32_t)p.to_y, size,
                              size);
            for (uint32_t y = 0; y < size; y++)
                assert_memory_equal(out + y * size * 3,
                                    view.rgb + y * view.stride, size * 3);
            image_release(&m);
            image_release(&decoded);
            image_release(&whole);
            buf_release(&file);
        }
}

/* Hard edges all over, the worst case: within 3 levels on average, nowhere
 * more than 24. */
static void test_picture__fast_decode_is_near(void **state)
{
    static const uint32_t sides[][2] = {{1000, 800}, {500, 2000}, {300, 200}};
    static uint8_t exact[64 * 64 * 3], fast[64 * 64 * 3];

    (void)state;
    for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++)
        for (int rule = PICTURE_EVAL; rule < PICTURE_RULES; rule++) {
            struct image m = gradient(sides[i][0], sides[i][1]);
            struct picture_request q = request((enum picture_rule)rule, 64, 42);
            struct buf file;
            unsigned worst = 0, sum = 0;

            /* stripes of 16 pixels, which a model still sees at 64 */
            for (size_t k = 0; k < m.stride * m.height; k++)
                if (k % m.stride / 3 / 16 % 2)
                    m.rgb[k] = (uint8_t)(m.rgb[k] / 2);
            to_jpeg(&m, 90, &file);
            make(&q, buf_str(&file), exact);
            q.fast = true;
            make(&q, buf_str(&file), fast);
            for (size_t k = 0; k < sizeof fast; k++) {
                unsigned d = (unsigned)abs(exact[k] - fast[k]);

                sum += d;
                worst = d > worst ? d : worst;
            }
            assert_in_range(worst, 0, 24);
            assert_in_range(sum, 0, 3 * sizeof fast);
            if (i < 2)
                assert_true(sum > 0); /* it was another decoding */
            image_release(&m);
            buf_release(&file);
        }
}

static void test_picture__keeps_to_the_files_mode(void **state)
{
    static const char *const names[] = {
        "adam7.png",  "alpha.webp",    "anim.gif",    "anim.webp",
        "cmyk.jpg",   "deep.png",      "bilevel.png", "grey.jpg",
        "offset.gif", "palette.png",   "rgba.png",    "turned.avif",
        "lossy.webp", "lossless.webp", "exif6.jpg",   "progressive.jpg"};
    struct picture_scratch s = PICTURE_SCRATCH_INIT;
    uint8_t out[40 * 40 * 3], again[40 * 40 * 3];

    (void)state;
    for (int rule = PICTURE_EVAL; rule < PICTURE_RULES; rule++)
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            struct picture_request q = request((enum picture_rule)rule, 40, i);
            struct buf b;

            fixture(names[i], &b);
            memset(out, 1, sizeof out);
            memset(again, 2, sizeof again);
            if (picture_make(&s, &q, buf_str(&b), out))
                fail_msg("%s is refused", names[i]);
            make(&q, buf_str(&b), again);
            assert_memory_equal(out, again, sizeof out); /* used scratch */
            buf_release(&b);
        }
    picture_scratch_release(&s);
}

/* Nearest neighbours of two levels: no third one comes up; alpha is dropped,
 * not composited. */
static void test_picture__does_not_mix_what_has_no_between(void **state)
{
    struct picture_request q = request(PICTURE_EVAL, 33, 0);
    uint8_t out[33 * 33 * 3];
    struct buf b;

    (void)state;
    png_begin(&b, 16, 2, 1, 0);
    png_data(&b, STR("\0\xaa\x55\0\x0f\xf0"));
    png_chunk(&b, "IEND", STR_NONE);
    make(&q, buf_str(&b), out);
    for (size_t i = 0; i < sizeof out; i++)
        assert_true(out[i] == 0 || out[i] == 255);
    buf_release(&b);

    png_begin(&b, 1, 1, 8, 6);
    png_data(&b, STR("\0\x0a\x14\x1e\x80"));
    png_chunk(&b, "IEND", STR_NONE);
    make(&q, buf_str(&b), out);
    /* 10 * 128 / 255 = 5, 5 * 255 / 128 = 9; 20: 10, 19; 30: 15, 29 */
    for (size_t i = 0; i < sizeof out; i += 3)
        assert_true(out[i] == 9 && out[i + 1] == 19 && out[i + 2] == 29);
    q.rule = PICTURE_RESIZED;
    make(&q, buf_str(&b), out);
    for (size_t i = 0; i < sizeof out; i += 3)
        assert_true(out[i] == 10 && out[i + 1] == 20 && out[i + 2] == 30);
    buf_release(&b);
}

static void test_picture__refuses_with_a_reason(void **state)
{
    struct picture_scratch s = PICTURE_SCRATCH_INIT;
    struct picture_request q = request(PICTURE_EVAL, 8, 0);
    uint8_t out[8 * 8 * 3];
    struct buf b;

    (void)state;
    for (int fast = 0; fast < 2; fast++) {
        q.fast = fast;
        assert_int_equal(picture_make(&s, &q, STR_NONE, out), IMAGE_EMPTY);
        assert_int_equal(picture_make(&s, &q, STR("<html>"), out), IMAGE_NOT);
        fixture("grey.jpg", &b);
        assert_int_equal(
            picture_make(&s, &q, str_slice(buf_str(&b), 0, b.n - 20), out),
            IMAGE_TRUNCATED);
        assert_int_equal(picture_make(&s, &q, buf_str(&b), out), IMAGE_OK);
        buf_release(&b);
    }
    picture_scratch_release(&s);
}

/* ---- threads and workers ---- */

#define THREADS 4
#define SIDE    48u

struct job {
    struct str bytes;
    uint8_t out[8][SIDE * SIDE * 3]; /* by draw */
};

static void *work(void *p)
{
    struct picture_scratch s = PICTURE_SCRATCH_INIT;
    struct job *j = p;

    for (uint64_t i = 0; i < 8; i++) {
        struct picture_request q = request((enum picture_rule)(i % 3), SIDE, i);

        if (picture_make(&s, &q, j->bytes, j->out[i]))
            memset(j->out[i], 0, sizeof j->out[i]);
    }
    picture_scratch_release(&s);
    return NULL;
}

static void test_picture__is_the_same_on_every_thread(void **state)
{
    struct image m = gradient(200, 120);
    struct job *jobs = calloc(THREADS, sizeof *jobs);
    pthread_t threads[THREADS];
    struct buf file;

    (void)state;
    to_jpeg(&m, 90, &file);
    for (int i = 0; i < THREADS; i++) {
        jobs[i].bytes = buf_str(&file);
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_memory_equal(jobs[i].out, jobs[0].out, sizeof jobs[0].out);
    }
    assert_memory_not_equal(jobs[0].out[1], jobs[0].out[4], SIDE * SIDE * 3);
    free(jobs);
    image_release(&m);
    buf_release(&file);
}

static void ask(struct jail *jail, const struct picture_request *q,
                struct str bytes, struct jail_done *done)
{
    uint8_t head[PICTURE_HEAD];
    struct buf in;

    buf_init(&in, BUF_NO_LIMIT);
    picture_head(q, head);
    buf_add_bytes(&in, head, sizeof head);
    buf_add(&in, bytes);
    assert_int_equal(jail_submit(jail, buf_str(&in), NULL, NULL), 0);
    assert_true(jail_wait(jail, -1, done));
    buf_release(&in);
}

static void test_picture__workers_answer_alike(void **state)
{
    struct picture_scratch s = PICTURE_SCRATCH_INIT;
    struct jail_config c = picture_jail(&s, SIDE);
    struct image m = gradient(150, 90);
    uint8_t here[SIDE * SIDE * 3];
    enum image_reason reason;
    struct jail_done done;
    struct jail *jail;
    const uint8_t *rgb;
    struct buf file;

    (void)state;
    c.workers = 2;
    assert_int_equal(jail_open(&jail, &c, NULL), 0);
    to_jpeg(&m, 90, &file);
    for (uint64_t i = 0; i < 12; i++) {
        struct picture_request q =
            request((enum picture_rule)(i % 3), SIDE - (uint32_t)i, i * 31);

        q.fast = i >= 6;
        ask(jail, &q, buf_str(&file), &done);
        assert_int_equal(picture_answer(&done, q.size, &reason, &rgb), 0);
        assert_int_equal(reason, IMAGE_OK);
        make(&q, buf_str(&file), here);
        assert_memory_equal(rgb, here, picture_bytes(q.size));
        assert_int_equal(picture_answer(&done, q.size + 1, &reason, &rgb),
                         -E_FORMAT);
    }
    ask(jail, &(struct picture_request){PICTURE_EVAL, false, SIDE, 0},
        STR("no picture"), &done);
    assert_int_equal(picture_answer(&done, SIDE, &reason, &rgb), 0);
    assert_int_equal(reason, IMAGE_NOT);
    assert_null(rgb);
    /* larger than the jail was opened for: our bug, and said so */
    ask(jail, &(struct picture_request){PICTURE_EVAL, false, SIDE + 1, 0},
        buf_str(&file), &done);
    assert_int_equal(picture_answer(&done, SIDE + 1, &reason, &rgb), -E_FORMAT);
    jail_close(jail);
    buf_release(&file);
    image_release(&m);
}

static void test_picture__checks_answers(void **state)
{
    struct jail_done d = {.outcome = JAIL_DONE};
    uint8_t bytes[PICTURE_ANSWER_HEAD + 12] = {0};
    uint8_t head[PICTURE_HEAD], out[PICTURE_ANSWER_HEAD + 12];
    struct picture_scratch s = PICTURE_SCRATCH_INIT;
    struct picture_request q = request(PICTURE_EVAL, 2, 0);
    enum image_reason reason;
    const uint8_t *rgb;
    size_t n;

    (void)state;
    d.out = str_make((char *)bytes, sizeof bytes);
    assert_int_equal(picture_answer(&d, 2, &reason, &rgb), -E_FORMAT);
    d.out.n = 3;
    assert_int_equal(picture_answer(&d, 2, &reason, &rgb), -E_FORMAT);
    d.outcome = JAIL_CRASHED;
    assert_int_equal(picture_answer(&d, 2, &reason, &rgb), 0);
    assert_int_equal(reason, IMAGE_CRASHED);
    d.outcome = JAIL_TIMEOUT;
    assert_int_equal(picture_answer(&d, 2, &reason, &rgb), 0);
    assert_int_equal(reason, IMAGE_TIMEOUT);
    d.outcome = JAIL_LOST;
    assert_int_equal(picture_answer(&d, 2, &reason, &rgb), -E_IO);

    /* every byte of a head that is not the draw's counts */
    picture_head(&q, head);
    assert_int_equal(picture_worker(&s, str_make((char *)head, sizeof head),
                                    out, sizeof out, &n),
                     0);
    assert_int_equal(n, PICTURE_ANSWER_HEAD);
    for (size_t i = 0; i < 16; i++) {
        head[i] ^= 0x80;
        assert_int_equal(picture_worker(&s, str_make((char *)head, sizeof head),
                                        out, sizeof out, &n),
                         i == 4 ? -E_TOOBIG : -E_FORMAT);
        head[i] ^= 0x80;
    }
    assert_int_equal(
        picture_worker(&s, str_make((char *)head, 23), out, sizeof out, &n),
        -E_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picture__plans_the_eval_crop),
        cmocka_unit_test(test_picture__draws_the_square_evenly),
        cmocka_unit_test(test_picture__draws_resized_crops_within_bounds),
        cmocka_unit_test(test_picture__falls_back_to_the_middle),
        cmocka_unit_test(test_picture__names_its_rules),
        cmocka_unit_test(test_picture__avx2_equals_the_plain_kernels),
        cmocka_unit_test(test_picture__vnni_equals_the_plain_kernels),
        cmocka_unit_test(test_picture__vbmi_equals_the_plain_kernels),
        cmocka_unit_test(test_picture__equals_resizing_the_whole),
        cmocka_unit_test(test_picture__fast_decode_is_near),
        cmocka_unit_test(test_picture__keeps_to_the_files_mode),
        cmocka_unit_test(test_picture__does_not_mix_what_has_no_between),
        cmocka_unit_test(test_picture__refuses_with_a_reason),
        cmocka_unit_test(test_picture__is_the_same_on_every_thread),
        cmocka_unit_test(test_picture__workers_answer_alike),
        cmocka_unit_test(test_picture__checks_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
