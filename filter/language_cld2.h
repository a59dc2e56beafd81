/*
 * language_cld2 - the door to CLD2: C functions over its C++ ones.
 *
 * Model.   Private to filter/language.  In builds without CLD2
 *          the functions are absent, and nothing calls them (WITMILL_CLD2).
 * Threads. Pure functions.
 */
#ifndef FILTER_LANGUAGE_CLD2_H
#define FILTER_LANGUAGE_CLD2_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct language_guess {
    int number;  /* of the language, or -1: none */
    int percent; /* of the text's letters, 0..100 */
    bool reliable;
};

/* Number of a language by its code, terminated; -1: no such language. */
int language_cld2_number(const char *code);

/* Of the code and of the tables in it, as the library that runs tells them:
 * "V2.0 - 20141016". */
const char *language_cld2_version(void);

/* The language that most of a text is in; invalid UTF-8 is in none. */
void language_cld2_guess(const char *text, size_t n,
                         struct language_guess *guess);

#ifdef __cplusplus
}
#endif

#endif
