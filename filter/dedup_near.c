#include "filter/dedup_near.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/workq.h"

#define K_MAX    5   /* bands that near ones are asked to agree in */
#define PIECE    256 /* looks read at once of a part that does not fit */
#define CUT_COST 8.0 /* of a look in a crowd cut fine, to one in two halves */
#define CAP_MIN  512 /* looks of a part, however little memory there is */

/* Sorts for each choice of k bands, and the pairs that random phashes make
 * within its runs; nanoseconds, of which only the ratio matters. */
unsigned dedup_near_k(uint64_t n, unsigned radius, double rate)
{
    double least = 0, choices = 1;
    unsigned best = 1;

    for (unsigned k = 1; k <= K_MAX; k++) {
        double runs = 1, cost;

        choices = choices * (radius + k) / k;
        for (unsigned bit = 0; bit < 64 * k / (radius + k); bit++)
            runs *= 2;
        cost = choices * (10 + (double)n / runs / 2 / rate);
        if (k == 1 || cost < least) {
            least = cost;
            best = k;
        }
    }
    return best;
}

int dedup_near_open(struct dedup_near *n, const struct dedup_near_config *c,
                    struct bins_store *store, struct err *e)
{
    const struct dedup_scan *scans[DEDUP_SCANS_MAX];
    unsigned threads = c->threads ? c->threads : 1;

    assert(c->radius <= DEDUP_RADIUS_MAX && c->key_bits >= 1);
    *n = (struct dedup_near){.config = *c, .store = store};
    dedup_scans(scans);
    n->bands.radius = c->radius;
    n->bands.k =
        c->k ? c->k : dedup_near_k(c->expect, c->radius, scans[0]->rate);
    n->bands.n = c->radius + n->bands.k;
    n->bands.key_bits =
        c->key_bits < DEDUP_KEY_BITS ? c->key_bits : DEDUP_KEY_BITS;
    n->cap = (size_t)(c->memory_bytes / (threads + 1) / DEDUP_PART_BYTES);
    if (n->cap < CAP_MIN)
        n->cap = CAP_MIN;
    return bins_open(&n->looks, store, 1u << n->bands.key_bits, e);
}

void dedup_near_close(struct dedup_near *n)
{
    bins_close(&n->looks);
    bins_close(&n->verdicts);
    bins_close(&n->twins);
}

int dedup_near_add(struct dedup_near *n, uint32_t id, uint64_t phash,
                   struct err *e)
{
    struct dedup_look row = {phash, id, DEDUP_NONE};

    return bins_add(&n->looks, dedup_band_key(&n->bands, 0, phash), &row,
                    sizeof row, e);
}

/* ---- a pass ---- */

struct item {
    struct dedup_part part;
    uint32_t end[DEDUP_KEYS]; /* of part.spare, by destination */
};

struct pass {
    struct dedup_near *near;
    unsigned band; /* the first that near ones agree in */
    bool last;
    struct bins *from, *to;
    uint32_t next; /* part of from */
    struct item *big;
};

static uint64_t rows_of(const struct bins *s, uint32_t part)
{
    return bins_bytes(s, part) / sizeof(struct dedup_look);
}

static uint32_t destination(const struct pass *p, const struct dedup_look *row)
{
    return p->last ? row->id >> p->near->range_shift
                   : dedup_band_key(&p->near->bands, p->band + 1, row->phash);
}

