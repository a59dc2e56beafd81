#include "filter/dedup_texts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void dedup_texts_init(struct dedup_texts *t, size_t max_bytes)
{
    *t = (struct dedup_texts){.max_bytes = max_bytes};
    buf_init(&t->lines, BUF_NO_LIMIT); /* cut() bounds it */
}

void dedup_texts_release(struct dedup_texts *t)
{
    buf_release(&t->lines);
    free(t->all);
    free(t->texts);
    *t = (struct dedup_texts){.max_bytes = t->max_bytes};
}

void dedup_texts_clear(struct dedup_texts *t)
{
    buf_clear(&t->lines);
    t->n = 0;
    t->left_out = 0;
}

static int by_survival(const void *a, const void *b)
{
    const struct dedup_text *x = a, *y = b;

    if (x->s != y->s)
        return x->s < y->s ? -1 : 1;
    return memcmp(x->uid, y->uid, MD5_SIZE);
}

static int by_place(const void *a, const void *b)
{
    const struct dedup_text *x = a, *y = b;

    return (x->at > y->at) - (x->at < y->at);
}

/*
 * Sort, and leave out what passes the ceiling.  The first one that does is
 * remembered: without it a smaller one behind it, that comes later, might seem
 * to fit.
 */
static void cut(struct dedup_texts *t)
{
    size_t bytes = 0, n = 0;

    if (t->n)
        qsort(t->all, t->n, sizeof *t->all, by_survival);
    while (n < t->n && t->all[n].n <= t->max_bytes - bytes)
        bytes += t->all[n++].n;
    if (n == t->n)
        return;
    t->bound = t->all[n];
    t->left_out += t->n - n;
    t->n = n;
}

/* Those that stay to the front of lines. */
static void close_gaps(struct dedup_texts *t)
{
    size_t to = 0;

    if (t->n)
        qsort(t->all, t->n, sizeof *t->all, by_place);
    for (size_t i = 0; i < t->n; i++) {
        struct dedup_text *x = &t->all[i];

        memmove(t->lines.p + to, t->lines.p + x->at, x->n);
        x->at = to;
        to += x->n;
    }
    t->lines.n = to;
}

int dedup_texts_add(struct dedup_texts *t, const struct pair *p, struct err *e)
{
    struct dedup_text mine = {.s = p->s, .at = t->lines.n};

    memcpy(mine.uid, p->uid, MD5_SIZE);
    if (t->left_out && by_survival(&mine, &t->bound) >= 0) {
        t->left_out++;
        return 0;
    }
    pair_write(p, &t->lines);
    if (t->lines.rc)
        return err_set(e, -t->lines.rc, "no memory for the texts of %.*s",
                       STR_ARG(p->url));
    mine.n = (uint32_t)(t->lines.n - mine.at);
    t->all = xgrow(t->all, &t->cap_all, t->n + 1, sizeof *t->all);
    t->all[t->n++] = mine;
    if (t->lines.n / 2 > t->max_bytes) {
        cut(t);
        close_gaps(t);
    }
    return 0;
}

void dedup_texts_sort(struct dedup_texts *t)
{
    cut(t);
    t->texts = xgrow(t->texts, &t->cap_texts, t->n + 1, sizeof *t->texts);
    for (size_t i = 0; i < t->n; i++)
        t->texts[i] = str_make(t->lines.p + t->all[i].at, t->all[i].n);
}
