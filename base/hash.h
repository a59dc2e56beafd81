/*
 * hash - the three hashes of the project, and their hex.
 *
 * Model.   XXH3-64 decides (order, buckets, draws), MD5 names a pair (as
 *          DataComp and cc2dataset do), SHA-256 proves content.  The door to
 *          libxxhash and libcrypto.
 * Fails.   Only struct sha256: a failing libcrypto ends the process, like
 *          memory running out.
 * Threads. Pure functions; one struct sha256 belongs to one thread.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include "base/str.h"

#define MD5_SIZE    16
#define SHA256_SIZE 32
#define SHA256_HEX  65 /* with the terminator */

uint64_t hash_xxh3(struct str s);
uint64_t hash_xxh3_seeded(struct str s, uint64_t seed);

/* A number that nobody outside the process knows, another one at every call:
 * the seed of a table whose keys strangers choose, as keys that collide under
 * a known one would make a list of it.  What depends on it may reach no file
 * and no order. */
uint64_t hash_secret(void);

/* MD5 of a then b, without a separator. */
void hash_md5_2(struct str a, struct str b, uint8_t out[MD5_SIZE]);

void hash_sha256(struct str s, uint8_t out[SHA256_SIZE]);

struct sha256 {
    void *ctx; /* EVP_MD_CTX */
};

void sha256_init(struct sha256 *h);
void sha256_add(struct sha256 *h, struct str s);
void sha256_final(struct sha256 *h, uint8_t out[SHA256_SIZE]); /* releases */
void sha256_final_hex(struct sha256 *h, char out[SHA256_HEX]); /* releases */

/* Lower-case hex of n bytes, and a terminator: out[2 * n + 1]. */
void hash_hex(const uint8_t *bytes, size_t n, char *out);

/* The reverse, either case; 0, or -E_FORMAT unless s is 2 * n hex digits. */
int hash_unhex(struct str s, uint8_t *bytes, size_t n);

#endif
