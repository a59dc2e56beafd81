/*
 * tally - counts by name: drops by reason, outcomes, warnings.
 *
 * Model.   A handful of names, few enough for a linear search; printed in
 *          bytewise order of names, so that equal counts give equal bytes.
 * Owns.    Copies of names.
 * Threads. One at a time; workers keep their own and the owner adds them up.
 */
#ifndef BASE_TALLY_H
#define BASE_TALLY_H

#include <stdint.h>
#include "base/json.h"
#include "base/str.h"

#define TALLY_NAME_MAX 64 /* bytes of a name, terminator included */
#define TALLY_MAX      256 /* names; further ones count as "other" */

struct tally_row {
    char name[TALLY_NAME_MAX];
    uint64_t n;
};

struct tally {
    struct tally_row *rows; /* in bytewise order of names */
    size_t n, cap;
};

void tally_init(struct tally *t);
void tally_release(struct tally *t);
void tally_clear(struct tally *t);
void tally_add(struct tally *t, const char *name, uint64_t n);
void tally_add_all(struct tally *t, const struct tally *from);
uint64_t tally_get(const struct tally *t, const char *name);
uint64_t tally_sum(const struct tally *t);
void tally_json(const struct tally *t, struct json_out *o); /* an object */

#endif
