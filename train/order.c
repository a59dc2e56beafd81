#include "train/order.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "train/random.h"

#define EMPTY_EPOCHS_MAX 1000 /* one behind the other: nothing is kept */
#define NO_EPOCH         UINT64_MAX

/* A source and the epoch it is in. */
struct order_track {
    struct order_source s;
    uint64_t length; /* samples of a mean epoch */
    unsigned quota;  /* in a block */
    /* Balanced: where epochs begin. */
    uint64_t *begins; /* ranks; [known + 1] */
    uint64_t known;   /* epochs */
    size_t cap;
    uint64_t counted; /* the epoch whose counts these are */
    uint64_t *counts; /* [shards] kept then */
    /* The epoch it is in. */
    uint64_t epoch;   /* NO_EPOCH before the first */
    uint32_t *shards; /* permuted */
    uint64_t *starts; /* [windows + 1] samples before each window */
    size_t windows;
};

/* ---- permutations ---- */

static uint64_t below(uint64_t stream, uint64_t i, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)random_bits(stream, i) * n) >> 64);
}

static uint64_t stream_of(const struct order *o, const char *name,
                          uint64_t source, uint64_t epoch, uint64_t window)
{
    uint64_t s = random_stream(o->c.seed, str_of(name));

    return random_bits(random_bits(random_bits(s, source), epoch), window);
}

/* ---- an epoch ---- */

static size_t shards_of(const struct order_track *t)
{
    return t->s.source->n_shards;
}

static uint64_t samples_of(const struct order_track *t, uint32_t shard)
{
    return t->s.balance ? t->counts[shard] : t->s.source->shards[shard].n;
}

/* Of a balanced source, n epochs from `first` on; the last is counted then. */
static int count_epochs(const struct order *o, struct order_track *t,
                        uint64_t first, unsigned n, uint64_t *sums,
                        struct err *e)
{
    int rc =
        balance_count(t->s.balance, first, n, o->c.threads, sums, t->counts, e);

    t->counted = rc ? NO_EPOCH : first + n - 1;
    return rc;
}

/* As many as rank is away, by their mean length, but for the one it is in: of
 * that the shards' counts are wanted, too. */
static unsigned worth_counting(const struct order_track *t, uint64_t rank)
{
    uint64_t n = (rank - t->begins[t->known]) / t->length;

    return n < 1 ? 1 : n > BALANCE_EPOCHS ? BALANCE_EPOCHS : (unsigned)n;
}

/* Balanced epochs differ in length: add them up until rank is in one. */
static int count_until(const struct order *o, struct order_track *t,
                       uint64_t rank, struct err *e)
{
    uint64_t sums[BALANCE_EPOCHS];
    unsigned empty = 0;

    while (t->begins[t->known] <= rank) {
        unsigned n = worth_counting(t, rank);
        int rc = count_epochs(o, t, t->known, n, sums, e);

        if (rc)
            return rc;
        t->begins = xgrow(t->begins, &t->cap, (size_t)t->known + n + 1,
                          sizeof *t->begins);
        for (unsigned k = 0; k < n; k++, t->known++) {
            t->begins[t->known + 1] = t->begins[t->known] + sums[k];
            empty = sums[k] ? 0 : empty + 1;
        }
        if (empty > EMPTY_EPOCHS_MAX)
            return err_set(e, E_RANGE,
                           "%s: balancing keeps nothing of it, %d epochs on "
                           "end",
                           t->s.source->name, EMPTY_EPOCHS_MAX);
    }
    return 0;
}

/* The epoch that rank falls into, and its first rank. */
static int epoch_of(const struct order *o, struct order_track *t, uint64_t rank,
                    uint64_t *epoch, uint64_t *begin, struct err *e)
{
    uint64_t low = 0, high;
    int rc;

    if (!t->s.balance) {
        *epoch = rank / t->length;
        *begin = *epoch * t->length;
        return 0;
    }
    rc = count_until(o, t, rank, e);
    for (high = t->known; !rc && high - low > 1;) {
        uint64_t middle = low + (high - low) / 2;

        if (t->begins[middle] <= rank)
            low = middle;
        else
            high = middle;
    }
    *epoch = low;
    *begin = t->begins[low];
    return rc;
}

static int enter(struct order *o, struct order_track *t, uint64_t epoch,
                 struct err *e)
{
    uint64_t stream =
        stream_of(o, "order-shards", (uint64_t)(t - o->tracks), epoch, 0);
    size_t n = shards_of(t), w = o->c.window;
    uint64_t sum;
    int rc;

