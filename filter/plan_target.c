#include "filter/plan_target.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "filter/scan.h"

#define FINE   (UINT64_C(1) << TARGET_FINE)
#define OCTAVE (FINE / 2) /* bins of an octave above */

uint64_t target_bin(uint64_t s)
{
    unsigned top; /* the highest bit, at least TARGET_FINE */

    if (s < FINE)
        return s;
    top = 63 - (unsigned)__builtin_clzll(s);
    return FINE + (top - TARGET_FINE) * OCTAVE +
           (s >> (top - TARGET_FINE + 1)) - OCTAVE;
}

uint64_t target_bin_low(uint64_t bin)
{
    uint64_t octave;

    if (bin < FINE)
        return bin;
    octave = (bin - FINE) / OCTAVE;
    return ((bin - FINE) % OCTAVE + OCTAVE) << (octave + 1);
}

/* One way of counting: pairs by s / from..., in n bins. */
struct counting {
    const struct draw_table *draws;
    const struct caps *caps;
    uint64_t low, high; /* within one bin: its s; else 0 and 0 */
    uint64_t n;         /* bins */
    _Atomic uint64_t *bins;
    uint64_t last, pairs, beyond;
};

struct count_item {
    struct draw_bytes bytes;
    uint64_t last, pairs, beyond;
};

static void count_init(void *ctx, void *item)
{
    struct count_item *i = item;

    (void)ctx;
    i->last = i->pairs = i->beyond = 0;
}

static void count_release(void *ctx, void *item)
{
    (void)ctx, (void)item;
}

/* The smallest draw; UINT64_MAX when no rank is known. */
static uint64_t smallest(const struct counting *t, const struct scan_record *r,
                         struct draw_bytes *bytes)
{
    uint64_t s = UINT64_MAX;

    draw_table_fetch(t->draws, r->q, r->n_q);
    draw_begin(bytes, t->draws->seed, r->uid);
    for (uint32_t i = 0; i < r->n_q; i++) {
        uint32_t q = r->q[i];
        uint64_t h = draw_table_hash(t->draws, q, bytes);
        uint64_t d = t->caps->exact ? caps_draw(t->caps, q, h, r->uid)
                                    : draw_below(h, t->draws->rows[q].c);

        s = d < s ? d : s;
    }
    return s;
}

static int count_record(void *ctx, void *item, const struct scan_record *r,
                        struct err *e)
{
    struct counting *t = ctx;
    struct count_item *to = item;
    uint64_t s = smallest(t, r, &to->bytes), bin;

    if (s == UINT64_MAX) {
        to->beyond++;
        return 0;
    }
    to->pairs++;
    to->last = s > to->last ? s : to->last;
    if (t->high && (s < t->low || s >= t->high))
        return 0;
    bin = t->high ? s - t->low : target_bin(s);
    if (bin >= t->n)
        return err_set(e, E_STALE,
                       "a draw beyond every count: run gather "
                       "--redo");
    atomic_fetch_add_explicit(&t->bins[bin], 1, memory_order_relaxed);
    return 0;
}

static int count_consume(void *ctx, void *item, struct err *e)
{
    struct counting *t = ctx;
    struct count_item *from = item;

    (void)e;
    t->last = from->last > t->last ? from->last : t->last;
    t->pairs += from->pairs;
    t->beyond += from->beyond;
    from->last = from->pairs = from->beyond = 0;
    return 0;
}

static const struct scan_ops count_ops = {.item_size =
                                              sizeof(struct count_item),
                                          .init = count_init,
                                          .record = count_record,
                                          .consume = count_consume,
                                          .release = count_release};

static int count(struct counting *t, const struct corpus *c, unsigned threads,
                 struct err *e)
{
    struct scan_config scan = {.threads = threads,
                               .n_queries = t->draws->n,
                               .label = "balance: target"};

    t->last = t->pairs = t->beyond = 0;
    t->bins = calloc(t->n, sizeof *t->bins);
    if (!t->bins)
        return err_set(e, E_NOMEM, "no memory for %llu counts",
                       (unsigned long long)t->n);
    return scan_run(c, &scan, &count_ops, t, e);
}

/* The bin in which the pairs pass n, with *below those before it; t->n when
 * they never do. */
static uint64_t passing(const struct counting *t, uint64_t n, uint64_t *below)
{
    for (uint64_t b = 0; b < t->n; b++) {
        if (t->bins[b] > n - *below)
            return b;
        *below += t->bins[b];
    }
    return t->n;
}

int plan_target_find(struct plan_target *to, const struct corpus *c,
                     const struct draw_table *draws, const struct caps *caps,
                     uint64_t n, unsigned threads, struct err *e)
{
    struct counting t = {.draws = draws, .caps = caps};
    uint64_t most = 0, below = 0, bin;
    int rc;

    for (uint32_t q = 0; q < draws->n; q++)
        if (draws->rows[q].c > most)
            most = draws->rows[q].c;
    t.n = target_bin(most) + 1;
    rc = count(&t, c, threads, e);
    *to = (struct plan_target){
        .pairs = t.pairs, .beyond = t.beyond, .least = rc ? 0 : t.bins[0]};
    bin = rc ? 0 : passing(&t, n, &below);
    if (!rc && bin == t.n) { /* N and fewer */
        to->cap = t.pairs ? t.last + 1 : 0;
        to->found = !t.beyond;
    } else if (!rc) {
        to->cap = target_bin_low(bin);
        to->found = true;
        t.low = to->cap;
        t.high = target_bin_low(bin + 1);
        if (t.high - t.low > 1) {
            t.n = t.high - t.low;
            free(t.bins);
            rc = count(&t, c, threads, e);
            to->cap += rc ? 0 : passing(&t, n, &below);
        }
    }
    free(t.bins);
    return rc;
}
