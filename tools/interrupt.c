#include "tools/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#define WAKE SIGRTMIN /* to the listener alone */

static atomic_bool stop, over;
static bool listening;     /* the thread is there */
static const char *doomed; /* goes with the process, or NULL */
static pthread_t listener;
static sigset_t asked, before;

/* The first signal asks, unless something is doomed; the second ends the
 * process as if nobody listened. */
static void *listen_for(void *unused)
{
    int got;

    (void)unused;
    while (!atomic_load(&over)) {
        if (sigwait(&asked, &got) || got == WAKE)
            continue;
        if (atomic_exchange(&stop, true) || doomed) {
            if (doomed)
                unlink(doomed);
            signal(got, SIG_DFL);
            pthread_sigmask(SIG_UNBLOCK, &asked, NULL);
            raise(got);
        }
    }
    return NULL;
}

/* Who is started with a signal ignored (nohup, a shell's background) is not to
 * be stopped by it; blocked, it would be waited for. */
static int signals_of(sigset_t *set)
{
    static const int all[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction now;
    int n = 0;

    sigemptyset(set);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (sigaction(all[i], NULL, &now) || now.sa_handler == SIG_IGN)
            continue;
        sigaddset(set, all[i]);
        n++;
    }
    return n;
}

/* Blocked first: threads inherit that, and the one that waits must have it. */
static void begin_listening(const char *path)
{
    atomic_store(&stop, false);
    atomic_store(&over, false);
    doomed = path;
    if (!signals_of(&asked))
        return;
    sigaddset(&asked, WAKE);
    pthread_sigmask(SIG_BLOCK, &asked, &before);
    listening = !pthread_create(&listener, NULL, listen_for, NULL);
    if (!listening) /* a signal ends the process then, as it does outside */
        pthread_sigmask(SIG_SETMASK, &before, NULL);
}

const atomic_bool *interrupt_listen(void)
{
    begin_listening(NULL);
    return &stop;
}

void interrupt_remove(const char *path)
{
    begin_listening(path);
}

static void end_listening(void)
{
    if (!listening)
        return;
    atomic_store(&over, true);
    pthread_kill(listener, WAKE);
    pthread_join(listener, NULL);
    listening = false;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int interrupt_end(int rc, struct err *e)
{
    end_listening();
    if (rc == 0 && atomic_load(&stop))
        return err_set(e, E_CANCEL, "stopped on request");
    return rc;
}
