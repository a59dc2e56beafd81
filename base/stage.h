/*
 * stage - what all stages of the chain do alike (DESIGN section 2, rules 1-4).
 *
 * Model.   A stage makes outputs.  An output NAME is one or more files of the
 *          corpus that begin with NAME, and the sidecar NAME.meta.json, which
 *          is published last: a sidecar means done, files without one are
 *          replaced.  For each output:
 *
 *            stage_inputs_*()       what it is made from, with their sha256
 *            stage_begin(&done)     done: nothing to do.  Another fingerprint
 *                                   on disk: -E_STALE, or with --redo the old
 *                                   sidecar is removed first
 *            ... publish the files (base/io.h, base/jsonl.h) ...
 *            stage_file()           each file's name and content sha256
 *            stage_commit()         the sidecar
 *
 *          The fingerprint is the sha256 of stage name, format version, corpus
 *          seed, the options that change bytes, and the inputs in the order
 *          given: each one's key and sha256.  Durations and dates stand under "run" in the sidecar and
 *          enter no hash.
 * Owns.    struct stage_output owns its tally and its extra members.
 * Fails.   -E_STALE, -E_NOTFOUND (an input whose stage has not run: the
 *          message says which), -E_IO, -E_DAMAGED (a sidecar that cannot be
 *          read).
 * Threads. One per stage_output; distinct outputs are independent.
 */
#ifndef BASE_STAGE_H
#define BASE_STAGE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/corpus.h"
#include "base/json.h"
#include "base/jsonl.h"
#include "base/opt.h"
#include "base/part.h"
#include "base/tally.h"

#define STAGE_NAME_MAX 256 /* bytes of an output's name */
#define SIDECAR_FORMAT 1   /* version of what stage_commit() writes */

/* ---- options every stage has ---- */

struct stage_options {
    const char *corpus;  /* folder */
    struct part part;
    uint64_t threads;    /* 0: one a core */
    bool redo;
};

/* Rows for an option table; `member` is the struct stage_options inside
 * config `type`. */
#define STAGE_OPTION_CORPUS(config, member)                                    \
    {                                                                          \
        .name = "CORPUS", .type = OPT_STRING,                                  \
        .at = offsetof(config, member.corpus), .arg = "CORPUS",                  \
        .help = "The corpus folder.", .flags = OPT_REQUIRED | OPT_POSITIONAL   \
    }
#define STAGE_OPTION_PART(config, member)                                      \
    {                                                                          \
        .name = "part", .type = OPT_PART, .at = offsetof(config, member.part), \
        .arg = "I/N",                                                          \
        .help = "Make only the outputs K with K mod N = I (from 0), for "      \
                "many machines; `auto` asks Slurm's or Kubernetes' "           \
                "variables. Run `witmill merge` when all parts are done."      \
    }
#define STAGE_OPTION_THREADS(config, member)                                   \
    {                                                                          \
        .name = "threads", .type = OPT_U64,                                    \
        .at = offsetof(config, member.threads), .arg = "N", .def = "0",          \
        .help = "Worker threads; 0 means one a core.", .max = 1024             \
    }
#define STAGE_OPTION_REDO(config, member)                                      \
    {                                                                          \
        .name = "redo", .type = OPT_BOOL, .at = offsetof(config, member.redo), \
        .help = "Replace outputs that were made with other options or "        \
                "inputs, instead of stopping."                                 \
    }

/* 0 resolved to the number of cores that this process may use. */
unsigned stage_threads(const struct stage_options *o);

/* ---- inputs ---- */

struct stage_input {
    char *name;      /* relative to the corpus, or as the user gave it */
    const char *key; /* what of name is hashed: all, or behind the last slash of
                        a file from outside, points into it */
    char sha256[SHA256_HEX];
};

struct stage_inputs {
    struct stage_input *v;
    size_t n, cap;
};

void stage_inputs_init(struct stage_inputs *in);
void stage_inputs_release(struct stage_inputs *in);
void stage_inputs_clear(struct stage_inputs *in);

/* A file whose content's sha256 the caller knows. */
void stage_inputs_add(struct stage_inputs *in, const char *name,
                      const char *sha256);

/* What the sidecar of output `name` stands for; one input per file.  maker is
 * the command to run when it is not there, "balance --round 1". */
int stage_inputs_add_output(struct stage_inputs *in, const struct corpus *c,
                            const char *name, const char *maker,
                            struct err *e);

/* Whether output was made from what is there now: -E_STALE when its sidecar
 * lists an input that `now` has with another sha256; what only one of them
 * names is not looked at.  maker: the command that makes output.  Without this
 * a stage would take an output that its own stage would refuse. */
int stage_made_from(const struct corpus *c, const char *output,
                    const char *maker, const struct stage_inputs *now,
                    struct err *e);

/* The same, and now names nothing that output's sidecar does not list. */
int stage_made_from_all(const struct corpus *c, const char *output,
                        const char *maker, const struct stage_inputs *now,
                        struct err *e);

