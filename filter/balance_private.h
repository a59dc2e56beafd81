/*
 * balance_private - what the files of filter/balance share: the stage, its
 * buckets, its numbers.
 *
 * Threads. As filter/balance.h.
 */
#ifndef FILTER_BALANCE_PRIVATE_H
#define FILTER_BALANCE_PRIVATE_H

#include "filter/balance.h"
#include "filter/caps.h"
#include "filter/counts.h"
#include "filter/draw_table.h"
#include "querylist/qlist.h"

struct balance {
    const struct corpus *corpus;
    const struct balance_config *config;
    struct balance_summary *sum;
    struct stage stage;
    struct qlist list;
    struct counts counts;
    struct draw_table draws;
    struct caps caps;       /* of this round */
    struct caps previous;   /* of the round before; n 0 in round 0 */
    struct caps first;      /* of round 0; likewise */
    uint64_t passes_before; /* B */
    char list_sha256[SHA256_HEX];
    unsigned round;
};

/* ---- balance_select.c: the buckets ---- */

int balance_select(struct balance *b, struct err *e);

/* ---- balance_sum.c: the numbers ---- */

/* Those that counts and caps give, without a look at any pair; sum->unique is
 * set before. */
void balance_numbers(const struct balance *b, const struct caps *caps,
                   struct balance_summary *sum);

/* N (1 - exp(-picks / N)), to the nearest. */
uint64_t balance_independent(uint64_t pairs, uint64_t picks);

/* Pairs in unique/, by its sidecars. */
int balance_unique(const struct corpus *c, uint64_t *pairs, struct err *e);

#endif
