/*
 * robots - one robots.txt, compiled for one crawler (RFC 9309).
 *
 * Model.   robots_parse() keeps only what concerns us: the rules of the groups
 *          that name our token, merged, or else of the `*` groups.  The
 *          longest rule that matches decides, in octets after normalisation;
 *          Allow wins a tie; no match allows.  Rules and paths are compared in
 *          one form: escapes of unreserved characters decoded, what a
 *          canonical URL escapes escaped, hex in upper case, a literal * or $
 *          as %2A or %24.  So a rule `/%62%61%7A` means `/baz`, as RFC 9309
 *          2.2.2 has it and Google's matcher does not.
 *
 *          Leniencies, all taken from what Google's reader accepts: a missing
 *          colon between two words; frequent misspellings of the keys; an
 *          agent's name ends at the first character that no token has; `*`
 *          with junk behind a space is `*`; Allow of index.htm(l) allows its
 *          folder; a byte order mark, whole or begun, is skipped; a line ends
 *          at ROBOTS_LINE_MAX bytes.
 *
 *          Crawl-delay counts for the group it stands in, the longest of
 *          several.  Content-Signal and Content-Usage lines of our groups, of
 *          `*` groups and outside any group are kept.  A Content-Signal may
 *          name a path; the longest match decides, `no` wins a tie; the
 *          groups that name us come before `*`, which counts here, unlike
 *          rules, also when a group names us but has no signal.
 * Owns.    struct robots owns its memory; nothing of the body is kept.
 * Fails.   Never for content: every line that parses counts.  Bytes past
 *          ROBOTS_BYTES_MAX are dropped, with the line they cut.
 * Threads. Immutable once parsed.
 * Cost.    Matching is at most the rules' bytes times the path's, without
 *          backtracking.
 */
#ifndef CRAWLER_ROBOTS_H
#define CRAWLER_ROBOTS_H

#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROBOTS_BYTES_MAX    (512u << 10)
#define ROBOTS_LINE_MAX     16663 /* bytes; Google's 8 * 2083 - 1 */
#define ROBOTS_DELAY_MAX_MS 300000
#define ROBOTS_KEPT_MAX     32 /* signal lines kept */

struct robots_rule {
    struct str pattern; /* normalised; with its * and without a final $ */
    uint32_t octets;    /* length that decides, $ included */
    bool allow;
    bool anchored;   /* ended in $ */
    int8_t ai_train; /* of a signal: -1 no, 1 yes */
};

struct robots {
    struct robots_rule *rules; /* longest first, Allow before Disallow */
    size_t n_rules;
    struct robots_rule *signals[2]; /* that say something about ai-train: of
                                       groups naming us; of all others */
    size_t n_signals[2];
    struct str kept[ROBOTS_KEPT_MAX]; /* whole Content-* lines, as written */
    size_t n_kept;
    uint32_t delay_ms; /* Crawl-delay, 0 without one */
    bool names_us;     /* a group names our token */
    size_t bytes;      /* memory held, this struct included */
    char *text;        /* private: what the strings point into */
};

/* token: our product token, [A-Za-z_-]+; another one never matches a name. */
struct robots *robots_parse(struct str body, struct str token);
void robots_free(struct robots *r); /* NULL is fine */

/* path: of a canonical URL with its query, from the first slash on.  The path
 * /robots.txt is always allowed. */
bool robots_allows(const struct robots *r, struct str path);

/* Does a Content-Signal reserve path against training (ai-train=no)? */
bool robots_reserves(const struct robots *r, struct str path);

#endif