    if (t->epoch == epoch)
        return 0;
    if (t->s.balance && t->counted != epoch) {
        rc = count_epochs(o, t, epoch, 1, &sum, e);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < n; i++)
        t->shards[i] = (uint32_t)i;
    for (size_t i = n; i-- > 1;) {
        size_t k = (size_t)below(stream, i, i + 1);
        uint32_t swap = t->shards[i];

        t->shards[i] = t->shards[k];
        t->shards[k] = swap;
    }
    t->starts[0] = 0;
    for (size_t i = 0; i < t->windows; i++) {
        t->starts[i + 1] = t->starts[i];
        for (size_t k = i * w; k < (i + 1) * w && k < n; k++)
            t->starts[i + 1] += samples_of(t, t->shards[k]);
    }
    t->epoch = epoch;
    return 0;
}

/* ---- blocks ---- */

/* Shares of a block by largest remainders; ties go to the first. */
static int share_out(struct order *o, struct err *e)
{
    double total = 0, rest[SOURCES_MAX];
    unsigned given = 0;

    for (unsigned i = 0; i < o->n; i++)
        total += o->tracks[i].s.source->weight * (double)o->tracks[i].length;
    for (unsigned i = 0; i < o->n; i++) {
        struct order_track *t = &o->tracks[i];
        double share =
            ORDER_BLOCK * t->s.source->weight * (double)t->length / total;

        t->quota = (unsigned)share;
        rest[i] = share - t->quota;
        given += t->quota;
    }
    for (; given < ORDER_BLOCK; given++) {
        unsigned most = 0;

        for (unsigned i = 1; i < o->n; i++)
            if (rest[i] > rest[most])
                most = i;
        o->tracks[most].quota++;
        rest[most] = -1;
    }
    for (unsigned i = 0; i < o->n; i++) {
        const struct order_track *t = &o->tracks[i];

        if (!t->quota)
            return err_set(e, E_RANGE,
                           "%s: its share, weight times samples, is none of "
                           "%u positions: give it more weight, or leave it "
                           "out",
                           t->s.source->name, ORDER_BLOCK);
    }
    return 0;
}

/* Everybody's places in a row, then shuffled; turns count along the block, so
 * that a source's ranks rise from position to position. */
static void enter_block(struct order *o, uint64_t block)
{
    uint64_t stream = stream_of(o, "order-block", 0, 0, block);
    uint16_t before[SOURCES_MAX] = {0};
    unsigned at = 0;

    if (o->block == block)
        return;
    for (unsigned s = 0; s < o->n; s++)
        for (unsigned i = 0; i < o->tracks[s].quota; i++)
            o->whose[at++] = (uint8_t)s;
    for (unsigned i = ORDER_BLOCK; i-- > 1;) {
        unsigned k = (unsigned)below(stream, i, i + 1);
        uint8_t swap = o->whose[i];

        o->whose[i] = o->whose[k];
        o->whose[k] = swap;
    }
    for (unsigned i = 0; i < ORDER_BLOCK; i++)
        o->turn[i] = before[o->whose[i]]++;
    o->block = block;
}

/* Whose turn it is, and the how manieth of its turns. */
static uint64_t rank_of(struct order *o, uint64_t position, unsigned *source)
{
    uint64_t block = position / ORDER_BLOCK;

    *source = 0;
    if (o->n == 1)
        return position;
    enter_block(o, block);
    *source = o->whose[position % ORDER_BLOCK];
    return block * o->tracks[*source].quota + o->turn[position % ORDER_BLOCK];
}

/* ---- the interface ---- */

static int track_open(struct order_track *t, const struct order_source *s,
                      size_t window, struct err *e)
{
    size_t n = s->source->n_shards;

    *t = (struct order_track){.s = *s,
                              .epoch = NO_EPOCH,
                              .counted = NO_EPOCH,
                              .length =
                                  s->balance ? s->balance->mean : s->source->n,
                              .windows = (n - 1) / window + 1};
    if (!t->length)
        return err_set(e, E_RANGE, "%s: %s", s->source->name,
                       s->balance ? "balancing keeps less than one sample"
                                  : "no samples");
    t->shards = malloc(n * sizeof *t->shards);
    t->starts = malloc((t->windows + 1) * sizeof *t->starts);
    t->counts = s->balance ? malloc(n * sizeof *t->counts) : NULL;
    if (!t->shards || !t->starts || (s->balance && !t->counts))
        return err_set(e, E_NOMEM, "%s: no room for the order of %zu shards",
                       s->source->name, n);
    t->begins = xgrow(NULL, &t->cap, 1, sizeof *t->begins);
    t->begins[0] = 0;
    return 0;
}

int order_open(struct order *o, const struct order_config *c,
               const struct order_source *sources, unsigned n, struct err *e)
{
    int rc = 0;

    assert(n && n <= SOURCES_MAX && c->window);
    *o = (struct order){.c = *c, .block = UINT64_MAX};
    o->tracks = xcalloc(n, sizeof *o->tracks);
    for (unsigned i = 0; !rc && i < n; i++, o->n++)
        rc = track_open(&o->tracks[i], &sources[i], c->window, e);
    if (!rc)
        rc = share_out(o, e);
    if (rc)
        order_close(o);
    return rc;
}

