/*
 * sorter - the pair records of a bucket in the order of unique/, in bounded
 * memory.
 *
 * Model.   open -> add* -> sort -> next* -> close.  The order is total:
 * (H(url), url, uid), then page, from, origin, line, so that of records with
 *          one (url, uid) the one that DESIGN keeps comes first.  Records lie
 *          packed, with the fields that order them found once, and are sorted
 *          by 16-byte keys: H(url) and where the record is.  When they pass
 *          the memory given they go, sorted, to a file in `folder` as a run;
 *          runs are merged, in several passes if there are more than buffers.
 *          The files have no name: a process that is killed leaves nothing.
 * Owns.    Its memory, at most two files.
 * Fails.   -E_NOMEM; -E_IO (a full disk says so); -E_TOOBIG for a record that
 *          does not fit into the memory alone; -E_DAMAGED when a block of a
 *          run reads back as something else.  After a failure only close.
 * Threads. One.
 * Cost.    Memory: a record's line and 112 bytes, 4 a query; once the first
 *          run is written what was given, 8 bytes for each RUN_BLOCK of disk,
 *          and whatever records over RUN_BLOCK need.  Disk: the same again,
 *          twice while a pass merges.
 */
#ifndef FILTER_SORTER_H
#define FILTER_SORTER_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/io.h"
#include "base/pair.h"
#include "base/str.h"

#define SORTER_RUN_BLOCK  ((size_t)128 << 10) /* bytes written at a time */
#define SORTER_FAN_MAX    512                 /* runs merged at a time */
#define SORTER_MEMORY_MIN ((size_t)4 << 20)   /* takes any record of ours */

enum sorter_field {
    SORTER_URL,
    SORTER_TEXT,
    SORTER_PAGE,
    SORTER_FROM,
    SORTER_ORIGIN,
    SORTER_FIELDS
};

/* As it lies in memory and in a run; behind it the q, the line, and fields
 * that the line holds escaped. */
struct sorter_record {
    uint64_t h; /* H(url) */
    uint8_t uid[MD5_SIZE];
    uint32_t size; /* bytes, this head included, a multiple of 8 */
    uint32_t line; /* bytes of the line */
    uint32_t n_q;
    uint32_t zero;
    struct {
        uint32_t at; /* from the record's begin; 0: absent */
        uint32_t n;  /* bytes */
    } field[SORTER_FIELDS];
};

struct sorter_key {
    uint64_t h;
    const struct sorter_record *r;
};

/* Sorted records in a file. */
struct sorter_run {
    unsigned file; /* 0 or 1 */
    uint64_t at, bytes;
    size_t block; /* number of its first block in the file */
};

struct sorter_file {
    int fd; /* -1 until needed */
    uint64_t end;
    uint64_t *sums; /* XXH3-64 of each block, in the order of writing */
    size_t n_sums, cap_sums;
};

struct sorter_in; /* a run being read */

struct sorter {
    char folder[IO_PATH_MAX];
    unsigned same_bits;      /* of H, equal in all records */
    size_t memory;           /* bytes of base */
    char *base;              /* records from its begin, keys from its end */
    size_t used;             /* bytes of records */
    size_t n;                /* records in base */
    struct sorter_key *keys; /* sorted, once they are */
    size_t at;               /* of the next one to be given */
    struct sorter_file file[2];
    unsigned now; /* the file that holds the runs */
    struct sorter_run *runs;
    size_t n_runs, cap_runs;
    char *block; /* being filled for the file */
    size_t block_n;
    struct sorter_in *in; /* of the runs being merged, n_in of them */
    struct sorter_in **heap;
    size_t n_in, n_heap;
    bool given;       /* the least of them has been given */
    uint64_t spilled; /* bytes written to files, all passes */
};

/* same_bits: high bits of H that all records share, 0..13.  folder exists. */
int sorter_open(struct sorter *s, const char *folder, unsigned same_bits,
                uint64_t memory_bytes, struct err *e);
void sorter_close(struct sorter *s);

/* p as pair_read() gave it of line; h of its URL. Both are copied. */
int sorter_add(struct sorter *s, uint64_t h, const struct pair *p,
               struct str line, struct err *e);

/* All are there; next may be called. */
int sorter_sort(struct sorter *s, struct err *e);

/* *r is valid until the next call; NULL at the end. */
int sorter_next(struct sorter *s, const struct sorter_record **r,
                struct err *e);

static inline struct str sorter_field(const struct sorter_record *r,
                                      enum sorter_field f)
{
    return str_make((const char *)r + r->field[f].at, r->field[f].n);
}

static inline const uint32_t *sorter_q(const struct sorter_record *r)
{
    return (const uint32_t *)(const void *)(r + 1);
}

static inline struct str sorter_line(const struct sorter_record *r)
{
    return str_make((const char *)(sorter_q(r) + r->n_q), r->line);
}

/* <0, 0, >0 in the order above. */
int sorter_cmp(const struct sorter_record *a, const struct sorter_record *b);

#endif
