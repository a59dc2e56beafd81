#include "base/opt.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/part.h"

#define OPT_STRINGS_MAX ((size_t)16 << 20) /* bytes of values in one run */

static void *field(const struct opt_set *s, const struct opt *o)
{
    return (char *)s->config + o->at;
}

static int bad(const struct opt *o, struct str value, const char *expected,
               struct err *e)
{
    return err_set(e, E_USAGE, "%s%s: \"%.*s\" is not %s",
                   o->flags & OPT_POSITIONAL ? "" : "--", o->name,
                   STR_ARG(value), expected);
}

static int in_range(const struct opt *o, double v, struct str value,
                    struct err *e)
{
    if (v < o->min || (o->max != 0 && v > o->max))
        return err_set(e, E_USAGE, "--%s: %.*s is outside %.15g to %.15g",
                       o->name, STR_ARG(value), o->min,
                       o->max != 0 ? o->max : INFINITY);
    return 0;
}

/* Decimal digits with single underscores between them. */
static int read_u64(struct str s, uint64_t *v)
{
    char text[32];
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '_' && i > 0 && i + 1 < s.n && s.p[i - 1] != '_')
            continue;
        if (n == sizeof text)
            return -E_RANGE;
        text[n++] = s.p[i];
    }
    return str_u64(str_make(text, n), v);
}

/* 1024s by their letters, upper or lower case, alone or before iB. */
static int read_size(struct str s, uint64_t *v)
{
    static const char units[] = "kmgt";
    size_t n = s.n;
    const char *unit;
    unsigned shift = 0;
    int rc;

    if (n > 3 && str_ieq(str_slice(s, n - 2, n), STR("iB")))
        n -= 2;
    unit = n ? strchr(units, str_lower_char(s.p[n - 1])) : NULL;
    if (unit && *unit) {
        shift = 10 * (unsigned)(unit - units + 1);
        n--;
    } else if (n < s.n) {
        return -E_FORMAT; /* 5iB */
    }
    rc = read_u64(str_slice(s, 0, n), v);
    if (rc)
        return rc;
    if (*v > UINT64_MAX >> shift)
        return -E_RANGE;
    *v <<= shift;
    return 0;
}

static int read_bool(struct str s, bool *v)
{
    if (str_eq(s, STR("yes")) || str_eq(s, STR("true")) || str_eq(s, STR("1")))
        *v = true;
    else if (str_eq(s, STR("no")) || str_eq(s, STR("false")) ||
             str_eq(s, STR("0")))
        *v = false;
    else
        return -E_FORMAT;
    return 0;
}

static int read_choice(const struct opt *o, struct str value, int *v,
                       struct err *e)
{
    char all[256] = "one of";

    for (int i = 0; o->choices[i]; i++) {
        size_t n = strlen(all);

        if (str_eq(value, str_of(o->choices[i]))) {
            *v = i;
            return 0;
        }
        snprintf(all + n, sizeof all - n, "%s %s", i ? "," : "", o->choices[i]);
    }
    return bad(o, value, all, e);
}

static int append(struct opt_set *s, struct opt_list *l, struct str value,
                  struct err *e)
{
    const char **v = arena_alloc(&s->arena, (l->n + 1) * sizeof *v);
    struct str copy = arena_str(&s->arena, value);

    if (!v || !copy.p)
        return err_set(e, E_USAGE, "too many options");
    if (l->n)
        memcpy(v, l->v, l->n * sizeof *v);
    v[l->n] = copy.p;
    *l = (struct opt_list){v, l->n + 1};
    return 0;
}

static int set_value(struct opt_set *s, const struct opt *o, struct str value,
                     struct err *e)
{
    void *to = field(s, o);
    struct str copy;
    double d;
    int rc;

