#include "filter/plan_ranks.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/workq.h"
#include "filter/scan.h"
#include "filter/bins.h"

#define WRITE_BUFFER ((size_t)1 << 17) /* ranks written at once */
#define PART_MIN     1024
#define PART_MAX     (UINT32_MAX / 4) /* candidates: places are 32 bits */
/* Memory that a candidate takes while its part is sorted: itself, the room,
 * its place. */
#define SORT_BYTES (2 * sizeof(struct plan_rank) + sizeof(uint32_t))

_Static_assert(sizeof(struct plan_rank) == 28, "stored as it lies");

/* One query's way through. */
struct wanted {
    uint64_t limit;  /* candidates have h <= limit */
    uint64_t above;  /* in a scan that is a retry: and h > above */
    uint64_t span;   /* the limit of the first scan: slices are of that */
    uint64_t k;      /* how many ranks are wanted: min(c, depth) */
    uint32_t part;   /* of its first slice */
    uint32_t slices; /* parts that it has for itself; 0: shares one */
    bool again;      /* a retry is for it */
};

struct ranking {
    const struct corpus *corpus;
    const struct counts *counts;
    const struct draw_table *draws;
    const struct plan_ranks_config *config;
    struct plan_ranks *out;
    struct wanted *q;
    _Atomic uint64_t *found; /* candidates by query */
    uint32_t *part_first;    /* first query of each part, and one behind */
    uint32_t n_parts;
    uint64_t part_max; /* candidates that fit one part's memory */
    uint32_t from, to; /* parts whose turn it is */
    bool retry;        /* this scan is for queries with too few, alone */
    struct bins_store store;
    struct bins parts; /* part - from */
    /* the file of ranks */
    int fd;
    uint64_t *buffer;
    size_t buffered;
    uint64_t written;
    uint32_t at_q;        /* the query being written */
    uint64_t at_n;        /* its ranks seen so far */
    struct caps_tie last; /* the one before, as a tie would be */
    uint64_t last_h;
    bool last_tied;
    size_t ties_cap;
    uint32_t next; /* part to sort */
};

uint64_t plan_ranks_limit(uint64_t c, uint64_t depth, uint64_t slack)
{
    double k = (double)depth, z = (double)slack;
    double want = k + z * sqrt(k) + z * z;

    if (depth >= c || want >= (double)c)
        return UINT64_MAX;
    return (uint64_t)(((unsigned __int128)(uint64_t)want << 64) / c);
}

/* ---- parts ---- */

static void new_part(struct ranking *r, size_t *cap, uint32_t first)
{
    r->part_first =
        xgrow(r->part_first, cap, r->n_parts + 2, sizeof *r->part_first);
    r->part_first[r->n_parts++] = first;
}

/* Queries in order fill parts up to part_max; one that is too many for a part
 * gets several, slices of its h. */
static void lay_out_parts(struct ranking *r)
{
    uint64_t filled = 0;
    size_t cap = 0;

    new_part(r, &cap, 0);
    for (uint32_t q = 0; q < r->counts->n; q++) {
        struct wanted *w = &r->q[q];
        uint64_t n =
            (uint64_t)((unsigned __int128)w->limit * r->counts->c[q] >> 64) +
            (w->k > 0);

        if (n > r->part_max) {
            w->slices = (uint32_t)(n / r->part_max + 1);
            w->part = r->n_parts;
            for (uint32_t i = 0; i < w->slices; i++)
                new_part(r, &cap, q);
            filled = r->part_max;
            continue;
        }
        if (filled + n > r->part_max) {
            new_part(r, &cap, q);
            filled = 0;
        }
        w->part = r->n_parts - 1;
        filled += n;
    }
    r->part_first[r->n_parts] = r->counts->n;
}

/* Slices ascend with h; what a grown limit adds goes to the last. */
static uint32_t part_of(const struct wanted *w, uint64_t h)
{
    uint64_t slice;

    if (w->slices < 2)
        return w->part;
    slice = (uint64_t)((unsigned __int128)h * w->slices / w->span);
    return w->part + (uint32_t)(slice < w->slices ? slice : w->slices - 1);
}

static uint32_t last_part_of(const struct wanted *w)
{
    return w->slices < 2 ? w->part : w->part + w->slices - 1;
}

/* ---- candidates ---- */

struct rank_item {
    struct draw_bytes bytes;
    uint64_t n;
};

static void rank_init(void *ctx, void *item)
{
    (void)ctx;
    ((struct rank_item *)item)->n = 0;
}

static void rank_release(void *ctx, void *item)
{
    (void)ctx, (void)item;
}

static int rank_record(void *ctx, void *item, const struct scan_record *s,
                       struct err *e)
{
    struct ranking *r = ctx;
    struct rank_item *to = item;
    int rc = 0;

