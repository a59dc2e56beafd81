/*
 * agree - whether all ranks of a run can begin it, and mean the same run.
 *
 * Model.   Before anything else each rank gives its word: that it is ready or
 *          why it is not, and its settings as numbers.  Whoever has all words
 *          judges: the lowest rank that is not ready, else the lowest whose
 *          settings are not rank 0's, ends the run of all, named with its
 *          reason or the setting.  Rank 0 says it, once, as an event of the
 *          log; all others leave in silence.
 * Owns.    Nothing; a word lies flat and travels as it lies, between processes
 *          of the same program.
 * Fails.   -E_CANCEL without a message: it has been said.
 * Threads. Any.
 */
#ifndef TRAIN_AGREE_H
#define TRAIN_AGREE_H

#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define AGREE_SETTINGS 24  /* at most */
#define AGREE_MESSAGE  256 /* bytes, terminator included; longer is cut */

struct agree {
    int32_t code;                     /* 0, or the E_* of the message */
    int32_t settings;                 /* how many */
    uint64_t setting[AGREE_SETTINGS]; /* in the order of their names */
    char message[AGREE_MESSAGE];      /* why not ready, or "" */
};

/* rc: 0, or -E_*, of which e (may be NULL) says why. */
void agree_init(struct agree *a, int rc, const struct err *e);

/* The next setting. */
void agree_number(struct agree *a, uint64_t x);
void agree_bytes(struct agree *a, const void *p, size_t n); /* by SHA-256 */

/* 0, or -E_* with the message that names the rank.  names: of the settings, as
 * a person calls them. */
int agree_judge(const struct agree *all, int size, const char *const *names,
                struct err *e);

/* What judging said, to people: rank 0 logs it, e is emptied, -E_CANCEL. */
int agree_refuse(int rank, struct err *e);

#endif
