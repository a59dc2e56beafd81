/* querylist/qlist on damaged files: the hash is made to fit, so that offsets
 * and references are what is tried; every getter is called on what opens, and
 * the list's own texts are matched by its table. */
#include <stdlib.h>

#include "base/hash.h"
#include "filter/matcher.h"
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

/* Texts of the list, and what the table says: groups of the list. */
static void match(const struct qlist *l)
{
    struct matcher_batch b;
    struct matcher m;

    matcher_open(&m, l);
    matcher_batch_init(&b);
    for (uint32_t id = 0; id < qlist_count(l) && !matcher_batch_full(&b); id++)
        if (!matcher_batch_cut(&m, &b, qlist_text(l, id), NULL, NULL))
            matcher_batch_add(&b);
    matcher_batch_find(&m, &b);
    for (size_t i = 0; i < b.n; i++) {
        size_t n;
        const uint32_t *ids = matcher_batch_ids(&b, i, &n);

        for (size_t k = 0; k < n; k++)
            if (ids[k] >= qlist_count(l) || qlist_group(l, ids[k]) != ids[k] ||
                (k && ids[k - 1] >= ids[k]))
                abort();
    }
    matcher_batch_release(&b);
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
        match(&l);
        qlist_close(&l);
    }
    free(copy);
    (void)sum;
    return 0;
}
