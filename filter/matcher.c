#include "filter/matcher.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define FEW 16 /* ids sorted at once */

/* Key of a word that ends with a NUL byte, which no norm's does and its zeros
 * would hide: bytes that are not UTF-8, as norms are. */
#define NO_WORD UINT64_MAX

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
    free(b->longer);
    free(b->word);
    free(b->long_at);
    free(b->step);
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

/* Room for the words last cut, whatever their lengths. */
static void reserve(struct matcher_batch *b)
{
    size_t n = b->words.n;

    b->word =
        xgrow(b->word, &b->cap_words, b->n_words + n + 1, sizeof *b->word);
    b->long_at =
        xgrow(b->long_at, &b->cap_long, b->n_long + n, sizeof *b->long_at);
    b->longer =
        xgrow(b->longer, &b->cap_longer, b->n_longer + b->words.text.n, 1);
}

void matcher_batch_add(const struct matcher *m, struct matcher_batch *b)
{
    const struct words *w = &b->words;
    const struct trie *t = &m->trie;
    struct matcher_word *to;

    assert(!matcher_batch_full(b));
    reserve(b);
    b->first_word[b->n++] = b->n_words;
    to = b->word + b->n_words;
    for (size_t i = 0; i < w->n; i++, to++) {
        const unsigned char *p =
            (const unsigned char *)w->text.p + w->span[i].at;
        size_t n = w->span[i].n;
        bool is_long = n > TRIE_SHORT;

        to->n = (uint32_t)n;
        if (is_long) {
            to->key = trie_long_key(p, n);
            to->at = (uint32_t)b->n_longer;
            memcpy(b->longer + b->n_longer, p, n);
            b->n_longer += n;
            b->long_at[b->n_long++] = (uint32_t)(to - b->word);
        } else {
            to->key = n && !p[n - 1] ? NO_WORD : trie_short_key(p, n);
        }
        to->slot =
            (uint32_t)trie_slot(trie_word_hash(to->key, is_long), t->words);
        trie_fetch(t->at[TRIE_WORDS], to->slot);
    }
    *to = (struct matcher_word){.group = TRIE_NO_GROUP};
    b->n_words += w->n + 1;
    b->first_word[b->n] = b->n_words;
}

/* ---- finding ---- */

static void find_words(const struct trie *t, struct matcher_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct matcher_word *w = b->word + b->first_word[i];
        struct matcher_word *end = b->word + b->first_word[i + 1] - 1;

        for (; w < end; w++) {
            uint64_t slot = w->slot;
            struct trie_found f =
                trie_word(t, &slot, w->key, w->n > TRIE_SHORT);

            w->slot = (uint32_t)slot;
            w->node = f.node;
            w->group = f.node ? f.group : TRIE_NO_GROUP;
            if (f.node & TRIE_LONG)
                __builtin_prefetch(t->at[TRIE_LONGER] +
                                   (size_t)(f.node & TRIE_ID) * TRIE_UNIT);
        }
    }
}

/* Another long word with the same key: that, or none. */
static void find_other(const struct trie *t, struct matcher_word *w,
                       const unsigned char *p)
{
    uint64_t slot = w->slot;
    struct trie_found f;

    do {
        slot = slot + 1 == t->words ? 0 : slot + 1;
        f = trie_word(t, &slot, w->key, true);
    } while (f.node && !trie_spells(t, f.node, p, w->n));
    w->node = f.node;
    w->group = f.node ? f.group : TRIE_NO_GROUP;
}

static void compare_long(const struct trie *t, struct matcher_batch *b)
{
    for (size_t i = 0; i < b->n_long; i++) {
        struct matcher_word *w = &b->word[b->long_at[i]];
        const unsigned char *p = b->longer + w->at;

        if (w->node && !trie_spells(t, w->node, p, w->n))
            find_other(t, w, p);
    }
}

/* Pairs of words that both sides allow: their bits of the filter are asked
 * for. */
static size_t ask_filter(const struct trie *t, struct matcher_batch *b)
{
    size_t n = 0;

    b->step = xgrow(b->step, &b->cap_steps, b->n_words + 1, sizeof *b->step);
    for (size_t i = 0; i + 1 < b->n_words; i++) {
        uint32_t one = b->word[i].node, two = b->word[i + 1].node;
        uint64_t hash = trie_step_hash(one & TRIE_ID, two & TRIE_ID);

        b->step[n] = (struct matcher_step){hash, (uint32_t)i};
        if (one & TRIE_BEGINS && two & TRIE_CONTINUES) {
            trie_fetch_filter(t, hash);
            n++;
        }
    }
    return n;
}

