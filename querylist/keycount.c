#include "querylist/keycount.h"

#include <stdlib.h>

#include "base/mem.h"
#include "querylist/keymerge.h"

struct keycount {
    struct keytab table;
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
    free(k->runs);
    free(k);
}

static int spill(struct keycount *k, struct err *e)
{
    int rc;

    if (!k->can_spill)
        return err_set(e, E_TOOBIG,
                       "%u distinct keys pass the memory ceiling of %zu bytes",
                       k->table.n, k->table.max_bytes);
    k->runs = xgrow(k->runs, &k->cap_runs, k->n_runs + 1, sizeof *k->runs);
    keytab_sort(&k->table);
    rc = keyrun_write(&k->table, &k->file, &k->runs[k->n_runs++], e);
    keytab_reset(&k->table);
    return rc;
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
    struct keymerge merge;
};

static int merge_runs(struct keymerge *m, struct keycount *const *k, size_t n,
                      struct err *e)
{
    struct run *runs = NULL;
    struct runfile *to = NULL;
    size_t cap = 0, n_runs = 0;
    int rc = 0;

    for (size_t i = 0; !rc && i < n; i++) {
        if (k[i]->table.n)
            rc = spill(k[i], e);
        if (rc || !k[i]->n_runs)
            continue;
        runs = xgrow(runs, &cap, n_runs + k[i]->n_runs, sizeof *runs);
        memcpy(runs + n_runs, k[i]->runs, k[i]->n_runs * sizeof *runs);
        n_runs += k[i]->n_runs;
        to = &k[i]->file;
    }
    if (!rc)
        rc = keymerge_runs(m, runs, n_runs, false, to, e);
    free(runs);
    return rc;
}

static int merge_tables(struct keymerge *m, struct keycount *const *k, size_t n,
                        struct err *e)
{
    struct keytab **tables = xcalloc(n + 1, sizeof *tables);
    int rc;

    for (size_t i = 0; i < n; i++) {
        tables[i] = &k[i]->table;
        keytab_sort(tables[i]);
    }
    rc = keymerge_tables(m, tables, n, e);
    free(tables);
    return rc;
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
    rc = spilled ? merge_runs(&m->merge, k, n, e)
                 : merge_tables(&m->merge, k, n, e);
    if (rc) {
        keycount_merge_close(m);
        m = NULL;
    }
    *out = m;
    return rc;
}

void keycount_merge_close(struct keycount_merge *m)
{
    if (m)
        keymerge_close(&m->merge);
    free(m);
}

int keycount_merge_next(struct keycount_merge *m, struct str *key,
                        uint64_t *sum, bool *more, struct err *e)
{
    return keymerge_next(&m->merge, key, sum, more, e);
}