    draw_table_fetch(r->draws, s->q, s->n_q);
    draw_begin(&to->bytes, r->draws->seed, s->uid);
    for (uint32_t i = 0; !rc && i < s->n_q; i++) {
        uint32_t q = s->q[i];
        struct wanted *w = &r->q[q];
        uint64_t h = draw_table_hash(r->draws, q, &to->bytes);
        struct plan_rank rank = {q, {(uint32_t)h, (uint32_t)(h >> 32)}, {0}};
        uint32_t part;

        if (h > w->limit || (r->retry && (!w->again || h <= w->above)))
            continue;
        part = part_of(w, h);
        if (part < r->from || part >= r->to)
            continue;
        memcpy(rank.uid, s->uid, MD5_SIZE);
        atomic_fetch_add_explicit(&r->found[q], 1, memory_order_relaxed);
        rc = bins_add(&r->parts, part - r->from, &rank, sizeof rank, e);
        to->n++;
    }
    return rc;
}

static int rank_consume(void *ctx, void *item, struct err *e)
{
    struct ranking *r = ctx;
    struct rank_item *from = item;

    (void)e;
    r->out->candidates += from->n;
    from->n = 0;
    return 0;
}

static const struct scan_ops rank_ops = {.item_size = sizeof(struct rank_item),
                                         .init = rank_init,
                                         .record = rank_record,
                                         .consume = rank_consume,
                                         .release = rank_release};

/* ---- ranks ---- */

static int flush(struct ranking *r, struct err *e)
{
    size_t n = r->buffered * sizeof *r->buffer;
    int rc = io_pwrite_full(r->fd, r->buffer, n, r->written, r->corpus->dir, e);

    r->written += n;
    r->buffered = 0;
    return rc;
}

static void add_tie(struct ranking *r, const struct caps_tie *tie)
{
    struct plan_ranks *to = r->out;

    if (tie->rank >= r->q[tie->q].k)
        return; /* none of the ranks that are kept */
    to->ties = xgrow(to->ties, &r->ties_cap, to->n_ties + 1, sizeof *to->ties);
    to->ties[to->n_ties++] = *tie;
}

/* The next one in order.  Beyond k only its being a tie matters. */
static int put_rank(struct ranking *r, const struct plan_rank *v, struct err *e)
{
    uint64_t h = plan_rank_h(v);
    struct caps_tie tie = {.q = v->q};
    bool tied;

    if (v->q != r->at_q)
        r->at_n = 0;
    tied = r->at_n && h == r->last_h;
    tie.rank = r->at_n++;
    memcpy(tie.uid, v->uid, MD5_SIZE);
    if (tied && !r->last_tied)
        add_tie(r, &r->last);
    if (tied)
        add_tie(r, &tie);
    r->at_q = v->q;
    r->last = tie;
    r->last_h = h;
    r->last_tied = tied;
    if (tie.rank >= r->q[v->q].k)
        return 0;
    r->buffer[r->buffered++] = h;
    return r->buffered == WRITE_BUFFER ? flush(r, e) : 0;
}

struct sort_item {
    uint32_t part;
    struct plan_rank *v;
    size_t n;
};

static int sort_next(void *ctx, void *item, bool *more, struct err *e)
{
    struct ranking *r = ctx;

    (void)e;
    *more = r->next < r->to;
    *(struct sort_item *)item = (struct sort_item){.part = r->next++};
    return 0;
}

static int sort_part(void *ctx, void *item, struct err *e)
{
    const struct ranking *r = ctx;
    struct sort_item *s = item;
    uint32_t from = r->part_first[s->part], to = r->part_first[s->part + 1];
    struct plan_rank *room;
    uint32_t *places, mine = s->part - r->from;
    int rc;

    s->n = bins_bytes(&r->parts, mine) / sizeof *s->v;
    if (!s->n)
        return 0;
    s->v = malloc(s->n * sizeof *s->v);
    room = malloc(s->n * sizeof *room);
    places = malloc((s->n + 1) * sizeof *places);
    if (s->v && room && places) {
        rc = bins_read(&r->parts, mine, 0, s->v, s->n * sizeof *s->v, e);
        if (!rc)
            plan_ranks_sort(s->v, s->n, from, to > from ? to - 1 : from, room,
                            places);
    } else {
        rc = err_set(e, E_NOMEM, "no memory to sort %zu ranks", s->n);
    }
    free(room);
    free(places);
    return rc;
}

static int sort_write(void *ctx, void *item, struct err *e)
{
    struct sort_item *s = item;
    int rc = 0;

    for (size_t i = 0; !rc && i < s->n; i++)
        rc = put_rank(ctx, &s->v[i], e);
    free(s->v);
    s->v = NULL;
    return rc;
}

static const struct workq_ops sorting = {sort_next, sort_part, sort_write};

static int sort_all(struct ranking *r, struct err *e)
{
    unsigned depth = r->config->threads + 1;
    struct sort_item *items = xcalloc(depth, sizeof *items);
    int rc;

    r->next = r->from;
    rc = workq_run(&sorting, r, items, sizeof *items, depth, r->config->threads,
                   e);
    for (unsigned i = 0; i < depth; i++)
        free(items[i].v);
    free(items);
    return rc;
}

