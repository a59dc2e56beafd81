#include "tools/interrupt.h"

#include <signal.h>
#include <stdbool.h>

static atomic_bool stop;
static struct sigaction before_int, before_term;

static void on_signal(int signal)
{
    (void)signal;
    atomic_store(&stop, true);
}

/* Who is started with the signal ignored (nohup, a shell's background) is not
 * to be stopped by it. */
static void listen_to(int signal, struct sigaction *before)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

    sigemptyset(&a.sa_mask);
    sigaction(signal, NULL, before);
    if (before->sa_handler != SIG_IGN)
        sigaction(signal, &a, NULL);
}

const atomic_bool *interrupt_listen(void)
{
    atomic_store(&stop, false);
    listen_to(SIGINT, &before_int);
    listen_to(SIGTERM, &before_term);
    return &stop;
}

int interrupt_end(int rc, struct err *e)
{
    sigaction(SIGINT, &before_int, NULL);
    sigaction(SIGTERM, &before_term, NULL);
    if (rc == 0 && atomic_load(&stop))
        return err_set(e, E_CANCEL, "stopped on request");
    return rc;
}
