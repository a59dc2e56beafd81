#include "filter/matcher.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define FEW 16 /* ids sorted at once */

/* No key of the table's: of words that hold a NUL byte, which no norm does and
 * zeros behind a word would hide, and of what stands between two texts. */
#define NO_WORD (UINT64_C(1) << 56)

void matcher_open(struct matcher *m, const struct qlist *l)
{
    *m = (struct matcher){.policy = qlist_policy(l), .trie = l->trie};
}

/* ---- a batch ---- */

void matcher_batch_init(struct matcher_batch *b)
{
    *b = (struct matcher_batch){0};
    words_init(&b->words);
    words_init(&b->plain);
}

void matcher_batch_release(struct matcher_batch *b)
{
    words_release(&b->words);
    words_release(&b->plain);
    free(b->word);
    free(b->slot);
    free(b->text);
    free(b->long_);
    free(b->longer);
    free(b->step);
    free(b->found);
    free(b->alone);
    free(b->ids);
    free(b->spare);
    *b = (struct matcher_batch){0};
}

void matcher_batch_clear(struct matcher_batch *b)
{
    b->n = 0;
    b->n_words = 0;
    b->n_long = 0;
    b->n_longer = 0;
}

int matcher_batch_cut(const struct matcher *m, struct matcher_batch *b,
                      struct str text, const struct words **plain,
                      struct err *e)
{
    int rc = words_split(&b->words, m->policy, text);

    if (plain)
        *plain = &b->words;
    if (!rc && plain && m->policy != QUERY_POLICY_WORDS) {
        rc = words_split(&b->plain, QUERY_POLICY_WORDS, text);
        *plain = &b->plain;
    }
    return rc ? err_set(e, -rc, "text: %s", err_name(rc)) : 0;
}

/* Room for n more words, whatever their lengths. */
static void reserve(struct matcher_batch *b, size_t n)
{
    size_t cap = b->cap_words;

    if (b->n_words + n <= cap)
        return;
    b->word = xgrow(b->word, &b->cap_words, b->n_words + n, sizeof *b->word);
    cap = b->cap_words;
    b->slot = xrealloc_array(b->slot, cap, sizeof *b->slot);
    b->text = xrealloc_array(b->text, cap, 1);
    b->long_ = xrealloc_array(b->long_, cap, sizeof *b->long_);
    b->step = xrealloc_array(b->step, cap, sizeof *b->step);
}

/* Keep the bytes of a word that is longer than its head; where they stand. */
static uint32_t keep_bytes(struct matcher_batch *b, const unsigned char *p,
                           size_t n)
{
    size_t at = b->n_longer;

    b->longer = xgrow(b->longer, &b->cap_longer, at + n + TRIE_UNIT, 1);
    memcpy(b->longer + at, p, n);
    b->n_longer += n;
    return (uint32_t)at;
}

static bool has_nul(struct str word)
{
    return word.n && memchr(word.p, 0, word.n);
}

/* A text that holds NUL bytes, whose words begin at `first`: those that do are
 * none. */
static void drop_nul(struct matcher_batch *b, size_t first)
{
    size_t kept = 0;

    for (size_t i = 0; i < b->words.n; i++)
        if (has_nul(words_at(&b->words, i)))
            b->word[first + i] = NO_WORD;
    for (size_t i = 0; i < b->n_long; i++) {
        struct matcher_long l = b->long_[i];

        b->long_[kept] = l;
        kept += l.word < first || b->word[l.word] != NO_WORD;
    }
    b->n_long = kept;
}

void matcher_batch_add(struct matcher_batch *b)
{
    const struct words *w = &b->words;
    const unsigned char *text = (const unsigned char *)w->text.p;
    size_t first = b->n_words, n_words = w->n;
    struct matcher_long *long_;
    uint64_t *key;

    assert(!matcher_batch_full(b));
    reserve(b, n_words + 1);
    key = b->word + first;
    long_ = b->long_ + b->n_long;
    for (size_t i = 0; i < n_words; i++) {
        const unsigned char *p = text + w->span[i].at;
        uint32_t n = w->span[i].n;
        struct trie_head head = trie_head(p, n);

        *long_ = (struct matcher_long){head, (uint32_t)(first + i), n, 0};
        if (n > TRIE_UNIT)
            long_->at = keep_bytes(b, p, n);
        long_ += n > TRIE_SHORT;
        key[i] = head.lo;
        b->text[first + i] = (unsigned char)b->n;
    }
    b->n_long = (size_t)(long_ - b->long_);
    if (n_words && memchr(text, 0, w->text.n))
        drop_nul(b, first);
    key[n_words] = NO_WORD;
    b->text[first + n_words] = (unsigned char)b->n;
    b->n_words += n_words + 1;
    b->n++;
}

/* ---- finding ---- */

