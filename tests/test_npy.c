/* train/npy: arrays as NumPy writes them, and everything that is not one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tests/folder.h"
#include "train/npy.h"

/* A file of this version with this header and `bytes` bytes of data, all 0. */
static struct buf file_of(int version, const char *header, size_t bytes)
{
    struct buf b;
    size_t n = strlen(header);

    buf_init(&b, 1 << 20);
    buf_add(&b, STR("\x93NUMPY"));
    buf_add_char(&b, (char)version);
    buf_add_char(&b, 0);
    buf_add_char(&b, (char)(n & 255));
    buf_add_char(&b, (char)(n >> 8));
    if (version > 1) {
        buf_add_char(&b, 0);
        buf_add_char(&b, 0);
    }
    buf_add(&b, str_of(header));
    for (size_t i = 0; i < bytes; i++)
        buf_add_char(&b, 0);
    return b;
}

#define DICT(descr, order, shape)                                              \
    "{'descr': '" descr "', 'fortran_order': " order ", 'shape': " shape ", }"

static void test_npy__headers(void **state)
{
    static const struct {
        const char *header;
        size_t bytes; /* behind it */
        int version, rc;
    } cases[] = {
        {DICT("<f4", "False", "(2, 3)") "  \n", 24, 1, 0},
        {DICT("<f4", "False", "(2, 3)"), 24, 2, 0},
        {"{\"shape\":(2,3),\"descr\":\"<f2\",\"fortran_order\":False}", 12, 1,
         0},
        {DICT("<i8", "False", "()"), 8, 1, 0},
        {DICT("<i8", "False", "(1,)"), 8, 1, 0},
        {DICT("|u1", "False", "(0,)"), 0, 1, 0},
        {DICT("|b1", "False", "(5, 0, 7)"), 0, 1, 0},
        {DICT("<f4", "False", "(2, 3)"), 23, 1, -E_FORMAT},
        {DICT("<f4", "False", "(2, 3)"), 25, 1, -E_FORMAT},
        {DICT("<f4", "False", "(0, 3)"), 1, 1, -E_FORMAT},
        {DICT("<f4", "False", "(1)"), 4, 1, -E_FORMAT},
        {DICT("<f4", "False", "(2 3)"), 24, 1, -E_FORMAT},
        {DICT("<f4", "False", "(-2,)"), 8, 1, -E_FORMAT},
        {DICT("<f4", "False", "2"), 8, 1, -E_FORMAT},
        {DICT("<f4", "True", "(2, 3)"), 24, 1, -E_UNSUPPORTED},
        {DICT("<f4", "Maybe", "(2, 3)"), 24, 1, -E_FORMAT},
        {DICT(">f4", "False", "(2, 3)"), 24, 1, -E_UNSUPPORTED},
        {DICT("<f8", "False", "(2, 3)"), 48, 1, 0},
        {DICT("<i4", "False", "(2, 3)"), 24, 1, 0},
        {DICT("|i1", "False", "(2, 3)"), 6, 1, 0},
        {DICT("<f8", "False", "(2, 3)"), 47, 1, -E_FORMAT},
        {DICT(">f8", "False", "(2, 3)"), 48, 1, -E_UNSUPPORTED},
        {DICT("<u4", "False", "(2, 3)"), 24, 1, -E_UNSUPPORTED},
        {DICT("|O", "False", "(2, 3)"), 24, 1, -E_UNSUPPORTED},
        {DICT("<f4", "False", "(1, 1, 1, 1, 1)"), 4, 1, -E_TOOBIG},
        {DICT("<f4", "False", "(99999999999999999999,)"), 4, 1, -E_TOOBIG},
        {DICT("<f4", "False", "(4294967296, 4294967296)"), 4, 1, -E_FORMAT},
        {DICT("<f4", "False", "(18446744073709551615, 2)"), 4, 1, -E_FORMAT},
        {DICT("<f4", "False", "(2, 3)") "x", 24, 1, -E_FORMAT},
        {"{'descr': '<f4', 'shape': (2, 3)}", 24, 1, -E_FORMAT},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, "
         "'shape': (2, 3)}",
         24, 1, -E_FORMAT},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), "
         "'more': 1}",
         24, 1, -E_FORMAT},
        {"{'descr': '<f4' 'fortran_order': False, 'shape': (2, 3)}", 24, 1,
         -E_FORMAT},
        {"{'descr: <f4}", 24, 1, -E_FORMAT},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", 8,
         1, -E_FORMAT},
        {"{", 0, 1, -E_FORMAT},
        {"", 0, 1, -E_FORMAT},
        {DICT("<f4", "False", "(2, 3)"), 24, 3, -E_UNSUPPORTED},
        {DICT("<f4", "False", "(2, 3)"), 24, 0, -E_UNSUPPORTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b =
            file_of(cases[i].version, cases[i].header, cases[i].bytes);
        struct err e = ERR_INIT;
        struct npy a;
        int rc = npy_parse(&a, buf_str(&b), "x.npy", &e);

        if (rc != cases[i].rc)
            fail_msg("%s: %d, not %d: %s", cases[i].header, rc, cases[i].rc,
                     e.message);
        if (rc)
            assert_non_null(strstr(e.message, "x.npy"));
        else
            assert_int_equal(a.count * npy_size(a.type), cases[i].bytes);
        buf_release(&b);
    }
}

