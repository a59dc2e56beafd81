/*
 * corpus - a corpus folder and the facts that every stage reads of it.
 *
 * Model.   A folder is a corpus once `queries` has put queries.bin there.  Its
 *          first 64 bytes, laid out below, carry the seed that all random
 *          choices hash and the number of buckets; the rest of the file is
 *          querylist/qlist.h's.
 * Fails.   -E_NOTFOUND "is no corpus" with what to do; -E_VERSION, -E_DAMAGED.
 * Threads. Constant after corpus_open().
 */
#ifndef BASE_CORPUS_H
#define BASE_CORPUS_H

#include <stdint.h>
#include "base/err.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/str.h"

#define CORPUS_HEADER_SIZE 64
#define CORPUS_VERSION     3
#define CORPUS_BUCKET_BITS_MIN 1
#define CORPUS_BUCKET_BITS_MAX 13

/*
 * offset size
 *      0    8  "WITMILLQ"
 *      8    4  format version
 *     12    4  matching policy (querylist)
 *     16    8  corpus seed
 *     24    4  bucket bits b
 *     28    4  number of entries
 *     32    4  number of groups
 *     36    4  zero
 *     40    8  bytes of the file
 *     48    8  XXH3-64 of the bytes behind the header
 *     56    8  zero
 * All integers little-endian.
 */
struct corpus_header {
    uint32_t version;
    uint32_t policy;      /* enum query_policy */
    uint64_t seed;
    uint32_t bucket_bits; /* CORPUS_BUCKET_BITS_MIN..MAX */
    uint32_t n_queries;   /* ids are 0..n_queries-1 */
    uint32_t n_groups;
    uint64_t file_size;   /* bytes */
    uint64_t body_xxh3;
};

struct corpus {
    char dir[IO_PATH_MAX];
    struct corpus_header head;
};

void corpus_header_write(const struct corpus_header *h,
                         char out[CORPUS_HEADER_SIZE]);
int corpus_header_read(const char in[CORPUS_HEADER_SIZE], const char *path,
                       struct corpus_header *h, struct err *e);

/* Open an existing corpus. */
int corpus_open(struct corpus *c, const char *dir, struct err *e);

/* dir/name into out[IO_PATH_MAX]. */
int corpus_path(const struct corpus *c, const char *name, char *out,
                struct err *e);

/* H(url) = XXH3-64 of the canonical URL with the corpus seed, and its bucket,
 * H >> (64 - b). */
static inline uint64_t corpus_url_hash(const struct corpus *c, struct str url)
{
    return hash_xxh3_seeded(url, c->head.seed);
}

static inline uint32_t corpus_bucket(const struct corpus *c, uint64_t h)
{
    return (uint32_t)(h >> (64 - c->head.bucket_bits));
}

static inline uint32_t corpus_buckets(const struct corpus *c)
{
    return UINT32_C(1) << c->head.bucket_bits;
}

#endif
