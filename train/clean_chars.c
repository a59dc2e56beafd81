#include "train/clean_chars.h"

#include "base/entities.h"
#include "base/fold.h"

#define NFC_BELOW  0x300 /* text of lower code points is NFC */
#define MAPPED_MAX FOLD_NFKC_MAX

/* Two or three letters that ftfy takes apart; 0 behind the last. */
static const uint16_t *ligature(uint32_t cp)
{
    static const uint16_t list[][4] = {
        {0x132, 'I', 'J'},       {0x133, 'i', 'j'},       {0x149, 0x2bc, 'n'},
        {0x1c4, 'D', 0x17d},     {0x1c5, 'D', 0x17e},     {0x1c6, 'd', 0x17e},
        {0x1c7, 'L', 'J'},       {0x1c8, 'L', 'j'},       {0x1c9, 'l', 'j'},
        {0x1ca, 'N', 'J'},       {0x1cb, 'N', 'j'},       {0x1cc, 'n', 'j'},
        {0x1f1, 'D', 'Z'},       {0x1f2, 'D', 'z'},       {0x1f3, 'd', 'z'},
        {0xfb00, 'f', 'f'},      {0xfb01, 'f', 'i'},      {0xfb02, 'f', 'l'},
        {0xfb03, 'f', 'f', 'i'}, {0xfb04, 'f', 'f', 'l'}, {0xfb05, 0x17f, 't'},
        {0xfb06, 's', 't'}};

    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i][0] == cp)
            return list[i] + 1;
    return NULL;
}

/* Curly quotes and line separators. */
static uint32_t straight(uint32_t cp)
{
    if (cp == 0x2bc || (cp >= 0x2018 && cp <= 0x201b))
        return '\'';
    if (cp >= 0x201c && cp <= 0x201f)
        return '"';
    return cp == 0x2028 || cp == 0x2029 ? '\n' : cp;
}

bool clean_is_control(uint32_t cp)
{
    return cp < 9 || cp == 0xb || (cp >= 0xe && cp < 0x20) || cp == 0x7f ||
           (cp >= 0x206a && cp <= 0x206f) || cp == 0xfeff ||
           (cp >= 0xfff9 && cp <= 0xfffc);
}

unsigned clean_char(uint32_t cp, struct buf *out)
{
    uint32_t to[MAPPED_MAX] = {cp};
    size_t n = 1;
    unsigned saw = 0;

    if (cp < 0xa0) {
        to[0] = entity_number(cp);
    } else if (cp == 0x3000) {
        to[0] = ' ';
    } else if (cp > 0xff00 && cp < 0xfff0) {
        n = fold_nfkc(cp, to);
    } else if ((cp >= 0x132 && cp <= 0x1f3) || (cp >> 3) == 0xfb00 >> 3) {
        const uint16_t *letters = ligature(cp);

        for (n = 0; letters && n < 3 && letters[n]; n++)
            to[n] = letters[n];
        n += !letters;
    }
    for (size_t i = 0; i < n; i++) {
        cp = straight(to[i]);
        if (clean_is_control(cp))
            saw |= CLEAN_NEEDS_REDUCTION;
        else if (cp >= NFC_BELOW && !fold_inert(cp))
            saw |= CLEAN_NEEDS_NFC;
        fold_put(cp, out);
    }
    return saw;
}
