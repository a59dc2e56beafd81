/*
 * phashes - synthetic perceptual hashes by number, for tests and benches of
 * finding near ones.
 *
 * Model.   phashes_of(i, kind) is a function of its arguments.  `random`: no
 *          two are near but by chance; `near`: three in ten are 0 to 6 bits off
 *          that of a smaller number; `crowds`: besides these one in ten equal
 *          to one of four, one in ten within 24 bits of one value, and one in
 *          ten around one of eight values.
 */
#ifndef TESTS_PHASHES_H
#define TESTS_PHASHES_H

#include <stdint.h>
#include <string.h>

enum phashes_kind { PHASHES_RANDOM, PHASHES_NEAR, PHASHES_CROWDS };

static const char *const phashes_kinds[] = {"random", "near", "crowds"};

static inline uint64_t phashes_mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline uint64_t phashes_flip(uint64_t v, uint64_t r, unsigned n,
                                    unsigned bits)
{
    while (n--) {
        r = phashes_mix(r);
        v ^= UINT64_C(1) << r % bits;
    }
    return v;
}

static inline uint64_t phashes_of(uint64_t i, enum phashes_kind kind)
{
    uint64_t r = phashes_mix(~i), what = r % 10;

    if (kind == PHASHES_RANDOM || i == 0 ||
        what >= (kind == PHASHES_CROWDS ? 6 : 3))
        return phashes_mix(i);
    if (what < 3)
        return phashes_flip(phashes_mix(phashes_mix(r) % i), r,
                            (unsigned)(r >> 32) % 7, 64);
    if (what == 3)
        return phashes_mix(UINT64_C(1) << 60 | (r >> 32 & 3));
    if (what == 4)
        return UINT64_C(0x5a5a5a5a5a000000) | (phashes_mix(r) & 0xffffff);
    return phashes_flip(phashes_mix(UINT64_C(1) << 61 | (r >> 32 & 7)), r,
                        (unsigned)(r >> 40) % 24, 64);
}

/* The kind of this name, or -1. */
static inline int phashes_kind_of(const char *name)
{
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, phashes_kinds[i]))
            return i;
    return -1;
}

#endif
