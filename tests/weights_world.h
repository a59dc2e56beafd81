/*
 * weights_world - models on the reference backend, their files in a folder,
 * and files with something else in them; for the tests of train/weights.
 */
#ifndef TESTS_WEIGHTS_WORLD_H
#define TESTS_WEIGHTS_WORLD_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "train/ref/ref.h"
#include "train/weights.h"
#include "train/weights_names.h"

static char folder[] = "/tmp/witmill-weights-XXXXXX";
static struct device device;

static inline const char *at(const char *name)
{
    static char path[4][IO_PATH_MAX];
    static int turn;
    char *to = path[turn++ % 4];

    snprintf(to, IO_PATH_MAX, "%s/%s", folder, name);
    return to;
}

static inline int setup(void **state)
{
    (void)state;
    log_quiet(true);
    return mkdtemp(folder) && ref_open(&device, DTYPE_F32, NULL) == 0 ? 0 : -1;
}

static inline int teardown(void **state)
{
    char command[128];

    (void)state;
    device_close(&device);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* A fresh model by a name of the table or by JSON. */
static inline void open_model(struct clip *m, const char *what, uint64_t seed)
{
    struct clip_config c;
    struct err e = ERR_INIT;
    int rc = *what == '{' ? clip_config_parse(&c, str_of(what), "x", &e)
                          : clip_config_find(&c, what, &e);

    if (!rc)
        rc = clip_open(m, &device, &c, STORE_READ, &e);
    if (!rc && seed)
        rc = clip_initialise(m, seed, &e);
    if (rc)
        fail_msg("%s: %s", what, e.message);
    /* statistics, gains and biases are told apart, too */
    for (int i = 0; i < m->store.n && seed; i++) {
        struct tensor *t = &m->store.list[i];
        float *x = malloc((size_t)t->count * sizeof *x);

        assert_non_null(x);
        store_get(&m->store, m->d, i, x, DTYPE_F32);
        for (int64_t k = 0; k < t->count; k++)
            x[k] += (float)((k + 7 * i) % 13) / 64;
        store_put(&m->store, m->d, i, x, DTYPE_F32);
        free(x);
    }
}

/* The numbers of tensor i, in memory that the next call reuses. */
static inline const float *tensor(const struct clip *m, int i)
{
    static float room[2][1 << 19];
    static int turn;
    float *to = room[turn++ % 2];

    assert_true(m->store.list[i].count <= 1 << 19);
    store_get(&m->store, m->d, i, to, DTYPE_F32);
    return to;
}

static inline void same_numbers(const struct clip *a, const struct clip *b)
{
    assert_int_equal(a->store.n, b->store.n);
    for (int i = 0; i < a->store.n; i++) {
        size_t bytes = (size_t)a->store.list[i].count * sizeof(float);

        if (memcmp(tensor(a, i), tensor(b, i), bytes))
            fail_msg("%s differs", a->store.list[i].name);
    }
}

static inline void save(const struct clip *m, enum weights_layout layout,
                        const char *name)
{
    struct err e = ERR_INIT;

    if (weights_save(m, layout, at(name), &e))
        fail_msg("%s", e.message);
}

/* ---- a file with something else in it ---- */

struct edit {
    const char *drop;        /* a tensor left out */
    const char *prefix;      /* before every name */
    const char *rename, *to; /* one name */
    const char *text_prefix; /* before names of the text tower */
    const char *extra;       /* one more tensor, of one U8, I64 or F32 */
    enum safetensors_dtype extra_dtype;
    enum safetensors_dtype dtype; /* of all F32, if not 0 */
    const char *reshape;          /* this tensor becomes one row */
    const char *key, *value;      /* metadata, instead of all there is */
};

/* The number as dtype; only those that edits ask for. */
static inline void put_number(struct buf *b, enum safetensors_dtype dtype,
                              float x)
{
    uint32_t bits;
    double d = x;

    memcpy(&bits, &x, sizeof bits);
    if (dtype == ST_F64)
        buf_add_bytes(b, &d, sizeof d);
    else if (dtype == ST_BF16)
        buf_add_bytes(b, (char *)&bits + 2, 2);
    else if (dtype == ST_F16) { /* of what halves hold exactly, or less */
        uint32_t e = bits >> 23 & 255;
        uint16_t h = (uint16_t)(bits >> 16 & 0x8000);

        if (e > 112 && e < 143)
            h |= (uint16_t)((e - 112) << 10 | (bits >> 13 & 1023));
        buf_add_bytes(b, &h, sizeof h);
    } else
        buf_add_bytes(b, &x, sizeof x);
}

static inline struct str new_name(struct arena *a, const struct edit *w,
                                  struct str name)
{
    bool text =
        !str_starts(name, STR("visual.")) && !str_starts(name, STR("logit_"));
    char to[1024];

    if (w->rename && str_eq(name, str_of(w->rename)))
        name = str_of(w->to);
    snprintf(to, sizeof to, "%s%s%.*s", w->prefix ? w->prefix : "",
             text && w->text_prefix ? w->text_prefix : "", STR_ARG(name));
    return arena_str(a, str_of(to));
}

static inline void rewrite(const char *from, const char *to,
                           const struct edit *w)
{
    struct str meta[2] = {str_of(w->key), str_of(w->value)};
    struct safetensor *list;
    struct safetensors file;
    struct safetensors_out o;
    struct arena names;
    struct err e = ERR_INIT;
    struct buf b;
    size_t n = 0;

    assert_int_equal(safetensors_open(&file, from, &e), 0);
    list = calloc(file.n + 1, sizeof *list);
    assert_non_null(list);
    arena_init(&names, 1 << 24);
    for (size_t i = 0; i < file.n; i++) {
        struct safetensor t = file.list[i];

        if (w->drop && str_eq(t.name, str_of(w->drop)))
            continue;
        if (w->reshape && str_eq(t.name, str_of(w->reshape))) {
            t.rank = 1;
            t.shape[0] = t.count;
        }
        t.name = new_name(&names, w, t.name);
        if (w->dtype && t.dtype == ST_F32)
            t.dtype = w->dtype;
        list[n++] = t;
    }
    if (w->extra)
        list[n++] = (struct safetensor){
            .name = str_of(w->extra), .dtype = w->extra_dtype, .count = 1};
    if (safetensors_create(&o, to, list, n, meta, w->key ? 1 : 0, &e))
        fail_msg("%s", e.message);
    buf_init(&b, 1 << 26);
    for (size_t i = 0; i < n; i++) {
        buf_clear(&b);
        if (w->extra && i == n - 1) {
            for (size_t k = 0; k < safetensors_dtype_size(list[i].dtype); k++)
                buf_add_char(&b, 0);
        } else if (w->dtype && list[i].dtype == w->dtype) {
            for (uint64_t k = 0; k < list[i].count; k++) {
                float x;

                memcpy(&x, list[i].data + 4 * k, sizeof x);
                put_number(&b, w->dtype, x);
            }
        } else {
            buf_add_bytes(&b, list[i].data, list[i].size);
        }
        assert_int_equal(safetensors_write(&o, buf_str(&b), &e), 0);
    }
    assert_int_equal(safetensors_publish(&o, &e), 0);
    buf_release(&b);
    arena_release(&names);
    free(list);
    safetensors_close(&file);
}

#endif
