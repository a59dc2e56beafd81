#include "train/cpu/products.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <omp.h>

#include "base/hash.h"
#include "train/cpu/products_private.h"

/* ---- primitives ---- */

dnnl_memory_desc_t matrix_desc(int64_t rows, int64_t cols, bool t,
                               dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {rows, cols};
    const dnnl_dims_t strides = {t ? 1 : cols, t ? rows : 1};
    dnnl_memory_desc_t md;

    /* fails for no sizes that an op lets through */
    if (dnnl_memory_desc_init_by_strides(&md, 2, dims, type, strides))
        memset(&md, 0, sizeof md);
    return md;
}

dnnl_status_t prim_arg(struct products *s, struct prim *p, int name,
                       const dnnl_memory_desc_t *md)
{
    dnnl_exec_arg_t *a = &p->arg[p->args];
    dnnl_status_t st =
        dnnl_memory_create(&a->memory, md, s->engine, DNNL_MEMORY_NONE);

    if (st)
        return st;
    a->arg = name;
    p->args++;
    return dnnl_success;
}

/*
 * The bf16 convolution by AMX tiles of batch-reduced products in oneDNN 2.6
 * reads, as it is created, past the end of a block of its own: for nearly every
 * shape, and harmless until that block lies before an unmapped page.  The next
 * implementation in oneDNN's list is another one for AMX.
 */
static bool is_unsafe(const_dnnl_primitive_desc_t pd)
{
    const char *name = NULL;

    return !dnnl_primitive_desc_query(pd, dnnl_query_impl_info_str, 0, &name) &&
           name && !strcmp(name, "brgconv:avx512_core_amx_bf16");
}

/* The first implementation in oneDNN's order that is not unsafe. */
static dnnl_status_t desc_create(struct products *s, const void *desc,
                                 const_dnnl_primitive_attr_t attr,
                                 const_dnnl_primitive_desc_t hint,
                                 dnnl_primitive_desc_t *pd)
{
    dnnl_primitive_desc_iterator_t it;
    dnnl_status_t st =
        dnnl_primitive_desc_iterator_create(&it, desc, attr, s->engine, hint);

    if (st)
        return st;
    *pd = dnnl_primitive_desc_iterator_fetch(it);
    while (!st && is_unsafe(*pd)) {
        dnnl_primitive_desc_destroy(*pd);
        *pd = NULL;
        st = dnnl_primitive_desc_iterator_next(it);
        if (!st)
            *pd = dnnl_primitive_desc_iterator_fetch(it);
    }
    dnnl_primitive_desc_iterator_destroy(it);
    return st;
}

dnnl_status_t prim_create(struct products *s, struct prim *p, const void *desc,
                          dnnl_post_ops_t post, dnnl_primitive_desc_t hint,
                          dnnl_primitive_desc_t *pd)
{
    dnnl_primitive_attr_t attr;
    const dnnl_memory_desc_t *scratch;
    dnnl_status_t st = dnnl_primitive_attr_create(&attr);

    *pd = NULL;
    if (st)
        return st;
    st = dnnl_primitive_attr_set_scratchpad_mode(attr,
                                                 dnnl_scratchpad_mode_user);
    if (!st && post)
        st = dnnl_primitive_attr_set_post_ops(attr, post);
    if (!st)
        st = desc_create(s, desc, attr, hint, pd);
    dnnl_primitive_attr_destroy(attr);
    if (!st)
        st = dnnl_primitive_create(&p->run, *pd);
    if (st)
        return st;
    scratch = dnnl_primitive_desc_query_md(*pd, dnnl_query_scratchpad_md, 0);
    p->scratchpad = dnnl_memory_desc_get_size(scratch);
    return p->scratchpad ? prim_arg(s, p, DNNL_ARG_SCRATCHPAD, scratch)
                         : dnnl_success;
}

