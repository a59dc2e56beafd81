/*
 * outcomes - which URLs have been asked, and which of them gave an image.
 *
 * Model.   Read from the ledgers of all download passes below a bound into
 *          slices of H(url), on disk (filter/bins.h).  A view holds one
 *          slice at a time: who asks in the order of unique/, which is that of
 *          H(url), reads each slice once.  A URL is known by H(url) and 63
 *          bits of its MD5.
 * Owns.    The slices; a view its copy of one.
 * Fails.   As base/jsonl.h, base/ledger.h and filter/bins.h; -E_USAGE when
 *          the memory holds neither slices so small nor so many.
 * Threads. outcomes_read() uses `threads`; then constant, a view a thread.
 * Cost.    16 bytes on disk a URL asked; in memory what config says, 64 KiB at
 *          least: half for the slices' blocks, half for views; a binary search
 *          a question.
 */
#ifndef FILTER_OUTCOMES_H
#define FILTER_OUTCOMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/corpus.h"
#include "base/err.h"
#include "base/stage.h"
#include "filter/bins.h"

struct outcomes_config {
    unsigned passes; /* ledgers of passes below this */
    unsigned threads;
    uint64_t memory_bytes; /* slices, and all views together */
    uint64_t pairs;        /* in the corpus: no more URLs than that */
};

struct outcomes {
    struct bins_store store;
    struct bins slices;
    unsigned bits; /* slice = H(url) >> (64 - bits); 0: all in one */
};

struct outcome {
    uint64_t h;     /* H(url) */
    uint64_t check; /* MD5 of the url, bit 0: it gave an image */
};

struct outcomes_view {
    const struct outcomes *of;
    struct outcome *v; /* of one slice, by (h, check) */
    size_t n, cap;
    uint64_t slice; /* UINT64_MAX: none yet */
};

/* Number of download passes on disk: 1 + the highest, finished or not. */
int outcomes_passes(const struct corpus *c, unsigned *passes, struct err *e);

/* in, if not NULL, gets each ledger as an input. */
int outcomes_read(struct outcomes *o, const struct corpus *c,
                  const struct outcomes_config *config, struct stage_inputs *in,
                  struct err *e);
void outcomes_release(struct outcomes *o); /* fine when cleared */

void outcomes_view_init(struct outcomes_view *w, const struct outcomes *o);
void outcomes_view_release(struct outcomes_view *w);

/* h: H(url).  *asked false: never asked; *image then too. */
int outcomes_find(struct outcomes_view *w, uint64_t h, struct str url,
                  bool *asked, bool *image, struct err *e);

#endif
