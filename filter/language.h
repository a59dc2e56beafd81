/*
 * language - in which language is a text?  By CLD2, where it is built in.
 *
 * Model.   language_set_parse() turns "en,pt-BR" into the languages wanted;
 *          language_judge() says of a text whether its language is among them.
 *          CLD2 looks at letters in groups of four, so it wants some text:
 *          texts under min_bytes, and those that it makes nothing of, are
 *          LANGUAGE_UNKNOWN, a third answer that the caller counts apart.
 *          The Makefile looks for CLD2's header and a C++ compiler; without
 *          them language_available() is false and everything else refuses.
 * Fails.   language_set_parse: -E_USAGE for a code that CLD2 does not know;
 *          -E_UNSUPPORTED in a build without it.
 * Threads. Pure functions.
 * Cost.    CLD2 itself, several times what matching a text costs
 *          (docs/textrules.md): ask it last.
 */
#ifndef FILTER_LANGUAGE_H
#define FILTER_LANGUAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

#define LANGUAGE_TEXT_MIN 20   /* bytes, as a default */
#define LANGUAGES_MAX     1024 /* numbers that CLD2 has for languages */

struct language_set {
    uint64_t bits[LANGUAGES_MAX / 64];
};

enum language_verdict { LANGUAGE_WANTED, LANGUAGE_OTHER, LANGUAGE_UNKNOWN };

struct language_rules {
    struct language_set wanted;
    uint64_t min_bytes;   /* shorter texts are unknown */
    uint64_t min_percent; /* of the text's letters in the language, 0..100 */
    bool reliable;        /* what CLD2 is not sure of is unknown */
};

bool language_available(void);

/* CLD2's version and that of its tables, as the library that runs tells them;
 * "" in a build without it. */
const char *language_version(void);

/* Codes as CLD2 has them (ISO 639, zh-Hant), between commas or spaces. */
int language_set_parse(struct language_set *set, struct str codes,
                       struct err *e);

/* text: UTF-8. */
enum language_verdict language_judge(const struct language_rules *r,
                                     struct str text);

#endif
