/* The parent's side of base/jail. */
#include "base/jail.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/jail_inside.h"
#include "base/mem.h"

#define ATTEMPTS_MAX                                                           \
    3 /* runs of a request whose worker was killed for another */
#define STILLBORN_MAX 5 /* workers in a row that died before their first slot  \
                         */
#define KEEP_BYTES (1u << 20) /* a slot that was filled further gives back */

struct request { /* what the parent knows of a slot, out of workers' reach */
    void *user;
    uint64_t number;
    size_t in_bytes;
    unsigned attempts;
    bool waiting; /* for an answer */
    bool decided; /* the answer is `outcome`, not the slot's */
    enum jail_outcome outcome;
    int signal;
};

struct worker {
    struct jail_region region;
    struct request *request; /* depth of them */
    unsigned waiting;        /* requests */
    unsigned stillborn;      /* starts since it last took a slot */
    uint64_t since_ms;       /* when its oldest request came to the front */
    uint64_t killing;        /* number of the request it is killed for; 0 */
};

struct jail {
    struct jail_config config;
    struct worker *workers;
    struct jail_region *regions; /* as the warden was given them */
    unsigned n;
    pid_t warden;
    int control, epoll, timer;
    bool ticking, lost;
    uint64_t next_number;
    struct buf answer;
    struct jail_stats stats;
};

struct jail_config jail_config_default(jail_fn fn, void *ctx)
{
    return (struct jail_config){.fn = fn,
                                .ctx = ctx,
                                .depth = 4,
                                .in_max = 16u << 20,
                                .out_max = 17u << 20,
                                .memory_max = (uint64_t)3 << 30,
                                .timeout_ms = 20000,
                                .cpu_max_s = 600};
}

/* Not base/clock: a test that moves the clock must not make decoders late. */
static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- opening and closing ---- */

static size_t to_pages(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return (n + page - 1) / page * page;
}

static int region_open(struct jail_region *r, const struct jail_config *c,
                       struct err *e)
{
    void *p;

    r->wake = r->done = -1;
    r->head_bytes =
        to_pages(sizeof *r->shared + c->depth * sizeof r->shared->slot[0]);
    r->in_bytes = to_pages(c->in_max);
    r->out_bytes = to_pages(c->out_max);
    r->bytes = r->head_bytes + c->depth * (r->in_bytes + r->out_bytes);
    p = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return err_errno(e, E_IO, "map", "memory for decoders");
    r->shared = p;
    r->wake = eventfd(0, EFD_CLOEXEC);
    r->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->wake < 0 || r->done < 0)
        return err_errno(e, E_IO, "open", "eventfd");
    return 0;
}

static void region_close(struct jail_region *r)
{
    if (r->shared)
        munmap(r->shared, r->bytes);
    if (r->wake >= 0)
        close(r->wake);
    if (r->done >= 0)
        close(r->done);
}

static int fork_warden(struct jail *j, struct err *e)
{
    pid_t parent = getpid();
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
        return err_errno(e, E_IO, "open", "socket pair");
    j->warden = fork();
    if (j->warden == 0)
        jail_warden(&j->config, j->regions, j->n, pair[1], parent);
    close(pair[1]);
    j->control = pair[0];
    if (j->warden < 0)
        return err_errno(e, E_IO, "fork", "the decoders' warden");
    return 0;
}

static int watch(struct jail *j, int fd, struct err *e)
{
    struct epoll_event event = {.events = EPOLLIN};

    if (epoll_ctl(j->epoll, EPOLL_CTL_ADD, fd, &event))
        return err_errno(e, E_IO, "watch", "a decoder");
    return 0;
}

static int open_fds(struct jail *j, struct err *e)
{
    int rc;

    j->epoll = epoll_create1(EPOLL_CLOEXEC);
    j->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (j->epoll < 0 || j->timer < 0)
        return err_errno(e, E_IO, "open", "timer and epoll");
    rc = watch(j, j->timer, e);
    if (!rc)
        rc = watch(j, j->control, e);
    for (unsigned i = 0; !rc && i < j->n; i++)
        rc = watch(j, j->workers[i].region.done, e);
    return rc;
}

static void tell(struct jail *j, enum jail_verb verb, unsigned worker)
{
    struct jail_message m = {verb, worker, 0};

    if (send(j->control, &m, sizeof m, MSG_NOSIGNAL) < 0)
        j->lost = true;
}

static unsigned count_cores(void)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);

    return n < 1 ? 1 : n > JAIL_WORKERS_MAX ? JAIL_WORKERS_MAX : (unsigned)n;
}

