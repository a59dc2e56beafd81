/* The parent's side of base/jail: requests out, answers in. */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/jail_inside.h"

#define ATTEMPTS_MAX                                                           \
    3 /* runs of a request whose worker was killed for another */
#define STILLBORN_MAX                                                          \
    5 /* workers in a row that died before their first slot                    \
       */
#define KEEP_BYTES (1u << 20) /* a slot that was filled further gives back */

uint64_t jail_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- asking ---- */

int jail_fd(const struct jail *j)
{
    return j->epoll;
}

unsigned jail_slots(const struct jail *j)
{
    return j->n * j->config.depth;
}

unsigned jail_free(const struct jail *j)
{
    unsigned n = jail_slots(j);

    for (unsigned i = 0; i < j->n; i++)
        n -= j->workers[i].waiting;
    return n;
}

struct jail_stats jail_stats_of(const struct jail *j)
{
    struct jail_stats s = j->stats;

    s.confined = true;
    for (unsigned i = 0; i < j->n; i++)
        if (!atomic_load(&j->workers[i].region.shared->confined))
            s.confined = false;
    return s;
}

/* The timer ticks while anything waits: requests are judged a little late, at
 * no cost per request. */
static void tick(struct jail *j, bool on)
{
    unsigned ms = j->config.timeout_ms / 8 + 1;
    struct timespec t = {on ? ms / 1000 : 0, on ? ms % 1000 * 1000000L : 0};
    struct itimerspec its = {t, t};

    if (on != j->ticking)
        timerfd_settime(j->timer, 0, &its, NULL);
    j->ticking = on;
}

static void wake(const struct jail_worker_state *w)
{
    uint64_t one = 1;
    ssize_t did = write(w->region.wake, &one, sizeof one);

    (void)did; /* cannot fail below 2^64 counts */
}

int jail_submit(struct jail *j, struct str in, void *user, struct err *e)
{
    struct jail_worker_state *w = &j->workers[0];
    struct jail_slot *s;
    unsigned i = 0;

    if (in.n > j->config.in_max)
        return err_set(e, E_TOOBIG, "a request of %zu bytes, at most %zu", in.n,
                       j->config.in_max);
    if (j->lost)
        return err_set(e, E_IO, "the decoders' warden process is gone");
    for (unsigned k = 1; k < j->n; k++)
        if (j->workers[k].waiting < w->waiting)
            w = &j->workers[k];
    while (i < j->config.depth && w->request[i].waiting)
        i++;
    if (i == j->config.depth)
        return -E_BUSY;
    w->request[i] = (struct jail_request){.user = user,
                                          .number = ++j->next_number,
                                          .in_bytes = in.n,
                                          .waiting = true};
    if (w->waiting++ == 0)
        w->since_ms = jail_now_ms();
    if (in.n)
        memcpy(jail_slot_in(&w->region, i), in.p, in.n);
    s = &w->region.shared->slot[i];
    s->number = w->request[i].number;
    s->in_bytes = in.n;
    s->out_bytes = 0;
    atomic_store(&s->state, SLOT_QUEUED);
    wake(w);
    tick(j, true);
    j->stats.submitted++;
    return 0;
}

/* ---- answers ---- */

static struct jail_request *oldest(const struct jail *j,
                                   const struct jail_worker_state *w)
{
    struct jail_request *best = NULL;

    for (unsigned i = 0; i < j->config.depth; i++) {
        struct jail_request *r = &w->request[i];

        if (r->waiting && !r->decided && (!best || r->number < best->number))
            best = r;
    }
    return best;
}

static void decide(struct jail *j, struct jail_request *r, enum jail_outcome o,
                   int signal)
{
    r->decided = true;
    r->outcome = o;
    r->signal = signal;
    if (o == JAIL_TIMEOUT)
        j->stats.timed_out++;
    else if (o == JAIL_CRASHED)
        j->stats.crashed++;
}

/* The worker is dead, its successor not yet started: the only time at which
 * the parent may touch a RUNNING slot. */
static void settle(struct jail *j, struct jail_worker_state *w, int status)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    bool took_one = false;

    for (unsigned i = 0; i < j->config.depth; i++) {
        struct jail_slot *s = &w->region.shared->slot[i];
        struct jail_request *r = &w->request[i];
        uint32_t state = atomic_load(&s->state);

        if (!r->waiting || r->decided)
            continue;
        if (state == SLOT_DONE)
            took_one = true;
        if (state != SLOT_RUNNING)
            continue;
        took_one = true;
        if (r->number == w->killing) {
            decide(j, r, JAIL_TIMEOUT, signal);
        } else if (!w->killing || signal != SIGKILL ||
                   ++r->attempts == ATTEMPTS_MAX) {
            decide(j, r, JAIL_CRASHED, signal);
        } else {
            /* It came to the front between our clock and the kill. */
            s->number = r->number;
            s->in_bytes = r->in_bytes;
            atomic_store(&s->state, SLOT_QUEUED);
        }
    }
    w->killing = 0;
    w->stillborn = took_one || status == 0 ? 0 : w->stillborn + 1;
    if (w->stillborn > STILLBORN_MAX && oldest(j, w))
        decide(j, oldest(j, w), JAIL_LOST, signal);
}

