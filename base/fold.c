#include "base/fold.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/err.h"
#include "base/utf8.h"

/* STABLE obeys the composition exclusions, without which it is neither form. */
#define NFC  (UTF8PROC_COMPOSE | UTF8PROC_STABLE)
#define NFKC (NFC | UTF8PROC_COMPAT)

/* Code points below U+30000 are in tables. */
#define PAGE_SIZE 256
#define PAGES     0x300
#define ENTRY_MAX 6 /* bytes */

/* What becomes of a code point between two boundaries. */
struct entry {
    unsigned char n; /* bytes; 0 where they are too many */
    bool boundary;   /* nothing before it joins it */
    char bytes[ENTRY_MAX];
};

struct fold_page {
    struct entry of[PAGE_SIZE];
};

void fold_init(struct fold *f)
{
    *f = (struct fold){0};
}

void fold_release(struct fold *f)
{
    free(f->run);
    for (size_t k = 0; k < FOLD_FORMS; k++) {
        for (size_t i = 0; f->page[k] && i < PAGES; i++)
            free(f->page[k][i]);
        free(f->page[k]);
    }
    *f = (struct fold){0};
}

/*
 * No decomposition, combining class 0, in no composition pair: that holds for
 * NFC and NFKC.
 * Hangul composes by arithmetic, not by table, so its blocks are named here;
 * but U+11A7, one before the first trailing consonant, composes with nothing,
 * and utf8proc 2.8 loses it behind a syllable: it never gets to see it.
 */
bool fold_inert(uint32_t cp)
{
    const utf8proc_property_t *p;

    if (cp < 0x80 || cp == 0x11a7)
        return true;
    if ((cp >= 0x1100 && cp <= 0x11ff) || (cp >= 0xac00 && cp <= 0xd7ff))
        return false;
    p = utf8proc_get_property((utf8proc_int32_t)cp);
    return p->combining_class == 0 && p->decomp_seqindex == UINT16_MAX &&
           p->comb_index == UINT16_MAX;
}

void fold_put(uint32_t cp, struct buf *out)
{
    char *to = buf_reserve(out, UTF8_MAX);

    if (!to)
        return;
    out->n += utf8_put(to, cp);
    out->p[out->n] = 0;
}

/* The longest is three code points (U+0390 and others). */
size_t fold_case(uint32_t cp, uint32_t out[FOLD_CASE_MAX])
{
    utf8proc_int32_t folded[FOLD_CASE_MAX];
    utf8proc_ssize_t n, i;
    int boundary = 0;

    n = utf8proc_decompose_char((utf8proc_int32_t)cp, folded, FOLD_CASE_MAX,
                                UTF8PROC_CASEFOLD, &boundary);
    for (i = 0; i < n && i < FOLD_CASE_MAX; i++)
        out[i] = (uint32_t)folded[i];
    return (size_t)i;
}

static void put_folded(uint32_t cp, struct buf *out)
{
    uint32_t folded[FOLD_CASE_MAX];
    size_t n;

    if (cp < 0x80) {
        buf_add_char(out, str_lower_char((char)cp));
        return;
    }
    n = fold_case(cp, folded);
    for (size_t i = 0; i < n; i++)
        fold_put(folded[i], out);
}

/* What becomes of text: its normal form, and of each code point of that. */
struct form {
    int options; /* NFC or NFKC */
    enum fold_form number;
    void (*put)(uint32_t cp, struct buf *out);
    bool lower; /* what put does to ASCII: lower it, or nothing */
};

/* ---- tables ---- */

/* Nothing before cp, the first of a decomposition, joins it or changes places
 * with it: it is a starter, and second in no composition.  (The highest bit of
 * comb_index says so; the vowels and last consonants of Hangul are second by
 * arithmetic, but U+11A7 only seems to be, see above.) */
static bool begins_anew(uint32_t cp)
{
    const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)cp);

    if (cp >= 0x1160 && cp <= 0x11ff)
        return cp == 0x11a7;
    return p->combining_class == 0 &&
           (p->comb_index == UINT16_MAX || p->comb_index < 0x8000);
}

