/* The texts of a URL: where they were found, what they match, the draws. */
#include "tools/explain.h"

#include <stdlib.h>

#include "base/pair.h"
#include "base/stage.h"
#include "base/url.h"
#include "filter/caps.h"
#include "filter/counts.h"
#include "filter/draw.h"
#include "querylist/qlist.h"
#include "tools/explain_private.h"
#include "tools/print.h"

#define LINE_ARENA ((size_t)64 << 20)

struct texts {
    struct explain x; /* first: callbacks get it back by its address */
    struct qlist list;
    struct counts counts;
    bool counted;
    struct caps caps[SELECTED_ROUNDS_MAX];
    unsigned rounds;
    unsigned round; /* of the file being read */
    unsigned n;     /* texts printed */
    bool against;   /* a text of it was left out for an evaluation set */
};

int explain_order(const struct explain *x, struct str url)
{
    uint64_t h = corpus_url_hash(x->corpus, url);

    if (h != x->h)
        return h < x->h ? -1 : 1;
    return str_cmp(url, x->url);
}

int explain_lines(struct explain *x, const char *name, explain_line_fn fn,
                  bool *there, struct err *e)
{
    char path[IO_PATH_MAX];
    struct jsonl_reader r;
    struct arena a;
    struct str line;
    int order = -1;
    bool more = true;
    int rc = corpus_path(x->corpus, name, path, e);

    *there = !rc && io_exists(path);
    if (rc || !*there)
        return rc;
    rc = jsonl_open(&r, path, e);
    if (rc)
        return rc;
    arena_init(&a, LINE_ARENA);
    while (!rc && order <= 0 && !(rc = jsonl_next(&r, &line, &more, e)) &&
           more) {
        arena_reset(&a);
        rc = fn(x, line, &a, &order, e);
        if (rc)
            rc = err_wrap(e, rc, "%s:%llu", path, (unsigned long long)r.line);
    }
    arena_release(&a);
    jsonl_close(&r);
    return rc;
}

static void print_found(struct explain *x, const struct pair *p)
{
    FILE *out = x->out;

    fprintf(out, "  ");
    print_safe(out, p->text, 0);
    fprintf(out, "\n    %.*s", STR_ARG(p->from));
    if (p->page.n) {
        fprintf(out, " on ");
        print_safe(out, p->page, 0);
    }
    fprintf(out, ", read from ");
    print_safe(out, p->origin, 0);
    fprintf(out, "\n");
}

/* ---- unique/: matches and draws ---- */

static void print_draws(struct texts *t, const struct pair *p)
{
    const struct caps *last = t->rounds ? &t->caps[t->rounds - 1] : NULL;
    FILE *out = t->x.out;

    for (uint32_t i = 0; i < p->n_q; i++) {
        uint32_t q = p->q[i];
        struct str norm;
        uint64_t c, d;

        if (q >= t->x.corpus->head.n_queries)
            continue;
        norm = qlist_norm(&t->list, q);
        c = last ? last->c[q] : t->counted ? t->counts.c[q] : UINT64_MAX;
        fprintf(out, "    matches \"");
        print_safe(out, norm, 60);
        fprintf(out, "\", c %s", print_n(c));
        if (last) {
            d = caps_draw(last, q,
                          draw_hash(t->x.corpus->head.seed, p->uid, norm),
                          p->uid);
            fprintf(out, ": %s %s, cap %s, %s", last->exact ? "rank" : "draw",
                    print_n(d), print_n(last->t[q]),
                    d < last->t[q] ? "picked" : "not picked");
        }
        fprintf(out, "\n");
    }
}

static int unique_line(struct explain *x, struct str line, struct arena *a,
                       int *order, struct err *e)
{
    struct texts *t = (struct texts *)x;
    char uid[2 * MD5_SIZE + 1];
    struct pair p;
    int rc = pair_read(line, a, &p, e);

    if (rc)
        return rc;
    *order = explain_order(x, p.url);
    if (*order)
        return 0;
    if (!x->met)
        fprintf(x->out, "\ntexts\n");
    x->met = true;
    t->n++;
    print_found(x, &p);
    hash_hex(p.uid, MD5_SIZE, uid);
    fprintf(x->out, "    uid %s\n", uid);
    print_draws(t, &p);
    return 0;
}

/* ---- unique/: what an evaluation set has ---- */

