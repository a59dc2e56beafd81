/*
 * faultfs - a disk that fills up at the Nth write, by LD_PRELOAD.
 *
 * FAULT_AT=N       the Nth write to a regular file, and all after it, fail with
 *                  ENOSPC (FAULT_ONCE=1: that one alone)
 * FAULT_COUNT=FILE how many writes there were is put there at the end
 *
 * Pipes, sockets and the terminal do not count.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long writes;

static int is_regular(int fd)
{
    struct stat st;

    return fd > 2 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

/* Whether this write is to fail. */
static int full(int fd)
{
    static long at = -1;
    static int once;
    const char *text;
    long n;

    if (at < 0) {
        text = getenv("FAULT_AT");
        once = getenv("FAULT_ONCE") != NULL;
        at = text ? strtol(text, NULL, 10) : 0;
    }
    if (!is_regular(fd))
        return 0;
    n = atomic_fetch_add(&writes, 1) + 1;
    if (at == 0 || n < at || (once && n > at))
        return 0;
    errno = ENOSPC;
    return 1;
}

#define REAL(type, name, ...)                                                  \
    static type (*real)(__VA_ARGS__);                                          \
    if (!real)                                                                 \
        *(void **)&real = dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *p, size_t n)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    return full(fd) ? -1 : real(fd, p, n);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return full(fd) ? -1 : real(fd, p, n, at);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return full(fd) ? -1 : real(fd, p, n, at);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return full(fd) ? -1 : real(fd, v, n);
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("FAULT_COUNT");
    char text[32];
    int fd, n;

    if (!path)
        return;
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    n = snprintf(text, sizeof text, "%ld\n", atomic_load(&writes));
    if (fd >= 0) {
        REAL(ssize_t, "write", int, const void *, size_t);
        if (real(fd, text, (size_t)n) < 0)
            perror("faultfs");
        close(fd);
    }
}
