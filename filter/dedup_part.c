#include "filter/dedup_part.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/dedup_keys.h"

#define SORT_NS 10 /* nanoseconds a row to sort by a band and visit its run */
#define SAMPLE  16 /* rows of a long run */

void dedup_part_init(struct dedup_part *p, const struct dedup_scan *scan)
{
    *p = (struct dedup_part){.scan = scan};
}

void dedup_part_release(struct dedup_part *p)
{
    free(p->rows);
    free(p->spare);
    free(p->phash);
    free(p->at);
    free(p->least);
    free(p->twins);
    for (unsigned i = 0; i < DEDUP_PART_LEVELS; i++) {
        free(p->levels[i].phash);
        free(p->levels[i].at);
    }
    *p = (struct dedup_part){.scan = p->scan};
}

static void *room(void *p, size_t n, size_t size, int *rc)
{
    free(p);
    p = malloc((n + DEDUP_SCAN_SLACK) * size);
    if (!p)
        *rc = -E_NOMEM;
    return p;
}

int dedup_part_reserve(struct dedup_part *p, size_t n, struct err *e)
{
    int rc = 0;

    p->n = p->n_twins = 0;
    if (n <= p->cap)
        return 0;
    n += n / 8; /* parts are of about one size */
    p->rows = room(p->rows, n, sizeof *p->rows, &rc);
    p->spare = room(p->spare, n, sizeof *p->spare, &rc);
    p->phash = room(p->phash, n, sizeof *p->phash, &rc);
    p->at = room(p->at, n, sizeof *p->at, &rc);
    p->least = room(p->least, n, sizeof *p->least, &rc);
    p->twins = room(p->twins, n, sizeof *p->twins, &rc);
    p->cap = rc ? 0 : n;
    if (rc)
        return err_set(e, E_NOMEM, "no memory to compare %zu images", n);
    memset(p->phash + n, 0, DEDUP_SCAN_SLACK * sizeof *p->phash);
    return 0;
}

/* ---- order and twins ---- */

void dedup_part_order(struct dedup_part *p)
{
    uint32_t all = 0;
    size_t i = 1;

    while (i < p->n && p->rows[i - 1].id < p->rows[i].id)
        i++;
    if (i >= p->n)
        return;
    for (i = 0; i < p->n; i++)
        all |= p->rows[i].id;
    for (unsigned shift = 0; shift < 32 && all >> shift;
         shift += DEDUP_KEY_BITS) {
        struct dedup_look *swap = p->rows;
        uint32_t at[DEDUP_KEYS] = {0}, sum = 0;

        for (i = 0; i < p->n; i++)
            at[p->rows[i].id >> shift & (DEDUP_KEYS - 1)]++;
        for (unsigned d = 0; d < DEDUP_KEYS; d++) {
            uint32_t count = at[d];

            at[d] = sum;
            sum += count;
        }
        for (i = 0; i < p->n; i++)
            p->spare[at[p->rows[i].id >> shift & (DEDUP_KEYS - 1)]++] =
                p->rows[i];
        p->rows = p->spare;
        p->spare = swap;
    }
}

/* Phashes are anything that a picture was made for: they are sorted, not
 * hashed, so that none of them costs more than another.  Room for that lies in
 * spare: of its 16 bytes a row it takes 12. */
void dedup_part_fold(struct dedup_part *p)
{
    struct dedup_keys v = {p->phash, p->at};
    struct dedup_keys room = {
        (uint64_t *)(void *)p->spare,
        (uint32_t *)(void *)((uint64_t *)(void *)p->spare + p->n)};
    uint32_t *first = p->least, *now = p->at; /* where a row is now */
    size_t kept = 0;

    for (size_t i = 0; i < p->n; i++) {
        v.key[i] = p->rows[i].phash;
        v.at[i] = (uint32_t)i;
    }
    p->moved += dedup_keys_sort(&v, &room, p->n);
    for (size_t i = 0; i < p->n; i++)
        first[v.at[i]] =
            i && v.key[i] == v.key[i - 1] ? first[v.at[i - 1]] : v.at[i];
    p->n_twins = 0;
    for (size_t i = 0; i < p->n; i++) {
        struct dedup_look row = p->rows[i];

        if (first[i] < i) {
            p->twins[p->n_twins++] =
                (struct dedup_twin){p->rows[now[first[i]]].id, row.id};
            continue;
        }
        now[i] = (uint32_t)kept;
        p->rows[kept++] = row;
    }
    p->n = kept;
}

