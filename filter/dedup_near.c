#include "filter/dedup_near.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/workq.h"

#define RADIX_BITS 11
#define K_MAX      5 /* bands that a choice may hold */

/* ---- equal bytes ---- */

struct sha_row {
    uint64_t hi, lo;
    uint32_t id;
};

static int by_sha(const void *a, const void *b)
{
    const struct sha_row *x = a, *y = b;

    if (x->hi != y->hi)
        return x->hi < y->hi ? -1 : 1;
    if (x->lo != y->lo)
        return x->lo < y->lo ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int judge_exact(const struct dedup_image *images, size_t n,
                       struct dedup_verdict *verdicts, struct err *e)
{
    struct sha_row *rows = malloc((n ? n : 1) * sizeof *rows);
    size_t head = 0;

    if (!rows)
        return err_set(e, E_NOMEM, "no memory to compare %zu images", n);
    for (size_t i = 0; i < n; i++) {
        memcpy(&rows[i].hi, images[i].sha, 8);
        memcpy(&rows[i].lo, images[i].sha + 8, 8);
        rows[i].id = (uint32_t)i;
        verdicts[i] = (struct dedup_verdict){DEDUP_NONE, false};
    }
    qsort(rows, n, sizeof *rows, by_sha);
    for (size_t i = 1; i < n; i++) {
        if (rows[i].hi != rows[head].hi || rows[i].lo != rows[head].lo)
            head = i;
        else
            verdicts[rows[i].id] = (struct dedup_verdict){rows[head].id, true};
    }
    free(rows);
    return 0;
}

/* ---- near phashes ---- */

/* Distinct phashes, in the order of the first image that has each. */
struct looks {
    uint64_t *phash;
    uint32_t *first;        /* id of that image, ascending */
    _Atomic uint32_t *best; /* smallest look within the radius, as an index
                               here, DEDUP_NONE: none */
    size_t n;
    unsigned radius, k, bands;
};

struct sort_row {
    uint64_t key;
    uint32_t look;
};

/* One choice of bands, and the memory to sort by it. */
struct choice {
    unsigned band[K_MAX];
    struct sort_row *rows, *spare;
};

static unsigned band_from(const struct looks *l, unsigned band)
{
    return 64 * band / l->bands;
}

static unsigned band_bits(const struct looks *l, unsigned band)
{
    return band_from(l, band + 1) - band_from(l, band);
}

/* The chosen bands of a phash, side by side. */
static uint64_t choice_key(const struct looks *l, const struct choice *c,
                           uint64_t phash)
{
    uint64_t key = 0;

    for (unsigned i = 0; i < l->k; i++) {
        unsigned bits = band_bits(l, c->band[i]);
        uint64_t mask = bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;

        key = bits < 64 ? key << bits : 0;
        key |= phash >> band_from(l, c->band[i]) & mask;
    }
    return key;
}

/* Stable: looks of one key stay in ascending order. */
static void sort_by_key(struct choice *c, size_t n, unsigned key_bits)
{
    size_t at[1 << RADIX_BITS];

    for (unsigned shift = 0; shift < key_bits; shift += RADIX_BITS) {
        struct sort_row *swap = c->rows;
        size_t sum = 0;

        memset(at, 0, sizeof at);
        for (size_t i = 0; i < n; i++)
            at[c->rows[i].key >> shift & ((1 << RADIX_BITS) - 1)]++;
        for (size_t d = 0; d < sizeof at / sizeof *at; d++) {
            size_t count = at[d];

            at[d] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            c->spare[at[c->rows[i].key >> shift & ((1 << RADIX_BITS) - 1)]++] =
                c->rows[i];
        c->rows = c->spare;
        c->spare = swap;
    }
}

static void lower(_Atomic uint32_t *best, uint32_t v)
{
    uint32_t now = atomic_load_explicit(best, memory_order_relaxed);

    while (v < now &&
           !atomic_compare_exchange_weak_explicit(
               best, &now, v, memory_order_relaxed, memory_order_relaxed))
        ;
}

/* Compare the looks of one run of equal keys. They ascend, so the first hit
 * is the smallest, and nothing behind the best known can lower it. */
static void search_run(struct looks *l, const struct sort_row *run, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        uint32_t me = run[i].look;
        uint64_t phash = l->phash[me];
        uint32_t best =
            atomic_load_explicit(&l->best[me], memory_order_relaxed);

        for (size_t k = 0; k < i && run[k].look < best; k++) {
            uint64_t diff = l->phash[run[k].look] ^ phash;

            if ((unsigned)__builtin_popcountll(diff) <= l->radius) {
                lower(&l->best[me], run[k].look);
                break;
            }
        }
    }
}

static int search_choice(void *ctx, void *item, struct err *e)
{
    struct looks *l = ctx;
    struct choice *c = item;
    unsigned key_bits = 0;
    size_t from = 0;

    (void)e;
    for (unsigned i = 0; i < l->k; i++)
        key_bits += band_bits(l, c->band[i]);
    for (size_t i = 0; i < l->n; i++)
        c->rows[i] =
            (struct sort_row){choice_key(l, c, l->phash[i]), (uint32_t)i};
    sort_by_key(c, l->n, key_bits);
    for (size_t i = 1; i <= l->n; i++)
        if (i == l->n || c->rows[i].key != c->rows[from].key) {
            search_run(l, c->rows + from, i - from);
            from = i;
        }
    return 0;
}

/* ---- all choices of k bands ---- */

struct search {
    struct looks *looks; /* first, so that workers see it alone */
    unsigned next[K_MAX];
    bool end;
};

static int next_choice(void *ctx, void *item, bool *more, struct err *e)
{
    struct search *s = ctx;
    struct choice *c = item;
    unsigned k = s->looks->k, bands = s->looks->bands;
    int i = (int)k - 1;

    (void)e;
    *more = !s->end;
    if (s->end)
        return 0;
    memcpy(c->band, s->next, sizeof c->band);
    while (i >= 0 && s->next[i] == bands - k + (unsigned)i)
        i--;
    s->end = i < 0;
    if (i >= 0) {
        s->next[i]++;
        for (unsigned j = (unsigned)i + 1; j < k; j++)
            s->next[j] = s->next[j - 1] + 1;
    }
    return 0;
}

static int work_choice(void *ctx, void *item, struct err *e)
{
    struct search *s = ctx;

    return search_choice(s->looks, item, e);
}

static int done_choice(void *ctx, void *item, struct err *e)
{
    (void)ctx;
    (void)item;
    (void)e;
    return 0;
}

/* k with the least work: sorting for each choice, and the pairs that random
 * phashes would make within its runs.  Weights are nanoseconds as measured on
 * one core; only their ratio matters. */
static unsigned choose_k(size_t n, unsigned radius)
{
    double least = 0, choices = 1;
    unsigned best = 1;

    for (unsigned k = 1; k <= K_MAX; k++) {
        double runs = 1, cost;

        choices = choices * (radius + k) / k;
        for (unsigned bit = 0; bit < 64 * k / (radius + k); bit++)
            runs *= 2;
        cost = choices * (double)n * (30 + 0.5 * (double)n / runs);
        if (k == 1 || cost < least) {
            least = cost;
            best = k;
        }
    }
    return best;
}

static int search_looks(struct looks *l, unsigned threads, struct err *e)
{
    static const struct workq_ops ops = {next_choice, work_choice, done_choice};
    struct search s = {.looks = l};
    unsigned depth = threads > 1 ? threads : 1;
    struct choice *items = xcalloc(depth, sizeof *items);
    int rc = 0;

    l->k = choose_k(l->n, l->radius);
    l->bands = l->radius + l->k;
    for (unsigned i = 0; i < l->k; i++)
        s.next[i] = i;
    for (unsigned i = 0; i < depth && !rc; i++) {
        items[i].rows = malloc(l->n * sizeof *items[i].rows);
        items[i].spare = malloc(l->n * sizeof *items[i].spare);
        if (!items[i].rows || !items[i].spare)
            rc = err_set(e, E_NOMEM,
                         "no memory to compare %zu images on %u threads", l->n,
                         depth);
    }
    if (!rc)
        rc = workq_run(&ops, &s, items, sizeof *items, depth, threads, e);
    for (unsigned i = 0; i < depth; i++) {
        free(items[i].rows);
        free(items[i].spare);
    }
    free(items);
    return rc;
}

/* ---- folding equal phashes ---- */

struct phash_row {
    uint64_t phash;
    uint32_t id;
};

static int by_phash(const void *a, const void *b)
{
    const struct phash_row *x = a, *y = b;

    if (x->phash != y->phash)
        return x->phash < y->phash ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int by_id(const void *a, const void *b)
{
    const struct phash_row *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/*
 * look_of[id] = index of its look; looks are numbered by their first image,
 * so that "smallest look" and "smallest image" mean the same.
 */
static void fold(const struct dedup_image *images, const uint8_t *exempt,
                 size_t n, struct phash_row *rows, uint32_t *look_of,
                 struct looks *l)
{
    size_t n_rows = 0, n_looks = 0;
    uint32_t head = 0;

    for (size_t i = 0; i < n; i++) {
        look_of[i] = DEDUP_NONE;
        if (!(exempt[i / 8] >> i % 8 & 1))
            rows[n_rows++] = (struct phash_row){images[i].phash, (uint32_t)i};
    }
    qsort(rows, n_rows, sizeof *rows, by_phash);
    /* For now look_of[id] = the first id of its look. */
    for (size_t i = 0; i < n_rows; i++) {
        uint64_t phash = rows[i].phash;

        if (i == 0 || phash != images[head].phash) {
            head = rows[i].id;
            rows[n_looks++] = rows[i];
        }
        look_of[rows[i].id] = head;
    }
    /* rows[0, n_looks) was overwritten behind the reading position only. */
    qsort(rows, n_looks, sizeof *rows, by_id);
    for (size_t i = 0; i < n_looks; i++) {
        l->phash[i] = rows[i].phash;
        l->first[i] = rows[i].id;
        atomic_init(&l->best[i], DEDUP_NONE);
    }
    l->n = n_looks;
    /* Ids come before those that refer to them: one forward pass. */
    for (size_t i = 0, look = 0; i < n; i++) {
        if (look_of[i] == DEDUP_NONE)
            continue;
        if (look_of[i] == i)
            look_of[i] = (uint32_t)look++;
        else
            look_of[i] = look_of[look_of[i]];
    }
}

static void conclude(const struct looks *l, const uint32_t *look_of, size_t n,
                     struct dedup_verdict *verdicts)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t look = look_of[i], best;

        if (look == DEDUP_NONE || verdicts[i].exact)
            continue;
        best = atomic_load_explicit(&l->best[look], memory_order_relaxed);
        if (best != DEDUP_NONE)
            verdicts[i].by = l->first[best];
        else if (l->first[look] != i)
            verdicts[i].by = l->first[look];
    }
}

int dedup_judge(const struct dedup_image *images, const uint8_t *exempt,
                size_t n, unsigned radius, unsigned threads,
                struct dedup_verdict *verdicts, struct err *e)
{
    struct looks l = {.radius = radius};
    struct phash_row *rows;
    uint32_t *look_of;
    int rc;

    assert(radius <= DEDUP_RADIUS_MAX);
    if (n >= DEDUP_NONE)
        return err_set(e, E_TOOBIG, "%zu images, more than 2^32 - 2", n);
    rc = judge_exact(images, n, verdicts, e);
    if (rc || n == 0)
        return rc;
    l.phash = malloc(n * sizeof *l.phash);
    l.first = malloc(n * sizeof *l.first);
    l.best = malloc(n * sizeof *l.best);
    rows = malloc(n * sizeof *rows);
    look_of = malloc(n * sizeof *look_of);
    if (!l.phash || !l.first || !l.best || !rows || !look_of) {
        rc = err_set(e, E_NOMEM, "no memory to compare %zu images", n);
    } else {
        fold(images, exempt, n, rows, look_of, &l);
        free(rows);
        rows = NULL;
        if (radius && l.n > 1)
            rc = search_looks(&l, threads, e);
        if (!rc)
            conclude(&l, look_of, n, verdicts);
    }
    free(l.phash);
    free(l.first);
    free(l.best);
    free(rows);
    free(look_of);
    return rc;
}
