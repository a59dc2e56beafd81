#include "filter/dedup_search.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "filter/dedup_keys.h"

#define PIECE 1024 /* records read at once */
#define SHA_BYTES                                                              \
    (sizeof(struct sha_row) + 24) /* of memory, for one of them                \
                                   */

struct sha_row {
    uint64_t hi, lo; /* first 128 bits of the sha256 */
    uint32_t id, pad;
};

struct dedup_pushed {
    uint32_t id, by;
};

struct dedup_result {
    uint32_t id, by;
    uint32_t exact;
};

/* ---- adding ---- */

/* Parts of a few thousand images, as far as memory has blocks for them. */
static unsigned part_bits(uint64_t expect, uint64_t memory_bytes)
{
    unsigned bits = 4;

    while (bits < DEDUP_KEY_BITS && expect >> bits > 4096 &&
           BINS_BLOCK_MIN << (bits + 1) <= memory_bytes / 16)
        bits++;
    return bits;
}

int dedup_search_open(struct dedup_search *s,
                      const struct dedup_search_config *c, struct err *e)
{
    uint64_t memory =
        c->memory_bytes > DEDUP_MEMORY_MIN ? c->memory_bytes : DEDUP_MEMORY_MIN;
    unsigned bits = part_bits(c->expect, memory);
    struct dedup_near_config near = {.memory_bytes = memory / 8 * 3,
                                     .expect = c->expect,
                                     .radius = c->radius,
                                     .threads = c->threads,
                                     .k = c->k,
                                     .key_bits = bits};
    int rc;

    *s = (struct dedup_search){.config = *c, .sha_bits = bits};
    /* Parts of a set have a block each while they are filled; of the sets that
     * are open at a time at most three are of all parts. */
    rc = bins_store_open(&s->store, c->folder, memory / 8 * 3,
                         (size_t)(memory / 16 >> bits), e);
    if (!rc)
        rc = dedup_near_open(&s->near, &near, &s->store, e);
    if (!rc)
        rc = bins_open(&s->shas, &s->store, 1u << bits, e);
    if (rc)
        dedup_search_close(s);
    return rc;
}

void dedup_search_close(struct dedup_search *s)
{
    dedup_near_close(&s->near);
    bins_close(&s->shas);
    bins_close(&s->equals);
    bins_close(&s->verdicts);
    bins_close(&s->pushers);
    bins_store_close(&s->store);
}

int dedup_search_add(struct dedup_search *s, const uint8_t *sha,
                     const uint64_t *phash, struct err *e)
{
    struct sha_row row = {.id = s->n};
    int rc = 0;

    if (s->n == DEDUP_NONE - 1)
        return err_set(e, E_TOOBIG, "more than %u images", s->n);
    if (sha) {
        memcpy(&row.hi, sha, 8);
        memcpy(&row.lo, sha + 8, 8);
        rc = bins_add(&s->shas, (uint32_t)(row.hi >> (64 - s->sha_bits)), &row,
                      sizeof row, e);
    }
    if (!rc && phash)
        rc = dedup_near_add(&s->near, s->n, *phash, e);
    s->n += !rc;
    return rc;
}

void dedup_search_set_ends(struct dedup_search *s)
{
    s->set = s->n;
}

/* ---- equal bytes ---- */

/*
 * Rows of a part that are at hand, ids ascending.  Where they do not fit, those
 * with the smallest bytes stay and the others wait for another pass over the
 * part.  Nothing is hashed: an evaluation set may state what it likes, and
 * costs as many passes as its rows need.
 */
struct shas {
    struct sha_row *rows;
    size_t n, cap;
    struct dedup_keys v, room; /* v.at: rows in order of bytes, then of ids */
    bool from, to;             /* this pass is of rows: */
    struct sha_row above;      /* if from: greater than this */
    struct sha_row most;       /* if to: at most this */
};

static int sha_cmp(const struct sha_row *a, const struct sha_row *b)
{
    if (a->hi != b->hi)
        return a->hi < b->hi ? -1 : 1;
    return (a->lo > b->lo) - (a->lo < b->lo);
}

