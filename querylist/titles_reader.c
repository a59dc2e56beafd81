#include "querylist/titles_reader.h"

#include <stdbool.h>

static int add_line(void *ctx, struct str raw,
                    const struct pageviews_slot *slots, size_t n,
                    struct err *e);

int titles_reader_open(struct titles_reader *r, const struct titles_config *c,
                       const struct pageviews_project *project, uint64_t memory,
                       struct err *e)
{
    uint64_t part = memory / 3 < KEYTAB_MIN ? KEYTAB_MIN : memory / 3;

    *r = (struct titles_reader){.c = c, .part = part};
    tally_init(&r->drops);
    pageviews_init(&r->views, project, add_line, r, &r->drops);
    title_form_init(&r->form);
    title_form_init(&r->form_of_target);
    r->form.exact_case = r->form_of_target.exact_case = project->exact_case;
    keytab_init(&r->hours, (size_t)r->part);
    return keycount_open(&r->sums, r->part, c->folder, e);
}

void titles_reader_close(struct titles_reader *r)
{
    keycount_close(r->sums);
    keycount_close(r->more_hours);
    keytab_release(&r->hours);
    title_form_release(&r->form);
    title_form_release(&r->form_of_target);
    pageviews_release(&r->views);
    tally_release(&r->drops);
}

/* ---- the hours of a period ---- */

/* Make room by handing all hours on to what can spill. */
static int hand_on(struct titles_reader *r, struct err *e)
{
    char text[KEYTAB_KEY_MAX];
    int rc = 0;

    if (!r->more_hours)
        rc = keycount_open(&r->more_hours, r->part, r->c->folder, e);
    keytab_sort(&r->hours);
    for (uint32_t i = 0; !rc && i < r->hours.n; i++) {
        rc = keycount_add(r->more_hours, keytab_text_at(&r->hours, i, text),
                          keytab_at(&r->hours, i)->n, e);
    }
    keytab_reset(&r->hours);
    return rc;
}

/* title: with room for a byte behind it, which says the slot. */
static int add_slots(struct titles_reader *r, char *title, size_t n,
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
        rc = keytab_add(&r->hours, key, slots[i].views, &id);
        if (rc == -E_TOOBIG) {
            rc = hand_on(r, e);
            if (rc)
                return rc;
            rc = keytab_add(&r->hours, key, slots[i].views, &id);
        }
        if (rc)
            rc = err_set(e, -rc, "views of %.*s", (int)n, title);
    }
    return rc;
}

static int add_title(struct titles_reader *r, struct str title,
                     const struct pageviews_slot *slots, size_t n_slots,
                     struct err *e)
{
    char key[TITLE_MAX + 2];

    memcpy(key, title.p, title.n);
    return add_slots(r, key, title.n, slots, n_slots, e);
}

static void refuse(struct titles_reader *r, enum title_fault why)
{
    static const char *const names[] = {
#define X(name, text) "views-" text,
        TITLE_FAULT_MAP(X)
#undef X
    };

    tally_add(&r->drops, names[why], 1);
}

static int add_line(void *ctx, struct str raw,
                    const struct pageviews_slot *slots, size_t n, struct err *e)
{
    struct titles_reader *r = ctx;
    struct str title, target;
    enum title_fault why = title_normal(&r->form, raw, &title);
    int rc = 0;

    if (r->c->redirects != TITLES_OWN && why != TITLE_CHARSET) {
        target = titles_aliases_target(r->c->aliases, title);
        if (!str_eq(target, title)) {
            enum title_fault bad =
                title_normal(&r->form_of_target, target, &target);

            if (!bad)
                rc = add_title(r, target, slots, n, e);
            if (rc || (r->c->redirects == TITLES_TARGET && !bad))
                return rc;
            if (r->c->redirects == TITLES_TARGET)
                why = bad;
        }
    }
    if (why)
        refuse(r, why);
    else
        rc = add_title(r, title, slots, n, e);
    return rc;
}

static int add_sum(struct titles_reader *r, struct str key, uint64_t views,
                   struct err *e)
{
    if (views < r->c->min_hour_views)
        return 0;
    return keycount_add(r->sums, str_slice(key, 0, key.n - 1), views, e);
}

/* A period is over: its hours above the floor go to the sums. */
int titles_reader_end(struct titles_reader *r, struct err *e)
{
    char text[KEYTAB_KEY_MAX];
    struct keycount_merge *m = NULL;
    struct str key;
    uint64_t views;
    bool more = true;
    int rc = 0;

    if (!r->more_hours) {
        /* Sorted: in the order of one table's hashes another one fills up
         * badly.  Most hours are below the floor. */
        keytab_sort_least(&r->hours, r->c->min_hour_views);
        for (uint32_t i = 0; !rc && i < r->hours.n; i++) {
            rc = add_sum(r, keytab_text_at(&r->hours, i, text),
                         keytab_at(&r->hours, i)->n, e);
        }
        keytab_reset(&r->hours);
        return rc;
    }
    rc = hand_on(r, e);
    if (!rc)
        rc = keycount_merge_open(&m, &r->more_hours, 1, e);
    while (!rc && more) {
        rc = keycount_merge_next(m, &key, &views, &more, e);
        if (!rc && more)
            rc = add_sum(r, key, views, e);
    }
    keycount_merge_close(m);
    r->spilled += keycount_spilled(r->more_hours);
    keycount_close(r->more_hours);
    r->more_hours = NULL;
    return rc;
}

int titles_reader_add(struct titles_reader *r, const char *path, struct err *e)
{
    return pageviews_read(&r->views, path, e);
}
