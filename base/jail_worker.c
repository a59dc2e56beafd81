/* The warden and the workers: the other side of base/jail. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/jail_inside.h"

#define WAKE_FD 3 /* a worker's two descriptors */
#define DONE_FD 4

/* ---- a worker ---- */

/* The terminal's Ctrl-C is for the parent, which lets requests finish. */
static void ignore_signals(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT};
    sigset_t none;

    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void set_limit(int what, rlim_t value)
{
    struct rlimit l = {value, value};

    setrlimit(what, &l); /* lowering; fails only where it is lower already */
}

static void limit_resources(const struct jail_config *c, size_t region_bytes)
{
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_FSIZE, 0);
    /* Behind the two other clocks: the wall clock of a request, and the
     * worker's own retirement between requests. */
    set_limit(RLIMIT_CPU, (rlim_t)c->cpu_max_s + 2 + 2 * c->timeout_ms / 1000);
#ifndef WITMILL_SANITIZED /* sanitizers reserve terabytes */
    if (c->memory_max)
        set_limit(RLIMIT_AS, c->memory_max + region_bytes);
#else
    (void)region_bytes;
#endif
}

/* When memory runs out, a decoder goes first. */
static void volunteer_for_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    ssize_t did;

    if (fd < 0)
        return;
    did = write(fd, "1000", 4);
    (void)did; /* a wish */
    close(fd);
}

static void keep_two_descriptors(struct jail_region *r)
{
    int wake = fcntl(r->wake, F_DUPFD, 5), done = fcntl(r->done, F_DUPFD, 5);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (wake < 0 || done < 0)
        _exit(1);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
#ifndef WITMILL_SANITIZED /* their reports go to standard error */
        dup2(null, STDERR_FILENO);
#endif
    }
    if (dup2(wake, WAKE_FD) < 0 || dup2(done, DONE_FD) < 0 ||
        close_range(DONE_FD + 1, ~0u, 0))
        _exit(1);
    r->wake = WAKE_FD;
    r->done = DONE_FD;
}

static int next_queued(const struct jail_shared *s, unsigned depth)
{
    int best = -1;

    for (unsigned i = 0; i < depth; i++)
        if (atomic_load(&s->slot[i].state) == SLOT_QUEUED &&
            (best < 0 || s->slot[i].number < s->slot[best].number))
            best = (int)i;
    return best;
}

static void run_slot(const struct jail_config *c, const struct jail_region *r,
                     unsigned i)
{
    struct jail_slot *s = &r->shared->slot[i];
    struct str in = str_make((const char *)jail_slot_in(r, i), s->in_bytes);
    uint64_t one = 1;
    size_t out_bytes = 0;
    ssize_t did;

    atomic_store(&s->state, SLOT_RUNNING);
    s->rc = c->fn(c->ctx, in, jail_slot_out(r, i), c->out_max, &out_bytes);
    s->out_bytes = out_bytes;
    atomic_store(&s->state, SLOT_DONE);
    did = write(r->done, &one, sizeof one);
    (void)did; /* an eventfd of few counts cannot block */
}

static bool is_worn(const struct jail_config *c)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec >= (time_t)c->cpu_max_s;
}

void jail_worker(const struct jail_config *c, struct jail_region *regions,
                 unsigned workers, unsigned self, pid_t warden)
{
    struct jail_region r = regions[self];

    prctl(PR_SET_NAME, "witmill-jail");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != warden)
        _exit(1); /* it died before prctl */
    ignore_signals();
    for (unsigned i = 0; i < workers; i++)
        if (i != self) /* what others work on is not ours to see */
            munmap(regions[i].shared, regions[i].bytes);
    volunteer_for_oom();
    keep_two_descriptors(&r);
    limit_resources(c, r.bytes);
#ifndef WITMILL_SANITIZED
    if (jail_confine(r.wake, r.done) == 0)
        atomic_store(&r.shared->confined, 1);
