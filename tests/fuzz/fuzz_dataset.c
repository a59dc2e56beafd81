/* What the loader reads beside tars and pictures: counts.tsv, specs with
 * braces, thresholds, query ids and texts of a .json.  The first byte says
 * which. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "train/balance.h"
#include "train/balance_private.h"
#include "train/texts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_counts(struct str in)
{
    static const uint32_t q[] = {0, 1, 5, 4000000000u};
    struct balance_counts c;
    uint64_t threshold;

    if (balance_counts_parse(&c, in, "fuzz", NULL))
        return;
    assert(c.n && c.n <= BALANCE_ID_MAX);
    for (size_t n = 0; n <= 4; n++)
        (void)balance_threshold(&c, 10, q, n, &threshold, NULL);
    balance_counts_release(&c);
}

static void read_spec(struct str in)
{
    struct source_spec spec;
    char **names;
    size_t n;

    if (source_spec_read(in, &spec, NULL))
        return;
    assert(spec.weight > 0 && spec.path.n <= in.n);
    if (source_expand(spec.path, &names, &n, NULL))
        return;
    assert(n && n <= SOURCE_SHARDS_MAX);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    free(names);
}

/* The head is made to fit, so that the rest is looked at, too. */
static void read_keep(struct str in)
{
    const struct balance_sample *v;
    volatile uint64_t sum = 0;
    struct balance_head h;
    struct str bytes;
    char *copy;

    if (in.n < BALANCE_HEAD)
        return;
    copy = malloc(in.n);
    if (!copy)
        return;
    memcpy(copy, in.p, in.n);
    bytes = str_make(copy, in.n);
    memcpy(&h.n, copy + 16, 8);
    memcpy(&h.cap, copy + 24, 8);
    memcpy(&h.counts, copy + 32, 8);
    memcpy(&h.index, copy + 40, 8);
    if (!balance_keep_parse(bytes, &h, &v, "fuzz", NULL))
        for (uint64_t i = 0; i < h.n; i++)
            sum += v[i].threshold;
    (void)sum;
    free(copy);
}

static void read_json(struct str in)
{
    uint32_t q[64];
    size_t n;
    bool has;

    (void)balance_ids(in, q, 64, &n, &has, NULL);
    assert(n <= 64);
}

static void read_texts(struct str in)
{
    static const char *const keys[] = {NULL, "alt"};
    size_t half = str_find_char(in, '\n', 0);
    struct str txt = str_slice(in, half == SIZE_MAX ? 0 : half + 1, in.n);
    struct str json = str_slice(in, 0, half == SIZE_MAX ? in.n : half), text;
    struct texts t;

    for (int rule = 0; rule < TEXTS_RULES; rule++)
        for (int k = 0; k < 2; k++) {
            texts_init(&t, (enum texts_rule)rule, keys[k]);
            if (texts_pick(&t, txt, json, UINT64_MAX, &text))
                assert(text.n);
            texts_release(&t);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const read[])(struct str) = {
        read_counts, read_spec, read_keep, read_json, read_texts};

    if (size && data[0] >= '0' && data[0] < '5')
        read[data[0] - '0'](str_make((const char *)data + 1, size - 1));
    return 0;
}
