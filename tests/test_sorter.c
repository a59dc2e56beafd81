/* The sorter against qsort: in memory, in runs, in several passes; records
 * with escapes and long ones; equal hashes of unlike URLs; damage; a full
 * disk is check_gather_scale.py's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "filter/gather_bucket.h"
#include "filter/sorter.h"

#define MEMORY_LARGE ((uint64_t)64 << 20)

static void must(int rc, const struct err *e)
{
    if (rc) {
        fprintf(stderr, "%d: %s\n", rc, e->message);
        abort();
    }
}

struct lines {
    char **v;
    uint64_t *h;
    size_t n;
};

static void lines_free(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
    free(l->h);
}

/* Records of few URLs, few texts, few pages, so that every field decides
 * somewhere; `pad` bytes of text in every thirty-first. */
static void make_lines(struct lines *l, size_t n, size_t pad, uint64_t same)
{
    struct buf b;

    *l = (struct lines){
        .v = xcalloc(n, sizeof *l->v), .h = xcalloc(n, sizeof *l->h), .n = n};
    buf_init(&b, BUF_NO_LIMIT);
    for (size_t i = 0; i < n; i++) {
        uint64_t x = hash_xxh3(str_make((const char *)&i, sizeof i));
        uint32_t q[3] = {(uint32_t)(x % 5), 7, 100000 + (uint32_t)(x % 77)};
        char url[64], text[64], page[64];
        struct pair p = {
            .q = q, .n_q = (uint32_t)(x >> 7) % 4, .matched = true};

        snprintf(url, sizeof url, "http://h.test/%u.jpg",
                 (unsigned)(x >> 10) % (unsigned)(n / 3 + 1));
        snprintf(text, sizeof text, "text \"%u\"", (unsigned)(x >> 40) % 3);
        snprintf(page, sizeof page, "http://p.test/%u%s",
                 (unsigned)(x >> 50) % 2, x >> 60 & 1 ? "\\" : "");
        p.url = str_of(url);
        p.text = str_of(text);
        p.page = x >> 61 & 1 ? str_of(page) : STR_NONE;
        p.from = x >> 62 & 1 ? STR("alt") : STR("title");
        p.origin = x >> 63 ? STR("o:1") : STR("o:2");
        pair_uid(p.text, p.url, p.uid);
        buf_clear(&b);
        pair_write(&p, &b);
        if (pad && i % 31 == 0) { /* an unknown member is kept, too */
            b.n--;
            buf_add(&b, STR(",\"more\":\""));
            for (size_t k = 0; k < pad; k++)
                buf_add_char(&b, 'x');
            buf_add(&b, STR("\"}"));
        }
        l->v[i] = xstrndup(buf_str(&b));
        l->h[i] = same ? same : hash_xxh3(p.url) >> 6 | UINT64_C(5) << 58;
    }
    buf_release(&b);
}

/* ---- by plain means ---- */

struct plain {
    uint64_t h;
    struct pair p;
    struct str line;
};

static int by_plain(const void *x, const void *y)
{
    const struct plain *a = x, *b = y;
    struct pair_key ka = {a->h, a->p.url, a->p.uid};
    struct pair_key kb = {b->h, b->p.url, b->p.uid};
    int c = pair_key_cmp(&ka, &kb);

    if (!c)
        c = str_cmp(a->p.page, b->p.page);
    if (!c)
        c = str_cmp(a->p.from, b->p.from);
    if (!c)
        c = str_cmp(a->p.origin, b->p.origin);
    return c ? c : str_cmp(a->line, b->line);
}

static void add_all(struct sorter *s, const struct lines *l)
{
    struct err e = ERR_INIT;
    struct arena a;
    struct pair p;

    arena_init(&a, 1 << 24);
    for (size_t i = 0; i < l->n; i++) {
        arena_reset(&a);
        must(pair_read(str_of(l->v[i]), &a, &p, &e), &e);
        must(sorter_add(s, l->h[i], &p, str_of(l->v[i]), &e), &e);
    }
    arena_release(&a);
}

static void same_record(const struct sorter_record *r, const struct plain *w)
{
    assert_true(r->h == w->h);
    assert_memory_equal(r->uid, w->p.uid, MD5_SIZE);
    assert_true(str_eq(sorter_line(r), w->line));
    assert_true(str_eq(sorter_field(r, SORTER_URL), w->p.url));
    assert_true(str_eq(sorter_field(r, SORTER_TEXT), w->p.text));
    assert_true(str_eq(sorter_field(r, SORTER_PAGE), w->p.page));
    assert_true(str_eq(sorter_field(r, SORTER_FROM), w->p.from));
    assert_true(str_eq(sorter_field(r, SORTER_ORIGIN), w->p.origin));
    assert_int_equal(r->n_q, w->p.n_q);
    if (r->n_q)
        assert_memory_equal(sorter_q(r), w->p.q, r->n_q * sizeof *w->p.q);
}

