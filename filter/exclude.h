/*
 * exclude - the texts and URLs of evaluation sets, which a corpus must not
 * have.
 *
 * Model.   open -> add* -> then find, any number of times.  Kept are 128-bit
 *          hashes and, for each, the name of the sample that brought it first.
 *          Two texts are the same when they have the same words one after
 *          another, cut by the default policy (querylist/words: NFKC, case
 *          folding; what is no letter, digit, mark or inner apostrophe
 *          separates), so that case, punctuation and spacing do not hide a
 *          copy.  A text of fewer than min_words words is not looked for: "a
 *          dog" in an evaluation set says nothing about where a pair comes
 *          from, and would take every "A dog!" of the web.  Two URLs are the
 *          same when their canonical forms (base/url) are.
 * Owns.    The hashes and names; struct exclude_scratch its buffers.
 * Fails.   -E_NOMEM; -E_TOOBIG, by name of --against-memory, once hashes and
 *          names would take more than memory_max.  What cannot be compared is
 *          counted in `counts`: text-short, text-charset, url-unusable.
 * Threads. Constant once all is added; a scratch belongs to one thread.
 * Cost.    Memory: 48 to 96 bytes for each text and URL (half as much again
 *          while the table grows), and each name once; never over memory_max.
 *          find: a look-up for the URL; cutting the text into words.
 */
#ifndef FILTER_EXCLUDE_H
#define FILTER_EXCLUDE_H

#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "base/tally.h"
#include "querylist/words.h"

struct exclude_slot {
    uint64_t a, b; /* hashes; both 0: empty */
    uint64_t name; /* offset in names */
};

struct exclude_scratch {
    struct words words;
    struct buf url;
};

struct exclude {
    struct exclude_slot *slots;
    size_t n, cap;                  /* used; a power of two */
    struct buf names;               /* each with a NUL behind it */
    uint64_t min_words;             /* of a text that is looked for */
    uint64_t memory_max;            /* bytes of slots and names */
    struct exclude_scratch scratch; /* of add */
    struct tally counts; /* texts, urls: kept; and what cannot be compared */
};

void exclude_open(struct exclude *x, uint64_t min_words, uint64_t memory_max);
void exclude_close(struct exclude *x);

/* One sample; url may be empty. */
int exclude_add(struct exclude *x, struct str name, struct str url,
                const struct str *texts, size_t n_texts, struct err *e);

void exclude_scratch_init(struct exclude_scratch *s);
void exclude_scratch_release(struct exclude_scratch *s);

enum exclude_why { EXCLUDE_NOT, EXCLUDE_URL, EXCLUDE_TEXT };

/* As drops are counted: "against-url", "against-text". */
const char *exclude_reason(enum exclude_why why);

/* Whether a pair is to go, the URL asked first; *name is the sample's that it
 * is found in.  url is canonical. */
int exclude_find(const struct exclude *x, struct exclude_scratch *s,
                 struct str url, struct str text, enum exclude_why *why,
                 const char **name, struct err *e);

#endif
