/*
 * stream - read plain, gzip, bzip2 or zstd by content; lines on top.
 *
 * Model.   stream_open() looks at the first bytes, never at the name; members
 *          and frames that follow each other are one stream.  "-" is standard
 *          input.  lines_next() gives lines without their ending (LF or CRLF).
 * Fails.   -E_FORMAT with path and compressed byte offset for damaged or cut
 *          input; what was whole before has been delivered.  A line longer
 *          than its ceiling is skipped and counted in too_long.
 * Threads. One per stream; stream_set_threads() may add some behind it.
 * Cost.    Two buffers of 256 KiB; no allocation per line.  With threads: see
 *          base/stream_bunzip.h.
 */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct stream;

int stream_open(struct stream **s, const char *path, struct err *e);
/* Over bytes in memory that stay put; name is for messages. */
int stream_open_memory(struct stream **s, struct str bytes, const char *name,
                       struct err *e);
void stream_close(struct stream *s); /* NULL is fine */

/* Before the first read: let so many threads decode a file of many bzip2
 * streams ("multistream").  Bytes and errors stay the same; anything else is
 * read as before. */
void stream_set_threads(struct stream *s, unsigned threads);

/* Up to n > 0 bytes; *got 0 at the end. */
int stream_read(struct stream *s, void *p, size_t n, size_t *got,
                struct err *e);

/* Did stream_read() fail because the input ends too early?  Then all bytes
 * before are what was packed; those before other damage may not be. */
bool stream_is_cut(const struct stream *s);

/* Compressed bytes consumed so far: for progress. */
uint64_t stream_position(const struct stream *s);

/* All that is left, appended to b (its ceiling holds). */
int stream_read_all(struct stream *s, struct buf *b, struct err *e);

struct lines {
    struct stream *in; /* borrowed */
    struct buf buffer;
    size_t max; /* bytes of a line */
    size_t at;  /* of the next line in buffer */
    bool eof;
    uint64_t number;   /* of the line last given, from 1 */
    uint64_t too_long; /* lines skipped */
};

void lines_init(struct lines *l, struct stream *in, size_t max_bytes);
void lines_release(struct lines *l);

/* *more false at the end; line is valid until the next call. */
int lines_next(struct lines *l, struct str *line, bool *more, struct err *e);

#endif
