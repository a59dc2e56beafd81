/*
 * train_print - the summary of `witmill train`: what a run took.
 */
#ifndef TOOLS_TRAIN_PRINT_H
#define TOOLS_TRAIN_PRINT_H

#include "train/run.h"

/* On standard output; of several ranks, by the first.  named: the model, as
 * asked for, said where its sizes are nobody's else. */
void train_print(const struct run_config *c, const char *named,
                 const struct run_summary *s);

#endif