/* Every cut of a sound file is refused. */
static void test_npy__cuts(void **state)
{
    struct buf b = file_of(1, DICT("<f4", "False", "(2, 3)"), 24);
    struct npy a;

    (void)state;
    assert_int_equal(npy_parse(&a, buf_str(&b), "x", NULL), 0);
    assert_int_equal(a.dims, 2);
    assert_int_equal(a.shape[1], 3);
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(npy_parse(&a, str_make(b.p, n), "x", NULL), -E_FORMAT);
    b.p[9] = 0x20; /* a header of more than 8,000 bytes */
    assert_int_equal(npy_parse(&a, buf_str(&b), "x", NULL), -E_TOOBIG);
    buf_release(&b);
}

static void test_npy__half(void **state)
{
    static const struct {
        float x;
        uint16_t h;
    } cases[] = {
        {0, 0},
        {-0.0f, 0x8000},
        {1, 0x3c00},
        {-2, 0xc000},
        {65504, 0x7bff},
        {65519.996f, 0x7bff},
        {65520, 0x7c00},
        {1e30f, 0x7c00},
        {-INFINITY, 0xfc00},
        {0x1p-14f, 0x400},
        {0x1p-24f, 1},
        {0x1p-25f, 0},
        {0x1.8p-25f, 1},
        {0x1.8p-24f, 2},
        {0x1.ff8p-15f, 0x3ff},
        {0x1.ffcp-15f, 0x400},
        {1 + 0x1p-11f, 0x3c00},
        {1 + 0x1.8p-10f, 0x3c02},
        {1 + 0x1.1p-11f, 0x3c01},
        {2049, 0x6800},
        {2051, 0x6802},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (npy_half(cases[i].x) != cases[i].h)
            fail_msg("%a: %04x, not %04x", (double)cases[i].x,
                     npy_half(cases[i].x), cases[i].h);
    assert_true(isnan(npy_half_float(npy_half(NAN))));
    /* every half that is a number comes back */
    for (uint32_t h = 0; h < 0x10000; h++)
        if ((h & 0x7fff) <= 0x7c00)
            assert_int_equal(npy_half(npy_half_float((uint16_t)h)), h);
}

static void check_rows(enum npy_type type, size_t rows)
{
    const char *path = at("rows.npy");
    struct npy_writer w;
    struct err e = ERR_INIT;
    struct buf b;
    struct npy a;
    float row[5];

    assert_int_equal(npy_writer_open(&w, path, type, 5, &e), 0);
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < 5; k++)
            row[k] = (float)(i % 64) + (float)k / 8;
        assert_int_equal(npy_writer_add(&w, row, &e), 0);
    }
    assert_int_equal(npy_writer_publish(&w, &e), 0);
    buf_init(&b, 1 << 24);
    assert_int_equal(io_read_file(path, &b, &e), 0);
    assert_int_equal(npy_parse(&a, buf_str(&b), path, &e), 0);
    assert_int_equal(a.type, type);
    assert_int_equal(a.dims, 2);
    assert_int_equal(a.shape[0], rows);
    assert_int_equal(a.shape[1], 5);
    for (size_t i = 0; i < a.count; i++)
        assert_true(npy_float(&a, i) ==
                    (float)(i / 5 % 64) + (float)(i % 5) / 8);
    buf_release(&b);
}

