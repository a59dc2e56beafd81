#include "train/store.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/op.h"

#define NAME_MAX_BYTES 192       /* of a tensor; open_clip's stay under 64 */
#define CONVERT_MAX    (1 << 17) /* numbers converted at a time */

void store_init(struct store *s)
{
    memset(s, 0, sizeof *s);
}

static void close_classes(struct store *s, struct device *d)
{
    if (s->act != s->real)
        device_free(d, s->act);
    device_free(d, s->real);
    device_free(d, s->grad);
    device_free(d, s->m);
    device_free(d, s->v);
    s->real = s->act = s->grad = s->m = s->v = NULL;
}

void store_release(struct store *s, struct device *d)
{
    close_classes(s, d);
    for (int i = 0; i < s->n; i++)
        free((char *)s->list[i].name);
    free(s->list);
    memset(s, 0, sizeof *s);
}

static int add(struct store *s, const struct tensor *t, const char *format,
               va_list ap)
{
    char name[NAME_MAX_BYTES];
    int length = vsnprintf(name, sizeof name, format, ap);

    assert(length > 0 && (size_t)length < sizeof name);
    assert(s->size == 0 && t->rank >= 0 && t->rank <= STORE_RANK_MAX);
    s->list = xgrow(s->list, &s->cap, (size_t)s->n + 1, sizeof *s->list);
    s->list[s->n] = *t;
    s->list[s->n].name = xstrdup(name);
    s->list[s->n].count = 1;
    for (int i = 0; i < t->rank; i++) {
        assert(t->shape[i] > 0);
        s->list[s->n].count *= t->shape[i];
    }
    return s->n++;
}

int store_add(struct store *s, struct init init, int rank, const int64_t *shape,
              const char *format, ...)
{
    struct tensor t = {.rank = rank, .init = init};
    va_list ap;
    int i;

    for (i = 0; i < rank; i++)
        t.shape[i] = shape[i];
    va_start(ap, format);
    i = add(s, &t, format, ap);
    va_end(ap);
    return i;
}

int store_add_buffer(struct store *s, struct init init, int64_t count,
                     const char *format, ...)
{
    struct tensor t = {
        .rank = 1, .shape = {count}, .buffer = true, .init = init};
    va_list ap;
    int i;

    va_start(ap, format);
    i = add(s, &t, format, ap);
    va_end(ap);
    return i;
}

/* Place one kind behind `at`; the offset behind it comes back. */
static int64_t lay_out(struct store *s, bool buffers, int64_t at)
{
    for (int i = 0; i < s->n; i++) {
        struct tensor *t = &s->list[i];

        if (t->buffer != buffers)
            continue;
        t->at = at;
        at += (t->count + STORE_ALIGN - 1) / STORE_ALIGN * STORE_ALIGN;
    }
    return at;
}

void store_seal(struct store *s)
{
    s->parameters = lay_out(s, false, 0);
    s->size = lay_out(s, true, s->parameters);
}

static int open_class(struct store *s, struct device *d, size_t number_bytes,
                      const char *name, char **out, struct err *e)
{
    struct op_zero zero = {.bytes = s->size * (int64_t)number_bytes};

    *out = device_alloc(d, (size_t)zero.bytes, e);
    if (!*out)
        return err_wrap(e, -E_NOMEM, "%s", name);
    zero.x = *out;
    op_zero(d, &zero);
    return 0;
}

int store_open(struct store *s, struct device *d, enum store_use use,
               struct err *e)
{
    bool train = use != STORE_READ;
    int rc;

    assert(s->size > 0 && !s->real && !d->planning);
    s->real_size = dtype_size(d->real);
    s->act_size = dtype_size(d->act);
    s->half_moments = use == STORE_TRAIN_HALF;
    s->moment_size = s->half_moments ? dtype_size(DTYPE_BF16) : s->real_size;
    rc = open_class(s, d, s->real_size, "weights", &s->real, e);
    if (!rc && d->act != d->real)
        rc = open_class(s, d, s->act_size, "weights for products", &s->act, e);
    else
        s->act = s->real;
    if (!rc && train)
        rc = open_class(s, d, s->real_size, "gradients", &s->grad, e);
    if (!rc && train)
        rc = open_class(s, d, s->moment_size, "first moments", &s->m, e);
    if (!rc && train)
        rc = open_class(s, d, s->moment_size, "second moments", &s->v, e);
    if (!rc)
        rc = device_check(d, e);
    if (rc)
        close_classes(s, d);
    return rc;
}

