#include <assert.h>
#include <stdlib.h>

#include "base/json.h"
#include "train/safetensors.h"

#define ALIGN 8 /* bytes: where data begins; the widest number */

/* Bytes of a tensor's data by its shape; false when they pass 2^63. */
static bool size_of(const struct safetensor *t, uint64_t *bytes)
{
    *bytes = safetensors_dtype_size(t->dtype);
    for (int i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(*bytes, t->shape[i], bytes))
            return false;
    return *bytes <= INT64_MAX;
}

static int in_order(const void *a, const void *b)
{
    const struct safetensor *x = a, *y = b;

    if (x->dtype != y->dtype)
        return x->dtype > y->dtype ? -1 : 1;
    return str_cmp(x->name, y->name);
}

void safetensors_sort(struct safetensor *list, size_t n)
{
    if (n)
        qsort(list, n, sizeof *list, in_order);
}

static void put_pair(struct json_out *o, const char *name, const uint64_t *v,
                     int n)
{
    json_out_name(o, name);
    json_out_array(o);
    for (int i = 0; i < n; i++)
        json_out_u64(o, v[i]);
    json_out_end_array(o);
}

/* The header's JSON, padded; -E_TOOBIG past a ceiling of the reader's. */
static int put_header(struct buf *b, const struct safetensor *list, size_t n,
                      const struct str *meta, size_t meta_n, const char *path,
                      struct err *e)
{
    uint64_t at[2] = {0, 0}, bytes;
    struct json_out o;

    json_out_init(&o, b);
    json_out_object(&o);
    if (meta_n) {
        json_out_name(&o, "__metadata__");
        json_out_object(&o);
        for (size_t i = 0; i < meta_n; i++) {
            json_out_name_str(&o, meta[2 * i]);
            json_out_string(&o, meta[2 * i + 1]);
        }
        json_out_end_object(&o);
    }
    for (size_t i = 0; i < n; i++) {
        const struct safetensor *t = &list[i];

        if (t->name.n > SAFETENSORS_NAME_MAX ||
            t->rank > SAFETENSORS_RANK_MAX || !size_of(t, &bytes) ||
            __builtin_add_overflow(at[1], bytes, &at[1]))
            return err_set(e, E_TOOBIG, "%s: tensor %.*s is too big", path,
                           t->name.n < 200 ? (int)t->name.n : 200, t->name.p);
        json_out_name_str(&o, t->name);
        json_out_object(&o);
        json_put_string(&o, "dtype", str_of(safetensors_dtype_name(t->dtype)));
        put_pair(&o, "shape", t->shape, t->rank);
        put_pair(&o, "data_offsets", at, 2);
        json_out_end_object(&o);
        at[0] = at[1];
    }
    json_out_end_object(&o);
    while (b->n % ALIGN && !b->rc)
        buf_add_char(b, ' ');
    if (b->rc || n > SAFETENSORS_TENSORS_MAX || meta_n > SAFETENSORS_META_MAX)
        return err_set(e, b->rc == -E_NOMEM ? E_NOMEM : E_TOOBIG,
                       "%s: the header for %zu tensors is too big", path, n);
    return 0;
}

int safetensors_create(struct safetensors_out *o, const char *path,
                       const struct safetensor *list, size_t n,
                       const struct str *meta, size_t meta_n, struct err *e)
{
    unsigned char length[8];
    struct buf b;
    int rc;

    *o = (struct safetensors_out){.list = list, .n = n};
    o->file.fd = -1;
    buf_init(&b, SAFETENSORS_HEADER_MAX);
    rc = put_header(&b, list, n, meta, meta_n, path, e);
    if (rc)
        goto out;
    rc = io_file_open(&o->file, path, e);
    if (rc)
        goto out;
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(b.n >> 8 * i & 0xff);
    io_file_write(&o->file, str_make((char *)length, sizeof length), e);
    rc = io_file_write(&o->file, buf_str(&b), e);
    if (rc)
        io_file_abandon(&o->file);
out:
    buf_release(&b);
    return rc;
}

int safetensors_write(struct safetensors_out *o, struct str bytes,
                      struct err *e)
{
    uint64_t size = 0;

    if (o->file.rc)
        return o->file.rc;
    assert(o->next < o->n && !o->part);
    size_of(&o->list[o->next], &size);
    if (bytes.n != size)
        return o->file.rc = err_set(
                   e, E_RANGE, "%s: tensor %.*s has %llu bytes, not %zu",
                   o->file.path, STR_ARG(o->list[o->next].name),
                   (unsigned long long)size, bytes.n);
    o->next++;
    return io_file_write(&o->file, bytes, e);
}

int safetensors_write_part(struct safetensors_out *o, struct str bytes,
                           struct err *e)
{
    uint64_t size = 0;

    if (o->file.rc)
        return o->file.rc;
    assert(o->next < o->n);
    size_of(&o->list[o->next], &size);
    if (bytes.n > size - o->part)
        return o->file.rc = err_set(
                   e, E_RANGE, "%s: tensor %.*s has %llu bytes, not %llu",
                   o->file.path, STR_ARG(o->list[o->next].name),
                   (unsigned long long)size,
                   (unsigned long long)(o->part + bytes.n));
    o->part += bytes.n;
    if (o->part == size) {
        o->next++;
        o->part = 0;
    }
    return io_file_write(&o->file, bytes, e);
}

int safetensors_publish(struct safetensors_out *o, struct err *e)
{
    if (!o->file.rc && o->next < o->n) {
        int rc = err_set(e, E_RANGE, "%s: %zu of %zu tensors were written",
                         o->file.path, o->next, o->n);

        io_file_abandon(&o->file);
        return rc;
    }
    return io_file_publish(&o->file, e);
}

void safetensors_abandon(struct safetensors_out *o)
{
    io_file_abandon(&o->file);
}
