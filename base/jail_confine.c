/* The system calls a decoder needs, and no others (seccomp). */
#include <errno.h>
#include <seccomp.h>
#include <sys/mman.h>

#include "base/jail_inside.h"

/* Allocation, waiting on itself, time, dying. */
static const int allowed[] = {
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(brk),
    SCMP_SYS(madvise),
    SCMP_SYS(futex),
    SCMP_SYS(sched_yield),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(getrandom),
    SCMP_SYS(sysinfo),           /* qsort asks how much memory there is */
    SCMP_SYS(sched_getaffinity), /* dav1d counts processors */
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(tgkill), /* abort() */
};

/* Libraries may try these and do without; anything else is an attack and kills
 * the worker. */
static const int denied[] = {
    SCMP_SYS(open),      SCMP_SYS(openat),     SCMP_SYS(stat),
    SCMP_SYS(fstat),     SCMP_SYS(newfstatat), SCMP_SYS(readlink),
    SCMP_SYS(clone),     SCMP_SYS(clone3),     SCMP_SYS(prctl),
    SCMP_SYS(ioctl),     SCMP_SYS(lseek),      SCMP_SYS(rt_sigaction),
    SCMP_SYS(prlimit64), SCMP_SYS(getrusage),  SCMP_SYS(writev),
};

static int add_rules(scmp_filter_ctx f, int read_fd, int write_fd)
{
    int rc = 0;

    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; i < sizeof denied / sizeof denied[0]; i++)
        rc |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), denied[i], 0);
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(read), 1,
                           SCMP_A0(SCMP_CMP_EQ, (unsigned)read_fd, 0));
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(write), 1,
                           SCMP_A0(SCMP_CMP_EQ, (unsigned)write_fd, 0));
    /* dav1d reports broken streams on standard error, unasked. */
    rc |= seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(write), 1,
                           SCMP_A0(SCMP_CMP_NE, (unsigned)write_fd, 0));
    /* Memory, but none to run code from. */
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
                           SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    rc |= seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                           SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    return rc;
}

int jail_confine(int read_fd, int write_fd)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc = f ? add_rules(f, read_fd, write_fd) : -1;

    if (!rc)
        rc = seccomp_load(f);
    seccomp_release(f);
    return rc ? -E_UNSUPPORTED : 0;
}
