/*
 * runfile - sorted runs on disk, until they are merged.
 *
 * Model.   A run is a sequence of blocks, a block a header (bytes, XXH3 of
 *          the bytes, seeded by the place in the file) and up to
 *          RUNFILE_BLOCK bytes of records.  Nothing of a record is coded
 *          against another block's, so that whoever writes starts anew when
 *          run_writer_room() has begun one.  What a record is, its owner says
 *          (querylist/keyrun, querylist/pairrun); numbers in it are LEB128.
 *          The file has no name: it is unlinked as soon as it is made, so
 *          that a run which is killed leaves nothing behind.  A run that was
 *          read for the last time can be given back to the disk.
 * Owns.    The file; a writer or reader owns one block.
 * Fails.   -E_IO; -E_DAMAGED, when what is read is not what was written.
 * Threads. A file has one writer at a time; readers are independent.
 * Cost.    A block is one write or read: 128 KiB of memory for each reader.
 */
#ifndef QUERYLIST_RUNFILE_H
#define QUERYLIST_RUNFILE_H

#include "base/err.h"
#include "base/io.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUNFILE_BLOCK  (128u << 10) /* bytes of records in a block */
#define RUNFILE_RECORD (8u << 10)   /* bytes of one record at most */

struct runfile {
    char folder[IO_PATH_MAX]; /* where the file is made, when first written */
    int fd;                   /* -1 until then */
    uint64_t end;             /* bytes */
    uint64_t released;        /* of them given back */
};

struct run { /* a place in a file */
    struct runfile *file;
    uint64_t at, bytes;
    uint64_t records;
};

int runfile_open(struct runfile *f, const char *folder, struct err *e);
void runfile_close(struct runfile *f);

/* Give a run's bytes back to the disk, where the file system can. */
void runfile_release(const struct run *r);

struct run_writer {
    struct run run;    /* what stands in the file */
    unsigned char *to; /* next byte of the block */
    unsigned char *block;
};

int run_writer_open(struct run_writer *w, struct runfile *f, struct err *e);

/* Room for a record at w->to; *anew when it is the first of a block. */
int run_writer_room(struct run_writer *w, bool *anew, struct err *e);

/* The last block; w is closed whatever the outcome. */
int run_writer_close(struct run_writer *w, struct run *r, struct err *e);

struct run_reader {
    struct run run;               /* at, bytes, records: what is left */
    const unsigned char *p, *end; /* unread records of the block */
    unsigned char *block;
};

int run_reader_open(struct run_reader *r, const struct run *run, struct err *e);
void run_reader_close(struct run_reader *r);

/* Read the next block when none is open; *anew when it did, *more false at
 * the end of the run. */
int run_reader_more(struct run_reader *r, bool *anew, bool *more,
                    struct err *e);

/* "the run is damaged". */
int run_reader_damaged(const struct run_reader *r, struct err *e);

/* ---- numbers ---- */

#define RUN_NUMBER_MAX 10 /* bytes of one */

static inline unsigned char *run_put(unsigned char *to, uint64_t x)
{
    for (; x >= 0x80; x >>= 7)
        *to++ = (unsigned char)(x | 0x80);
    *to++ = (unsigned char)x;
    return to;
}

/* False where the block ends first, or past 64 bits. */
static inline bool run_get(struct run_reader *r, uint64_t *x)
{
    uint64_t v = 0;

    for (unsigned shift = 0; r->p < r->end && shift < 64; shift += 7) {
        unsigned char c = *r->p++;

        v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            *x = v;
            return true;
        }
    }
    return false;
}

#endif
