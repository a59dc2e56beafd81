/*
 * frontier - which URLs a crawl knows, which of them wait, whose turn is next.
 *
 * Model.   In memory alone, rebuilt from crawl.db by one scan.  URLs, hosts and
 *          domains (registrable ones; the host itself where there is none)
 *          have numbers from 1, in the order they came; those of URLs and
 *          hosts are their row ids.  A URL is
 *
 *            WAITING --take--> TAKEN --settle--> ENDED
 *               |                                  ^
 *               +-------------settle---------------+   (a redirect led here)
 *
 *          and never comes back within a run (one that was released without
 *          being settled stays TAKEN).  Each host has a chain of its waiting
 *          URLs per depth.  take() goes by depth first, then round the hosts,
 *          so that a large host neither starves others nor is starved; at most
 *          `ahead` URLs of a host are out at a time.
 *
 *          Depth is the fewest links from a seed.  lower() moves a waiting URL
 *          to a smaller depth: it gets a second entry there, and the old one
 *          is passed over when its turn comes.
 *
 *          Budgets (0: none) count pages, over all runs of the crawl.  A URL
 *          that is out counts as a page until it is settled, so that no budget
 *          is overrun by what is in flight.
 * Owns.    All of it; strings given are not kept.
 * Fails.   -E_NOMEM, -E_TOOBIG behind UINT32_MAX - 1 URLs.
 * Threads. One at a time.
 * Cost.    20 to 22 bytes a URL (8 hash, 4 chain, 2 depth and state, 5.9 to
 *          7.9 table) and 8 for one whose depth was lowered while it waited;
 *          some 120 a host.  take() and settle() are O(1) but for the number
 *          of depths a host has.
 */
#ifndef CRAWLER_FRONTIER_H
#define CRAWLER_FRONTIER_H

#include "base/str.h"
#include "crawler/frontier_seen.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRONTIER_DEPTH_MAX                                                     \
    8000 /* links from a seed; deeper ones are dropped                         \
          */

struct frontier_limits {
    uint64_t pages;            /* of the whole crawl; 0: no limit */
    uint64_t pages_per_host;   /* 0: no limit */
    uint64_t pages_per_domain; /* 0: no limit */
    unsigned depth;            /* URLs deeper than that wait, and stay */
    unsigned ahead;            /* URLs of one host out at a time, from 1 */
};

enum frontier_state {
    FRONTIER_WAITING,
    FRONTIER_TAKEN,
    FRONTIER_ENDED,
    FRONTIER_REDIRECT /* ended; stands for the URL it led to, at no link's
                         distance */
};

struct frontier;

struct frontier *frontier_new(const uint8_t key[SEEN_KEY_SIZE],
                              const struct frontier_limits *limits);
void frontier_free(struct frontier *f); /* NULL is fine */

/* Number of a host, entered if new, with its registrable domain. */
int frontier_host(struct frontier *f, struct str host, struct str domain,
                  uint32_t *number, bool *added);

/* Number of a host that is known, else 0; how many are. */
uint32_t frontier_find_host(const struct frontier *f, struct str host);
uint32_t frontier_hosts(const struct frontier *f);

/* Number of url, entered if new as WAITING (and put into its host's chain) or
 * ENDED or REDIRECT. */
int frontier_add(struct frontier *f, struct str url, uint32_t host,
                 unsigned depth, enum frontier_state state, uint32_t *number,
                 bool *added);

/* Number of url, 0 when it is not known; how many are. */
uint32_t frontier_find(const struct frontier *f, struct str url);
uint32_t frontier_urls(const struct frontier *f);

unsigned frontier_depth(const struct frontier *f, uint32_t url);
enum frontier_state frontier_state(const struct frontier *f, uint32_t url);

/* A shorter path to url, which is host's; depth is smaller than it was. */
int frontier_lower(struct frontier *f, uint32_t url, uint32_t host,
                   unsigned depth);

struct frontier_turn {
    uint32_t url, host;
    unsigned depth;
};

/* The next URL, now TAKEN; false when none may be taken now. */
bool frontier_take(struct frontier *f, struct frontier_turn *t);

/* url is done with: ENDED or REDIRECT. */
void frontier_settle(struct frontier *f, uint32_t url,
                     enum frontier_state state);

/* What was reserved by take() for a URL of host is free again. */
void frontier_release(struct frontier *f, uint32_t host);

/* No URL of host is taken any more: it is down. */
void frontier_hold(struct frontier *f, uint32_t host);

/* Count a page of host. */
void frontier_page(struct frontier *f, uint32_t host);

/* May one more page of host be taken, as far as budgets go? */
bool frontier_affords(const struct frontier *f, uint32_t host);

struct frontier_stats {
    uint64_t urls, hosts, domains;
    uint64_t waiting; /* within the depth limit */
    uint64_t deeper;  /* waiting behind the depth limit */
    uint64_t taken;   /* out now */
    uint64_t pages;
    size_t bytes; /* of memory */
};

void frontier_stats(const struct frontier *f, struct frontier_stats *out);

/* Asserts what Model promises; O(all). */
void frontier_check(const struct frontier *f);

#endif
