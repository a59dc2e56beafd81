/*
 * str - borrowed byte strings.
 *
 * Model.   (pointer, length) without a terminator; bytes, usually UTF-8.  A
 *          struct str never owns: it lives as long as what it points into.
 * Threads. Values; free to copy.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p; /* may be NULL when n is 0 */
    size_t n;      /* bytes */
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})
#define STR_ARG(s) (int)(s).n, (s).p /* for "%.*s" */

static inline struct str str_of(const char *c)
{
    return (struct str){c, c ? strlen(c) : 0};
}

static inline struct str str_make(const char *p, size_t n)
{
    return (struct str){p, n};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Bytewise order, a prefix before what it begins; <0, 0, >0. */
int str_cmp(struct str a, struct str b);

/* Equal but for the case of ASCII letters. */
bool str_ieq(struct str a, struct str b);

bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_iends(struct str s, struct str suffix); /* ASCII case ignored */

/* Offset of the first needle at or after from, or SIZE_MAX. */
size_t str_find(struct str s, struct str needle, size_t from);
size_t str_find_char(struct str s, char c, size_t from);

/* s[from, to), both clamped to s. */
struct str str_slice(struct str s, size_t from, size_t to);

/* Without U+0009-U+000D and U+0020 at both ends. */
struct str str_trim(struct str s);

/* Cut the next field off *rest, up to sep or its end; false when *rest was
 * exhausted (p set to NULL). An empty string has one empty field. */
bool str_split(struct str *rest, char sep, struct str *field);

/* Whole of s as a decimal number; 0, or -E_FORMAT/-E_RANGE. */
int str_u64(struct str s, uint64_t *out);
int str_i64(struct str s, int64_t *out);
int str_double(struct str s, double *out); /* "C" locale, finite */

static inline char str_lower_char(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static inline bool str_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool str_is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool str_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* -1 unless c is a hexadecimal digit. */
static inline int str_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

#endif