/* ---- the search ---- */

struct search {
    struct dedup_part *part;
    const struct dedup_bands *bands;
};

/* Looks that agree in all that was chosen so far. */
struct run {
    const uint64_t *phash;
    const uint32_t *at; /* ascending */
    size_t n;
    unsigned level; /* of the buffer that a sort of it may take */
    uint64_t todo;  /* bits of the band last chosen, not yet sorted by */
    unsigned next;  /* band that may be chosen next */
    unsigned need;  /* bands still to choose */
};

static void refine(struct search *s, struct run r);

static double choose(unsigned n, unsigned k)
{
    double c = 1;

    for (unsigned i = 1; i <= k; i++)
        c = c * (n - k + i) / i;
    return c;
}

static void compare(struct search *s, struct run r)
{
    s->part->scan->run(r.phash, r.at, r.n, s->bands->radius, s->part->least);
}

uint32_t dedup_bits_take(uint64_t v, uint64_t mask)
{
    uint32_t key = 0;

    for (unsigned i = 0; mask; i++, mask &= mask - 1)
        key |= (uint32_t)(v >> __builtin_ctzll(mask) & 1) << i;
    return key;
}

uint64_t dedup_bits_highest(uint64_t mask, unsigned n)
{
    uint64_t out = 0;

    while (mask && n--) {
        uint64_t bit = UINT64_C(1) << (63 - __builtin_clzll(mask));

        out |= bit;
        mask ^= bit;
    }
    return out;
}

static bool level_room(struct dedup_part *p, unsigned level, size_t n)
{
    struct dedup_part_level *l = &p->levels[level];

    if (n <= l->cap)
        return true;
    n += n / 4;
    l->phash = room(l->phash, n, sizeof *l->phash, &p->rc);
    l->at = room(l->at, n, sizeof *l->at, &p->rc);
    l->cap = p->rc ? 0 : n;
    if (!p->rc)
        memset(l->phash + n, 0, DEDUP_SCAN_SLACK * sizeof *l->phash);
    return !p->rc;
}

/* Stable, into the buffer of its level; end[key] is where each key's run ends.
 * Keys of neighbouring bits are cut out by a shift. */
