/* The section about a model that was trained. */
#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "tools/print.h"
#include "tools/report_page.h"
#include "tools/report_pictures.h"
#include "tools/report_run.h"

#define CLASSES    40 /* rows of the table */
#define TEXT_SHOWN 120

static const char *const ks[REPORT_RUN_KS] = {"R@1", "R@5", "R@10"};
static const unsigned depth[REPORT_RUN_KS] = {1, 5, 10};

static void share_cell(struct buf *b, double share)
{
    buf_addf(b, "<td class=\"n\">%.1f%%</td>", 100 * share);
}

static void head_cell(struct buf *b, const char *text)
{
    buf_addf(b, "<th scope=\"col\" class=\"n\">%s</th>", text);
}

/* ---- the curve ---- */

static void curve(struct page *p, const struct report_run *r)
{
    double guess = r->infonce && r->batch > 1 ? log((double)r->batch) : 0;

    buf_addf(p->b, "<p>Trained for %s steps of %s pairs", print_n(r->steps),
             print_n(r->batch));
    if (r->epochs > 0)
        buf_addf(p->b, ", which saw every pair about %.*f times",
                 r->epochs < 9.95, r->epochs);
    report_html_add(p->b, ".");
    if (isfinite(report_run_last(r)))
        buf_addf(p->b, " The loss was %.2f over the last tenth of them",
                 report_run_last(r));
    if (guess > 0)
        buf_addf(p->b,
                 "; to guess which of %s texts belongs to a picture has %.2f",
                 print_n(r->batch), guess);
    report_html_add(p->b, ".</p>\n");
    report_html_loss(p->b, r->losses, r->n, guess);
}

/* ---- retrieval ---- */

static void retrieval_row(struct buf *b, const char *label,
                          const double share[REPORT_RUN_KS])
{
    buf_addf(b, "<tr><th scope=\"row\">%s</th>", label);
    for (int i = 0; i < REPORT_RUN_KS; i++)
        share_cell(b, share[i]);
    report_html_add(b, "</tr>\n");
}

/* Guessing finds a picture among k of n with k / n; of a picture's texts one,
 * very nearly, with the same: there are as many times more of them. */
static void retrieval(struct page *p, const struct report_run_retrieval *v)
{
    double chance[REPORT_RUN_KS];

    for (int i = 0; i < REPORT_RUN_KS; i++)
        chance[i] =
            v->images > depth[i] ? (double)depth[i] / (double)v->images : 1;
    report_html_add(p->b, "<h3>Retrieval</h3>\n");
    buf_addf(p->b,
             "<div class=\"wide\"><table><caption>How often the right one is "
             "among the first 1, 5 and 10, of %s pictures and their %s "
             "texts.</caption><thead><tr><th scope=\"col\"></th>",
             print_n(v->images), print_n(v->texts));
    for (int i = 0; i < REPORT_RUN_KS; i++)
        head_cell(p->b, ks[i]);
    report_html_add(p->b, "</tr></thead><tbody>\n");
    retrieval_row(p->b, "a text of the picture", v->to_text);
    retrieval_row(p->b, "the picture of a text", v->to_picture);
    retrieval_row(p->b, "chance, about", chance);
    report_html_add(p->b, "</tbody></table></div>\n");
}

/* ---- zero-shot ---- */

static void zeroshot_row(struct buf *b, const char *label, double share)
{
    buf_addf(b, "<tr><th scope=\"row\">%s</th>", label);
    share_cell(b, share);
    report_html_add(b, "</tr>\n");
}

static void classes(struct page *p, const struct report_run_zeroshot *z)
{
    report_html_add(p->b, "<div class=\"wide\"><table><caption>The classes."
                          "</caption><thead><tr><th scope=\"col\">class</th>");
    head_cell(p->b, "pictures");
    head_cell(p->b, "told right");
    report_html_add(p->b, "</tr></thead><tbody>\n");
    for (size_t i = 0; i < z->n; i++) {
        report_html_add(p->b, "<tr><th scope=\"row\">");
        report_html_said(p->b, z->classes[i].name, 80);
        buf_addf(p->b, "</th><td class=\"n\">%s</td><td class=\"n\">%s</td>",
                 print_n(z->classes[i].images), print_n(z->classes[i].right));
        report_html_add(p->b, "</tr>\n");
    }
    report_html_add(p->b, "</tbody></table></div>\n");
}

