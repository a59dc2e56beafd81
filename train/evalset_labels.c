/* The classes that a picture is of, when it may be of several. */
#include <stdlib.h>

#include "base/mem.h"
#include "train/evalset.h"
#include "train/npy.h"

static void add(struct evalset_item *it, uint64_t class)
{
    it->labels = xgrow(it->labels, &it->room_labels, it->n_labels + 1,
                       sizeof *it->labels);
    it->labels[it->n_labels++] = class;
}

/* A 0 or 1 for each class. */
static const char *read_npy(struct str bytes, uint64_t classes,
                            struct evalset_item *it)
{
    struct npy a;

    if (npy_parse(&a, bytes, "npy", NULL))
        return "bad-label";
    it->places = a.count;
    if (a.count != classes)
        return "label-range";
    for (uint64_t i = 0; i < classes; i++) {
        float x = npy_float(&a, i);

        if (x == 1)
            add(it, i);
        else if (x != 0)
            return "bad-label";
    }
    return NULL;
}

static bool separates(char c)
{
    return c == ' ' || c == ',' || c == '\n' || c == '\r' || c == '\t';
}

static int ascending(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Said twice is said once. */
static void sort_labels(struct evalset_item *it)
{
    size_t kept = 0;

    if (it->n_labels)
        qsort(it->labels, it->n_labels, sizeof *it->labels, ascending);
    for (size_t i = 0; i < it->n_labels; i++)
        if (!kept || it->labels[i] != it->labels[kept - 1])
            it->labels[kept++] = it->labels[i];
    it->n_labels = kept;
}

/* The numbers of classes. */
static const char *read_cls(struct str text, uint64_t classes,
                            struct evalset_item *it)
{
    uint64_t class;

    for (size_t at = 0, to; at < text.n; at = to + 1) {
        to = at;
        while (to < text.n && !separates(text.p[to]))
            to++;
        if (to == at)
            continue;
        if (it->n_labels == EVALSET_LABELS_MAX ||
            str_u64(str_slice(text, at, to), &class))
            return "bad-label";
        it->label = class;
        if (class >= classes)
            return "label-range";
        add(it, class);
    }
    sort_labels(it);
    return NULL;
}

const char *evalset_labels(const struct str *npy, const struct str *cls,
                           uint64_t classes, struct evalset_item *it)
{
    const char *reason = "no-label";

    it->n_labels = 0;
    it->places = 0;
    if (npy)
        reason = read_npy(*npy, classes, it);
    else if (cls)
        reason = read_cls(*cls, classes, it);
    if (reason)
        it->n_labels = 0;
    return reason;
}
