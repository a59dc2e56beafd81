/*
 * crawl_page - what one fetched page gives: pairs, links, and its own word on
 * whether either may be taken.
 *
 * Model.   base/markup reads the bytes; the robots meta elements are judged by
 *          crawler/consent and win over everything the page offers: noindex,
 *          noai and their kin leave no pairs, nofollow leaves no links.  Pairs
 *          come as lines of JSON (base/pair) with the final URL as page and
 *          `crawl` as origin; links as canonical URLs that passed
 *          crawl_scope_link(), in the order of the page, repeats left in.
 * Owns.    The result owns its buffers and is reused from page to page.
 * Fails.   -E_NOMEM; what a page holds that cannot be used is counted.
 * Threads. One per struct; the scope is shared and constant.
 * Cost.    One pass over the page.
 */
#ifndef CRAWLER_CRAWL_PAGE_H
#define CRAWLER_CRAWL_PAGE_H

#include "base/buf.h"
#include "base/markup.h"
#include "base/tally.h"
#include "crawler/crawl_scope.h"
#include <stdint.h>

#define CRAWL_LINKS_MAX 10000 /* links of one page that are followed */

struct crawl_page_source {
    struct str url;          /* final, canonical */
    struct str content_type; /* as the header said it, may be empty */
    struct str body;
    bool no_pairs; /* a response header refused them */
    bool no_links; /* a response header said nofollow */
};

struct crawl_page {
    struct buf pairs; /* lines, each with its newline */
    uint64_t n_pairs;
    struct buf links; /* URLs, each with a newline */
    uint64_t n_links;
    struct tally counts; /* "links-scope", "links-nofollow"... */
    struct tally drops;  /* of pairs, by reason */
    const char *refused; /* signal of a meta element, static; NULL: none */
};

void crawl_page_init(struct crawl_page *p);
void crawl_page_release(struct crawl_page *p);

/* p is cleared first; m is this thread's, with want_links set. */
int crawl_page_read(struct crawl_page *p, struct markup *m,
                    const struct crawl_page_source *in,
                    const struct crawl_scope *scope);

/* May a response of this Content-Type be a page?  An absent one may. */
bool crawl_page_is_html(struct str content_type);

#endif
