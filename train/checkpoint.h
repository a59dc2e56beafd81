/*
 * checkpoint - all that a run needs to go on, in a folder, whole or not there.
 *
 * Model.   RUN/step-NNNNNNNNN/ is what a run was behind its step N:
 *
 *              model.safetensors      weights and BatchNorm's statistics under
 *              open_clip_config.json  open_clip's names: a model by itself
 *              moments.safetensors    the optimiser's, m.NAME and v.NAME
 *              checkpoint.json        step, samples, the options that decide,
 *                                     the alarms' state; size and SHA-256 of
 *                                     the other files and of itself
 *
 *          and files that go with the model (vocabulary.txt).  It is made as
 *          step-NNNNNNNNN.tmp/, every file fsynced, checkpoint.json last, and
 *          renamed when all is there; one that goes is renamed first.  So a
 *          folder under its name is whole, whenever the process was killed;
 *          what has damaged it since is found by sizes and checksums.
 *          checkpoint_find() takes the last that is whole and says aloud which
 *          ones it passed over.
 *
 *          Two JSON objects say what a checkpoint was made by: `agree`, in
 *          which every member has to be the same on resume, and `made`, in
 *          which a difference (another GPU, other threads) only means that the
 *          curve goes on equal to rounding.
 *          Format: docs/formats/checkpoint.md.
 * Owns.    struct checkpoint_meta: its text, until checkpoint_meta_release().
 * Fails.   -E_IO, and then nothing under its name has changed; -E_NOTFOUND
 *          where a run has none; -E_DAMAGED naming file and difference;
 *          -E_VERSION of a later witmill; -E_STALE, -E_FORMAT, -E_RANGE as
 *          weights_load(); -E_UNSUPPORTED for a device of doubles.
 * Threads. The device's.  One process writes into a run's folder (the caller
 *          locks it).
 * Cost.    Writing: host memory for CHECKPOINT_PART numbers; reading: for the
 *          largest tensor, and every file is read twice (checksum, numbers).
 */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/str.h"
#include "train/alarm.h"
#include "train/clip.h"

#define CHECKPOINT_VERSION   1
#define CHECKPOINT_META_MAX  (1u << 20) /* bytes of checkpoint.json */
#define CHECKPOINT_FILES_MAX 16
#define CHECKPOINT_NAME_MAX  64        /* bytes of a file's, with terminator */
#define CHECKPOINT_PART      (1 << 20) /* numbers written at a time */

#define CHECKPOINT_MODEL   "model.safetensors"
#define CHECKPOINT_MOMENTS "moments.safetensors"
#define CHECKPOINT_META    "checkpoint.json"

struct checkpoint_state {
    uint64_t step;    /* taken */
    uint64_t samples; /* seen */
    uint64_t seed;
    uint64_t applied;   /* the last step (from 1) whose gradient moved the
                           weights: by its chance copies were rounded; 0 */
    uint64_t log_bytes; /* of log.jsonl, up to and with this step */
    bool has_metric;
    double metric; /* of an evaluation at this step, more is better */
    struct alarm_state alarms;
};

struct checkpoint_file {
    char name[CHECKPOINT_NAME_MAX]; /* [A-Za-z0-9._-]+, not with . first */
    uint64_t bytes;
    char sha256[SHA256_HEX];
};

/* What checkpoint.json says. */
struct checkpoint_meta {
    struct checkpoint_state state;
    struct checkpoint_file files[CHECKPOINT_FILES_MAX]; /* of the folder */
    size_t n;
    struct str agree, made; /* JSON objects, in text */
    struct buf text;
};

/* A file that goes with the model. */
struct checkpoint_beside {
    const char *name;
    struct str bytes;
};

struct checkpoint_out {
    const char *folder;   /* the run's, there already */
    const struct clip *m; /* open for training */
    const struct checkpoint_state *state;
    struct str agree, made; /* JSON objects of plain names */
    const struct checkpoint_beside *beside;
    size_t beside_n;
};

int checkpoint_write(const struct checkpoint_out *c, struct err *e);

/* Weights, statistics and moments of a folder that was found whole, into a
 * model that is open for training; what products read is for optim_restore().
 * After a failure they are unspecified. */
int checkpoint_load(const char *path, struct clip *m, struct err *e);

/* ---- checkpoint.json ---- */

void checkpoint_meta_write(const struct checkpoint_meta *m, struct buf *out);
/* text: of the whole file, borrowed by m; place names it.  sealed: its own
 * checksum has to stand at its end (false: for tests of what is behind). */
int checkpoint_meta_parse(struct checkpoint_meta *m, struct str text,
                          const char *place, bool sealed, struct err *e);
void checkpoint_meta_release(struct checkpoint_meta *m);

/* What is compared: of `settings` and `agree` the members are options, of
 * `made` plain names.  Of `agree` some values are names of files, which may lie
 * elsewhere when a run goes on: `init`, which it does not read any more, and
 * `model` where both are a JSON's, for its checkpoint refuses another model
 * (checkpoint_load()).  They do not differ there. */
enum checkpoint_part { CHECKPOINT_SETTINGS, CHECKPOINT_AGREE, CHECKPOINT_MADE };

/* Members that differ between two objects, to follow "was made with": up to
 * three as `--cap 6, now 7`.  How many there are. */
unsigned checkpoint_differs(enum checkpoint_part part, struct str then,
                            struct str now, struct buf *out);

/* ---- a run's folder ---- */

enum checkpoint_which { CHECKPOINT_LAST, CHECKPOINT_BEST };

/* The last whole checkpoint of a run, or the best: of the largest metric, the
 * last where none has one.  path[IO_PATH_MAX] is its folder; release m also
 * after a failure. */
int checkpoint_find(const char *folder, enum checkpoint_which which, char *path,
                    struct checkpoint_meta *m, struct err *e);

/* What a person calls a model: the file itself; or of a folder the weights in
 * it (ours, or as open_clip publishes them); or of a run's folder a
 * checkpoint's.  out[IO_PATH_MAX] is the file.  -E_NOTFOUND. */
int checkpoint_find_weights(const char *path, enum checkpoint_which which,
                            char *out, struct err *e);

/* Which checkpoints stay, beside the best. */
struct checkpoint_rules {
    uint64_t keep;       /* the last so many, at least 1 */
    uint64_t keep_every; /* and those of multiples of so many steps; 0: none */
};

/* Remove the others, and what is behind `step`: another future. */
int checkpoint_prune(const char *folder, const struct checkpoint_rules *r,
                     uint64_t step, struct err *e);

/* Remove what a killed process left half-made or half-removed. */
int checkpoint_sweep(const char *folder, struct err *e);

/* "FOLDER/step-NNNNNNNNN" and a suffix into out[IO_PATH_MAX]. */
int checkpoint_path(char *out, const char *folder, uint64_t step,
                    const char *suffix, struct err *e);

/* Make the finished folder from visible as to, in the place of what is there;
 * both in one folder.  Remove a flat folder. */
int checkpoint_publish(const char *from, const char *to, struct err *e);
int checkpoint_remove(const char *path, struct err *e);

#endif
