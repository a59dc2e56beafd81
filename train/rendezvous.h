/*
 * rendezvous - rank 0 tells all other ranks some bytes, over TCP.
 *
 * Model.   What a group of processes needs before it can talk by better means
 *          (NCCL's 128-byte id).  Rank 0 listens where struct launch says; the
 *          others connect, trying again until it is there, and say who they
 *          are: magic, version, size, rank.  Rank 0 answers each rank once.
 *          Strangers, wrong sizes and a rank that comes twice are sent away
 *          and do not count.
 * Owns.    Its sockets, closed on return.
 * Fails.   -E_NET when not all have met within timeout_ms, with the number
 *          that came; -E_RANGE for what rank 0 would not accept (another
 *          world size).
 * Threads. Blocks.
 * Cost.    Two messages a rank.
 */
#ifndef TRAIN_RENDEZVOUS_H
#define TRAIN_RENDEZVOUS_H

#include <stddef.h>
#include "base/err.h"
#include "train/launch.h"

#define RENDEZVOUS_BYTES_MAX 4096

/* bytes: rank 0's are read, everybody else's written. */
int rendezvous_share(const struct launch *l, void *bytes, size_t n,
                     int timeout_ms, struct err *e);

#endif
