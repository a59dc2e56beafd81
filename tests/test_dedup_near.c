/* dedup_search against all pairs; dedup_mail; the lines of base/survivor. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/survivor.h"
#include "filter/dedup_mail.h"
#include "filter/dedup_search.h"
#include "tests/corpus_fixture.h"

/* ---- dedup_search ---- */

struct dedup_image {
    uint8_t sha[16]; /* first half of the sha256 of the original bytes */
    uint64_t phash;
};

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

/* Search by the parts themselves; memory 0 gives the least there can be. */
struct how {
    uint64_t memory, expect;
    unsigned radius, threads, k;
    uint32_t set; /* the first so many images are an evaluation set */
};

static void judge(const struct dedup_image *images, const uint8_t *exempt,
                  size_t n, const struct how *how, struct dedup_verdict *v,
                  uint64_t *big, uint64_t *cut)
{
    struct dedup_search_config c = {.folder = "/tmp",
                                    .memory_bytes = how->memory,
                                    .expect = how->expect,
                                    .radius = how->radius,
                                    .threads = how->threads,
                                    .k = how->k};
    struct dedup_search s;
    struct err e = ERR_INIT;
    size_t id = 0;

    assert_int_equal(dedup_search_open(&s, &c, &e), 0);
    for (size_t i = 0; i < n; i++) {
        if (i == how->set)
            dedup_search_set_ends(&s);
        assert_int_equal(
            dedup_search_add(
                &s, images[i].sha,
                exempt[i / 8] >> i % 8 & 1 ? NULL : &images[i].phash, &e),
            0);
    }
    if (dedup_search_finish(&s, &e))
        fail_msg("%s", e.message);
    for (uint32_t r = 0; r < s.ranges; r++) {
        struct dedup_range range;

        assert_int_equal(dedup_search_range(&s, r, &range, &e), 0);
        assert_int_equal(range.first, id);
        memcpy(v + id, range.verdicts, range.n * sizeof *v);
        id += range.n;
        dedup_range_release(&range);
    }
    assert_int_equal(id, n);
    *big = s.near.n_big;
    *cut = s.near.n_cut;
    dedup_search_close(&s);
}

static void check_case(struct fixture *f, size_t n, const struct how *how,
                       int kind)
{
    struct dedup_image *images = xcalloc(n + 1, sizeof *images);
    uint8_t *exempt = xcalloc(n / 8 + 1, 1);
    struct dedup_verdict *v = xcalloc(n + 1, sizeof *v);
    uint64_t big, cut;
    size_t dropped = 0;

    draw_images(f, images, exempt, n, how->radius, kind);
    judge(images, exempt, n, how, v, &big, &cut);
    for (size_t i = 0; i < n; i++) {
        struct dedup_verdict want = naive(images, exempt, i, how->radius);

        assert_int_equal(v[i].by, want.by);
        assert_int_equal(v[i].exact, want.exact);
        dropped += want.by != DEDUP_NONE;
    }
    assert_true(n < 1000 || (dropped > n / 50 && dropped < n));
    free(images);
    free(exempt);
    free(v);
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
        struct how how = {.radius = cases[c].radius,
                          .threads = 1 + (unsigned)c % 4,
                          .expect = c % 2 ? cases[c].n : 1 << 30};

        check_case(&f, cases[c].n, &how, cases[c].kind);
    }
}

/* ---- 20,000 images, all radii, little memory ---- */

enum { MANY = 20000, RADII = 9 };

/* Random and near ones, and the crowds of the web: equal ones, one bit pattern
 * with 24 loose bits, and the surroundings of a few values. */
static void draw_many(struct fixture *f, struct dedup_image *images,
                      uint8_t *exempt, bool one_crowd)
{
    memset(exempt, 0, MANY / 8 + 1);
    for (size_t i = 0; i < MANY; i++) {
        uint64_t r = fixture_random(f), what = one_crowd ? 6 : r % 8;
        unsigned flips = (unsigned)(r >> 8) % 11;

        memset(images[i].sha, 0, sizeof images[i].sha);
        memcpy(images[i].sha, &r, 8);
        images[i].phash = fixture_random(f);
        if (i && what < 3)
            images[i].phash = images[fixture_random(f) % i].phash;
        if (what == 4)
            images[i].phash = UINT64_C(0x1111) * (r >> 32 & 3);
        if (what == 5)
            images[i].phash = UINT64_C(0xff00ff00ff) << (r >> 32 & 3);
        if (what == 6)
            images[i].phash &= one_crowd && r >> 32 & 3
                                   ? UINT64_C(0xffffff)
                                   : UINT64_C(0x0f0f0f0f0f0f);
        while ((what < 3 || what == 5) && flips--)
            images[i].phash ^= UINT64_C(1) << fixture_random(f) % 64;
        if (i && r % 41 == 0)
            memcpy(images[i].sha, images[fixture_random(f) % i].sha, 16);
        if (r % 23 == 0)
            exempt[i / 8] |= (uint8_t)(1u << i % 8);
    }
}

