#include "train/dataset.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/log.h"
#include "base/mem.h"
#include "train/order.h"
#include "train/random.h"
#include "train/tokenizer.h"

/* Files that stay mapped: half of those that Linux allows a process
 * (vm.max_map_count, 65,530). */
#define MAPS_MAX 32768

#define SHARE_OFF 0.05 /* of a source's share, from which on it is told */

/* What a vocabulary is called that lies in a corpus. */
static const char *const vocabularies[] = {"vocabulary.txt",
                                           "bpe_simple_vocab_16e6.txt.gz"};

static int find_vocabulary(const char *folder, char path[], struct err *e)
{
    for (size_t i = 0; i < sizeof vocabularies / sizeof *vocabularies; i++)
        if (!io_join(path, folder, vocabularies[i], NULL) && io_exists(path))
            return 0;
    if (!io_exists(folder) && !strchr(folder, '{'))
        return err_set(e, E_NOTFOUND, "%s is not there", folder);
    return err_set(e, E_USAGE,
                   "no vocabulary: --vocabulary FILE names the published one "
                   "(bpe_simple_vocab_16e6.txt.gz) or one that `witmill "
                   "tokenizer train` made; %s has no %s",
                   folder, vocabularies[0]);
}

static int open_tokenizer(struct dataset *d, struct err *e)
{
    char path[IO_PATH_MAX], *folder;
    struct source_spec first;
    int rc = 0;

    if (!d->c.vocabulary) {
        rc = source_spec_read(str_of(d->c.data[0]), &first, e);
        if (rc)
            return rc;
        folder = xstrndup(first.path);
        rc = find_vocabulary(folder, path, e);
        free(folder);
    }
    if (!rc)
        rc = tokenizer_open(&d->tokenizer,
                            d->c.vocabulary ? d->c.vocabulary : path,
                            TOKENIZER_CLIP, e);
    if (!rc)
        d->vocab = tokenizer_vocab(d->tokenizer);
    return rc;
}

static int open_sources(struct dataset *d, struct err *e)
{
    const struct source_options o = {.text = d->c.caption_key ? INDEX_JSON
                                                              : INDEX_TXT,
                                     .cache = d->c.cache,
                                     .threads = d->c.threads};

    for (size_t i = 0; i < d->c.n; i++) {
        struct source *s = &d->sources[i];
        int rc = source_open(s, str_of(d->c.data[i]), &o, e);

        if (rc)
            return rc;
        d->n++;
        d->shards += s->n_shards;
        d->samples += s->n;
        d->left_out += s->left_out;
        if (s->made)
            log_event("index", "%s: indexes made for %zu of %zu tars", s->name,
                      s->made, s->n_shards);
        if (s->left_out)
            log_event("left-out",
                      "%s: %llu samples without picture or text left out",
                      s->name, (unsigned long long)s->left_out);
    }
    return 0;
}

/* Shares are whole positions of a block: a small one can be far from what its
 * weight says. */
static void tell_shares(const struct dataset *d)
{
    double all = 0;

    for (unsigned i = 0; i < d->n; i++)
        all += d->sources[i].weight * (double)order_length(d->order, i);
    for (unsigned i = 0; i < d->n; i++) {
        double asked = ORDER_BLOCK * d->sources[i].weight *
                       (double)order_length(d->order, i) / all;
        double times = order_quota(d->order, i) / asked;

        if (fabs(times - 1) > SHARE_OFF)
            log_event("warning",
                      "%s: its samples are seen %.2f times as often as "
                      "asked: shares are multiples of 1/%u",
                      d->sources[i].name, times, ORDER_BLOCK);
    }
}

static int open_order(struct dataset *d, struct err *e)
{
    const struct balance_options b = {d->c.balance, d->c.seed, d->c.threads,
                                      MAPS_MAX / d->n};
    const struct order_config o = {d->c.seed, d->c.window, d->c.threads};
    struct order_source s[SOURCES_MAX];
    int rc = 0;

    if (d->c.balance)
        d->balances = xcalloc(d->n, sizeof *d->balances);
    for (size_t i = 0; !rc && i < d->n; i++) {
        if (d->balances)
            rc = balance_open(&d->balances[i], &d->sources[i], &b, e);
        s[i] = (struct order_source){&d->sources[i],
                                     d->balances ? &d->balances[i] : NULL};
    }
    if (rc)
        return rc;
    d->order = xcalloc(1, sizeof *d->order);
    rc = order_open(d->order, &o, s, (unsigned)d->n, e);
    if (rc)
        return rc;
    d->epoch = order_epoch(d->order);
    tell_shares(d);
    return 0;
}

/* Names of files are left out: they may lie elsewhere on another machine. */
static uint64_t mark_of(const struct dataset *d)
{
    const uint64_t options[] = {d->c.texts, d->c.crop, d->c.fast_decode,
                                d->c.balance, d->c.window};
    struct str key = str_of(d->c.caption_key ? d->c.caption_key : "");
    uint64_t m = hash_xxh3(str_of(tokenizer_sha256(d->tokenizer))), weight;

    m = hash_xxh3_seeded(key, m);
    m = hash_xxh3_seeded(str_make((const char *)options, sizeof options), m);
    for (size_t i = 0; i < d->n; i++) {
        const struct source *s = &d->sources[i];

        memcpy(&weight, &s->weight, sizeof weight);
        m = random_bits(m, weight);
        for (size_t k = 0; k < s->n_shards; k++)
            m = random_bits(m, s->shards[k].check);
        if (d->balances)
            m = random_bits(m, d->balances[i].counts);
    }
    return m;
}

int dataset_open(struct dataset *d, const struct dataset_config *c,
                 struct err *e)
{
    int rc = 0;

    *d = (struct dataset){.c = *c};
    if (!c->n || c->n > SOURCES_MAX)
        return err_set(e, E_USAGE, "%zu sources: 1 to %d can be read", c->n,
                       SOURCES_MAX);
    d->sources = xcalloc(c->n, sizeof *d->sources);
    /* first what is known at once: indexes can take hours to make */
    rc = open_tokenizer(d, e);
    if (!rc)
        rc = open_sources(d, e);
    if (!rc)
        rc = open_order(d, e);
    if (!rc)
        d->mark = mark_of(d);
    if (rc)
        dataset_close(d);
    return rc;
}

void dataset_close(struct dataset *d)
{
    if (d->order)
        order_close(d->order);
    free(d->order);
    for (size_t i = 0; i < d->n; i++) {
        if (d->balances)
            balance_close(&d->balances[i]);
        source_close(&d->sources[i]);
    }
    free(d->balances);
    free(d->sources);
    tokenizer_close(d->tokenizer);
    *d = (struct dataset){0};
}

int dataset_check(const struct dataset *d, uint64_t batch, struct err *e)
{
    for (unsigned i = 0; i < d->n; i++) {
        uint64_t n = order_length(d->order, i);
        double share = (double)batch * order_quota(d->order, i) / ORDER_BLOCK;

        if ((double)n < share)
            return err_set(e, E_RANGE,
                           "%s has %llu samples%s, of which a batch of %llu "
                           "would hold some twice: a smaller --batch, or more "
                           "shards",
                           d->sources[i].name, (unsigned long long)n,
                           d->balances ? " in a balanced epoch" : "",
                           (unsigned long long)batch);
    }
    return 0;
}

struct str dataset_vocabulary(const struct dataset *d)
{
    return tokenizer_bytes(d->tokenizer);
}