/* Few rows are still in memory when the header is written again, many not. */
static void test_npy__rows(void **state)
{
    (void)state;
    check_rows(NPY_F32, 0);
    check_rows(NPY_F32, 3);
    check_rows(NPY_F32, 50000);
    check_rows(NPY_F16, 3);
    check_rows(NPY_F16, 50000);
}

static void test_npy__abandoned(void **state)
{
    const float row[2] = {1, 2};
    struct npy_writer w;

    (void)state;
    assert_int_equal(npy_writer_open(&w, at("none.npy"), NPY_F16, 2, NULL), 0);
    assert_int_equal(npy_writer_add(&w, row, NULL), 0);
    npy_writer_abandon(&w);
    npy_writer_abandon(&w);
    assert_false(io_exists(at("none.npy")));
    assert_false(io_exists(at("none.npy.tmp")));
    assert_int_equal(
        npy_writer_open(&w, at("no/such/folder.npy"), NPY_F32, 2, NULL), -E_IO);
}

static void test_npy__numbers(void **state)
{
    struct buf b = file_of(1, DICT("<i8", "False", "(2,)"), 16);
    const int64_t two[2] = {-5, INT64_MAX};
    struct npy a;

    (void)state;
    memcpy(b.p + b.n - 16, two, 16);
    assert_int_equal(npy_parse(&a, buf_str(&b), "x", NULL), 0);
    assert_int_equal(npy_int(&a, 0), -5);
    assert_true(npy_int(&a, 1) == INT64_MAX);
    assert_true(npy_float(&a, 0) == -5);
    buf_release(&b);
    b = file_of(1, DICT("<f4", "False", "(4,)"), 16);
    memcpy(b.p + b.n - 16, (const float[4]){2.75f, -2.75f, 1e30f, NAN}, 16);
    assert_int_equal(npy_parse(&a, buf_str(&b), "x", NULL), 0);
    assert_int_equal(npy_int(&a, 0), 2);
    assert_int_equal(npy_int(&a, 1), -2);
    assert_int_equal(npy_int(&a, 2), 0);
    assert_int_equal(npy_int(&a, 3), 0);
    buf_release(&b);
    b = file_of(1, DICT("<f8", "False", "(3,)"), 24);
    memcpy(b.p + b.n - 24, (const double[3]){1, -2.75, 1e300}, 24);
    assert_int_equal(npy_parse(&a, buf_str(&b), "x", NULL), 0);
    assert_true(npy_float(&a, 0) == 1 && npy_int(&a, 0) == 1);
    assert_true(npy_float(&a, 1) == -2.75f && npy_int(&a, 1) == -2);
    assert_true(isinf(npy_float(&a, 2)) && npy_int(&a, 2) == 0);
    buf_release(&b);
    b = file_of(1, DICT("<i4", "False", "(2,)"), 8);
    memcpy(b.p + b.n - 8, (const int32_t[2]){-7, INT32_MAX}, 8);
    assert_int_equal(npy_parse(&a, buf_str(&b), "x", NULL), 0);
    assert_true(npy_int(&a, 0) == -7 && npy_int(&a, 1) == INT32_MAX);
    assert_true(npy_float(&a, 0) == -7);
    buf_release(&b);
    b = file_of(1, DICT("|i1", "False", "(2,)"), 2);
    memcpy(b.p + b.n - 2, (const int8_t[2]){-1, 1}, 2);
    assert_int_equal(npy_parse(&a, buf_str(&b), "x", NULL), 0);
    assert_true(npy_int(&a, 0) == -1 && npy_float(&a, 1) == 1);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_npy__headers),
        cmocka_unit_test(test_npy__cuts),
        cmocka_unit_test(test_npy__half),
        cmocka_unit_test(test_npy__rows),
        cmocka_unit_test(test_npy__abandoned),
        cmocka_unit_test(test_npy__numbers),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
