#include "base/hash.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <xxhash.h>

#include "base/err.h"

static void must(int ok)
{
    if (ok != 1) {
        fputs("{\"event\":\"fatal\",\"message\":\"libcrypto failed\"}\n",
              stderr);
        abort();
    }
}

uint64_t hash_xxh3(struct str s)
{
    return XXH3_64bits(s.p, s.n);
}

uint64_t hash_xxh3_seeded(struct str s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.p, s.n, seed);
}

uint64_t hash_secret(void)
{
    struct {
        uint64_t random;
        struct timespec now;
        const void *here;
    } seed = {0};

    /* Where a kernel gives none, the time and where the stack lies have to
     * do: nobody is told them either. */
    if (getrandom(&seed.random, sizeof seed.random, GRND_NONBLOCK) !=
        (ssize_t)sizeof seed.random) {
        clock_gettime(CLOCK_MONOTONIC, &seed.now);
        seed.here = &seed;
    }
    return XXH3_64bits(&seed, sizeof seed);
}

/* One context a thread, freed when the thread ends. */
static pthread_once_t md5_once = PTHREAD_ONCE_INIT;
static pthread_key_t md5_key;
static EVP_MD *md5; /* fetched once: EVP_md5() looks it up at every init */

static void md5_free(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void md5_prepare(void)
{
    md5 = EVP_MD_fetch(NULL, "MD5", NULL);
    must(md5 != NULL && pthread_key_create(&md5_key, md5_free) == 0);
}

void hash_md5_2(struct str a, struct str b, uint8_t out[MD5_SIZE])
{
    static __thread EVP_MD_CTX *ctx;

    if (!ctx) {
        pthread_once(&md5_once, md5_prepare);
        ctx = EVP_MD_CTX_new();
        must(ctx != NULL && pthread_setspecific(md5_key, ctx) == 0);
    }
    must(EVP_DigestInit_ex2(ctx, md5, NULL));
    must(EVP_DigestUpdate(ctx, a.p, a.n));
    must(EVP_DigestUpdate(ctx, b.p, b.n));
    must(EVP_DigestFinal_ex(ctx, out, NULL));
}

void hash_sha256(struct str s, uint8_t out[SHA256_SIZE])
{
    must(EVP_Digest(s.p, s.n, out, NULL, EVP_sha256(), NULL));
}

void sha256_init(struct sha256 *h)
{
    h->ctx = EVP_MD_CTX_new();
    must(h->ctx != NULL);
    must(EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL));
}

void sha256_add(struct sha256 *h, struct str s)
{
    must(EVP_DigestUpdate(h->ctx, s.p, s.n));
}

void sha256_final(struct sha256 *h, uint8_t out[SHA256_SIZE])
{
    must(EVP_DigestFinal_ex(h->ctx, out, NULL));
    EVP_MD_CTX_free(h->ctx);
    h->ctx = NULL;
}

void sha256_final_hex(struct sha256 *h, char out[SHA256_HEX])
{
    uint8_t raw[SHA256_SIZE];

    sha256_final(h, raw);
    hash_hex(raw, sizeof raw, out);
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

/* Value of a hex digit plus one; 0: none. */
static const uint8_t hex_value[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,
    ['6'] = 7,  ['7'] = 8,  ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12,
    ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16, ['A'] = 11, ['B'] = 12,
    ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16};

int hash_unhex(struct str s, uint8_t *bytes, size_t n)
{
    if (s.n != 2 * n)
        return -E_FORMAT;
    for (size_t i = 0; i < n; i++) {
        unsigned hi = hex_value[(unsigned char)s.p[2 * i]];
        unsigned lo = hex_value[(unsigned char)s.p[2 * i + 1]];

        if (!hi || !lo)
            return -E_FORMAT;
        bytes[i] = (uint8_t)((hi - 1) << 4 | (lo - 1));
    }
    return 0;
}
