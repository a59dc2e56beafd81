#include "querylist/words_kind.h"

#include <stdbool.h>
#include <stdlib.h>

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

#define X4(k) k, k, k, k
#define X8(k) X4(k), X4(k)
const unsigned char words_ascii_kind[128] = {
    X8(SEPARATES), SEPARATES,     SPACE,     SPACE,      SPACE, /* TAB LF VT */
    SPACE,         SPACE,         SEPARATES, SEPARATES,         /* FF CR */
    X8(SEPARATES), X8(SEPARATES), SPACE,     SEPARATES,  SEPARATES,
    SEPARATES, /* ' ' ! " # */
    SEPARATES,     SEPARATES,     SEPARATES, APOSTROPHE, X8(SEPARATES),
    X8(JOINS),     JOINS,         JOINS,     SEPARATES,  SEPARATES,
    X4(SEPARATES), /* 0-9 */
    SEPARATES,     JOINS,         JOINS,     JOINS,      X4(JOINS),
    X8(JOINS),     X8(JOINS), /* A-Z */
    JOINS,         JOINS,         JOINS,     SEPARATES,  X4(SEPARATES),
    SEPARATES,     JOINS,         JOINS,     JOINS,      X4(JOINS),
    X8(JOINS),     X8(JOINS), /* a-z */
    JOINS,         JOINS,         JOINS,     SEPARATES,  X4(SEPARATES),
};

enum kind words_find_kind(uint32_t cp)
{
    enum fold_class class;

    if (cp < 0x80)
        return (enum kind)words_ascii_kind[cp];
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

const unsigned char *words_kinds_page(struct words_kinds *k, uint32_t cp)
{
    uint32_t first = cp - cp % WORDS_KINDS_PAGE;
    unsigned char *page;

    if (cp >= WORDS_KINDS_PAGES * WORDS_KINDS_PAGE)
        return NULL;
    if (!k->page)
        k->page = calloc(WORDS_KINDS_PAGES, sizeof *k->page);
    page = k->page ? malloc(WORDS_KINDS_PAGE) : NULL;
    if (!page)
        return NULL;
    for (uint32_t i = 0; i < WORDS_KINDS_PAGE; i++)
        page[i] = (unsigned char)words_find_kind(first + i);
    k->page[first / WORDS_KINDS_PAGE] = page;
    return page;
}

void words_kinds_release(struct words_kinds *k)
{
    for (size_t i = 0; k->page && i < WORDS_KINDS_PAGES; i++)
        free(k->page[i]);
    free(k->page);
    k->page = NULL;
}
