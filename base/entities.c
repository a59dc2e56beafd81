#include "base/entities.h"

struct row {
    char name[33]; /* the longest has 32 bytes */
    uint32_t first, second;
};

/* clang-format off */
static const struct row rows[] = {
#include "base/entities.inc"
};
/* clang-format on */

#define ROWS (sizeof rows / sizeof rows[0])

/* First row in [lo, hi) whose byte at depth is at least c; those rows share
 * their first `depth` bytes, so they are sorted by that byte. */
static size_t lower(size_t lo, size_t hi, size_t depth, unsigned c)
{
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if ((unsigned char)rows[mid].name[depth] < c)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool entity_find(struct str s, struct entity *found)
{
    size_t lo = 0, hi = ROWS, best = ROWS, depth = 0;

    while (depth < s.n && depth < sizeof rows[0].name - 1) {
        unsigned c = (unsigned char)s.p[depth];

        if (c == 0)
            break;
        lo = lower(lo, hi, depth, c);
        hi = lower(lo, hi, depth, c + 1);
        if (lo == hi)
            break;
        depth++;
        if (rows[lo].name[depth] == 0) {
            best = lo;
            found->n = depth;
        }
    }
    if (best == ROWS)
        return false;
    found->first = rows[best].first;
    found->second = rows[best].second;
    found->semicolon = rows[best].name[found->n - 1] == ';';
    return true;
}

uint32_t entity_number(uint32_t number)
{
    static const uint16_t c1[32] = {
        0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021,
        0x2c6,  0x2030, 0x160,  0x2039, 0x152,  0x8d,   0x17d,  0x8f,
        0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
        0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178};

    if (number >= 0x80 && number < 0xa0)
        return c1[number - 0x80];
    if (number == 0 || number > 0x10ffff ||
        (number >= 0xd800 && number <= 0xdfff))
        return 0xfffd;
    return number;
}
