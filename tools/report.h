/*
 * report - report.html: what a corpus holds, as one page.
 *
 * Model.   One self-contained file: no script, no font, no address that a
 *          browser would ask; a Content-Security-Policy in the page says so.
 *          Numbers come from corpus.db, pictures from shards/ (drawn by hash,
 *          stored JPEGs as data: URIs, sized down by CSS alone).  No date and
 *          no path: equal corpora give equal bytes.
 * Fails.   As catalog/db.h; a shard that cannot be read leaves out the
 *          pictures, with a warning, not the report.
 * Threads. One.
 */
#ifndef TOOLS_REPORT_H
#define TOOLS_REPORT_H

#include "base/corpus.h"
#include "base/err.h"
#include "catalog/catalog.h"
#include <stdint.h>

/* Room for what is not a picture; a list of a million queries needs 200 KB. */
#define REPORT_MAX           ((size_t)16 << 20)
#define REPORT_PICTURE_BYTES ((size_t)2200 << 10) /* JPEG bytes in all */
#define REPORT_PICTURE_MAX   ((size_t)160 << 10)  /* of one; larger: skipped */
#define REPORT_FOUND_BYTES   ((size_t)1100 << 10) /* of those a model found */

struct report_config {
    const char *corpus;
    const char *out; /* NULL: CORPUS/report.html */
    const char *title;
    const char *model; /* folder of a training run (tools/report_run.h), or
                          NULL: no section about it */
    uint64_t pictures; /* at most */
    uint64_t top;      /* rows of each table */
};

/* Publish the report. */
int report_run(const struct corpus *c, const struct report_config *config,
               struct err *e);

/* The page into b. */
int report_render(const struct corpus *c, const struct report_config *config,
                  struct catalog *catalog, struct buf *b, struct err *e);

#endif
