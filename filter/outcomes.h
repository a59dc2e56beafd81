/*
 * outcomes - which URLs have been asked, and which of them gave an image.
 *
 * Model.   Read from the ledgers of all download passes below a bound; a URL is
 *          known by the MD5 of its bytes.
 * Owns.    One array, sorted.
 * Fails.   As base/jsonl.h and base/ledger.h.
 * Threads. Constant once read.
 * Cost.    20 bytes a URL asked; a binary search a question.
 */
#ifndef FILTER_OUTCOMES_H
#define FILTER_OUTCOMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/corpus.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/stage.h"

struct outcome {
    uint8_t key[MD5_SIZE];
    uint32_t image; /* 1: passed every verdict of the download */
};

struct outcomes {
    struct outcome *v;
    size_t n, cap;
};

/* Number of download passes on disk: 1 + the highest, finished or not. */
int outcomes_passes(const struct corpus *c, unsigned *passes, struct err *e);

/* Ledgers of passes below `passes`; in, if not NULL, gets each as an input. */
int outcomes_read(struct outcomes *o, const struct corpus *c, unsigned passes,
                  struct stage_inputs *in, struct err *e);
void outcomes_release(struct outcomes *o);

/* False when url was never asked. */
bool outcomes_find(const struct outcomes *o, struct str url, bool *image);

#endif