void order_close(struct order *o)
{
    for (unsigned i = 0; i < o->n; i++) {
        free(o->tracks[i].shards);
        free(o->tracks[i].starts);
        free(o->tracks[i].counts);
        free(o->tracks[i].begins);
    }
    free(o->tracks);
    *o = (struct order){0};
}

uint64_t order_epoch(const struct order *o)
{
    double sum = 0;

    for (unsigned i = 0; i < o->n; i++)
        sum += o->tracks[i].s.source->weight * (double)o->tracks[i].length;
    return sum < 1 ? 1 : (uint64_t)round(sum);
}

unsigned order_quota(const struct order *o, unsigned source)
{
    return o->tracks[source].quota;
}

uint64_t order_length(const struct order *o, unsigned source)
{
    return o->tracks[source].length;
}

int order_find(struct order *o, uint64_t position, struct order_place *p,
               struct err *e)
{
    uint64_t rank = rank_of(o, position, &p->source), begin;
    struct order_track *t = &o->tracks[p->source];
    int rc = epoch_of(o, t, rank, &p->epoch, &begin, e);
    size_t low = 0, high = t->windows;

    if (!rc)
        rc = enter(o, t, p->epoch, e);
    if (rc)
        return rc;
    rank -= begin;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (t->starts[middle] <= rank)
            low = middle;
        else
            high = middle;
    }
    p->window = low;
    p->at = rank - t->starts[low];
    return 0;
}

/* The items in order of shards; *n how many. */
static uint64_t list_items(const struct order_track *t,
                           const struct order_window *w)
{
    uint64_t n = 0;

    for (size_t k = 0; k < w->n_shards; k++) {
        uint32_t shard = w->shards[k];
        uint64_t all = t->s.source->shards[shard].n;

        for (uint64_t i = 0; i < all; i++)
            if (!t->s.balance ||
                balance_keeps(t->s.balance, shard, i, w->epoch))
                w->items[n++] = (struct order_item){(uint32_t)k, (uint32_t)i};
    }
    return n;
}

void order_next_window(const struct order *o, struct order_place *p)
{
    p->at = 0;
    if (++p->window == o->tracks[p->source].windows) {
        p->window = 0;
        p->epoch++;
    }
}

int order_window_open(struct order *o, unsigned source, uint64_t epoch,
                      uint64_t number, struct order_window *w, struct err *e)
{
    struct order_track *t = &o->tracks[source];
    uint64_t stream = stream_of(o, "order-samples", source, epoch, number);
    size_t from = (size_t)number * o->c.window, n = shards_of(t) - from;
    int rc = enter(o, t, epoch, e);

    assert(number < t->windows);
    if (rc)
        return rc;
    *w = (struct order_window){.source = source,
                               .epoch = epoch,
                               .number = number,
                               .n_shards = n < o->c.window ? n : o->c.window,
                               .n = t->starts[number + 1] - t->starts[number]};
    if (w->n > ORDER_WINDOW_MAX)
        return err_set(e, E_TOOBIG,
                       "%s: %llu samples in a window of %zu shards: a smaller "
                       "--window, or smaller shards",
                       t->s.source->name, (unsigned long long)w->n,
                       w->n_shards);
    w->shards = malloc(w->n_shards * sizeof *w->shards);
    w->items = malloc((size_t)(w->n + 1) * sizeof *w->items);
    if (!w->shards || !w->items) {
        order_window_close(w);
        return err_set(e, E_NOMEM, "%s: no room for a window",
                       t->s.source->name);
    }
    memcpy(w->shards, t->shards + from, w->n_shards * sizeof *w->shards);
    n = (size_t)list_items(t, w);
    assert(n == w->n);
    while (n-- > 1) {
        size_t k = (size_t)below(stream, n, n + 1);
        struct order_item swap = w->items[n];

        w->items[n] = w->items[k];
        w->items[k] = swap;
    }
    return 0;
}

void order_window_close(struct order_window *w)
{
    free(w->shards);
    free(w->items);
    w->shards = NULL;
    w->items = NULL;
}

const uint32_t *order_ahead(struct order *o, const struct order_window *w,
                            size_t *n)
{
    struct order_track *t = &o->tracks[w->source];
    size_t from = (size_t)(w->number + 1) * o->c.window;

    *n = 0;
    if (w->number + 1 >= t->windows || t->epoch != w->epoch)
        return NULL;
    *n = shards_of(t) - from < o->c.window ? shards_of(t) - from : o->c.window;
    return t->shards + from;
}
