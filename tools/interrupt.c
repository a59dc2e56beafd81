#include "tools/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#define WAKE SIGRTMIN /* to the listener alone */

static atomic_bool stop, over;
static bool listening; /* the thread is there */
static pthread_t listener;
static sigset_t asked, before;

/* The first signal asks; the second ends the process as if nobody listened. */
static void *listen_for(void *unused)
{
    int got;

    (void)unused;
    while (!atomic_load(&over)) {
        if (sigwait(&asked, &got) || got == WAKE)
            continue;
        if (atomic_exchange(&stop, true)) {
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
const atomic_bool *interrupt_listen(void)
{
    atomic_store(&stop, false);
    atomic_store(&over, false);
    if (!signals_of(&asked))
        return &stop;
    sigaddset(&asked, WAKE);
    pthread_sigmask(SIG_BLOCK, &asked, &before);
    listening = !pthread_create(&listener, NULL, listen_for, NULL);
    if (!listening) /* a signal ends the process then, as it does outside */
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    return &stop;
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
