/*
 * products - matrix products and convolutions of the cpu backend, by oneDNN.
 *
 * Model.   cpu.c opens, lets fill in the ops (linear, linear_dx, linear_dw,
 *          conv, conv_dx, conv_dw), passes on what is planned, and closes.
 * Owns.    What stands behind c->products.
 * Fails.   open: -E_UNSUPPORTED when oneDNN cannot do c->act here, -E_NOMEM.
 */
#ifndef TRAIN_CPU_PRODUCTS_H
#define TRAIN_CPU_PRODUCTS_H

#include "base/err.h"
#include "train/cpu/cpu.h"

/* c->threads and c->act are set. */
int cpu_products_open(struct cpu *c, struct err *e);
void cpu_products_close(struct cpu *c);
void cpu_products_fill(struct ops *o);

/* During a dry run, for every op; those of others are none of its business. */
void cpu_products_plan(struct device *d, enum op_kind kind, const void *op);

#endif
