/*
 * interrupt - Ctrl-C for the stages that have something to finish.
 *
 * Model.   Between listen and end the first SIGINT, SIGTERM or SIGHUP only sets
 *          a flag, and the stage ends in its own time; a second one ends the
 *          process, which loses nothing that was saved.  Outside, one is
 *          enough: in `witmill run` the stages after a crawl are killed at
 *          once.  What is ignored (nohup) stays so.
 *          interrupt_remove() is for a stage that may be killed at any moment
 *          but makes a file outside the corpus, where nobody would miss or
 *          replace it: the first signal removes it and ends the process.
 *          A thread of its own waits for the signals, and all others have them
 *          blocked: nothing runs on the stack of a thread that computes.  That
 *          is not for beauty: oneDNN 2.6's sgemm lets the stack pointer point
 *          at the begin of a block of the heap, and the kernel would put a
 *          handler's frame below it, into what lies there.
 * Owns.    The thread, and the caller's signal mask until end puts it back.
 * Fails.   -E_CANCEL from end.
 * Threads. One stage at a time, on the thread that starts the others: those
 *          that are there before listen would still be hit.
 */
#ifndef TOOLS_INTERRUPT_H
#define TOOLS_INTERRUPT_H

#include <stdatomic.h>
#include "base/err.h"

/* The flag, unset. */
const atomic_bool *interrupt_listen(void);

/* path: borrowed until interrupt_end(). */
void interrupt_remove(const char *path);

/* rc; but -E_CANCEL for a stage that ended well before it saw the flag, so
 * that nothing comes after it. */
int interrupt_end(int rc, struct err *e);

#endif
