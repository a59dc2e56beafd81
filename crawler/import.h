/*
 * import - candidate pairs from what is already on disk.
 *
 * Model.   Saved sites (--html DIR --base URL) and link lists (--links FILE)
 *          become pairs/BATCH/part-NNNNN.  Inputs are numbered as given, sites
 *          first: a site gives a part for every IMPORT_PAGES pages in path
 *          order, a list one part.  Pages are read by base/markup, lists by
 *          crawler/table; every text is its own record.
 *          `origin`: a saved page's path relative to DIR; FILE's name, a colon
 *          and the row's line number for a list.
 * Fails.   As base/stage.h; -E_USAGE for options that do not go together; a
 *          page or row that cannot be read is counted and the rest goes on.
 * Threads. Pages are parsed by `threads` workers, in order.
 * Cost.    Linear in the input; memory: a few pages a worker.
 */
#ifndef CRAWLER_IMPORT_H
#define CRAWLER_IMPORT_H

#include "base/err.h"
#include "base/stage.h"
#include "crawler/table.h"

#define IMPORT_VERSION  1
#define IMPORT_PAGES    1000             /* pages of a site in one part */
#define IMPORT_PAGE_MAX ((size_t)64 << 20) /* bytes of a saved page */

struct import_config {
    struct stage_options stage;
    struct opt_list html;  /* folders */
    struct opt_list bases; /* their URLs, one each */
    struct opt_list links; /* files */
    const char *batch;     /* name under pairs/ */
    struct table_config table;
};

struct import_summary {
    uint64_t parts, parts_done_before;
    struct tally counts, drops;
};

int import_run(const struct corpus *c, const struct opt_table *table,
               const struct import_config *config, struct import_summary *sum,
               struct err *e);

#endif