static int shas_open(struct shas *t, size_t cap, struct err *e)
{
    *t = (struct shas){.cap = cap, .rows = malloc(cap * sizeof *t->rows)};
    t->v.key = malloc(cap * sizeof *t->v.key);
    t->v.at = malloc(cap * sizeof *t->v.at);
    t->room.key = malloc(cap * sizeof *t->room.key);
    t->room.at = malloc(cap * sizeof *t->room.at);
    if (t->rows && t->v.key && t->v.at && t->room.key && t->room.at)
        return 0;
    return err_set(e, E_NOMEM, "no memory to compare %zu images", cap);
}

static void shas_close(struct shas *t)
{
    free(t->rows);
    free(t->v.key);
    free(t->v.at);
    free(t->room.key);
    free(t->room.at);
}

/* Half of what is compared tells real ones apart; where it does not, the other
 * half goes first, as the sort leaves equal ones in their order. */
static uint64_t shas_sort(struct shas *t)
{
    uint64_t moved;
    bool tied = false;

    for (size_t i = 0; i < t->n; i++) {
        t->v.key[i] = t->rows[i].hi;
        t->v.at[i] = (uint32_t)i;
    }
    moved = dedup_keys_sort(&t->v, &t->room, t->n);
    for (size_t i = 1; i < t->n && !tied; i++)
        tied = t->v.key[i] == t->v.key[i - 1] &&
               t->rows[t->v.at[i]].lo != t->rows[t->v.at[i - 1]].lo;
    if (!tied)
        return moved;
    for (size_t i = 0; i < t->n; i++) {
        t->v.key[i] = t->rows[i].lo;
        t->v.at[i] = (uint32_t)i;
    }
    moved += dedup_keys_sort(&t->v, &t->room, t->n);
    for (size_t i = 0; i < t->n; i++)
        t->v.key[i] = t->rows[t->v.at[i]].hi;
    return moved + dedup_keys_sort(&t->v, &t->room, t->n);
}

/* Say which rows have the bytes of an earlier one, and let go of them; with
 * `last` false there are more to come, and at most half of the room is kept.
 * What is said here of a row beyond `most` may be said again in its pass. */
static int shas_fold(struct dedup_search *s, struct shas *t, bool last,
                     struct err *e)
{
    size_t different = 0, kept = 0;
    uint32_t *first; /* of equal rows; UINT32_MAX: not now */
    int rc = 0;

    s->moved += shas_sort(t);
    first = t->room.at;
    for (size_t i = 0; i < t->n; i++) {
        uint32_t at = t->v.at[i], before = i ? t->v.at[i - 1] : at;

        first[at] =
            i && !sha_cmp(&t->rows[at], &t->rows[before]) ? first[before] : at;
        different += first[at] == at;
        if (last || different <= t->cap / 2)
            continue;
        if (first[at] == at && different == t->cap / 2 + 1) {
            t->most = t->rows[before];
            t->to = true;
        }
        first[at] = UINT32_MAX;
    }
    for (size_t i = 0; !rc && i < t->n; i++) {
        struct dedup_pushed p = {.id = t->rows[i].id};

        if (first[i] == UINT32_MAX)
            continue;
        if (first[i] == i) {
            first[i] = (uint32_t)kept;
            t->rows[kept++] = t->rows[i];
            continue;
        }
        p.by = t->rows[first[first[i]]].id;
        rc = bins_add(&s->equals, p.id >> s->range_shift, &p, sizeof p, e);
    }
    t->n = kept;
    return rc;
}

/* One reading of the part. */
static int shas_pass(struct dedup_search *s, uint32_t part, struct shas *t,
                     struct err *e)
{
    uint64_t left = bins_bytes(&s->shas, part) / sizeof(struct sha_row);
    struct sha_row piece[PIECE];
    uint64_t at = 0;
    int rc = 0;

    t->n = 0;
    while (!rc && left) {
        size_t n = left < PIECE ? (size_t)left : PIECE;

        rc = bins_read(&s->shas, part, at * sizeof *piece, piece,
                       n * sizeof *piece, e);
        at += n;
        left -= n;
        for (size_t i = 0; !rc && i < n; i++) {
            if ((t->from && sha_cmp(&piece[i], &t->above) <= 0) ||
                (t->to && sha_cmp(&piece[i], &t->most) > 0))
                continue;
            t->rows[t->n++] = piece[i];
            if (t->n == t->cap && (left || i + 1 < n))
                rc = shas_fold(s, t, false, e);
        }
    }
    return rc ? rc : shas_fold(s, t, true, e);
}

