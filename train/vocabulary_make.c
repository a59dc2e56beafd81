#include "train/vocabulary_make.h"

#include <stdlib.h>

#include "train/tokenizer.h"
#include "train/vocabulary.h"

#define NONE UINT32_MAX

/* Ids here: 0 to 255 bytes, 256 to 511 bytes at a word's end, then merges. */
struct token {
    uint32_t begin, n; /* in bytes */
    bool ends;
};

struct pair {
    uint32_t left, right;
    uint32_t where;   /* list of words it is or was in */
    uint32_t touched; /* the last merge that made more of it */
    uint64_t count;
};

struct place {
    uint32_t word, next;
};

struct candidate {
    uint64_t count; /* when it was queued */
    uint32_t pair;
};

struct word {
    uint32_t begin, n; /* tokens in symbols */
};

/* Grown arrays; n in use, cap allocated. */
#define ARRAY(type)                                                            \
    struct {                                                                   \
        type *v;                                                               \
        uint32_t n, cap;                                                       \
    }

struct maker {
    const struct word_counts *counts;
    struct word *words;
    uint32_t *symbols;
    struct buf bytes; /* of tokens */
    ARRAY(struct token) tokens;
    ARRAY(struct pair) pairs;
    ARRAY(struct place) places;
    ARRAY(struct candidate) heap;
    ARRAY(uint32_t) fresh; /* pairs that this merge makes more of */
    uint32_t *pair_slots;  /* pairs + 1 by hash */
    uint32_t pair_mask;
    uint32_t *token_slots; /* tokens + 1 by hash */
    uint32_t token_mask;
    uint32_t merge; /* number of the one in hand, from 1 */
};

/* Room for one more of n elements; false without memory. */
static bool grow(void *array, uint32_t n, uint32_t *cap, size_t size)
{
    void **v = array;
    void *grown;
    uint32_t wider = *cap ? *cap * 2 : 1024;

    if (n < *cap)
        return true;
    if (n >= UINT32_MAX / 2)
        return false;
    grown = realloc(*v, (size_t)wider * size);
    if (!grown)
        return false;
    *v = grown;
    *cap = wider;
    return true;
}

#define GROW(a) grow(&(a)->v, (a)->n, &(a)->cap, sizeof *(a)->v)

static struct str bytes_of(const struct maker *m, uint32_t id)
{
    const struct token *t = &m->tokens.v[id];

    return str_make(m->bytes.p + t->begin, t->n);
}

/* ---- tokens ---- */

static uint32_t *token_slot(const struct maker *m, struct str bytes, bool ends)
{
    uint32_t at = (uint32_t)hash_xxh3_seeded(bytes, ends) & m->token_mask;

    for (; m->token_slots[at]; at = (at + 1) & m->token_mask) {
        uint32_t id = m->token_slots[at] - 1;

        if (m->tokens.v[id].ends == ends && str_eq(bytes_of(m, id), bytes))
            break;
    }
    return &m->token_slots[at];
}

/* The new token's id; NONE when there is one of these bytes, -E_NOMEM else. */
static int add_token(struct maker *m, struct str a, struct str b, bool ends,
                     uint32_t *id)
{
    char both[TOKENIZER_TOKEN_MAX];
    uint32_t *slot;

    *id = NONE;
    if (a.n + b.n > sizeof both)
        return 0;
    memcpy(both, a.p, a.n);
    if (b.n)
        memcpy(both + a.n, b.p, b.n);
    slot = token_slot(m, str_make(both, a.n + b.n), ends);
    if (*slot)
        return 0;
    if (!GROW(&m->tokens))
        return -E_NOMEM;
    m->tokens.v[m->tokens.n] =
        (struct token){(uint32_t)m->bytes.n, (uint32_t)(a.n + b.n), ends};
    buf_add_bytes(&m->bytes, both, a.n + b.n);
    *id = m->tokens.n++;
    *slot = m->tokens.n;
    return m->bytes.rc;
}

/* ---- pairs ---- */

static uint32_t *pair_slot(const struct maker *m, uint32_t left, uint32_t right)
{
    uint32_t at = vocabulary_hash(left, right) & m->pair_mask;

    for (; m->pair_slots[at]; at = (at + 1) & m->pair_mask) {
        const struct pair *p = &m->pairs.v[m->pair_slots[at] - 1];

        if (p->left == left && p->right == right)
            break;
    }
    return &m->pair_slots[at];
}