/* Into spare, by destination: the consumer then copies runs, not rows. */
static void sort_out(const struct pass *p, struct item *it)
{
    const struct dedup_look *rows = it->part.rows;
    uint32_t sum = 0;

    memset(it->end, 0, sizeof it->end);
    for (size_t i = 0; i < it->part.n; i++)
        it->end[destination(p, &rows[i])]++;
    for (uint32_t d = 0; d < DEDUP_KEYS; d++) {
        uint32_t count = it->end[d];

        it->end[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < it->part.n; i++)
        it->part.spare[it->end[destination(p, &rows[i])]++] = rows[i];
}

static int search_part(void *ctx, void *item, struct err *e)
{
    const struct pass *p = ctx;
    struct item *it = item;
    int rc;

    dedup_part_order(&it->part);
    if (p->band == 0)
        dedup_part_fold(&it->part);
    rc = dedup_part_search(&it->part, &p->near->bands, p->band, e);
    if (!rc)
        sort_out(p, it);
    return rc;
}

static int put_twins(struct dedup_near *n, const struct dedup_part *part,
                     struct err *e)
{
    int rc = 0;

    n->n_twins += part->n_twins;
    for (size_t i = 0; !rc && i < part->n_twins; i++)
        rc = bins_add(&n->twins, part->twins[i].look >> n->range_shift,
                      &part->twins[i], sizeof part->twins[i], e);
    return rc;
}

static int hand_on(void *ctx, void *item, struct err *e)
{
    struct pass *p = ctx;
    struct item *it = item;
    uint32_t from = 0;
    int rc = p->band ? 0 : put_twins(p->near, &it->part, e);

    if (p->band == 0)
        p->near->n_looks += it->part.n;
    for (uint32_t d = 0; !rc && d < p->to->n; from = it->end[d++])
        if (it->end[d] > from)
            rc = bins_add(p->to, d, it->part.spare + from,
                          (it->end[d] - from) * sizeof *it->part.spare, e);
    return rc;
}

/* ---- parts that memory does not hold ---- */

static int read_rows(struct bins *s, uint32_t part, uint64_t at,
                     struct dedup_look *to, size_t n, struct err *e)
{
    return bins_read(s, part, at * sizeof *to, to, n * sizeof *to, e);
}

/* The rows of one class of phashes, equal ones folded, to part 0 of out. What
 * a class has too much of stays unfolded, which costs time alone. */
static int fold_class(struct pass *p, struct bins *out, uint64_t class,
                      uint64_t classes, struct err *e)
{
    struct dedup_part *part = &p->big->part;
    uint64_t left = rows_of(p->from, p->next), at = 0;
    struct dedup_look piece[PIECE];
    int rc = 0;

    part->n = 0;
    while (!rc && left) {
        size_t n = left < PIECE ? (size_t)left : PIECE;

        rc = read_rows(p->from, p->next, at, piece, n, e);
        at += n;
        left -= n;
        for (size_t i = 0; !rc && i < n; i++)
            if (piece[i].phash * UINT64_C(0xd6e8feb86659fd93) % classes ==
                class)
                part->rows[part->n++] = piece[i];
        if (rc || (left && part->n + PIECE <= p->near->cap))
            continue;
        dedup_part_fold(part);
        rc = put_twins(p->near, part, e);
        if (rc || (left && part->n <= p->near->cap / 2))
            continue;
        rc = bins_add(out, 0, part->rows, part->n * sizeof *part->rows, e);
        part->n = 0;
    }
    return rc;
}

/* Every pair of looks is in one pair of halves: search those together, and put
 * each half back, in order of ids. */
static int search_halves(struct pass *p, struct bins *s, uint32_t part,
                         uint64_t a, size_t n_a, uint64_t b, size_t n_b,
                         struct err *e)
{
    struct dedup_part *w = &p->big->part;
    struct dedup_twin *ids = w->twins; /* of the first half */
    struct dedup_look *back = NULL;
    size_t in_a = 0, in_b = 0;
    int rc = read_rows(s, part, a, w->rows, n_a, e);

    w->n = n_a;
    dedup_part_order(w);
    for (size_t i = 0; i < n_a; i++)
        ids[i].id = w->rows[i].id;
    if (!rc)
        rc = read_rows(s, part, b, w->rows + n_a, n_b, e);
    w->n = n_a + n_b;
    if (!rc) {
        dedup_part_order(w);
        rc = dedup_part_search(w, &p->near->bands, p->band, e);
    }
    back = w->spare;
    for (size_t i = 0; !rc && i < w->n; i++) {
        bool first = in_a < n_a && w->rows[i].id == ids[in_a].id;

        back[first ? in_a++ : n_a + in_b++] = w->rows[i];
    }
    if (!rc)
        rc = bins_write(s, part, a * sizeof *back, back, n_a * sizeof *back, e);
    return rc ? rc
              : bins_write(s, part, b * sizeof *back, back + n_a,
                           n_b * sizeof *back, e);
}

static int search_pairs(struct pass *p, struct bins *s, uint32_t part,
                        struct err *e)
{
    uint64_t n = rows_of(s, part), half = p->near->cap / 2;
    int rc = 0;

    for (uint64_t a = 0; !rc && (a == 0 || a + half < n); a += half)
        for (uint64_t b = a + half; !rc && (b < n || a == 0); b += half) {
            uint64_t n_a = n - a < half ? n - a : half;
            uint64_t n_b = b < n ? (n - b < half ? n - b : half) : 0;

            rc = search_halves(p, s, part, a, (size_t)n_a, b < n ? b : 0,
                               (size_t)n_b, e);
            if (b >= n)
                break;
        }
    return rc;
}

/* A part that is cut once more, by the bits of mask, into `into`. */
struct cutting {
    uint64_t vary, first; /* bits in which its looks differ */
    bool any;
    uint64_t mask;
    struct bins into;
};

static int see_bits(void *ctx, const void *record, struct err *e)
{
    struct cutting *c = ctx;
    struct dedup_look look;

    (void)e;
    memcpy(&look, record, sizeof look);
    if (!c->any)
        c->first = look.phash;
    c->any = true;
    c->vary |= look.phash ^ c->first;
    return 0;
}

static int cut_look(void *ctx, const void *record, struct err *e)
{
    struct cutting *c = ctx;
    struct dedup_look look;

    memcpy(&look, record, sizeof look);
    return bins_add(&c->into, dedup_bits_take(look.phash, c->mask), &look,
                    sizeof look, e);
}

/* Search one piece, and put its looks back into the part of s. */
static int search_piece(struct pass *p, struct bins *from, uint32_t piece,
                        struct bins *s, uint32_t part, struct err *e)
{
    struct dedup_part *w = &p->big->part;
    uint64_t n = rows_of(from, piece), most = p->near->cap;
    int rc = n > most ? search_pairs(p, from, piece, e) : 0;

    for (uint64_t at = 0; !rc && at < n; at += most) {
        w->n = (size_t)(n - at < most ? n - at : most);
        rc = read_rows(from, piece, at, w->rows, w->n, e);
        if (!rc && n <= most) {
            dedup_part_order(w);
            rc = dedup_part_search(w, &p->near->bands, p->band, e);
        }
        if (!rc)
            rc = bins_add(s, part, w->rows, w->n * sizeof *w->rows, e);
    }
    bins_clear(from, piece);
    return rc;
}

/* By one group of bits: those that agree in it are in one piece. */
static int search_group(struct pass *p, struct bins *s, uint32_t part,
                        struct cutting *c, struct err *e)
{
    uint32_t pieces = 1u << __builtin_popcountll(c->mask);
    int rc = bins_open(&c->into, p->near->store, pieces, e);

    if (!rc)
        rc = bins_each(s, part, sizeof(struct dedup_look), cut_look, c, e);
    bins_clear(s, part);
    for (uint32_t i = 0; !rc && i < pieces; i++)
        rc = search_piece(p, &c->into, i, s, part, e);
    bins_close(&c->into);
    return rc;
}

/* A crowd is cut as in memory: near ones agree in one of radius + 1 groups of
 * the bits that vary in it. */
static int search_crowd(struct pass *p, struct bins *s, uint32_t part,
                        struct err *e)
{
    unsigned groups = p->near->bands.radius + 1, bits;
    struct cutting c = {.any = false};
    int rc = bins_each(s, part, sizeof(struct dedup_look), see_bits, &c, e);

    bits = (unsigned)__builtin_popcountll(c.vary);
    if (rc || bits < 2 * groups)
        return rc ? rc : search_pairs(p, s, part, e);
    p->near->n_cut++;
    for (unsigned g = 0; !rc && g < groups; g++) {
        uint64_t group = dedup_bits_highest(c.vary, bits * (g + 1) / groups -
                                                        bits * g / groups);

        c.vary &= ~group;
        c.mask = dedup_bits_highest(group, p->near->bands.key_bits);
        rc = search_group(p, s, part, &c, e);
    }
    return rc;
}

/* Pairs of halves search every look 2 n / cap times. */
static bool cut_pays(const struct dedup_near *near, uint64_t n)
{
    double groups = near->bands.radius + 1;

    return 2 * (double)n / (double)near->cap > CUT_COST * groups;
}

static int search_big(struct pass *p, struct bins *s, uint32_t part,
                      struct err *e)
{
    uint64_t n = rows_of(s, part), most = p->near->cap;
    int rc = cut_pays(p->near, n) ? search_crowd(p, s, part, e)
                                  : search_pairs(p, s, part, e);

    for (uint64_t at = 0; !rc && at < n; at += most) {
        struct dedup_part *w = &p->big->part;

        w->n = (size_t)(n - at < most ? n - at : most);
        w->n_twins = 0;
        rc = read_rows(s, part, at, w->rows, w->n, e);
        if (rc)
            break;
        sort_out(p, p->big);
        rc = hand_on(p, p->big, e);
    }
    return rc;
}

static int take_big(struct pass *p, struct err *e)
{
    struct bins folded = {0};
    uint64_t n = rows_of(p->from, p->next);
    uint64_t classes = 2 * n / p->near->cap + 1;
    int rc = dedup_part_reserve(&p->big->part, p->near->cap, e);

    p->near->n_big++;
    if (rc || p->band)
        return rc ? rc : search_big(p, p->from, p->next, e);
    rc = bins_open(&folded, p->near->store, 1, e);
    for (uint64_t c = 0; !rc && c < classes; c++)
        rc = fold_class(p, &folded, c, classes, e);
    if (!rc)
        rc = search_big(p, &folded, 0, e);
    bins_close(&folded);
    return rc;
}

static int next_part(void *ctx, void *item, bool *more, struct err *e)
{
    struct pass *p = ctx;
    struct item *it = item;

    for (; p->next < p->from->n; p->next++) {
        uint64_t n = rows_of(p->from, p->next);
        int rc;

        if (n == 0)
            continue;
        if (n > p->near->cap) {
            rc = take_big(p, e);
        } else {
            rc = dedup_part_reserve(&it->part, (size_t)n, e);
            if (!rc)
                rc =
                    read_rows(p->from, p->next, 0, it->part.rows, (size_t)n, e);
            it->part.n = (size_t)n;
        }
        if (rc)
            return rc;
        bins_clear(p->from, p->next);
        if (n <= p->near->cap) {
            p->next++;
            *more = true;
            return 0;
        }
    }
    *more = false;
    return 0;
}

static int run_pass(struct dedup_near *n, unsigned band, bool last,
                    struct item *items, unsigned depth, struct err *e)
{
    static const struct workq_ops ops = {next_part, search_part, hand_on};
    struct bins to = {0};
    struct pass p = {.near = n,
                     .band = band,
                     .last = last,
                     .from = &n->looks,
                     .to = last ? &n->verdicts : &to,
                     .big = &items[depth]};
    int rc = last ? 0 : bins_open(&to, n->store, n->looks.n, e);

    if (!rc)
        rc = workq_run(&ops, &p, items, sizeof *items, depth, depth, e);
    bins_close(&n->looks);
    n->looks = to;
    return rc;
}

int dedup_near_search(struct dedup_near *n, unsigned range_shift,
                      uint32_t ranges, struct err *e)
{
    const struct dedup_scan *scans[DEDUP_SCANS_MAX];
    unsigned depth = n->config.threads > 1 ? n->config.threads : 1;
    struct item *items = xcalloc(depth + 1, sizeof *items);
    int rc;

    assert(ranges <= DEDUP_KEYS);
    n->range_shift = range_shift;
    dedup_scans(scans);
    for (unsigned i = 0; i <= depth; i++)
        dedup_part_init(&items[i].part, scans[0]);
    rc = bins_open(&n->verdicts, n->store, ranges, e);
    if (!rc)
        rc = bins_open(&n->twins, n->store, ranges, e);
    for (unsigned band = 0; !rc && band <= n->bands.radius; band++)
        rc = run_pass(n, band, band == n->bands.radius, items, depth, e);
    for (unsigned i = 0; i <= depth; i++)
        dedup_part_release(&items[i].part);
    free(items);
    return rc;
}
