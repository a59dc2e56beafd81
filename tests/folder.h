/*
 * folder - a folder of its own for a test program, gone when it ends.
 *
 * Model.   folder_setup and folder_teardown frame the group; at() is a path
 *          inside, one of four rotating buffers.
 * Threads. One.
 */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"

static char folder[] = "/tmp/witmill-test-XXXXXX";

static inline const char *at(const char *name)
{
    static char path[4][IO_PATH_MAX];
    static int turn;
    char *to = path[turn++ % 4];

    snprintf(to, IO_PATH_MAX, "%s/%s", folder, name);
    return to;
}

static inline int folder_setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static inline int folder_teardown(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

#endif
