/*
 * tar_read - read tars of samples, ours and foreign.
 *
 * Model.   tar_reader gives the regular members of a tar in order, whatever
 *          dialect names them (USTAR, PAX x and g, GNU L), compressed or not.
 *          tar_samples groups them into samples as webdataset does: the key is
 *          the name up to the first dot behind its last slash, the extension
 *          the rest in lower case; neighbours of equal key are one sample.
 *          Nothing is ever written to disk by a name found in a tar.
 * Owns.    The reader owns its stream; what it gives is valid until its next
 *          call.
 * Fails.   -E_FORMAT with path and offset for what is no tar, and for a tar
 *          that ends too soon: the whole samples before have been given.  The
 *          two zero blocks of the end are part of a whole tar.
 *          A member or sample that cannot be used is skipped and counted in
 *          `skipped` under its reason:
 *            not-regular         folder, link, device, sparse file
 *            name                absolute, with .. in it, over the ceiling, or
 *                                no name that libarchive can read
 *            too-large           over the ceiling of a member
 *            no-extension        without a dot, or nothing before it
 *            reserved            __name__
 *            repeated-extension  a sample with two members of one extension
 *            too-many-members    members behind the 32nd of a sample
 * Threads. One per reader.
 * Cost.    One pass; only data that was asked for is kept.
 */
#ifndef SHARDS_TAR_READ_H
#define SHARDS_TAR_READ_H

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include "base/stream.h"
#include "base/tally.h"
#include <stdbool.h>
#include <stdint.h>

#define TAR_PATH_MAX       1024 /* bytes of a foreign member's name */
#define TAR_SAMPLE_MEMBERS 32
#define TAR_READ_CHUNK     ((size_t)64 << 10)

struct archive;
struct archive_entry;

struct tar_member {
    struct str name; /* as in the tar */
    uint64_t offset; /* of its data in the tar, uncompressed */
    uint64_t size;   /* bytes of data */
};

struct tar_reader {
    char path[IO_PATH_MAX];
    struct stream *in;
    struct archive *archive;
    struct archive_entry *entry;
    char *chunk;   /* TAR_READ_CHUNK bytes, lent to libarchive */
    struct err io; /* what the stream said, if it failed */
    char name[TAR_PATH_MAX];
    uint64_t left;        /* data of the member not read yet */
    uint64_t end;         /* of the last member, padding included */
    uint64_t max_bytes;   /* ceiling of a member */
    bool ended;           /* every member was read to its end */
    struct tally skipped; /* by reason */
};

/* Open a tar file; members over max_bytes are skipped. */
int tar_reader_open(struct tar_reader *r, const char *path, uint64_t max_bytes,
                    struct err *e);
/* Over bytes in memory that stay put; name is for messages. */
int tar_reader_open_memory(struct tar_reader *r, struct str bytes,
                           const char *name, uint64_t max_bytes, struct err *e);
void tar_reader_close(struct tar_reader *r);

/* *more false at the end of a whole tar. */
int tar_reader_next(struct tar_reader *r, struct tar_member *m, bool *more,
                    struct err *e);

/* Append the data of the member last given to b (whose ceiling holds). */
int tar_reader_data(struct tar_reader *r, struct buf *b, struct err *e);

/* ---- samples ---- */

/* Split a member's name; false when it belongs to no sample. ext is as
 * written, not yet in lower case. */
bool tar_split_name(struct str name, struct str *key, struct str *ext);

struct tar_sample_member {
    char ext[64];    /* lower case, without the dot; longer ones are cut */
    uint64_t offset; /* as in struct tar_member */
    uint64_t size;
    bool loaded;
    size_t data_at; /* of the data in the sample's buffer, when loaded */
};

struct tar_sample {
    struct str key;
    struct tar_sample_member v[TAR_SAMPLE_MEMBERS]; /* as in the tar */
    unsigned n;
};

struct tar_samples {
    struct tar_reader *reader; /* borrowed */
    const char *const *load;   /* extensions to keep, NULL-terminated */
    struct tar_sample sample;  /* being gathered, or just given */
    struct tar_member pending; /* first of the next sample */
    char key[TAR_PATH_MAX];
    struct buf data; /* of the loaded members */
    bool has_pending, bad;
    struct err late; /* given once the last sample is out */
};

/* load: whose data to keep, e.g. {"json", NULL}; NULL loads nothing.
 * data_max bounds a sample's loaded bytes; members past it stay unloaded. */
void tar_samples_init(struct tar_samples *s, struct tar_reader *r,
                      const char *const *load, size_t data_max);
void tar_samples_release(struct tar_samples *s);

/* The next sample, valid until the next call; *more false at the end. */
int tar_samples_next(struct tar_samples *s, const struct tar_sample **sample,
                     bool *more, struct err *e);

/* The member with this extension, or NULL. */
const struct tar_sample_member *tar_sample_find(const struct tar_sample *s,
                                                const char *ext);

/* Its data; empty unless loaded. */
struct str tar_samples_data(const struct tar_samples *s,
                            const struct tar_sample_member *m);

#endif
