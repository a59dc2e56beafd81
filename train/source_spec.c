/* What --data may say: weights behind @, ranges in braces. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "train/source.h"

#define RANGE_DIGITS 18                  /* of a number in braces */
#define NAMES_MAX    ((size_t)256 << 20) /* bytes of all names */

int source_spec_read(struct str spec, struct source_spec *out, struct err *e)
{
    size_t at = spec.n;
    double weight;

    *out = (struct source_spec){spec, 1};
    if (!spec.n || memchr(spec.p, 0, spec.n))
        return err_set(e, E_USAGE, "data: an empty name");
    while (at && spec.p[at - 1] != '@')
        at--;
    if (!at || str_double(str_slice(spec, at, spec.n), &weight))
        return 0;
    out->path = str_slice(spec, 0, at - 1);
    out->weight = weight;
    if (!out->path.n)
        return err_set(e, E_USAGE, "data %.*s: no name before the weight",
                       STR_ARG(spec));
    if (!(weight >= 1 / SOURCE_WEIGHT_MAX && weight <= SOURCE_WEIGHT_MAX))
        return err_set(e, E_USAGE, "data %.*s: the weight is outside %g to %g",
                       STR_ARG(spec), 1 / SOURCE_WEIGHT_MAX, SOURCE_WEIGHT_MAX);
    return 0;
}

/* Names so far, to each of which every alternative of a brace is added. */
struct names {
    char **v;
    size_t n, cap;
    size_t bytes;
};

static void drop(struct names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
    *l = (struct names){0};
}

static int add(struct names *l, const char *head, struct str tail,
               struct err *e)
{
    size_t n = strlen(head);
    char *name;

    if (l->n == SOURCE_SHARDS_MAX || l->bytes > NAMES_MAX)
        return err_set(e, E_TOOBIG,
                       "data: more than %zu names, or %zu bytes of them",
                       SOURCE_SHARDS_MAX, NAMES_MAX);
    if (n + tail.n >= IO_PATH_MAX)
        return err_set(e, E_TOOBIG, "data: a name of %zu bytes", n + tail.n);
    name = xmalloc(n + tail.n + 1);
    memcpy(name, head, n);
    memcpy(name + n, tail.p, tail.n);
    name[n + tail.n] = 0;
    l->bytes += n + tail.n + 1;
    l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = name;
    return 0;
}

/* FIRST..LAST, of digits alone; a leading zero keeps the width. */
static bool is_range(struct str inside, uint64_t *first, uint64_t *last,
                     int *width)
{
    size_t dots = str_find(inside, STR(".."), 0);
    struct str a, b;

    if (dots == SIZE_MAX)
        return false;
    a = str_slice(inside, 0, dots);
    b = str_slice(inside, dots + 2, inside.n);
    if (a.n > RANGE_DIGITS || b.n > RANGE_DIGITS || str_u64(a, first) ||
        str_u64(b, last))
        return false;
    *width = 0;
    if ((a.n > 1 && a.p[0] == '0') || (b.n > 1 && b.p[0] == '0'))
        *width = (int)(a.n > b.n ? a.n : b.n);
    return true;
}

static int add_range(struct names *to, const char *head, uint64_t first,
                     uint64_t last, int width, struct err *e)
{
    char digits[32];
    uint64_t i = first;
    int rc;

    do {
        int n = snprintf(digits, sizeof digits, "%0*llu", width,
                         (unsigned long long)i);

        rc = add(to, head, str_make(digits, (size_t)n), e);
        if (i == last)
            break;
        i += first < last ? 1u : UINT64_MAX; /* up or down by one */
    } while (!rc);
    return rc;
}

static int add_alternatives(struct names *to, const char *head,
                            struct str inside, struct err *e)
{
    uint64_t first, last;
    struct str one;
    int width, rc = 0;

    if (is_range(inside, &first, &last, &width))
        return add_range(to, head, first, last, width, e);
    while (!rc && str_split(&inside, ',', &one))
        rc = add(to, head, one, e);
    return rc;
}

/* Every name so far, with the brace's alternatives or a plain piece behind. */
static int extend(struct names *l, struct str piece, bool brace, struct err *e)
{
    struct names next = {0};
    int rc = 0;

    for (size_t i = 0; !rc && i < l->n; i++)
        rc = brace ? add_alternatives(&next, l->v[i], piece, e)
                   : add(&next, l->v[i], piece, e);
    drop(l);
    *l = next;
    return rc;
}

static int expand(struct names *l, struct str name, struct err *e)
{
    size_t at = 0;
    int rc = 0;

    while (!rc && at < name.n) {
        size_t open = str_find_char(name, '{', at), close, inner;

        if (open == SIZE_MAX)
            return extend(l, str_slice(name, at, name.n), false, e);
        close = str_find_char(name, '}', open);
        inner = str_find_char(name, '{', open + 1);
        if (close == SIZE_MAX || inner < close)
            return err_set(e, E_USAGE,
                           "data %.*s: a brace that is not closed, or one "
                           "inside another",
                           STR_ARG(name));
        rc = extend(l, str_slice(name, at, open), false, e);
        if (!rc)
            rc = extend(l, str_slice(name, open + 1, close), true, e);
        at = close + 1;
    }
    return rc;
}

int source_expand(struct str name, char ***names, size_t *n, struct err *e)
{
    struct names l = {0};
    int rc = add(&l, "", STR(""), e);

    if (!rc)
        rc = expand(&l, name, e);
    if (rc)
        drop(&l);
    *names = l.v;
    *n = l.n;
    return rc;
}
