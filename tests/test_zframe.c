/* zframe: whatever is packed comes back from zstd's own decoder, also where
 * blocks end, matches are as long or as far as they may be, and nothing packs;
 * what is packed does not depend on what was packed before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/zframe.h"

#define BLOCK  ((size_t)32 << 10)
#define WINDOW ((size_t)256 << 10)

struct room {
    struct zframe *z;
    struct buf content;
    char *packed, *back;
    size_t cap;
};

static int set_up(void **state)
{
    struct room *r = calloc(1, sizeof *r);

    if (!r)
        return -1;
    buf_init(&r->content, BUF_NO_LIMIT);
    r->z = zframe_new();
    *state = r;
    return r->z ? 0 : -1;
}

static int tear_down(void **state)
{
    struct room *r = *state;

    zframe_free(r->z);
    buf_release(&r->content);
    free(r->packed);
    free(r->back);
    free(r);
    return 0;
}

/* The content in memory of exactly its size, so that a look behind its end or
 * before its beginning is seen.  Returns the frame's bytes. */
static size_t pack(struct room *r)
{
    size_t n = r->content.n, bound = zframe_bound(n), bytes;
    char *content = malloc(n ? n : 1);

    assert_non_null(content);
    if (n)
        memcpy(content, r->content.p, n);
    free(r->packed);
    free(r->back);
    r->packed = malloc(bound);
    r->back = malloc(n ? n : 1);
    assert_true(r->packed && r->back);
    bytes = zframe_put(r->z, str_make(content, n), r->packed);
    assert_true(bytes <= bound);
    assert_int_equal(ZSTD_getFrameContentSize(r->packed, bytes), n);
    assert_int_equal(ZSTD_findFrameCompressedSize(r->packed, bytes), bytes);
    assert_int_equal(ZSTD_decompress(r->back, n, r->packed, bytes), n);
    assert_memory_equal(r->back, content, n);
    free(content);
    return bytes;
}

static uint32_t draw(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

static void add_noise(struct buf *b, uint32_t seed, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_add_char(b, (char)draw(&seed));
}

static void add_lines(struct buf *b, uint32_t seed, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        buf_addf(b,
                 "{\"uid\":\"%08x%08x\",\"url\":\"http%s://h%u.test/%x.jpg\","
                 "\"text\":\"%x and %x\",\"origin\":\"a.tsv:%u\"}\n",
                 draw(&seed), draw(&seed), draw(&seed) & 1 ? "s" : "",
                 draw(&seed) & 63, draw(&seed), draw(&seed), draw(&seed), i);
}

static void test_zframe__every_small_size(void **state)
{
    struct room *r = *state;

    for (size_t n = 0; n < 700; n++) {
        buf_clear(&r->content);
        while (r->content.n < n)
            buf_add_char(&r->content, "\"a\":\"b\",\n"[r->content.n % 9]);
        pack(r);
        buf_clear(&r->content);
        add_noise(&r->content, (uint32_t)n, n);
        pack(r);
    }
}

static void test_zframe__lines_pack(void **state)
{
    struct room *r = *state;

    for (unsigned n = 1; n < 40000; n *= 3) {
        buf_clear(&r->content);
        add_lines(&r->content, n, n);
        if (n > 100)
            assert_true(pack(r) < r->content.n * 2 / 3);
        else
            pack(r);
    }
}

/* Around the ends of blocks. */
static void test_zframe__block_ends(void **state)
{
    struct room *r = *state;

    for (size_t n = BLOCK - 300; n < BLOCK + 300; n += 7) {
        buf_clear(&r->content);
        while (r->content.n < n)
            add_lines(&r->content, (uint32_t)n, 1);
        r->content.n = n;
        pack(r);
        add_lines(&r->content, 3, 1200);
        r->content.n = 2 * n;
        pack(r);
    }
}

static void test_zframe__one_byte_over_and_over(void **state)
{
    static const char bytes[] = {'"', 'a', 0, '\n'};
    struct room *r = *state;

    for (size_t k = 0; k < sizeof bytes; k++) {
        buf_clear(&r->content);
        for (size_t i = 0; i < 5 * BLOCK + 11; i++)
            buf_add_char(&r->content, bytes[k]);
        pack(r);
    }
}

/* A match after d bytes, and of every length up to a block's. */
static void test_zframe__lengths(void **state)
{
    struct room *r = *state;

    for (size_t length = 1; length < 3 * BLOCK; length += 1 + length / 8) {
        for (size_t literals = 0; literals < 400; literals += 37) {
            buf_clear(&r->content);
            add_noise(&r->content, 1, 64);
            for (int i = 0; i < 3; i++) {
                buf_add_char(&r->content, '"');
                for (size_t k = 0; k < length; k++)
                    buf_add_char(&r->content, (char)('a' + k % 23));
                add_noise(&r->content, (uint32_t)(7 * i + 1), literals);
            }
            add_noise(&r->content, 2, 200);
            pack(r);
        }
    }
}

static void test_zframe__distances(void **state)
{
    static const size_t at[] = {
        1,     2,          7,      8,          9,          1000,      BLOCK - 1,
        BLOCK, WINDOW - 1, WINDOW, WINDOW + 1, WINDOW + 9, 4 * WINDOW};
    const char *key = "\"a member's name and its value\":";
    struct room *r = *state;

    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        buf_clear(&r->content);
        buf_add(&r->content, STR("some bytes in front"));
        buf_add(&r->content, str_of(key));
        add_noise(&r->content, 5, at[i]);
        buf_add(&r->content, str_of(key));
        add_noise(&r->content, 6, 300);
        pack(r);
    }
}

