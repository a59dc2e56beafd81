#include "querylist/keymerge.h"

#include <stdlib.h>

static int close_cursors(struct keymerge *m, int rc)
{
    for (size_t i = 0; i < m->n; i++)
        key_cursor_close(&m->cursors[i]);
    free(m->cursors);
    free(m->heap);
    m->cursors = NULL;
    m->heap = NULL;
    m->n = 0;
    return rc;
}

static int make_cursors(struct keymerge *m, size_t n, struct err *e)
{
    m->cursors = calloc(n + 1, sizeof *m->cursors);
    m->heap = calloc(n + 1, sizeof *m->heap);
    if (!m->cursors || !m->heap)
        return err_set(e, E_NOMEM, "no memory to merge %zu runs", n);
    for (size_t i = 0; i < n; i++)
        m->heap[i] = &m->cursors[i];
    return 0;
}

/* The first n of the runs that are left. */
static int open_runs(struct keymerge *m, size_t n, struct err *e)
{
    int rc = make_cursors(m, n, e);

    for (size_t i = 0; !rc && i < n; i++) {
        rc = key_cursor_run(&m->cursors[i], &m->runs[i], e);
        m->n++;
    }
    return rc ? rc : key_merge_start(&m->merge, m->heap, n, e);
}

/* The first KEYMERGE_FAN runs become one, which goes to the end. */
static int pass(struct keymerge *m, struct runfile *to, struct err *e)
{
    struct keyrun_writer w;
    struct run made;
    struct str key;
    uint64_t sum;
    bool more = true;
    int rc, rc_close;

    rc = open_runs(m, KEYMERGE_FAN, e);
    if (rc)
        return close_cursors(m, rc);
    rc = keyrun_open(&w, to, e);
    while (!rc && more) {
        rc = keymerge_next(m, &key, &sum, &more, e);
        if (!rc && more)
            rc = keyrun_put(&w, key, sum, e);
    }
    rc_close = keyrun_close(&w, &made, e);
    rc = close_cursors(m, rc ? rc : rc_close);
    if (rc)
        return rc;
    for (size_t i = m->lent; i < KEYMERGE_FAN; i++)
        runfile_release(&m->runs[i]);
    m->lent -= m->lent < KEYMERGE_FAN ? m->lent : KEYMERGE_FAN;
    m->n_runs -= KEYMERGE_FAN - 1;
    memmove(m->runs, m->runs + KEYMERGE_FAN, (m->n_runs - 1) * sizeof *m->runs);
    m->runs[m->n_runs - 1] = made;
    return 0;
}

int keymerge_runs(struct keymerge *m, const struct run *runs, size_t n,
                  bool lent, struct runfile *to, struct err *e)
{
    int rc = 0;

    *m = (struct keymerge){.n_runs = n, .lent = lent ? n : 0};
    m->runs = malloc((n + 1) * sizeof *runs);
    if (!m->runs)
        return err_set(e, E_NOMEM, "no memory to merge %zu runs", n);
    if (n)
        memcpy(m->runs, runs, n * sizeof *runs);
    while (!rc && m->n_runs > KEYMERGE_FAN)
        rc = pass(m, to, e);
    return rc ? rc : open_runs(m, m->n_runs, e);
}

int keymerge_tables(struct keymerge *m, struct keytab *const *tables, size_t n,
                    struct err *e)
{
    int rc;

    *m = (struct keymerge){0};
    rc = make_cursors(m, n, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++)
        key_cursor_table(&m->cursors[i], tables[i]);
    m->n = n;
    return key_merge_start(&m->merge, m->heap, n, e);
}

void keymerge_close(struct keymerge *m)
{
    close_cursors(m, 0);
    free(m->runs);
    m->runs = NULL;
}
