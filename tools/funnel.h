/*
 * funnel - how many things each step of the chain left, from corpus.db.
 *
 * Model.   A fixed row of steps, pages to samples, with one row for each round
 *          and download pass there is.  A step that has not run is left out;
 *          numbers come from the counts of the stages' sidecars.
 * Owns.    struct funnel all of it.
 * Threads. One.
 */
#ifndef TOOLS_FUNNEL_H
#define TOOLS_FUNNEL_H

#include "base/err.h"
#include "base/tally.h"
#include "catalog/catalog.h"
#include <stdint.h>

#define FUNNEL_MAX     160 /* rows */
#define FUNNEL_REASONS 24  /* most frequent drop reasons kept of a stage */

struct funnel_row {
    char label[48]; /* "selected, round 0" */
    char stage[16]; /* whose work it is: "balance" */
    char what[48];  /* what is counted: "pairs that a query picked" */
    uint64_t n;
};

struct funnel_drop {
    char stage[16];
    char reason[TALLY_NAME_MAX];
    uint64_t n;
};

struct funnel {
    struct funnel_row rows[FUNNEL_MAX];
    size_t n;
    struct funnel_drop *drops; /* by stage in chain order, largest first */
    size_t n_drops, cap_drops;
};

int funnel_read(struct funnel *f, struct catalog *c, struct err *e);
void funnel_release(struct funnel *f);

/* The row of a label, or NULL. */
const struct funnel_row *funnel_find(const struct funnel *f, const char *label);

#endif