/* A file from outside, hashed here; -E_USAGE for what can be read only once.
 * Of its path only the last name is hashed beside its bytes: ./d.gz is d.gz, the
 * same file by a link or an absolute path is the same, and so it is after
 * corpus and sources have moved, or on a machine that mounts them elsewhere,
 * which realpath() would tell apart.  No output has more of a path in it than
 * the name, but the listings of --against, which show it as it was typed. */
int stage_inputs_add_file(struct stage_inputs *in, const char *path,
                          struct err *e);

/* Add what `from` has, as it has it. */
void stage_inputs_add_all(struct stage_inputs *in,
                          const struct stage_inputs *from);

/* ---- a stage and its outputs ---- */

struct stage {
    const struct corpus *corpus;
    const char *name;     /* "match" */
    unsigned version;     /* of the output's format */
    struct buf options;   /* JSON object of the options that change bytes */
    bool redo;
    bool merge_needed;    /* an output was made in this run */
};

/* table and config: where the options that change bytes are read. */
void stage_init(struct stage *s, const struct corpus *c, const char *name,
                unsigned version, const struct opt_table *table,
                const void *config, bool redo);
void stage_release(struct stage *s);

struct stage_file {
    char name[STAGE_NAME_MAX]; /* relative to the corpus */
    char sha256[SHA256_HEX];   /* of the content (.zst uncompressed) */
};

struct sidecar; /* of an output on disk, see below */

struct stage_output {
    struct stage *stage;
    char name[STAGE_NAME_MAX]; /* "unique/bucket-0003" */
    char fingerprint[SHA256_HEX];
    const struct stage_inputs *inputs; /* borrowed until commit */
    struct stage_file *files;
    size_t n_files, cap_files;
    struct tally counts;  /* "records", "pages"... */
    struct tally drops;   /* by reason */
    struct buf extra;     /* further members, `"name":value` with commas */
    struct json_out more; /* writes into extra */
    uint64_t began_ms;    /* clock_mono_ms at begin */
};

int stage_begin(struct stage *s, struct stage_output *o, const char *name,
                const struct stage_inputs *in, bool *done, struct err *e);
void stage_file(struct stage_output *o, const char *name, const char *sha256);
int stage_commit(struct stage_output *o, struct err *e);
void stage_output_release(struct stage_output *o); /* also after commit */

/* Why the output that old tells of is another one than options and inputs ask
 * for now, to follow "was made": `with --cap 6, now 7`. */
void stage_changes(const struct sidecar *old, struct str options,
                   const struct stage_inputs *now, struct buf *out);

/* Path of one of o's files: corpus/NAME + suffix; its folder is made. */
int stage_path(const struct stage_output *o, const char *suffix, char *out,
               struct err *e);

/* Outputs folder/PREFIXnnnnn, nnnnn >= n, that an earlier run with more inputs
 * left: -E_STALE, or with --redo they are removed (sidecar first). */
int stage_prune(struct stage *s, const char *folder, const char *prefix,
                uint64_t n, struct err *e);

/* The same for outputs that keep, in bytewise order, does not name: where
 * numbers have gaps. */
int stage_prune_others(struct stage *s, const char *folder,
                       const struct io_list *keep, struct err *e);

/* Remove folder with all outputs in it, the sidecars first; fine when there is
 * none. */
int stage_drop_folder(const struct corpus *c, const char *folder,
                      struct err *e);

/* ---- reading sidecars ---- */

struct sidecar {
    struct buf bytes; /* the JSON text */
    char stage[32];
    char fingerprint[SHA256_HEX];
    struct stage_file *files;
    size_t n_files;
    struct tally counts;
    struct tally drops;
    struct str options; /* raw JSON object, points into bytes */
    struct str inputs;  /* likewise: name to sha256 */
    struct str extra;   /* raw JSON object of the further members */
};

/* -E_NOTFOUND when there is none, -E_VERSION for another format's. */
int sidecar_read(struct sidecar *s, const struct corpus *c, const char *name,
                 struct err *e);
void sidecar_release(struct sidecar *s);

/* Open NAME.jsonl.zst of a finished output; its end is -E_DAMAGED when it has
 * not as many lines as the sidecar counted `records`. */
int sidecar_open(struct jsonl_reader *r, const struct corpus *c,
                 const char *name, struct err *e);

/* Add output `name`'s counts and drops to the caller's: what was counted when a
 * finished output was made. */
int sidecar_add_tallies(const struct corpus *c, const char *name,
                        struct tally *counts, struct tally *drops,
                        struct err *e);

/* Names of done outputs in folder, without .meta.json, bytewise order; none
 * when the folder is absent. */
int sidecar_list(const struct corpus *c, const char *folder,
                 struct io_list *names, struct err *e);

/* A number among the further members; *value stays when it is not there. */
int sidecar_extra_u64(const struct sidecar *s, const char *name,
                      uint64_t *value, struct err *e);

#endif
