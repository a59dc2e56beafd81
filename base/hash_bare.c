/* SHA-256 and hex without a library: in base/hash.c's place where only the C
 * library is at hand (make train-only).  Several times slower than libcrypto,
 * which uses the processor's instructions for it.
 * Source: FIPS 180-4, sections 4.1.2, 5.1.1, 6.2.2. */
#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define BLOCK 64 /* bytes */

struct state {
    uint32_t h[8];
    uint64_t bytes;
    uint8_t block[BLOCK];
};

/* Fractions of the cube roots of the first 64 primes. */
static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1,
    0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3,
    0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
    0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
    0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
    0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/* And of the square roots of the first eight. */
static const uint32_t begin[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372,
                                  0xa54ff53a, 0x510e527f, 0x9b05688c,
                                  0x1f83d9ab, 0x5be0cd19};

static uint32_t turn(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void schedule(const uint8_t *p, uint32_t w[64])
{
    for (int t = 0; t < 16; t++, p += 4)
        w[t] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
               (uint32_t)p[2] << 8 | p[3];
    for (int t = 16; t < 64; t++) {
        uint32_t a = w[t - 15], b = w[t - 2];

        w[t] = w[t - 16] + w[t - 7] + (turn(a, 7) ^ turn(a, 18) ^ a >> 3) +
               (turn(b, 17) ^ turn(b, 19) ^ b >> 10);
    }
}

static void compress(struct state *s)
{
    uint32_t w[64], v[8];

    schedule(s->block, w);
    memcpy(v, s->h, sizeof v);
    for (int t = 0; t < 64; t++) {
        uint32_t e = v[4], a = v[0];
        uint32_t one = v[7] + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) +
                       ((e & v[5]) ^ (~e & v[6])) + k[t] + w[t];
        uint32_t two = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) +
                       ((a & v[1]) ^ (a & v[2]) ^ (v[1] & v[2]));

        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += one;
        v[0] = one + two;
    }
    for (int i = 0; i < 8; i++)
        s->h[i] += v[i];
}

void sha256_init(struct sha256 *h)
{
    struct state *s = xcalloc(1, sizeof *s);

    memcpy(s->h, begin, sizeof begin);
    h->ctx = s;
}

void sha256_add(struct sha256 *h, struct str in)
{
    struct state *s = h->ctx;

    while (in.n) {
        size_t at = s->bytes % BLOCK;
        size_t n = in.n < BLOCK - at ? in.n : BLOCK - at;

        memcpy(s->block + at, in.p, n);
        s->bytes += n;
        in = str_make(in.p + n, in.n - n);
        if (s->bytes % BLOCK == 0)
            compress(s);
    }
}

void sha256_final(struct sha256 *h, uint8_t out[SHA256_SIZE])
{
    struct state *s = h->ctx;
    uint64_t bits = 8 * s->bytes;
    char end[8];

    sha256_add(h, STR("\x80"));
    while (s->bytes % BLOCK != BLOCK - sizeof end)
        sha256_add(h, str_make("", 1)); /* its terminator: a zero */
    for (int i = 0; i < 8; i++)
        end[i] = (char)(bits >> (56 - 8 * i) & 255);
    sha256_add(h, str_make(end, sizeof end));
    for (int i = 0; i < SHA256_SIZE; i++)
        out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
    free(s);
    h->ctx = NULL;
}

void sha256_final_hex(struct sha256 *h, char out[SHA256_HEX])
{
    uint8_t raw[SHA256_SIZE];

    sha256_final(h, raw);
    hash_hex(raw, sizeof raw, out);
}

void hash_sha256(struct str s, uint8_t out[SHA256_SIZE])
{
    struct sha256 h;

    sha256_init(&h);
    sha256_add(&h, s);
    sha256_final(&h, out);
}

void hash_hex(const uint8_t *bytes, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = 0;
}
