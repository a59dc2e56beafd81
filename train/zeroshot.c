#include "train/zeroshot.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/stream.h"

#define PROMPT_MAX ((size_t)1 << 20) /* bytes of a name in a template */

/* ---- names and templates ---- */

void zeroshot_lines_release(struct zeroshot_lines *l)
{
    free(l->v);
    buf_release(&l->bytes);
    *l = (struct zeroshot_lines){0};
}

void zeroshot_prompts_release(struct zeroshot_prompts *p)
{
    zeroshot_lines_release(&p->names);
    zeroshot_lines_release(&p->templates);
}

static int cut_lines(struct zeroshot_lines *l, struct str text, size_t most,
                     const char *place, struct err *e)
{
    size_t cap = 0;
    struct str rest, line;

    *l = (struct zeroshot_lines){0};
    if (text.n > ZEROSHOT_FILE_MAX)
        return err_set(e, E_TOOBIG, "%s: %zu bytes", place, text.n);
    buf_init(&l->bytes, ZEROSHOT_FILE_MAX);
    buf_add(&l->bytes, text);
    if (l->bytes.rc)
        return err_set(e, -l->bytes.rc, "%s", place);
    rest = buf_str(&l->bytes);
    while (str_split(&rest, '\n', &line)) {
        if (l->n == most)
            return err_set(e, E_TOOBIG, "%s: more than %zu lines", place, most);
        l->v = xgrow(l->v, &cap, l->n + 1, sizeof *l->v);
        l->v[l->n++] = str_trim(line);
    }
    while (l->n && !l->v[l->n - 1].n)
        l->n--;
    return l->n ? 0 : err_set(e, E_FORMAT, "%s: no line in it", place);
}

int zeroshot_names(struct zeroshot_lines *l, struct str text, const char *place,
                   struct err *e)
{
    int rc = cut_lines(l, text, ZEROSHOT_CLASSES_MAX, place, e);

    for (size_t i = 0; !rc && i < l->n; i++)
        if (!l->v[i].n)
            rc = err_set(e, E_FORMAT, "%s:%zu: an empty class name", place,
                         i + 1);
    if (rc)
        zeroshot_lines_release(l);
    return rc;
}

/* Where a template has room for a name, from `from` on: its offset, or
 * SIZE_MAX; *n: bytes of the mark. */
static size_t find_mark(struct str t, size_t from, size_t *n)
{
    size_t plain = str_find(t, STR("{}"), from);
    size_t c = str_find(t, STR("{c}"), from);

    *n = plain < c ? 2 : 3;
    return plain < c ? plain : c;
}

int zeroshot_templates(struct zeroshot_lines *l, struct str text,
                       const char *place, struct err *e)
{
    int rc = cut_lines(l, text, ZEROSHOT_TEMPLATES_MAX, place, e);
    size_t kept = 0, n;

    for (size_t i = 0; !rc && i < l->n; i++) {
        if (!l->v[i].n)
            continue;
        if (find_mark(l->v[i], 0, &n) == SIZE_MAX)
            rc = err_set(e, E_FORMAT,
                         "%s:%zu: no {} or {c} for the class's name", place,
                         i + 1);
        l->v[kept++] = l->v[i];
    }
    l->n = kept;
    if (rc)
        zeroshot_lines_release(l);
    return rc;
}

void zeroshot_prompt(struct str template, struct str name, struct buf *out)
{
    size_t at = 0, n, mark;

    while ((mark = find_mark(template, at, &n)) != SIZE_MAX) {
        buf_add(out, str_slice(template, at, mark));
        buf_add(out, name);
        at = mark + n;
    }
    buf_add(out, str_slice(template, at, template.n));
}

typedef int lines_fn(struct zeroshot_lines *l, struct str text,
                     const char *place, struct err *e);

static int read_file(struct zeroshot_lines *l, const char *path, lines_fn *fn,
                     struct err *e)
{
    struct stream *in;
    struct buf b;
    int rc = stream_open(&in, path, e);

    if (rc)
        return rc;
    buf_init(&b, ZEROSHOT_FILE_MAX);
    rc = stream_read_all(in, &b, e);
    if (!rc)
        rc = fn(l, buf_str(&b), path, e);
    buf_release(&b);
    stream_close(in);
    return rc;
}

int zeroshot_read(struct zeroshot_prompts *p, const char *names,
                  const char *templates, struct err *e)
{
    int rc;

    *p = (struct zeroshot_prompts){0};
    rc = read_file(&p->names, names, zeroshot_names, e);
    if (!rc)
        rc = templates
                 ? read_file(&p->templates, templates, zeroshot_templates, e)
                 : zeroshot_templates(&p->templates, STR(ZEROSHOT_TEMPLATE),
                                      "the template", e);
    if (rc)
        zeroshot_prompts_release(p);
    return rc;
}

