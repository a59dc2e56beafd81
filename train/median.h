/*
 * median - of a series of any length, in bounded memory.
 *
 * Model.   Up to MEDIAN_SIZE numbers are kept as they are: the median is exact.
 *          Of a longer series a random sample of as many is kept (Vitter 1985,
 *          algorithm R), drawn by hash: the same series gives the same median.
 * Owns.    The numbers kept; median_release() frees them.
 * Threads. One a struct.
 * Cost.    An addition is O(1) and allocates nothing; median_of() sorts.
 */
#ifndef TRAIN_MEDIAN_H
#define TRAIN_MEDIAN_H

#include <stdint.h>

#define MEDIAN_SIZE 65536 /* numbers kept */

struct median {
    double *x;     /* [min(n, MEDIAN_SIZE)] are there */
    uint64_t n;    /* numbers added */
    uint64_t most; /* numbers there is room for */
};

/* most: numbers that will be added, at most; memory is taken for no more. */
void median_init(struct median *m, uint64_t most);
void median_release(struct median *m);

void median_add(struct median *m, double x);

/* The upper one of two in the middle; 0 of none.  Sorts what was kept: the
 * last thing that is asked. */
double median_of(struct median *m);

/* The same for another share, in 0..1, than a half: what so much of the series
 * is below. */
double median_share(struct median *m, double share);

#endif