    if (memchr(value.p ? value.p : "", 0, value.n))
        return bad(o, value, "without NUL bytes", e);
    switch (o->type) {
    case OPT_BOOL:
        return read_bool(value, to) ? bad(o, value, "yes or no", e) : 0;
    case OPT_U64:
        if (read_u64(value, to))
            return bad(o, value, "a whole number from 0", e);
        return in_range(o, (double)*(uint64_t *)to, value, e);
    case OPT_SIZE:
        if (read_size(value, to))
            return bad(o, value,
                       "a size: bytes, or a number with K, M, G or T (1024s)",
                       e);
        return in_range(o, (double)*(uint64_t *)to, value, e);
    case OPT_DOUBLE:
        rc = str_double(value, &d);
        if (rc)
            return bad(o, value, "a number", e);
        *(double *)to = d;
        return in_range(o, d, value, e);
    case OPT_STRING:
        copy = arena_str(&s->arena, value);
        if (!copy.p)
            return err_set(e, E_USAGE, "too many options");
        *(const char **)to = copy.p;
        return 0;
    case OPT_LIST:
        return append(s, to, value, e);
    case OPT_CHOICE:
        return read_choice(o, value, to, e);
    case OPT_PART:
        return part_parse(value, to, e);
    }
    return 0;
}

void opt_init(struct opt_set *s, const struct opt_table *t, void *config)
{
    struct err e = ERR_INIT;

    *s = (struct opt_set){.table = t, .config = config};
    arena_init(&s->arena, OPT_STRINGS_MAX);
    s->given = xcalloc(t->n, sizeof *s->given);
    memset(config, 0, t->config_size);
    for (size_t i = 0; i < t->n; i++)
        if (t->rows[i].def &&
            set_value(s, &t->rows[i], str_of(t->rows[i].def), &e)) {
            /* A wrong table is our bug, and every start shows it. */
            fprintf(stderr, "%s\n", e.message);
            abort();
        }
}

void opt_release(struct opt_set *s)
{
    free(s->given);
    arena_release(&s->arena);
    *s = (struct opt_set){0};
}

static const struct opt *find(const struct opt_set *s, struct str name)
{
    for (size_t i = 0; i < s->table->n; i++)
        if (str_eq(name, str_of(s->table->rows[i].name)) &&
            !(s->table->rows[i].flags & OPT_POSITIONAL))
            return &s->table->rows[i];
    return NULL;
}

static int set_given(struct opt_set *s, const struct opt *o, struct str value,
                     struct err *e)
{
    bool *given = &s->given[o - s->table->rows];

    if (o->type == OPT_LIST && !*given)
        *(struct opt_list *)field(s, o) = (struct opt_list){NULL, 0};
    *given = true;
    return set_value(s, o, value, e);
}

static int positional(struct opt_set *s, struct str value, struct err *e)
{
    for (size_t i = 0; i < s->table->n; i++) {
        const struct opt *o = &s->table->rows[i];

        if (o->flags & OPT_POSITIONAL && (!s->given[i] || o->type == OPT_LIST))
            return set_given(s, o, value, e);
    }
    return err_set(e, E_USAGE, "what is \"%.*s\"? usage: witmill %s %s",
                   STR_ARG(value), s->table->command, s->table->synopsis);
}

/* One --option; *used says how many arguments it took. */
static int named(struct opt_set *s, struct str arg, const char *next, int *used,
                 struct err *e)
{
    size_t eq = str_find_char(arg, '=', 0);
    struct str name = str_slice(arg, 2, eq == SIZE_MAX ? arg.n : eq);
    const struct opt *o = find(s, name);

    *used = 1;
    if (!o && eq == SIZE_MAX && str_starts(name, STR("no-"))) {
        o = find(s, str_slice(name, 3, name.n));
        if (o && o->type == OPT_BOOL)
            return set_given(s, o, STR("no"), e);
        o = NULL;
    }
    if (!o)
        return err_set(e, E_USAGE, "no option --%.*s; see witmill %s --help",
                       STR_ARG(name), s->table->command);
    if (eq != SIZE_MAX)
        return set_given(s, o, str_slice(arg, eq + 1, arg.n), e);
    if (o->type == OPT_BOOL)
        return set_given(s, o, STR("yes"), e);
    if (!next)
        return err_set(e, E_USAGE, "--%s wants a value: %s", o->name,
                       o->arg ? o->arg : "VALUE");
    *used = 2;
    return set_given(s, o, str_of(next), e);
}

int opt_argv(struct opt_set *s, int argc, char *const *argv, struct err *e)
{
    bool names = true;

    for (int i = 0, used; i < argc; i += used) {
        struct str arg = str_of(argv[i]);
        int rc;

        used = 1;
        if (names && str_eq(arg, STR("--"))) {
            names = false;
            continue;
        }
        if (names && (str_eq(arg, STR("--help")) || str_eq(arg, STR("-h")))) {
            s->want_help = true;
            return 0;
        }
        rc = names && str_starts(arg, STR("--"))
                 ? named(s, arg, i + 1 < argc ? argv[i + 1] : NULL, &used, e)
                 : positional(s, arg, e);
        if (rc)
            return rc;
    }
    return 0;
}

