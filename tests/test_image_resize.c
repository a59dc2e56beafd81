/* base/image: resampling against Pillow, and encoding. */
#include <stdio.h>
#include <stdlib.h>

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

static void test_image_resize__resizes_as_pillow_to_the_bit(void **state)
{
    struct oracle o;
    unsigned cases = 0;
    int status;

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
    status = oracle_close(&o);
    if (status == 77 || status == 127) {
        print_message("skipped: no python3-pil\n");
        skip();
    }
    assert_int_equal(status, 0);
    assert_int_equal(cases, 48);
}

/* Frozen where Pillow is absent. Equal to it when these were written down. */
static void test_image_resize__resize_golden(void **state)
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

static void test_image_resize__resizes_views(void **state)
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

static void test_image_resize__encodes(void **state)
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
static void test_image_resize__encoding_keeps_to_its_ceiling(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_resize__resizes_as_pillow_to_the_bit),
        cmocka_unit_test(test_image_resize__resize_golden),
        cmocka_unit_test(test_image_resize__resizes_views),
        cmocka_unit_test(test_image_resize__encodes),
        cmocka_unit_test(test_image_resize__encoding_keeps_to_its_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
