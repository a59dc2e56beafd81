/*
 * deleted_file - reach a file that this process has open and unlinked.
 *
 * Model.   deleted_file_flip() finds it among the process's descriptors by the
 *          folder it was made in and turns a bit of one byte over: what a
 *          faulty disk does.
 * Fails.   The test, when there is not exactly one such file.
 */
#ifndef TESTS_DELETED_FILE_H
#define TESTS_DELETED_FILE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static inline int deleted_file_fd(const char *where)
{
    char link[64], target[512];
    int found = -1;

    for (int fd = 3; fd < 256; fd++) {
        ssize_t n;

        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, target, sizeof target - 1);
        if (n <= 0)
            continue;
        target[n] = 0;
        if (!strncmp(target, where, strlen(where)) &&
            strstr(target, "(deleted)")) {
            assert_int_equal(found, -1);
            found = fd;
        }
    }
    assert_true(found >= 0);
    return found;
}

static inline void deleted_file_flip(const char *where, uint64_t at)
{
    int fd = deleted_file_fd(where);
    unsigned char c;

    assert_int_equal(pread(fd, &c, 1, (off_t)at), 1);
    c ^= 0x10;
    assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
}

#endif
