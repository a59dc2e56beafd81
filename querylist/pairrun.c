#include "querylist/pairrun.h"

#include <stdlib.h>

#define MORE_ONE  1u /* the count is over 1, less 2 follows */
#define MORE_STEP 2u /* the first number changes, by how much follows */

/* ---- writing ---- */

int pairrun_open(struct pairrun_writer *w, struct runfile *f, struct err *e)
{
    w->first = w->second = 0;
    return run_writer_open(&w->out, f, e);
}

int pairrun_put(struct pairrun_writer *w, uint64_t pair, uint64_t n,
                struct err *e)
{
    struct run_writer *o = &w->out;
    uint32_t first = (uint32_t)(pair >> 32), second = (uint32_t)pair;
    bool anew, step;
    int rc = run_writer_room(o, &anew, e);

    if (rc)
        return rc;
    if (anew)
        w->first = w->second = 0;
    step = first != w->first;
    if (step)
        w->second = 0;
    o->to =
        run_put(o->to, (uint64_t)(second - w->second) << 2 |
                           (step ? MORE_STEP : 0) | (n != 1 ? MORE_ONE : 0));
    if (step)
        o->to = run_put(o->to, first - w->first);
    if (n != 1)
        o->to = run_put(o->to, n - 2);
    w->first = first;
    w->second = second + 1;
    return 0;
}

int pairrun_close(struct pairrun_writer *w, struct run *r, struct err *e)
{
    return run_writer_close(&w->out, r, e);
}

/* ---- maps ---- */

int pair_map_init(struct pair_map *m, size_t n)
{
    *m = (struct pair_map){.n = n};
    m->marks = calloc(n / 64 + 1, sizeof *m->marks);
    return m->marks ? 0 : -E_NOMEM;
}

void pair_map_release(struct pair_map *m)
{
    free(m->marks);
    free(m->to);
    *m = (struct pair_map){0};
}

int pair_map_put(struct pair_map *m, size_t number, uint32_t to)
{
    if (m->n_to == m->cap_to) {
        size_t cap = m->cap_to ? m->cap_to + m->cap_to / 2 : 256;
        uint32_t *grown = realloc(m->to, cap * sizeof *grown);

        if (!grown)
            return -E_NOMEM;
        m->to = grown;
        m->cap_to = cap;
    }
    m->marks[number / 64].bits |= UINT64_C(1) << number % 64;
    m->to[m->n_to++] = to;
    return 0;
}

void pair_map_finish(struct pair_map *m)
{
    uint32_t sum = 0;

    for (size_t i = 0; i <= m->n / 64; i++) {
        m->marks[i].before = sum;
        sum += (uint32_t)__builtin_popcountll(m->marks[i].bits);
    }
}

/* Where in m->to a number's other name is; false when it does not stay. */
static inline bool stays(const struct pair_map *m, uint32_t number,
                         uint32_t *where)
{
    const struct pair_marks *k = &m->marks[number / 64];
    uint64_t bit = UINT64_C(1) << number % 64;

    if (!(k->bits & bit))
        return false;
    *where = k->before + (uint32_t)__builtin_popcountll(k->bits & (bit - 1));
    return true;
}

/* ---- cursors ---- */

int pair_cursor_run(struct pair_cursor *c, const struct run *r,
                    const struct pair_map *map, struct err *e)
{
    *c = (struct pair_cursor){.map = map};
    return run_reader_open(&c->in, r, e);
}

void pair_cursor_table(struct pair_cursor *c, const struct pairtab *t,
                       const struct pair_map *map)
{
    *c = (struct pair_cursor){.map = map, .table = t};
}

void pair_cursor_close(struct pair_cursor *c)
{
    run_reader_close(&c->in);
}

static int read_record(struct pair_cursor *c, bool *more, struct err *e)
{
    struct run_reader *r = &c->in;
    uint64_t x, step = 0, n = 0;
    bool anew;
    int rc = run_reader_more(r, &anew, more, e);

    if (rc || !*more)
        return rc;
    if (anew)
        c->first = c->second = 0;
    if (!run_get(r, &x) || (x & MORE_STEP && !run_get(r, &step)) ||
        (x & MORE_ONE && !run_get(r, &n)))
        return run_reader_damaged(r, e);
    if (x & MORE_STEP)
        c->second = 0;
    if (step > UINT32_MAX - c->first || x >> 2 > UINT32_MAX - c->second)
        return run_reader_damaged(r, e);
    c->first += (uint32_t)step;
    c->second += (uint32_t)(x >> 2);
    c->pair = (uint64_t)c->first << 32 | c->second++;
    c->n = x & MORE_ONE ? n + 2 : 1;
    return 0;
}

static int step_plain(struct pair_cursor *c, bool *more, struct err *e)
{
    if (!c->table)
        return read_record(c, more, e);
    *more = pairtab_next(c->table, &c->walk, &c->pair, &c->n);
    return 0;
}

