/* base/image on the decoder suites of ../shared/data/images: sizes and verdicts
 * against their manifests (Pillow 9.4, avifdec), pixels against Pillow here. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/oracle.h"
#include "tests/picture.h"
#include "tests/tar_reader.h"

static const char *const suites[] = {
    "avif-a",
    "exif-orientation-landscape",
    "image-rs-gif-webp",
    "jpeg-decoder-crashtest",
    "jpeg-decoder-reftest",
    "pillow-a",
    "png-suite",
    "webp-a",
};

#define N_SUITES (sizeof suites / sizeof suites[0])

/*
 * Where we differ from the manifests, and why.  All others agree in size,
 * orientation and in whether they decode.
 */
static const struct difference {
    const char *name; /* how the path ends */
    enum image_reason reason;
    const char *why;
} differences[] = {
    /* Pillow shows what the library made up; here that is a verdict. */
    {"dc-predictor-overflow.jpg", IMAGE_TRUNCATED, "data ends early"},
    {"1cbb1bb37d62c44f67374cd451643dc4.jpg", IMAGE_CORRUPT, "ends early"},
    {"28c74d9284d9836017fd519f6932efd8.jpg", IMAGE_CORRUPT, "bad codes"},
    {"5482a54657765056f1a94116a8dbffe7.jpg", IMAGE_CORRUPT, "bad codes"},
    {"7997b6b229f25315d33f5c7085e37500.jpg", IMAGE_CORRUPT, "ends early"},
    {"8a9cc8eeed66aeb423a91c44111d9450.jpg", IMAGE_TRUNCATED, "ends early"},
    {"8e5e74dbf9b68a322fbb9512db837329.jpg", IMAGE_CORRUPT, "ends early"},
    {"b55977028a3a574336966b6536640fc9.jpg", IMAGE_CORRUPT, "ends early"},
    {"f6b4389c3cf0f5997b2e5a4b905aea8d.jpg", IMAGE_CORRUPT, "ends early"},
    {"subtract-with-overflow.jpg", IMAGE_CORRUPT, "bad codes"},
    {"partial_progressive.jpg", IMAGE_CORRUPT, "a scan ends early"},
    {"progressive-missing-dc.jpg", IMAGE_CORRUPT, "no DC scan"},
    {"hopper_bad_exif.jpg", IMAGE_CORRUPT, "bad codes"},
    {"x_interlaced_chck.png", IMAGE_CORRUPT, "checksum of the image data"},
    {"xcsn0g01.png", IMAGE_CORRUPT, "checksum of the image data"},
    /* libpng and libjpeg read these, Pillow does not open them. */
    {"truncated_exif_dpi.jpg", IMAGE_OK, "its EXIF is broken, pixels whole"},
    {"cicp_pq.png", IMAGE_OK, "a cICP chunk"},
    {"issue_430.png", IMAGE_OK, "an odd ancillary chunk"},
    /* The manifest has no word on irot and imir. */
    {"abc_color_irot_alpha_NOirot.avif", IMAGE_OK, "irot"},
    {"clop_irot_imor.avif", IMAGE_OK, "irot"},
    {"rot0mir0.avif", IMAGE_OK, "irot, imir"},
    {"rot0mir1.avif", IMAGE_OK, "irot, imir"},
    {"rot1mir0.avif", IMAGE_OK, "irot, imir"},
    {"rot1mir1.avif", IMAGE_OK, "irot, imir"},
    {"rot2mir0.avif", IMAGE_OK, "irot, imir"},
    {"rot2mir1.avif", IMAGE_OK, "irot, imir"},
    {"rot3mir0.avif", IMAGE_OK, "irot, imir"},
    {"rot3mir1.avif", IMAGE_OK, "irot, imir"},
    {"xmp_tags_orientation.png", IMAGE_OK, "XMP's orientation is not read"},
    /* Same verdict, other pixels than Pillow's. */
    {"border_touching_layers.gif", IMAGE_OK, "uncovered pixels are white"},
    {"issue_1455_undersized.gif", IMAGE_OK, "uncovered pixels are white"},
    {"invalid_palette_index.png", IMAGE_OK, "an index past the palette"},
};

#define N_DIFFERENCES (sizeof differences / sizeof differences[0])

static const struct difference *difference_of(struct str name)
{
    for (size_t i = 0; i < N_DIFFERENCES; i++)
        if (str_ends(name, str_of(differences[i].name)))
            return &differences[i];
    return NULL;
}

static void suite_path(const char *suite, char path[1024])
{
    const char *shared = getenv("WITMILL_SHARED");

    snprintf(path, 1024, "%s/data/images/%s.tar", shared ? shared : "../shared",
             suite);
}

static bool find_member(struct tar_reader *t, struct str want, bool at_end,
                        struct str *content)
{
    struct str name;

    t->at = 0;
    while (tar_next(t, &name, content))
        if (at_end ? str_ends(name, want) : str_eq(name, want))
            return true;
    return false;
}

struct manifest_line {
    struct str path, size, orientation, verdict;
};

static bool manifest_next(struct str *rest, struct manifest_line *l)
{
    struct str line, field[8];

    if (!str_split(rest, '\n', &line) || line.n == 0)
        return false;
    for (size_t i = 0; i < 8; i++)
        if (!str_split(&line, '\t', &field[i]))
            field[i] = STR_NONE;
    *l = (struct manifest_line){field[0], field[3], field[6], field[7]};
    return true;
}

