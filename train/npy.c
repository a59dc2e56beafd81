#include "train/npy.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MAGIC STR("\x93NUMPY")

static const struct {
    const char *descr;
    size_t size; /* bytes */
} types[NPY_TYPES] = {
    [NPY_F32] = {"<f4", 4}, [NPY_F16] = {"<f2", 2},  [NPY_F64] = {"<f8", 8},
    [NPY_I64] = {"<i8", 8}, [NPY_I32] = {"<i4", 4},  [NPY_I8] = {"|i1", 1},
    [NPY_U8] = {"|u1", 1},  [NPY_BOOL] = {"|b1", 1},
};

size_t npy_size(enum npy_type t)
{
    return types[t].size;
}

/* ---- half precision ---- */

uint16_t npy_half(float x)
{
    uint32_t bits, sign, mantissa, rest, shift;
    int exponent;

    memcpy(&bits, &x, sizeof bits);
    sign = bits >> 16 & 0x8000;
    exponent = (int)(bits >> 23 & 0xff) - 127 + 15;
    mantissa = bits & 0x7fffff;
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (exponent >= 31)
        return (uint16_t)(sign | 0x7c00);
    if (exponent < -10)
        return (uint16_t)sign;
    shift = 13;
    if (exponent <= 0) { /* below the smallest normal number */
        mantissa |= 0x800000;
        shift = (uint32_t)(14 - exponent);
        exponent = 0;
    }
    rest = mantissa & ((1u << shift) - 1);
    mantissa >>= shift;
    bits = (uint32_t)exponent << 10 | mantissa;
    if (rest > 1u << (shift - 1) ||
        (rest == 1u << (shift - 1) && (mantissa & 1)))
        bits++; /* may carry into the exponent, up to infinity */
    return (uint16_t)(sign | bits);
}

