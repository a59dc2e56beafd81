/*
 * wikipedia - the articles of MediaWiki dumps: counted, noted, written.
 *
 * Model.   wikipedia_read() reads one dump (querylist/dump) and takes the pages
 *          of namespace 0: a redirect is noted among the aliases, an article's
 *          wikitext is made text (querylist/wikitext) whose words are counted
 *          (querylist/ngrams), each article by itself.  The sink gets a line of
 *          JSON for each, {"id":12,"title":"Anarchism","text":"..."}, in the
 *          dump's order.  Nothing of it depends on threads or on how the dump
 *          is packed.
 * Owns.    Room for blocks; all else is the caller's.
 * Fails.   As dump.h; what ngrams.h and the sink say.  A bad page is a drop
 *          under its fault's name (dump.h), and the first WIKIPEDIA_LOGGED of
 *          a dump are named.  A dump that is cut off and allowed to be is one
 *          under "truncated-dump".
 * Threads. One; reading uses `threads` of its own, blocks of pages at a time.
 * Cost.    Some 4 MiB a thread; pages larger than a block count themselves.
 *          A multistream dump has the pieces of base/stream_bunzip.h besides.
 */
#ifndef QUERYLIST_WIKIPEDIA_H
#define QUERYLIST_WIKIPEDIA_H

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/tally.h"
#include "querylist/aliases.h"
#include "querylist/dump.h"
#include "querylist/ngrams.h"
#include <stddef.h>
#include <stdint.h>

#define WIKIPEDIA_LOGGED 20u

/* Takes lines, whole ones. */
struct wikipedia_sink {
    int (*put)(void *ctx, struct str lines, struct err *e); /* NULL: nobody */
    void *ctx;
};

struct wikipedia_config {
    unsigned threads;
    struct dump_options dump;       /* may it be cut off; sizes, for tests */
    struct ngrams *ngrams;          /* NULL: nothing is counted; else it has
                                       `threads` counters */
    struct titles_aliases *aliases; /* NULL: redirects are passed over */
    struct wikipedia_sink sink;
};

struct wikipedia_stats {
    uint64_t pages;     /* of any namespace */
    uint64_t articles;  /* with text */
    uint64_t redirects; /* of namespace 0 */
    uint64_t text;      /* bytes of text */
    uint64_t truncated; /* dumps that were cut off */
};

/* Read one dump, "-" for standard input, in any compression.  Where sha256 is
 * not NULL it becomes the hash of what all the rest is made from: the names of
 * namespaces, then articles and redirects in their order. */
int wikipedia_read(const char *path, const struct wikipedia_config *c,
                   struct wikipedia_stats *s, struct tally *drops,
                   char sha256[SHA256_HEX], struct err *e);

#endif
