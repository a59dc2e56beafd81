/* base/image: EXIF from strangers. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/picture.h"

#define TIFF_LE "II*\0\x08\0\0\0"
#define TIFF_BE "MM\0*\0\0\0\x08"

static void test_image_exif__reads_exif(void **state)
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

static void test_image_exif__exif_keeps_to_its_ceiling(void **state)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_exif__reads_exif),
        cmocka_unit_test(test_image_exif__exif_keeps_to_its_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
