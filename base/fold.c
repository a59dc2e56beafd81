#include "base/fold.h"

#include <stdbool.h>
#include <stdlib.h>
#include <utf8proc.h>

#include "base/err.h"
#include "base/utf8.h"

/* STABLE obeys the composition exclusions, without which it is not NFKC. */
#define NFKC (UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_STABLE)

/* The longest full case folding is three code points (U+0390 and others). */
#define CASEFOLD_MAX 4

void fold_init(struct fold *f)
{
    *f = (struct fold){0};
}

void fold_release(struct fold *f)
{
    free(f->run);
    *f = (struct fold){0};
}

/*
 * True when normalisation leaves cp alone and never joins it to what stands
 * before it: no decomposition, combining class 0, in no composition pair.
 * Hangul composes by arithmetic, not by table, so its blocks are named here.
 */
static bool inert(uint32_t cp)
{
    const utf8proc_property_t *p;

    if (cp < 0x80)
        return true;
    if ((cp >= 0x1100 && cp <= 0x11ff) || (cp >= 0xac00 && cp <= 0xd7ff))
        return false;
    p = utf8proc_get_property((utf8proc_int32_t)cp);
    return p->combining_class == 0 && p->decomp_seqindex == UINT16_MAX &&
           p->comb_index == UINT16_MAX;
}

static void put_folded(uint32_t cp, struct buf *out)
{
    utf8proc_int32_t folded[CASEFOLD_MAX];
    utf8proc_ssize_t n, i;
    int boundary = 0;
    char *to;

    if (cp < 0x80) {
        buf_add_char(out, str_lower_char((char)cp));
        return;
    }
    n = utf8proc_decompose_char((utf8proc_int32_t)cp, folded, CASEFOLD_MAX,
                                UTF8PROC_CASEFOLD, &boundary);
    to = buf_reserve(out, CASEFOLD_MAX * UTF8_MAX);
    if (!to)
        return;
    for (i = 0; i < n && i < CASEFOLD_MAX; i++) {
        size_t len = utf8_put(to, (uint32_t)folded[i]);

        to += len;
        out->n += len;
    }
    *to = 0;
}

/* A run that normalisation may change, from its first starter up to the next
 * inert code point: composition cannot reach across that one. */
static int fold_run(struct fold *f, struct str run, struct buf *out)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)run.p;
    utf8proc_ssize_t n, i, len = (utf8proc_ssize_t)run.n;

    n = utf8proc_decompose(p, len, f->run, (utf8proc_ssize_t)f->cap, NFKC);
    if (n > 0 && (size_t)n > f->cap) {
        size_t cap = (size_t)n + 64;
        int32_t *grown = realloc(f->run, cap * sizeof *grown);

        if (!grown)
            return -E_NOMEM;
        f->run = grown;
        f->cap = cap;
        n = utf8proc_decompose(p, len, f->run, (utf8proc_ssize_t)cap, NFKC);
    }
    if (n < 0)
        return n == UTF8PROC_ERROR_INVALIDUTF8 ? -E_FORMAT : -E_NOMEM;
    n = utf8proc_normalize_utf32(f->run, n, NFKC);
    for (i = 0; i < n; i++)
        put_folded((uint32_t)f->run[i], out);
    return 0;
}

/* End of the run that begins at `at`, whose first code point is no reason to
 * stop; SIZE_MAX for invalid UTF-8. */
static size_t run_end(struct str s, size_t at)
{
    size_t next = at;

    utf8_next(s, &next);
    while (next < s.n) {
        size_t here = next;
        uint32_t cp = utf8_next(s, &next);

        if (cp == UTF8_BAD)
            return SIZE_MAX;
        if (inert(cp))
            return here;
    }
    return next;
}

/* Lower the ASCII bytes s[at, end) into out. */
static void put_ascii(struct str s, size_t at, size_t end, struct buf *out)
{
    char *to = buf_reserve(out, end - at);
    size_t i;

    if (!to)
        return;
    for (i = at; i < end; i++)
        *to++ = str_lower_char(s.p[i]);
    *to = 0;
    out->n += end - at;
}

int fold_text(struct fold *f, struct str s, struct buf *out)
{
    size_t at = 0, end, next;
    uint32_t cp;
    int rc;

    while (at < s.n) {
        end = at + utf8_ascii_span(str_make(s.p + at, s.n - at));
        if (end == s.n) {
            put_ascii(s, at, end, out);
            break;
        }
        next = end;
        cp = utf8_next(s, &next);
        if (cp == UTF8_BAD)
            return -E_FORMAT;
        if (inert(cp)) {
            put_ascii(s, at, end, out);
            put_folded(cp, out);
            at = next;
            continue;
        }
        /* The ASCII letter before it may be what it composes with. */
        if (end > at)
            end--;
        put_ascii(s, at, end, out);
        next = run_end(s, end);
        if (next == SIZE_MAX)
            return -E_FORMAT;
        rc = fold_run(f, str_slice(s, end, next), out);
        if (rc)
            return rc;
        at = next;
    }
    return out->rc;
}

enum fold_class fold_class(uint32_t cp)
{
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
        return FOLD_LETTER;
    case UTF8PROC_CATEGORY_ND:
        return FOLD_DIGIT;
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return FOLD_NUMBER;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
        return FOLD_MARK;
    default:
        return FOLD_OTHER;
    }
}