/* ---- classifiers ---- */

/* A classifier being made: texts come in order, a class's behind each other. */
struct making {
    const struct zeroshot_prompts *p;
    struct encoder *n;
    float *rows, *features; /* [classes, dim], [batch, dim] */
    double *sum;            /* [dim] of the class under way */
    struct buf prompt;
};

static int finish_class(struct making *m, size_t class, struct err *e)
{
    size_t dim = (size_t)m->n->dim;
    double norm = 0;

    for (size_t i = 0; i < dim; i++)
        norm += m->sum[i] * m->sum[i];
    norm = m->n->words ? (double)m->p->templates.n : sqrt(norm);
    if (!(norm > 0) || !isfinite(norm))
        return err_set(e, E_RANGE, "class %zu: its texts have no direction",
                       class);
    for (size_t i = 0; i < dim; i++) {
        m->rows[class * dim + i] = (float)(m->sum[i] / norm);
        m->sum[i] = 0;
    }
    return 0;
}

/* Texts [from, from + count) of all. */
static int make_some(struct making *m, size_t from, int count, struct err *e)
{
    size_t each = m->p->templates.n, dim = (size_t)m->n->dim;
    int rc = 0;

    for (int i = 0; !rc && i < count; i++) {
        size_t at = from + (size_t)i;

        buf_clear(&m->prompt);
        zeroshot_prompt(m->p->templates.v[at % each], m->p->names.v[at / each],
                        &m->prompt);
        rc = m->prompt.rc
                 ? err_set(e, -m->prompt.rc, "class %zu: a text", at / each)
                 : encoder_put(m->n, i, buf_str(&m->prompt), e);
    }
    if (!rc)
        rc = encoder_texts(m->n, count, m->features, e);
    for (int i = 0; !rc && i < count; i++) {
        size_t at = from + (size_t)i;

        for (size_t k = 0; k < dim; k++)
            m->sum[k] += (double)m->features[(size_t)i * dim + k];
        if (at % each == each - 1)
            rc = finish_class(m, at / each, e);
    }
    return rc;
}

int zeroshot_classifier(const struct zeroshot_prompts *p, struct encoder *n,
                        float **rows, struct err *e)
{
    size_t dim = (size_t)n->dim, batch = (size_t)n->batch;
    size_t all = p->names.n * p->templates.n;
    struct making m = {.p = p, .n = n};
    int rc = 0;

    buf_init(&m.prompt, PROMPT_MAX);
    m.rows = malloc(p->names.n * dim * sizeof *m.rows);
    m.features = malloc(batch * dim * sizeof *m.features);
    m.sum = calloc(dim, sizeof *m.sum);
    if (!m.rows || !m.features || !m.sum)
        rc = err_set(e, E_NOMEM, "no room for %zu classes", p->names.n);
    for (size_t at = 0; !rc && at < all; at += batch)
        rc = make_some(&m, at, (int)(all - at < batch ? all - at : batch), e);
    buf_release(&m.prompt);
    free(m.features);
    free(m.sum);
    if (rc)
        free(m.rows);
    *rows = rc ? NULL : m.rows;
    return rc;
}

/* ---- scores ---- */

void zeroshot_score_init(struct zeroshot_score *s, size_t classes)
{
    *s = (struct zeroshot_score){.classes = classes};
    s->of = xcalloc(classes, sizeof *s->of);
}

void zeroshot_score_release(struct zeroshot_score *s)
{
    free(s->of);
    *s = (struct zeroshot_score){0};
}

void zeroshot_score_add(struct zeroshot_score *s, const float *scores,
                        uint64_t label)
{
    size_t before = 0, best = 0;

    assert(label < s->classes);
    for (size_t i = 0; i < s->classes; i++) {
        before += scores[i] > scores[label] ||
                  (scores[i] == scores[label] && i < label);
        if (scores[i] > scores[best])
            best = i;
    }
    s->images++;
    s->right += before < 1;
    s->top5 += before < 5;
    s->of[label].images++;
    s->of[label].right += before < 1;
    s->of[label].top5 += before < 5;
    s->of[best].told++;
}

double zeroshot_recall(const struct zeroshot_score *s)
{
    double sum = 0;
    uint64_t n = 0;

    for (size_t i = 0; i < s->classes; i++)
        if (s->of[i].images) {
            sum += (double)s->of[i].right / (double)s->of[i].images;
            n++;
        }
    return n ? sum / (double)n : 0;
}