/* Seven bytes, and again behind them. */
static void add_twice(struct buf *b, const char *seven, uint32_t seed)
{
    for (int i = 0; i < 2; i++) {
        add_noise(b, seed + (uint32_t)i, 93);
        for (size_t k = b->n - 93; k < b->n; k++)
            b->p[k] = (char)(b->p[k] | 0x80); /* no quotes */
        buf_add(b, str_of(seven));
    }
}

/* The middle block is stored, as its one match of 100 bytes back saves nothing;
 * the next block's first match is of 100 bytes back too, and is not "as the one
 * before" to a decoder. */
static void test_zframe__stored_between(void **state)
{
    struct room *r = *state;

    buf_clear(&r->content);
    while (r->content.n < BLOCK)
        add_lines(&r->content, 1, 10);
    r->content.n = BLOCK;
    add_twice(&r->content, "\"uvwxyz", 3);
    add_noise(&r->content, 4, 2 * BLOCK - r->content.n);
    add_twice(&r->content, "\"stopqr", 23);
    add_lines(&r->content, 2, 300);
    assert_true(pack(r) > BLOCK);
}

static void test_zframe__nothing_packs(void **state)
{
    struct room *r = *state;

    buf_clear(&r->content);
    add_noise(&r->content, 9, 10 * BLOCK);
    assert_true(pack(r) < r->content.n + 100);
}

static void test_zframe__same_bytes_whatever_was_before(void **state)
{
    struct room *r = *state;
    size_t n;
    char *first;

    buf_clear(&r->content);
    add_lines(&r->content, 4, 2000);
    n = pack(r);
    first = r->packed;
    r->packed = NULL;
    buf_clear(&r->content);
    add_noise(&r->content, 1, 3 * BLOCK);
    pack(r);
    buf_clear(&r->content);
    add_lines(&r->content, 4, 2000);
    assert_int_equal(pack(r), n);
    assert_memory_equal(r->packed, first, n);
    free(first);
}

static void test_zframe__damage_is_seen(void **state)
{
    struct room *r = *state;
    size_t n, seen = 0, bytes;

    buf_clear(&r->content);
    add_lines(&r->content, 8, 30);
    bytes = pack(r);
    n = r->content.n;
    for (size_t i = 0; i < bytes; i++) {
        r->packed[i] = (char)(r->packed[i] ^ 4);
        seen +=
            ZSTD_isError(ZSTD_decompress(r->back, n, r->packed, bytes)) != 0;
        r->packed[i] = (char)(r->packed[i] ^ 4);
    }
    assert_true(seen + 1 >=
                bytes); /* a bit of the window's size is no matter */
}

/* Anything out of few pieces, so that matches of all kinds come about. */
static void test_zframe__pieces_in_any_order(void **state)
{
    static const char *const pieces[] = {"\"",
                                         "\":\"",
                                         "\",\"text\":\"",
                                         "http://www.a.test/",
                                         "abc",
                                         "x",
                                         "\"\"\"\"\"\"\"\"",
                                         "}\n{\"uid\":\"",
                                         "0123456789abcdef"};
    struct room *r = *state;
    uint32_t seed = 1;

    for (unsigned k = 0; k < 60; k++) {
        size_t n = draw(&seed) % (k % 10 ? 3000 : 9 * BLOCK);

        buf_clear(&r->content);
        while (r->content.n < n) {
            buf_add(&r->content, str_of(pieces[draw(&seed) % 9]));
            if (draw(&seed) % 8 == 0)
                add_noise(&r->content, seed, draw(&seed) % 90);
        }
        pack(r);
    }
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(test_zframe__every_small_size),
        CASE(test_zframe__lines_pack),
        CASE(test_zframe__block_ends),
        CASE(test_zframe__one_byte_over_and_over),
        CASE(test_zframe__lengths),
        CASE(test_zframe__distances),
        CASE(test_zframe__stored_between),
        CASE(test_zframe__nothing_packs),
        CASE(test_zframe__same_bytes_whatever_was_before),
        CASE(test_zframe__damage_is_seen),
        CASE(test_zframe__pieces_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