#endif
    for (;;) {
        int i = next_queued(r.shared, c->depth);
        uint64_t count;

        if (i >= 0)
            run_slot(c, &r, (unsigned)i);
        else if (read(r.wake, &count, sizeof count) < 0 && errno != EINTR)
            _exit(1);
        if (i >= 0 && is_worn(c))
            _exit(0);
    }
}

/* ---- the warden ---- */

struct warden {
    const struct jail_config *config;
    struct jail_region *regions;
    unsigned workers;
    int control, children;       /* socket; signalfd of SIGCHLD */
    pid_t pid[JAIL_WORKERS_MAX]; /* 0: none */
};

/* Everything the parent had open, locks above all, stays the parent's. */
static void keep_warden_descriptors(struct warden *w)
{
    int keep_max = w->control;

    for (unsigned i = 0; i < w->workers; i++) {
        if (w->regions[i].wake > keep_max)
            keep_max = w->regions[i].wake;
        if (w->regions[i].done > keep_max)
            keep_max = w->regions[i].done;
    }
    for (int fd = 3; fd <= keep_max; fd++) {
        bool keep = fd == w->control;

        for (unsigned i = 0; i < w->workers && !keep; i++)
            keep = fd == w->regions[i].wake || fd == w->regions[i].done;
        if (!keep)
            close(fd);
    }
    close_range((unsigned)keep_max + 1, ~0u, 0);
}

static void tell_died(const struct warden *w, unsigned worker, int status)
{
    struct jail_message m = {JAIL_DIED, worker, status};

    if (send(w->control, &m, sizeof m, MSG_NOSIGNAL) < 0)
        _exit(0); /* nobody left to tell */
}

static void start(struct warden *w, unsigned i)
{
    pid_t self = getpid(), pid = fork();

    if (pid == 0)
        jail_worker(w->config, w->regions, w->workers, i, self);
    if (pid > 0) {
        w->pid[i] = pid;
        return;
    }
    /* No process to be had: not at once again. */
    nanosleep(&(struct timespec){0, 50 * 1000 * 1000}, NULL);
    tell_died(w, i, 1 << 8);
}

static void reap(struct warden *w)
{
    struct signalfd_siginfo info;
    ssize_t did = read(w->children, &info, sizeof info);
    int status;
    pid_t pid;

    (void)did; /* one signal may stand for many children */
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (unsigned i = 0; i < w->workers; i++)
            if (w->pid[i] == pid) {
                w->pid[i] = 0;
                tell_died(w, i, status);
            }
}

static void end(struct warden *w)
{
    for (unsigned i = 0; i < w->workers; i++)
        if (w->pid[i])
            kill(w->pid[i], SIGKILL);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    _exit(0);
}

static void obey(struct warden *w)
{
    struct jail_message m;
    ssize_t n = recv(w->control, &m, sizeof m, 0);

    if (n < 0 && errno == EINTR)
        return;
    if (n != (ssize_t)sizeof m || m.worker >= w->workers)
        end(w); /* the parent closed the jail, or died */
    if (m.verb == JAIL_START && !w->pid[m.worker])
        start(w, m.worker);
    else if (m.verb == JAIL_KILL && w->pid[m.worker])
        kill(w->pid[m.worker], SIGKILL);
}

void jail_warden(const struct jail_config *c, struct jail_region *regions,
                 unsigned workers, int control, pid_t parent)
{
    struct warden w = {c, regions, workers, control, -1, {0}};
    sigset_t child;

    prctl(PR_SET_NAME, "witmill-warden");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    ignore_signals();
    keep_warden_descriptors(&w);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    w.children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (w.children < 0)
        _exit(1);
    for (;;) {
        struct pollfd p[2] = {{control, POLLIN, 0}, {w.children, POLLIN, 0}};

        if (poll(p, 2, -1) < 0 && errno != EINTR)
            end(&w);
        if (p[1].revents)
            reap(&w);
        if (p[0].revents)
            obey(&w);
    }
}
