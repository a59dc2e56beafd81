/*
 * embedding - features of many pictures or texts, row by row into a .npy.
 *
 * Model.   Rows stand in the order of the samples, or lines.  Of pictures, a
 *          file of keys says whose row it is: line i the key of row i - 1, in
 *          which a backslash and a line break are written as \\, \n, \r.  A
 *          line of text gives a row, also an empty one, so row and line have
 *          one number.
 * Owns.    Nothing behind its return; the caller publishes what was written.
 * Fails.   As evalset_*(), encoder_*(), base/io; -E_TOOBIG naming a line over
 *          its ceiling.
 * Threads. The device's.
 * Cost.    Memory for a batch.
 */
#ifndef TRAIN_EMBEDDING_H
#define TRAIN_EMBEDDING_H

#include "base/io.h"
#include "base/stream.h"
#include "train/encoder.h"
#include "train/evalset.h"
#include "train/npy.h"

int embed_pictures(struct encoder *n, struct evalset *s, struct npy_writer *to,
                   struct io_file *keys, struct err *e);

int embed_lines(struct encoder *n, struct lines *l, struct npy_writer *to,
                struct err *e);

#endif
