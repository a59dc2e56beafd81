/*
 * pair - the record that travels the chain: one text that speaks of one image.
 *
 * Model.   DESIGN section 3: one JSON object a line, members in the order
 *          uid, url, text, from, page, origin, list_uid, q, s, keep; absent
 *          ones are left out.  A stage adds members and never renames any.
 * Owns.    Nothing: strings and ids point into the line and the arena.
 * Fails.   A line that is no pair is -E_FORMAT with what is wrong; a text that
 *          cannot be used is data (enum pair_text_reason).
 * Threads. Pure functions.
 */
#ifndef BASE_PAIR_H
#define BASE_PAIR_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

#define PAIR_TEXT_MAX    4096    /* bytes */
#define PAIR_MATCHES_MAX 65536   /* query ids in one record */

struct pair {
    uint8_t uid[MD5_SIZE]; /* md5 of text then url, as stored */
    struct str url;        /* canonical */
    struct str text;       /* 1..PAIR_TEXT_MAX bytes of UTF-8 */
    struct str from;       /* alt, title, figcaption, aria-label, og, column */
    struct str page;       /* URL of the page, may be empty */
    struct str origin;     /* PATH:NUMBER, PATH, or "crawl" */
    struct str list_uid;   /* a link list's own uid column, may be empty */
    const uint32_t *q;     /* ascending group ids it matches */
    uint32_t n_q;
    bool matched;          /* q is there */
    bool selected;         /* s and keep are there */
    uint64_t s;            /* survival cap: kept under every cap above it */
    const uint32_t *keep;  /* ascending ids of the groups that picked it */
    uint32_t n_keep;
};

/* line must outlive p; ids and unescaped strings go into the arena. The uid is
 * taken as written; pair_uid() recomputes it. */
int pair_read(struct str line, struct arena *a, struct pair *p,
              struct err *e);

/* The object, without a newline. */
void pair_write(const struct pair *p, struct buf *out);

void pair_uid(struct str text, struct str url, uint8_t uid[MD5_SIZE]);

/* Name in drop counts, or NULL when the text can be stored. raw goes through
 * DESIGN section 4, Readings, "Text", into out (cleared first). */
const char *pair_text(struct str raw, struct buf *out);

/* Order of unique/ and selected/: (H(url), url, uid). */
struct pair_key {
    uint64_t h;
    struct str url;
    const uint8_t *uid;
};
int pair_key_cmp(const struct pair_key *a, const struct pair_key *b);

#endif
