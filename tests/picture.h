/*
 * picture - small pictures and picture files for tests of base/image.
 *
 * Model.   Static helpers that fail the running cmocka test when they cannot do
 *          their work.  gradient() is the picture of which the fixtures in
 *          tests/fuzz/corpus/image were made: red 10x, green 15y, blue xy/2.
 */
#ifndef TESTS_PICTURE_H
#define TESTS_PICTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/image.h"
#include "base/io.h"

#define FIXTURES "tests/fuzz/corpus/image/"

static inline struct image gradient(uint32_t width, uint32_t height)
{
    struct image m = IMAGE_INIT;

    assert_int_equal(image_alloc(&m, width, height), IMAGE_OK);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint8_t *p = m.rgb + y * m.stride + x * 3;

            p[0] = (uint8_t)(width > 24 ? x * 255 / width : x * 10);
            p[1] = (uint8_t)(height > 16 ? y * 255 / height : y * 15);
            p[2] = (uint8_t)(width > 24 ? (x + y) / 8 : x * y / 2);
        }
    return m;
}

static inline const uint8_t *pixel(const struct image *m, uint32_t x,
                                   uint32_t y)
{
    return m->rgb + y * m->stride + (size_t)x * 3;
}

static inline void fixture(const char *name, struct buf *b)
{
    char path[256];
    struct err e = ERR_INIT;

    buf_init(b, BUF_NO_LIMIT);
    snprintf(path, sizeof path, FIXTURES "%s", name);
    if (io_read_file(path, b, &e))
        fail_msg("%s (tests run from the repository's root)", e.message);
}

static inline void to_jpeg(const struct image *m, int quality, struct buf *b)
{
    buf_init(b, BUF_NO_LIMIT);
    assert_int_equal(image_encode_jpeg(m, quality, b), IMAGE_OK);
}

/* Put a marker segment behind the first two bytes of a JPEG. */
static inline void jpeg_insert(struct buf *jpeg, uint8_t marker,
                               struct str data)
{
    struct buf out;

    buf_init(&out, BUF_NO_LIMIT);
    buf_add(&out, str_make(jpeg->p, 2));
    buf_add_char(&out, '\xff');
    buf_add_char(&out, (char)marker);
    buf_add_char(&out, (char)((data.n + 2) >> 8));
    buf_add_char(&out, (char)(data.n + 2));
    buf_add(&out, data);
    buf_add(&out, str_slice(buf_str(jpeg), 2, jpeg->n));
    buf_release(jpeg);
    *jpeg = out;
}

/* ---- PNG, with stored (uncompressed) image data ---- */

static inline void add_be32(struct buf *b, uint32_t v)
{
    const char bytes[] = {(char)(v >> 24), (char)(v >> 16), (char)(v >> 8),
                          (char)v};

    buf_add_bytes(b, bytes, 4);
}

static inline uint32_t png_crc(struct str s)
{
    uint32_t c = ~0u;

    for (size_t i = 0; i < s.n; i++) {
        c ^= (uint8_t)s.p[i];
        for (int k = 0; k < 8; k++)
            c = c & 1 ? c >> 1 ^ 0xedb88320u : c >> 1;
    }
    return ~c;
}

static inline void png_chunk(struct buf *b, const char *type, struct str data)
{
    size_t at = b->n + 4;

    add_be32(b, (uint32_t)data.n);
    buf_add_bytes(b, type, 4);
    buf_add(b, data);
    add_be32(b, png_crc(str_slice(buf_str(b), at, b->n)));
}

static inline void png_begin(struct buf *b, uint32_t width, uint32_t height,
                             unsigned depth, unsigned type)
{
    struct buf head;

    buf_init(b, BUF_NO_LIMIT);
    buf_init(&head, BUF_NO_LIMIT);
    buf_add(b, STR("\x89PNG\r\n\x1a\n"));
    add_be32(&head, width);
    add_be32(&head, height);
    buf_add_char(&head, (char)depth);
    buf_add_char(&head, (char)type);
    buf_add(&head, str_make("\0\0\0", 3));
    png_chunk(b, "IHDR", buf_str(&head));
    buf_release(&head);
}

static inline void png_data(struct buf *b, struct str rows)
{
    struct buf z;
    uint32_t s1 = 1, s2 = 0;

    buf_init(&z, BUF_NO_LIMIT);
    buf_add(&z, STR("\x78\x01"));
    for (size_t at = 0; at < rows.n || at == 0; at += 65535) {
        struct str part = str_slice(rows, at, at + 65535);

        buf_add_char(&z, at + 65535 >= rows.n); /* last block? */
        buf_add_char(&z, (char)part.n);
        buf_add_char(&z, (char)(part.n >> 8));
        buf_add_char(&z, (char)~part.n);
        buf_add_char(&z, (char)(~part.n >> 8));
        buf_add(&z, part);
    }
    for (size_t i = 0; i < rows.n; i++) {
        s1 = (s1 + (uint8_t)rows.p[i]) % 65521;
        s2 = (s2 + s1) % 65521;
    }
    add_be32(&z, s2 << 16 | s1);
    png_chunk(b, "IDAT", buf_str(&z));
    buf_release(&z);
}

/* A whole grey picture of width x height, and `tail` bytes behind its rows. */
static inline void png_grey(struct buf *b, uint32_t width, uint32_t height,
                            size_t tail)
{
    size_t n = (width + 1) * (size_t)height + tail;
    char *rows = calloc(1, n);

    assert_non_null(rows);
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++)
            rows[(width + 1) * (size_t)y + 1 + x] = (char)(x + y);
    png_begin(b, width, height, 8, 0);
    png_data(b, str_make(rows, n));
    png_chunk(b, "IEND", STR_NONE);
    free(rows);
}

#endif
