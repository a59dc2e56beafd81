#include "train/merge.h"

#include <stdlib.h>

#include "base/err.h"

#define NONE VOCABULARY_NONE

struct merge_token {
    uint32_t id;         /* NONE: merged into the one before */
    uint32_t prev, next; /* places, NONE at the ends */
};

struct merge_next {
    uint32_t merged; /* id of the token that comes of it */
    uint32_t at;     /* place of the left one */
};

void merge_init(struct merge *m)
{
    *m = (struct merge){0};
}

void merge_release(struct merge *m)
{
    free(m->tokens);
    free(m->heap);
    *m = (struct merge){0};
}

static uint32_t first_id(const struct vocabulary *v, struct str piece, size_t i)
{
    return v->of_byte[(unsigned char)piece.p[i]] + (i + 1 == piece.n ? 256 : 0);
}

/* ---- short pieces ---- */

static void scan_piece(const struct vocabulary *v, struct str piece,
                       int32_t *ids, size_t *count)
{
    uint32_t id[MERGE_SCAN_MAX], merged[MERGE_SCAN_MAX]; /* with the next */
    size_t n = piece.n;

    for (size_t i = 0; i < n; i++)
        id[i] = first_id(v, piece, i);
    for (size_t i = 0; i + 1 < n; i++)
        merged[i] = vocabulary_merge(v, id[i], id[i + 1]);
    while (n > 1) {
        size_t best = 0;

        for (size_t i = 1; i + 1 < n; i++)
            if (merged[i] < merged[best])
                best = i;
        if (merged[best] == NONE)
            break;
        id[best] = merged[best];
        n--;
        for (size_t i = best + 1; i < n; i++) {
            id[i] = id[i + 1];
            merged[i - 1] = merged[i];
        }
        if (best)
            merged[best - 1] = vocabulary_merge(v, id[best - 1], id[best]);
        if (best + 1 < n)
            merged[best] = vocabulary_merge(v, id[best], id[best + 1]);
    }
    for (size_t i = 0; i < n; i++)
        ids[(*count)++] = (int32_t)id[i];
}

/* ---- long pieces ---- */

static bool before(const struct merge_next *a, const struct merge_next *b)
{
    return a->merged != b->merged ? a->merged < b->merged : a->at < b->at;
}

static void push(struct merge *m, struct merge_next next)
{
    size_t at = m->queued++;

    while (at && before(&next, &m->heap[(at - 1) / 2])) {
        m->heap[at] = m->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    m->heap[at] = next;
}

static struct merge_next pop(struct merge *m)
{
    struct merge_next top = m->heap[0], last = m->heap[--m->queued];
    size_t at = 0, child;

    while ((child = 2 * at + 1) < m->queued) {
        if (child + 1 < m->queued &&
            before(&m->heap[child + 1], &m->heap[child]))
            child++;
        if (!before(&m->heap[child], &last))
            break;
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = last;
    return top;
}

/* What the token at `at` and its next one would make. */
static uint32_t with_next(const struct merge *m, const struct vocabulary *v,
                          uint32_t at)
{
    const struct merge_token *t = &m->tokens[at];

    if (t->id == NONE || t->next == NONE)
        return NONE;
    return vocabulary_merge(v, t->id, m->tokens[t->next].id);
}

static void queue(struct merge *m, const struct vocabulary *v, uint32_t at)
{
    uint32_t merged = with_next(m, v, at);

    if (merged != NONE)
        push(m, (struct merge_next){merged, at});
}

/* Each merge queues two at most, and there are fewer merges than bytes. */
static int reserve(struct merge *m, size_t bytes)
{
    size_t cap = bytes * 2;

    if (bytes <= m->cap)
        return 0;
    merge_release(m);
    m->tokens = malloc(cap * sizeof *m->tokens);
    m->heap = malloc(3 * cap * sizeof *m->heap);
    if (!m->tokens || !m->heap)
        return -E_NOMEM;
    m->cap = cap;
    return 0;
}

static void join(struct merge *m, const struct vocabulary *v,
                 struct merge_next which)
{
    struct merge_token *t = &m->tokens[which.at], *gone = &m->tokens[t->next];

    t->id = which.merged;
    t->next = gone->next;
    gone->id = NONE;
    if (t->next != NONE) {
        m->tokens[t->next].prev = which.at;
        queue(m, v, which.at);
    }
    if (t->prev != NONE)
        queue(m, v, t->prev);
}

int merge_piece(struct merge *m, const struct vocabulary *v, struct str piece,
                int32_t *ids, size_t *n)
{
    int rc;

    if (piece.n <= MERGE_SCAN_MAX) {
        scan_piece(v, piece, ids, n);
        return 0;
    }
    rc = reserve(m, piece.n);
    if (rc)
        return rc;
    m->queued = 0;
    for (uint32_t i = 0; i < piece.n; i++)
        m->tokens[i] =
            (struct merge_token){first_id(v, piece, i), i ? i - 1 : NONE,
                                 i + 1 < piece.n ? i + 1 : NONE};
    for (uint32_t i = 0; i < piece.n; i++)
        queue(m, v, i);
    while (m->queued) {
        struct merge_next next = pop(m);

        /* stale when one of its tokens has been merged since */
        if (with_next(m, v, next.at) == next.merged)
            join(m, v, next);
    }
    for (uint32_t i = 0; i != NONE; i = m->tokens[i].next)
        ids[(*n)++] = (int32_t)m->tokens[i].id;
    return 0;
}
