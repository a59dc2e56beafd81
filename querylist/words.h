/*
 * words - the one tokenizer of the data half.
 *
 * Model.   words_split() turns a text into the words that queries are matched
 *          by; they lie joined by one space each in w->text, and w->span says
 *          where.  A query matches when its own words, cut by words_norm(),
 *          stand in the text's one after another: so matching is a look-up of
 *          word sequences, under either policy.
 *
 *          QUERY_POLICY_WORDS: NFKC, case folding, U+2019 to '; a word is a
 *          run of letters (L*), digits (Nd) and marks (M*) with inner
 *          apostrophes; each Han, Kana, Thai, Lao, Khmer, Burmese character is
 *          a word of its own; all else separates.
 *          - A mark continues a word; where none is open it separates.
 *          - An apostrophe is inner when it stands alone between a character
 *            of an open word and another letter, mark or digit.
 *          - The characters that are words of their own are the L, M and N
 *            of the ranges in words_kind.c, also where the list of letters
 *            above would not have them (U+3007).  None of them leaves a word
 *            open.
 *
 *          QUERY_POLICY_METACLIP: each of , . ; : ? ! ` gets a space on both
 *          sides, then TAB, LF and CR become spaces; a word is what stands
 *          between two spaces, nothing included.  That entries themselves are
 *          not spaced is part of the published rule.
 * Owns.    struct words keeps its buffers between calls, and what it learnt of
 *          characters; a result is valid until the next call.
 * Fails.   -E_FORMAT for invalid UTF-8 (default policy), -E_TOOBIG past
 *          WORDS_TEXT_MAX, -E_NOMEM.
 * Threads. One struct words per thread.
 * Cost.    Text is looked at 64 bytes at a time, as bits
 *          (querylist/words_cut.h); what is not ASCII is folded before, in a
 *          pass with a look-up a character (querylist/words_fold.h).  Nothing
 *          is allocated once the buffers have met the longest text, and the
 *          tables its characters: 2 KiB for the 256 around each.
 */
#ifndef QUERYLIST_WORDS_H
#define QUERYLIST_WORDS_H

#include "base/buf.h"
#include "base/fold.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of one text.  Folding makes at most 11 of one (U+FDFA), so that
 * offsets stay within 32 bits. */
#define WORDS_TEXT_MAX (64u << 20)

/* Bytes behind w->text that can be read, so that whoever compares words can
 * load them whole; zeros behind the last one. */
#define WORDS_SLACK 32u

/* Numbers as they stand in the header of queries.bin. */
enum query_policy { QUERY_POLICY_WORDS = 0, QUERY_POLICY_METACLIP = 1 };

/* "words", "metaclip", NULL: for option tables. */
extern const char *const query_policy_names[];

struct word_span {
    uint32_t at; /* offset in text */
    uint32_t n;  /* bytes */
};

struct words_entry; /* querylist/words_kind.h */

/* What becomes of characters, 256 at a time, as met, folded and with their
 * case; NULL for none yet. */
struct words_table {
    struct words_entry **page[2];
};

struct words {
    struct buf text;        /* the words, one space between two */
    struct word_span *span; /* n of them */
    size_t n;
    bool *stop;       /* per word: more than white space stands before it, or an
                         empty line; what ends a phrase (default policy) */
    bool stop_behind; /* likewise behind the last word */
    size_t cap;       /* room in span and stop */
    bool wide;        /* 64 bytes at once (querylist/words_cut.h) */
    char *window;     /* text as it is cut (querylist/words_fold.h), or NULL */
    struct buf folded;
    struct fold fold;
    struct words_table table;
};

void words_init(struct words *w);
void words_release(struct words *w);

/* Words of a text. */
int words_split(struct words *w, enum query_policy policy, struct str text);

/* Words of a text by the default policy, but with their case: NFKC without
 * folding.  Nothing matches by these; they are counted (querylist/ngrams). */
int words_split_kept(struct words *w, struct str text);

/* Words of a query list entry; w->text is then its norm. */
int words_norm(struct words *w, enum query_policy policy, struct str entry);

static inline struct str words_at(const struct words *w, size_t i)
{
    return str_make(w->text.p + w->span[i].at, w->span[i].n);
}

#endif