static void prim_free(struct prim *p)
{
    if (!p)
        return;
    prim_free(p->pack);
    for (int i = 0; i < p->args; i++)
        dnnl_memory_destroy(p->arg[i].memory);
    if (p->run)
        dnnl_primitive_destroy(p->run);
    free(p);
}

static dnnl_status_t reorder_create(struct products *s, struct prim *p,
                                    const dnnl_memory_desc_t *from,
                                    const dnnl_memory_desc_t *to, bool add)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t post = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t st = dnnl_primitive_attr_create(&attr);

    if (!st)
        st = dnnl_primitive_attr_set_scratchpad_mode(attr,
                                                     dnnl_scratchpad_mode_user);
    if (!st)
        st = dnnl_post_ops_create(&post);
    if (!st && add)
        st = dnnl_post_ops_append_sum(post, 1);
    if (!st)
        st = dnnl_primitive_attr_set_post_ops(attr, post);
    if (!st)
        st = dnnl_reorder_primitive_desc_create(&pd, from, s->engine, to,
                                                s->engine, attr);
    if (!st)
        st = dnnl_primitive_create(&p->run, pd);
    if (!st) {
        const dnnl_memory_desc_t *scratch =
            dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);

        p->scratchpad = dnnl_memory_desc_get_size(scratch);
        if (p->scratchpad)
            st = prim_arg(s, p, DNNL_ARG_SCRATCHPAD, scratch);
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_post_ops_destroy(post);
    dnnl_primitive_attr_destroy(attr);
    if (!st)
        st = prim_arg(s, p, DNNL_ARG_FROM, from);
    return st ? st : prim_arg(s, p, DNNL_ARG_TO, to);
}

dnnl_status_t prim_pack(struct products *s, struct prim *p,
                        const dnnl_memory_desc_t *packed,
                        const dnnl_memory_desc_t *plain, bool back)
{
    p->packed = *packed;
    if (dnnl_memory_desc_equal(packed, plain) && !back)
        return dnnl_success;
    p->packed_bytes = dnnl_memory_desc_get_size(packed);
    p->pack = (struct prim *)calloc(1, sizeof *p->pack);
    if (!p->pack)
        return dnnl_out_of_memory;
    return back ? reorder_create(s, p->pack, packed, plain, true)
                : reorder_create(s, p->pack, plain, packed, false);
}

/* oneDNN lays out blocks and scratch for as many threads as OpenMP would give
 * at that moment: always ours, even if the caller has changed it since. */
static void own_threads(struct device *d)
{
    if (omp_get_max_threads() != cpu_of(d)->threads)
        omp_set_num_threads(cpu_of(d)->threads);
}

static void fail(struct device *d, dnnl_status_t st, const char *what)
{
    if (st == dnnl_out_of_memory)
        device_fail(d, E_NOMEM, "cpu: no memory for oneDNN to %s", what);
    else
        device_fail(d, E_UNSUPPORTED, "cpu: oneDNN cannot %s (status %d)", what,
                    (int)st);
}

struct prim *prim_get(struct device *d, const struct prim_key *key,
                      const void *shape,
                      dnnl_status_t (*make)(struct products *s,
                                            const void *shape, struct prim *p))
{
    struct products *s = products_of(d);
    struct str bytes = {(const char *)key, sizeof *key};
    struct prim **bucket = &s->bucket[hash_xxh3(bytes) % PRIM_BUCKETS];
    struct prim *p;
    dnnl_status_t st;

    own_threads(d);
    for (p = *bucket; p; p = p->next)
        if (!memcmp(&p->key, key, sizeof *key))
            return p;
    p = (struct prim *)calloc(1, sizeof *p);
    st = p ? make(s, shape, p) : dnnl_out_of_memory;
    if (st) {
        fail(d, st, "make a product of this shape");
        prim_free(p);
        return NULL;
    }
    p->key = *key;
    p->next = *bucket;
    *bucket = p;
    return p;
}