static int against_line(struct explain *x, struct str line, struct arena *a,
                        int *order, struct err *e)
{
    struct texts *t = (struct texts *)x;
    struct str name, text = STR_NONE, why = STR_NONE, by = STR_NONE;
    struct json j;
    int rc;

    *order = -1;
    json_open(&j, line, a);
    json_object(&j);
    while (json_member(&j, &name)) {
        struct str value = STR_NONE;

        if (json_peek(&j) == JSON_STRING)
            value = json_string(&j);
        else
            json_skip(&j);
        if (str_eq(name, STR("url")))
            *order = explain_order(x, value);
        else if (str_eq(name, STR("text")))
            text = value;
        else if (str_eq(name, STR("why")))
            why = value;
        else if (str_eq(name, STR("by")))
            by = value;
    }
    rc = json_close(&j, e);
    if (rc || *order)
        return rc;
    if (!t->against)
        fprintf(x->out, "\nleft out by gather\n");
    t->against = true;
    x->met = true;
    fprintf(x->out, "  ");
    print_safe(x->out, text, 60);
    fprintf(x->out, "\n    its %s is in an evaluation set: ",
            str_eq(why, STR("against-url")) ? "URL" : "text");
    print_safe(x->out, by, 0);
    fprintf(x->out, "\n");
    return 0;
}

/* ---- selected/ ---- */

static int selected_line(struct explain *x, struct str line, struct arena *a,
                         int *order, struct err *e)
{
    struct texts *t = (struct texts *)x;
    struct pair p;
    int rc = pair_read(line, a, &p, e);

    if (rc)
        return rc;
    *order = explain_order(x, p.url);
    if (*order)
        return 0;
    if (!x->selected)
        fprintf(x->out, "\nselected\n");
    x->selected = true;
    fprintf(x->out, "  round %u: ", t->round);
    print_safe(x->out, p.text, 60);
    fprintf(x->out, "\n    s %s, picked then by", print_n(p.s));
    for (uint32_t i = 0; i < p.n_keep; i++) {
        fprintf(x->out, "%s \"", i ? "," : "");
        if (p.keep[i] < x->corpus->head.n_queries)
            print_safe(x->out, qlist_norm(&t->list, p.keep[i]), 60);
        fprintf(x->out, "\"");
    }
    fprintf(x->out, "\n");
    return 0;
}

static int explain_selected(struct texts *t, struct err *e)
{
    int rc = 0;

    for (t->round = 0; t->round < t->rounds && !rc; t->round++) {
        char name[80];
        bool there;

        snprintf(name, sizeof name, "selected/round-%u/bucket-%04u.jsonl.zst",
                 t->round, t->x.bucket);
        rc = explain_lines(&t->x, name, selected_line, &there, e);
    }
    if (!rc && !t->x.selected && t->n)
        fprintf(t->x.out, "\nselected\n  %s\n",
                t->rounds ? "no: no query drew it below its cap"
                          : "balance has not run yet");
    return rc;
}

/* ---- pairs/: everything, unsorted ---- */

static int scan_part(struct explain *x, const char *path, struct err *e)
{
    struct jsonl_reader r;
    struct arena a;
    struct str line;
    bool more = true;
    int rc = jsonl_open(&r, path, e);

    if (rc)
        return rc;
    arena_init(&a, LINE_ARENA);
    while (!rc && !(rc = jsonl_next(&r, &line, &more, e)) && more) {
        struct pair p;

        /* Cheap first: the URL's bytes stand in the line unescaped, for the
         * canonical form has neither quotes nor backslashes. */
        if (str_find(line, x->url, 0) == SIZE_MAX)
            continue;
        arena_reset(&a);
        rc = pair_read(line, &a, &p, e);
        if (rc || !str_eq(p.url, x->url))
            continue;
        x->met = true;
        print_found(x, &p);
    }
    arena_release(&a);
    jsonl_close(&r);
    return rc;
}

static int scan_batch(struct explain *x, const char *folder, struct err *e)
{
    struct io_list parts;
    int rc = sidecar_list(x->corpus, folder, &parts, e);

    for (size_t i = 0; !rc && i < parts.n; i++) {
        char name[STAGE_NAME_MAX * 2], path[IO_PATH_MAX];

        snprintf(name, sizeof name, "%s/%s.jsonl.zst", folder, parts.names[i]);
        rc = corpus_path(x->corpus, name, path, e);
        if (!rc && io_exists(path))
            rc = scan_part(x, path, e);
    }
    if (!rc)
        io_list_release(&parts);
    return rc;
}