static int map_ranks(struct ranking *r, struct err *e)
{
    struct plan_ranks *to = r->out;
    size_t size = to->first[r->counts->n] * sizeof *to->ranks;

    if (size != r->written)
        return err_set(e, E_STALE,
                       "counts.bin is not of this unique/: run "
                       "gather --redo");
    if (!size)
        return 0;
    to->map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, r->fd, 0);
    if (to->map == MAP_FAILED) {
        to->map = NULL;
        return err_errno(e, E_IO, "map a temporary file in", r->corpus->dir);
    }
    to->map_size = size;
    to->ranks = to->map;
    return 0;
}

/* ---- all of it ---- */

static void want(struct ranking *r)
{
    const struct plan_ranks_config *config = r->config;
    uint64_t sum = 0;

    for (uint32_t q = 0; q < r->counts->n; q++) {
        uint64_t c = r->counts->c[q];
        struct wanted *w = &r->q[q];

        w->k = c < config->depth ? c : config->depth;
        w->limit = plan_ranks_limit(c, config->depth, config->slack);
        w->span = w->limit;
        r->out->first[q] = sum;
        sum += w->k;
    }
    r->out->first[r->counts->n] = sum;
    r->part_max = config->memory_bytes / 2 / (config->threads + 1) / SORT_BYTES;
    if (r->part_max > PART_MAX)
        r->part_max = PART_MAX;
    if (r->part_max < PART_MIN)
        r->part_max = PART_MIN;
    lay_out_parts(r);
}

/* After a scan: which of the queries that end in these parts have to look
 * further up? */
static int judge(struct ranking *r, bool *again, struct err *e)
{
    *again = false;
    for (uint32_t q = 0; q < r->counts->n; q++) {
        struct wanted *w = &r->q[q];
        uint64_t found = r->found[q];

        w->again = false;
        if (last_part_of(w) < r->from || last_part_of(w) >= r->to)
            continue;
        if (w->limit == UINT64_MAX && found != r->counts->c[q])
            return err_set(e, E_STALE,
                           "counts.bin is not of this unique/: "
                           "run gather --redo");
        w->again = found < w->k;
        *again = *again || w->again;
        if (!w->again)
            continue;
        w->above = w->limit;
        w->limit = w->limit > UINT64_MAX / 2 ? UINT64_MAX : 2 * w->limit + 1;
    }
    return 0;
}

/* Find and sort the candidates of parts [from, to). */
static int take_turn(struct ranking *r, struct err *e)
{
    struct scan_config scan = {.threads = r->config->threads,
                               .n_queries = r->counts->n,
                               .label = "balance: ranks"};
    int rc = bins_open(&r->parts, &r->store, r->to - r->from, e);

    if (rc)
        return rc;
    bins_share(&r->parts);
    r->retry = false;
    for (bool again = true; !rc && again; r->retry = true) {
        rc = scan_run(r->corpus, &scan, &rank_ops, r, e);
        r->out->scans++;
        if (!rc)
            rc = judge(r, &again, e);
    }
    if (!rc)
        rc = sort_all(r, e);
    bins_close(&r->parts);
    return rc;
}

/* A quarter of the memory takes what is found, and a half sorts it. */
static int take_turns(struct ranking *r, struct err *e)
{
    uint64_t memory = r->config->memory_bytes / 4;
    uint32_t most = bins_most(memory);
    int rc;

    most = r->n_parts < most ? r->n_parts : most;
    rc = bins_store_open_for(&r->store, r->corpus->dir, memory, most, e);
    if (!rc)
        rc = io_open_unnamed(r->corpus->dir, &r->fd, e);
    r->buffer = xcalloc(WRITE_BUFFER, sizeof *r->buffer);
    for (; !rc && r->to < r->n_parts; r->out->turns++) {
        r->from = r->to;
        r->to = r->n_parts - r->from < most ? r->n_parts : r->from + most;
        rc = take_turn(r, e);
    }
    if (!rc)
        rc = flush(r, e);
    bins_store_close(&r->store);
    free(r->buffer);
    return rc;
}

int plan_ranks_make(struct plan_ranks *to, const struct corpus *c,
                    const struct counts *counts, const struct draw_table *draws,
                    const struct plan_ranks_config *config, struct err *e)
{
    struct ranking r = {.corpus = c,
                        .counts = counts,
                        .draws = draws,
                        .config = config,
                        .out = to,
                        .fd = -1,
                        .at_q = UINT32_MAX};
    int rc;

    *to = (struct plan_ranks){.n_ties = 0};
    to->first = xcalloc((size_t)counts->n + 1, sizeof *to->first);
    r.q = xcalloc(counts->n, sizeof *r.q);
    r.found = xcalloc(counts->n, sizeof *r.found);
    want(&r);
    rc = take_turns(&r, e);
    if (!rc)
        rc = map_ranks(&r, e);
    if (r.fd >= 0)
        close(r.fd);
    free(r.part_first);
    free(r.found);
    free(r.q);
    return rc;
}

void plan_ranks_release(struct plan_ranks *r)
{
    if (r->map)
        munmap(r->map, r->map_size);
    free(r->first);
    free(r->ties);
    *r = (struct plan_ranks){.n_ties = 0};
}
