/*
 * jsonl_frames - a part read by whole frames, for threads to decode.
 *
 * Model.   The parts that the stages write are frames of whole lines that say
 *          how long their content is.  Such a part is read without being
 *          decoded: jsonl_frames_next() gives the bytes of some frames, and any
 *          thread decodes them at one go with jsonl_unpack().
 *          Everything else, also what is damaged, is left to jsonl_reader,
 *          which reads any zstd frames and has the words for what is wrong
 *          with them: read the part again with that one from its beginning.
 * Owns.    The descriptor and what was read ahead.
 * Fails.   -E_IO, -E_NOTFOUND with words.  -E_FORMAT, without: leave it to
 *          jsonl_reader.
 * Threads. One per struct; jsonl_unpack() any, with an unpacker each.
 * Cost.    Reads of JSONL_FRAMES_READ, straight to where they are decoded; what
 *          of the last read is the next frame's is copied.
 */
#ifndef BASE_JSONL_FRAMES_H
#define BASE_JSONL_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/jsonl.h"

#define JSONL_FRAMES_READ ((size_t)128 << 10)  /* bytes a read */
#define JSONL_FRAMES_SUM  ((size_t)1 << 20)    /* bytes of a batch, about */
#define JSONL_FRAMES_MAX  (4 * JSONL_LINE_MAX) /* content of a frame */
#define JSONL_FRAMES_FEW                                                       \
    (JSONL_FRAME / 2) /* content of a batch, at least                          \
                         but for the last */

struct jsonl_frames {
    char path[IO_PATH_MAX];
    int fd;           /* -1 when closed */
    struct buf ahead; /* read, not given */
    bool end;         /* of the file */
};

int jsonl_frames_open(struct jsonl_frames *f, const char *path, struct err *e);
/* The next frames, whole, into packed (cleared first); content: bytes that
 * they decode to.  *more false at the end, with none. */
int jsonl_frames_next(struct jsonl_frames *f, struct buf *packed,
                      size_t *content, bool *more, struct err *e);
void jsonl_frames_close(struct jsonl_frames *f); /* also when zeroed, fd -1 */

/* Scratch of who decodes; all zero is one. */
struct jsonl_unpacker {
    void *zstd; /* ZSTD_DCtx, NULL until needed */
};

/* All frames of packed, `content` bytes of whole lines, into lines (cleared
 * first).  -E_FORMAT, without words, also when the last line has no end. */
int jsonl_unpack(struct jsonl_unpacker *z, struct str packed, size_t content,
                 struct buf *lines);
void jsonl_unpacker_release(struct jsonl_unpacker *z);

#endif