/* Look all words up: their slots are asked for before the first is read. */
static void find_words(const struct trie_table *t, struct matcher_batch *b)
{
    const struct matcher_long *end = b->long_ + b->n_long;

    for (const struct matcher_long *l = b->long_; l < end; l++)
        b->word[l->word] =
            trie_word_key(l->head, b->longer + l->at, l->n, t->seed);
    for (size_t i = 0; i < b->n_words; i++) {
        uint64_t slot = trie_slot(t, trie_hash(b->word[i], t->seed));

        trie_fetch(t, slot);
        b->slot[i] = (uint32_t)slot;
    }
    for (size_t i = 0; i < b->n_words; i++)
        b->word[i] = trie_at(t, b->slot[i], b->word[i]);
}

/* Long words are what they are looked up as, or none. */
static void compare_long(const struct trie *t, struct matcher_batch *b)
{
    const struct matcher_long *end = b->long_ + b->n_long;

    for (const struct matcher_long *l = b->long_; l < end; l++)
        trie_fetch_long(t, trie_node(b->word[l->word]));
    for (const struct matcher_long *l = b->long_; l < end; l++) {
        uint64_t *value = &b->word[l->word];

        if (*value && !trie_spells(t, trie_node(*value), l->head,
                                   b->longer + l->at, l->n))
            *value = 0;
    }
}

/* The groups of words alone; first_id[i] is where text i's begin. */
static size_t list_words(struct matcher_batch *b)
{
    uint32_t *ids;
    size_t n = 0;

    b->alone =
        xgrow(b->alone, &b->cap_alone, b->n_words + FEW, sizeof *b->alone);
    ids = b->alone;
    b->first_id[0] = 0;
    for (size_t i = 0; i < b->n_words; i++) {
        ids[n] = trie_group(b->word[i]);
        n += ids[n] != TRIE_NO_GROUP;
        b->first_id[b->text[i] + 1] = (uint32_t)n;
    }
    return n;
}

/* Pairs of words that both sides allow. */
static size_t list_pairs(struct matcher_batch *b)
{
    struct matcher_step *step = b->step;
    size_t n = 0;

    for (size_t i = 0; i + 1 < b->n_words; i++) {
        uint32_t one = trie_node(b->word[i]), two = trie_node(b->word[i + 1]);

        step[n] = (struct matcher_step){trie_step_key(one, two), (uint32_t)i};
        n += trie_goes_on(one, two);
    }
    return n;
}

/* Of n steps those that the filter allows. */
static size_t filter_steps(const struct trie *t, struct matcher_step *step,
                           size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        struct matcher_step s = step[i];

        step[kept] = s;
        kept += trie_may_step(t, trie_hash(s.key, t->steps.seed));
    }
    return kept;
}

/* Look up n steps, of `words` words each; what they are is found, and what
 * begins longer norms, with the word behind, are the steps that it returns. */
static size_t find_steps(const struct trie *t, struct matcher_batch *b,
                         size_t n, size_t words)
{
    struct matcher_step *step = b->step;
    struct matcher_found *found;
    uint32_t *slot;
    size_t n_next = 0, n_found = b->n_found;

    b->found =
        xgrow(b->found, &b->cap_found, n_found + n + 1, sizeof *b->found);
    found = b->found;
    slot = b->slot; /* the words' are read */
    for (size_t i = 0; i < n; i++) {
        slot[i] = (uint32_t)trie_slot(&t->steps,
                                      trie_hash(step[i].key, t->steps.seed));
        trie_fetch(&t->steps, slot[i]);
    }
    for (size_t i = 0; i < n; i++) {
        struct matcher_step s = step[i];
        uint64_t value = trie_at(&t->steps, slot[i], s.key);
        uint32_t next;

        found[n_found] =
            (struct matcher_found){trie_group(value), b->text[s.word]};
        n_found += trie_group(value) != TRIE_NO_GROUP;
        /* Behind a text's last word is one that is none. */
        next = trie_node(b->word[s.word + words]);
        step[n_next] = (struct matcher_step){
            trie_step_key(trie_node(value), next), s.word};
        n_next += trie_goes_on(trie_node(value), next);
    }
    b->n_found = n_found;
    return n_next;
}

/* ---- ids ---- */

/* Four ids as the processor compares them: signed, so 2^31 lower. */
typedef int32_t ids4 __attribute__((vector_size(16)));

#define FOUR(x) ((ids4){(x), (x), (x), (x)})

/* Ids number `first` to `first` + 3 of n, to be compared; what is past n is the
 * largest. */
static inline ids4 take(const uint32_t *ids, int first, int n)
{
    ids4 four, lane = {0, 1, 2, 3}, is = lane < n - first;

    memcpy(&four, ids + first, sizeof four);
    return ((four ^ INT32_MIN) & is) | (INT32_MAX & ~is);
}

/* Up to FEW ids (FEW / 2 unless `wide`), ascending and each once; returns how
 * many that are.  An id's place is the number of smaller ones: all against all,
 * without a branch that depends on them or on their number.  Equal ones have
 * one place and leave others empty; what is past n comes behind all, and one of
 * it may be written to ids[n].  As many as may be sorted can be read. */
