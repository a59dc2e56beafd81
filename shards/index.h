/*
 * index - NNNNN.idx: where each sample of a tar lies, for reading by pread.
 *
 * Model.   One entry a sample, in the order of the tar, fixed size, then the
 *          keys.  A subset, a shuffle or a training step needs the index and
 *          pread alone; the tar is never scanned again.  All integers are
 *          little-endian (docs/FORMATS.md, "Shards"):
 *
 *            header, 64 bytes
 *              0   8  "WITMILLI"
 *              8   4  format version
 *             12   4  zero
 *             16   8  samples
 *             24   8  bytes of the tar
 *             32   8  bytes of the keys behind the entries
 *             40   8  XXH3-64 of all behind the header
 *             48   8  modification time of the tar, ns, when the index was made
 *                    by who found the tar; 0: not said
 *             56   8  samples of the tar that were left out
 *            entries, 64 bytes each
 *              0  16  uid (zero when the sample has none)
 *             16   8  offset of the image's data in the tar
 *             24   8  offset of the json's data
 *             32   8  offset of the text's data
 *             40   4  bytes of the image
 *             44   4  bytes of the json, INDEX_ABSENT: none
 *             48   4  bytes of the text
 *             52   4  offset of the key behind the entries
 *             56   2  bytes of the key
 *             58   2  enum index_image
 *             60   4  zero
 * Owns.    struct index owns its entries and keys.
 * Fails.   -E_FORMAT for what is no index, -E_VERSION, -E_DAMAGED when the
 *          checksum or a range does not hold: what was read is safe to use.
 * Threads. Constant after reading.
 */
#ifndef SHARDS_INDEX_H
#define SHARDS_INDEX_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/tally.h"
#include <stdint.h>

#define INDEX_VERSION     1
#define INDEX_HEADER_SIZE 64
#define INDEX_ENTRY_SIZE  64
#define INDEX_ABSENT      UINT32_MAX
#define INDEX_KEY_MAX     1024                /* bytes of a key */
#define INDEX_FILE_MAX    ((uint64_t)1 << 32) /* bytes of an index */

enum index_image { INDEX_JPG, INDEX_PNG, INDEX_WEBP };

struct index_entry {
    uint8_t uid[MD5_SIZE];
    uint64_t image_offset, json_offset, text_offset;
    uint32_t image_size; /* bytes; json_size may be INDEX_ABSENT */
    uint32_t json_size;
    uint32_t text_size;
    enum index_image image;
    struct str key; /* points into the index */
};

struct index {
    uint64_t n;        /* samples */
    uint64_t tar_size; /* bytes */
    struct buf bytes;  /* the file */
};

/* What the header says; whether the rest holds is not looked at. */
struct index_head {
    uint64_t n, tar_size;
    uint64_t tar_ns;   /* when the tar was last written; 0: not said */
    uint64_t left_out; /* samples */
    uint64_t check;    /* XXH3-64 of all behind the header */
};

/* ---- making one ---- */

struct index_writer {
    struct buf entries, keys;
    uint64_t n;
};

void index_writer_init(struct index_writer *w);
void index_writer_release(struct index_writer *w);
/* -E_RANGE for a key over INDEX_KEY_MAX. */
int index_writer_add(struct index_writer *w, const struct index_entry *entry,
                     struct err *e);
/* The bytes of the file, appended to out. */
int index_writer_finish(const struct index_writer *w, uint64_t tar_size,
                        struct buf *out, struct err *e);

/* Where the texts of a foreign tar stand. */
enum index_text {
    INDEX_TXT, /* in .txt: samples without one are left out */
    INDEX_JSON /* in .json: samples without one are left out; without a .txt
                  text_size is 0 */
};

/* Of a tar, ours or foreign (uncompressed: it is read by offset later): the
 * samples that have an image and a text; others are counted in skipped, as
 * are the members that shards/tar_read leaves out. */
int index_of_tar(const char *path, enum index_text text, struct buf *out,
                 struct tally *skipped, struct err *e);

/* Say in the header of a finished index when its tar was last written, and how
 * many samples of it were left out. */
void index_put_origin(struct buf *bytes, uint64_t tar_ns, uint64_t left_out);

/* ---- reading one ---- */

int index_read(struct index *x, const char *path, struct err *e);
/* Takes bytes over (the buffer is left empty), also on failure. */
int index_parse(struct index *x, struct buf *bytes, const char *name,
                struct err *e);
void index_release(struct index *x);

/* -E_FORMAT, -E_VERSION; -E_NOTFOUND when it is not there. */
int index_read_head(struct index_head *h, const char *path, struct err *e);

/* A number that names the sample: the first 8 bytes of its uid as they would
 * lie in a little-endian machine; without a uid, XXH3-64 of its key. */
uint64_t index_identity(const struct index_entry *entry);

/* Entry i < x->n. */
void index_get(const struct index *x, uint64_t i, struct index_entry *entry);

#endif
