#include "base/phash.h"

#include <string.h>

#define N        PHASH_CELLS
#define LOW      8   /* coefficients kept a side */
#define FLAT_VAR 4.0 /* variance of the means below which bits are noise */

/* cos(pi k / 64), k = 0..32, correctly rounded: libm's cos may differ in the
 * last bit between processors, and a bit of the hash with it. */
static const double cosine[N + 1] = {
    0x1.0000000000000p+0, 0x1.ff621e3796d7ep-1, 0x1.fd88da3d12526p-1,
    0x1.fa7557f08a517p-1, 0x1.f6297cff75cb0p-1, 0x1.f0a7efb9230d7p-1,
    0x1.e9f4156c62ddap-1, 0x1.e212104f686e5p-1, 0x1.d906bcf328d46p-1,
    0x1.ced7af43cc773p-1, 0x1.c38b2f180bdb1p-1, 0x1.b728345196e3ep-1,
    0x1.a9b66290ea1a3p-1, 0x1.9b3e047f38741p-1, 0x1.8bc806b151741p-1,
    0x1.7b5df226aafafp-1, 0x1.6a09e667f3bcdp-1, 0x1.57d69348ceca0p-1,
    0x1.44cf325091dd6p-1, 0x1.30ff7fce17035p-1, 0x1.1c73b39ae68c8p-1,
    0x1.073879922ffeep-1, 0x1.e2b5d3806f63bp-2, 0x1.b5d1009e15cc0p-2,
    0x1.87de2a6aea963p-2, 0x1.58f9a75ab1fddp-2, 0x1.294062ed59f06p-2,
    0x1.f19f97b215f1bp-3, 0x1.8f8b83c69a60bp-3, 0x1.2c8106e8e613ap-3,
    0x1.917a6bc29b42cp-4, 0x1.91f65f10dd814p-5, 0x0.0000000000000p+0};

/* cos(pi k / 64) for any k, by the symmetries of the circle. */
static double cos64(unsigned k)
{
    k %= 4 * N;
    if (k > 2 * N)
        k = 4 * N - k;
    return k > N ? -cosine[2 * N - k] : cosine[k];
}

/*
 * In units of 1/32 pixel, pixel x covers [32x, 32x + 32) and cell i covers
 * [i * width, (i + 1) * width): all bounds are integers, so each row of pixels
 * is shared out exactly.  acc[i] += grey * overlap.
 */
static void add_row(const uint8_t *rgb, uint32_t width, uint64_t acc[N])
{
    uint64_t cell_end = width;
    unsigned i = 0;

    memset(acc, 0, N * sizeof acc[0]);
    for (uint32_t x = 0; x < width; x++, rgb += 3) {
        uint64_t grey =
            (299u * rgb[0] + 587u * rgb[1] + 114u * rgb[2] + 500u) / 1000u;
        uint64_t at = (uint64_t)x * N, end = at + N;

        while (end > cell_end) { /* lies across a border, or several */
            acc[i++] += grey * (cell_end - at);
            at = cell_end;
            cell_end += width;
        }
        acc[i] += grey * (end - at);
        if (end == cell_end && i + 1 < N) {
            i++;
            cell_end += width;
        }
    }
}

void phash_means(const uint8_t *rgb, size_t stride_bytes, uint32_t width,
                 uint32_t height, double means[N * N])
{
    /* At most 255 * width * height <= 2^40: no overflow. */
    uint64_t sum[N][N] = {{0}}, row[N];
    uint64_t cell_end = height;
    double area = (double)width * (double)height;
    unsigned j = 0;

    for (uint32_t y = 0; y < height; y++, rgb += stride_bytes) {
        uint64_t at = (uint64_t)y * N, end = at + N;

        add_row(rgb, width, row);
        while (at < end) {
            uint64_t upto = end < cell_end ? end : cell_end;

            for (unsigned i = 0; i < N; i++)
                sum[j][i] += row[i] * (upto - at);
            at = upto;
            if (at == cell_end && j + 1 < N) {
                j++;
                cell_end += height;
            }
        }
    }
    for (j = 0; j < N; j++)
        for (unsigned i = 0; i < N; i++)
            means[j * N + i] = (double)sum[j][i] / area;
}

/* The low LOW x LOW corner of the 2-D DCT-II: rows first, then columns. */
static void dct_low(const double means[N * N], double out[LOW * LOW])
{
    const double dc = 0x1.6a09e667f3bcdp-3; /* sqrt(1/32) */
    const double ac = 0x1.0000000000000p-2; /* sqrt(2/32) */
    double rows[N][LOW];

    for (unsigned y = 0; y < N; y++)
        for (unsigned u = 0; u < LOW; u++) {
            double s = 0;

            for (unsigned x = 0; x < N; x++)
                s += means[y * N + x] * cos64((2 * x + 1) * u);
            rows[y][u] = s * (u ? ac : dc);
        }
    for (unsigned v = 0; v < LOW; v++)
        for (unsigned u = 0; u < LOW; u++) {
            double s = 0;

            for (unsigned y = 0; y < N; y++)
                s += rows[y][u] * cos64((2 * y + 1) * v);
            out[v * LOW + u] = s * (v ? ac : dc);
        }
}

static double median63(const double *v)
{
    double sorted[LOW * LOW - 1];

    for (unsigned n = 0; n < LOW * LOW - 1; n++) {
        unsigned i = n;

        for (; i > 0 && sorted[i - 1] > v[n]; i--)
            sorted[i] = sorted[i - 1];
        sorted[i] = v[n];
    }
    return sorted[(LOW * LOW - 1) / 2];
}

uint64_t phash_of_means(const double means[N * N], bool *flat)
{
    double low[LOW * LOW], median, mean = 0, variance = 0;
    uint64_t bits = 0;

    for (unsigned i = 0; i < N * N; i++)
        mean += means[i];
    mean /= N * N;
    for (unsigned i = 0; i < N * N; i++)
        variance += (means[i] - mean) * (means[i] - mean);
    variance /= N * N;
    *flat = variance < FLAT_VAR;

    dct_low(means, low);
    median = median63(low + 1);
    for (unsigned i = 0; i < LOW * LOW; i++)
        bits = bits << 1 | (low[i] > median);
    return bits;
}

uint64_t phash_rgb(const uint8_t *rgb, size_t stride_bytes, uint32_t width,
                   uint32_t height, bool *flat)
{
    double means[N * N];

    phash_means(rgb, stride_bytes, width, height, means);
    return phash_of_means(means, flat);
}
