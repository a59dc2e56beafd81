/*
 * train_setup - options of `witmill train` into a run.
 *
 * Model.   train_setup_check() looks at options alone: what contradicts itself
 *          is a matter of usage, said before anything is opened.
 *          train_setup() opens the data and what is asked about it, reads the
 *          model's config, and fills a run_config; of several processes each
 *          does, and tells the others what went wrong (run_config's unready).
 * Owns.    d and v are the caller's to close, also after a failure; c points to
 *          them, to folder and to the options.
 * Fails.   -E_USAGE for options; as dataset_open(), evaluator_open().
 * Threads. One, before others start (base/jail.h).
 */
#ifndef TOOLS_TRAIN_SETUP_H
#define TOOLS_TRAIN_SETUP_H

#include "base/io.h"
#include "tools/train_options.h"
#include "train/run.h"

int train_setup_check(const struct train_options *t, struct err *e);

/* c: zero but for its launch; d and v: zero. */
int train_setup(struct run_config *c, const struct train_options *t,
                char folder[IO_PATH_MAX], struct dataset *d,
                struct train_eval *v, struct err *e);

#endif
