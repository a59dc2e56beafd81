/*
 * interrupt - Ctrl-C for the stages that have something to finish.
 *
 * Model.   Between listen and end the first SIGINT or SIGTERM only sets a flag,
 *          and the stage ends in its own time; a second one ends the process,
 *          which loses nothing that was saved.  Outside, one is enough: in
 *          `witmill run` the stages after a crawl are killed at once.
 * Owns.    The dispositions of the two signals, until end puts them back.
 * Fails.   -E_CANCEL from end.
 * Threads. One stage at a time.
 */
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include <stdatomic.h>
#include "base/err.h"

/* The flag, unset. */
const atomic_bool *interrupt_listen(void);

/* rc; but -E_CANCEL for a stage that ended well before it saw the flag, so
 * that nothing comes after it. */
int interrupt_end(int rc, struct err *e);

#endif