/* first[r * MANY + i]: the first that i is near to, by comparing all. */
static void compare_all(const struct dedup_image *images, const uint8_t *exempt,
                        uint32_t *first)
{
    memset(first, 0xff, (size_t)RADII * MANY * sizeof *first);
    for (uint32_t i = 0; i < MANY; i++)
        for (uint32_t k = 0; k < i && !(exempt[i / 8] >> i % 8 & 1); k++) {
            unsigned bits = (unsigned)__builtin_popcountll(images[i].phash ^
                                                           images[k].phash);

            if (bits < RADII && !(exempt[k / 8] >> k % 8 & 1))
                for (unsigned r = bits; r < RADII; r++)
                    if (first[r * MANY + i] == DEDUP_NONE)
                        first[r * MANY + i] = k;
        }
}

/* The verdict on i by comparing all; set: ids below are an evaluation set. */
static struct dedup_verdict want(const struct dedup_image *images,
                                 const uint32_t *near, uint32_t i, uint32_t set)
{
    struct dedup_verdict v = {near[i], false};

    if (i < set)
        return (struct dedup_verdict){DEDUP_NONE, false};
    for (uint32_t k = 0; k < i; k++)
        if (!memcmp(images[k].sha, images[i].sha, 16)) {
            if (k < set || v.by >= set)
                v = (struct dedup_verdict){k, true};
            break;
        }
    return v;
}

static void check_many(const struct dedup_image *images, const uint8_t *exempt,
                       const uint32_t *first, bool big)
{
    struct dedup_verdict *v = xcalloc(MANY, sizeof *v);
    uint64_t sum_big = 0, sum_cut = 0;

    for (unsigned r = 0; r < RADII; r++) {
        struct how how = {.radius = r,
                          .threads = !big    ? 1 + r % 2
                                     : r % 2 ? 8 /* pairs of halves */
                                             : 80 /* cut */,
                          .k = big ? 0 : r % 4,
                          .expect = r % 2 ? MANY : 1 << 30,
                          .memory = r % 3 ? 0 : 1 << 30,
                          .set = r % 3 == 1 ? 3000 : 0};
        const uint32_t *near = first + (size_t)r * MANY;
        uint64_t n_big, n_cut;

        how.memory = big ? 0 : how.memory;
        judge(images, exempt, MANY, &how, v, &n_big, &n_cut);
        sum_big += n_big;
        sum_cut += n_cut;
        for (uint32_t i = 0; i < MANY; i++) {
            struct dedup_verdict w = {near[i], false};

            if (i < how.set || i % 7 == 0 || v[i].exact)
                w = want(images, near, i, how.set);
            if (w.by != v[i].by || w.exact != v[i].exact)
                fail_msg("radius %u, image %u: %u, not %u", r, i, v[i].by,
                         w.by);
        }
    }
    if (big && (sum_cut < 4 || sum_big < sum_cut + 5))
        fail_msg("of %llu big parts %llu were cut", (unsigned long long)sum_big,
                 (unsigned long long)sum_cut);
    free(v);
}

static void test_near__all_radii_and_memories(void **state)
{
    struct dedup_image *images = xcalloc(MANY, sizeof *images);
    uint8_t *exempt = xcalloc(MANY / 8 + 1, 1);
    uint32_t *first = xrealloc_array(NULL, (size_t)RADII * MANY, 4);
    struct fixture f = {.random = 11};

    (void)state;
    for (int big = 0; big < 2; big++) {
        draw_many(&f, images, exempt, big);
        compare_all(images, exempt, first);
        check_many(images, exempt, first, big);
    }
    free(images);
    free(exempt);
    free(first);
}

