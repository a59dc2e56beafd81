/*
 * store - a model's tensors by name: one allocation a class.
 *
 * Model.   Layers declare their tensors while the model is built (store_add),
 *          and keep the offset that comes back.  store_open() then allocates
 *          each class once; a tensor stands at the same offset in all of them:
 *
 *              real   parameters and buffers, as files hold them
 *              act    what products read; is `real` where the types are equal
 *              grad   gradients (training); for buffers, sums of what moves
 *                     them
 *              m, v   the optimiser's moments (training): `real`, or
 *                     bfloat16 numbers whatever `act` is
 *
 *          Buffers (running statistics) come behind all parameters, so that
 *          the optimiser runs over [0, parameters) in one go.
 * Owns.    Names, table and classes; struct pass and layers borrow it.
 * Fails.   -E_NOMEM with the bytes of the class.
 * Threads. One at a time.
 * Cost.    Offsets are multiples of 64 numbers; padding stays zero.
 */
#ifndef TRAIN_STORE_H
#define TRAIN_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "train/device.h"

#define STORE_RANK_MAX 4
#define STORE_ALIGN    64 /* numbers */

enum init_kind {
    INIT_CONSTANT, /* scale */
    INIT_NORMAL,   /* N(0, scale^2) */
    INIT_UNIFORM   /* U(-scale, scale) */
};

/* Which classes are open. */
enum store_use {
    STORE_READ,      /* weights */
    STORE_TRAIN,     /* and gradients and moments */
    STORE_TRAIN_HALF /* the moments in bfloat16 (Dhariwal et al. 2020, which
                        CLIP's paper follows in this): half of their bytes */
};

struct init {
    enum init_kind kind;
    double scale;
};

struct tensor {
    const char *name;            /* open_clip's */
    int rank;                    /* 0..STORE_RANK_MAX */
    int64_t shape[STORE_RANK_MAX];
    int64_t count;               /* numbers; 1 for a scalar */
    int64_t at;                  /* offset in every class, numbers */
    bool buffer;                 /* not trained */
    struct init init;            /* as published (facts b.2) */
};

struct store {
    struct tensor *list;         /* in the order of declaration */
    int n;
    size_t cap;
    int64_t parameters;          /* numbers up to the first buffer */
    int64_t size;                /* numbers of a class */
    size_t real_size, act_size;  /* bytes of a number, once open */
    size_t moment_size;          /* of m and v: real_size, or 2 of bfloat16 */
    bool half_moments;           /* the latter; then they are no `real` */
    char *real, *act, *grad, *m, *v; /* device memory; NULL when not open */
};

void store_init(struct store *s);
void store_release(struct store *s, struct device *d);

/* Declare a tensor; shape is copied; the format makes its name.  The result is
 * its index: offsets are only known after store_seal(). */
int store_add(struct store *s, struct init init, int rank,
              const int64_t *shape, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
int store_add_buffer(struct store *s, struct init init, int64_t count,
                     const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Lay the tensors out; no more are added. */
void store_seal(struct store *s);

/* Allocate on d what `use` asks for; all zero.  After a failure the store is as
 * before; release it all the same. */
int store_open(struct store *s, struct device *d, enum store_use use,
               struct err *e);

/* Bytes of all open classes. */
uint64_t store_bytes(const struct store *s);

/* Tensor i in a class. */
void *store_real(const struct store *s, int i);
const void *store_act(const struct store *s, int i);
void *store_grad(const struct store *s, int i); /* NULL with STORE_READ */

/* Index of a name, -1 when there is none. */
int store_find(const struct store *s, struct str name);

/* Host numbers (of type `from`) into tensor i of `real`, and back out of a class.
 * A change of type goes through a small buffer on the heap: not for a step. */
void store_put(struct store *s, struct device *d, int i, const void *host,
               enum dtype from);
void store_get(const struct store *s, struct device *d, int i, void *host,
               enum dtype to);
/* Numbers from, from + 1 ... from + n - 1 of tensor i of `real` alone. */
void store_get_some(const struct store *s, struct device *d, int i,
                    int64_t from, int64_t n, void *host, enum dtype to);
void store_get_grad(const struct store *s, struct device *d, int i,
                    void *host, enum dtype to);

/* Make `act` from `real` again, after weights were put. */
void store_refresh(struct store *s, struct device *d);

#endif
