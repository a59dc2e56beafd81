/*
 * textrules - verdicts on a pair's text and URL before any query is asked.
 *
 * Model.   Each rule is an option and has a name, which counts the pairs that
 *          it drops; the first that applies, in the order below, is the one
 *          counted:
 *            svg           the URL's path ends in .svg or .svgz
 *            url-contains  the URL has one of some strings in it
 *            block-host, block-url     on a list of the user's
 *                                      (filter/blocklist.h)
 *            boilerplate   every word is one of navigation (next, home,
 *                          back to top...); pages are full of them
 *            filename      the text names an image file and has fewer than two
 *                          words of two letters beside
 *            link, markup, entity, template, code, filler
 *                          debris (filter/textmarks.h)
 *            repetition    at least eight words, of which at most a quarter
 *                          are distinct (this and boilerplate:
 *                          filter/textwords.h)
 *            char-run      a character over and over
 *            few-letters   too small a share of letters
 *            long-word     a word of too many characters
 *            too-few-chars, too-many-chars, too-few-tokens, too-few-words,
 *            too-many-words
 *            block-term    a word or phrase of a list
 *          textrules_language() has two more, language and language-unknown
 *          (filter/language.h): CLD2 takes several times what all else does,
 *          so that it is asked of texts that match some query alone.
 *          Sources: facts/extraction.md; DataComp's basic and caption filters
 *          and LAION's rules (facts B6, B7).  docs/textrules.md has examples.
 * Owns.    struct textrules its lists; it borrows the config.
 * Fails.   textrules_open: as blocklist_open and language_set_parse.
 * Threads. The rules are constant once open; one textrules_seen per thread.
 * Cost.    The rules that are on by default: one pass over the URL, a look at
 *          the words.  Rules that are off cost nothing (tests/bench_rules.c).
 */
#ifndef FILTER_TEXTRULES_H
#define FILTER_TEXTRULES_H

#include <stdbool.h>
#include <stdint.h>
#include "base/opt.h"
#include "base/stage.h"
#include "base/str.h"
#include "base/tally.h"
#include "filter/blocklist.h"
#include "filter/language.h"
#include "querylist/words.h"

enum textrules_unknown { TEXTRULES_KEEP, TEXTRULES_DROP };

/* "keep", "drop", NULL: for option tables. */
extern const char *const textrules_unknown_names[];

/* Options; all zero is no rule. */
struct textrules_config {
    bool svg, boilerplate, filename, repetition;
    bool link, markup, entity, template, code, filler;
    struct opt_list url_contains; /* bytes that a URL may not have in it */
    uint64_t min_chars;           /* code points of the text */
    uint64_t max_chars;           /* 0: any number */
    uint64_t min_tokens;          /* of what stands between white space */
    uint64_t min_words;           /* of the default policy's words */
    uint64_t max_words;           /* 0: any number */
    uint64_t max_word_chars;      /* code points of a word, 0: any number */
    uint64_t max_char_run; /* equal code points in a row, 0: any number */
    uint64_t min_letters;  /* percent of what is not white space, 0..100 */
    const char *block_terms, *block_hosts, *block_urls; /* files or NULL */
    const char *language;    /* codes; NULL or "any": every language */
    uint64_t language_bytes; /* shorter texts are not asked about */
    uint64_t language_percent;
    bool language_reliable;
    int language_unknown; /* enum textrules_unknown */
};

struct textrules {
    const struct textrules_config *c;
    struct blocklist terms, hosts, urls;
    char terms_sha256[SHA256_HEX]; /* of the files; "" for none */
    char hosts_sha256[SHA256_HEX];
    char urls_sha256[SHA256_HEX];
    struct language_rules language;
    uint64_t secret; /* of textwords_repeated() */
    /* Whether some rule of a kind is on, so that the others are not asked. */
    bool places;    /* about the URL, but svg */
    bool marks;     /* about debris, but filename */
    bool chars;     /* about characters, tokens and long words */
    bool languages; /* not every language */
};

struct textrules_seen {
    uint64_t unknown; /* texts kept whose language nobody could tell;
                         whoever counts them sets it to 0 */
};

int textrules_open(struct textrules *r, const struct textrules_config *c,
                   struct err *e);
void textrules_close(struct textrules *r); /* also when zeroed */

/* The lists, for the fingerprint: by the option's name and the bytes, so that
 * a list may lie elsewhere the next time; and CLD2's version where languages
 * are asked for. */
void textrules_add_inputs(const struct textrules *r, struct stage_inputs *in);

/* Why the pair goes, or NULL.  w: the text's words under the default policy
 * (also where the query list's policy is another). */
const char *textrules_verdict(const struct textrules *r, struct str url,
                              struct str text, const struct words *w);

/* The same by the text's language, NULL at once where each is wanted; for texts
 * that nothing else leaves out, so that seen->unknown counts what stays. */
const char *textrules_language(const struct textrules *r,
                               struct textrules_seen *s, struct str text);

#endif
