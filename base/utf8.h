/*
 * utf8 - strict UTF-8 (Unicode 15, table 3-7): no surrogates, no overlong
 * forms, nothing above U+10FFFF.
 *
 * Threads. Pure functions.
 * Cost.    Validation passes ASCII eight bytes at a time.
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>
#include "base/str.h"

#define UTF8_BAD UINT32_MAX
#define UTF8_MAX 4 /* bytes of the longest code point */

bool utf8_valid(struct str s);

/* Number of leading bytes that are ASCII. */
size_t utf8_ascii_span(struct str s);

/* The code point at *at, which moves behind it; UTF8_BAD for an ill-formed
 * sequence, of which *at then passes the maximal subpart (at least 1 byte). */
uint32_t utf8_next(struct str s, size_t *at);

/* Write cp (a scalar value) to out[UTF8_MAX]; returns its bytes. */
size_t utf8_put(char *out, uint32_t cp);

/* Unicode White_Space (PropList.txt). */
bool utf8_is_white_space(uint32_t cp);

#endif