uint64_t store_bytes(const struct store *s)
{
    uint64_t number = s->real ? s->real_size : 0;

    number += s->act != s->real ? s->act_size : 0;
    number += s->grad ? s->real_size : 0;
    number += (s->m ? s->moment_size : 0) + (s->v ? s->moment_size : 0);
    return (uint64_t)s->size * number;
}

/* Tensor i in a class of numbers of number_bytes; NULL when it is not open. */
static void *tensor_in(const struct store *s, char *class, size_t number_bytes,
                       int i)
{
    assert(i >= 0 && i < s->n);
    return class ? class + (size_t)s->list[i].at * number_bytes : NULL;
}

void *store_real(const struct store *s, int i)
{
    return tensor_in(s, s->real, s->real_size, i);
}

const void *store_act(const struct store *s, int i)
{
    return tensor_in(s, s->act, s->act_size, i);
}

void *store_grad(const struct store *s, int i)
{
    return tensor_in(s, s->grad, s->real_size, i);
}

int store_find(const struct store *s, struct str name)
{
    for (int i = 0; i < s->n; i++)
        if (str_eq(name, str_of(s->list[i].name)))
            return i;
    return -1;
}

/* Room for as many of n numbers as are converted at once. */
static void *convert_room(const struct store *s, int64_t n)
{
    return xmalloc((size_t)(n < CONVERT_MAX ? n : CONVERT_MAX) * s->real_size);
}

void store_put(struct store *s, struct device *d, int i, const void *host,
               enum dtype from)
{
    int64_t n = s->list[i].count;
    const char *in = host;
    char *to = store_real(s, i);
    void *room;

    if (from == d->real) {
        device_put(d, to, host, (size_t)n * s->real_size);
        return;
    }
    room = convert_room(s, n);
    while (n > 0) {
        size_t now = (size_t)(n < CONVERT_MAX ? n : CONVERT_MAX);

        dtype_convert(room, d->real, in, from, now);
        device_put(d, to, room, now * s->real_size);
        in += now * dtype_size(from);
        to += now * s->real_size;
        n -= (int64_t)now;
    }
    free(room);
}

static void get_from(const struct store *s, struct device *d, const char *from,
                     int64_t n, void *host, enum dtype to)
{
    char *out = host;
    void *room;

    if (to == d->real) {
        device_get(d, host, from, (size_t)n * s->real_size);
        return;
    }
    room = convert_room(s, n);
    while (n > 0) {
        size_t now = (size_t)(n < CONVERT_MAX ? n : CONVERT_MAX);

        memset(room, 0, now * s->real_size); /* a get that fails reads none */
        device_get(d, room, from, now * s->real_size);
        dtype_convert(out, to, room, d->real, now);
        from += now * s->real_size;
        out += now * dtype_size(to);
        n -= (int64_t)now;
    }
    free(room);
}

void store_get(const struct store *s, struct device *d, int i, void *host,
               enum dtype to)
{
    get_from(s, d, store_real(s, i), s->list[i].count, host, to);
}

void store_get_some(const struct store *s, struct device *d, int i,
                    int64_t from, int64_t n, void *host, enum dtype to)
{
    const char *real = store_real(s, i);

    assert(from >= 0 && n >= 0 && n <= s->list[i].count - from);
    get_from(s, d, real + (size_t)from * s->real_size, n, host, to);
}

void store_get_grad(const struct store *s, struct device *d, int i, void *host,
                    enum dtype to)
{
    get_from(s, d, store_grad(s, i), s->list[i].count, host, to);
}

void store_refresh(struct store *s, struct device *d)
{
    struct op_cast cast = {.n = s->size, .x = s->real, .y = s->act};

    if (s->act != s->real)
        op_cast(d, &cast);
}
