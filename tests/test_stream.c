/* base/stream: bzip2 by many threads gives the bytes and the errors that one
 * thread gives, whatever the input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bzlib.h>
#include <cmocka.h>

#include "base/stream.h"
#include "base/stream_bunzip.h"
#include "tests/folder.h"

/* ---- reading ---- */

struct outcome {
    struct buf bytes;
    int rc;
    bool cut;
    char message[ERR_MESSAGE_MAX];
};

static void read_all(const char *path, unsigned threads, size_t step,
                     struct outcome *o)
{
    struct err e = ERR_INIT;
    struct stream *s;
    size_t got = 1;

    buf_clear(&o->bytes);
    assert_int_equal(stream_open(&s, path, NULL), 0);
    stream_set_threads(s, threads);
    while (!(o->rc = stream_read(s, buf_reserve(&o->bytes, step), step, &got,
                                 &e)) &&
           got)
        o->bytes.n += got;
    o->cut = stream_is_cut(s);
    memcpy(o->message, e.message, sizeof o->message);
    stream_close(s);
}

/* Read packed by one thread and by more; all agree.  The bytes are in *one. */
static void agree(struct str packed, struct outcome *one, struct outcome *many)
{
    static const unsigned threads[] = {2, 3, 8};
    static const size_t steps[] = {300000, 777};

    assert_int_equal(io_write_file(at("packed"), packed, NULL), 0);
    read_all(at("packed"), 1, 300000, one);
    for (size_t i = 0; i < 3; i++) {
        read_all(at("packed"), threads[i], steps[i % 2], many);
        if (many->rc != one->rc || many->cut != one->cut ||
            strcmp(many->message, one->message) ||
            !str_eq(buf_str(&many->bytes), buf_str(&one->bytes)))
            fail_msg("%zu bytes by %u threads: %d %s, %zu bytes; by one: %d "
                     "%s, %zu bytes",
                     packed.n, threads[i], many->rc, many->message,
                     many->bytes.n, one->rc, one->message, one->bytes.n);
    }
}

struct world {
    struct buf plain, packed;
    struct outcome one, many;
};

static void world_init(struct world *w)
{
    buf_init(&w->plain, BUF_NO_LIMIT);
    buf_init(&w->packed, BUF_NO_LIMIT);
    buf_init(&w->one.bytes, BUF_NO_LIMIT);
    buf_init(&w->many.bytes, BUF_NO_LIMIT);
}

static void world_release(struct world *w)
{
    buf_release(&w->plain);
    buf_release(&w->packed);
    buf_release(&w->one.bytes);
    buf_release(&w->many.bytes);
}

/* One more stream, of n bytes of something. */
static void add_stream(struct world *w, size_t n, int level)
{
    size_t from = w->plain.n;
    unsigned room = (unsigned)(n + n / 50 + 1000);
    char *to;

    while (w->plain.n < from + n)
        buf_addf(&w->plain, "%zu is a line of text\n",
                 (size_t)(w->plain.n * 2654435761u) >> 5);
    w->plain.n = from + n;
    to = buf_reserve(&w->packed, room);
    assert_non_null(to);
    assert_int_equal(BZ2_bzBuffToBuffCompress(to, &room,
                                              n ? w->plain.p + from : to,
                                              (unsigned)n, level, 0, 0),
                     BZ_OK);
    w->packed.n += room;
}

static void good(struct world *w, struct str want)
{
    agree(buf_str(&w->packed), &w->one, &w->many);
    assert_int_equal(w->one.rc, 0);
    assert_true(str_eq(buf_str(&w->one.bytes), want));
}

static void test_stream__many_streams(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    for (size_t i = 0; i < 60; i++)
        add_stream(&w, i * i * 37 % 30011, 1 + (int)i % 9);
    good(&w, buf_str(&w.plain));
    world_release(&w);
}

/* Empty streams have no block, and so no beginning that is looked for. */
static void test_stream__empty_streams(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    add_stream(&w, 0, 9);
    good(&w, STR(""));
    add_stream(&w, 0, 1);
    add_stream(&w, 1000, 1);
    add_stream(&w, 0, 5);
    add_stream(&w, 0, 5);
    add_stream(&w, 2000, 1);
    add_stream(&w, 0, 9);
    good(&w, buf_str(&w.plain));
    world_release(&w);
}

/* More input than a piece holds, and more output: the reader decodes it. */
static void test_stream__large_streams(void **state)
{
    struct world w;
    uint64_t x = 1;

    (void)state;
    world_init(&w);
    add_stream(&w, 5000, 9);
    for (size_t n = BZIP2_PIECE + 700000; n; n -= 8) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        buf_add_u64le(&w.plain, x ^ x >> 29);
    }
    {
        unsigned n = (unsigned)w.plain.n - 5000, room = n + n / 50 + 1000;
        char *to = buf_reserve(&w.packed, room);

        assert_int_equal(
            BZ2_bzBuffToBuffCompress(to, &room, w.plain.p + 5000, n, 9, 0, 0),
            BZ_OK);
        w.packed.n += room;
        assert_true(room > BZIP2_PIECE);
    }
    add_stream(&w, 5000, 9);
    good(&w, buf_str(&w.plain));
    world_release(&w);
}