bool prim_run(struct device *d, const struct prim *p, const void *const *arrays,
              void *scratchpad)
{
    struct products *s = products_of(d);
    dnnl_status_t st = dnnl_success;

    own_threads(d);
    for (int i = 0, next = 0; i < p->args && !st; i++) {
        /* oneDNN's handles know no const; inputs are only read */
        const void *at =
            p->arg[i].arg == DNNL_ARG_SCRATCHPAD ? scratchpad : arrays[next++];

        st = dnnl_memory_set_data_handle(p->arg[i].memory, (void *)at);
    }
    if (!st)
        st = dnnl_primitive_execute(p->run, s->stream, p->args, p->arg);
    if (!st)
        st = dnnl_stream_wait(s->stream);
    if (st)
        fail(d, st, "compute a product");
    return !st;
}

/* ---- the backend's side ---- */

static dnnl_status_t try_bf16(struct products *s)
{
    dnnl_memory_desc_t md = matrix_desc(16, 16, false, dnnl_bf16);
    struct prim *p = (struct prim *)calloc(1, sizeof *p);
    dnnl_primitive_desc_t pd = NULL;
    dnnl_matmul_desc_t desc;
    dnnl_status_t st = dnnl_matmul_desc_init(&desc, &md, &md, NULL, &md);

    if (!p)
        return dnnl_out_of_memory;
    if (!st)
        st = prim_create(s, p, &desc, NULL, NULL, &pd);
    dnnl_primitive_desc_destroy(pd);
    prim_free(p);
    return st;
}

int cpu_products_open(struct cpu *c, struct err *e)
{
    struct products *s = (struct products *)calloc(1, sizeof *s);
    dnnl_status_t st = dnnl_success;

    if (!s)
        return err_set(e, E_NOMEM, "cpu: no memory");
    c->products = s;
    s->act = c->act == DTYPE_BF16 ? dnnl_bf16 : dnnl_f32;
    st = dnnl_engine_create(&s->engine, dnnl_cpu, 0);
    if (!st)
        st = dnnl_stream_create(&s->stream, s->engine,
                                dnnl_stream_default_flags);
    if (st) {
        cpu_products_close(c);
        return err_set(e, E_UNSUPPORTED, "cpu: oneDNN does not start here");
    }
    if (c->act == DTYPE_BF16 && try_bf16(s)) {
        cpu_products_close(c);
        return err_set(e, E_UNSUPPORTED,
                       "cpu: oneDNN multiplies no bf16 on this processor "
                       "(it needs AVX-512); take f32");
    }
    return 0;
}

void cpu_products_close(struct cpu *c)
{
    struct products *s = (struct products *)c->products;

    if (!s)
        return;
    for (int i = 0; i < PRIM_BUCKETS; i++)
        while (s->bucket[i]) {
            struct prim *p = s->bucket[i];

            s->bucket[i] = p->next;
            prim_free(p);
        }
    if (s->stream)
        dnnl_stream_destroy(s->stream);
    if (s->engine)
        dnnl_engine_destroy(s->engine);
    free(s);
    c->products = NULL;
}

/* name, and the function that does it */
#define PRODUCTS(X)                                                            \
    X(linear) X(linear_dx) X(linear_dw) X(conv) X(conv_dx) X(conv_dw)

#define X(name)                                                                \
    static void run_##name(struct device *d, const struct op_##name *o)        \
    {                                                                          \
        products_##name(d, o, false);                                          \
    }
PRODUCTS(X)
#undef X

void cpu_products_fill(struct ops *o)
{
#define X(name) o->name = run_##name;
    PRODUCTS(X)
#undef X
}

void cpu_products_plan(struct device *d, enum op_kind kind, const void *op)
{
#define X(name)                                                                \
    if (kind == OP_##name)                                                     \
        products_##name(d, (const struct op_##name *)op, true);
    PRODUCTS(X)
#undef X
}

void cpu_products_version(char *out, size_t size)
{
    const dnnl_version_t *v = dnnl_version();

    snprintf(out, size, "%d.%d.%d", v->major, v->minor, v->patch);
}