int jail_open(struct jail **jail, const struct jail_config *c, struct err *e)
{
    struct jail *j = xcalloc(1, sizeof *j);
    int rc = 0;

    assert(c->fn && c->depth && c->workers <= JAIL_WORKERS_MAX);
    *jail = NULL;
    j->config = *c;
    j->n = c->workers ? c->workers : count_cores();
    j->control = j->epoll = j->timer = -1;
    j->workers = xcalloc(j->n, sizeof *j->workers);
    j->regions = xcalloc(j->n, sizeof *j->regions);
    buf_init(&j->answer, c->out_max);
    for (unsigned i = 0; i < j->n; i++)
        j->workers[i].region.wake = j->workers[i].region.done = -1;
    for (unsigned i = 0; !rc && i < j->n; i++) {
        j->workers[i].request =
            xcalloc(c->depth, sizeof *j->workers[i].request);
        rc = region_open(&j->workers[i].region, c, e);
        j->regions[i] = j->workers[i].region;
    }
    if (!rc)
        rc = fork_warden(j, e);
    if (!rc)
        rc = open_fds(j, e);
    if (rc) {
        jail_close(j);
        return rc;
    }
    for (unsigned i = 0; i < j->n; i++)
        tell(j, JAIL_START, i);
    *jail = j;
    return 0;
}

void jail_close(struct jail *j)
{
    if (!j)
        return;
    if (j->control >= 0)
        close(j->control); /* the warden sees it, kills the workers, ends */
    if (j->warden > 0)
        while (waitpid(j->warden, NULL, 0) < 0 && errno == EINTR)
            continue;
    for (unsigned i = 0; i < j->n; i++) {
        region_close(&j->workers[i].region);
        free(j->workers[i].request);
    }
    if (j->epoll >= 0)
        close(j->epoll);
    if (j->timer >= 0)
        close(j->timer);
    buf_release(&j->answer);
    free(j->workers);
    free(j->regions);
    free(j);
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

static void wake(const struct worker *w)
{
    uint64_t one = 1;
    ssize_t did = write(w->region.wake, &one, sizeof one);

    (void)did; /* cannot fail below 2^64 counts */
}

int jail_submit(struct jail *j, struct str in, void *user, struct err *e)
{
    struct worker *w = &j->workers[0];
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
    w->request[i] = (struct request){.user = user,
                                     .number = ++j->next_number,
                                     .in_bytes = in.n,
                                     .waiting = true};
    if (w->waiting++ == 0)
        w->since_ms = now_ms();
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

static struct request *oldest(const struct jail *j, const struct worker *w)
{
    struct request *best = NULL;

    for (unsigned i = 0; i < j->config.depth; i++) {
        struct request *r = &w->request[i];

        if (r->waiting && !r->decided && (!best || r->number < best->number))
            best = r;
    }
    return best;
}

static void decide(struct jail *j, struct request *r, enum jail_outcome o,
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
static void settle(struct jail *j, struct worker *w, int status)
{
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    bool took_one = false;

    for (unsigned i = 0; i < j->config.depth; i++) {
        struct jail_slot *s = &w->region.shared->slot[i];
        struct request *r = &w->request[i];
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
        struct worker *w;

        if (n != (ssize_t)sizeof m || m.verb != JAIL_DIED || m.worker >= j->n)
            continue;
        w = &j->workers[m.worker];
        settle(j, w, m.status);
        j->stats.replaced++;
        w->since_ms = now_ms();
        tell(j, JAIL_START, m.worker);
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        j->lost = true;
}

static void check_clocks(struct jail *j)
{
    uint64_t now = now_ms(), ticks;
    ssize_t did = read(j->timer, &ticks, sizeof ticks);

    (void)did; /* only to make it unreadable again */
    for (unsigned i = 0; i < j->n; i++) {
        struct worker *w = &j->workers[i];
        struct request *r = oldest(j, w);

        if (!r || w->killing || now - w->since_ms < j->config.timeout_ms)
            continue;
        w->killing = r->number;
        tell(j, JAIL_KILL, i);
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
static void take(struct jail *j, struct worker *w, unsigned i,
                 struct jail_done *done)
{
    struct jail_slot *s = &w->region.shared->slot[i];
    struct request *r = &w->request[i];
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
    w->since_ms = now_ms();
    w->stillborn = 0;
}

static bool find_answer(struct jail *j, struct jail_done *done)
{
    for (unsigned k = 0; k < j->n; k++) {
        struct worker *w = &j->workers[k];

        for (unsigned i = 0; w->waiting && i < j->config.depth; i++) {
            struct request *r = &w->request[i];
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
    uint64_t end = now_ms() + (uint64_t)(timeout_ms < 0 ? 0 : timeout_ms);

    for (;;) {
        struct epoll_event event;
        uint64_t now;

        if (jail_next(j, done))
            return true;
        now = now_ms();
        if (jail_free(j) == jail_slots(j) || (timeout_ms >= 0 && now >= end))
            return false;
        if (epoll_wait(j->epoll, &event, 1,
                       timeout_ms < 0 ? -1 : (int)(end - now)) < 0 &&
            errno != EINTR)
            return false;
    }
}
