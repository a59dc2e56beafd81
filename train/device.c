#include "train/device.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/op.h"

/* What a take returns while planning: never read, never NULL. */
static char nowhere[DEVICE_ALIGN] __attribute__((aligned(DEVICE_ALIGN)));

size_t dtype_size(enum dtype t)
{
    switch (t) {
    case DTYPE_F64:
        return 8;
    case DTYPE_BF16:
        return 2;
    case DTYPE_F32:
        break;
    }
    return 4;
}

const char *dtype_name(enum dtype t)
{
    switch (t) {
    case DTYPE_F64:
        return "f64";
    case DTYPE_BF16:
        return "bf16";
    case DTYPE_F32:
        break;
    }
    return "f32";
}

uint16_t bf16_from_float(float x)
{
    uint32_t u;

    memcpy(&u, &x, sizeof u);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(u >> 16 | 0x40); /* a NaN stays a NaN */
    return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

float bf16_to_float(uint16_t x)
{
    uint32_t u = (uint32_t)x << 16;
    float f;

    memcpy(&f, &u, sizeof f);
    return f;
}

static double number_at(const void *p, enum dtype t, size_t i)
{
    switch (t) {
    case DTYPE_F64:
        return ((const double *)p)[i];
    case DTYPE_BF16:
        return (double)bf16_to_float(((const uint16_t *)p)[i]);
    case DTYPE_F32:
        break;
    }
    return (double)((const float *)p)[i];
}

void dtype_convert(void *to, enum dtype to_type, const void *from,
                   enum dtype from_type, size_t n)
{
    if (to_type == from_type) {
        memmove(to, from, n * dtype_size(to_type));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double x = number_at(from, from_type, i);

        if (to_type == DTYPE_F64)
            ((double *)to)[i] = x;
        else if (to_type == DTYPE_F32)
            ((float *)to)[i] = (float)x;
        else
            ((uint16_t *)to)[i] = bf16_from_float((float)x);
    }
}

void device_close(struct device *d)
{
    if (!d->ops)
        return;
    if (d->stack)
        d->ops->free(d, d->stack);
    if (d->landing)
        d->ops->free(d, d->landing);
    free(d->host);
    d->ops->close(d);
    memset(d, 0, sizeof *d);
}

void *device_alloc(struct device *d, size_t size_bytes, struct err *e)
{
    void *p = d->ops->alloc(d, size_bytes ? size_bytes : 1);

    if (!p)
        err_set(e, E_NOMEM, "%s: no room for %zu bytes", d->ops->name,
                size_bytes);
    return p;
}

void device_free(struct device *d, void *p)
{
    if (p)
        d->ops->free(d, p);
}

void device_put(struct device *d, void *to, const void *host, size_t bytes)
{
    assert(!d->in_graph);
    if (!d->planning && !d->rc && bytes)
        d->ops->put(d, to, host, bytes);
}

void device_get(struct device *d, void *host, const void *from, size_t bytes)
{
    assert(!d->in_graph);
    if (!d->planning && !d->rc && bytes)
        d->ops->get(d, host, from, bytes);
}

void device_pin(struct device *d, void *p, size_t bytes)
{
    if (d->ops->pin)
        d->ops->pin(d, p, bytes);
}

void device_unpin(struct device *d, void *p)
{
    if (d->ops->unpin)
        d->ops->unpin(d, p);
}

bool device_sends(const struct device *d)
{
    return d->ops->send != NULL;
}

void device_send(struct device *d, const void *host, size_t bytes)
{
    assert(!d->in_graph);
    if (!device_sends(d) || d->rc)
        return;
    if (d->planning) {
        if (bytes > d->landing_peak)
            d->landing_peak = bytes;
        return;
    }
    if (bytes && bytes <= d->landing_size)
        d->ops->send(d, d->landing, host, bytes);
}

const void *device_bring(struct device *d, const void *host, size_t bytes)
{
    void *to;

    assert(!d->in_graph);
    if (d->ops->reads_host)
        return d->planning ? nowhere : host;
    to = device_take(d, bytes);
    if (d->planning || d->rc || !bytes)
        return to;
    if (d->ops->bring)
        d->ops->bring(d, to, host, bytes);
    else
        d->ops->put(d, to, host, bytes);
    return to;
}

double device_stood(struct device *d)
{
    return d->ops->stood ? d->ops->stood(d) : 0;
}

void device_plan_begin(struct device *d)
{
    d->planning = true;
    d->used = d->peak = 0;
    d->host_used = d->host_peak = 0;
    d->landing_peak = 0;
}

/* Let *p be of `peak` bytes if it is less. */
static int grow(struct device *d, char **p, size_t *size, size_t peak,
                const char *what, struct err *e)
{
    if (peak <= *size)
        return 0;
    device_free(d, *p);
    *size = 0;
    *p = device_alloc(d, peak, e);
    if (!*p)
        return err_wrap(e, -E_NOMEM, "%s", what);
    *size = peak;
    return 0;
}

int device_plan_end(struct device *d, struct err *e)
{
    int rc;

    d->planning = false;
    d->used = d->host_used = 0;
    rc = grow(d, &d->stack, &d->stack_size, d->peak, "activations", e);
    if (!rc)
        rc = grow(d, &d->landing, &d->landing_size, d->landing_peak,
                  "what is sent ahead", e);
    if (rc)
        return rc;
    if (d->host_peak > d->host_size) {
        free(d->host);
        d->host_size = 0;
        d->host = malloc(d->host_peak);
        if (!d->host)
            return err_set(e, E_NOMEM, "no room for %zu bytes", d->host_peak);
        d->host_size = d->host_peak;
    }
    return device_check(d, e);
}

static size_t rounded(size_t bytes)
{
    return (bytes + DEVICE_ALIGN - 1) / DEVICE_ALIGN * DEVICE_ALIGN;
}

void *device_take(struct device *d, size_t bytes)
{
    size_t at = d->used;

    d->used += rounded(bytes);
    if (d->used > d->peak)
        d->peak = d->used;
    if (d->planning)
        return nowhere;
    if (d->used > d->stack_size) {
        device_fail(d, E_TOOBIG, "activations take %zu bytes, planned were %zu",
                    d->used, d->stack_size);
        return d->stack ? d->stack : nowhere;
    }
    return d->stack + at;
}

void *device_take_act(struct device *d, int64_t count)
{
    return device_take(d, (size_t)count * dtype_size(d->act));
}

void *device_take_real(struct device *d, int64_t count)
{
    return device_take(d, (size_t)count * dtype_size(d->real));
}

int32_t *device_take_index(struct device *d, int64_t count)
{
    return device_take(d, (size_t)count * sizeof(int32_t));
}

size_t device_mark(const struct device *d)
{
    return d->used;
}

void device_release(struct device *d, size_t mark)
{
    assert(mark <= d->used);
    d->used = mark;
}

void *device_host_take(struct device *d, size_t bytes)
{
    size_t at = d->host_used;

    d->host_used += rounded(bytes);
    if (d->host_used > d->host_peak)
        d->host_peak = d->host_used;
    if (!d->planning && d->host_used > d->host_size)
        device_fail(d, E_TOOBIG, "the host takes %zu bytes, planned were %zu",
                    d->host_used, d->host_size);
    if (d->planning || d->rc)
        return nowhere;
    return d->host + at;
}

size_t device_host_mark(const struct device *d)
{
    return d->host_used;
}

void device_host_release(struct device *d, size_t mark)
{
    assert(mark <= d->host_used);
    d->host_used = mark;
}

bool device_graph_begin(struct device *d, uint64_t key)
{
    assert(!d->in_graph);
    d->in_graph = !d->ops->graph_begin || d->planning || d->rc ||
                  d->profile || d->ops->graph_begin(d, key);
    return d->in_graph;
}

void device_graph_end(struct device *d)
{
    assert(d->in_graph);
    d->in_graph = false;
    if (d->ops->graph_end && !d->planning)
        d->ops->graph_end(d);
}

void device_fail(struct device *d, int code, const char *format, ...)
{
    char text[256];
    va_list ap;

    if (d->rc)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    d->err.code = 0;
    d->err.message[0] = '\0';
    d->rc = err_set(&d->err, code, "%s", text);
}

int device_check(struct device *d, struct err *e)
{
    int rc = d->rc;

    if (rc)
        err_set(e, -rc, "%s", d->err.message);
    d->rc = 0;
    return rc;
}