static inline __attribute__((always_inline)) size_t
sort_room(uint32_t *ids, size_t n, bool wide)
{
    const int room = wide ? FEW : FEW / 2, n_ids = (int)n;
    ids4 a0 = take(ids, 0, n_ids), a1 = take(ids, 4, n_ids);
    ids4 a2 = take(ids, 8, n_ids), a3 = take(ids, 12, n_ids);
    ids4 all[FEW / 4] = {a0, a1, a2, a3}, none = {-1, -1, -1, -1};
    ids4 r0 = {0}, r1 = {0}, r2 = {0}, r3 = {0};
    int32_t id[FEW], place[FEW];
    uint32_t sorted[FEW + 1] = {0};
    size_t kept = 0;

    memcpy(id, all, sizeof id);
    for (int k = 0; k < room; k++) {
        ids4 v = FOUR(id[k]);

        r0 -= a0 > v;
        r1 -= a1 > v;
        if (wide) {
            r2 -= a2 > v;
            r3 -= a3 > v;
        }
    }
    memcpy(place, (ids4[]){r0, r1, r2, r3}, sizeof place);
    for (int i = 0; i < FEW; i += 4)
        memcpy(sorted + i, &none, sizeof none);
    for (int i = 0; i < room; i++)
        sorted[place[i]] = (uint32_t)id[i] ^ (UINT32_C(1) << 31);
    for (int i = 0; i < room; i++) {
        ids[kept] = sorted[i];
        kept += sorted[i] != TRIE_NO_GROUP;
    }
    return kept;
}

static size_t sort_few(uint32_t *ids, size_t n)
{
    uint32_t behind = ids[n];
    size_t kept =
        n <= FEW / 2 ? sort_room(ids, n, false) : sort_room(ids, n, true);

    ids[n] = behind;
    return kept;
}

static size_t merge_unique(const uint32_t *a, size_t n_a, const uint32_t *b,
                           size_t n_b, uint32_t *to)
{
    size_t i = 0, k = 0, n = 0;

    while (i < n_a && k < n_b) {
        uint32_t x = a[i], y = b[k];

        to[n++] = x < y ? x : y;
        i += x <= y;
        k += y <= x;
    }
    while (i < n_a)
        to[n++] = a[i++];
    while (k < n_b)
        to[n++] = b[k++];
    return n;
}

/* Any number: its halves, merged; spare has room for as many. */
static size_t sort_many(uint32_t *ids, size_t n, uint32_t *spare)
{
    size_t half = n / 2, n_a, n_b;

    if (n <= FEW)
        return sort_few(ids, n);
    n_a = sort_many(ids, half, spare);
    n_b = sort_many(ids + half, n - half, spare);
    n = merge_unique(ids, n_a, ids + half, n_b, spare);
    memcpy(ids, spare, n * sizeof *ids);
    return n;
}

static size_t sort_unique(struct matcher_batch *b, uint32_t *ids, size_t n)
{
    if (n <= FEW)
        return sort_few(ids, n);
    b->spare = xgrow(b->spare, &b->cap_spare, n, sizeof *b->spare);
    return sort_many(ids, n, b->spare);
}

/* What words and steps found, text by text. */
static void join(struct matcher_batch *b, size_t n_alone)
{
    uint32_t at[MATCHER_BATCH], sum = 0;

    memset(b->n_ids, 0, sizeof b->n_ids);
    for (size_t i = 0; i < b->n_found; i++)
        b->n_ids[b->found[i].text]++;
    b->ids =
        xgrow(b->ids, &b->cap_ids, n_alone + b->n_found + FEW, sizeof *b->ids);
    for (size_t i = 0; i < b->n; i++) {
        const uint32_t *from = b->alone + b->first_id[i];
        uint32_t n = b->first_id[i + 1] - b->first_id[i];

        /* And some behind them, which the next text's overwrite. */
        for (uint32_t k = 0; k < n; k += FEW)
            memcpy(b->ids + sum + k, from + k, FEW * sizeof *from);
        b->first_id[i] = sum;
        at[i] = sum + n;
        b->n_ids[i] += n;
        sum += b->n_ids[i];
    }
    for (size_t i = 0; i < b->n_found; i++)
        b->ids[at[b->found[i].text]++] = b->found[i].group;
}

void matcher_batch_find(const struct matcher *m, struct matcher_batch *b)
{
    const struct trie *t = &m->trie;
    size_t n_ids, n;

    find_words(&t->words, b);
    compare_long(t, b);
    n_ids = list_words(b);
    n = filter_steps(t, b->step, list_pairs(b));
    b->n_found = 0;
    for (size_t words = 2; n; words++)
        n = filter_steps(t, b->step, find_steps(t, b, n, words));
    join(b, n_ids);
    for (size_t i = 0; i < b->n; i++)
        b->n_ids[i] =
            (uint32_t)sort_unique(b, b->ids + b->first_id[i], b->n_ids[i]);
}

const uint32_t *matcher_batch_ids(const struct matcher_batch *b, size_t i,
                                  size_t *n)
{
    *n = b->n_ids[i];
    return b->ids + b->first_id[i];
}
