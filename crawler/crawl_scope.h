/*
 * crawl_scope - which links a crawl follows, and which hosts belong together.
 *
 * Model.   Three rules, each a pure function of the URL and the seeds, so that
 *          the set of pages does not depend on when a link was met:
 *            scope   the seeds' hosts; with domain their registrable domains
 *                    (Public Suffix List); with any everything
 *            suffix  a path that ends in .jpg, .pdf, .zip... leads to no page.
 *                    One with a colon in its last segment does (wikis' pages
 *                    about files: /wiki/File:Cat.jpg)
 *            trap    a path segment that comes three times, or more than
 *                    CRAWL_SEGMENTS_MAX segments (threat 12)
 *          Seeds and redirects are judged by scope alone.
 * Owns.    Copies of the seeds' hosts.
 * Fails.   -E_NOMEM without the list of public suffixes.
 * Threads. Constant after open: any.
 */
#ifndef CRAWLER_CRAWL_SCOPE_H
#define CRAWLER_CRAWL_SCOPE_H

#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>

#define CRAWL_SEGMENTS_MAX 20 /* path segments of a link */
#define CRAWL_REPEATS_MAX  2  /* times that one segment may come */

enum crawl_scope_kind { CRAWL_SCOPE_HOST, CRAWL_SCOPE_DOMAIN, CRAWL_SCOPE_ANY };

struct crawl_scope {
    enum crawl_scope_kind kind;
    const void *suffixes; /* psl_ctx_t */
    char **names;         /* hosts or domains, ascending, distinct */
    size_t n;
};

/* seeds: canonical URLs. */
int crawl_scope_open(struct crawl_scope *s, enum crawl_scope_kind kind,
                     char *const *seeds, size_t n_seeds, struct err *e);
void crawl_scope_close(struct crawl_scope *s);

/* The registrable domain of host, which points into host; the host itself if
 * it is an address, a public suffix or a single label. */
struct str crawl_scope_domain(const struct crawl_scope *s, struct str host);

/* Does url (canonical) belong to the crawl? */
bool crawl_scope_has(const struct crawl_scope *s, struct str url);

/* NULL if a link to url is to be followed, else what counts it:
 * "links-scope", "links-suffix", "links-trap". */
const char *crawl_scope_link(const struct crawl_scope *s, struct str url);

#endif