/* Of a mark: it is no other's decomposition, and second in no composition. */
static bool keeps_to_itself(uint32_t cp)
{
    const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)cp);

    return p->combining_class != 0 && p->decomp_seqindex == UINT16_MAX &&
           (p->comb_index == UINT16_MAX || p->comb_index < 0x8000);
}

static unsigned class_of(int32_t cp)
{
    return (unsigned)utf8proc_get_property(cp)->combining_class;
}

unsigned char fold_rank(uint32_t cp)
{
    utf8proc_int32_t run[FOLD_NFKC_MAX];
    utf8proc_ssize_t n;
    int boundary = 0;

    n = utf8proc_decompose_char((utf8proc_int32_t)cp, run, FOLD_NFKC_MAX, NFKC,
                                &boundary);
    if (n <= 0 || n > FOLD_NFKC_MAX)
        return FOLD_JOINS;
    if (!begins_anew((uint32_t)run[0]))
        return keeps_to_itself(cp) && class_of(run[0]) < FOLD_UNSURE
                   ? (unsigned char)class_of(run[0])
                   : FOLD_JOINS;
    n = utf8proc_normalize_utf32(run, n, NFKC);
    return n > 0 && class_of(run[n - 1]) == 0 ? FOLD_BOUNDARY : FOLD_UNSURE;
}

static void fill_entry(struct entry *to, uint32_t cp, const struct form *form,
                       struct buf *bytes)
{
    utf8proc_int32_t run[FOLD_NFKC_MAX];
    utf8proc_ssize_t n;
    int boundary = 0;

    n = utf8proc_decompose_char((utf8proc_int32_t)cp, run, FOLD_NFKC_MAX,
                                form->options, &boundary);
    if (n <= 0 || n > FOLD_NFKC_MAX || !begins_anew((uint32_t)run[0]))
        return;
    to->boundary = true;
    n = utf8proc_normalize_utf32(run, n, form->options);
    buf_clear(bytes);
    for (utf8proc_ssize_t i = 0; i < n; i++)
        form->put((uint32_t)run[i], bytes);
    if (bytes->n == 0 || bytes->n > ENTRY_MAX)
        return;
    to->n = (unsigned char)bytes->n;
    memcpy(to->bytes, bytes->p, bytes->n);
}

/* The page of a code point below U+30000; NULL without memory. */
static struct fold_page *make_page(struct fold *f, uint32_t cp,
                                   const struct form *form)
{
    struct fold_page ***pages = &f->page[form->number], *made;
    struct buf bytes;

    if (!*pages)
        *pages = calloc(PAGES, sizeof **pages);
    made = *pages ? calloc(1, sizeof *made) : NULL;
    if (!made)
        return NULL;
    buf_init(&bytes, BUF_NO_LIMIT);
    for (uint32_t i = 0; i < PAGE_SIZE; i++)
        fill_entry(&made->of[i], cp - cp % PAGE_SIZE + i, form, &bytes);
    if (bytes.rc) {
        free(made);
        made = NULL;
    }
    buf_release(&bytes);
    (*pages)[cp / PAGE_SIZE] = made;
    return made;
}

/* An entry that says nothing where there is none. */
static inline const struct entry *entry_of(struct fold *f, uint32_t cp,
                                           const struct form *form)
{
    static const struct entry unknown = {0};
    struct fold_page *page = NULL, **pages = f->page[form->number];

    if (cp >= PAGES * PAGE_SIZE || f->untabled)
        return &unknown;
    if (pages)
        page = pages[cp / PAGE_SIZE];
    if (!page)
        page = make_page(f, cp, form);
    return page ? &page->of[cp % PAGE_SIZE] : &unknown;
}

static inline void put_entry(const struct entry *e, struct buf *out)
{
    if (out->n + ENTRY_MAX < out->cap && out->n + ENTRY_MAX <= out->max) {
        memcpy(out->p + out->n, e->bytes, ENTRY_MAX);
        out->n += e->n;
        out->p[out->n] = 0;
    } else {
        buf_add(out, str_make(e->bytes, e->n));
    }
}

