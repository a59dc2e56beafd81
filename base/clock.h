/*
 * clock - time behind a seam.
 *
 * Model.   clock_mono_ms() for delays and rates; clock_wall() only for what
 *          people read.  A test sets clock_fake and moves it by hand.
 * Threads. Any; set clock_fake before threads start.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock_fake {
    uint64_t mono_ms; /* what clock_mono_ms() returns */
    int64_t wall_s;   /* seconds since 1970 */
};

/* NULL: the system's clocks. */
void clock_set_fake(struct clock_fake *fake);

uint64_t clock_mono_ms(void);
uint64_t clock_mono_ns(void); /* the same clock, for what takes microseconds */
int64_t clock_wall_s(void);

/* "2026-11-21T12:00:00Z" into out[24] */
void clock_iso(int64_t wall_s, char out[24]);

#endif
