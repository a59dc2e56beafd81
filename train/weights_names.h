/*
 * weights_names - which tensor of a file holds which numbers of the model.
 *
 * Model.   Private to train/weights*.c.  A layout is a list of pieces: each
 *          is one tensor of the file and the numbers of one tensor of the
 *          store that it holds, transposed or not.  Saving and loading walk
 *          the same list, so they cannot disagree.
 * Owns.    The list, and names in its arena.
 * Fails.   -E_UNSUPPORTED naming the tensor that a layout has no place for.
 * Threads. Any.
 */
#ifndef TRAIN_WEIGHTS_NAMES_H
#define TRAIN_WEIGHTS_NAMES_H

#include "base/arena.h"
#include "train/clip.h"
#include "train/safetensors.h"
#include "train/weights.h"

/* How a piece may be brought to another size. */
enum piece_resize {
    RESIZE_NONE,
    RESIZE_GRID, /* a row, then a square of rows */
    RESIZE_LINE  /* rows */
};

struct weights_piece {
    struct str name;     /* in the file */
    int tensor;          /* of the store; -1: a BatchNorm's counter */
    int64_t from, count; /* numbers of the tensor */
    int rank;            /* in the file */
    uint64_t shape[STORE_RANK_MAX];
    bool transposed; /* in the file, against the store */
    enum piece_resize resize;
};

struct weights_pieces {
    struct weights_piece *list;
    size_t n, cap;
    struct arena names;
};

int weights_pieces_make(struct weights_pieces *p, const struct clip *m,
                        enum weights_layout layout, struct err *e);
void weights_pieces_release(struct weights_pieces *p);

/* transposed [columns, rows] from [rows, columns]. */
void weights_transpose(float *to, const float *from, size_t rows,
                       size_t columns);

/* ---- names in files: train/weights_index.c ---- */

/* A name without what wraps it: module., _orig_mod., and text. of open_clip's
 * CustomTextCLIP. */
struct str weights_bare_name(struct str name);

enum weights_layout weights_layout_of(const struct safetensors *file);

/* A file's tensors by their bare names; two of one name are -E_FORMAT. */
struct weights_entry {
    struct str name;
    const struct safetensor *t;
    bool used; /* for the caller */
};

struct weights_index {
    struct weights_entry *list; /* bytewise by name, owned */
    size_t n;
};

int weights_index_make(struct weights_index *x, const struct safetensors *file,
                       const char *path, struct err *e);
void weights_index_release(struct weights_index *x);
struct weights_entry *weights_index_find(const struct weights_index *x,
                                         struct str name);

/* ---- what a file says of itself: train/weights_config.c ---- */

#define WEIGHTS_META_CONFIG     "witmill.config"
#define WEIGHTS_META_ACTIVATION "witmill.activation"

#define WEIGHTS_META_VERSION "witmill.version"
#define WEIGHTS_VERSION      "1" /* of what these keys mean */

enum weights_says { SAYS_NOTHING, SAYS_GELU, SAYS_QUICK_GELU };

struct weights_said {
    bool has_config;
    struct clip_config config;
    enum weights_says activation; /* also without a config */
};

/* From the metadata, or else from the JSON beside it. */
int weights_said(struct weights_said *said, const struct safetensors *file,
                 const char *path, struct err *e);

/* The activation's name in metadata. */
const char *weights_activation(bool quick_gelu);

/* "FOLDER OF PATH/NAME" of the JSON that goes with a layout. */
int weights_beside(char *out, const char *path, enum weights_layout layout,
                   struct err *e);

/* ---- sizes by shapes alone: train/weights_shapes.c ---- */

/* *activation: QuickGELU for a file with OpenAI's sizes, else nothing.
 * -E_NOTFOUND when tensors are not there that would tell. */
int weights_sizes(struct clip_config *c, enum weights_says *activation,
                  const struct safetensors *file, const char *path,
                  struct err *e);

#endif