/* More than is carried from piece to piece, in streams of all sizes. */
static void test_stream__past_what_is_carried(void **state)
{
    struct world w, group;
    uint64_t x = 1;

    (void)state;
    world_init(&w);
    world_init(&group);
    for (size_t i = 0; i < 20000; i++) {
        x = x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        buf_add_u64le(&group.plain, x ^ x >> 29);
    }
    {
        unsigned n = (unsigned)group.plain.n, room = n + n / 50 + 1000;
        char *to = buf_reserve(&group.packed, room);

        assert_int_equal(
            BZ2_bzBuffToBuffCompress(to, &room, group.plain.p, n, 9, 0, 0),
            BZ_OK);
        group.packed.n += room;
    }
    for (size_t i = 0; i < 40; i++)
        add_stream(&group, 1 + i * 7, 1);
    while (w.packed.n < BZIP2_PIECE + BZIP2_PIECE / 4) {
        buf_add(&w.packed, buf_str(&group.packed));
        buf_add(&w.plain, buf_str(&group.plain));
    }
    good(&w, buf_str(&w.plain));
    world_release(&w);
    world_release(&group);
}

static void test_stream__large_output(void **state)
{
    struct world w;
    size_t zeros = BZIP2_AHEAD + 3000000;
    unsigned room = 100000;
    char *to;

    (void)state;
    world_init(&w);
    to = buf_reserve(&w.plain, zeros);
    memset(to, 0, zeros);
    w.plain.n = zeros;
    to = buf_reserve(&w.packed, room);
    assert_int_equal(BZ2_bzBuffToBuffCompress(to, &room, w.plain.p,
                                              (unsigned)zeros, 9, 0, 0),
                     BZ_OK);
    w.packed.n = room;
    add_stream(&w, 5000, 9);
    good(&w, buf_str(&w.plain));
    world_release(&w);
}

static void test_stream__cut_anywhere(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    for (size_t i = 0; i < 4; i++)
        add_stream(&w, 700 * i, 9);
    for (size_t n = 4; n < w.packed.n; n += n < 40 ? 1 : 13) {
        agree(str_make(w.packed.p, n), &w.one, &w.many);
        assert_true(str_starts(buf_str(&w.plain), buf_str(&w.one.bytes)));
        assert_true(w.one.cut || !w.one.rc);
    }
    world_release(&w);
}

/* A stream that is cut off before another one: the first goes on into the
 * second, and that is where it is found out. */
static void test_stream__cut_inside(void **state)
{
    struct world w;
    struct buf both;
    size_t first;

    (void)state;
    world_init(&w);
    buf_init(&both, BUF_NO_LIMIT);
    add_stream(&w, 9000, 9);
    first = w.packed.n;
    add_stream(&w, 9000, 9);
    add_stream(&w, 9000, 9);
    for (size_t n = 15; n < first; n += 41) {
        buf_clear(&both);
        buf_add(&both, str_make(w.packed.p, n));
        buf_add(&both, str_slice(buf_str(&w.packed), first, w.packed.n));
        agree(buf_str(&both), &w.one, &w.many);
        assert_int_equal(w.one.rc, -E_FORMAT);
    }
    buf_release(&both);
    world_release(&w);
}

static void test_stream__damaged_anywhere(void **state)
{
    struct world w;

    (void)state;
    world_init(&w);
    for (size_t i = 1; i < 5; i++)
        add_stream(&w, 1500 * i, 9);
    for (size_t n = 0; n < w.packed.n; n += n < 20 ? 1 : 31) {
        w.packed.p[n] ^= (char)(1 << n % 8);
        if (n > 3)
            agree(buf_str(&w.packed), &w.one, &w.many);
        w.packed.p[n] ^= (char)(1 << n % 8);
    }
    world_release(&w);
}

/* Behind the last stream: padding ends it, what begins as a stream does not. */
static void test_stream__trailing(void **state)
{
    static const struct {
        struct str bytes;
        int rc;
    } rows[] = {
        {{"\0\0\0\0", 4}, 0},
        {{"garbage", 7}, 0},
        {{"BZ", 2}, -E_FORMAT},
        {{"BZh9", 4}, -E_FORMAT},
        {{"BZh0", 4}, -E_FORMAT},
        {{"B garbage", 9}, -E_FORMAT},
        {{"BZh91AY&SY", 10}, -E_FORMAT},
    };
    struct world w;

    (void)state;
    world_init(&w);
    add_stream(&w, 3000, 9);
    add_stream(&w, 3000, 9);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = w.packed.n;

        buf_add(&w.packed, rows[i].bytes);
        agree(buf_str(&w.packed), &w.one, &w.many);
        assert_int_equal(w.one.rc, rows[i].rc);
        assert_true(str_eq(buf_str(&w.one.bytes), buf_str(&w.plain)));
        w.packed.n = n;
    }
    /* Whole streams behind garbage are garbage. */
    buf_add(&w.packed, STR("x"));
    add_stream(&w, 3000, 9);
    good(&w, str_make(w.plain.p, 6000));
    world_release(&w);
}

