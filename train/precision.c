#include "train/precision.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void precision_init(struct precision *p, size_t classes)
{
    *p = (struct precision){.classes = classes};
    p->of = xcalloc(classes, sizeof *p->of);
}

void precision_release(struct precision *p)
{
    free(p->of);
    free(p->scores);
    free(p->labels);
    free(p->first);
    *p = (struct precision){0};
}

/* Room for one more picture of n labels. */
static int grow(struct precision *p, size_t n, struct err *e)
{
    size_t used = p->images ? p->first[p->images] : 0;
    size_t more = p->room ? 2 * p->room : 1024;
    size_t labels = 2 * (used + n) + 1024;
    void *q;

    if (p->images == p->room) {
        q = more < SIZE_MAX / sizeof *p->scores / p->classes
                ? realloc(p->scores, more * p->classes * sizeof *p->scores)
                : NULL;
        if (!q)
            return err_set(e, E_NOMEM, "no room for scores of %zu pictures",
                           more);
        p->scores = q;
        q = realloc(p->first, (more + 1) * sizeof *p->first);
        if (!q)
            return err_set(e, E_NOMEM, "no room for %zu pictures", more);
        p->first = q;
        p->first[0] = 0;
        p->room = more;
    }
    if (used + n <= p->room_labels)
        return 0;
    q = realloc(p->labels, labels * sizeof *p->labels);
    if (!q)
        return err_set(e, E_NOMEM, "no room for %zu labels", labels);
    p->labels = q;
    p->room_labels = labels;
    return 0;
}

int precision_add(struct precision *p, const float *scores,
                  const uint64_t *labels, size_t n, struct err *e)
{
    int rc = grow(p, n, e);
    size_t used;

    if (rc)
        return rc;
    memcpy(p->scores + p->images * p->classes, scores,
           p->classes * sizeof *scores);
    used = p->first[p->images];
    for (size_t i = 0; i < n; i++) {
        assert(labels[i] < p->classes);
        p->labels[used + i] = labels[i];
        p->of[labels[i]].images++;
    }
    p->first[++p->images] = used + n;
    return 0;
}

/* ---- one class ---- */

/* A picture as one class sees it. */
struct seen {
    float score;
    bool of; /* the class */
    size_t at;
};

static int best_first(const void *a, const void *b)
{
    const struct seen *x = a, *y = b;

    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->at < y->at ? -1 : 1;
}

/* Sorts the pictures. */
static double average_of(struct seen *list, size_t n)
{
    size_t found = 0;
    double sum = 0;

    qsort(list, n, sizeof *list, best_first);
    for (size_t i = 0; i < n; i++)
        if (list[i].of)
            sum += (double)++found / (double)(i + 1);
    return found ? sum / (double)found : 0;
}

static bool is_of(const struct precision *p, size_t image, size_t class)
{
    for (size_t i = p->first[image]; i < p->first[image + 1]; i++)
        if (p->labels[i] == class)
            return true;
    return false;
}

int precision_of(struct precision *p, double *mean, struct err *e)
{
    struct seen *list = calloc(p->images ? p->images : 1, sizeof *list);
    double sum = 0;

    if (!list)
        return err_set(e, E_NOMEM, "no room to sort %zu pictures", p->images);
    for (size_t c = 0; c < p->classes; c++) {
        for (size_t i = 0; i < p->images; i++)
            list[i] = (struct seen){.score = p->scores[i * p->classes + c],
                                    .of = is_of(p, i, c),
                                    .at = i};
        p->of[c].average = average_of(list, p->images);
        sum += p->of[c].average;
    }
    free(list);
    *mean = sum / (double)p->classes;
    return 0;
}

double precision_chance(const struct precision *p)
{
    uint64_t images = 0;

    for (size_t c = 0; c < p->classes; c++)
        images += p->of[c].images;
    return p->images ? (double)images / (double)p->images / (double)p->classes
                     : 0;
}