/* Sort in so much memory and compare; returns what went to disk. */
static uint64_t check(const struct lines *l, uint64_t memory)
{
    struct plain *want = xcalloc(l->n + 1, sizeof *want);
    const struct sorter_record *r;
    struct err e = ERR_INIT;
    struct sorter s;
    struct arena a;
    uint64_t spilled;

    arena_init(&a, 1 << 28);
    for (size_t i = 0; i < l->n; i++) {
        want[i].h = l->h[i];
        want[i].line = str_of(l->v[i]);
        must(pair_read(want[i].line, &a, &want[i].p, &e), &e);
    }
    qsort(want, l->n, sizeof *want, by_plain);
    must(sorter_open(&s, "/tmp", 6, memory, &e), &e);
    add_all(&s, l);
    must(sorter_sort(&s, &e), &e);
    for (size_t i = 0; i < l->n; i++) {
        must(sorter_next(&s, &r, &e), &e);
        assert_non_null(r);
        same_record(r, &want[i]);
    }
    for (int again = 0; again < 2; again++) {
        must(sorter_next(&s, &r, &e), &e);
        assert_null(r);
    }
    spilled = s.spilled;
    sorter_close(&s);
    arena_release(&a);
    free(want);
    return spilled;
}

/* ---- tests ---- */

static void test_sorter__in_memory(void **state)
{
    static const size_t sizes[] = {0, 1, 2, 3, 255, 256, 5000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct lines l;

        make_lines(&l, sizes[i], 0, 0);
        assert_int_equal(check(&l, MEMORY_LARGE), 0);
        lines_free(&l);
    }
}

/* Radix of three digits. */
static void test_sorter__many(void **state)
{
    struct lines l;

    (void)state;
    make_lines(&l, 300000, 0, 0);
    assert_int_equal(check(&l, (uint64_t)256 << 20), 0);
    lines_free(&l);
}

static void test_sorter__runs_and_passes(void **state)
{
    struct lines l;
    uint64_t bytes;

    (void)state;
    make_lines(&l, 30000, 0, 0);
    bytes = check(&l, SORTER_MEMORY_MIN); /* two runs */
    assert_true(bytes > 7u << 20 && bytes < 8u << 20);
    /* Of 8 runs or so, four at a time: one pass in between. */
    assert_int_equal(check(&l, 1 << 20), 2 * bytes);
    /* Two at a time: six passes from over 64 runs to two. */
    assert_int_equal(check(&l, 64 << 10), 7 * bytes);
    lines_free(&l);
}

/* Records over a block, over two, some smaller ones between. */
static void test_sorter__long_records(void **state)
{
    struct lines l;

    (void)state;
    make_lines(&l, 600, 700000, 0);
    assert_int_equal(check(&l, MEMORY_LARGE), 0);
    assert_true(check(&l, SORTER_MEMORY_MIN) > 0);
    assert_true(check(&l, 800000) > 0);
    lines_free(&l);
}

/* What no input will show: URLs that are not equal, but their hashes are; and
 * one URL alone. */
static void test_sorter__one_hash(void **state)
{
    struct lines l;

    (void)state;
    make_lines(&l, 3000, 0, 77);
    assert_int_equal(check(&l, MEMORY_LARGE), 0);
    assert_true(check(&l, 200000) > 0);
    lines_free(&l);
    make_lines(&l, 2, 0, 77);
    check(&l, MEMORY_LARGE);
    lines_free(&l);
}

static void test_sorter__too_large_alone(void **state)
{
    struct err e = ERR_INIT;
    struct sorter s;
    struct pair p;
    struct arena a;
    struct lines l;

    (void)state;
    make_lines(&l, 1, 5000, 0);
    arena_init(&a, 1 << 20);
    must(pair_read(str_of(l.v[0]), &a, &p, &e), &e);
    must(sorter_open(&s, "/tmp", 6, 4096, &e), &e);
    assert_int_equal(sorter_add(&s, 1, &p, str_of(l.v[0]), &e), -E_TOOBIG);
    sorter_close(&s);
    arena_release(&a);
    lines_free(&l);
}

