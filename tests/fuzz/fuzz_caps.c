/* Caps that are accepted give draws below the counts, and ranks that are there;
 * the checksum is set right first, so that what stands behind it is reached. */
#include "filter/caps.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 48

static uint32_t u32(const char *p)
{
    uint32_t v;

    memcpy(&v, p, 4);
    return v;
}

static uint64_t u64(const char *p)
{
    uint64_t v;

    memcpy(&v, p, 8);
    return v;
}

/* As docs/formats/caps.md has it, as far as there are bytes. */
static void set_checksum(char *p, size_t size)
{
    size_t n = u32(p + 16), at = HEAD;
    uint64_t h = 0, ranks = u64(p + 24), ties = u64(p + 32);
    const char *first;

    for (int i = 0; i < 2; i++, at += 8 * n) {
        if (size - at < 8 * n)
            return;
        h = hash_xxh3_seeded(str_make(p + at, 8 * n), h);
    }
    if (u32(p + 12) == 1) {
        first = p + at;
        if (size - at < 8 * n + 8)
            return;
        h = hash_xxh3_seeded(str_make(first, 8 * n + 8), h);
        at += 8 * n + 8;
        if (ranks > (size - at) / 8 || ties > (size - at - 8 * ranks) / 32)
            return;
        for (size_t q = 0; q < n; q++) {
            uint64_t from = u64(first + 8 * q), to = u64(first + 8 * q + 8);

            if (from > to || to > ranks)
                return;
            h = hash_xxh3_seeded(str_make(p + at + 8 * from, 8 * (to - from)),
                                 h);
        }
        h = hash_xxh3_seeded(str_make(p + at + 8 * ranks, 32 * ties), h);
    }
    memcpy(p + 40, &h, sizeof h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t hashes[] = {0, 1, 2, UINT64_C(1) << 63, UINT64_MAX};
    static const uint8_t uids[2][MD5_SIZE] = {{0}, {1}};
    char *copy = malloc(size + 8);
    struct caps k;

    if (!copy)
        abort();
    memcpy(copy, data, size);
    if (size >= HEAD)
        set_checksum(copy, size);
    if (caps_open_memory(&k, str_make(copy, size), "caps", NULL) == 0)
        for (uint32_t q = 0; q < k.n; q++)
            for (int i = 0; i < 10; i++) {
                uint64_t d = caps_draw(&k, q, hashes[i / 2], uids[i % 2]);
                uint64_t most = k.exact ? k.first[q + 1] - k.first[q] : k.c[q];

                if (d >= most && d != UINT64_MAX && most)
                    abort();
            }
    free(copy);
    return 0;
}
