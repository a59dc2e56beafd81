/*
 * part - `--part i/n`: one machine's share of a stage's outputs.
 *
 * Model.   Output K depends on the inputs alone, whatever n is; part i makes
 *          the K with K mod n = i.  `auto` reads the variables of a Slurm
 *          array job (SLURM_ARRAY_TASK_ID, _MIN, _STEP, _COUNT) or of a
 *          Kubernetes indexed job (JOB_COMPLETION_INDEX, with WITMILL_PARTS).
 * Fails.   -E_USAGE, saying which form or variable was expected.
 * Threads. Values.
 */
#ifndef BASE_PART_H
#define BASE_PART_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

struct part {
    uint32_t i; /* from 0 */
    uint32_t n; /* 0: the whole, not a part */
};

int part_parse(struct str s, struct part *p, struct err *e);

static inline bool part_has(struct part p, uint64_t k)
{
    return p.n == 0 || k % p.n == p.i;
}

#endif
