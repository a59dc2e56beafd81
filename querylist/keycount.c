#include "querylist/keycount.h"

#include <stdlib.h>

#include "base/mem.h"
#include "querylist/keyrun.h"

struct keycount {
    struct keytab table;
    uint32_t *order; /* of the table's keys, once merged in memory */
    bool can_spill;
    struct runfile file;
    struct run *runs;
    size_t n_runs, cap_runs;
};

int keycount_open(struct keycount **out, uint64_t memory_bytes,
                  const char *folder, struct err *e)
{
    struct keycount *k = xcalloc(1, sizeof *k);
    int rc = runfile_open(&k->file, folder ? folder : "", e);

    if (rc) {
        free(k);
        return rc;
    }
    keytab_init(&k->table,
                memory_bytes < KEYTAB_MIN ? KEYTAB_MIN : (size_t)memory_bytes);
    k->can_spill = folder != NULL;
    *out = k;
    return 0;
}

void keycount_close(struct keycount *k)
{
    if (!k)
        return;
    keytab_release(&k->table);
    runfile_close(&k->file);
    free(k->order);
    free(k->runs);
    free(k);
}

static int spill(struct keycount *k, struct err *e)
{
    if (!k->can_spill)
        return err_set(e, E_TOOBIG,
                       "%u distinct keys pass the memory ceiling of %zu bytes",
                       k->table.n, k->table.max_bytes);
    k->runs = xgrow(k->runs, &k->cap_runs, k->n_runs + 1, sizeof *k->runs);
    return keyrun_spill(&k->table, &k->file, &k->runs[k->n_runs++], e);
}

int keycount_add(struct keycount *k, struct str key, uint64_t n, struct err *e)
{
    uint32_t id;
    int rc = keytab_add(&k->table, key, n, &id);

    if (rc == -E_TOOBIG) {
        rc = spill(k, e);
        if (rc)
            return rc;
        rc = keytab_add(&k->table, key, n, &id);
    }
    if (rc == -E_RANGE)
        return err_set(e, E_RANGE,
                       "a key of %zu bytes (at most %u), or a sum over 64 "
                       "bits",
                       key.n, KEYTAB_KEY_MAX);
    return rc ? err_set(e, -rc, "no memory to count keys") : 0;
}

uint64_t keycount_spilled(const struct keycount *k)
{
    return k->file.end;
}

/* ---- merging ---- */

struct keycount_merge {
    struct key_merge merge;
    struct key_cursor *cursors;
    struct key_cursor **heap;
    size_t n;
    struct run *runs; /* those that are left */
    size_t n_runs;
};

static int close_cursors(struct keycount_merge *m, int rc)
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

static int make_cursors(struct keycount_merge *m, size_t n, struct err *e)
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
static int open_runs(struct keycount_merge *m, size_t n, struct err *e)
{
    int rc = make_cursors(m, n, e);

    for (size_t i = 0; !rc && i < n; i++) {
        rc = key_cursor_run(&m->cursors[i], &m->runs[i], e);
        m->n++;
    }
    return rc ? rc : key_merge_start(&m->merge, m->heap, n, e);
}

/* The first KEYCOUNT_FAN runs become one, which goes to the end. */
static int pass(struct keycount_merge *m, struct err *e)
{
    struct runfile *to = m->runs[0].file;
    struct keyrun_writer w;
    struct run made;
    struct str key;
    uint64_t sum;
    bool more = true;
    int rc, rc_close;

    rc = open_runs(m, KEYCOUNT_FAN, e);
    if (rc)
        return close_cursors(m, rc);
    rc = keyrun_open(&w, to, e);
    while (!rc && more) {
        rc = key_merge_next(&m->merge, &key, &sum, &more, e);
        if (!rc && more)
            rc = keyrun_put(&w, key, sum, e);
    }
    rc_close = keyrun_close(&w, &made, e);
    rc = close_cursors(m, rc ? rc : rc_close);
    if (rc)
        return rc;
    for (size_t i = 0; i < KEYCOUNT_FAN; i++)
        runfile_release(&m->runs[i]);
    m->n_runs -= KEYCOUNT_FAN - 1;
    memmove(m->runs, m->runs + KEYCOUNT_FAN, (m->n_runs - 1) * sizeof *m->runs);
    m->runs[m->n_runs - 1] = made;
    return 0;
}

static int merge_runs(struct keycount_merge *m, struct keycount *const *k,
                      size_t n, struct err *e)
{
    size_t cap = 0;
    int rc = 0;

    for (size_t i = 0; !rc && i < n; i++) {
        if (k[i]->table.n)
            rc = spill(k[i], e);
        m->runs =
            xgrow(m->runs, &cap, m->n_runs + k[i]->n_runs + 1, sizeof *m->runs);
        if (k[i]->n_runs)
            memcpy(m->runs + m->n_runs, k[i]->runs,
                   k[i]->n_runs * sizeof *m->runs);
        m->n_runs += k[i]->n_runs;
    }
    while (!rc && m->n_runs > KEYCOUNT_FAN)
        rc = pass(m, e);
    return rc ? rc : open_runs(m, m->n_runs, e);
}

static int merge_tables(struct keycount_merge *m, struct keycount *const *k,
                        size_t n, struct err *e)
{
    int rc = make_cursors(m, n, e);

    for (size_t i = 0; !rc && i < n; i++) {
        free(k[i]->order);
        k[i]->order = keytab_sort(&k[i]->table);
        if (!k[i]->order)
            return err_set(e, E_NOMEM, "no memory to sort %u keys",
                           k[i]->table.n);
        key_cursor_table(&m->cursors[i], &k[i]->table, k[i]->order);
        m->n++;
    }
    return rc ? rc : key_merge_start(&m->merge, m->heap, n, e);
}

int keycount_merge_open(struct keycount_merge **out, struct keycount *const *k,
                        size_t n, struct err *e)
{
    struct keycount_merge *m = xcalloc(1, sizeof *m);
    size_t spilled = 0;
    int rc;

    /* One table that spilled has all of them spill: what then is merged needs
     * the memory. */
    for (size_t i = 0; i < n; i++)
        spilled += k[i]->n_runs;
    rc = spilled ? merge_runs(m, k, n, e) : merge_tables(m, k, n, e);
    if (rc) {
        keycount_merge_close(m);
        m = NULL;
    }
    *out = m;
    return rc;
}

void keycount_merge_close(struct keycount_merge *m)
{
    if (!m)
        return;
    close_cursors(m, 0);
    free(m->runs);
    free(m);
}

int keycount_merge_next(struct keycount_merge *m, struct str *key,
                        uint64_t *sum, bool *more, struct err *e)
{
    return key_merge_next(&m->merge, key, sum, more, e);
}
