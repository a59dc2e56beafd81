#include "train/ref/ref.h"

#include <stdlib.h>
#include <string.h>

#include "train/op.h"

#define X(name)                                                                \
    void ref32_##name(struct device *d, const struct op_##name *op);           \
    void ref64_##name(struct device *d, const struct op_##name *op);
OP_MAP(X)
#undef X

static void ref_close(struct device *d)
{
    (void)d;
}

static void *ref_alloc(struct device *d, size_t bytes)
{
    (void)d;
    if (bytes > SIZE_MAX - DEVICE_ALIGN)
        return NULL;
    bytes = (bytes + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
    return aligned_alloc(DEVICE_ALIGN, bytes);
}

static void ref_free(struct device *d, void *p)
{
    (void)d;
    free(p);
}

static void ref_copy(struct device *d, void *to, const void *from, size_t bytes)
{
    (void)d;
    memcpy(to, from, bytes);
}

static const struct ops ops_f32 = {.name = "ref",
                                   .close = ref_close,
                                   .alloc = ref_alloc,
                                   .free = ref_free,
                                   .put = ref_copy,
                                   .get = ref_copy,
                                   .reads_host = true,
#define X(name) .name = ref32_##name,
                                   OP_MAP(X)
#undef X
};

static const struct ops ops_f64 = {.name = "ref",
                                   .close = ref_close,
                                   .alloc = ref_alloc,
                                   .free = ref_free,
                                   .put = ref_copy,
                                   .get = ref_copy,
                                   .reads_host = true,
#define X(name) .name = ref64_##name,
                                   OP_MAP(X)
#undef X
};

int ref_open(struct device *d, enum dtype type, struct err *e)
{
    if (type != DTYPE_F32 && type != DTYPE_F64)
        return err_set(e, E_UNSUPPORTED,
                       "the reference computes in f32 and "
                       "f64, not in %s",
                       dtype_name(type));
    memset(d, 0, sizeof *d);
    d->ops = type == DTYPE_F64 ? &ops_f64 : &ops_f32;
    d->act = d->real = type;
    d->row_step = 1;
    return 0;
}