/* ---- text ---- */

/* A run that normalisation may change, from one boundary up to the next. */
static int put_run(struct fold *f, struct str run, const struct form *form,
                   struct buf *out)
{
    const utf8proc_uint8_t *p = (const utf8proc_uint8_t *)run.p;
    utf8proc_ssize_t n, i, len = (utf8proc_ssize_t)run.n;

    n = utf8proc_decompose(p, len, f->run, (utf8proc_ssize_t)f->cap,
                           form->options);
    if (n > 0 && (size_t)n > f->cap) {
        size_t cap = (size_t)n + 64;
        int32_t *grown = realloc(f->run, cap * sizeof *grown);

        if (!grown)
            return -E_NOMEM;
        f->run = grown;
        f->cap = cap;
        n = utf8proc_decompose(p, len, f->run, (utf8proc_ssize_t)cap,
                               form->options);
    }
    if (n < 0)
        return n == UTF8PROC_ERROR_INVALIDUTF8 ? -E_FORMAT : -E_NOMEM;
    n = utf8proc_normalize_utf32(f->run, n, form->options);
    for (i = 0; i < n; i++)
        form->put((uint32_t)f->run[i], out);
    return 0;
}

/* End of the run that begins at `at`, whose first code point is no reason to
 * stop; SIZE_MAX for invalid UTF-8. */
static size_t run_end(struct fold *f, struct str s, size_t at,
                      const struct form *form)
{
    size_t next = at;

    if (utf8_next(s, &next) == UTF8_BAD)
        return SIZE_MAX;
    while (next < s.n) {
        size_t here = next;
        uint32_t cp = utf8_next(s, &next);

        if (cp == UTF8_BAD)
            return SIZE_MAX;
        if (cp < 0x80 || cp == 0x11a7 || entry_of(f, cp, form)->boundary)
            return here;
    }
    return next;
}

/* The ASCII bytes s[at, end) into out. */
static void put_ascii(struct str s, size_t at, size_t end, bool lower,
                      struct buf *out)
{
    char *to;
    size_t i;

    if (!lower) {
        buf_add(out, str_slice(s, at, end));
        return;
    }
    to = buf_reserve(out, end - at);
    if (!to)
        return;
    for (i = at; i < end; i++)
        *to++ = str_lower_char(s.p[i]);
    *to = 0;
    out->n += end - at;
}

static inline bool is_ascii(struct str s, size_t at)
{
    return (unsigned char)s.p[at] < 0x80;
}

/* What is not ASCII, by the tables, from a boundary at `at` on.  Returns where
 * that ends: at ASCII, at the end, or where a run begins; SIZE_MAX for invalid
 * UTF-8. */
static size_t put_entries(struct fold *f, struct str s, size_t at,
                          const struct form *form, struct buf *out)
{
    size_t next = at;
    const struct entry *e = entry_of(f, utf8_next(s, &next), form);

    while (e->n) {
        const struct entry *follows;
        size_t behind = next;
        uint32_t cp;

        if (next == s.n || is_ascii(s, next)) {
            put_entry(e, out);
            return next;
        }
        cp = utf8_next(s, &behind);
        if (cp == UTF8_BAD)
            return SIZE_MAX;
        follows = entry_of(f, cp, form);
        if (!follows->boundary)
            break;
        put_entry(e, out);
        e = follows;
        at = next;
        next = behind;
    }
    return at;
}

/* What is not ASCII, up to ASCII or the end; *at moves there from its begin, or
 * from the ASCII character before that where the two may be joined. */
static int put_other(struct fold *f, struct str s, size_t *at,
                     const struct form *form, struct buf *out)
{
    size_t begin = *at, end;
    int rc;

    if (!is_ascii(s, begin)) {
        begin = put_entries(f, s, begin, form, out);
        *at = begin;
        if (begin == SIZE_MAX)
            return -E_FORMAT;
        if (begin == s.n || is_ascii(s, begin))
            return 0;
    }
    end = run_end(f, s, begin, form);
    if (end == SIZE_MAX)
        return -E_FORMAT;
    rc = put_run(f, str_slice(s, begin, end), form, out);
    *at = end;
    return rc;
}

