/*
 * crawl_seeds - the URLs a crawl begins with.
 *
 * Model.   Read from --seed and --seeds FILE (a URL a line; blank lines and
 *          those that begin with # are skipped), made canonical, sorted
 *          bytewise, each once: however they were given, equal seeds are one
 *          crawl.
 * Owns.    The URLs.
 * Fails.   -E_USAGE for one that is no URL, with the file and line it stands
 *          in, and when there is none at all; -E_IO, -E_NOTFOUND for the file.
 * Threads. One at a time.
 */
#ifndef CRAWLER_CRAWL_SEEDS_H
#define CRAWLER_CRAWL_SEEDS_H

#include "base/err.h"
#include "base/hash.h"
#include <stddef.h>

struct crawl_seeds {
    char **v; /* canonical, ascending, distinct */
    size_t n, cap;
    char sha256[SHA256_HEX]; /* of the URLs, each with a newline */
};

/* given: n as typed; file: NULL without one.  Release s whatever comes back. */
int crawl_seeds_read(struct crawl_seeds *s, const char *const *given, size_t n,
                     const char *file, struct err *e);
void crawl_seeds_release(struct crawl_seeds *s);

#endif