static void zeroshot(struct page *p, const struct report_run_zeroshot *z)
{
    uint64_t most = 0;

    for (size_t i = 0; i < z->n; i++)
        most = z->classes[i].images > most ? z->classes[i].images : most;
    report_html_add(p->b, "<h3>Zero-shot classification</h3>\n");
    buf_addf(p->b,
             "<div class=\"wide\"><table><caption>%s pictures told apart by "
             "the names of %s classes, for which the model was not "
             "trained.</caption><tbody>\n",
             print_n(z->images), print_n(z->n));
    zeroshot_row(p->b, "right", z->top1);
    zeroshot_row(p->b, "mean of the classes", z->recall);
    if (z->n && z->images) {
        zeroshot_row(p->b, "chance, and of the mean", 1 / (double)z->n);
        zeroshot_row(p->b, "always the largest class",
                     (double)most / (double)z->images);
    }
    report_html_add(p->b, "</tbody></table></div>\n");
    if (z->n && z->n <= CLASSES)
        classes(p, z);
}

/* ---- queries and their best pictures ---- */

static void one_hit(struct page *p, const struct report_run_query *q,
                    const struct report_run_hit *hit, const struct picture *v)
{
    struct buf *b = p->b;
    bool own = q->own.n && str_eq(hit->key, q->own);

    buf_addf(b, "<li%s><figure>", own ? " class=\"own\"" : "");
    if (v && v->jpeg.n) {
        report_html_add(b, "<img src=\"");
        report_html_jpeg(b, v->jpeg);
        report_html_add(b, "\" alt=\"");
        report_html_attribute(b, v->n_texts ? v->texts[0] : STR_NONE,
                              TEXT_SHOWN);
        report_html_add(b, "\" loading=\"lazy\">");
    }
    report_html_add(b, "<figcaption>");
    if (v && v->n_texts)
        report_html_said(b, v->texts[0], TEXT_SHOWN);
    buf_addf(b, "<br><span class=\"from\">%s%.2f, sample ",
             own ? "its own, " : "", hit->product);
    report_html_text(b, hit->key, 40);
    report_html_add(b, "</span></figcaption></figure></li>\n");
}

static void one_query(struct page *p, const struct report_run *r,
                      const struct report_run_query *q,
                      const struct picture *found)
{
    report_html_add(p->b, "<h4>");
    report_html_said(p->b, q->text, 2 * TEXT_SHOWN);
    report_html_add(p->b, "</h4>\n");
    if (q->rank)
        buf_addf(p->b,
                 "<p class=\"soft\">Its own picture is number %s of %s.</p>\n",
                 print_n(q->rank), print_n(r->pictures));
    report_html_add(p->b, "<ul class=\"pictures found\">\n");
    for (size_t i = 0; i < q->n; i++)
        one_hit(p, q, &q->hits[i], found ? &found[i] : NULL);
    report_html_add(p->b, "</ul>\n");
}

static void queries(struct page *p, const struct report_run *r)
{
    struct str keys[REPORT_RUN_QUERIES * REPORT_RUN_BEST];
    struct err inner = ERR_INIT;
    struct pictures found = {.n = 0};
    size_t n = 0, at = 0;

    for (size_t i = 0; i < r->n_queries; i++)
        for (size_t k = 0; k < r->queries[i].n; k++)
            keys[n++] = r->queries[i].hits[k].key;
    /* As of all pictures: a damaged shard is verify's to name. */
    if (pictures_find(&found, p->corpus, p->catalog, keys, n,
                      REPORT_FOUND_BYTES, REPORT_PICTURE_MAX, &inner))
        log_event("warning", "no found pictures in the report: %s",
                  inner.message);
    report_html_add(p->b, "<h3>Texts and the pictures found for them</h3>\n");
    buf_addf(p->b,
             "<p class=\"soft\">Of %s pictures those nearest to each text, the "
             "nearest first, with the cosine of both.</p>\n",
             print_n(r->pictures));
    for (size_t i = 0; i < r->n_queries; i++) {
        one_query(p, r, &r->queries[i], found.n ? &found.v[at] : NULL);
        at += r->queries[i].n;
    }
    pictures_release(&found);
}

int page_model(struct page *p, struct err *e)
{
    struct report_run r;
    int rc = report_run_read(&r, p->config->model, e);

    if (rc)
        return rc;
    page_heading(p, "model", "Model");
    curve(p, &r);
    /* 400 million pairs, 32 times: the paper, section 2.5. */
    buf_addf(p->b,
             "<p class=\"soft\">It saw %s pairs in all; the published models "
             "saw 12,800,000,000. What it learned is to be read beside "
             "chance.</p>\n",
             print_n(r.samples));
    if (r.retrieval.known)
        retrieval(p, &r.retrieval);
    if (r.zeroshot.known)
        zeroshot(p, &r.zeroshot);
    if (r.n_queries)
        queries(p, &r);
    report_run_release(&r);
    return 0;
}
