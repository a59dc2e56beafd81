/*
 * jail_inside - what parent, warden and workers of one jail share; private to
 * base/jail*.
 *
 * Slot states.  Only the arrows' owners write them:
 *
 *     FREE --parent--> QUEUED --worker--> RUNNING --worker--> DONE --parent-->
 * FREE
 *
 * and the parent, after the worker's death and before its successor's start,
 * takes RUNNING to FREE (the request has its verdict) or back to QUEUED (the
 * request was a bystander).  A worker takes the QUEUED slot with the smallest
 * number first.
 */
#ifndef BASE_JAIL_INSIDE_H
#define BASE_JAIL_INSIDE_H

#include "base/buf.h"
#include "base/jail.h"
#include <stdatomic.h>
#include <sys/types.h>

enum slot_state { SLOT_FREE, SLOT_QUEUED, SLOT_RUNNING, SLOT_DONE };

struct jail_slot { /* in shared memory: what is read here is not trusted */
    _Atomic uint32_t state;
    int32_t rc;
    uint64_t number; /* order of submission */
    uint64_t in_bytes, out_bytes;
};

struct jail_shared { /* at the start of a worker's region */
    _Atomic uint32_t confined;
    struct jail_slot slot[]; /* depth of them */
};

/* A worker's region: head, then in and out of each slot, page by page. */
struct jail_region {
    struct jail_shared *shared;
    size_t bytes;               /* of the whole mapping */
    size_t head_bytes;          /* of struct jail_shared, rounded to pages */
    size_t in_bytes, out_bytes; /* of a slot's two halves, rounded */
    int wake;                   /* eventfd: there are queued slots */
    int done;                   /* eventfd: there are done slots */
};

static inline uint8_t *jail_slot_in(const struct jail_region *r, unsigned i)
{
    return (uint8_t *)r->shared + r->head_bytes +
           i * (r->in_bytes + r->out_bytes);
}

static inline uint8_t *jail_slot_out(const struct jail_region *r, unsigned i)
{
    return jail_slot_in(r, i) + r->in_bytes;
}

/* Parent to warden and back, one datagram each. */
enum jail_verb { JAIL_START, JAIL_KILL, JAIL_DIED };

struct jail_message {
    uint32_t verb;
    uint32_t worker;
    int32_t status; /* of JAIL_DIED: as waitpid gave it */
};

/* ---- the parent's own state ---- */

struct jail_request { /* what the parent knows of a slot */
    void *user;
    uint64_t number;
    size_t in_bytes;
    unsigned attempts;
    bool waiting; /* for an answer */
    bool decided; /* the answer is `outcome`, not the slot's */
    enum jail_outcome outcome;
    int signal;
};

struct jail_worker_state {
    struct jail_region region;
    struct jail_request *request; /* depth of them */
    unsigned waiting;             /* requests */
    unsigned stillborn;           /* starts since it last took a slot */
    uint64_t since_ms; /* when its oldest request came to the front */
    uint64_t killing;  /* number of the request it is killed for; 0 */
};

struct jail {
    struct jail_config config;
    struct jail_worker_state *workers;
    struct jail_region *regions; /* as the warden was given them */
    unsigned n;
    pid_t warden;
    int control, epoll, timer;
    bool ticking, lost;
    uint64_t next_number;
    uint64_t checked_ms; /* when the clocks were last looked at */
    struct buf answer;
    struct jail_stats stats;
};

/* Of the system, not base/clock: a test that moves the clock must not make
 * decoders late. */
uint64_t jail_now_ms(void);

/* Send the warden a verb; a warden that is gone sets lost. */
void jail_tell(struct jail *j, enum jail_verb verb, unsigned worker);

/* ---- the other side ---- */

/* The warden's whole life; never returns. control is its end of the socket,
 * parent the process that made it. */
void jail_warden(const struct jail_config *c, struct jail_region *regions,
                 unsigned workers, int control, pid_t parent)
    __attribute__((noreturn));

/* A worker's whole life. regions but its own are unmapped. */
void jail_worker(const struct jail_config *c, struct jail_region *regions,
                 unsigned workers, unsigned self, pid_t warden)
    __attribute__((noreturn));

/* Give up everything but computing, memory, and these two descriptors.
 * -E_UNSUPPORTED where the system refuses. */
int jail_confine(int read_fd, int write_fd);

#endif
