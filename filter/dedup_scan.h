/*
 * dedup_scan - within a run of phashes, the first one that each is near to.
 *
 * Model.   run() compares every phash with those before it, from the first on,
 *          and stops at the first hit: at[] ascends, so that is the smallest.
 *          There is a version for each kind of processor, all with the same
 *          result.
 * Threads. Pure functions.
 * Cost.    run(): n^2 / 2 comparisons of `rate` a nanosecond, fewer where hits
 *          are many.
 */
#ifndef FILTER_DEDUP_SCAN_H
#define FILTER_DEDUP_SCAN_H

#include <stddef.h>
#include <stdint.h>

#define DEDUP_SCAN_SLACK                                                       \
    8 /* phashes behind a run that may be read, not used                       \
       */
#define DEDUP_SCANS_MAX 4

struct dedup_scan {
    const char *name; /* "avx512" */
    double rate;      /* comparisons a nanosecond, about */
    /* Index of the first of n phashes within radius bits of mine, or n. */
    size_t (*first)(const uint64_t *phash, size_t n, uint64_t mine,
                    unsigned radius);
    /* least[at[i]] <- min of it and at[k], k < i being the first hit of i. */
    void (*run)(const uint64_t *phash, const uint32_t *at, size_t n,
                unsigned radius, uint32_t *least);
};

/* Those that this processor has, the fastest first; their number, >= 1. */
size_t dedup_scans(const struct dedup_scan *list[DEDUP_SCANS_MAX]);

#endif
