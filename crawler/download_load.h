/*
 * download_load - a group's list of URLs, less what is answered already.
 *
 * Model.   The list, the ledgers of this group's earlier passes (and its own,
 *          when it is done) and the journal are all sorted by (H(url), url):
 *          one merge finds the URLs that still have to be asked for.
 * Threads. As struct download_group.
 * Cost.    One pass over each file; a ledger's reader takes some megabytes.
 */
#ifndef CRAWLER_DOWNLOAD_LOAD_H
#define CRAWLER_DOWNLOAD_LOAD_H

#include "crawler/download_group.h"

/* Read GGG-RR.todo, urls lines of it, into g's chains. */
int group_load(struct download_group *g, uint64_t urls, struct err *e);

/* The URL whose line begins at `at` goes to the end of its host's chain. */
int group_add_url(struct download_group *g, struct str url, uint64_t at,
                  struct err *e);

#endif
