/*
 * words_kind - what characters are to the tokenizer, and what it makes of them.
 *
 * Model.   The default policy cuts bytes in which a character is spelled so
 *          that one look at each byte tells what it does to words:
 *            letters and digits  their UTF-8
 *            marks               their UTF-8; who spells one remembers where
 *            apostrophes         '
 *            words of their own  their UTF-8, a space on both sides
 *            white space         a space; of ASCII itself
 *            all else            WORDS_SEPARATOR; of ASCII itself
 *          So what is ASCII there is itself or separates, and what is not
 *          belongs to words, but for marks that stand behind no word.
 *          words_entry tells what becomes of a code point of a text, folded
 *          (or kept, see words_split_kept()) and spelled, where it joins none
 *          before it; by tables of 256, each made when one of them is met.
 * Owns.    struct words_table its tables, 2 KiB each.
 * Fails.   words_page() without memory: NULL.
 * Threads. One struct words_table per thread.
 * Cost.    A look-up.
 */
#ifndef QUERYLIST_WORDS_KIND_H
#define QUERYLIST_WORDS_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "querylist/words.h"

#define WORDS_SEPARATOR '\1'

#define WORDS_PAGE  256u
#define WORDS_PAGES 0x1100u /* up to U+10FFFF */

#define WORDS_SPELLED_MAX 6 /* bytes of one folded code point */

struct words_entry {
    char bytes[WORDS_SPELLED_MAX];
    unsigned char rank; /* base/fold.h; FOLD_JOINS also where the bytes would be
                           too many, or not all of one kind */
    unsigned char n;    /* bytes, and WORDS_MARK where they are a mark's */
};

#define WORDS_MARK 0x80

void words_table_release(struct words_table *t);

/* The page of cp, a scalar value. */
const struct words_entry *words_page(struct words_table *t, bool keep,
                                     uint32_t cp);

/* Spells a folded code point into to[WORDS_SPELLED_MAX]; returns its bytes. */
size_t words_spell(uint32_t cp, char *to, bool *mark);

#endif