static int equals_part(struct dedup_search *s, uint32_t part, struct err *e)
{
    uint64_t rows = bins_bytes(&s->shas, part) / sizeof(struct sha_row);
    uint64_t cap = s->near.config.memory_bytes / SHA_BYTES;
    struct shas t;
    int rc;

    if (rows < 2)
        return 0;
    if (cap > UINT32_MAX / 2)
        cap = UINT32_MAX / 2;
    rc = shas_open(&t, (size_t)(rows < cap ? rows : cap), e);
    do {
        t.from = t.to;
        t.above = t.most;
        t.to = false;
        rc = rc ? rc : shas_pass(s, part, &t, e);
    } while (!rc && t.to);
    shas_close(&t);
    return rc;
}

static int find_equals(struct dedup_search *s, struct err *e)
{
    int rc = bins_open(&s->equals, &s->store, s->ranges, e);

    for (uint32_t part = 0; !rc && part < s->shas.n; part++) {
        rc = equals_part(s, part, e);
        bins_clear(&s->shas, part);
    }
    bins_close(&s->shas);
    return rc;
}

/* ---- verdicts, range by range ---- */

/* The ids of a range while it is resolved. */
struct resolving {
    uint32_t first, n;
    uint32_t *near, *equal; /* what pushes each out, or DEDUP_NONE */
    uint32_t *by;           /* scratch, to send each pusher once */
};

static int take_look(void *ctx, const void *record, struct err *e)
{
    struct resolving *r = ctx;
    struct dedup_look look;

    (void)e;
    memcpy(&look, record, sizeof look);
    if (look.best < r->near[look.id - r->first])
        r->near[look.id - r->first] = look.best;
    return 0;
}

static int take_equal(void *ctx, const void *record, struct err *e)
{
    struct resolving *r = ctx;
    struct dedup_pushed p;

    (void)e;
    memcpy(&p, record, sizeof p);
    r->equal[p.id - r->first] = p.by;
    return 0;
}

struct twin_ctx {
    struct dedup_search *search;
    struct resolving *r;
};

