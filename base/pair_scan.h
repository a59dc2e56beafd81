/*
 * pair_scan - where a record's members lie in its line, without decoding it.
 *
 * Model.   Nearly every line of a part is *plain*: what pair_write() writes,
 *          byte for byte, of a record whose strings need no escape.  Of a
 *          plain line the members are spans of the line itself.  Any other
 *          line (a backslash, another order, an unknown member, white space,
 *          a uid in capitals, an empty optional member) is told from these
 *          and left to pair_read(), which tries pair_scan() first: so what is
 *          a record and what is none has one answer.
 *          Of a plain line it is certain that pair_read() takes it, with the
 *          same values, and that pair_write() of these gives the line back:
 *          a stage that adds members may put them at `base` into the line as
 *          it stands.
 * Owns.    Nothing: spans point into the line.
 * Fails.   false is no failure: the line is not plain.
 * Threads. Pure functions.
 * Cost.    One pass, 16 bytes a step; text that is not ASCII is looked at once
 *          more, by utf8_valid().
 */
#ifndef BASE_PAIR_SCAN_H
#define BASE_PAIR_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

/* The four behind text are empty where the record has none. */
struct pair_scan {
    struct str uid; /* 32 hex digits, lower case */
    struct str url, text;
    struct str from, page, origin, list_uid;
    size_t base;     /* bytes of the line before `,"q":` or the last brace */
    bool matched;    /* q is there */
    bool selected;   /* s and keep are there */
    struct str q;    /* "3,14,15": ascending ids with commas, maybe none */
    struct str keep; /* likewise */
    uint32_t n_q, n_keep;
    uint64_t s;
};

/* line without its newline. */
bool pair_scan(struct str line, struct pair_scan *p);

/* The first line of some, if that one is plain: as pair_scan(line), without its
 * end having been looked for.  false says nothing about where it ends. */
bool pair_scan_first(struct str lines, struct str *line, struct pair_scan *p);

/* Numbers of such a list of ids into v, which has room for all n of them. */
void pair_scan_ids(struct str ids, uint32_t *v);

#define PAIR_ID_BYTES 11 /* at most, of an id and its comma */

/* v as such a list; to has room for PAIR_ID_BYTES * n, all of which may be
 * written to.  Returns its bytes. */
size_t pair_put_ids(const uint32_t *v, size_t n, char *to);

#endif
