/*
 * textwords - verdicts on a text by its words alone.
 *
 * Model.   textwords_boilerplate() is true of a text that has no words but
 *          those of navigation (next, home, back to top); textwords_repeated()
 *          of one of at least eight words of which at most a quarter are
 *          distinct.  Words are those of the default policy
 *          (querylist/words.h).
 * Threads. Pure functions.
 * Cost.    A look at the first word, and one at the first four, settle most
 *          texts.  textwords_repeated() is linear in the words, also for texts
 *          made to be slow: it compares them with those before while there
 *          are few, and then by a table under a hash that nobody outside the
 *          process can know.  16 KiB of stack.
 */
#ifndef FILTER_TEXTWORDS_H
#define FILTER_TEXTWORDS_H

#include <stdbool.h>
#include <stdint.h>
#include "querylist/words.h"

/* Words that textwords_repeated() looks at: no text of a pair (PAIR_TEXT_MAX
 * bytes) folds to as many; of a longer one the first so many are judged. */
#define TEXTWORDS_MAX 16384

bool textwords_boilerplate(const struct words *w);

/* secret: hash_secret(); no verdict depends on it. */
bool textwords_repeated(const struct words *w, uint64_t secret);

#endif
