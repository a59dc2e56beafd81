/*
 * explain - everything a corpus knows of one picture's URL.
 *
 * Model.   Reads the files of the stages, not the catalogue: the URL's bucket
 *          in unique/, selected/ and survivors/ (all sorted by H(url), so a
 *          reader stops early), the ledgers of its host's group, and where it
 *          came to lie in shards/.  pairs/ knows no buckets and is read whole,
 *          when asked for or when nothing else speaks of the URL.
 * Fails.   -E_NEGATIVE when no stage has met the URL; -E_USAGE when it is no
 *          URL that could be in a corpus.
 * Threads. One.
 * Cost.    One bucket of each stage; with `everywhere` all of pairs/.
 */
#ifndef TOOLS_EXPLAIN_H
#define TOOLS_EXPLAIN_H

#include "base/corpus.h"
#include "base/err.h"
#include <stdbool.h>
#include <stdio.h>

struct explain_config {
    const char *corpus;
    const char *url;
    bool everywhere; /* read pairs/ even if the URL is found without */
};

int explain_url(const struct corpus *c, const struct explain_config *config,
                FILE *out, struct err *e);

#endif