/* The next pairs of which the first number stays, with its other name; what
 * the second needs is on its way. */
static int read_batch(struct pair_cursor *c, unsigned *n, struct err *e)
{
    const struct pair_map *m = c->map;
    bool more;

    *n = 0;
    while (*n < PAIR_BATCH) {
        uint32_t first, second, where;
        int rc = step_plain(c, &more, e);

        if (rc)
            return rc;
        if (!more) {
            c->ended = true;
            return 0;
        }
        first = (uint32_t)(c->pair >> 32);
        second = (uint32_t)c->pair;
        if (first >= m->n || second >= m->n)
            return run_reader_damaged(&c->in, e);
        if (!stays(m, first, &where))
            continue;
        __builtin_prefetch(&m->marks[second / 64]);
        c->batch[*n].pair = (uint64_t)m->to[where] << 32 | second;
        c->batch[(*n)++].n = c->n;
    }
    return 0;
}

static int refill(struct pair_cursor *c, struct err *e)
{
    const struct pair_map *m = c->map;
    unsigned n, kept = 0;
    int rc = read_batch(c, &n, e);

    for (unsigned i = 0; !rc && i < n; i++) {
        uint64_t pair = c->batch[i].pair;
        uint32_t where;

        if (!stays(m, (uint32_t)pair, &where))
            continue;
        __builtin_prefetch(&m->to[where]);
        c->batch[kept].pair = pair >> 32 << 32 | where;
        c->batch[kept++].n = c->batch[i].n;
    }
    for (unsigned i = 0; i < kept; i++) {
        uint64_t pair = c->batch[i].pair;

        c->batch[i].pair = pair >> 32 << 32 | m->to[(uint32_t)pair];
    }
    c->at = 0;
    c->n_batch = kept;
    return rc;
}

int pair_cursor_next(struct pair_cursor *c, bool *more, struct err *e)
{
    if (!c->map)
        return step_plain(c, more, e);
    while (c->at == c->n_batch && !c->ended) {
        int rc = refill(c, e);

        if (rc)
            return rc;
    }
    *more = c->at < c->n_batch;
    if (*more) {
        c->pair = c->batch[c->at].pair;
        c->n = c->batch[c->at++].n;
    }
    return 0;
}

/* ---- merging: a tree of losers ---- */

static int step(struct pair_merge *m, size_t i, struct err *e)
{
    bool more;
    int rc = pair_cursor_next(&m->cursors[i], &more, e);

    m->pairs[i] = !rc && more ? m->cursors[i].pair : PAIR_NONE;
    return rc;
}

int pair_merge_start(struct pair_merge *m, struct pair_cursor *c, size_t n,
                     struct err *e)
{
    uint32_t *winners = calloc(2 * n + 2, sizeof *winners);
    int rc = 0;

    *m = (struct pair_merge){.cursors = c, .n = n};
    m->pairs = calloc(n + 1, sizeof *m->pairs);
    m->tree = calloc(n + 1, sizeof *m->tree);
    if (!winners || !m->pairs || !m->tree)
        rc = err_set(e, E_NOMEM, "no memory to merge %zu runs", n);
    for (size_t i = 0; !rc && i < n; i++) {
        rc = step(m, i, e);
        winners[n + i] = (uint32_t)i;
    }
    for (size_t i = n; !rc && i-- > 1;) {
        uint32_t a = winners[2 * i], b = winners[2 * i + 1];
        bool first = m->pairs[a] <= m->pairs[b];

        winners[i] = first ? a : b;
        m->tree[i] = first ? b : a;
    }
    if (!rc)
        m->tree[0] = winners[1]; /* of one cursor: itself */
    free(winners);
    return rc;
}

void pair_merge_end(struct pair_merge *m)
{
    free(m->pairs);
    free(m->tree);
    *m = (struct pair_merge){0};
}

/* The winner's cursor goes on, and plays its matches again. */
static int advance(struct pair_merge *m, struct err *e)
{
    uint32_t winner = m->tree[0];
    uint64_t pair;
    int rc = step(m, winner, e);

    pair = m->pairs[winner];
    for (size_t i = (m->n + winner) / 2; i > 0; i /= 2) {
        uint32_t other = m->tree[i];

        if (m->pairs[other] < pair) {
            m->tree[i] = winner;
            winner = other;
            pair = m->pairs[other];
        }
    }
    m->tree[0] = winner;
    return rc;
}

int pair_merge_next(struct pair_merge *m, uint64_t *pair, uint64_t *n,
                    bool *more, struct err *e)
{
    int rc = 0;

    *pair = m->n ? m->pairs[m->tree[0]] : PAIR_NONE;
    *more = *pair != PAIR_NONE;
    *n = 0;
    while (!rc && *more && m->pairs[m->tree[0]] == *pair) {
        *n += m->cursors[m->tree[0]].n;
        rc = advance(m, e);
    }
    return rc;
}
