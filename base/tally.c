#include "base/tally.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

void tally_init(struct tally *t)
{
    *t = (struct tally){0};
}

void tally_release(struct tally *t)
{
    free(t->rows);
    *t = (struct tally){0};
}

void tally_clear(struct tally *t)
{
    t->n = 0;
}

void tally_add(struct tally *t, const char *name, uint64_t n)
{
    size_t lo = 0, hi = t->n;

    if (n == 0)
        return;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = strcmp(t->rows[mid].name, name);

        if (c == 0) {
            t->rows[mid].n += n;
            return;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (t->n >= TALLY_MAX && strcmp(name, "other")) {
        tally_add(t, "other", n);
        return;
    }
    t->rows = xgrow(t->rows, &t->cap, t->n + 1, sizeof *t->rows);
    memmove(t->rows + lo + 1, t->rows + lo, (t->n - lo) * sizeof *t->rows);
    snprintf(t->rows[lo].name, TALLY_NAME_MAX, "%s", name);
    t->rows[lo].n = n;
    t->n++;
}

void tally_add_all(struct tally *t, const struct tally *from)
{
    for (size_t i = 0; i < from->n; i++)
        tally_add(t, from->rows[i].name, from->rows[i].n);
}

uint64_t tally_get(const struct tally *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (!strcmp(t->rows[i].name, name))
            return t->rows[i].n;
    return 0;
}

uint64_t tally_sum(const struct tally *t)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < t->n; i++)
        sum += t->rows[i].n;
    return sum;
}

void tally_json(const struct tally *t, struct json_out *o)
{
    json_out_object(o);
    for (size_t i = 0; i < t->n; i++)
        json_put_u64(o, t->rows[i].name, t->rows[i].n);
    json_out_end_object(o);
}
