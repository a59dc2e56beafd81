/*
 * sorter_private - runs on disk, between sorter.c and sorter_runs.c.
 *
 * Model.   run_begin, put*, run_end write one run behind the others in a file;
 *          blocks of SORTER_RUN_BLOCK bytes are hashed as they are written and
 *          again as they are read.  merge() makes passes from one file to the
 *          other until the runs that are left can be read beside each other in
 *          the sorter's memory, and opens these.
 * Fails.   As filter/sorter.h.
 * Threads. One.
 */
#ifndef FILTER_SORTER_PRIVATE_H
#define FILTER_SORTER_PRIVATE_H

#include "filter/sorter.h"

/* file: 0 or 1. */
int sorter_run_begin(struct sorter *s, unsigned file, struct err *e);
int sorter_run_put(struct sorter *s, const struct sorter_record *r,
                   struct err *e);
int sorter_run_end(struct sorter *s, struct err *e);

/* All records are in runs and base is free. */
int sorter_merge(struct sorter *s, struct err *e);
int sorter_merge_next(struct sorter *s, const struct sorter_record **r,
                      struct err *e);
void sorter_runs_close(struct sorter *s);

#endif