float npy_half_float(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, bits;
    uint32_t exponent = h >> 10 & 31, mantissa = h & 0x3ff;
    float x;

    if (exponent == 31)
        bits = sign | 0x7f800000 | mantissa << 13;
    else if (exponent)
        bits = sign | (exponent + 112) << 23 | mantissa << 13;
    else {
        x = (float)mantissa * 0x1p-24f;
        return sign ? -x : x;
    }
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ---- reading ---- */

struct dict {
    struct str in; /* what is left of it */
    const char *name;
    struct err *e;
};

static int bad(const struct dict *d, const char *what)
{
    return err_set(d->e, E_FORMAT, "%s: the header of a .npy: %s", d->name,
                   what);
}

static void skip_space(struct dict *d)
{
    while (d->in.n && str_is_space(*d->in.p))
        d->in = str_slice(d->in, 1, d->in.n);
}

/* Take c, if it comes next. */
static bool take(struct dict *d, char c)
{
    skip_space(d);
    if (!d->in.n || *d->in.p != c)
        return false;
    d->in = str_slice(d->in, 1, d->in.n);
    return true;
}

static bool take_word(struct dict *d, struct str word)
{
    skip_space(d);
    if (!str_starts(d->in, word))
        return false;
    d->in = str_slice(d->in, word.n, d->in.n);
    return true;
}

/* Between ' or ", without escapes. */
static bool take_string(struct dict *d, struct str *out)
{
    char quote = take(d, '\'') ? '\'' : take(d, '"') ? '"' : 0;
    size_t end = quote ? str_find_char(d->in, quote, 0) : SIZE_MAX;

    if (end == SIZE_MAX)
        return false;
    *out = str_slice(d->in, 0, end);
    d->in = str_slice(d->in, end + 1, d->in.n);
    return true;
}

static int take_type(struct dict *d, struct npy *a)
{
    struct str s;

    if (!take_string(d, &s))
        return bad(d, "descr is no string");
    for (int t = 0; t < NPY_TYPES; t++)
        if (str_eq(s, str_of(types[t].descr))) {
            a->type = (enum npy_type)t;
            return 0;
        }
    return err_set(d->e, E_UNSUPPORTED,
                   "%s: numbers of type \"%.*s\"; <f8, <f4, <f2, <i8, <i4, "
                   "|i1, |u1, |b1 are read",
                   d->name, s.n < 40 ? (int)s.n : 40, s.p);
}

static int take_order(struct dict *d)
{
    if (take_word(d, STR("False")))
        return 0;
    return take_word(d, STR("True"))
               ? err_set(d->e, E_UNSUPPORTED,
                         "%s: columns first (fortran_order); rows first are "
                         "read",
                         d->name)
               : bad(d, "fortran_order is neither True nor False");
}

static int take_shape(struct dict *d, struct npy *a)
{
    bool comma = true;

    if (!take(d, '('))
        return bad(d, "shape is no tuple");
    for (a->dims = 0; !take(d, ')'); a->dims++) {
        size_t n = 0;

        skip_space(d);
        while (n < d->in.n && str_is_digit(d->in.p[n]))
            n++;
        if (!comma || !n)
            return bad(d, "shape is no tuple of numbers");
        if (a->dims == NPY_DIMS_MAX)
            return err_set(d->e, E_TOOBIG, "%s: more than %d dimensions",
                           d->name, NPY_DIMS_MAX);
        if (str_u64(str_slice(d->in, 0, n), &a->shape[a->dims]))
            return err_set(d->e, E_TOOBIG, "%s: a dimension of %.*s", d->name,
                           n < 40 ? (int)n : 40, d->in.p);
        d->in = str_slice(d->in, n, d->in.n);
        comma = take(d, ',');
    }
    return a->dims == 1 && !comma ? bad(d, "shape is a number in brackets") : 0;
}

static int take_member(struct dict *d, struct npy *a, unsigned *seen)
{
    static const char *const names[] = {"descr", "fortran_order", "shape"};
    struct str key;
    int k = 0;

    if (!take_string(d, &key) || !take(d, ':'))
        return bad(d, "no member where one should be");
    while (k < 3 && !str_eq(key, str_of(names[k])))
        k++;
    if (k == 3)
        return bad(d, "a member other than descr, fortran_order, shape");
    if (*seen & 1u << k)
        return bad(d, "a member twice");
    *seen |= 1u << k;
    return k == 0 ? take_type(d, a) : k == 1 ? take_order(d) : take_shape(d, a);
}

static int read_dict(struct dict *d, struct npy *a)
{
    unsigned seen = 0;
    bool comma = true;

    if (!take(d, '{'))
        return bad(d, "no dict");
    while (!take(d, '}')) {
        int rc =
            comma ? take_member(d, a, &seen) : bad(d, "a comma is missing");

        if (rc)
            return rc;
        comma = take(d, ',');
    }
    skip_space(d);
    if (d->in.n)
        return bad(d, "more behind the dict");
    return seen == 7 ? 0 : bad(d, "descr, fortran_order or shape is missing");
}

static int count_numbers(struct npy *a, size_t bytes, const char *name,
                         struct err *e)
{
    uint64_t most = bytes / npy_size(a->type);

    a->count = 1;
    for (int i = 0; i < a->dims; i++)
        if (!a->shape[i])
            most = 0, a->count = 0;
    for (int i = 0; a->count && i < a->dims; i++) {
        if (a->shape[i] > most / a->count)
            return err_set(e, E_FORMAT,
                           "%s: the file ends before its last number", name);
        a->count *= a->shape[i];
    }
    if (a->count * npy_size(a->type) > bytes)
        return err_set(e, E_FORMAT, "%s: the file ends before its last number",
                       name);
    return a->count * npy_size(a->type) < bytes
               ? err_set(e, E_FORMAT, "%s: more bytes behind the last number",
                         name)
               : 0;
}

int npy_parse(struct npy *a, struct str bytes, const char *name, struct err *e)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    struct dict d = {.name = name, .e = e};
    size_t head, at;
    int rc;

    *a = (struct npy){0};
    if (bytes.n > NPY_FILE_MAX)
        return err_set(e, E_TOOBIG, "%s: %zu bytes", name, bytes.n);
    if (bytes.n < 10 || !str_starts(bytes, MAGIC))
        return err_set(e, E_FORMAT, "%s: no .npy file", name);
    if (p[6] < 1 || p[6] > 2 || p[7])
        return err_set(e, E_UNSUPPORTED,
                       "%s: version %d.%d of .npy; 1.0 and 2.0 are read", name,
                       p[6], p[7]);
    at = p[6] == 1 ? 10 : 12;
    if (bytes.n < at)
        return err_set(e, E_FORMAT, "%s: ends in its header", name);
    head = p[8] | (size_t)p[9] << 8;
    if (p[6] == 2)
        head |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (head > NPY_HEADER_MAX)
        return err_set(e, E_TOOBIG, "%s: a header of %zu bytes", name, head);
    if (head > bytes.n - at)
        return err_set(e, E_FORMAT, "%s: ends in its header", name);
    d.in = str_slice(bytes, at, at + head);
    rc = read_dict(&d, a);
    if (rc)
        return rc;
    a->data = bytes.p + at + head;
    return count_numbers(a, bytes.n - at - head, name, e);
}

