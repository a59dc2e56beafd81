/*
 * words_kind - what a character of folded text is to the tokenizer.
 *
 * Model.   words_kind() by tables of 256 characters, each made when one of them
 *          is first met.
 * Owns.    struct words_kinds its tables, at most 200 KB.
 * Fails.   Never: without memory for a table the answer is found each time.
 * Threads. One struct words_kinds per thread.
 * Cost.    A look-up.
 */
#ifndef QUERYLIST_WORDS_KIND_H
#define QUERYLIST_WORDS_KIND_H

#include <stdint.h>

#include "querylist/words.h"

/* What a folded character is to the tokenizer. */
enum kind {
    SEPARATES,
    JOINS, /* letters and digits */
    MARK,  /* joins an open word */
    APOSTROPHE,
    ALONE, /* a word of its own */
    SPACE  /* separates without ending a phrase */
};

#define WORDS_KINDS_PAGE  256u
#define WORDS_KINDS_PAGES 0x300u /* up to U+2FFFF */

/* Of ASCII: an enum kind each. */
extern const unsigned char words_ascii_kind[128];

/* The page of cp, made; NULL without memory or past the last one. */
const unsigned char *words_kinds_page(struct words_kinds *k, uint32_t cp);

/* Without tables. */
enum kind words_find_kind(uint32_t cp);

void words_kinds_release(struct words_kinds *k);

static inline enum kind words_kind(struct words_kinds *k, uint32_t cp)
{
    const unsigned char *page = NULL;

    if (cp < 0x80)
        return (enum kind)words_ascii_kind[cp];
    if (k->page && cp < WORDS_KINDS_PAGES * WORDS_KINDS_PAGE)
        page = k->page[cp / WORDS_KINDS_PAGE];
    if (!page)
        page = words_kinds_page(k, cp);
    return page ? (enum kind)page[cp % WORDS_KINDS_PAGE] : words_find_kind(cp);
}

#endif
