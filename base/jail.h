/*
 * jail - work on strangers' bytes in processes that may die of it.
 *
 * Model.   open -> (submit | next)* -> close.  A function runs in worker
 *          processes, one a core, each with a few slots of shared memory, so
 *          that a batch of requests waits at every worker and none idles while
 *          the parent does something else.  Workers may allocate, compute and
 *          write their slots; files, sockets, threads and processes are closed
 *          to them (seccomp), their memory and time are limited.  A worker
 *          that dies is replaced; the request it died of is answered
 *          JAIL_CRASHED, the others waiting at it are run by the next one.  A
 *          request over its wall clock is answered JAIL_TIMEOUT; time for which
 *          the parent itself did not look does not count.
 *
 *          open forks a warden, which forks the workers and replaces them: a
 *          process that was small and had no connections open stays so, however
 *          large the parent grows.  Everything ends when the parent does, even
 *          by SIGKILL.
 * Owns.    The jail owns processes, memory and descriptors.  Inputs are copied;
 *          an answer is a copy, valid until the next call of jail_next, and was
 *          made by a process that may have been taken over: check it.
 * Fails.   -E_IO when processes or memory cannot be had; -E_BUSY when all
 *          slots are taken; -E_TOOBIG for an input over in_max.
 * Threads. Open it before threads start, on the thread that ends last (its end
 *          ends the warden).  All other calls from one thread at a time.
 * Cost.    Two copies and two wake-ups a request; slots take real memory only
 *          as far as they were filled.
 */
#ifndef BASE_JAIL_H
#define BASE_JAIL_H

#include "base/err.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JAIL_WORKERS_MAX 256

/* Work on in, write at most cap bytes to out and their number to *out_bytes;
 * what it returns is handed to the parent as it is. */
typedef int (*jail_fn)(void *ctx, struct str in, uint8_t *out, size_t cap,
                       size_t *out_bytes);

struct jail_config {
    jail_fn fn;
    void *ctx;           /* as it was at jail_open; workers see a copy */
    unsigned workers;    /* 0: one a core */
    unsigned depth;      /* slots a worker, 1.. */
    size_t in_max;       /* bytes of a request */
    size_t out_max;      /* bytes of an answer */
    uint64_t memory_max; /* bytes of a worker's address space; 0: no limit */
    unsigned timeout_ms; /* wall clock of a request */
    unsigned cpu_max_s;  /* a worker is replaced, between requests, after so
                            much processor time: leaks end there */
};

/* One worker a core, depth 4, 16 MiB in, 17 MiB out, 3 GiB, 20 s, 600 s. */
struct jail_config jail_config_default(jail_fn fn, void *ctx);

enum jail_outcome {
    JAIL_DONE,    /* rc and out are fn's */
    JAIL_CRASHED, /* the worker died: signal, memory limit, forbidden call */
    JAIL_TIMEOUT,
    JAIL_LOST /* the jail itself failed (no memory, no processes): nothing is
                 known about the request, and the stage should stop */
};

struct jail_done {
    void *user; /* as submitted */
    enum jail_outcome outcome;
    int rc;         /* fn's, for JAIL_DONE */
    struct str out; /* for JAIL_DONE */
    int signal;     /* what killed the worker; 0: it left by itself */
};

struct jail;

int jail_open(struct jail **jail, const struct jail_config *c, struct err *e);
void jail_close(struct jail *jail); /* waiting requests are dropped; NULL ok */

unsigned jail_slots(const struct jail *jail); /* all of them */
unsigned jail_free(const struct jail *jail);  /* not waiting for an answer */

int jail_submit(struct jail *jail, struct str in, void *user, struct err *e);

/* Readable when jail_next may have something to say: for poll, epoll or
 * libcurl's curl_multi_poll.  It also drives replacement and time-outs, so call
 * jail_next whenever it is readable, until that returns false. */
int jail_fd(const struct jail *jail);

/* An answer, if there is one; never waits. */
bool jail_next(struct jail *jail, struct jail_done *done);

/* The same, waiting up to timeout_ms (-1: until there is one).  False: time is
 * up, or nothing was submitted. */
bool jail_wait(struct jail *jail, int timeout_ms, struct jail_done *done);

/* What happened so far, for the summary. */
struct jail_stats {
    uint64_t submitted, done, crashed, timed_out;
    uint64_t replaced; /* workers, for whatever reason */
    bool confined;     /* seccomp is in force; known once all have started */
};

struct jail_stats jail_stats_of(const struct jail *jail);

#endif