static double real_of(const struct npy *a, uint64_t i)
{
    uint16_t h;
    double d;
    float x;

    if (a->type == NPY_F64) {
        memcpy(&d, a->data + 8 * i, sizeof d);
        return d;
    }
    if (a->type == NPY_F32) {
        memcpy(&x, a->data + 4 * i, sizeof x);
        return (double)x;
    }
    memcpy(&h, a->data + 2 * i, sizeof h);
    return (double)npy_half_float(h);
}

static bool is_real(enum npy_type t)
{
    return t == NPY_F64 || t == NPY_F32 || t == NPY_F16;
}

int64_t npy_int(const struct npy *a, uint64_t i)
{
    int64_t x;
    int32_t y;
    double f;

    assert(i < a->count);
    switch (a->type) {
    case NPY_I64:
        memcpy(&x, a->data + 8 * i, sizeof x);
        return x;
    case NPY_I32:
        memcpy(&y, a->data + 4 * i, sizeof y);
        return y;
    case NPY_I8:
        return (int8_t)a->data[i];
    case NPY_U8:
    case NPY_BOOL:
        return (uint8_t)a->data[i];
    default:
        f = real_of(a, i);
        return f >= -0x1p63 && f < 0x1p63 ? (int64_t)f : 0;
    }
}

float npy_float(const struct npy *a, uint64_t i)
{
    assert(i < a->count);
    return is_real(a->type) ? (float)real_of(a, i) : (float)npy_int(a, i);
}

/* ---- writing ---- */

void npy_head(char out[NPY_HEAD], enum npy_type type, int dims,
              const uint64_t *shape)
{
    char dict[NPY_HEAD];
    int n;

    assert(dims >= 0 && dims <= NPY_DIMS_MAX);
    n = snprintf(dict, sizeof dict,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (",
                 types[type].descr);
    for (int i = 0; i < dims; i++)
        n += snprintf(dict + n, sizeof dict - (size_t)n, "%s%llu",
                      i ? ", " : "", (unsigned long long)shape[i]);
    n += snprintf(dict + n, sizeof dict - (size_t)n, "%s), }",
                  dims == 1 ? "," : "");
    assert(n < NPY_HEAD - 10);
    memset(out, ' ', NPY_HEAD);
    memcpy(out, MAGIC.p, MAGIC.n);
    out[6] = 1;
    out[7] = 0;
    out[8] = NPY_HEAD - 10;
    out[9] = 0;
    memcpy(out + 10, dict, (size_t)n);
    out[NPY_HEAD - 1] = '\n';
}

int npy_writer_open(struct npy_writer *w, const char *path, enum npy_type type,
                    uint64_t columns, struct err *e)
{
    const uint64_t shape[2] = {0, columns};
    char head[NPY_HEAD];
    int rc;

    assert(type == NPY_F32 || type == NPY_F16);
    *w = (struct npy_writer){.type = type, .columns = columns};
    rc = io_file_open(&w->file, path, e);
    if (rc)
        return rc;
    if (type == NPY_F16)
        w->half = xcalloc(columns, sizeof *w->half);
    npy_head(head, type, 2, shape);
    rc = io_file_write(&w->file, str_make(head, sizeof head), e);
    if (rc)
        npy_writer_abandon(w);
    return rc;
}

int npy_writer_add(struct npy_writer *w, const float *row, struct err *e)
{
    const void *p = row;

    for (uint64_t i = 0; w->half && i < w->columns; i++)
        w->half[i] = npy_half(row[i]);
    if (w->half)
        p = w->half;
    w->rows++;
    return io_file_write(&w->file, str_make(p, w->columns * npy_size(w->type)),
                         e);
}

int npy_writer_publish(struct npy_writer *w, struct err *e)
{
    const uint64_t shape[2] = {w->rows, w->columns};
    char head[NPY_HEAD];
    int rc;

    npy_head(head, w->type, 2, shape);
    io_file_patch(&w->file, 0, str_make(head, sizeof head), e);
    rc = io_file_publish(&w->file, e);
    free(w->half);
    w->half = NULL;
    return rc;
}

void npy_writer_abandon(struct npy_writer *w)
{
    io_file_abandon(&w->file);
    free(w->half);
    w->half = NULL;
}