static int put_text(struct fold *f, struct str s, const struct form *form,
                    struct buf *out)
{
    size_t at = 0, end, next;
    uint32_t cp;
    int rc = 0;

    while (!rc && at < s.n) {
        end = at + utf8_ascii_span(str_make(s.p + at, s.n - at));
        if (end == s.n) {
            put_ascii(s, at, end, form->lower, out);
            break;
        }
        next = end;
        cp = utf8_next(s, &next);
        if (cp == UTF8_BAD)
            return -E_FORMAT;
        /* The ASCII letter before it may be what it composes with. */
        if (end > at && !entry_of(f, cp, form)->boundary)
            end--;
        put_ascii(s, at, end, form->lower, out);
        at = end;
        rc = put_other(f, s, &at, form, out);
    }
    return rc ? rc : out->rc;
}

int fold_text(struct fold *f, struct str s, struct buf *out)
{
    static const struct form folded = {NFKC, FOLD_FOLDED, put_folded, true};

    return put_text(f, s, &folded, out);
}

int fold_keep(struct fold *f, struct str s, struct buf *out)
{
    static const struct form kept = {NFKC, FOLD_KEPT, fold_put, false};

    return put_text(f, s, &kept, out);
}

int fold_nfc(struct fold *f, struct str s, struct buf *out)
{
    static const struct form composed = {NFC, FOLD_NFC, fold_put, false};

    return put_text(f, s, &composed, out);
}

uint32_t fold_lower(uint32_t cp)
{
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp);
}

uint32_t fold_upper(uint32_t cp)
{
    return (uint32_t)utf8proc_toupper((utf8proc_int32_t)cp);
}

size_t fold_nfkc(uint32_t cp, uint32_t out[FOLD_NFKC_MAX])
{
    utf8proc_int32_t run[FOLD_NFKC_MAX];
    utf8proc_ssize_t n;
    int boundary = 0;

    n = utf8proc_decompose_char((utf8proc_int32_t)cp, run, FOLD_NFKC_MAX, NFKC,
                                &boundary);
    if (n < 0 || n > FOLD_NFKC_MAX)
        n = 0;
    n = utf8proc_normalize_utf32(run, n, NFKC);
    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = (uint32_t)run[i];
    return n > 0 ? (size_t)n : 0;
}

/* Word_Break MidLetter, MidNumLet and Single_Quote: with the categories below
 * what Unicode calls Case_Ignorable. */
static bool within_words(uint32_t cp)
{
    static const uint16_t list[] = {
        0x27,   0x2e,   0x3a,   0xb7,   0x387,  0x55f,  0x5f4,  0x2018, 0x2019,
        0x2024, 0x2027, 0xfe13, 0xfe52, 0xfe55, 0xff07, 0xff0e, 0xff1a};

    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i] == cp)
            return true;
    return false;
}

/* Of Other_Lowercase and Other_Uppercase what is not ignorable anyway. */
static bool other_cased(uint32_t cp)
{
    static const struct {
        uint32_t first, last;
    } spans[] = {{0xaa, 0xaa},      {0xba, 0xba},       {0x2160, 0x217f},
                 {0x24b6, 0x24e9},  {0x1f130, 0x1f149}, {0x1f150, 0x1f169},
                 {0x1f170, 0x1f189}};

    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
        if (cp >= spans[i].first && cp <= spans[i].last)
            return true;
    return false;
}

enum fold_sigma fold_sigma(uint32_t cp)
{
    switch (utf8proc_category((utf8proc_int32_t)cp)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return FOLD_IGNORABLE;
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
        return FOLD_CASED;
    default:
        return within_words(cp)  ? FOLD_IGNORABLE
               : other_cased(cp) ? FOLD_CASED
                                 : FOLD_UNCASED;
    }
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
