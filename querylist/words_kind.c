#include "querylist/words_kind.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

/* Han, Kana, Thai, Lao, Khmer, Burmese with their extensions: scripts that
 * put no space between words.  Ascending. */
static const struct {
    uint32_t from, to;
} alone[] = {
    {0x0e00, 0x0eff}, {0x1000, 0x109f}, {0x1780, 0x17ff},   {0x2e80, 0x30ff},
    {0x31f0, 0x31ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff},   {0xa9e0, 0xa9ff},
    {0xaa60, 0xaa7f}, {0xf900, 0xfaff}, {0x1aff0, 0x1b16f}, {0x20000, 0x3fffd},
};

static bool stands_alone(uint32_t cp)
{
    size_t i;

    for (i = 0; i < sizeof alone / sizeof *alone; i++)
        if (cp <= alone[i].to)
            return cp >= alone[i].from;
    return false;
}

/* What a folded character that is not ASCII is to the tokenizer. */
enum kind {
    SEPARATES,
    JOINS, /* letters and digits */
    MARK,  /* joins an open word */
    APOSTROPHE,
    ALONE, /* a word of its own */
    SPACE  /* separates without ending a phrase */
};

static enum kind kind_of(uint32_t cp)
{
    enum fold_class class;

    if (cp == 0x2019)
        return APOSTROPHE;
    class = fold_class(cp);
    if (class == FOLD_OTHER)
        return utf8_is_white_space(cp) ? SPACE : SEPARATES;
    if (stands_alone(cp))
        return ALONE;
    if (class == FOLD_MARK)
        return MARK;
    return class == FOLD_NUMBER ? SEPARATES : JOINS;
}

size_t words_spell(uint32_t cp, char *to, bool *mark)
{
    enum kind k = cp < 0x80 ? JOINS : kind_of(cp);
    size_t n;

    *mark = k == MARK;
    switch (k) {
    case JOINS:
    case MARK:
        return utf8_put(to, cp);
    case ALONE:
        to[0] = ' ';
        n = 1 + utf8_put(to + 1, cp);
        to[n] = ' ';
        return n + 1;
    case APOSTROPHE:
        to[0] = '\'';
        return 1;
    case SPACE:
        to[0] = ' ';
        return 1;
    case SEPARATES:
        break;
    }
    to[0] = WORDS_SEPARATOR;
    return 1;
}

/* Does what ends with this byte leave a word open that a mark continues?  Not
 * to be said of an apostrophe. */
static bool leaves_open(char byte)
{
    return (unsigned char)byte >= 0x80 || (byte >= '0' && byte <= '9') ||
           (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* One more code point for e; false when it has no room or no such entry. */
static bool add(struct words_entry *e, size_t *n, uint32_t cp)
{
    char spelled[WORDS_SPELLED_MAX];
    bool mark;
    size_t more = words_spell(cp, spelled, &mark);

    if (mark && *n && !(e->n & WORDS_MARK)) {
        if (e->bytes[*n - 1] == '\'')
            return false;
        if (!leaves_open(e->bytes[*n - 1])) {
            spelled[0] = WORDS_SEPARATOR;
            more = 1;
        }
    } else if (!mark && e->n & WORDS_MARK) {
        return false;
    } else if (mark) {
        e->n = WORDS_MARK;
    }
    if (*n + more > WORDS_SPELLED_MAX)
        return false;
    memcpy(e->bytes + *n, spelled, more);
    *n += more;
    return true;
}

static void fill(struct words_entry *e, uint32_t cp, bool keep)
{
    uint32_t nfkc[FOLD_NFKC_MAX], folded[FOLD_CASE_MAX];
    size_t n = 0, of = fold_nfkc(cp, nfkc);
    bool good = of > 0;

    for (size_t i = 0; good && i < of; i++) {
        size_t more = keep ? 1 : fold_case(nfkc[i], folded);

        for (size_t k = 0; good && k < more; k++)
            good = add(e, &n, keep ? nfkc[i] : folded[k]);
    }
    e->rank = good && n ? fold_rank(cp) : FOLD_JOINS;
    e->n |= (unsigned char)n;
}

const struct words_entry *words_page(struct words_table *t, bool keep,
                                     uint32_t cp)
{
    struct words_entry ***pages = &t->page[keep], *page;

    if (!*pages)
        *pages = calloc(WORDS_PAGES, sizeof **pages);
    if (!*pages)
        return NULL;
    page = (*pages)[cp / WORDS_PAGE];
    if (page)
        return page;
    page = calloc(WORDS_PAGE, sizeof *page);
    for (uint32_t i = 0; page && i < WORDS_PAGE; i++)
        fill(page + i, cp - cp % WORDS_PAGE + i, keep);
    (*pages)[cp / WORDS_PAGE] = page;
    return page;
}

void words_table_release(struct words_table *t)
{
    for (int keep = 0; keep < 2; keep++) {
        for (size_t i = 0; t->page[keep] && i < WORDS_PAGES; i++)
            free(t->page[keep][i]);
        free(t->page[keep]);
        t->page[keep] = NULL;
    }
}