static void hear_warden(struct jail *j)
{
    struct jail_message m;
    ssize_t n;

    while ((n = recv(j->control, &m, sizeof m, MSG_DONTWAIT)) > 0) {
        struct jail_worker_state *w;

        if (n != (ssize_t)sizeof m || m.verb != JAIL_DIED || m.worker >= j->n)
            continue;
        w = &j->workers[m.worker];
        settle(j, w, m.status);
        j->stats.replaced++;
        w->since_ms = jail_now_ms();
        jail_tell(j, JAIL_START, m.worker);
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        j->lost = true;
}

static void check_clocks(struct jail *j)
{
    uint64_t now = jail_now_ms(), ticks;
    ssize_t did = read(j->timer, &ticks, sizeof ticks);

    bool slept = now - j->checked_ms > j->config.timeout_ms / 2;

    (void)did; /* only to make it unreadable again */
    j->checked_ms = now;
    for (unsigned i = 0; i < j->n; i++) {
        struct jail_worker_state *w = &j->workers[i];
        struct jail_request *r = oldest(j, w);

        if (slept) /* so did the workers, if we were stopped: Ctrl-Z */
            w->since_ms = now;
        if (!r || w->killing || now - w->since_ms < j->config.timeout_ms)
            continue;
        w->killing = r->number;
        jail_tell(j, JAIL_KILL, i);
    }
}

static void give_back(const struct jail_region *r, unsigned i, size_t in,
                      size_t out)
{
    if (in > KEEP_BYTES)
        madvise(jail_slot_in(r, i), r->in_bytes, MADV_REMOVE);
    if (out > KEEP_BYTES)
        madvise(jail_slot_out(r, i), r->out_bytes, MADV_REMOVE);
}

/* Fill done from slot i of w and free the slot. */
static void take(struct jail *j, struct jail_worker_state *w, unsigned i,
                 struct jail_done *done)
{
    struct jail_slot *s = &w->region.shared->slot[i];
    struct jail_request *r = &w->request[i];
    size_t out_bytes = r->decided ? 0 : s->out_bytes;

    *done = (struct jail_done){
        .user = r->user, .outcome = r->outcome, .signal = r->signal};
    if (!r->decided && out_bytes <= j->config.out_max) {
        buf_clear(&j->answer);
        buf_add_bytes(&j->answer, jail_slot_out(&w->region, i), out_bytes);
        done->outcome = j->answer.rc ? JAIL_LOST : JAIL_DONE;
        done->rc = s->rc;
        done->out = buf_str(&j->answer);
        j->stats.done++;
    } else if (!r->decided) {
        done->outcome = JAIL_CRASHED; /* it claims more than it can have */
        j->stats.crashed++;
    }
    give_back(&w->region, i, r->in_bytes,
              r->decided ? j->config.out_max : out_bytes);
    atomic_store(&s->state, SLOT_FREE);
    r->waiting = false;
    w->waiting--;
    w->since_ms = jail_now_ms();
    w->stillborn = 0;
}

static bool find_answer(struct jail *j, struct jail_done *done)
{
    for (unsigned k = 0; k < j->n; k++) {
        struct jail_worker_state *w = &j->workers[k];

        for (unsigned i = 0; w->waiting && i < j->config.depth; i++) {
            struct jail_request *r = &w->request[i];
            uint32_t state = atomic_load(&w->region.shared->slot[i].state);

            if (!r->waiting)
                continue;
            if (j->lost && !r->decided && state != SLOT_DONE)
                decide(j, r, JAIL_LOST, 0);
            if (r->decided || state == SLOT_DONE) {
                take(j, w, i, done);
                return true;
            }
        }
    }
    return false;
}

bool jail_next(struct jail *j, struct jail_done *done)
{
    uint64_t count;

    if (find_answer(j, done))
        return true;
    /* Forget the wake-ups first, then look: one that comes in between makes
     * the descriptor readable again. */
    for (unsigned i = 0; i < j->n; i++) {
        ssize_t did = read(j->workers[i].region.done, &count, sizeof count);

        (void)did; /* EAGAIN: nothing new there */
    }
    if (!j->lost)
        hear_warden(j);
    check_clocks(j);
    if (find_answer(j, done))
        return true;
    if (jail_free(j) == jail_slots(j))
        tick(j, false);
    return false;
}

bool jail_wait(struct jail *j, int timeout_ms, struct jail_done *done)
{
    uint64_t end = jail_now_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);

    for (;;) {
        struct epoll_event event;
        uint64_t now;

        if (jail_next(j, done))
            return true;
        now = jail_now_ms();
        if (jail_free(j) == jail_slots(j) || (timeout_ms >= 0 && now >= end))
            return false;
        if (epoll_wait(j->epoll, &event, 1,
                       timeout_ms < 0 ? -1 : (int)(end - now)) < 0 &&
            errno != EINTR)
            return false;
    }
}