/* ---- a stream with the beginning of one inside ---- */

struct bits {
    struct buf b;
    unsigned n; /* bits in the last byte; 0: full */
};

static void put(struct bits *to, uint64_t v, unsigned n)
{
    while (n--) {
        if (to->n == 0)
            buf_add_char(&to->b, 0);
        to->b.p[to->b.n - 1] |= (char)((v >> n & 1) << (7 - to->n));
        to->n = (to->n + 1) % 8;
    }
}

/* CRC-32 as bzip2 has it: the high bit first. */
static uint32_t crc_of(struct str s)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < s.n; i++) {
        crc ^= (uint32_t)(unsigned char)s.p[i] << 24;
        for (int k = 0; k < 8; k++)
            crc = crc << 1 ^ (crc >> 31 ? 0x04c11db7 : 0);
    }
    return ~crc;
}

/* 254 values in use make 256 symbols; with codes of 8 bits each, the block's
 * data is whatever bytes one likes (but for 0 and 1, which are runs, and 255,
 * its end).  Three selectors where one would do put them at a byte. */
static void craft(struct bits *to, struct str symbols, uint32_t crc)
{
    buf_clear(&to->b);
    to->n = 0;
    buf_add(&to->b, STR("BZh9"));
    put(to, UINT64_C(0x314159265359), 48);
    put(to, crc, 32);
    put(to, 0, 1 + 24);  /* not randomised; the first row */
    put(to, 0xffff, 16); /* values in use: all but the last two */
    for (int i = 0; i < 16; i++)
        put(to, i < 15 ? 0xffff : 0xfffc, 16);
    put(to, 2, 3);  /* tables */
    put(to, 3, 15); /* selectors, each of the first */
    put(to, 0, 3);
    for (int i = 0; i < 2; i++) {
        put(to, 8, 5); /* the first length, and no change for 256 */
        for (int k = 0; k < 256; k++)
            put(to, 0, 1);
    }
    assert_int_equal(to->n, 0);
    buf_add(&to->b, symbols);
    put(to, 255, 8);
    put(to, UINT64_C(0x177245385090), 48);
    put(to, crc, 32);
}

static void test_stream__beginning_inside(void **state)
{
    struct bits b = {.n = 0};
    struct world w;
    struct buf want;

    (void)state;
    world_init(&w);
    buf_init(&b.b, BUF_NO_LIMIT);
    buf_init(&want, BUF_NO_LIMIT);
    craft(&b, STR("some symbols, BZh91AY&SY and more, BZh11AY&SY."), 0);
    /* With a wrong sum it is not accepted, but out it comes. */
    agree(buf_str(&b.b), &w.one, &w.many);
    assert_int_equal(w.one.rc, -E_FORMAT);
    assert_true(w.one.bytes.n > 40);
    buf_add(&want, buf_str(&w.one.bytes));
    craft(&b, STR("some symbols, BZh91AY&SY and more, BZh11AY&SY."),
          crc_of(buf_str(&want)));
    add_stream(&w, 2000, 9);
    buf_add(&w.packed, buf_str(&b.b));
    buf_add(&w.plain, buf_str(&want));
    add_stream(&w, 2000, 9);
    buf_add(&w.packed, buf_str(&b.b));
    buf_add(&w.plain, buf_str(&want));
    good(&w, buf_str(&w.plain));
    buf_release(&b.b);
    buf_release(&want);
    world_release(&w);
}

/* Closed before its end, with pieces lying about. */
static void test_stream__closed_early(void **state)
{
    struct stream *s;
    struct world w;
    char byte;
    size_t got;

    (void)state;
    world_init(&w);
    for (size_t i = 0; i < 100; i++)
        add_stream(&w, 20000, 1);
    assert_int_equal(io_write_file(at("packed"), buf_str(&w.packed), NULL), 0);
    assert_int_equal(stream_open(&s, at("packed"), NULL), 0);
    stream_set_threads(s, 3);
    assert_int_equal(stream_read(s, &byte, 1, &got, NULL), 0);
    assert_int_equal(got, 1);
    assert_true(stream_position(s) > 0);
    stream_close(s);
    assert_int_equal(stream_open(&s, at("packed"), NULL), 0);
    stream_set_threads(s, 3);
    stream_close(s);
    world_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stream__many_streams),
        cmocka_unit_test(test_stream__empty_streams),
        cmocka_unit_test(test_stream__large_streams),
        cmocka_unit_test(test_stream__past_what_is_carried),
        cmocka_unit_test(test_stream__large_output),
        cmocka_unit_test(test_stream__cut_anywhere),
        cmocka_unit_test(test_stream__cut_inside),
        cmocka_unit_test(test_stream__damaged_anywhere),
        cmocka_unit_test(test_stream__trailing),
        cmocka_unit_test(test_stream__beginning_inside),
        cmocka_unit_test(test_stream__closed_early),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
