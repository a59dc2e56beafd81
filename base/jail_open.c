/* The parent's side of base/jail: making and unmaking one. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/jail_inside.h"
#include "base/mem.h"

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

void jail_tell(struct jail *j, enum jail_verb verb, unsigned worker)
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
        jail_tell(j, JAIL_START, i);
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
