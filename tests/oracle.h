/*
 * oracle - what an independent program expects, record by record.
 *
 * Model.   open runs a command and reads its standard output: records of a
 *          32-bit little-endian length and that many bytes, inputs and what is
 *          expected of them in turn.
 * Owns.    The pipe and the two latest records.
 */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include "base/buf.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>

struct oracle {
    FILE *pipe;
    struct buf in, want;
    size_t n; /* pairs read so far */
};

static inline void oracle_open(struct oracle *o, const char *command)
{
    *o = (struct oracle){.pipe = popen(command, "r")};
    buf_init(&o->in, BUF_NO_LIMIT);
    buf_init(&o->want, BUF_NO_LIMIT);
}

static inline bool oracle_record(struct oracle *o, struct buf *b)
{
    uint8_t head[4];
    size_t n;
    char *to;

    buf_clear(b);
    if (!o->pipe || fread(head, 1, 4, o->pipe) != 4)
        return false;
    n = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 |
        (size_t)head[3] << 24;
    to = buf_reserve(b, n);
    if (!to || fread(to, 1, n, o->pipe) != n)
        return false;
    b->n = n;
    to[n] = 0;
    return true;
}

/* The next input and what is expected of it. */
static inline bool oracle_next(struct oracle *o)
{
    if (!oracle_record(o, &o->in) || !oracle_record(o, &o->want))
        return false;
    o->n++;
    return true;
}

/* How the program ended; 127: there is none (the shell says so). */
static inline int oracle_close(struct oracle *o)
{
    int status = o->pipe ? pclose(o->pipe) : -1;

    buf_release(&o->in);
    buf_release(&o->want);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#endif
