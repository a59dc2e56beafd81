/*
 * stream_bunzip - bzip2, decoded by one thread or by many; a part of
 * base/stream.
 *
 * Model.   struct bunzip decodes streams that follow each other, step by step.
 *          A bzip2_pool does the same with threads, for what is many streams
 *          (dumps "multistream", what pbzip2 writes).  The bytes are cut into
 *          pieces where a stream seems to begin: at a byte that begins
 *          "BZh", a digit and the 48 bits that open a block.  Threads decode
 *          pieces, the reader takes them in order.  Where a piece ends in the
 *          middle of a stream, what looked like a beginning was none: the
 *          reader goes on with that stream through the next piece, and what
 *          a thread made of it is thrown away.  So the bytes and the errors
 *          are those of one bunzip over all of it, for any number of threads.
 *          One long stream is decoded by the reader alone.
 * Owns.    The pool its threads and copies of the input; fd is borrowed.
 * Fails.   enum bunzip_end.
 * Threads. One reader.
 * Cost.    threads + threads / 2 + 2 pieces, each up to BZIP2_PIECE of input
 *          and BZIP2_AHEAD of output (what a piece unpacks to beyond that
 *          waits for the reader).
 */
#ifndef BASE_STREAM_BUNZIP_H
#define BASE_STREAM_BUNZIP_H

#include <bzlib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

#define BZIP2_PIECE ((size_t)4 << 20)  /* bytes of input */
#define BZIP2_AHEAD ((size_t)16 << 20) /* bytes of output */

struct bunzip { /* stays where it is: libbz2 points back to it */
    bz_stream bz;
    bool open; /* inside a stream */
};

enum bunzip_end {
    BUNZIP_MORE,    /* it goes on with more input, or more room */
    BUNZIP_GARBAGE, /* behind a stream stands what begins none: the end */
    BUNZIP_DAMAGED,
    BUNZIP_NOMEM,
    BUNZIP_CUT, /* from pools alone: the input ends inside a stream */
    BUNZIP_IO   /* likewise: read() failed, with errno */
};

/* *used of in[n) become *got bytes of out[room); neither may be all there is.
 * n 0 gives what is still held back. */
enum bunzip_end bunzip_step(struct bunzip *z, const char *in, size_t n,
                            size_t *used, void *out, size_t room, size_t *got);
void bunzip_release(struct bunzip *z);

struct bzip2_pool;

/* Input: `first`, then what fd gives (-1: nothing more).  NULL when no thread
 * would start. */
struct bzip2_pool *bzip2_pool_open(struct str first, int fd, unsigned threads);
void bzip2_pool_close(struct bzip2_pool *p); /* NULL is fine */

/* Up to room bytes.  *got 0 is the end, and the result says which: BUNZIP_MORE
 * or BUNZIP_GARBAGE a good one. */
enum bunzip_end bzip2_pool_read(struct bzip2_pool *p, void *out, size_t room,
                                size_t *got);

/* Bytes of input behind which the reader is. */
uint64_t bzip2_pool_position(const struct bzip2_pool *p);

#endif
