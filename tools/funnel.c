#include "tools/funnel.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "catalog/ask.h"

/*
 * The steps.  Several stages, or counts of one, may feed a step: a crawl and a
 * saved site both give pages.  scope: what its parts' scope begins with; split:
 * a row for each scope, numbered by what follows.
 */
static const struct step {
    const char *label, *stages, *scope, *count, *what;
    bool split;
} steps[] = {
    {"pages", "crawl import", "", "pages", "fetched or read from disk", false},
    {"pairs", "crawl import", "pairs/", "records",
     "a text and the picture it speaks of", false},
    {"matched", "match", "matched/", "records",
     "pairs whose text contains a query", false},
    {"unique", "gather", "unique", "records", "distinct pairs", false},
    {"selected, round", "balance", "selected/round-", "records",
     "pairs that a query picked", true},
    {"asked, pass", "download", "images/", "urls", "URLs that were asked",
     true},
    {"images, pass", "download", "images/", "images",
     "pictures fetched and sound", true},
    {"survivors", "dedup", "survivors", "rows",
     "pictures that are no duplicate", false},
    {"samples", "pack", "shards", "samples", "pictures in shards", false},
};
#define STEPS (sizeof steps / sizeof *steps)

static const char *const chain[] = {"queries",  "crawl",  "import",
                                    "match",    "gather", "balance",
                                    "download", "dedup",  "pack"};
#define CHAIN (sizeof chain / sizeof *chain)

struct reading {
    struct funnel *f;
    size_t step;
};

static bool in_words(const char *words, struct str word)
{
    struct str rest = str_of(words), one;

    while (str_split(&rest, ' ', &one))
        if (str_eq(one, word))
            return true;
    return false;
}

static struct funnel_row *row_for(struct funnel *f, const char *label)
{
    struct funnel_row *row = &f->rows[f->n];

    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(f->rows[i].label, label))
            return &f->rows[i];
    if (f->n == FUNNEL_MAX)
        return NULL;
    f->n++;
    *row = (struct funnel_row){.n = 0};
    snprintf(row->label, sizeof row->label, "%s", label);
    return row;
}

static int note_count(void *ctx, const struct ask_total *t, struct err *e)
{
    struct reading *r = ctx;
    const struct step *s = &steps[r->step];
    struct funnel_row *row;
    uint64_t number = 0;
    bool counted;
    char label[48];

    (void)e;
    if (!in_words(s->stages, t->stage) ||
        !(s->split || str_ends(str_of(s->scope), STR("/")) || !*s->scope
              ? str_starts(t->scope, str_of(s->scope))
              : str_eq(t->scope, str_of(s->scope))))
        return 0;
    /* Nothing is counted as 0: that a step gave nothing shows by what else its
     * stage counted.  Lists have no pages, which is no step that failed. */
    counted = str_eq(t->name, str_of(s->count));
    if (!counted && !*s->scope)
        return 0;
    if (s->split &&
        str_u64(str_slice(t->scope, strlen(s->scope), t->scope.n), &number))
        return 0;
    if (s->split)
        snprintf(label, sizeof label, "%s %llu", s->label,
                 (unsigned long long)number);
    else
        snprintf(label, sizeof label, "%s", s->label);
    row = row_for(r->f, label);
    if (!row)
        return 0;
    snprintf(row->stage, sizeof row->stage, "%.*s", STR_ARG(t->stage));
    snprintf(row->what, sizeof row->what, "%s", s->what);
    row->n += counted ? t->n : 0;
    return 0;
}

static size_t place(const char *stage)
{
    for (size_t i = 0; i < CHAIN; i++)
        if (!strcmp(chain[i], stage))
            return i;
    return CHAIN;
}

static int note_drop(void *ctx, const struct ask_total *t, struct err *e)
{
    struct funnel *f = ctx;
    struct funnel_drop *d;
    size_t of_stage = 0;

    (void)e;
    for (size_t i = 0; i < f->n_drops; i++)
        of_stage += str_eq(str_of(f->drops[i].stage), t->stage);
    if (t->n == 0 || of_stage == FUNNEL_REASONS)
        return 0; /* rows come with the largest first */
    f->drops = xgrow(f->drops, &f->cap_drops, f->n_drops + 1, sizeof *f->drops);
    d = &f->drops[f->n_drops++];
    snprintf(d->stage, sizeof d->stage, "%.*s", STR_ARG(t->stage));
    snprintf(d->reason, sizeof d->reason, "%.*s", STR_ARG(t->name));
    d->n = t->n;
    return 0;
}

static int by_chain(const void *a, const void *b)
{
    const struct funnel_drop *x = a, *y = b;
    size_t px = place(x->stage), py = place(y->stage);

    if (px != py)
        return px < py ? -1 : 1;
    if (x->n != y->n)
        return x->n > y->n ? -1 : 1;
    return strcmp(x->reason, y->reason);
}

int funnel_read(struct funnel *f, struct catalog *c, struct err *e)
{
    struct reading r = {.f = f};
    int rc = 0;

    *f = (struct funnel){.n = 0};
    for (; r.step < STEPS && !rc; r.step++)
        rc = ask_counts(c, note_count, &r, e);
    if (!rc)
        rc = ask_drops(c, note_drop, f, e);
    if (f->n_drops)
        qsort(f->drops, f->n_drops, sizeof *f->drops, by_chain);
    if (rc)
        funnel_release(f);
    return rc;
}

void funnel_release(struct funnel *f)
{
    free(f->drops);
    f->drops = NULL;
    f->n_drops = f->cap_drops = 0;
}

const struct funnel_row *funnel_find(const struct funnel *f, const char *label)
{
    for (size_t i = 0; i < f->n; i++)
        if (!strcmp(f->rows[i].label, label))
            return &f->rows[i];
    return NULL;
}