static bool grow_pairs(struct maker *m)
{
    uint32_t slots = m->pair_slots ? (m->pair_mask + 1) : 2048;
    uint32_t *table;

    if (!GROW(&m->pairs))
        return false;
    if (m->pair_slots && m->pairs.n < slots / 2)
        return true;
    slots = m->pair_slots ? slots * 2 : slots;
    table = calloc(slots, sizeof *table);
    if (!table)
        return false;
    free(m->pair_slots);
    m->pair_slots = table;
    m->pair_mask = slots - 1;
    for (uint32_t i = 0; i < m->pairs.n; i++)
        *pair_slot(m, m->pairs.v[i].left, m->pairs.v[i].right) = i + 1;
    return true;
}

/* More of a pair, in this word. */
static bool add_pair(struct maker *m, uint32_t left, uint32_t right,
                     uint64_t count, uint32_t word)
{
    uint32_t *slot;
    struct pair *p;

    if (!grow_pairs(m) || !GROW(&m->places) || !GROW(&m->fresh))
        return false;
    slot = pair_slot(m, left, right);
    if (!*slot) {
        m->pairs.v[m->pairs.n] =
            (struct pair){.left = left, .right = right, .where = NONE};
        *slot = ++m->pairs.n;
    }
    p = &m->pairs.v[*slot - 1];
    p->count += count;
    if (p->where == NONE || m->places.v[p->where].word != word) {
        m->places.v[m->places.n] = (struct place){word, p->where};
        p->where = m->places.n++;
    }
    if (p->touched != m->merge + 1) {
        p->touched = m->merge + 1;
        m->fresh.v[m->fresh.n++] = *slot - 1;
    }
    return true;
}

static void take_pair(struct maker *m, uint32_t left, uint32_t right,
                      uint64_t count)
{
    m->pairs.v[*pair_slot(m, left, right) - 1].count -= count;
}

/* ---- the heap ---- */

static bool before(const struct maker *m, const struct candidate *a,
                   const struct candidate *b)
{
    const struct pair *p = &m->pairs.v[a->pair], *q = &m->pairs.v[b->pair];
    int order;

    if (a->count != b->count)
        return a->count > b->count;
    order = str_cmp(bytes_of(m, p->left), bytes_of(m, q->left));
    if (!order)
        order = str_cmp(bytes_of(m, p->right), bytes_of(m, q->right));
    if (!order)
        order = m->tokens.v[p->right].ends - m->tokens.v[q->right].ends;
    return order < 0;
}

