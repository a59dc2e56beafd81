/* dedup_near against all pairs; the lines of base/survivor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/survivor.h"
#include "filter/dedup_near.h"
#include "tests/corpus_fixture.h"

/* ---- dedup_near ---- */

static struct dedup_verdict naive(const struct dedup_image *images,
                                  const uint8_t *exempt, size_t i,
                                  unsigned radius)
{
    for (size_t k = 0; k < i; k++)
        if (!memcmp(images[k].sha, images[i].sha, 16))
            return (struct dedup_verdict){(uint32_t)k, true};
    if (exempt[i / 8] >> i % 8 & 1)
        return (struct dedup_verdict){DEDUP_NONE, false};
    for (size_t k = 0; k < i; k++)
        if (!(exempt[k / 8] >> k % 8 & 1) &&
            (unsigned)__builtin_popcountll(images[k].phash ^ images[i].phash) <=
                radius)
            return (struct dedup_verdict){(uint32_t)k, false};
    return (struct dedup_verdict){DEDUP_NONE, false};
}

/* kind 0: random and near, 1: few distinct bits, 2: all equal but some */
static void draw_images(struct fixture *f, struct dedup_image *images,
                        uint8_t *exempt, size_t n, unsigned radius, int kind)
{
    memset(exempt, 0, n / 8 + 1);
    for (size_t i = 0; i < n; i++) {
        uint64_t r = fixture_random(f);

        memset(images[i].sha, 0, 16);
        memcpy(images[i].sha, &r, 8);
        images[i].phash = fixture_random(f);
        if (kind == 1)
            images[i].phash &= UINT64_C(0x0000f0f000000fff);
        if (kind == 2)
            images[i].phash = r % 7 ? 42 : images[i].phash;
        if (i && r % 3 == 0) {
            unsigned flips = (unsigned)(r >> 8) % (radius + 3);

            images[i].phash = images[fixture_random(f) % i].phash;
            while (flips--)
                images[i].phash ^= UINT64_C(1) << fixture_random(f) % 64;
        }
        if (i && r % 31 == 0)
            memcpy(images[i].sha, images[fixture_random(f) % i].sha, 16);
        if (r % 19 == 0)
            exempt[i / 8] |= (uint8_t)(1u << i % 8);
    }
}

static void test_near__equals_all_pairs(void **state)
{
    static const struct {
        size_t n;
        unsigned radius;
        int kind;
    } cases[] = {{0, 4, 0},    {1, 4, 0},    {2, 4, 2},     {2000, 4, 0},
                 {2000, 0, 0}, {2000, 1, 0}, {2000, 8, 0},  {1500, 16, 0},
                 {2000, 4, 1}, {2000, 4, 2}, {1000, 10, 1}, {2000, 3, 2}};
    struct fixture f = {.random = 7};

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        size_t n = cases[c].n, dropped = 0;
        struct dedup_image *images = xcalloc(n + 1, sizeof *images);
        uint8_t *exempt = xcalloc(n / 8 + 1, 1);
        struct dedup_verdict *v = xcalloc(n + 1, sizeof *v);
        struct err e = ERR_INIT;

        draw_images(&f, images, exempt, n, cases[c].radius, cases[c].kind);
        assert_int_equal(dedup_judge(images, exempt, n, cases[c].radius,
                                     1 + (unsigned)c % 4, v, &e),
                         0);
        for (size_t i = 0; i < n; i++) {
            struct dedup_verdict want =
                naive(images, exempt, i, cases[c].radius);

            assert_int_equal(v[i].by, want.by);
            assert_int_equal(v[i].exact, want.exact);
            dropped += want.by != DEDUP_NONE;
        }
        assert_true(n < 1000 || (dropped > n / 50 && dropped < n));
        free(images);
        free(exempt);
        free(v);
    }
}

/* A URL whose texts need several lines: they add up, in order, and the rows
 * counted are URLs. */
static void test_survivor__many_texts(void **state)
{
    enum { N = 900 };
    struct survivor s = {.url = STR("http://a.test/x.jpg"),
                         .h = 5,
                         .group = STR("007-00"),
                         .image = {.bytes = 10}};
    struct pair *pairs = xcalloc(N, sizeof *pairs);
    char *text = xmalloc(PAIR_TEXT_MAX);
    char dir[] = "/tmp/witmill-surv-XXXXXX", path[64];
    struct jsonl_writer w;
    struct jsonl_reader in;
    struct arena a;
    struct buf line;
    struct err e = ERR_INIT;
    struct str got;
    size_t n = 0, lines = 0;
    bool more;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/s.zst", dir);
    memset(text, 'x', PAIR_TEXT_MAX);
    for (size_t i = 0; i < N; i++) {
        pairs[i] = (struct pair){.url = s.url,
                                 .text = str_make(text, PAIR_TEXT_MAX),
                                 .selected = true,
                                 .s = i};
        pairs[i].uid[0] = (uint8_t)i;
    }
    buf_init(&line, JSONL_LINE_MAX);
    arena_init(&a, 1 << 24);
    assert_int_equal(jsonl_open_write(&w, path, &e), 0);
    assert_int_equal(survivor_write(&w, &s, pairs, N, &line, &e), 0);
    assert_int_equal(jsonl_publish(&w, &e), 0);
    assert_int_equal(jsonl_open(&in, path, &e), 0);
    while (!jsonl_next(&in, &got, &more, &e) && more) {
        struct survivor back;
        struct json j;
        struct pair p;
        bool another;

        assert_int_equal(survivor_read(got, &a, &back, &e), 0);
        assert_int_equal(back.more, lines++ > 0);
        if (!back.more)
            assert_int_equal(back.texts_total, N);
        survivor_texts_open(&j, &back);
        while (!survivor_texts_next(&j, &a, &p, &another, &e) && another)
            assert_int_equal(p.s, n++);
        assert_true(got.n <= SURVIVOR_LINE + 2);
    }
    assert_int_equal(n, N);
    assert_int_equal(lines, 8);
    jsonl_close(&in);
    buf_release(&line);
    arena_release(&a);
    free(pairs);
    free(text);
    fixture_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_near__equals_all_pairs),
        cmocka_unit_test(test_survivor__many_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