static int explain_pairs(struct explain *x, struct err *e)
{
    char path[IO_PATH_MAX];
    struct err none = ERR_INIT;
    struct io_list batches;
    int rc = corpus_path(x->corpus, "pairs", path, e);

    if (rc)
        return rc;
    rc = io_list(path, &batches, &none);
    if (rc)
        return rc == -E_NOTFOUND ? 0 : err_set(e, -rc, "%s", none.message);
    fprintf(x->out, "\nplaces in pairs/\n");
    for (size_t i = 0; i < batches.n && !rc; i++) {
        char folder[STAGE_NAME_MAX];

        snprintf(folder, sizeof folder, "pairs/%s", batches.names[i]);
        rc = scan_batch(x, folder, e);
    }
    io_list_release(&batches);
    if (!rc && !x->met)
        fprintf(x->out, "  none\n");
    return rc;
}

/* ---- the whole ---- */

static int open_texts(struct texts *t, struct err *e)
{
    struct err none = ERR_INIT;
    char path[IO_PATH_MAX];
    int rc = corpus_path(t->x.corpus, QLIST_FILE, path, e);

    if (!rc)
        rc = qlist_open(&t->list, path, e);
    if (rc)
        return rc;
    t->counted = counts_open(&t->counts, t->x.corpus, &none) == 0 &&
                 t->counts.n == t->x.corpus->head.n_queries;
    while (t->rounds < SELECTED_ROUNDS_MAX) {
        struct caps *k = &t->caps[t->rounds];

        none.code = 0;
        rc = caps_open(k, t->x.corpus, t->rounds, &none);
        if (rc == -E_NOTFOUND)
            return 0;
        if (!rc && k->n != t->x.corpus->head.n_queries) {
            caps_close(k);
            return err_set(e, E_STALE, "selected/ is of another query list");
        }
        if (rc)
            return err_set(e, -rc, "%s", none.message);
        t->rounds++;
    }
    return 0;
}

static int explain_all(struct texts *t, bool everywhere, struct err *e)
{
    struct explain *x = &t->x;
    char name[80];
    bool there, known, listed;
    int rc;

    snprintf(name, sizeof name, "unique/bucket-%04u.jsonl.zst", x->bucket);
    rc = explain_lines(x, name, unique_line, &there, e);
    snprintf(name, sizeof name, "unique/bucket-%04u.against.jsonl.zst",
             x->bucket);
    if (!rc)
        rc = explain_lines(x, name, against_line, &listed, e);
    if (!rc)
        rc = explain_selected(t, e);
    if (!rc)
        rc = explain_download(x, e);
    if (!rc)
        rc = explain_place(x, e);
    known = x->met;
    if (!rc && (everywhere || !known))
        rc = explain_pairs(x, e);
    if (!rc && !known && x->met)
        fprintf(x->out, "\nunique\n  %s\n",
                there ? "no: match dropped all of its texts, by a text rule "
                        "or because no query is in them"
                      : "match and gather have not run yet");
    return rc;
}

int explain_url(const struct corpus *c, const struct explain_config *config,
                FILE *out, struct err *e)
{
    struct texts *t = calloc(1, sizeof *t);
    struct buf url;
    enum url_reason reason;
    int rc;

    if (!t)
        return err_set(e, E_NOMEM, "explain");
    buf_init(&url, URL_MAX * 4);
    reason = url_resolve(STR_NONE, str_of(config->url), &url);
    if (reason != URL_OK) {
        free(t);
        buf_release(&url);
        return err_set(e, E_USAGE, "%.200s: no URL of a picture (%s)",
                       config->url, url_reason_name(reason));
    }
    t->x = (struct explain){.corpus = c, .out = out, .url = buf_str(&url)};
    t->x.h = corpus_url_hash(c, t->x.url);
    t->x.bucket = corpus_bucket(c, t->x.h);
    fprintf(out, "%.*s\n  H %016llx, bucket %04u\n", STR_ARG(t->x.url),
            (unsigned long long)t->x.h, t->x.bucket);
    rc = open_texts(t, e);
    if (!rc)
        rc = explain_all(t, config->everywhere, e);
    if (!rc && !t->x.met) {
        fprintf(out, "  this corpus has never met it\n");
        rc = -E_NEGATIVE;
    }
    for (unsigned i = 0; i < t->rounds; i++)
        caps_close(&t->caps[i]);
    counts_release(&t->counts);
    qlist_close(&t->list);
    buf_release(&url);
    free(t);
    return rc;
}
