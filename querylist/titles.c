#include "querylist/titles.h"

#include <stdbool.h>
#include <stdlib.h>

#include "base/mem.h"
#include "querylist/keycount.h"
#include "querylist/keytab.h"
#include "querylist/pageviews.h"
#include "querylist/title.h"

const char *const titles_redirects_names[] = {"own", "target", "both", NULL};

struct ranked {
    struct str text; /* owned */
    uint64_t views;
};

struct titles {
    struct titles_config c;
    struct pageviews_project project;
    struct pageviews reader;
    struct title_form form, form_of_target;
    struct keytab hours;         /* of this period: title and slot */
    struct keycount *more_hours; /* what they left to the disk, or NULL */
    struct keycount *sums;       /* by title */
    struct ranked *best;         /* a heap, the worst of them first */
    size_t n_best, cap_best;
    struct titles_stats stats;
    struct tally *drops;
};

int titles_open(struct titles **to, const struct titles_config *c,
                struct err *e)
{
    struct titles *t = xcalloc(1, sizeof *t);
    int rc;

    *to = NULL;
    t->c = *c;
    title_form_init(&t->form);
    title_form_init(&t->form_of_target);
    keytab_init(&t->hours, c->memory / 4 < KEYTAB_MIN ? KEYTAB_MIN
                                                      : (size_t)c->memory / 4);
    rc = pageviews_project(&t->project, c->project, e);
    if (!rc)
        rc = keycount_open(&t->sums, c->memory / 4, c->folder, e);
    if (rc)
        titles_close(t);
    else
        *to = t;
    return rc;
}

void titles_close(struct titles *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_best; i++)
        free((char *)t->best[i].text.p);
    free(t->best);
    keycount_close(t->sums);
    keycount_close(t->more_hours);
    keytab_release(&t->hours);
    title_form_release(&t->form);
    title_form_release(&t->form_of_target);
    free(t);
}

/* ---- the hours of a period ---- */

/* Make room by handing all hours on to what can spill. */
static int hand_on(struct titles *t, struct err *e)
{
    char text[KEYTAB_KEY_MAX];
    int rc = 0;

    if (!t->more_hours)
        rc = keycount_open(&t->more_hours, t->c.memory / 4, t->c.folder, e);
    keytab_sort(&t->hours);
    for (uint32_t i = 0; !rc && i < t->hours.n; i++) {
        const struct keytab_slot *s = keytab_at(&t->hours, i);

        rc = keycount_add(t->more_hours, keytab_text(&t->hours, s, text), s->n,
                          e);
    }
    keytab_reset(&t->hours);
    return rc;
}

/* title: with room for a byte behind it, which says the slot. */
static int add_slots(struct titles *t, char *title, size_t n,
                     const struct pageviews_slot *slots, size_t n_slots,
                     struct err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < n_slots; i++) {
        struct str key = str_make(title, n + 1);
        uint32_t id;

        if (!slots[i].views)
            continue;
        title[n] = (char)slots[i].at;
        rc = keytab_add(&t->hours, key, slots[i].views, &id);
        if (rc == -E_TOOBIG) {
            rc = hand_on(t, e);
            if (rc)
                return rc;
            rc = keytab_add(&t->hours, key, slots[i].views, &id);
        }
        if (rc)
            rc = err_set(e, -rc, "views of %.*s", (int)n, title);
    }
    return rc;
}

static int add_title(struct titles *t, struct str title,
                     const struct pageviews_slot *slots, size_t n_slots,
                     struct err *e)
{
    char key[TITLE_MAX + 2];

    memcpy(key, title.p, title.n);
    return add_slots(t, key, title.n, slots, n_slots, e);
}

static void refuse(struct titles *t, enum title_fault why)
{
    static const char *const names[] = {
#define X(name, text) "views-" text,
        TITLE_FAULT_MAP(X)
#undef X
    };

    tally_add(t->drops, names[why], 1);
}

static int add_line(void *ctx, struct str raw,
                    const struct pageviews_slot *slots, size_t n, struct err *e)
{
    struct titles *t = ctx;
    struct str title, target;
    enum title_fault why = title_normal(&t->form, raw, &title);
    int rc = 0;

    if (t->c.redirects != TITLES_OWN && why != TITLE_CHARSET) {
        target = titles_aliases_target(t->c.aliases, title);
        if (!str_eq(target, title)) {
            enum title_fault bad =
                title_normal(&t->form_of_target, target, &target);

            if (!bad)
                rc = add_title(t, target, slots, n, e);
            if (rc || (t->c.redirects == TITLES_TARGET && !bad))
                return rc;
            if (t->c.redirects == TITLES_TARGET)
                why = bad;
        }
    }
    if (why)
        refuse(t, why);
    else
        rc = add_title(t, title, slots, n, e);
    return rc;
}

static int add_sum(struct titles *t, struct str key, uint64_t views,
                   struct err *e)
{
    if (views < t->c.min_hour_views)
        return 0;
    return keycount_add(t->sums, str_slice(key, 0, key.n - 1), views, e);
}

