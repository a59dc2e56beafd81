/*
 * textrules - verdicts on a pair's text and URL before any query is asked.
 *
 * Model.   Each rule is an option and has a name, which counts the pairs that
 *          it drops; the first that applies, in the order below, is the one
 *          counted:
 *            svg           the URL's path ends in .svg or .svgz
 *            boilerplate   every word is one of navigation (next, home,
 *                          back to top...); pages are full of them
 *            filename      the text names an image file and has fewer than two
 *                          words of two letters beside
 *            repetition    at least eight words, of which at most a quarter
 *                          are distinct
 *            too-few-chars, too-few-words, too-many-words
 *          Sources: facts/extraction.md; DataComp's basic filter and LAION's
 *          least lengths (facts B6, B7) for the last three.
 * Threads. Pure, but for the scratch that the caller lends.
 * Cost.    One pass over the words.
 */
#ifndef FILTER_TEXTRULES_H
#define FILTER_TEXTRULES_H

#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"
#include "querylist/words.h"

struct textrules {
    bool svg, boilerplate, filename, repetition;
    uint64_t min_chars; /* code points of the text */
    uint64_t min_words; /* of the default policy's words */
    uint64_t max_words; /* 0: any number */
};

/* Why the pair goes, or NULL.  w: the text's words under the default policy
 * (also where the query list's policy is another). */
const char *textrules_verdict(const struct textrules *r, struct str url,
                              struct str text, const struct words *w);

#endif
