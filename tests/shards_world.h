/*
 * shards_world - tars of samples made for the tests of what reads them.
 *
 * Model.   Sample i, from 0 over all tars of a world: a picture of 48 x 40
 *          pixels of one colour, red = 8 * (i % 32), green = 8 * (i / 32); the
 *          text "sample i"; a .json with three texts, "text i a" to "c", and
 *          the query ids that `q` gives.  A world says which samples are
 *          broken, and how.
 */
#ifndef TESTS_SHARDS_WORLD_H
#define TESTS_SHARDS_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "base/image.h"
#include "base/io.h"
#include "shards/tar_write.h"
#include "tests/folder.h"

#define WORLD_TEXTS 3

enum world_flaw {
    WORLD_WHOLE,
    WORLD_NO_TXT,      /* no such member */
    WORLD_EMPTY_TXT,   /* nothing but white space, and no json */
    WORLD_BROKEN,      /* a JPEG that ends in the middle */
    WORLD_NOT_PICTURE, /* text */
    WORLD_NO_IMAGE
};

struct world {
    enum world_flaw (*flaw)(int i); /* NULL: all are whole */
    int (*q)(int i, int *ids);      /* how many; NULL: no member q */
    bool plain;                     /* without .json */
};

#define WORLD_MUST(call)                                                       \
    do {                                                                       \
        struct err world_err = ERR_INIT, *we = &world_err;                     \
        if (call) {                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,                 \
                    world_err.message);                                        \
            abort();                                                           \
        }                                                                      \
    } while (0)

static inline void world_picture(int i, struct buf *out)
{
    struct image m;

    if (image_alloc(&m, 48, 40))
        abort();
    for (size_t y = 0; y < 40; y++)
        for (size_t x = 0; x < 48; x++) {
            m.rgb[y * m.stride + 3 * x] = (uint8_t)(8 * (i % 32));
            m.rgb[y * m.stride + 3 * x + 1] = (uint8_t)(8 * (i / 32));
            m.rgb[y * m.stride + 3 * x + 2] = 128;
        }
    buf_clear(out);
    if (image_encode_jpeg(&m, 95, out))
        abort();
    image_release(&m);
}

/* Four times in a row, it is the uid. */
static inline uint32_t world_uid(int i)
{
    return (uint32_t)i * 2654435761u + 1;
}

static inline void world_json(const struct world *w, int i, struct buf *out)
{
    int ids[64], n;

    buf_clear(out);
    buf_addf(out, "{\"caption\":\"sample %d\",\"uid\":\"", i);
    for (int k = 0; k < 4; k++)
        buf_addf(out, "%08x", world_uid(i));
    buf_add_char(out, '"');
    if (w->q) {
        n = w->q(i, ids);
        buf_add(out, STR(",\"q\":["));
        for (int k = 0; k < n; k++)
            buf_addf(out, "%s%d", k ? "," : "", ids[k]);
        buf_add_char(out, ']');
    }
    buf_add(out, STR(",\"texts\":["));
    for (int k = 0; k < WORLD_TEXTS; k++)
        buf_addf(out, "%s{\"text\":\"text %d %c\",\"s\":%d}", k ? "," : "", i,
                 'a' + k, k);
    buf_addf(out, "],\"other\":\"json %d\"}", i);
}

static inline void world_member(struct tar_writer *t, int i, const char *ext,
                                struct str data)
{
    char name[32];

    snprintf(name, sizeof name, "%09d.%s", i, ext);
    WORLD_MUST(tar_writer_add(t, str_of(name), data, NULL, we));
}

static inline void world_tar(const struct world *w, const char *path, int from,
                             int n)
{
    struct tar_writer t;
    struct buf b;
    char text[32];

    buf_init(&b, 1 << 20);
    WORLD_MUST(tar_writer_open(&t, path, we));
    for (int i = from; i < from + n; i++) {
        enum world_flaw flaw = w->flaw ? w->flaw(i) : WORLD_WHOLE;

        world_picture(i, &b);
        if (flaw == WORLD_BROKEN)
            b.n /= 2;
        if (flaw == WORLD_NOT_PICTURE)
            world_member(&t, i, "jpg", STR("<html>no picture</html>"));
        else if (flaw != WORLD_NO_IMAGE)
            world_member(&t, i, "jpg", buf_str(&b));
        if (!w->plain && flaw != WORLD_EMPTY_TXT) {
            world_json(w, i, &b);
            world_member(&t, i, "json", buf_str(&b));
        }
        snprintf(text, sizeof text, "sample %d", i);
        if (flaw == WORLD_EMPTY_TXT)
            world_member(&t, i, "txt", STR(" \n "));
        else if (flaw != WORLD_NO_TXT)
            world_member(&t, i, "txt", str_of(text));
    }
    WORLD_MUST(tar_writer_publish(&t, we));
    buf_release(&b);
}

/* Tars NAME/00000.tar and on, `each` samples in all but the last. */
static inline void world_folder(const struct world *w, const char *name, int n,
                                int each)
{
    char path[IO_PATH_MAX], file[32];

    WORLD_MUST(io_mkdirs(at(name), we));
    for (int from = 0, k = 0; from < n; from += each, k++) {
        snprintf(file, sizeof file, "%05d.tar", k);
        WORLD_MUST(io_join(path, at(name), file, we));
        world_tar(w, path, from, n - from < each ? n - from : each);
    }
}

#endif
