#include "tools/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tools/print.h"

#define LABEL_COLUMNS 28

void summary_outputs(const char *stage, uint64_t n, const char *unit,
                     uint64_t before)
{
    printf("%s: %s %s%s", stage, print_n(n), unit, n == 1 ? "" : "s");
    if (n > 0 && before == n)
        printf(", done before");
    else if (before)
        printf(", %s of them done before", print_n(before));
    printf("\n");
}

void summary_line(const char *label, uint64_t n)
{
    printf("  %-*s %15s\n", LABEL_COLUMNS, label, print_n(n));
}

void summary_share(const char *label, uint64_t n, uint64_t whole)
{
    printf("  %-*s %15s  %6s\n", LABEL_COLUMNS, label, print_n(n),
           print_share(n, whole));
}

static int by_count(const void *a, const void *b)
{
    const struct tally_row *x = a, *y = b;

    if (x->n != y->n)
        return x->n < y->n ? 1 : -1;
    return strcmp(x->name, y->name);
}

void summary_tally(const char *title, const struct tally *t)
{
    struct tally_row *rows;

    if (t->n == 0)
        return;
    rows = xmalloc(t->n * sizeof *rows);
    memcpy(rows, t->rows, t->n * sizeof *rows);
    qsort(rows, t->n, sizeof *rows, by_count);
    printf("%s:\n", title);
    for (size_t i = 0; i < t->n; i++)
        summary_line(rows[i].name, rows[i].n);
    free(rows);
}