static bool push(struct maker *m, uint32_t pair)
{
    struct candidate c = {m->pairs.v[pair].count, pair}, *heap;
    uint32_t at;

    if (!c.count)
        return true;
    if (!GROW(&m->heap))
        return false;
    heap = m->heap.v;
    for (at = m->heap.n++; at && before(m, &c, &heap[(at - 1) / 2]);
         at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = c;
    return true;
}

static struct candidate pop(struct maker *m)
{
    struct candidate *heap = m->heap.v, top = heap[0], last;
    uint32_t at = 0, child;

    last = heap[--m->heap.n];
    while ((child = 2 * at + 1) < m->heap.n) {
        if (child + 1 < m->heap.n && before(m, &heap[child + 1], &heap[child]))
            child++;
        if (!before(m, &heap[child], &last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return top;
}

/* The most frequent pair; false when none comes `least` times.  A count that
 * fell since it was queued is queued again. */
static bool next_pair(struct maker *m, uint64_t least, uint32_t *pair, int *rc)
{
    while (m->heap.n) {
        struct candidate c = pop(m);

        if (c.count < least)
            return false;
        *pair = c.pair;
        if (m->pairs.v[c.pair].count == c.count)
            return true;
        if (m->pairs.v[c.pair].count < c.count && !push(m, c.pair)) {
            *rc = -E_NOMEM;
            return false;
        }
    }
    return false;
}

/* What this merge made more of can be next. */
static int queue_fresh(struct maker *m)
{
    for (uint32_t i = 0; i < m->fresh.n; i++)
        if (!push(m, m->fresh.v[i]))
            return -E_NOMEM;
    m->fresh.n = 0;
    m->merge++;
    return 0;
}

/* ---- merging ---- */

/* Replace left right by id all along a word, counts with it. */
static bool merge_word(struct maker *m, uint32_t index, uint32_t left,
                       uint32_t right, uint32_t id)
{
    struct word *w = &m->words[index];
    uint32_t *s = m->symbols + w->begin, n = 0;
    uint64_t count = m->counts->words[index].count;

    for (uint32_t i = 0; i < w->n; i++) {
        if (s[i] != left || i + 1 == w->n || s[i + 1] != right) {
            s[n++] = s[i];
            continue;
        }
        take_pair(m, left, right, count);
        if (n) {
            take_pair(m, s[n - 1], left, count);
            if (!add_pair(m, s[n - 1], id, count, index))
                return false;
        }
        if (i + 2 < w->n) {
            take_pair(m, right, s[i + 2], count);
            if (!add_pair(m, id, s[i + 2], count, index))
                return false;
        }
        s[n++] = id;
        i++;
    }
    w->n = n;
    return true;
}

static int merge_pair(struct maker *m, uint32_t pair, struct buf *lines)
{
    uint32_t left = m->pairs.v[pair].left, right = m->pairs.v[pair].right;
    bool ends = m->tokens.v[right].ends;
    uint32_t at = m->pairs.v[pair].where, id;
    int rc = add_token(m, bytes_of(m, left), bytes_of(m, right), ends, &id);

    if (rc || id == NONE)
        return rc;
    vocabulary_line(bytes_of(m, left), bytes_of(m, right), ends, lines);
    while (at != NONE) {
        struct place p = m->places.v[at];

        if (!merge_word(m, p.word, left, right, id))
            return -E_NOMEM;
        at = p.next;
    }
    return queue_fresh(m);
}

/* ---- set up ---- */

static int add_bytes(struct maker *m)
{
    uint32_t id;
    int rc = 0;

    for (unsigned i = 0; !rc && i < TOKENIZER_BYTES; i++) {
        char c = (char)(i & 255);

        rc = add_token(m, str_make(&c, 1), STR_NONE, i > 255, &id);
    }
    return rc;
}

static int add_words(struct maker *m)
{
    const struct word_counts *counts = m->counts;
    uint32_t at = 0;

    for (uint32_t i = 0; i < counts->n; i++) {
        struct str word = word_counts_word(counts, i);

        m->words[i] = (struct word){at, (uint32_t)word.n};
        for (size_t k = 0; k < word.n; k++)
            m->symbols[at++] =
                (unsigned char)word.p[k] + (k + 1 == word.n ? 256u : 0u);
        for (uint32_t k = m->words[i].begin; k + 1 < at; k++)
            if (!add_pair(m, m->symbols[k], m->symbols[k + 1],
                          counts->words[i].count, i))
                return -E_NOMEM;
    }
    return queue_fresh(m);
}

static int set_up(struct maker *m, uint32_t ids)
{
    uint32_t slots = 1024;

    while (slots < 2 * ids)
        slots *= 2;
    m->token_slots = calloc(slots, sizeof *m->token_slots);
    m->token_mask = slots - 1;
    m->words = calloc((size_t)m->counts->n + 1, sizeof *m->words);
    m->symbols = calloc(m->counts->bytes.n + 1, sizeof *m->symbols);
    if (!m->token_slots || !m->words || !m->symbols)
        return -E_NOMEM;
    buf_init(&m->bytes, BUF_NO_LIMIT); /* tokens of bounded length */
    return add_bytes(m);
}

static void release(struct maker *m)
{
    free(m->words);
    free(m->symbols);
    free(m->tokens.v);
    free(m->pairs.v);
    free(m->places.v);
    free(m->heap.v);
    free(m->fresh.v);
    free(m->pair_slots);
    free(m->token_slots);
    buf_release(&m->bytes);
}

int vocabulary_make(const struct word_counts *words, uint32_t ids,
                    uint64_t least, struct buf *file, uint32_t *made,
                    struct err *e)
{
    struct maker m = {.counts = words};
    struct buf lines;
    uint32_t pair;
    int rc = 0;

    if (ids < TOKENIZER_BYTES + 2 || ids > TOKENIZER_VOCAB_MAX)
        return err_set(e, E_RANGE, "a vocabulary has %u to %u ids",
                       TOKENIZER_BYTES + 2, TOKENIZER_VOCAB_MAX);
    buf_init(&lines, BUF_NO_LIMIT); /* `ids` lines of bounded length */
    rc = set_up(&m, ids);
    if (!rc)
        rc = add_words(&m);
    while (!rc && m.tokens.n + 2 < ids &&
           next_pair(&m, least ? least : 1, &pair, &rc))
        rc = merge_pair(&m, pair, &lines);
    *made = m.tokens.n + 2;
    if (!rc) {
        vocabulary_head(*made, file);
        buf_add(file, buf_str(&lines));
        rc = lines.rc ? lines.rc : file->rc;
    }
    buf_release(&lines);
    release(&m);
    return rc ? err_set(e, -rc, "making a vocabulary: %s", err_name(rc)) : 0;
}
