/* querylist/qlist on damaged files: the hash is made to fit, so that offsets
 * and references are what is tried; every getter is called on what opens. */
#include <stdlib.h>

#include "base/hash.h"
#include "querylist/qlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void seal(uint8_t *p, size_t n)
{
    uint64_t h = hash_xxh3(
        str_make((char *)p + CORPUS_HEADER_SIZE, n - CORPUS_HEADER_SIZE));

    for (int i = 0; i < 8; i++) {
        p[40 + i] = (uint8_t)((uint64_t)n >> (8 * i));
        p[48 + i] = (uint8_t)(h >> (8 * i));
    }
}

static uint64_t touch(struct str s)
{
    return hash_xxh3(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    struct qlist l;
    struct query_entry q;
    struct qlist_synset s;
    uint64_t sum = 0;

    if (!copy)
        return 0;
    memcpy(copy, data, size);
    if (size >= CORPUS_HEADER_SIZE)
        seal(copy, size);
    if (qlist_open_memory(&l, str_make((char *)copy, size), "fuzz", NULL) ==
        0) {
        for (uint32_t i = 0; i < qlist_count(&l); i++) {
            qlist_entry(&l, i, &q);
            sum += touch(q.text) + touch(q.norm) + qlist_group(&l, i);
        }
        for (uint32_t i = 0; i < qlist_synsets(&l); i++) {
            qlist_synset(&l, i, &s);
            sum += touch(s.id) + touch(s.name) + touch(s.gloss);
            for (uint32_t k = 0; k < s.n_parents; k++)
                sum += qlist_parent(&l, s.first_parent + k);
        }
        qlist_close(&l);
    }
    free(copy);
    (void)sum;
    return 0;
}
