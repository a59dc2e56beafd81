/*
 * coverage - what a corpus covers, printed for people or as JSON.
 *
 * Model.   Three views of corpus.db: the whole (funnel, drops, how queries are
 *          spread, head, tail, zero), one query with example pairs, and all
 *          hyponyms of a synset.
 * Fails.   -E_NEGATIVE, with a line on stdout, when the query or synset is not
 *          in the list; as catalog/db.h otherwise.
 * Threads. One.
 */
#ifndef TOOLS_COVERAGE_H
#define TOOLS_COVERAGE_H

#include "base/corpus.h"
#include "catalog/ask.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct coverage {
    const struct corpus *corpus;
    struct catalog *catalog;
    FILE *out;
    bool json;
    uint64_t top; /* rows of each table, example pairs */
};

int coverage_summary(struct coverage *v, struct err *e);
int coverage_query(struct coverage *v, const char *text, struct err *e);
int coverage_under(struct coverage *v, const char *synset, struct err *e);

/* A fact that is a number; def when there is none. */
uint64_t coverage_fact(struct catalog *c, const char *name, uint64_t def);

#define COVERAGE_CAP 20000 /* what balance takes without --cap */

/* The members of an entry, inside an open object. */
void coverage_entry_json(struct json_out *j, const struct ask_entry *row);

#endif
