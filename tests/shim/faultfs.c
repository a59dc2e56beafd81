/*
 * faultfs - a disk that fills up at the Nth write, by LD_PRELOAD.
 *
 * FAULT_AT=N       the Nth write to a regular file, and all after it, fail with
 *                  ENOSPC (FAULT_ONCE=1: that one alone)
 * FAULT_KILL=1     instead, the process is killed (-9) in front of the Nth
 *                  write; renames, removals, new folders, cuts and fsyncs then
 *                  count, too
 * FAULT_COUNT=FILE how many writes there were is put there at the end
 *
 * Pipes, sockets and the terminal do not count.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

static long fault_at(void)
{
    static long at = -1;
    const char *text;

    if (at < 0) {
        text = getenv("FAULT_AT");
        at = text ? strtol(text, NULL, 10) : 0;
    }
    return at;
}

/* Another change of the disk: where the process may be killed. */
static void step(void)
{
    if (getenv("FAULT_KILL") &&
        atomic_fetch_add(&writes, 1) + 1 == fault_at())
        kill(getpid(), SIGKILL);
}

/* Whether this write is to fail. */
static int full(int fd)
{
    static int once = -1;
    long n, at = fault_at();

    if (once < 0)
        once = getenv("FAULT_ONCE") != NULL;
    if (!is_regular(fd))
        return 0;
    if (getenv("FAULT_KILL")) {
        step();
        return 0;
    }
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

/* ---- what else changes a disk ---- */

int rename(const char *from, const char *to)
{
    REAL(int, "rename", const char *, const char *);
    step();
    return real(from, to);
}

int unlink(const char *path)
{
    REAL(int, "unlink", const char *);
    step();
    return real(path);
}

int rmdir(const char *path)
{
    REAL(int, "rmdir", const char *);
    step();
    return real(path);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(int, "mkdir", const char *, mode_t);
    step();
    return real(path, mode);
}

int ftruncate(int fd, off_t size)
{
    REAL(int, "ftruncate", int, off_t);
    step();
    return real(fd, size);
}

int fsync(int fd)
{
    REAL(int, "fsync", int);
    step();
    return real(fd);
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
