/*
 * jsonl - parts of JSON lines in zstd frames, the form in which records travel
 * between stages.
 *
 * Model.   A part is a sequence of independent zstd frames, each a whole number
 *          of lines.  Three ways to make one:
 *            jsonl_writer   published at once (most stages); frames end every
 *                           JSONL_FRAME bytes of content, or where the caller
 *                           asks, so that a frame can be read alone
 *            jsonl_append   grows in place, each append one frame and one
 *                           fsync (the crawl, the downloads' journal)
 *          jsonl_reader reads the whole or one range of frames.  A torn tail
 *          loses only the frame that was being written: jsonl_whole_bytes()
 *          says where it begins.  A part that is cut between two frames reads
 *          well but for its number of lines: sidecar_open() knows that.
 * Fails.   -E_IO; -E_FORMAT for a frame that does not decode, with path and
 *          offset; lines over JSONL_LINE_MAX are -E_TOOBIG (ours never are).
 *          What many threads decode and encode goes by whole frames:
 *          base/jsonl_frames.h.
 * Threads. One per struct.
 * Cost.    zstd at JSONL_LEVEL, one context per writer, reused; a line is
 *          copied once on its way in and once on its way out.
 */
#ifndef BASE_JSONL_H
#define BASE_JSONL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/str.h"

#define JSONL_LINE_MAX ((size_t)1 << 20) /* bytes of a line */
#define JSONL_FRAME    ((size_t)1 << 20) /* bytes of content a frame, about */

/* Parts are written once and read once or twice, by stages that do less with a
 * record than zstd's usual levels do: what levels cost, docs/records.md. */
#define JSONL_LEVEL (-50)

/* Scratch of who encodes frames; all zero is one. */
struct jsonl_packer {
    void *zstd; /* ZSTD_CCtx, NULL until needed */
};

/* Lines as one frame into packed (cleared first).  Size of the content and its
 * checksum stand in the frame, so that damage is found when it is read. */
int jsonl_pack(struct jsonl_packer *z, struct str lines, struct buf *packed,
               struct err *e);
void jsonl_packer_release(struct jsonl_packer *z);

struct jsonl_writer {
    struct io_file file;
    struct buf content; /* of the open frame */
    struct buf packed;
    struct jsonl_packer packer;
    struct sha256 hash; /* of the content */
    uint64_t lines;
    int rc;                  /* sticky */
    bool manual;             /* frames end only at jsonl_frame() */
    char sha256[SHA256_HEX]; /* of the content, set by publish */
};

int jsonl_open_write(struct jsonl_writer *w, const char *path, struct err *e);
/* line without its newline, which is added. */
int jsonl_write(struct jsonl_writer *w, struct str line, struct err *e);
/* Lines with their newlines, whole. */
int jsonl_write_block(struct jsonl_writer *w, struct str lines, struct err *e);
/* Lines whose frame somebody else encoded (jsonl_frames.h), n_lines of them;
 * no frame is open.  Their content is hashed here, in order. */
int jsonl_write_packed(struct jsonl_writer *w, struct str lines,
                       uint64_t n_lines, struct str frame, struct err *e);
/* End the open frame (an empty one is written too when manual is set) and
 * report the offset at which the next begins. */
int jsonl_frame(struct jsonl_writer *w, uint64_t *offset, struct err *e);
int jsonl_publish(struct jsonl_writer *w, struct err *e);
void jsonl_abandon(struct jsonl_writer *w);

struct jsonl_append {
    char path[IO_PATH_MAX];
    int fd;
    uint64_t bytes; /* durable length */
    struct jsonl_packer packer;
    struct buf packed;
};

/* Open for appending, created if absent, cut to durable_bytes first. */
int jsonl_append_open(struct jsonl_append *a, const char *path,
                      uint64_t durable_bytes, struct err *e);
/* One frame of whole lines, fsynced; a->bytes is then its end. */
int jsonl_append(struct jsonl_append *a, struct str lines, struct err *e);
void jsonl_append_close(struct jsonl_append *a);

/* Offset behind the last whole frame of path, and the lines before it. */
int jsonl_whole_bytes(const char *path, uint64_t *bytes, uint64_t *lines,
                      struct err *e);

struct jsonl_reader {
    char path[IO_PATH_MAX];
    int fd;
    uint64_t at, end;  /* compressed offsets: next to read, where to stop */
    void *zstd;        /* ZSTD_DCtx */
    struct buf packed; /* compressed bytes not yet decoded */
    size_t packed_at;
    struct buf content; /* decoded, not yet given */
    size_t content_at;
    bool mid_frame;    /* a frame is open: the end here is a cut */
    uint64_t frame_at; /* where the frame of the line last given begins */
    uint64_t expect;   /* lines in all, UINT64_MAX: not known */
    uint64_t line;     /* number of the line last given, from 1 */
};

int jsonl_open(struct jsonl_reader *r, const char *path, struct err *e);
/* Frames in [from, to) alone; a file that ends before `to` is -E_FORMAT. */
int jsonl_open_range(struct jsonl_reader *r, const char *path, uint64_t from,
                     uint64_t to, struct err *e);
/* *more false at the end; line is valid until the next call. */
int jsonl_next(struct jsonl_reader *r, struct str *line, bool *more,
               struct err *e);
void jsonl_close(struct jsonl_reader *r);

/* sha256 of the uncompressed content. */
int jsonl_sha256(const char *path, char out[SHA256_HEX], struct err *e);

#endif
