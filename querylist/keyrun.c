#include "querylist/keyrun.h"

#include <endian.h>
#include <stdlib.h>

/* ---- writing ---- */

int keyrun_open(struct keyrun_writer *w, struct runfile *f, struct err *e)
{
    w->n_last = 0;
    return run_writer_open(&w->out, f, e);
}

static size_t shared_bytes(const char *a, const char *b, size_t n)
{
    size_t i = 0;

    while (i < n && a[i] == b[i])
        i++;
    return i;
}

int keyrun_put(struct keyrun_writer *w, struct str key, uint64_t n,
               struct err *e)
{
    struct run_writer *o = &w->out;
    size_t shared;
    bool anew;
    int rc = run_writer_room(o, &anew, e);

    if (rc)
        return rc;
    shared = anew ? 0
                  : shared_bytes(w->last, key.p,
                                 key.n < w->n_last ? key.n : w->n_last);
    o->to = run_put(o->to, shared);
    o->to = run_put(o->to, key.n - shared);
    memcpy(o->to, key.p + shared, key.n - shared);
    o->to = run_put(o->to + (key.n - shared), n);
    memcpy(w->last + shared, key.p + shared, key.n - shared);
    w->n_last = key.n;
    return 0;
}

int keyrun_close(struct keyrun_writer *w, struct run *r, struct err *e)
{
    return run_writer_close(&w->out, r, e);
}

int keyrun_write(const struct keytab *t, struct runfile *f, struct run *r,
                 struct err *e)
{
    struct keyrun_writer w;
    char text[KEYTAB_KEY_MAX];
    int rc = keyrun_open(&w, f, e), rc_close;

    for (uint32_t i = 0; !rc && i < t->n; i++)
        rc = keyrun_put(&w, keytab_text_at(t, i, text), keytab_at(t, i)->n, e);
    rc_close = keyrun_close(&w, r, e);
    return rc ? rc : rc_close;
}

/* ---- cursors ---- */

int key_cursor_run(struct key_cursor *c, const struct run *r, struct err *e)
{
    c->table = NULL;
    c->key = str_make(c->text, 0);
    return run_reader_open(&c->in, r, e);
}

void key_cursor_table(struct key_cursor *c, const struct keytab *t)
{
    c->in.block = NULL;
    c->table = t;
    c->at = 0;
}

void key_cursor_close(struct key_cursor *c)
{
    run_reader_close(&c->in);
}

static int read_record(struct key_cursor *c, bool *more, struct err *e)
{
    struct run_reader *r = &c->in;
    uint64_t shared, n;
    bool anew;
    int rc = run_reader_more(r, &anew, more, e);

    if (rc || !*more)
        return rc;
    if (!run_get(r, &shared) || !run_get(r, &n) ||
        shared > (anew ? 0 : c->key.n) || n > KEYTAB_KEY_MAX - shared ||
        n > (uint64_t)(r->end - r->p))
        return run_reader_damaged(r, e);
    memcpy(c->text + shared, r->p, (size_t)n);
    r->p += n;
    c->key = str_make(c->text, (size_t)(shared + n));
    return run_get(r, &c->n) ? 0 : run_reader_damaged(r, e);
}

static uint64_t head_of(struct str key)
{
    uint64_t x = 0;

    if (key.n)
        memcpy(&x, key.p, key.n < 8 ? key.n : 8);
    return be64toh(x);
}

int key_cursor_next(struct key_cursor *c, bool *more, struct err *e)
{
    int rc = 0;

    if (!c->table) {
        rc = read_record(c, more, e);
    } else {
        *more = c->at < c->table->n;
        if (*more) {
            c->n = keytab_at(c->table, c->at)->n;
            c->key = keytab_text_at(c->table, c->at++, c->text);
        }
    }
    if (!rc && *more)
        c->head = head_of(c->key);
    return rc;
}

/* ---- merging ---- */

static bool before(const struct key_cursor *a, const struct key_cursor *b)
{
    if (a->head != b->head)
        return a->head < b->head;
    return str_cmp(a->key, b->key) < 0;
}

static void sift_down(struct key_merge *m, size_t i)
{
    struct key_cursor *c = m->heap[i];

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= m->n)
            break;
        if (child + 1 < m->n && before(m->heap[child + 1], m->heap[child]))
            child++;
        if (!before(m->heap[child], c))
            break;
        m->heap[i] = m->heap[child];
        i = child;
    }
    m->heap[i] = c;
}

int key_merge_start(struct key_merge *m, struct key_cursor **c, size_t n,
                    struct err *e)
{
    m->heap = c;
    m->n = 0;
    for (size_t i = 0; i < n; i++) {
        bool more;
        int rc = key_cursor_next(c[i], &more, e);

        if (rc)
            return rc;
        if (more) {
            struct key_cursor *x = c[i];

            c[i] = c[m->n];
            c[m->n++] = x;
        }
    }
    for (size_t i = m->n / 2; i-- > 0;)
        sift_down(m, i);
    return 0;
}

/* The first cursor goes on, and to its place. */
static int step(struct key_merge *m, struct err *e)
{
    bool more;
    int rc = key_cursor_next(m->heap[0], &more, e);

    if (rc)
        return rc;
    if (!more)
        m->heap[0] = m->heap[--m->n];
    if (m->n)
        sift_down(m, 0);
    return 0;
}

int key_merge_next(struct key_merge *m, struct str *key, uint64_t *sum,
                   bool *more, struct err *e)
{
    int rc;

    *more = m->n > 0;
    if (!*more)
        return 0;
    memcpy(m->text, m->heap[0]->key.p, m->heap[0]->key.n);
    *key = str_make(m->text, m->heap[0]->key.n);
    *sum = 0;
    do {
        if (__builtin_add_overflow(*sum, m->heap[0]->n, sum))
            return err_set(e, E_RANGE, "a sum passes 64 bits: %.*s",
                           STR_ARG(*key));
        rc = step(m, e);
    } while (!rc && m->n && str_eq(m->heap[0]->key, *key));
    return rc;
}
