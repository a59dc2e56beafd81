/*
 * products - matrix products and convolutions of the cpu backend, by oneDNN.
 *
 * Model.   cpu.c opens, lets fill in the ops (linear, linear_dx, linear_dw,
 *          conv, conv_dx, conv_dw), passes on what is planned, and closes.
 *          In f32 a product is dnnl_sgemm; in bf16, and for small gradients
 *          of weights, a oneDNN primitive, which is made for one shape: rows
 *          are cut in tiles and a rest, so that a batch of another length
 *          makes few new ones, and those during the dry run.  Convolutions:
 *          train/cpu/products_conv.c says which shape is computed how.  What a
 *          product leaves to do (bias, activation, residual) is done per tile,
 *          by oneDNN itself while it has the sums in float or by a pass of
 *          train/cpu/k_*.c while the tile is in the cache.
 *
 *          Precision: sums in float, rounded once; but an activation's
 *          derivative is multiplied to an already rounded bf16 dx, and a bf16
 *          dx that is added to by a strided convolution is rounded twice.
 * Owns.    What stands behind c->products.
 * Fails.   open: -E_UNSUPPORTED when oneDNN cannot do c->act here, -E_NOMEM.
 *          Ops: the same, sticking in the device.
 * Threads. The device's.  The same shapes, threads and processor give the
 *          same bits; another number of threads may sum in another order.
 * Cost.    Packed weights, neighbourhoods of pixels and oneDNN's scratch come
 *          from the device's scratch.  oneDNN itself does a few small mallocs
 *          in each call, which no setting avoids.
 */
#ifndef TRAIN_CPU_PRODUCTS_H
#define TRAIN_CPU_PRODUCTS_H

#include "base/err.h"
#include "train/cpu/cpu.h"

/* struct device's row_step: 16 rests of a tile, each of which has primitives of
 * its own, and half a step of padding on the average. */
#define CPU_PRODUCTS_ROW_STEP 64

/* c->threads and c->act are set. */
int cpu_products_open(struct cpu *c, struct err *e);
void cpu_products_close(struct cpu *c);
void cpu_products_version(char *out, size_t size); /* "2.6.3", oneDNN's */
void cpu_products_fill(struct ops *o);

/* During a dry run, for every op; those of others are none of its business. */
void cpu_products_plan(struct device *d, enum op_kind kind, const void *op);

#endif