static void sort_by(struct dedup_part_level *to, const struct run *r,
                    uint64_t digit, uint32_t *end, uint32_t keys)
{
    unsigned shift = (unsigned)__builtin_ctzll(digit);
    bool plain = !(digit >> shift & ((digit >> shift) + 1));
    uint32_t sum = 0;

    memset(end, 0, keys * sizeof *end);
    for (size_t i = 0; i < r->n; i++)
        end[plain ? r->phash[i] >> shift & (keys - 1)
                  : dedup_bits_take(r->phash[i], digit)]++;
    for (uint32_t d = 0; d < keys; d++) {
        uint32_t count = end[d];

        end[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < r->n; i++) {
        uint32_t at = end[plain ? r->phash[i] >> shift & (keys - 1)
                                : dedup_bits_take(r->phash[i], digit)]++;

        to->phash[at] = r->phash[i];
        to->at[at] = r->at[i];
    }
}

/* Sort by as many bits as the run is long enough for, and go on within. */
static void split(struct search *s, struct run r)
{
    struct dedup_part_level *to = &s->part->levels[r.level];
    uint32_t end[DEDUP_KEYS], from = 0, keys;
    unsigned bits = 64 - (unsigned)__builtin_clzll(r.n);
    uint64_t digit;

    digit = dedup_bits_highest(r.todo,
                               bits < DEDUP_KEY_BITS ? bits : DEDUP_KEY_BITS);
    keys = 1u << __builtin_popcountll(digit);
    if (!level_room(s->part, r.level, r.n))
        return;
    sort_by(to, &r, digit, end, keys);
    for (uint32_t d = 0; d < keys; from = end[d++]) {
        struct run in = r;

        in.phash = to->phash + from;
        in.at = to->at + from;
        in.n = end[d] - from;
        in.level++;
        in.todo &= ~digit;
        if (in.n > 1)
            refine(s, in);
    }
}

/* Whether comparing all of a long run takes no longer than cutting it once
 * more: from the comparisons that a sample of its later half makes. */
static bool soon_over(const struct search *s, const struct run *r)
{
    const struct dedup_scan *scan = s->part->scan;
    double sum = 0;

    for (size_t i = 0; i < SAMPLE; i++) {
        size_t at = r->n / 2 + i * (r->n / 2) / SAMPLE;

        sum +=
            (double)scan->first(r->phash, at, r->phash[at], s->bands->radius);
    }
    return sum / SAMPLE <= SORT_NS * (s->bands->radius + 1) * scan->rate;
}

/* k bands are chosen and the run is long: cut it by the bits that vary. */
static void crowd(struct search *s, struct run r)
{
    unsigned groups = s->bands->radius + 1, bits;
    uint64_t vary = 0;

    for (size_t i = 1; i < r.n; i++)
        vary |= r.phash[i] ^ r.phash[0];
    bits = (unsigned)__builtin_popcountll(vary);
    if (bits < 2 * groups || r.level == DEDUP_PART_LEVELS || soon_over(s, &r)) {
        compare(s, r);
        return;
    }
    for (unsigned g = 0; g < groups; g++) {
        struct run in = r;

        in.todo = dedup_bits_highest(vary, bits * (g + 1) / groups -
                                               bits * g / groups);
        vary &= ~in.todo;
        split(s, in);
    }
}

static void refine(struct search *s, struct run r)
{
    const struct dedup_bands *b = s->bands;
    double ways = r.need ? choose(b->n - r.next, r.need) : 1;

    /* Comparing now finds all that choosing further bands would. */
    if ((double)r.n < 2 * SORT_NS * ways * s->part->scan->rate) {
        compare(s, r);
    } else if (r.todo) {
        if (r.level < DEDUP_PART_LEVELS)
            split(s, r);
        else
            compare(s, r);
    } else if (!r.need) {
        crowd(s, r);
    } else {
        for (unsigned band = r.next; band + r.need <= b->n; band++) {
            struct run in = r;
            unsigned bits = dedup_band_bits(b, band);

            in.todo = bits < 64 ? ((UINT64_C(1) << bits) - 1)
                                      << dedup_band_from(b, band)
                                : UINT64_MAX;
            in.next = band + 1;
            in.need--;
            refine(s, in);
        }
    }
}

int dedup_part_search(struct dedup_part *p, const struct dedup_bands *bands,
                      unsigned first, struct err *e)
{
    struct search s = {p, bands};
    unsigned bits = dedup_band_bits(bands, first);
    struct run all = {.phash = p->phash,
                      .at = p->at,
                      .n = p->n,
                      .next = first + 1,
                      .need = bands->k - 1};

    for (size_t i = 0; i < p->n; i++) {
        p->phash[i] = p->rows[i].phash;
        p->at[i] = p->least[i] = (uint32_t)i;
    }
    if (bits > bands->key_bits)
        all.todo = ((UINT64_C(1) << (bits - bands->key_bits)) - 1)
                   << dedup_band_from(bands, first);
    if (p->n > 1)
        refine(&s, all);
    if (p->rc)
        return err_set(e, E_NOMEM, "no memory to compare %zu images", p->n);
    for (size_t i = 0; i < p->n; i++)
        if (p->least[i] < i && p->rows[p->least[i]].id < p->rows[i].best)
            p->rows[i].best = p->rows[p->least[i]].id;
    return 0;
}
