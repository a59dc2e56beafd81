/*
 * Would the characters of a line be the bytes of UTF-8 in some single-byte
 * set?  All sets at once, a small automaton each: how many continuation bytes
 * are still due.  It is a filter, not a judge: the published cleaning weighs
 * what stands beside what before it repairs.
 */
#include "train/clean.h"

#include "base/utf8.h"

#define SETS 10 /* ISO-8859-1, then those of the table */

enum { LATIN_1, WINDOWS_1252, MAC_ROMAN = 8 };

struct row {
    uint16_t cp;
    uint8_t bytes[SETS - 1]; /* in each set, 0 where it has no such byte */
};

/* clang-format off */
static const struct row rows[] = {
#include "train/clean_garbled.inc"
};
/* clang-format on */

static const struct row *find(uint32_t cp)
{
    size_t lo = 0, hi = sizeof rows / sizeof *rows;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (rows[mid].cp < cp)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < sizeof rows / sizeof *rows && rows[lo].cp == cp ? rows + lo
                                                                : NULL;
}

struct reader {
    bool whole;     /* the line so far is in this set, and UTF-8 there */
    uint8_t lead;   /* of the sequence that is being read */
    uint8_t length; /* of it, 0 outside of one */
    uint8_t due;    /* continuation bytes */
    bool strict;    /* none of them was guessed */
    unsigned found; /* sequences */
};

static uint8_t byte_of(uint32_t cp, const struct row *row, int set)
{
    if (cp < 0x80)
        return (uint8_t)cp;
    if (set == LATIN_1)
        return cp < 0x100 ? (uint8_t)cp : 0;
    return row ? row->bytes[set - 1] : 0;
}

/* Space stands for U+00A0 behind leads that make common letters with it, U+FFFD
 * and ? for bytes that were lost. */
static bool is_lost(const struct reader *r, uint32_t cp)
{
    static const uint8_t spaced[] = {0xc2, 0xc3, 0xc5, 0xce, 0xd0, 0xd9};

    if (cp == 0xfffd || cp == '?')
        return true;
    if (cp != ' ')
        return false;
    for (size_t i = 0; r->length == 2 && i < sizeof spaced; i++)
        if (spaced[i] == r->lead)
            return true;
    return r->length > 2 && r->lead < 0xf1;
}

static void begin(struct reader *r, uint8_t byte)
{
    r->length = byte < 0x80                    ? 0
                : byte >= 0xc2 && byte <= 0xdf ? 2
                : byte >= 0xe0 && byte <= 0xef ? 3
                : byte >= 0xf0 && byte <= 0xf4 ? 4
                                               : 0;
    r->lead = byte;
    r->due = r->length ? r->length - 1 : 0;
    r->strict = true;
    if (byte >= 0x80 && !r->length)
        r->whole = false;
}

/* True when a part alone says enough: in a set whose letters seldom stand so
 * beside each other. */
static bool step(struct reader *r, int set, uint32_t cp, uint8_t byte)
{
    if (r->due) {
        bool lost = is_lost(r, cp);

        if ((byte >= 0x80 && byte <= 0xbf) || lost) {
            r->strict = r->strict && !lost;
            if (--r->due)
                return false;
            r->found++;
            return r->strict &&
                   (set <= WINDOWS_1252 || (set == MAC_ROMAN && r->length > 2));
        }
        r->whole = false;
    }
    if (!byte && cp)
        r->whole = false;
    begin(r, byte);
    return false;
}

bool clean_garbled(struct str line)
{
    struct reader readers[SETS];
    bool due = false; /* some set is within a sequence */
    size_t at = 0;

    for (int i = 0; i < SETS; i++)
        readers[i] = (struct reader){.whole = true};
    while (at < line.n) {
        uint32_t cp = utf8_next(line, &at);
        const struct row *row = cp < 0x80 ? NULL : find(cp);

        if (cp < 0x80 && !due)
            continue;
        due = false;
        for (int i = 0; i < SETS; i++) {
            if (step(&readers[i], i, cp, byte_of(cp, row, i)))
                return true;
            due = due || readers[i].due;
        }
    }
    for (int i = 0; i < SETS; i++)
        if (readers[i].whole && !readers[i].due && readers[i].found)
            return true;
    return false;
}
