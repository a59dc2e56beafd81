/*
 * frontier_seen - a set of strings that are known by a keyed hash alone.
 *
 * Model.   Each string gets the next number, from 1.  Two strings with one
 *          64-bit hash count as one: with a billion of them the chance that
 *          any was lost so is 3 in 100.  The hash is SipHash-2-4 under a key
 *          that the crawl drew for itself, so that nobody can write a page of
 *          URLs that collide (threat 13).
 * Owns.    Its tables; the strings are not kept.
 * Fails.   -E_NOMEM; -E_TOOBIG behind UINT32_MAX - 1 entries.  After -E_NOMEM
 *          the set may only be released.
 * Threads. One at a time.
 * Cost.    8 bytes of hash and 5.9 to 7.9 of table an entry, no slack: the
 *          table grows by a third and is rebuilt from the hashes in place.
 */
#ifndef CRAWLER_FRONTIER_SEEN_H
#define CRAWLER_FRONTIER_SEEN_H

#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SEEN_KEY_SIZE 16
#define SEEN_BLOCK    65536u /* entries of one block of hashes */

struct seen {
    uint8_t key[SEEN_KEY_SIZE];
    uint32_t n;          /* entries; numbers are 1..n */
    uint32_t *slots;     /* numbers, 0: free */
    uint8_t *tags;       /* low byte of the hash of the slot's entry */
    uint64_t n_slots;    /* of both */
    uint64_t **hashes;   /* blocks of SEEN_BLOCK, by number - 1 */
    uint32_t n_blocks;   /* allocated blocks */
    uint32_t cap_blocks; /* room for pointers */
};

void seen_init(struct seen *s, const uint8_t key[SEEN_KEY_SIZE]);
void seen_release(struct seen *s);

/* Number of an entry, 0 when it is not there. */
uint32_t seen_find(const struct seen *s, struct str text);

/* Number of text, entered if new; *added says which. */
int seen_add(struct seen *s, struct str text, uint32_t *number, bool *added);

/* Bytes allocated. */
size_t seen_bytes(const struct seen *s);

/* SipHash-2-4 (Aumasson and Bernstein, 2012). */
uint64_t seen_siphash(const uint8_t key[SEEN_KEY_SIZE], struct str text);

#endif
