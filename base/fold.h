/*
 * fold - the one way text loses its case and its spelling variants; and what
 * else must be known of a code point.
 *
 * Model.   NFKC, then full case folding code point by code point, not composed
 *          again and nothing ignored: Python's
 *          unicodedata.normalize('NFKC', s).casefold().  Idempotent for almost
 *          all text, but not promised to be: fold once.  fold_class() says what
 *          a code point is to somebody who cuts text into words.  For who has
 *          to follow other rules to the letter: NFC, the simple mappings of
 *          case, and the two properties that decide about a final sigma.  For
 *          who folds by tables of his own: what they hold.  The door to
 *          utf8proc (2.8: Unicode 15; a code point that was unassigned
 *          in Unicode 14 is the only thing later tables may change).
 * Owns.    struct fold keeps scratch for normalisation between calls, and for
 *          the 256 code points around each that it met what becomes of them: 2
 *          KiB each time, at most 1.5 MiB a form.
 * Fails.   -E_FORMAT for invalid UTF-8, or what the output buffer says.
 * Threads. One struct fold per thread; what takes a code point is pure.
 * Cost.    A table look-up per byte of ASCII and per code point that joins
 *          neither what is before it nor what follows; only the rest is handed
 *          to the normaliser, run by run.  What is not in the tables, and all
 *          where there is no memory for them, is such a rest.
 */
#ifndef BASE_FOLD_H
#define BASE_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/str.h"

enum fold_form { FOLD_FOLDED, FOLD_KEPT, FOLD_NFC, FOLD_FORMS };

struct fold_page; /* 256 code points in one form */

struct fold {
    int32_t *run; /* code points of the run being normalised */
    size_t cap;   /* room in run, code points */
    struct fold_page **page[FOLD_FORMS]; /* what was needed so far, or NULL */
    bool untabled; /* make none, and give all to the normaliser: for a few
                      characters, and what tests compare with */
};

void fold_init(struct fold *f);
void fold_release(struct fold *f);

/* Append the folded form of s to out. */
int fold_text(struct fold *f, struct str s, struct buf *out);

/* Append the NFKC of s to out: folded but for the case. */
int fold_keep(struct fold *f, struct str s, struct buf *out);

enum fold_class {
    FOLD_OTHER,  /* separates words */
    FOLD_LETTER, /* general category L* */
    FOLD_DIGIT,  /* Nd */
    FOLD_NUMBER, /* Nl, No */
    FOLD_MARK    /* M* */
};

enum fold_class fold_class(uint32_t cp);

/* Append the NFC of s to out. */
int fold_nfc(struct fold *f, struct str s, struct buf *out);

/* True when NFC leaves cp alone and never joins it to what stands before it;
 * false may be overcautious.  Text of such code points, and of those below
 * U+0300, is NFC. */
bool fold_inert(uint32_t cp);

/* Append a code point (a scalar value). */
void fold_put(uint32_t cp, struct buf *out);

/* Simple mappings of case, of UnicodeData.txt; cp itself if it has none. */
uint32_t fold_lower(uint32_t cp);
uint32_t fold_upper(uint32_t cp);

/* NFKC of cp alone into out; returns how many. */
#define FOLD_NFKC_MAX 18 /* code points, of U+FDFA */
size_t fold_nfkc(uint32_t cp, uint32_t out[FOLD_NFKC_MAX]);

/* The full case folding of cp into out; returns how many. */
#define FOLD_CASE_MAX 4 /* code points */
size_t fold_case(uint32_t cp, uint32_t out[FOLD_CASE_MAX]);

/* What NFKC does where cp stands behind others, for those who make tables of
 * their own.  Text of which each code point's rank is at least the end of the
 * one before it is in NFKC once each is replaced by its own; only the rest,
 * from the last boundary to the next, has to be normalised as a whole.
 *
 *     FOLD_JOINS     it joins what is before it, or changes places
 *     FOLD_UNSURE    a boundary: it joins nothing; but its own NFKC ends in a
 *                    mark
 *     FOLD_BOUNDARY  a boundary
 *     any other      its class: a mark that only keeps its place behind marks
 *                    of its class and lower
 *
 * fold_rank_end() is what a code point of such a rank asks of the next. */
enum fold_rank { FOLD_JOINS = 0, FOLD_UNSURE = 254, FOLD_BOUNDARY = 255 };
unsigned char fold_rank(uint32_t cp);

static inline unsigned fold_rank_end(unsigned rank)
{
    return rank == FOLD_BOUNDARY ? 1 : rank;
}

/* What the rule for a final sigma asks (Unicode 3.13, Final_Sigma): is cp
 * passed over, else is it cased?  A code point that is both is ignorable. */
enum fold_sigma { FOLD_UNCASED, FOLD_CASED, FOLD_IGNORABLE };
enum fold_sigma fold_sigma(uint32_t cp);

#endif
