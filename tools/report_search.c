/* Queries of a run and their best pictures, by products of features. */
#include <stdlib.h>

#include "base/io.h"
#include "base/mem.h"
#include "tools/report_run.h"
#include "train/npy.h"

/* Lines of a text file; the last may lack its line feed. */
struct line_list {
    struct str *v;
    size_t n, cap;
};

static int read_lines(struct line_list *l, struct report_run *r,
                      const char *path, struct err *e)
{
    struct str all;
    struct buf b;
    size_t from = 0;
    int rc;

    buf_init(&b, REPORT_RUN_NPY_MAX);
    rc = io_read_file(path, &b, e);
    all = arena_str(&r->arena, buf_str(&b));
    if (!rc && all.n != b.n)
        rc = err_set(e, E_NOMEM, "%s", path);
    buf_release(&b);
    for (size_t i = 0; i <= all.n && !rc; i++) {
        if (i < all.n ? all.p[i] != '\n' : i == from)
            continue;
        if (l->n == REPORT_RUN_KEYS_MAX)
            return err_set(e, E_TOOBIG, "%s: too many lines", path);
        l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
        l->v[l->n++] = str_slice(all, from, i);
        from = i + 1;
    }
    return rc;
}

/* What is searched, and for what. */
struct search {
    struct npy pictures, queries; /* [n, dim] each */
    struct buf picture_bytes, query_bytes;
    struct line_list keys, texts, own;
    uint64_t dim;
};

static int read_features(struct npy *a, struct buf *b, const char *path,
                         struct err *e)
{
    int rc = io_read_file(path, b, e);

    if (!rc)
        rc = npy_parse(a, buf_str(b), path, e);
    if (!rc && a->dims != 2)
        rc = err_set(e, E_FORMAT, "%s: %d dimensions, not 2", path, a->dims);
    return rc;
}

static int belongs(const struct search *s, struct err *e)
{
    if (s->pictures.shape[1] != s->queries.shape[1])
        return err_set(e, E_FORMAT,
                       "pictures.npy has rows of %llu numbers, queries.npy "
                       "of %llu",
                       (unsigned long long)s->pictures.shape[1],
                       (unsigned long long)s->queries.shape[1]);
    if (s->pictures.shape[0] != s->keys.n)
        return err_set(e, E_FORMAT, "pictures.npy has %llu rows for %zu keys",
                       (unsigned long long)s->pictures.shape[0], s->keys.n);
    if (s->queries.shape[0] != s->texts.n)
        return err_set(e, E_FORMAT, "queries.npy has %llu rows for %zu texts",
                       (unsigned long long)s->queries.shape[0], s->texts.n);
    if (s->own.n && s->own.n != s->texts.n)
        return err_set(e, E_FORMAT, "queries.keys has %zu lines for %zu texts",
                       s->own.n, s->texts.n);
    return 0;
}

static int read_search(struct search *s, struct report_run *r,
                       const char *folder, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = io_join(path, folder, "queries.npy", e);

    if (!rc)
        rc = read_features(&s->queries, &s->query_bytes, path, e);
    if (!rc)
        rc = io_join(path, folder, "pictures.npy", e);
    if (!rc)
        rc = read_features(&s->pictures, &s->picture_bytes, path, e);
    if (!rc)
        rc = io_join(path, folder, "pictures.keys", e);
    if (!rc)
        rc = read_lines(&s->keys, r, path, e);
    if (!rc)
        rc = io_join(path, folder, "queries.txt", e);
    if (!rc)
        rc = read_lines(&s->texts, r, path, e);
    if (!rc)
        rc = io_join(path, folder, "queries.keys", e);
    if (!rc && io_exists(path))
        rc = read_lines(&s->own, r, path, e);
    return rc ? rc : belongs(s, e);
}

static double product(const struct search *s, size_t query, size_t picture)
{
    double sum = 0;

    for (uint64_t i = 0; i < s->dim; i++)
        sum += (double)npy_float(&s->queries, query * s->dim + i) *
               (double)npy_float(&s->pictures, picture * s->dim + i);
    return sum;
}

/* The hit moves up past those with smaller products: of equal ones the first
 * stays in front. */
static void insert(struct report_run_query *q, struct report_run_hit hit)
{
    size_t at = q->n;

    if (at == REPORT_RUN_BEST && hit.product <= q->hits[at - 1].product)
        return;
    if (at == REPORT_RUN_BEST)
        at--;
    else
        q->n++;
    for (; at && q->hits[at - 1].product < hit.product; at--)
        q->hits[at] = q->hits[at - 1];
    q->hits[at] = hit;
}

static void answer(const struct search *s, size_t number, double *products,
                   struct report_run_query *q)
{
    size_t own = s->keys.n;

    *q = (struct report_run_query){.text = s->texts.v[number]};
    if (number < s->own.n)
        q->own = s->own.v[number];
    for (size_t i = 0; i < s->keys.n; i++) {
        products[i] = product(s, number, i);
        insert(q, (struct report_run_hit){s->keys.v[i], products[i]});
        if (q->own.n && str_eq(s->keys.v[i], q->own))
            own = i;
    }
    if (own == s->keys.n)
        return;
    q->rank = 1;
    for (size_t i = 0; i < s->keys.n; i++)
        q->rank += products[i] > products[own] ||
                   (i < own && products[i] >= products[own]);
}

int report_run_search(struct report_run *r, const char *folder, struct err *e)
{
    struct search s = {.dim = 0};
    char path[IO_PATH_MAX];
    double *products;
    int rc = io_join(path, folder, "queries.npy", e);

    if (rc || !io_exists(path))
        return rc;
    buf_init(&s.query_bytes, REPORT_RUN_NPY_MAX);
    buf_init(&s.picture_bytes, REPORT_RUN_NPY_MAX);
    rc = read_search(&s, r, folder, e);
    if (!rc) {
        s.dim = s.pictures.shape[1];
        r->pictures = s.keys.n;
        r->n_queries =
            s.texts.n < REPORT_RUN_QUERIES ? s.texts.n : REPORT_RUN_QUERIES;
        products = xrealloc_array(NULL, s.keys.n + 1, sizeof *products);
        for (size_t i = 0; i < r->n_queries; i++)
            answer(&s, i, products, &r->queries[i]);
        free(products);
    }
    free(s.keys.v);
    free(s.texts.v);
    free(s.own.v);
    buf_release(&s.query_bytes);
    buf_release(&s.picture_bytes);
    return rc;
}