/* A value as an INI section has it: that of a list is words. */
static int set_words(struct opt_set *s, const struct opt *o, struct str value,
                     struct err *e)
{
    struct str word;

    if (o->type != OPT_LIST)
        return set_given(s, o, value, e);
    while (str_split(&value, ' ', &word)) {
        int rc = word.n ? set_given(s, o, word, e) : 0;

        if (rc)
            return rc;
    }
    return 0;
}

int opt_put(struct opt_set *s, struct str name, struct str value, struct err *e)
{
    const struct opt *o = find(s, name);

    if (!o)
        return err_set(e, E_USAGE,
                       "unknown key \"%.*s\"; `witmill %s --help` "
                       "lists them",
                       STR_ARG(name), s->table->command);
    return set_words(s, o, value, e);
}

/* What the choice of o stands for, but for options that were given. */
static int apply_presets(struct opt_set *s, const struct opt *o, struct err *e)
{
    const char *chosen = o->choices[*(const int *)field(s, o)];
    int rc = 0;

    for (const struct opt_preset *p = o->presets; !rc && p->choice; p++) {
        const struct opt *other = find(s, str_of(p->name));

        assert(other); /* a wrong table; tests apply every choice */
        if (strcmp(p->choice, chosen) || s->given[other - s->table->rows])
            continue;
        if (other->type == OPT_LIST)
            *(struct opt_list *)field(s, other) = (struct opt_list){NULL, 0};
        rc = set_words(s, other, str_of(p->value), e);
        s->given[other - s->table->rows] = false; /* nobody typed it */
    }
    return rc;
}

int opt_finish(struct opt_set *s, struct err *e)
{
    for (size_t i = 0; i < s->table->n; i++) {
        const struct opt *o = &s->table->rows[i];

        if (o->flags & OPT_REQUIRED && !s->given[i])
            return err_set(e, E_USAGE, "%s%s is missing; usage: witmill %s %s",
                           o->flags & OPT_POSITIONAL ? "" : "--", o->name,
                           s->table->command, s->table->synopsis);
        /* CORPUS "" would be the root folder. */
        if (o->flags & OPT_REQUIRED && o->type == OPT_STRING &&
            !**(const char **)field(s, o))
            return err_set(e, E_USAGE, "%s%s is empty; usage: witmill %s %s",
                           o->flags & OPT_POSITIONAL ? "" : "--", o->name,
                           s->table->command, s->table->synopsis);
    }
    for (size_t i = 0; i < s->table->n; i++) {
        int rc = s->table->rows[i].presets
                     ? apply_presets(s, &s->table->rows[i], e)
                     : 0;

        if (rc)
            return rc;
    }
    return 0;
}

void opt_json(const struct opt_table *t, const void *config, struct buf *out)
{
    struct json_out j;

    json_out_init(&j, out);
    json_out_object(&j);
    for (size_t i = 0; i < t->n; i++) {
        const struct opt *o = &t->rows[i];
        const void *from = (const char *)config + o->at;
        const struct opt_list *l = from;

        if (!(o->flags & OPT_BYTES))
            continue;
        json_out_name(&j, o->name);
        switch (o->type) {
        case OPT_BOOL:
            json_out_bool(&j, *(const bool *)from);
            break;
        case OPT_U64:
        case OPT_SIZE:
            json_out_u64(&j, *(const uint64_t *)from);
            break;
        case OPT_DOUBLE:
            json_out_double(&j, *(const double *)from);
            break;
        case OPT_STRING:
            if (*(const char *const *)from)
                json_out_string(&j, str_of(*(const char *const *)from));
            else
                json_out_null(&j);
            break;
        case OPT_LIST:
            json_out_array(&j);
            for (size_t k = 0; k < l->n; k++)
                json_out_string(&j, str_of(l->v[k]));
            json_out_end_array(&j);
            break;
        case OPT_CHOICE:
            json_out_string(&j, str_of(o->choices[*(const int *)from]));
            break;
        case OPT_PART:
            json_out_null(&j); /* never in a fingerprint */
            break;
        }
    }
    json_out_end_object(&j);
}
