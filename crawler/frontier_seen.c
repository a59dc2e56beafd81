#include "crawler/frontier_seen.h"
#include "base/err.h"
#include "base/mem.h"
#include <stdlib.h>

#define SLOTS_MIN 1024u

static uint64_t rotl(uint64_t x, int b)
{
    return (x << b) | (x >> (64 - b));
}

static uint64_t read_le64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 7; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static void sip_rounds(uint64_t v[4], int n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = rotl(v[1], 13) ^ v[0];
        v[3] = rotl(v[3], 16) ^ v[2];
        v[0] = rotl(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = rotl(v[1], 17) ^ v[2];
        v[3] = rotl(v[3], 21) ^ v[0];
        v[2] = rotl(v[2], 32);
    }
}

uint64_t seen_siphash(const uint8_t key[SEEN_KEY_SIZE], struct str text)
{
    uint64_t k0 = read_le64(key), k1 = read_le64(key + 8);
    uint64_t v[4] = {
        k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
        k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573)};
    const uint8_t *p = (const uint8_t *)text.p;
    uint64_t last = (uint64_t)text.n << 56;
    size_t n = text.n;

    for (; n >= 8; n -= 8, p += 8) {
        uint64_t m = read_le64(p);
        v[3] ^= m;
        sip_rounds(v, 2);
        v[0] ^= m;
    }
    for (size_t i = 0; i < n; i++)
        last |= (uint64_t)p[i] << (8 * i);
    v[3] ^= last;
    sip_rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xff;
    sip_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void seen_init(struct seen *s, const uint8_t key[SEEN_KEY_SIZE])
{
    memset(s, 0, sizeof *s);
    memcpy(s->key, key, SEEN_KEY_SIZE);
}

void seen_release(struct seen *s)
{
    for (uint32_t i = 0; i < s->n_blocks; i++)
        free(s->hashes[i]);
    free(s->hashes);
    free(s->slots);
    free(s->tags);
    memset(s, 0, sizeof *s);
}

static uint64_t hash_of(const struct seen *s, uint32_t number)
{
    return s->hashes[(number - 1) / SEEN_BLOCK][(number - 1) % SEEN_BLOCK];
}

/* The slot of hash, or the free one where it belongs.  The high bits choose
 * the slot and the low byte is the tag, so that a run of neighbours is told
 * apart without a look at their hashes. */
static uint64_t slot_of(const struct seen *s, uint64_t hash)
{
    uint64_t at = (uint64_t)(((unsigned __int128)hash * s->n_slots) >> 64);

    while (s->slots[at]) {
        if (s->tags[at] == (uint8_t)hash && hash_of(s, s->slots[at]) == hash)
            return at;
        if (++at == s->n_slots)
            at = 0;
    }
    return at;
}

/* The old table goes before the new one comes: the hashes are enough to fill
 * it, and a crawl near its memory limit has no room for both. */
static int grow(struct seen *s)
{
    uint64_t n = s->n_slots ? s->n_slots + s->n_slots / 3 : SLOTS_MIN;

    free(s->slots);
    free(s->tags);
    s->n_slots = 0;
    s->slots = calloc(n, sizeof *s->slots);
    s->tags = malloc(n);
    if (!s->slots || !s->tags)
        return -E_NOMEM;
    s->n_slots = n;
    for (uint32_t i = 1; i <= s->n; i++) {
        uint64_t at = slot_of(s, hash_of(s, i));
        s->slots[at] = i;
        s->tags[at] = (uint8_t)hash_of(s, i);
    }
    return 0;
}

static int add_block(struct seen *s)
{
    uint64_t *block = malloc(SEEN_BLOCK * sizeof *block);

    if (!block)
        return -E_NOMEM;
    if (s->n_blocks == s->cap_blocks) {
        s->cap_blocks = s->cap_blocks ? 2 * s->cap_blocks : 16;
        s->hashes = xrealloc_array(s->hashes, s->cap_blocks, sizeof *s->hashes);
    }
    s->hashes[s->n_blocks++] = block;
    return 0;
}

uint32_t seen_find(const struct seen *s, struct str text)
{
    if (!s->n_slots)
        return 0;
    return s->slots[slot_of(s, seen_siphash(s->key, text))];
}

int seen_add(struct seen *s, struct str text, uint32_t *number, bool *added)
{
    uint64_t hash = seen_siphash(s->key, text);
    uint64_t at;
    int rc;

    /* 17/20 full at most */
    if ((uint64_t)(s->n + 1) * 20 > s->n_slots * 17 && (rc = grow(s)) != 0)
        return rc;
    at = slot_of(s, hash);
    *added = s->slots[at] == 0;
    if (!*added) {
        *number = s->slots[at];
        return 0;
    }
    if (s->n == UINT32_MAX - 1)
        return -E_TOOBIG;
    if (s->n / SEEN_BLOCK == s->n_blocks && (rc = add_block(s)) != 0)
        return rc;
    s->hashes[s->n / SEEN_BLOCK][s->n % SEEN_BLOCK] = hash;
    *number = ++s->n;
    s->slots[at] = *number;
    s->tags[at] = (uint8_t)hash;
    return 0;
}

size_t seen_bytes(const struct seen *s)
{
    return s->n_slots * (sizeof *s->slots + 1) +
           (size_t)s->n_blocks * SEEN_BLOCK * sizeof **s->hashes +
           (size_t)s->cap_blocks * sizeof *s->hashes;
}