/* Of these, those that the filter allows: their slots are asked for.  Returns
 * the end of them. */
static const struct matcher_step *ask_steps(const struct trie *t,
                                            struct matcher_batch *b, size_t n)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        struct matcher_step step = b->step[i];

        b->step[kept] = step;
        if (trie_may_step(t, step.hash)) {
            trie_fetch(t->at[TRIE_STEPS], trie_slot(step.hash, t->steps));
            kept++;
        }
    }
    return b->step + kept;
}

/* Norms that begin with the two words of a step. */
static size_t walk(const struct trie *t, const struct matcher_batch *b,
                   const struct matcher_step *s, uint32_t *ids)
{
    const struct matcher_word *w = b->word + s->at;
    struct trie_found f =
        trie_step(t, s->hash, w->node & TRIE_ID, w[1].node & TRIE_ID);
    size_t n = 0;

    for (w += 2; f.node; w++) {
        uint64_t hash;

        ids[n] = f.group;
        n += f.group != TRIE_NO_GROUP;
        if (!(f.node & TRIE_BEGINS) || !(w->node & TRIE_CONTINUES))
            break;
        hash = trie_step_hash(f.node & TRIE_ID, w->node & TRIE_ID);
        if (!trie_may_step(t, hash))
            break;
        f = trie_step(t, hash, f.node & TRIE_ID, w->node & TRIE_ID);
    }
    return n;
}

/* ---- ids ---- */

/* Four ids as the processor compares them: signed, so 2^31 lower. */
typedef int32_t ids4 __attribute__((vector_size(16)));

#define FOUR(x) ((ids4){(x), (x), (x), (x)})

/* At most FEW ids, ascending and each once; returns how many that are.  An
 * id's place is the number of smaller ones: all against all, without a branch
 * that depends on them.  Equal ones have one place and leave others empty. */
static size_t sort_few(uint32_t *ids, size_t n)
{
    int32_t v[FEW], place[FEW];
    ids4 all[FEW / 4], rank[FEW / 4];
    uint32_t sorted[FEW];
    size_t fours = (n + 3) / 4, kept = 0;

    for (size_t i = 0; i < 4 * fours; i++) {
        v[i] = i < n ? (int32_t)(ids[i] ^ (UINT32_C(1) << 31)) : INT32_MAX;
        sorted[i] = TRIE_NO_GROUP;
    }
    memcpy(all, v, fours * sizeof *all);
    memset(rank, 0, fours * sizeof *rank);
    for (size_t k = 0; k < n; k++)
        for (size_t i = 0; i < fours; i++)
            rank[i] -= all[i] > FOUR(v[k]);
    memcpy(place, rank, fours * sizeof *rank);
    for (size_t i = 0; i < n; i++)
        sorted[place[i]] = ids[i];
    for (size_t i = 0; i < n; i++) {
        ids[kept] = sorted[i];
        kept += sorted[i] != TRIE_NO_GROUP;
    }
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

/* The groups of text i behind the n ids so far; steps before *end. */
static size_t collect(const struct trie *t, struct matcher_batch *b, size_t i,
                      size_t n, const struct matcher_step **step,
                      const struct matcher_step *end)
{
    size_t first = b->first_word[i], last = b->first_word[i + 1], n_text = 0;
    uint32_t *ids;

    b->ids = xgrow(b->ids, &b->cap_ids, n + last - first, sizeof *b->ids);
    ids = b->ids + n;
    for (size_t k = first; k < last; k++) {
        ids[n_text] = b->word[k].group;
        n_text += b->word[k].group != TRIE_NO_GROUP;
    }
    for (; *step < end && (*step)->at < last; (*step)++) {
        b->ids = xgrow(b->ids, &b->cap_ids, n + n_text + last - (*step)->at,
                       sizeof *b->ids);
        ids = b->ids + n;
        n_text += walk(t, b, *step, ids + n_text);
    }
    b->first_id[i] = n;
    b->n_ids[i] = sort_unique(b, ids, n_text);
    return n + b->n_ids[i];
}

void matcher_batch_find(const struct matcher *m, struct matcher_batch *b)
{
    const struct trie *t = &m->trie;
    const struct matcher_step *step, *end;
    size_t n = 0;

    find_words(t, b);
    compare_long(t, b);
    end = ask_steps(t, b, ask_filter(t, b));
    step = b->step;
    for (size_t i = 0; i < b->n; i++)
        n = collect(t, b, i, n, &step, end);
}

const uint32_t *matcher_batch_ids(const struct matcher_batch *b, size_t i,
                                  size_t *n)
{
    *n = b->n_ids[i];
    return b->ids + b->first_id[i];
}
