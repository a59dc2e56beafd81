/*
 * device - where a model is computed, in which precision, and its memory.
 *
 * Model.   A backend (train/ref, train/cpu, train/cuda) opens a device; layers
 *          only ever see this struct and the ops of train/op.h.  Two types of
 *          number live on it: `real` for parameters, gradients, statistics,
 *          features and losses, `act` for activations and for the copy of the
 *          weights that products read.
 *
 *              backend      act    real    sums of products
 *              ref, double  F64    F64     F64
 *              ref, float   F32    F32     F32
 *              cpu          F32    F32     F32
 *              cpu, bf16    BF16   F32     F32
 *              cuda         F32    F32     F32
 *              cuda, bf16   BF16   F32     F32
 *
 *          Activations live on one stack: a layer takes what it needs, keeps
 *          what its backward will read, and releases the rest to a mark.
 *          Training takes and releases strictly last in, first out, so a
 *          stack is the best plan there is, and its size comes from a dry
 *          run: between device_plan_begin() and device_plan_end() the same
 *          code runs with ops that compute nothing (a backend only prepares
 *          what it keeps per shape), and the peak is what gets allocated.
 *          A second, small stack in host memory holds what is put and got
 *          (indices, losses); it is planned alike.
 *          What a batch brings in bulk (pixels) goes through device_bring().
 *          A device that shares the host's memory reads it where it stands.
 *          To another it can be sent ahead: device_send() begins a copy to a
 *          landing place beside the stack while the device computes, and
 *          device_bring() takes it from there.  There is one landing place,
 *          of the largest size that was sent in the dry run.
 * Owns.    Stacks, landing place and the backend's state; device_close() frees them.
 *          Pointers from device_take() live until the mark below them is
 *          released; device_alloc() until device_free().
 * Fails.   Ops return nothing: the first failure sticks in `rc` and every
 *          later op is skipped.  A step asks device_check() once, at its end.
 * Threads. One thread calls; the backend may use its own.
 * Cost.    device_take() is an addition.  Nothing is allocated between a plan
 *          and the next.
 */
#ifndef TRAIN_DEVICE_H
#define TRAIN_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define DEVICE_ALIGN 256 /* bytes; what CUDA's loads and AVX-512 both like */

enum dtype { DTYPE_F32, DTYPE_F64, DTYPE_BF16 };

struct ops; /* train/op.h */

struct device {
    const struct ops *ops;
    void *state;         /* the backend's own */
    enum dtype act;      /* activations, weights as products read them */
    enum dtype real;     /* parameters, gradients, statistics, features */
    int row_step;        /* packed captions are padded to a multiple of so
                            many rows, >= 1 */
    bool planning;       /* ops compute nothing, the stack only measures */
    bool in_graph;       /* between device_graph_begin() and _end() */
    char *stack;         /* device memory; NULL before the first plan */
    size_t stack_size;   /* bytes */
    size_t used, peak;   /* bytes of the stack, now and at most */
    char *host;          /* the host's stack, and the same of it */
    size_t host_size, host_used, host_peak;
    char *landing;       /* device memory; NULL when nothing is sent ahead */
    size_t landing_size, landing_peak; /* bytes */
    uint64_t flops;      /* of products, convolutions, attention: 2 a
                            multiply-add, forward and backward, as executed;
                            counted while planning, too */
    struct profile *profile; /* who counts ops, or NULL: train/profile.h */
    int rc;              /* sticky */
    struct err err;      /* of the failure that stuck */
};

/* Bytes of one number; its name ("f32", "f64", "bf16"). */
size_t dtype_size(enum dtype t);
const char *dtype_name(enum dtype t);

/* bfloat16 by rounding to nearest, ties to even (NaN stays one); and back. */
uint16_t bf16_from_float(float x);
float bf16_to_float(uint16_t x);

/* Numbers of one type into another, on the host. */
void dtype_convert(void *to, enum dtype to_type, const void *from,
                   enum dtype from_type, size_t n);

/* Close what a backend's open filled in. */
void device_close(struct device *d);

/* Memory outside the stack, aligned to DEVICE_ALIGN, not cleared; NULL with
 * -E_NOMEM in the message when there is none. */
void *device_alloc(struct device *d, size_t size_bytes, struct err *e);
void device_free(struct device *d, void *p);

/* Host to device and back; the host side may be reused on return.  While
 * planning, nothing is read or written. */
void device_put(struct device *d, void *to, const void *host, size_t bytes);
void device_get(struct device *d, void *host, const void *from, size_t bytes);

/* Host memory that is sent from: let the device read it by itself, until unpin.
 * Where that fails nothing is sent ahead from there. */
void device_pin(struct device *d, void *p, size_t bytes);
void device_unpin(struct device *d, void *p);

/* Whether device_send() does anything here. */
bool device_sends(const struct device *d);

/* These bytes are what device_bring() will be asked for next.  They stay as
 * they are until the device has been waited for (device_get()) behind that.
 * Nothing happens when they are not pinned. */
void device_send(struct device *d, const void *host, size_t bytes);

/* Host memory as ops read it: itself, or else a copy on the stack, of which the
 * host may forget the original on return unless it was sent.  Whatever else was
 * sent is forgotten. */
const void *device_bring(struct device *d, const void *host, size_t bytes);

/* Seconds that the device has stood still for what it was brought, as far as
 * that is known without waiting. */
double device_stood(struct device *d);

/* The dry run.  begin empties the stack; end allocates the peak if it grew, and
 * empties the stack again.  -E_NOMEM names the size asked for. */
void device_plan_begin(struct device *d);
int device_plan_end(struct device *d, struct err *e);

/* The stack.  A take beyond the planned size is -E_TOOBIG, sticky, and gives
 * the stack's begin, so that no layer has to look. */
void *device_take(struct device *d, size_t bytes);
void *device_take_act(struct device *d, int64_t count);  /* numbers of `act` */
void *device_take_real(struct device *d, int64_t count); /* and of `real` */
int32_t *device_take_index(struct device *d, int64_t count);
size_t device_mark(const struct device *d);
void device_release(struct device *d, size_t mark);

/* Host memory for device_put and device_get until device_host_release(); not to
 * be touched while planning, nor behind a failure: a take beyond the planned
 * size is -E_TOOBIG, sticky. */
void *device_host_take(struct device *d, size_t bytes);
size_t device_host_mark(const struct device *d);
void device_host_release(struct device *d, size_t mark);

/*
 * Ops that a backend may record and repeat as a whole, without the host's
 * calling each (CUDA's graphs).  begin says whether to call them: behind true
 * comes end, behind false all has been done as when it was recorded under this
 * key, and the stack stands as it stood then.  So everything that the ops are
 * given (shapes, pointers, numbers by value) must be a function of the key, of
 * how high the stack stands at begin, and of the last plan; what is put and got
 * lies outside (asserted).  A repetition counts the operations it counted when
 * it was recorded.  Backends that record nothing always say true.
 */
bool device_graph_begin(struct device *d, uint64_t key);
void device_graph_end(struct device *d);

/* Make a failure stick; used by ops. */
void device_fail(struct device *d, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* 0, or the failure that stuck (which then is forgotten). */
int device_check(struct device *d, struct err *e);

#endif
