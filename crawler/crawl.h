/*
 * crawl - from seeds to candidate pairs, politely, by the live web.
 *
 * Model.   One thread runs the event loop of crawler/fetch and keeps the
 *          frontier (crawler/frontier) and its durable half (crawler/
 *          crawl_store); a pool of threads (crawler/crawl_pool) reads the pages
 *          that arrive.  The life of a URL:
 *
 *            seed or link --> waits --> turn --> fetch --> read --> ended
 *                               ^                  |         |
 *                               +--- redirect -----+         +--> its links,
 *                                    (its target has         |    one deeper
 *                                    the page)               +--> its pairs
 *
 *          Depth is the fewest links from a seed, whatever the timing: a page
 *          met again on a shorter path takes the smaller depth, and the links
 *          it once gave, kept in crawl.db, take theirs.  So against a server
 *          that does not change, and with no budget hit, the same options give
 *          the same set of pages and of pairs.  Links behind the depth limit
 *          are kept, too, and followed when a later run has a larger one.
 *
 *          A redirect inside the scope makes its target the page, at the
 *          depth of what led there; out of scope it is refused.
 *
 *          Running it again continues: after a kill from the last save (at
 *          most a second or so earlier), after an end only if budgets have
 *          grown.  Seeds and scope cannot change (-E_STALE).  A host that is
 *          down, or whose robots.txt cannot be had, is left for a later run;
 *          a single URL's time-out or 5xx is final unless retry_failed is set.
 *
 *          With --part I/N it asks only the hosts whose registrable domain
 *          hashes to I, keeps crawl-I-of-N.db, and hands links to other hosts
 *          to their parts (crawl_out).  All parts are run, at once or one by
 *          one, until a pass of all has asked for nothing and handed nothing
 *          over.  Budgets are then each part's own.
 * Owns.    CORPUS/crawl.db, crawl.lock, pairs/crawl/.
 * Fails.   -E_USAGE (a seed that is no URL, no contact); -E_STALE, -E_BUSY,
 *          -E_DAMAGED (crawl_store); -E_IO; -E_CANCEL after *stop.
 * Threads. crawl_run() from one; *stop is set by any, or a signal handler.
 * Cost.    Memory: 22 bytes a known URL, 64 MiB of pages that wait to be read,
 *          what crawler/fetch says.
 */
#ifndef CRAWLER_CRAWL_H
#define CRAWLER_CRAWL_H

#include "base/corpus.h"
#include "base/opt.h"
#include "base/stage.h"
#include "base/tally.h"
#include "crawler/crawl_scope.h"
#include "crawler/fetch.h"
#include "crawler/frontier.h"
#include <stdatomic.h>

#define CRAWL_VERSION 1 /* of what pairs/crawl holds */

struct crawl_config {
    struct stage_options stage;
    struct opt_list seed;          /* URLs */
    const char *seeds;             /* file of URLs, or NULL */
    int scope;                     /* enum crawl_scope_kind */
    uint64_t max_depth;            /* links from a seed */
    uint64_t max_pages;            /* 0: no limit */
    uint64_t max_pages_per_host;   /* 0: no limit */
    uint64_t max_pages_per_domain; /* 0: no limit */
    bool retry_failed; /* time-outs, 5xx... of earlier runs: ask again */
    struct fetch_config fetch; /* contact, nets, delays... */
    uint64_t part_bytes;       /* a part so large is closed */
    uint64_t save_ms;          /* how often what was read is made durable */
    const atomic_bool *stop;   /* true: save and return; NULL: never */
};

enum crawl_end {
    CRAWL_ALL,    /* nothing is left to follow */
    CRAWL_DEPTH,  /* nothing but links behind the depth limit */
    CRAWL_BUDGET, /* a page budget is used up, URLs wait */
    CRAWL_DOWN,   /* nothing but hosts that are down */
    CRAWL_STOPPED /* asked to */
};

struct crawl_result {
    enum crawl_end end;
    struct tally held;    /* URLs left for a later run: their host failed */
    uint64_t asked;       /* URLs settled in this run; 0: nothing was to do */
    uint64_t handed;      /* links handed to other parts in this run */
    struct tally counts;  /* of all runs: pages, records, redirects... */
    struct tally refused; /* pages, by signal or policy */
    struct tally failed;  /* pages, by reason */
    struct tally drops;   /* pairs, by reason */
    struct frontier_stats frontier;
    uint64_t requests; /* sent in this run, robots.txt included */
    bool published;    /* a part was finished in this run */
};

void crawl_result_init(struct crawl_result *r);
void crawl_result_release(struct crawl_result *r);

/* table: the options that config was filled by.  *r is filled on success and
 * after -E_CANCEL. */
int crawl_run(const struct corpus *corpus, const struct crawl_config *config,
              const struct opt_table *table, struct crawl_result *r,
              struct err *e);

#endif
