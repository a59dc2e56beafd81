#include "filter/dedup_keys.h"

#include <string.h>

#define DIGIT_BITS 11
#define FEW_BITS   8    /* of a digit, where there are few rows */
#define FEW        2048 /* rows */

static void move(const struct dedup_keys *from, const struct dedup_keys *to,
                 size_t n, unsigned shift, uint32_t digits)
{
    uint32_t place[1u << DIGIT_BITS], sum = 0;

    memset(place, 0, digits * sizeof *place);
    for (size_t i = 0; i < n; i++)
        place[from->key[i] >> shift & (digits - 1)]++;
    for (uint32_t d = 0; d < digits; d++) {
        uint32_t count = place[d];

        place[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t k = place[from->key[i] >> shift & (digits - 1)]++;

        to->key[k] = from->key[i];
        to->at[k] = from->at[i];
    }
}

uint64_t dedup_keys_sort(struct dedup_keys *v, struct dedup_keys *room,
                         size_t n)
{
    unsigned bits = n < FEW ? FEW_BITS : DIGIT_BITS;
    uint64_t vary = 0, moved = 0;

    for (size_t i = 1; i < n; i++)
        vary |= v->key[i] ^ v->key[0];
    for (unsigned shift = 0; shift < 64 && vary >> shift; shift += bits) {
        struct dedup_keys swap = *v;

        if (!(vary >> shift & ((UINT64_C(1) << bits) - 1)))
            continue;
        move(v, room, n, shift, 1u << bits);
        *v = *room;
        *room = swap;
        moved += n;
    }
    return moved;
}
