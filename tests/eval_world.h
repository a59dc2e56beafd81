/*
 * eval_world - labelled and captioned pictures made for the tests of what
 * evaluates.
 *
 * Model.   Sample i: a picture of one colour, its red by the label; a .cls with
 *          the label; a .txt of two lines; a .json whose member `alt` is
 *          "json i".  eval_world() makes in the test's folder
 *            labels.tar   EVAL_SAMPLES of them, some with a flaw
 *            broken.tar   EVAL_BROKEN pictures, all but the last broken, no
 *                         labels
 *            bench/       as CLIP_benchmark: test/ with nshards.txt and 11 tars
 *                         of two, train/ with 2 tars, classnames.txt
 *            corpus/      2 tars in shards/
 *            empty/
 */
#ifndef TESTS_EVAL_WORLD_H
#define TESTS_EVAL_WORLD_H

#include "tests/shards_world.h"

#define EVAL_SAMPLES 30
#define EVAL_BROKEN  100
#define EVAL_CLASSES 3u

enum eval_flaw_kind {
    EVAL_WHOLE,
    EVAL_NO_LABEL,
    EVAL_BAD_LABEL, /* no number */
    EVAL_RANGE,     /* no class has it */
    EVAL_NO_IMAGE,
    EVAL_CUT, /* a JPEG that ends in the middle */
    EVAL_NO_TEXT
};

static inline enum eval_flaw_kind eval_flaw(int i)
{
    switch (i) {
    case 3:
        return EVAL_NO_LABEL;
    case 8:
        return EVAL_BAD_LABEL;
    case 9:
        return EVAL_RANGE;
    case 10:
        return EVAL_NO_IMAGE;
    case 11:
    case 29:
        return EVAL_CUT;
    case 20:
        return EVAL_NO_TEXT;
    }
    return EVAL_WHOLE;
}

static inline unsigned eval_label(int i)
{
    return (unsigned)i % EVAL_CLASSES;
}

static inline int eval_red(int i)
{
    return 40 + 80 * (int)eval_label(i);
}

static inline void eval_picture(int i, struct buf *out)
{
    struct image m;

    if (image_alloc(&m, 20, 16))
        abort();
    for (size_t y = 0; y < 16; y++)
        for (size_t x = 0; x < 20; x++) {
            m.rgb[y * m.stride + 3 * x] = (uint8_t)eval_red(i);
            m.rgb[y * m.stride + 3 * x + 1] = 128;
            m.rgb[y * m.stride + 3 * x + 2] = (uint8_t)(i % 32 * 8);
        }
    buf_clear(out);
    if (image_encode_jpeg(&m, 95, out))
        abort();
    image_release(&m);
}

static inline void eval_label_member(struct tar_writer *t, int i,
                                     enum eval_flaw_kind flaw)
{
    char text[16];

    snprintf(text, sizeof text, "%u\n", eval_label(i));
    if (flaw == EVAL_BAD_LABEL)
        world_member(t, i, "cls", STR("cat"));
    else if (flaw == EVAL_RANGE)
        world_member(t, i, "cls", STR("3"));
    else if (flaw != EVAL_NO_LABEL)
        world_member(t, i, "cls", str_of(text));
}

static inline void eval_sample(struct tar_writer *t, int i,
                               enum eval_flaw_kind flaw)
{
    char text[96];
    struct buf b;

    buf_init(&b, 1 << 20);
    eval_picture(i, &b);
    if (flaw == EVAL_CUT)
        b.n /= 2;
    if (flaw != EVAL_NO_IMAGE)
        world_member(t, i, "jpg", buf_str(&b));
    buf_release(&b);
    eval_label_member(t, i, flaw);
    snprintf(text, sizeof text, "picture %d, text 0\npicture %d, text 1\n", i,
             i);
    world_member(t, i, "txt", flaw == EVAL_NO_TEXT ? STR(" \n") : str_of(text));
    snprintf(text, sizeof text, "{\"alt\":\"json %d\"}", i);
    world_member(t, i, "json", str_of(text));
}

static inline void eval_tar(const char *path, int from, int n, bool flaws)
{
    struct tar_writer t;

    WORLD_MUST(tar_writer_open(&t, path, we));
    for (int i = from; i < from + n; i++)
        eval_sample(&t, i, flaws ? eval_flaw(i) : EVAL_WHOLE);
    WORLD_MUST(tar_writer_publish(&t, we));
}

static inline void eval_broken_tar(const char *path)
{
    struct tar_writer t;
    struct buf b;

    buf_init(&b, 1 << 20);
    WORLD_MUST(tar_writer_open(&t, path, we));
    for (int i = 0; i < EVAL_BROKEN; i++) {
        eval_picture(i, &b);
        world_member(&t, i, "jpg",
                     i + 1 < EVAL_BROKEN ? STR("no picture") : buf_str(&b));
    }
    WORLD_MUST(tar_writer_publish(&t, we));
    buf_release(&b);
}

static inline void eval_world(void)
{
    char name[64];

    eval_tar(at("labels.tar"), 0, EVAL_SAMPLES, true);
    eval_broken_tar(at("broken.tar"));
    WORLD_MUST(io_mkdirs(at("bench/test"), we));
    WORLD_MUST(io_mkdirs(at("bench/train"), we));
    WORLD_MUST(io_mkdirs(at("corpus/shards"), we));
    WORLD_MUST(io_mkdirs(at("empty"), we));
    for (int k = 0; k < 11; k++) {
        snprintf(name, sizeof name, "bench/test/%d.tar", k);
        eval_tar(at(name), 2 * k, 2, false);
    }
    for (int k = 0; k < 2; k++) {
        snprintf(name, sizeof name, "bench/train/%d.tar", k);
        eval_tar(at(name), 4 * k, 4, false);
        snprintf(name, sizeof name, "corpus/shards/%05d.tar", k);
        eval_tar(at(name), 4 * k, 4, false);
    }
    WORLD_MUST(io_write_file(at("bench/test/nshards.txt"), STR("11\n"), we));
    WORLD_MUST(io_write_file(at("bench/classnames.txt"),
                             STR("cat\ndog\nhouse by the sea\n"), we));
    WORLD_MUST(io_write_file(at("bench/zeroshot_classification_templates.txt"),
                             STR("a photo of a {c}.\na drawing of a {c}.\n"),
                             we));
}

#endif
