/*
 * dedup_keys - rows in order of 64-bit keys that may have been chosen: a radix
 * sort, whose steps depend on the number of rows alone.
 *
 * Model.   The caller fills key and at, n of each, and gives as much room; at
 *          is carried along.  Rows of one key stay in their order.
 * Owns.    Nothing; v and room may change places.
 * Threads. Pure functions.
 * Cost.    Two reads and a write of 12 bytes a row for each 11 bits (8, where
 *          rows are few) in which keys differ: at most six of them (eight).
 */
#ifndef FILTER_DEDUP_KEYS_H
#define FILTER_DEDUP_KEYS_H

#include <stddef.h>
#include <stdint.h>

struct dedup_keys {
    uint64_t *key;
    uint32_t *at;
};

/* The number of rows that were moved, each time counted. */
uint64_t dedup_keys_sort(struct dedup_keys *v, struct dedup_keys *room,
                         size_t n);

#endif
