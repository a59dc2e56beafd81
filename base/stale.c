/* Why an output on disk is not the one that is asked for, in words. */
#include "base/stage.h"

#include <string.h>

#define SHOWN_MAX   3         /* options named; the rest is "..." */
#define VALUE_MAX   80        /* bytes of a value shown */
#define NAME_MEMORY (1 << 24) /* bytes of names with escapes */

/* The member's own bytes; none when object has no such member. */
static struct str member_of(struct str object, struct str name)
{
    struct str key, v, found = STR_NONE;
    struct arena arena;
    struct json j;

    arena_init(&arena, NAME_MEMORY);
    json_open(&j, object, &arena);
    json_object(&j);
    while (json_member(&j, &key)) {
        v = json_raw(&j);
        if (str_eq(key, name))
            found = v;
    }
    arena_release(&arena);
    return found;
}

static void add_value(struct buf *out, struct str v)
{
    buf_add(out, str_slice(v, 0, VALUE_MAX));
    if (v.n > VALUE_MAX)
        buf_add(out, STR("..."));
}

static unsigned options_changed(struct str then, struct str now,
                                struct buf *out)
{
    unsigned n = 0;
    struct str name;
    struct json j;

    json_open(&j, now, NULL); /* our own: no escapes in names */
    json_object(&j);
    while (json_member(&j, &name)) {
        struct str a = member_of(then, name), b = json_raw(&j);

        if (str_eq(a, b))
            continue;
        if (n < SHOWN_MAX) {
            buf_addf(out, "%s--%.*s ", n ? ", " : "with ", STR_ARG(name));
            add_value(out, a.n ? a : STR("unknown"));
            buf_add(out, STR(", now "));
            add_value(out, b);
        } else if (n == SHOWN_MAX) {
            buf_add(out, STR(", and more"));
        }
        n++;
    }
    return n;
}

/* Is it the name that old has, or, of a file from outside, another path to its
 * last name? */
static bool same_name(struct str old, const struct stage_input *now)
{
    size_t from = old.n;

    while (from > 0 && old.p[from - 1] != '/')
        from--;
    return str_eq(old, str_of(now->name)) ||
           str_eq(str_slice(old, from, old.n), str_of(now->key));
}

/* Did old have it, of whatever bytes? */
static bool was_given(const struct sidecar *old, const struct stage_input *now)
{
    bool found = false;
    struct arena arena;
    struct str name;
    struct json j;

    arena_init(&arena, NAME_MEMORY);
    json_open(&j, old->inputs, &arena);
    json_object(&j);
    for (; !found && json_member(&j, &name); json_skip(&j))
        found = same_name(name, now);
    arena_release(&arena);
    return found;
}

static bool is_given(struct str old, const struct stage_inputs *now)
{
    for (size_t i = 0; i < now->n; i++)
        if (same_name(old, &now->v[i]))
            return true;
    return false;
}

/* The first place where the two lists part, in words; false when there is
 * none.  What follows there may have moved alone, for one that was put in or
 * left out. */
static bool inputs_changed(const struct sidecar *old,
                           const struct stage_inputs *now, struct buf *out)
{
    const struct stage_input *at = NULL; /* where they part; NULL: the end */
    struct str name = STR_NONE;          /* there, of old; none: its end */
    struct arena arena;
    struct json j;
    bool more = true, gone, added;

    arena_init(&arena, NAME_MEMORY);
    json_open(&j, old->inputs, &arena);
    json_object(&j);
    for (size_t i = 0; more && !at && i < now->n; i++) {
        more = json_member(&j, &name);
        if (!more || !same_name(name, &now->v[i]) ||
            !str_eq(json_string(&j), str_of(now->v[i].sha256)))
            at = &now->v[i];
    }
    if (!at)
        more = json_member(&j, &name);
    gone = more && (!at || !is_given(name, now));
    added = at && !was_given(old, at);
    if (gone && !added)
        buf_addf(out, "from %.*s too, which is not given now", STR_ARG(name));
    else if (at)
        buf_addf(out, added && !gone ? "without %s" : "from another %s",
                 strcmp(at->name, "-") ? at->name : "standard input");
    arena_release(&arena);
    return at || more;
}

void stage_changes(const struct sidecar *old, struct str options,
                   const struct stage_inputs *now, struct buf *out)
{
    if (!options_changed(old->options, options, out) &&
        !inputs_changed(old, now, out))
        buf_add(out, STR("under another seed, or by another version"));
}
