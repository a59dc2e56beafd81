/*
 * progress - how far a stage is, at what rate, and how long it will take.
 *
 * Model.   On a terminal one line that is redrawn; elsewhere a JSON line every
 *          ten seconds.  progress_end() leaves a line for good.
 * Threads. progress_add() from any; the rest from one; with notes, all of it.
 */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *label;     /* "match" */
    const char *unit;      /* "records" */
    uint64_t total;        /* units, 0: unknown */
    _Atomic uint64_t done; /* units */
    uint64_t began_ms;
    _Atomic uint64_t next_ms; /* when to speak again */
    bool terminal;
    char note[96]; /* what else to say; "" */
};

void progress_begin(struct progress *p, const char *label, const char *unit,
                    uint64_t total);
void progress_add(struct progress *p, uint64_t units);

/* Said beside the rate from now on: "loss 2.31, 310 TFLOP/s". */
void progress_note(struct progress *p, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* rc is the stage's: one that failed was not "done" but "stopped", and says
 * nothing when it had not begun. */
void progress_end(struct progress *p, int rc);

#endif
