/*
 * npy - arrays of numbers in NumPy's .npy files.
 *
 * Model.   A file is the magic "\x93NUMPY", a version, the length of a header,
 *          the header (a Python dict of `descr`, `fortran_order`, `shape`),
 *          the numbers.  Versions 1 and 2 are read, little-endian <f8, <f4,
 *          <f2, <i8, <i4, |i1, |u1 and |b1, in C order, of up to NPY_DIMS_MAX
 *          dimensions.
 *          Of the dict exactly the three members are taken, in any order, as
 *          NumPy itself takes no others.  The file ends with the last number.
 *
 *          struct npy_writer writes rows whose number is not known before the
 *          end: the header has room for any, and is written again when the
 *          file is published, all or nothing.
 * Owns.    npy_parse() borrows the bytes.
 * Fails.   Reading: -E_FORMAT for what is no such file, -E_UNSUPPORTED for
 *          another type, order, or version, naming it; -E_TOOBIG over the
 *          ceilings.  Writing: as base/io.
 * Threads. One per struct.
 * Cost.    Reading copies nothing; a row written is copied once.
 */
#ifndef TRAIN_NPY_H
#define TRAIN_NPY_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/io.h"
#include "base/str.h"

#define NPY_DIMS_MAX   4
#define NPY_HEADER_MAX 4096              /* bytes of the dict, when reading */
#define NPY_FILE_MAX   ((size_t)1 << 33) /* bytes of a file, when reading */
#define NPY_HEAD       128               /* bytes before the numbers, ours */

enum npy_type {
    NPY_F32,
    NPY_F16,
    NPY_F64,
    NPY_I64,
    NPY_I32,
    NPY_I8,
    NPY_U8,
    NPY_BOOL,
    NPY_TYPES
};

size_t npy_size(enum npy_type t); /* bytes of a number */

struct npy {
    enum npy_type type;
    int dims; /* 0: a single number */
    uint64_t shape[NPY_DIMS_MAX];
    uint64_t count;   /* numbers: the product of the shape */
    const char *data; /* count numbers, of any alignment */
};

/* name is for messages. */
int npy_parse(struct npy *a, struct str bytes, const char *name, struct err *e);

/* Number i as a float; NPY_F64 and integers are rounded. */
float npy_float(const struct npy *a, uint64_t i);
/* Floats are cut; what no int64_t holds is 0. */
int64_t npy_int(const struct npy *a, uint64_t i);

/* The NPY_HEAD bytes before the numbers, dims <= NPY_DIMS_MAX. */
void npy_head(char out[NPY_HEAD], enum npy_type type, int dims,
              const uint64_t *shape);

/* ---- rows ---- */

struct npy_writer {
    struct io_file file;
    enum npy_type type; /* NPY_F32 or NPY_F16 */
    uint64_t rows, columns;
    uint16_t *half; /* a row of NPY_F16 */
};

int npy_writer_open(struct npy_writer *w, const char *path, enum npy_type type,
                    uint64_t columns, struct err *e);
int npy_writer_add(struct npy_writer *w, const float *row, struct err *e);

/* Closes w whatever the outcome. */
int npy_writer_publish(struct npy_writer *w, struct err *e);
void npy_writer_abandon(struct npy_writer *w); /* a no-op once closed */

/* Half precision by rounding to nearest, ties to even; what is over its range
 * becomes infinite.  And back. */
uint16_t npy_half(float x);
float npy_half_float(uint16_t h);

#endif
