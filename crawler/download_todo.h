/*
 * download_todo - which URLs a download pass is about, cut into groups.
 *
 * Model.   A round's selected/ buckets, read in order, are one sequence sorted
 *          by (H(url), url).  todo_partition() takes each distinct URL once
 *          and writes it into the list of its group, images/GGG-RR.todo: plain
 *          lines, still in that order.  What ledgers have closed is taken out
 *          when a group is begun (crawler/download_group), where one merge of
 *          sorted files does it; so this step needs no memory that grows.
 *          The lists are made anew by every run and never outlive their group.
 * Fails.   -E_NOTFOUND when balance has not made the round, -E_DAMAGED for a
 *          bucket out of order, -E_CANCEL when *stop is set, -E_IO.
 * Threads. One.
 * Cost.    One pass over selected/round-R; 256 buffers of 128 KiB.
 */
#ifndef CRAWLER_DOWNLOAD_TODO_H
#define CRAWLER_DOWNLOAD_TODO_H

#include "base/corpus.h"
#include "base/err.h"
#include "base/ledger.h"
#include "base/stage.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct download_pass {
    uint32_t round;  /* R */
    uint32_t before; /* B, recorded in selected/round-0 */
    uint32_t pass;   /* RR = B + R, at most DOWNLOAD_PASS_MAX */
    char
        selected[SHA256_HEX]; /* over names and sha256 of the round's buckets */
};

#define DOWNLOAD_PASS_MAX 99

/* round: a number, or -1 for the highest one in selected/. */
int todo_pass(const struct corpus *c, int64_t round, struct download_pass *p,
              struct err *e);

struct download_todo {
    uint64_t urls[LEDGER_GROUPS]; /* lines in each list; 0: no list */
    uint64_t records;             /* pairs read */
    uint64_t total;               /* sum of urls */
};

/* Lists of the part's groups, those of skip[] left out. */
int todo_partition(const struct corpus *c, const struct download_pass *p,
                   struct part part, const bool skip[LEDGER_GROUPS],
                   const atomic_bool *stop, struct download_todo *t,
                   struct err *e);

#endif