/* A twin's first near one is its look's, or the look. */
static int take_twin(void *ctx, const void *record, struct err *e)
{
    struct twin_ctx *c = ctx;
    struct resolving *r = c->r;
    struct dedup_twin twin;
    struct dedup_look look = {.best = DEDUP_NONE};

    memcpy(&twin, record, sizeof twin);
    look.best = r->near[twin.look - r->first];
    if (look.best == DEDUP_NONE)
        look.best = twin.look;
    look.id = twin.id;
    if (look.id - r->first < r->n)
        return take_look(r, &look, e);
    return bins_add(&c->search->near.verdicts,
                    look.id >> c->search->range_shift, &look, sizeof look, e);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* Each earlier range is told once which of its ids this range asks about. */
static int send_pushers(struct dedup_search *s, struct resolving *r, size_t n,
                        struct err *e)
{
    int rc = 0;

    if (n)
        qsort(r->by, n, sizeof *r->by, by_number);
    for (size_t i = 0; !rc && i < n; i++) {
        struct dedup_send to = {r->by[i], r->first >> s->range_shift};

        if (i && r->by[i] == r->by[i - 1])
            continue;
        rc = bins_add(&s->pushers, to.by >> s->range_shift, &to, sizeof to, e);
    }
    return rc;
}

static int write_results(struct dedup_search *s, struct resolving *r,
                         struct err *e)
{
    uint32_t range = r->first >> s->range_shift;
    size_t n = 0;
    int rc = 0;

    for (uint32_t i = 0; !rc && i < r->n; i++) {
        uint32_t equal = r->equal[i], near = r->near[i];
        struct dedup_result v = {.id = r->first + i};

        if (v.id < s->set || (equal == DEDUP_NONE && near == DEDUP_NONE))
            continue;
        /* Equal bytes first, but a picture of the set before any other. */
        v.exact = equal != DEDUP_NONE && (equal < s->set || near >= s->set);
        v.by = v.exact ? equal : near;
        rc = bins_add(&s->verdicts, range, &v, sizeof v, e);
        if (v.by >= s->set && v.by >> s->range_shift != range)
            r->by[n++] = v.by;
    }
    return rc ? rc : send_pushers(s, r, n, e);
}

static int resolve_range(struct dedup_search *s, struct resolving *r,
                         uint32_t range, struct err *e)
{
    struct twin_ctx twin = {s, r};
    int rc;

    r->first = range << s->range_shift;
    r->n = s->n - r->first;
    if (r->n > 1u << s->range_shift)
        r->n = 1u << s->range_shift;
    memset(r->near, 0xff, r->n * sizeof *r->near);
    memset(r->equal, 0xff, r->n * sizeof *r->equal);
    rc = bins_each(&s->near.verdicts, range, sizeof(struct dedup_look),
                   take_look, r, e);
    if (!rc)
        rc = bins_each(&s->equals, range, sizeof(struct dedup_pushed),
                       take_equal, r, e);
    if (!rc)
        rc = bins_each(&s->near.twins, range, sizeof(struct dedup_twin),
                       take_twin, &twin, e);
    bins_clear(&s->near.verdicts, range);
    bins_clear(&s->equals, range);
    bins_clear(&s->near.twins, range);
    return rc ? rc : write_results(s, r, e);
}

static int resolve(struct dedup_search *s, struct err *e)
{
    size_t size = (size_t)4 << s->range_shift;
    struct resolving r = {
        .near = malloc(size), .equal = malloc(size), .by = malloc(size)};
    int rc = bins_open(&s->verdicts, &s->store, s->ranges, e);

    if (!rc)
        rc = bins_open(&s->pushers, &s->store, s->ranges, e);
    if (!rc && (!r.near || !r.equal || !r.by))
        rc = err_set(e, E_NOMEM, "no memory to compare %u images", s->n);
    for (uint32_t i = 0; !rc && i < s->ranges; i++)
        rc = resolve_range(s, &r, i, e);
    free(r.near);
    free(r.equal);
    free(r.by);
    return rc;
}

int dedup_search_finish(struct dedup_search *s, struct err *e)
{
    int rc;

    s->range_shift = DEDUP_RANGE_BITS;
    while (s->n >> s->range_shift >= DEDUP_RANGES_MAX)
        s->range_shift++;
    s->ranges =
        (uint32_t)(((uint64_t)s->n + (UINT64_C(1) << s->range_shift) - 1) >>
                   s->range_shift);
    rc = find_equals(s, e);
    if (!rc)
        rc = dedup_near_search(&s->near, s->range_shift, s->ranges, e);
    if (!rc)
        rc = resolve(s, e);
    dedup_near_close(&s->near);
    bins_close(&s->equals);
    return rc;
}

/* ---- reading ---- */

static void set_pusher(struct dedup_range *to, uint32_t id)
{
    uint32_t i = id - to->first;

    if (i < to->n)
        to->pusher[i / 8] |= (uint8_t)(1u << i % 8);
}

static int take_send(void *ctx, const void *record, struct err *e)
{
    struct dedup_send send;

    (void)e;
    memcpy(&send, record, sizeof send);
    set_pusher(ctx, send.by);
    return 0;
}

static int take_result(void *ctx, const void *record, struct err *e)
{
    struct dedup_range *to = ctx;
    struct dedup_result v;

    (void)e;
    memcpy(&v, record, sizeof v);
    to->verdicts[v.id - to->first] = (struct dedup_verdict){v.by, v.exact != 0};
    set_pusher(to, v.by);
    return 0;
}

int dedup_search_range(struct dedup_search *s, uint32_t r,
                       struct dedup_range *to, struct err *e)
{
    int rc;

    *to = (struct dedup_range){.first = r << s->range_shift};
    to->n = s->n - to->first;
    if (to->n > 1u << s->range_shift)
        to->n = 1u << s->range_shift;
    to->verdicts = malloc(to->n * sizeof *to->verdicts);
    to->pusher = calloc(to->n / 8 + 1, 1);
    if (!to->verdicts || !to->pusher)
        return err_set(e, E_NOMEM, "no memory for %u verdicts", to->n);
    for (uint32_t i = 0; i < to->n; i++)
        to->verdicts[i] = (struct dedup_verdict){DEDUP_NONE, false};
    rc = bins_each(&s->verdicts, r, sizeof(struct dedup_result), take_result,
                   to, e);
    if (!rc)
        rc = bins_each(&s->pushers, r, sizeof(struct dedup_send), take_send, to,
                       e);
    bins_clear(&s->verdicts, r);
    return rc;
}

void dedup_range_release(struct dedup_range *to)
{
    free(to->verdicts);
    free(to->pusher);
    *to = (struct dedup_range){0};
}
