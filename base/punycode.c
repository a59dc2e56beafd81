#include "base/punycode.h"

#include <stdint.h>

#include "base/err.h"
#include "base/utf8.h"

/* The parameters of section 5. */
enum {
    BASE = 36,
    TMIN = 1,
    TMAX = 26,
    SKEW = 38,
    DAMP = 700,
    INITIAL_BIAS = 72,
    INITIAL_N = 128
};

static char digit(uint32_t d)
{
    return (char)(d < 26 ? 'a' + d : '0' + (d - 26));
}

/* Section 6.1. */
static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;

    delta = first ? delta / DAMP : delta / 2;
    delta += delta / points;
    while (delta > ((BASE - TMIN) * TMAX) / 2) {
        delta /= BASE - TMIN;
        k += BASE;
    }
    return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

/* Section 6.3, the inner loop: delta as a generalised variable-length
 * integer. */
static void put_delta(uint32_t delta, uint32_t bias, struct buf *out)
{
    uint32_t k, t;

    for (k = BASE;; k += BASE) {
        t = k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;
        if (delta < t)
            break;
        buf_add_char(out, digit(t + (delta - t) % (BASE - t)));
        delta = (delta - t) / (BASE - t);
    }
    buf_add_char(out, digit(delta));
}

int punycode_encode(struct str label, struct buf *out)
{
    uint32_t cp[PUNYCODE_MAX], n = INITIAL_N, bias = INITIAL_BIAS;
    uint32_t count = 0, basic = 0, done, i, next;
    uint64_t delta = 0;
    size_t at = 0;

    while (at < label.n) {
        if (count == PUNYCODE_MAX)
            return -E_TOOBIG;
        cp[count] = utf8_next(label, &at);
        if (cp[count] == UTF8_BAD)
            return -E_FORMAT;
        if (cp[count] < INITIAL_N) {
            buf_add_char(out, (char)cp[count]);
            basic++;
        }
        count++;
    }
    done = basic;
    if (basic)
        buf_add_char(out, '-');
    while (done < count) {
        next = UINT32_MAX;
        for (i = 0; i < count; i++)
            if (cp[i] >= n && cp[i] < next)
                next = cp[i];
        delta += (uint64_t)(next - n) * (done + 1);
        if (delta > UINT32_MAX)
            return -E_TOOBIG;
        n = next;
        for (i = 0; i < count; i++) {
            if (cp[i] < n && ++delta > UINT32_MAX)
                return -E_TOOBIG;
            if (cp[i] != n)
                continue;
            put_delta((uint32_t)delta, bias, out);
            bias = adapt((uint32_t)delta, done + 1, done == basic);
            delta = 0;
            done++;
        }
        delta++;
        n++;
    }
    return out->rc;
}
