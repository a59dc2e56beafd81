/*
 * opt - one table of options makes the parser, --help, the page in docs/, the
 * shell completion, the INI section and the part of the fingerprint.
 *
 * Model.   A command has a config struct and a table whose rows point into it
 *          by offset.  opt_init() writes the defaults; opt_argv() and opt_put()
 *          (one `name = value` of an INI section) overwrite; opt_finish()
 *          sets what a choice's presets say of options that were not given,
 *          and checks what must be there.  Code behind it never sees argv.
 *          A choice with presets needs no OPT_BYTES: what it sets has them, so
 *          that a preset and the same options spelled out are one fingerprint.
 * Owns.    Strings and lists in the config belong to the opt_set and live
 *          until opt_release().
 * Fails.   -E_USAGE with the option, the value and what was expected.
 * Threads. One at a time; tables are constant.
 */
#ifndef BASE_OPT_H
#define BASE_OPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

enum opt_type {
    OPT_BOOL,   /* bool: --name, --no-name; INI yes/no/true/false/1/0 */
    OPT_U64,    /* uint64_t: decimal, _ allowed between digits */
    OPT_SIZE,   /* uint64_t bytes: decimal, with k, m, g or t, either case,
                   alone or before iB (1024s) */
    OPT_DOUBLE, /* double */
    OPT_STRING, /* const char *, NULL when not given and no default */
    OPT_LIST,   /* struct opt_list; each use appends, INI splits at spaces */
    OPT_CHOICE, /* int: index into choices */
    OPT_PART    /* struct part: i/n or auto (base/part.h) */
};

enum opt_flags {
    OPT_BYTES = 1,      /* changes the bytes of outputs: in the fingerprint */
    OPT_REQUIRED = 2,   /* must be given */
    OPT_POSITIONAL = 4, /* in order, without a name; a LIST takes the rest */
    OPT_HIDDEN = 8      /* for tests; not in --help */
};

struct opt_list {
    const char **v;
    size_t n;
};

/* What a choice stands for: a value of another option, as an INI file would
 * say it.  A list's value of "" is no value at all. */
struct opt_preset {
    const char *choice; /* of the option that has the presets */
    const char *name;   /* another option of the table */
    const char *value;
};

struct opt {
    const char *name; /* long name without --, lower case with hyphens */
    enum opt_type type;
    size_t at;        /* offsetof in the config struct */
    const char *arg;  /* placeholder in help: N, DIR, FILE... */
    const char *def;  /* default as it would be typed; NULL: none */
    const char *help; /* one or more sentences, wrapped by the printer;
                         of a bool that is yes by default, what --no-name
                         does, as that is what help shows */
    unsigned flags;   /* enum opt_flags */
    double min, max;  /* for numbers; a max of 0 is none */
    const char *const *choices;       /* NULL-terminated, for OPT_CHOICE */
    const struct opt_preset *presets; /* of a CHOICE: up to a NULL choice */
};

struct opt_table {
    const char *command;  /* "match" */
    const char *synopsis; /* "CORPUS [options]" */
    const char *summary;  /* one line */
    const char *details;  /* paragraphs, blank line between; may be NULL */
    const char *examples; /* ready lines, each "witmill ..." or "# why" */
    const struct opt *rows;
    size_t n;
    size_t config_size; /* bytes of the config struct */
};

struct opt_set {
    const struct opt_table *table;
    void *config;
    bool *given;    /* per row: set by argv or INI */
    bool want_help; /* --help was among the arguments */
    struct arena arena;
};

void opt_init(struct opt_set *s, const struct opt_table *t, void *config);
void opt_release(struct opt_set *s);

/* argv[0] is the first argument, not the program. */
int opt_argv(struct opt_set *s, int argc, char *const *argv, struct err *e);

/* One name = value, as in an INI section. */
int opt_put(struct opt_set *s, struct str name, struct str value,
            struct err *e);

int opt_finish(struct opt_set *s, struct err *e);

/* Options that change bytes, as one JSON object in table order. */
void opt_json(const struct opt_table *t, const void *config, struct buf *out);

void opt_help(const struct opt_table *t, struct buf *out);
void opt_markdown(const struct opt_table *t, struct buf *out);

/* "--name" words, a space between, for completion scripts. */
void opt_words(const struct opt_table *t, struct buf *out);

/*
 * INI: `[section]`, `name = value`, `#` or `;` comments on lines of their own.
 * fn gets every section when it begins, with an empty name, and every pair;
 * its error is put behind "FILE:LINE: ".
 */
typedef int (*opt_ini_fn)(void *ctx, struct str section, struct str name,
                          struct str value, struct err *e);
int opt_ini(const char *path, opt_ini_fn fn, void *ctx, struct err *e);

#endif
