#include "tools/net_options.h"

#include <signal.h>

static atomic_bool stop;

static void on_signal(int signal)
{
    (void)signal;
    atomic_store(&stop, true);
}

atomic_bool *stop_on_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};

    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
    return &stop;
}
