/*
 * rendezvous - all ranks tell rank 0 some bytes, and hear its answer, over TCP.
 *
 * Model.   What a group of processes needs before it can talk by better means
 *          (NCCL's 128-byte id).  Rank 0 listens where struct launch says; the
 *          others connect, trying again until it is there, and say who they
 *          are (magic, version, sizes, rank) and what they have to say.  When
 *          all have come, rank 0 judges and answers each the same bytes: nobody
 *          goes before everybody was there.  Strangers, other sizes and a rank
 *          that comes twice are sent away and do not count; a rank that hangs
 *          up before the answer does not, either, until it comes again.  Who
 *          says nothing holds nobody up.
 *          Rank 0 listens at its own address alone, and at all of this
 *          machine's where ranks are on other nodes and its name means nothing
 *          to them: Debian gives a machine's own name 127.0.1.1.
 * Owns.    Its sockets, closed on return.
 * Fails.   -E_NET when not all have met within timeout_ms, with the number
 *          that came; -E_RANGE for what rank 0 would not accept (another world
 *          size), for ranks of several nodes of which nobody says where rank 0
 *          is, and for more ranks than files may be open.
 * Threads. Blocks.
 * Cost.    Two messages a rank; a socket of rank 0 for each.
 */
#ifndef TRAIN_RENDEZVOUS_H
#define TRAIN_RENDEZVOUS_H

#include <stddef.h>
#include "base/err.h"
#include "train/launch.h"

#define RENDEZVOUS_BYTES_MAX 4096 /* either way */

struct rendezvous {
    const void *mine;  /* what this rank says, ... */
    size_t mine_bytes; /* ... as many bytes as all */
    void *answer;      /* what all hear: rank 0's judge may read and write
                          it, the others' is written */
    size_t answer_bytes;
    /* Of rank 0, may be NULL; all: [size * mine_bytes], in rank order. */
    void (*judge)(void *ctx, const void *all, int size, void *answer);
    void *ctx;
    int timeout_ms;
};

int rendezvous(const struct launch *l, const struct rendezvous *r,
               struct err *e);

#endif
