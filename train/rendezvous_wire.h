/*
 * rendezvous_wire - what both ends of a rendezvous say, and how they wait.
 *
 * Model.   Private to train/rendezvous*.c.  A caller sends struct hello and its
 *          bytes; it hears an enum hail, and behind a welcome the answer.
 * Threads. Blocks, until the time (of the monotonic clock) it is given.
 */
#ifndef TRAIN_RENDEZVOUS_WIRE_H
#define TRAIN_RENDEZVOUS_WIRE_H

#include <netdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "train/rendezvous.h"

#define WIRE_MAGIC   0x77697472u /* "witr" */
#define WIRE_VERSION 2u

enum hail { WELCOME = 1, OTHER_SIZE = 2, TWICE = 3, LATE = 4 };

/* What a rank says first; big-endian on the wire. */
struct hello {
    uint32_t magic, version, size, rank;
    uint32_t mine_bytes, answer_bytes;
};

uint32_t wire_big(uint32_t x);
struct hello wire_swapped(struct hello h);

int64_t wire_now_ms(void);

/* 0, or -1: not by then, or not at all. */
int wire_wait(int fd, short events, int64_t until);
int wire_send(int fd, const void *p, size_t n, int64_t until);
int wire_receive(int fd, void *p, size_t n, int64_t until);

/* l's host and port; passive: to listen at. */
int wire_resolve(const struct launch *l, bool passive, struct addrinfo **out,
                 struct err *e);

/* Rank 0's end (train/rendezvous_serve.c). */
int rendezvous_serve(const struct launch *l, const struct rendezvous *r,
                     struct err *e);

#endif
