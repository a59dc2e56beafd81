/*
 * source - where a run's samples lie: tars, their indexes, their weight.
 *
 * Model.   A source is what one --data names, PATH or PATH@WEIGHT, PATH being
 *
 *            a corpus             its shards/
 *            a folder             all *.tar in it, in order of their names
 *            a tar
 *            a name with braces   DIR/{00000..00099}.tar, a{1,3,7}.tar: as a
 *                                 shell expands them, several of them one in
 *                                 the other, none inside another
 *
 *          What stands behind the last @ is the weight when it is a number.
 *          Weights are what open_clip calls upsampling factors: a sample of a
 *          source with weight 2 is seen twice as often as one of a source with
 *          weight 1, so the source's share of a run is weight times samples.
 *
 *          source_open() makes sure that each tar has an index (shards/index.h)
 *          and keeps of it the number of samples, of the tar its size and time.
 *          A tar without one, or whose index was made of another size or time,
 *          is read through once, several at a time, and its index kept: beside
 *          it, or in the folder `cache` where that cannot be written or a file
 *          of this name is another program's.  Without a `cache` that folder
 *          is $XDG_CACHE_HOME/witmill, else $HOME/.cache/witmill, and it is
 *          told.  Of several processes one makes an index, the others wait;
 *          where locks do not reach (other machines, file systems without)
 *          each makes a file of its own, and renames it: they are the same.
 *          From then on a tar is what it was: source_look() and
 *          source_shard_open() refuse one that is gone or another.
 * Owns.    Names and numbers; no file stays open.
 * Fails.   -E_NOTFOUND for nothing there, -E_FORMAT for what is no tar and for
 *          a source without a sample, -E_TOOBIG over SOURCE_SHARDS_MAX;
 *          -E_USAGE for a spec or its weight, and where a `cache` is needed,
 *          not given, and neither folder can be written.  Each names what it
 *          is about.
 *          Of a tar that changed: -E_IO.
 * Threads. Constant behind source_open(), which has `threads` of its own.
 * Cost.    A stat and 64 bytes read a tar.
 */
#ifndef TRAIN_SOURCE_H
#define TRAIN_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include "shards/index.h"

#define SOURCE_SHARDS_MAX ((size_t)1 << 20)
#define SOURCE_WEIGHT_MAX 1e6 /* and the least is one over that */
#define SOURCES_MAX       64  /* of a run */

struct source_shard {
    char *path;
    uint64_t n;        /* samples */
    uint64_t tar_size; /* bytes */
    uint64_t tar_ns;   /* when it was last written, since 1970 */
    uint64_t left_out; /* samples without image or text */
    uint64_t check;    /* of the index: what it says, as one number */
    bool cached;       /* the index lies in the cache */
};

struct source {
    char *name;   /* PATH */
    char *folder; /* where the tars of a corpus or folder lie, or NULL */
    char *cache;  /* as in the options, the user's, or NULL */
    bool users;   /* the user's: made when it is needed */
    enum index_text text; /* as in the options */
    double weight;
    struct source_shard *shards;
    size_t n_shards;
    uint64_t n;        /* samples */
    uint64_t left_out; /* samples */
    size_t made;       /* indexes made by this call */
};

struct source_options {
    enum index_text text; /* where captions stand */
    const char *cache;    /* folder for what cannot lie beside tars, or NULL:
                             the user's */
    unsigned threads;     /* for reading tars through, 0: one a processor */
};

int source_open(struct source *s, struct str spec,
                const struct source_options *o, struct err *e);
void source_close(struct source *s);

/* Is the tar still there, of that size and time? */
int source_look(const struct source *s, size_t shard, struct err *e);

/* Open a tar for reading and read its index. */
int source_shard_open(const struct source *s, size_t shard, int *fd,
                      struct index *x, struct err *e);

/* The name of a file made of a tar, `.idx` being its ending: beside it, or in
 * the cache, if there is one (-E_NOTFOUND). */
int source_beside(const struct source *s, size_t shard, const char *ending,
                  bool cached, char path[], struct err *e);

/* Where users' programs keep what they can make anew, to free(); NULL without
 * a home. */
char *source_users_cache(void);

/* The folder for indexes is there, and can be written. */
bool source_has_cache(const struct source *s);

/* Where such a file can be written: *cached as for source_beside(). */
int source_writable(const struct source *s, size_t shard, bool *cached,
                    struct err *e);

/* Open such a file for making it, unless it is found.  While another process
 * makes it, wait; *there: it has been found, f is closed. */
typedef bool (*source_found_fn)(void *ctx);
int source_make(struct io_file *f, const char *path, source_found_fn found,
                void *ctx, bool *there, struct err *e);

/* ---- specs ---- */

struct source_spec {
    struct str path;
    double weight;
};

int source_spec_read(struct str spec, struct source_spec *out, struct err *e);

/* A name with braces as all its names, in order: *names and each of them are
 * the caller's to free().  Without braces: the name. */
int source_expand(struct str name, char ***names, size_t *n, struct err *e);

#endif
