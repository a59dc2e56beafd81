/*
 * safetensors - the container: a header of JSON, then the bytes of tensors.
 *
 * Model.   A reader maps a file and checks all of it that is not tensor data:
 *          length, header, names, dtypes, shapes, that the data is covered
 *          without overlap or hole.  It takes nothing that the format leaves
 *          open: a member, dtype or byte that nobody knows is refused.  A
 *          writer takes the list of tensors first, then their bytes in that
 *          order.  Format: docs/formats/safetensors.md.
 * Owns.    The mapping, and the tables that point into it.
 * Fails.   -E_FORMAT with file, tensor and what was expected; -E_TOOBIG past
 *          a ceiling below; -E_IO, -E_NOTFOUND from the file system.
 * Threads. A reader, once open, is read-only; a writer belongs to one thread.
 * Cost.    One pass over the header; data is not touched.  A file that is cut
 *          while it is mapped kills whoever reads it (SIGBUS), as any mapping
 *          does: files of ours are replaced, never changed.
 */
#ifndef TRAIN_SAFETENSORS_H
#define TRAIN_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/io.h"
#include "base/str.h"

#define SAFETENSORS_HEADER_MAX  (100u << 20) /* bytes, as the format has it */
#define SAFETENSORS_TENSORS_MAX 100000
#define SAFETENSORS_META_MAX    100000 /* pairs */
#define SAFETENSORS_RANK_MAX    8
#define SAFETENSORS_NAME_MAX    1024 /* bytes */

/* In the order of the format's own list. */
enum safetensors_dtype {
    ST_BOOL,
    ST_U8,
    ST_I8,
    ST_F8_E5M2,
    ST_F8_E4M3,
    ST_I16,
    ST_U16,
    ST_F16,
    ST_BF16,
    ST_I32,
    ST_U32,
    ST_F32,
    ST_F64,
    ST_I64,
    ST_U64
};

struct safetensor {
    struct str name;
    enum safetensors_dtype dtype;
    int rank;
    uint64_t shape[SAFETENSORS_RANK_MAX];
    uint64_t count;      /* numbers; 1 for a scalar, 0 for an empty tensor */
    const uint8_t *data; /* not aligned to more than the file gives */
    uint64_t size;       /* bytes */
};

struct safetensors {
    struct safetensor *list; /* in the order of their data */
    size_t n;
    struct safetensor **by_name; /* the same, bytewise by name */
    struct str *meta;            /* key, value, key, value ...; keys ascend */
    size_t meta_n;               /* pairs */
    struct arena arena;          /* strings with escapes, decoded */
    void *map;                   /* NULL when parsed from memory */
    size_t map_size;
};

int safetensors_open(struct safetensors *s, const char *path, struct err *e);
/* The same on bytes in memory, borrowed until close; place names them. */
int safetensors_parse(struct safetensors *s, struct str bytes,
                      const char *place, struct err *e);
void safetensors_close(struct safetensors *s); /* also after a failed open */

/* NULL when there is none. */
const struct safetensor *safetensors_find(const struct safetensors *s,
                                          struct str name);
bool safetensors_meta(const struct safetensors *s, struct str key,
                      struct str *value);

size_t safetensors_dtype_size(enum safetensors_dtype t);
const char *safetensors_dtype_name(enum safetensors_dtype t);

/* ---- writing ---- */

struct safetensors_out {
    struct io_file file;
    const struct safetensor *list; /* borrowed; data is not read */
    size_t n, next;
    uint64_t part; /* bytes of the next one that are written */
};

/* Order the list as the format's own library does: by dtype, widest first, so
 * that every tensor is aligned to its numbers; then by name. */
void safetensors_sort(struct safetensor *list, size_t n);

/* Header for n tensors (name, dtype, rank, shape; names differ) and metadata
 * pairs (keys differ), padded so that data begins at a multiple of 8. */
int safetensors_create(struct safetensors_out *o, const char *path,
                       const struct safetensor *list, size_t n,
                       const struct str *meta, size_t meta_n, struct err *e);
/* The bytes of the next tensor, whole; of another size is -E_RANGE, sticky. */
int safetensors_write(struct safetensors_out *o, struct str bytes,
                      struct err *e);
/* Some of the next tensor's bytes, behind those before: in as many parts as
 * suits the caller; more than are missing is -E_RANGE, sticky. */
int safetensors_write_part(struct safetensors_out *o, struct str bytes,
                           struct err *e);
/* Make the file visible, all tensors written; closes o whatever happens. */
int safetensors_publish(struct safetensors_out *o, struct err *e);
void safetensors_abandon(struct safetensors_out *o);

#endif