/* A bit that turns in a file is found before its record is given. */
static void test_sorter__damage(void **state)
{
    const struct sorter_record *r;
    struct err e = ERR_INIT;
    struct sorter s;
    struct lines l;
    char byte;
    int rc;

    (void)state;
    make_lines(&l, 20000, 0, 0);
    must(sorter_open(&s, "/tmp", 6, 1 << 20, &e), &e);
    add_all(&s, &l);
    assert_true(s.n_runs > 2);
    assert_int_equal(pread(s.file[0].fd, &byte, 1, 300000), 1);
    byte ^= 1;
    assert_int_equal(pwrite(s.file[0].fd, &byte, 1, 300000), 1);
    rc = sorter_sort(&s, &e);
    while (!rc && !(rc = sorter_next(&s, &r, &e)) && r)
        ;
    assert_int_equal(rc, -E_DAMAGED);
    assert_non_null(strstr(e.message, "reads back"));
    sorter_close(&s);
    lines_free(&l);
}

/* Closed at any point, and where there is no folder. */
static void test_sorter__left_half_way(void **state)
{
    struct err e = ERR_INIT;
    struct sorter s;
    struct lines l;

    (void)state;
    make_lines(&l, 20000, 0, 0);
    must(sorter_open(&s, "/tmp", 6, 1 << 20, &e), &e);
    add_all(&s, &l);
    sorter_close(&s);
    must(sorter_open(&s, "/tmp", 6, 1 << 20, &e), &e);
    add_all(&s, &l);
    must(sorter_sort(&s, &e), &e);
    sorter_close(&s);
    lines_free(&l);
    make_lines(&l, 30, 0, 0);
    must(sorter_open(&s, "/tmp/not/there", 6, 4096, &e), &e);
    for (size_t i = 0; i < l.n; i++) {
        struct arena a;
        struct pair p;
        int rc;

        arena_init(&a, 1 << 20);
        must(pair_read(str_of(l.v[i]), &a, &p, &e), &e);
        rc = sorter_add(&s, l.h[i], &p, str_of(l.v[i]), &e);
        arena_release(&a);
        if (rc) {
            assert_int_equal(rc, -E_IO);
            assert_true(i > 2);
            break;
        }
        assert_true(i < 20);
    }
    sorter_close(&s);
    lines_free(&l);
}

/* Killed while runs are on disk: nothing of them is left in the folder. */
static void test_sorter__killed(void **state)
{
    char dir[] = "/tmp/witmill-sorter-XXXXXX";
    struct err e = ERR_INIT;
    struct lines l;
    int status;
    pid_t child;

    (void)state;
    assert_non_null(mkdtemp(dir));
    make_lines(&l, 20000, 0, 0);
    child = fork();
    if (child == 0) {
        struct sorter s;

        must(sorter_open(&s, dir, 6, 1 << 20, &e), &e);
        add_all(&s, &l);
        if (!s.spilled)
            _exit(1);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(rmdir(dir), 0); /* it is empty */
    lines_free(&l);
}

/* gather: offsets of frames come out of the same memory. */
static void test_gather__shares_its_memory(void **state)
{
    const uint64_t mib = 1 << 20;
    struct err e = ERR_INIT;
    uint64_t bytes;

    (void)state;
    assert_int_equal(gather_share(1024 * mib, 4, 0, 64, &bytes, &e), 0);
    assert_int_equal(bytes, 256 * mib);
    assert_int_equal(gather_share(1024 * mib, 4, 1024, 8191, &bytes, &e), 0);
    assert_int_equal(bytes, 240 * mib);
    assert_int_equal(gather_share(1, 2, 100, 64, &bytes, &e), 0);
    assert_int_equal(bytes, SORTER_MEMORY_MIN);
    assert_int_equal(gather_share(1024 * mib, 4, 8193, 8191, &bytes, &e),
                     -E_USAGE);
    assert_non_null(strstr(e.message, "513 MiB"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sorter__in_memory),
        cmocka_unit_test(test_sorter__many),
        cmocka_unit_test(test_sorter__runs_and_passes),
        cmocka_unit_test(test_sorter__long_records),
        cmocka_unit_test(test_sorter__one_hash),
        cmocka_unit_test(test_sorter__too_large_alone),
        cmocka_unit_test(test_sorter__damage),
        cmocka_unit_test(test_sorter__left_half_way),
        cmocka_unit_test(test_sorter__killed),
        cmocka_unit_test(test_gather__shares_its_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
