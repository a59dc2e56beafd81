/*
 * explain_private - what the two halves of explain share: explain.c asks the
 * texts (found, matched, drawn, selected), explain_image.c the picture.
 */
#ifndef TOOLS_EXPLAIN_PRIVATE_H
#define TOOLS_EXPLAIN_PRIVATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/jsonl.h"
#include "base/selected.h"
#include "tools/explain.h"

struct explain {
    const struct corpus *corpus;
    FILE *out;
    struct str url; /* canonical */
    uint64_t h;     /* H(url) */
    uint32_t bucket;
    bool met;      /* some stage knows it */
    bool selected; /* a text of it is in selected/ */
    bool lost;     /* the ledger closed it without an image */
};

/* A line of a file in the order of (H(url), url); how it compares with the
 * URL asked for goes to *order (<0: read on, >0: past it). */
typedef int (*explain_line_fn)(struct explain *x, struct str line,
                               struct arena *a, int *order, struct err *e);

/* Read corpus/name until past the URL; a file that is not there has no lines
 * and *there says so. */
int explain_lines(struct explain *x, const char *name, explain_line_fn fn,
                  bool *there, struct err *e);

/* Order of another URL against the one asked for. */
int explain_order(const struct explain *x, struct str url);

int explain_download(struct explain *x, struct err *e);
int explain_place(struct explain *x, struct err *e);

#endif
