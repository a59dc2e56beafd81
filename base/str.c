#include "base/str.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "base/err.h"

int str_cmp(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static bool ieq(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_lower_char(a[i]) != str_lower_char(b[i]))
            return false;
    return true;
}

bool str_ieq(struct str a, struct str b)
{
    return a.n == b.n && ieq(a.p, b.p, a.n);
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq(str_make(s.p, prefix.n), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.n >= suffix.n &&
           str_eq(str_slice(s, s.n - suffix.n, s.n), suffix);
}

bool str_iends(struct str s, struct str suffix)
{
    return s.n >= suffix.n && ieq(s.p + s.n - suffix.n, suffix.p, suffix.n);
}

size_t str_find(struct str s, struct str needle, size_t from)
{
    const char *hit;

    if (from > s.n)
        return SIZE_MAX;
    if (needle.n == 0)
        return from;
    if (s.n - from < needle.n)
        return SIZE_MAX;
    hit = memmem(s.p + from, s.n - from, needle.p, needle.n);
    return hit ? (size_t)(hit - s.p) : SIZE_MAX;
}

size_t str_find_char(struct str s, char c, size_t from)
{
    const char *hit;

    if (from >= s.n)
        return SIZE_MAX;
    hit = memchr(s.p + from, c, s.n - from);
    return hit ? (size_t)(hit - s.p) : SIZE_MAX;
}

struct str str_slice(struct str s, size_t from, size_t to)
{
    if (to > s.n)
        to = s.n;
    if (from > to)
        from = to;
    return str_make(s.p ? s.p + from : NULL, to - from);
}

struct str str_trim(struct str s)
{
    while (s.n && str_is_space(s.p[0]))
        s = str_slice(s, 1, s.n);
    while (s.n && str_is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool str_split(struct str *rest, char sep, struct str *field)
{
    size_t at;

    if (!rest->p)
        return false;
    at = str_find_char(*rest, sep, 0);
    if (at == SIZE_MAX) {
        *field = *rest;
        *rest = STR_NONE;
        return true;
    }
    *field = str_slice(*rest, 0, at);
    *rest = str_slice(*rest, at + 1, rest->n);
    return true;
}

int str_u64(struct str s, uint64_t *out)
{
    uint64_t v = 0;

    if (s.n == 0)
        return -E_FORMAT;
    for (size_t i = 0; i < s.n; i++) {
        if (!str_is_digit(s.p[i]))
            return -E_FORMAT;
        if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return -E_RANGE;
    }
    *out = v;
    return 0;
}

int str_i64(struct str s, int64_t *out)
{
    bool minus = s.n && s.p[0] == '-';
    uint64_t v;
    int rc = str_u64(minus ? str_slice(s, 1, s.n) : s, &v);

    if (rc)
        return rc;
    if (v > (uint64_t)INT64_MAX + (minus ? 1 : 0))
        return -E_RANGE;
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

int str_double(struct str s, double *out)
{
    static locale_t c_locale; /* made once; a race makes an equal twin */
    char text[64];
    char *end;
    double v;

    if (s.n == 0 || s.n >= sizeof text || str_is_space(s.p[0]))
        return -E_FORMAT;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    if (!__atomic_load_n(&c_locale, __ATOMIC_ACQUIRE))
        __atomic_store_n(&c_locale, newlocale(LC_ALL_MASK, "C", NULL),
                         __ATOMIC_RELEASE);
    errno = 0;
    v = strtod_l(text, &end, __atomic_load_n(&c_locale, __ATOMIC_ACQUIRE));
    if (*end)
        return -E_FORMAT;
    if (!isfinite(v) || errno == ERANGE)
        return -E_RANGE;
    *out = v;
    return 0;
}
