#include "tools/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define LABEL_COLUMNS 28

void summary_number(uint64_t n, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%llu", (unsigned long long)n);
    int at = 0;

    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
}

void summary_line(const char *label, uint64_t n)
{
    char text[32];

    summary_number(n, text);
    printf("  %-*s %15s\n", LABEL_COLUMNS, label, text);
}

void summary_share(const char *label, uint64_t n, uint64_t whole)
{
    char text[32];

    summary_number(n, text);
    printf("  %-*s %15s  %5.1f%%\n", LABEL_COLUMNS, label, text,
           whole ? 100.0 * (double)n / (double)whole : 0.0);
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