/* A period is over: its hours above the floor go to the sums. */
static int end_period(struct titles *t, struct err *e)
{
    char text[KEYTAB_KEY_MAX];
    struct keycount_merge *m = NULL;
    struct str key;
    uint64_t views;
    bool more = true;
    int rc = 0;

    if (!t->more_hours) {
        /* Sorted: in the order of one table's hashes another one fills up
         * badly. */
        keytab_sort(&t->hours);
        for (uint32_t i = 0; !rc && i < t->hours.n; i++) {
            const struct keytab_slot *s = keytab_at(&t->hours, i);

            rc = add_sum(t, keytab_text(&t->hours, s, text), s->n, e);
        }
        keytab_reset(&t->hours);
        return rc;
    }
    rc = hand_on(t, e);
    if (!rc)
        rc = keycount_merge_open(&m, &t->more_hours, 1, e);
    while (!rc && more) {
        rc = keycount_merge_next(m, &key, &views, &more, e);
        if (!rc && more)
            rc = add_sum(t, key, views, e);
    }
    keycount_merge_close(m);
    t->stats.spilled += keycount_spilled(t->more_hours);
    keycount_close(t->more_hours);
    t->more_hours = NULL;
    return rc;
}

/* ---- files ---- */

struct file {
    const char *path;
    struct pageviews_period period;
    size_t number; /* as given */
};

static int compare_files(const void *a, const void *b)
{
    const struct file *x = a, *y = b;

    if (x->period.unit != y->period.unit)
        return x->period.unit < y->period.unit ? -1 : 1;
    if (x->period.number != y->period.number)
        return x->period.number < y->period.number ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

int titles_read(struct titles *t, char *const *paths, size_t n,
                struct tally *drops, struct err *e)
{
    struct file *files = xcalloc(n + 1, sizeof *files);
    int rc = 0;

    for (size_t i = 0; i < n; i++) {
        files[i] = (struct file){paths[i], pageviews_period(paths[i]), i};
        if (files[i].period.unit == PAGEVIEWS_OWN)
            files[i].period.number = (uint32_t)i;
    }
    qsort(files, n, sizeof *files, compare_files);
    t->drops = drops;
    pageviews_init(&t->reader, &t->project, add_line, t, drops);
    for (size_t i = 0; !rc && i < n; i++) {
        struct pageviews_period now = files[i].period;
        struct pageviews_period next = files[i + 1].period;

        rc = pageviews_read(&t->reader, files[i].path, e);
        if (!rc &&
            (i + 1 == n || next.unit != now.unit || next.number != now.number))
            rc = end_period(t, e);
    }
    t->stats.files = n;
    t->stats.lines = t->reader.lines;
    pageviews_release(&t->reader);
    free(files);
    return rc;
}

/* ---- ranks ---- */

/* Whether a ranks behind b. */
static bool is_worse(const struct ranked *a, const struct ranked *b)
{
    if (a->views != b->views)
        return a->views < b->views;
    return str_cmp(a->text, b->text) > 0;
}

static void swap(struct ranked *a, struct ranked *b)
{
    struct ranked c = *a;

    *a = *b;
    *b = c;
}

static void sink(struct titles *t)
{
    for (size_t i = 0, child; (child = 2 * i + 1) < t->n_best; i = child) {
        if (child + 1 < t->n_best &&
            is_worse(&t->best[child + 1], &t->best[child]))
            child++;
        if (!is_worse(&t->best[child], &t->best[i]))
            break;
        swap(&t->best[child], &t->best[i]);
    }
}

static void rise(struct titles *t, size_t i)
{
    while (i && is_worse(&t->best[i], &t->best[(i - 1) / 2])) {
        swap(&t->best[i], &t->best[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
}

static void offer(struct titles *t, struct str title, uint64_t views)
{
    struct ranked r = {title, views};

    if (t->n_best == t->c.keep) {
        if (!t->c.keep || is_worse(&r, &t->best[0]))
            return;
        free((char *)t->best[0].text.p);
        r.text.p = xstrndup(title);
        t->best[0] = r;
        sink(t);
        return;
    }
    r.text.p = xstrndup(title);
    t->best = xgrow(t->best, &t->cap_best, t->n_best + 1, sizeof *t->best);
    t->best[t->n_best] = r;
    rise(t, t->n_best++);
}

static int compare_ranked(const void *a, const void *b)
{
    return is_worse(a, b) ? 1 : is_worse(b, a) ? -1 : 0;
}

int titles_rank(struct titles *t, struct query_candidates *to, struct err *e)
{
    struct keycount_merge *m = NULL;
    struct str title;
    uint64_t views;
    bool more = true;
    int rc = keycount_merge_open(&m, &t->sums, 1, e);

    while (!rc && more) {
        rc = keycount_merge_next(m, &title, &views, &more, e);
        if (rc || !more)
            break;
        t->stats.titles++;
        if (views < t->c.min_views)
            continue;
        t->stats.ranked++;
        offer(t, title, views);
    }
    keycount_merge_close(m);
    t->stats.spilled += keycount_spilled(t->sums);
    if (rc)
        return rc;
    if (t->n_best)
        qsort(t->best, t->n_best, sizeof *t->best, compare_ranked);
    for (size_t i = 0; i < t->n_best; i++)
        query_candidates_add(to, t->best[i].text)->views = t->best[i].views;
    return 0;
}

void titles_stats(const struct titles *t, struct titles_stats *s)
{
    *s = t->stats;
}