static void check_line(const struct manifest_line *l, struct str bytes,
                       unsigned *agree)
{
    struct image_decode_options o = {.limits = image_limits_decodable()};
    const struct difference *d = difference_of(l->path);
    bool ok = str_starts(l->verdict, STR("ok"));
    struct image m = IMAGE_INIT;
    struct image_header h;
    enum image_reason r = image_decode(bytes, &o, &m, &h, NULL);
    char size[32];

    if (d && r != d->reason)
        fail_msg("%.*s: %s", STR_ARG(l->path), image_reason_name(r));
    if (!d && ok != (r == IMAGE_OK))
        fail_msg("%.*s: %s, manifest: %.*s", STR_ARG(l->path),
                 image_reason_name(r), STR_ARG(l->verdict));
    if (r == IMAGE_OK && ok) {
        snprintf(size, sizeof size, "%ux%u", m.width, m.height);
        if (!str_eq(l->size, str_of(size)))
            fail_msg("%.*s is %s, not %.*s", STR_ARG(l->path), size,
                     STR_ARG(l->size));
    }
    if (r == IMAGE_OK && ok && !d) {
        uint64_t said = 1;

        if (str_u64(l->orientation, &said) || said < 1 || said > 8)
            said = 1; /* none, 0, or ? */
        if (h.orientation != said)
            fail_msg("%.*s: orientation %u", STR_ARG(l->path), h.orientation);
        ++*agree;
    } else if (!d) {
        ++*agree;
    }
    image_release(&m);
}

static void test_image_suites__agree_with_the_manifests(void **state)
{
    unsigned files = 0, agree = 0;

    (void)state;
    for (size_t i = 0; i < N_SUITES; i++) {
        struct tar_reader t;
        struct str rest, bytes;
        struct manifest_line l;
        char path[1024];

        suite_path(suites[i], path);
        if (!tar_open(&t, path)) {
            print_message("skipped: no %s\n", path);
            skip();
        }
        assert_true(find_member(&t, STR("MANIFEST.tsv"), true, &rest));
        manifest_next(&rest, &l); /* titles */
        while (manifest_next(&rest, &l)) {
            if (!find_member(&t, l.path, false, &bytes))
                fail_msg("%s has no %.*s", suites[i], STR_ARG(l.path));
            check_line(&l, bytes, &agree);
            files++;
        }
        tar_close(&t);
    }
    print_message("%u files, %u agree, %u differ for the reasons listed\n",
                  files, agree, files - agree);
    assert_true(files > 500);
}

static void compare_pixels(struct str name, const struct image *m,
                           struct str want, unsigned *exact)
{
    int worst = 0;

    if (want.n != m->stride * m->height)
        fail_msg("%.*s: another size", STR_ARG(name));
    for (size_t i = 0; i < want.n; i++) {
        int d = abs(m->rgb[i] - (uint8_t)want.p[i]);

        worst = d > worst ? d : worst;
    }
    if (worst > 0)
        fail_msg("%.*s: differs by %d", STR_ARG(name), worst);
    ++*exact;
}

/* Not within a tolerance: equal. */
static void test_image_suites__pixels_are_pillows(void **state)
{
    struct image_decode_options o = {.limits = image_limits_decodable()};
    unsigned exact = 0;

    (void)state;
    for (size_t i = 0; i < N_SUITES; i++) {
        struct oracle from;
        struct tar_reader t;
        char path[1024], command[1200];

        suite_path(suites[i], path);
        if (!tar_open(&t, path)) {
            print_message("skipped: no %s\n", path);
            skip();
        }
        snprintf(command, sizeof command,
                 "/usr/bin/python3 tests/oracle_image.py decode '%s'", path);
        oracle_open(&from, command);
        while (oracle_next(&from)) {
            struct str rest = buf_str(&from.in), name, bytes;
            struct image m = IMAGE_INIT;
            struct image_header h;

            assert_true(str_split(&rest, ' ', &name));
            assert_true(find_member(&t, name, false, &bytes));
            if (difference_of(name))
                continue;
            assert_int_equal(image_decode(bytes, &o, &m, &h, NULL), IMAGE_OK);
            compare_pixels(name, &m, buf_str(&from.want), &exact);
            image_release(&m);
        }
        oracle_close(&from);
        tar_close(&t);
    }
    if (!exact) {
        print_message("skipped: no Pillow\n");
        skip();
    }
    print_message("%u pictures equal to Pillow's, byte for byte\n", exact);
    assert_true(exact > 350);
}

/* The same photograph, stored in eight ways: upright all of them. */
static void test_image_suites__eight_orientations_are_one_picture(void **state)
{
    struct image_config c = image_config_default();
    struct image_result first, r;
    struct tar_reader t;
    struct str name, bytes;
    char path[1024];
    unsigned n = 0;

    (void)state;
    suite_path("exif-orientation-landscape", path);
    if (!tar_open(&t, path)) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    image_result_init(&first);
    image_result_init(&r);
    while (tar_next(&t, &name, &bytes)) {
        struct image_result *to = n ? &r : &first;

        if (!str_ends(name, STR(".jpg")))
            continue;
        assert_int_equal(image_process(bytes, &c, to), IMAGE_OK);
        assert_int_equal(to->original_width, 1800);
        assert_int_equal(to->original_height, 1200);
        assert_int_equal(to->width, 768);
        assert_int_equal(to->height, 512);
        /* within the radius of a duplicate */
        assert_true(__builtin_popcountll(to->phash ^ first.phash) <= 4);
        n++;
    }
    assert_int_equal(n, 9);
    image_result_release(&first);
    image_result_release(&r);
    tar_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image_suites__agree_with_the_manifests),
        cmocka_unit_test(test_image_suites__pixels_are_pillows),
        cmocka_unit_test(test_image_suites__eight_orientations_are_one_picture),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