static void test_scan__all_kinds_agree(void **state)
{
    const struct dedup_scan *scans[DEDUP_SCANS_MAX];
    size_t n_scans = dedup_scans(scans);
    uint64_t phash[100 + DEDUP_SCAN_SLACK] = {0};
    uint32_t at[100], least[DEDUP_SCANS_MAX][200];
    struct fixture f = {.random = 3};

    (void)state;
    assert_true(n_scans >= 1);
    for (size_t n = 0; n <= 100; n++) {
        for (uint32_t i = 0; i < n; i++) {
            phash[i] = fixture_random(&f) & 0xfff0f;
            at[i] = i + i / 2;
        }
        for (unsigned radius = 0; radius < 6; radius++)
            for (size_t s = 0; s < n_scans; s++) {
                for (uint32_t i = 0; i < 200; i++)
                    least[s][i] = i;
                scans[s]->run(phash, at, n, radius, least[s]);
                assert_memory_equal(least[s], least[0], sizeof least[s]);
                for (size_t i = 0; i < n; i++)
                    assert_int_equal(
                        scans[s]->first(phash, i, phash[i], radius),
                        scans[n_scans - 1]->first(phash, i, phash[i], radius));
            }
    }
}

/* ---- the URLs of those who pushed out ---- */

static struct str url_of(uint32_t id, char out[64])
{
    snprintf(out, 64, "http://h%u.test/%.*s", id, (int)(id % 30),
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    return str_of(out);
}

/* Over several ranges of ids, with a set before them. */
static void test_mail__brings_the_url(void **state)
{
    struct dedup_image *images = xcalloc(MANY, sizeof *images);
    uint8_t *exempt = xcalloc(MANY / 8 + 1, 1);
    struct dedup_search_config c = {.folder = "/tmp", .radius = 3};
    struct fixture f = {.random = 5};
    struct dedup_search s;
    struct dedup_mail m;
    struct dedup_set set;
    struct err e = ERR_INIT;
    size_t far = 0, in_set = 0;
    char text[64];

    (void)state;
    draw_many(&f, images, exempt, false);
    dedup_set_init(&set);
    assert_int_equal(dedup_search_open(&s, &c, &e), 0);
    for (uint32_t i = 0; i < MANY; i++) {
        if (i < 5000)
            assert_int_equal(dedup_set_add(&set, url_of(i, text), images[i].sha,
                                           &images[i].phash, &e),
                             0);
        if (i == 5000)
            dedup_search_set_ends(&s);
        assert_int_equal(
            dedup_search_add(&s, images[i].sha, &images[i].phash, &e), 0);
    }
    assert_int_equal(dedup_search_finish(&s, &e), 0);
    assert_true(s.ranges > 3);
    assert_int_equal(dedup_mail_open(&m, &s, &set, &e), 0);
    for (uint32_t i = 5000; i < MANY; i++) {
        struct dedup_verdict v;
        struct dedup_pusher by;

        assert_int_equal(
            dedup_mail_visit(&m, i, url_of(i, text), images[i].phash, &v, &e),
            0);
        if (v.by == DEDUP_NONE)
            continue;
        by = dedup_mail_pusher(&m, v.by);
        assert_true(str_eq(by.url, url_of(v.by, text)));
        assert_true(by.phash == images[v.by].phash);
        in_set += v.by < 5000;
        far += v.by >= 5000 && v.by >> s.range_shift != i >> s.range_shift;
    }
    assert_true(far > 300 && in_set > 300);
    assert_int_equal(
        dedup_mail_visit(&m, MANY, STR(""), 0, &(struct dedup_verdict){0}, &e),
        -E_DAMAGED);
    dedup_mail_close(&m);
    dedup_search_close(&s);
    dedup_set_release(&set);
    free(images);
    free(exempt);
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
    struct buf records[N];
    struct str texts[N];
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
        struct pair p = {.url = s.url,
                         .text = str_make(text, PAIR_TEXT_MAX),
                         .selected = true,
                         .s = i};

        p.uid[0] = (uint8_t)i;
        buf_init(&records[i], JSONL_LINE_MAX);
        pair_write(&p, &records[i]);
        texts[i] = buf_str(&records[i]);
    }
    s.texts_total = N;
    buf_init(&line, JSONL_LINE_MAX);
    arena_init(&a, 1 << 24);
    assert_int_equal(jsonl_open_write(&w, path, &e), 0);
    assert_int_equal(survivor_write(&w, &s, texts, N, &line, &e), 0);
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
    for (size_t i = 0; i < N; i++)
        buf_release(&records[i]);
    free(text);
    fixture_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_near__equals_all_pairs),
        cmocka_unit_test(test_near__all_radii_and_memories),
        cmocka_unit_test(test_scan__all_kinds_agree),
        cmocka_unit_test(test_mail__brings_the_url),
        cmocka_unit_test(test_survivor__many_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
