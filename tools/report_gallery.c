/* The page of sample pictures. */
#include "base/log.h"
#include "base/url.h"
#include "tools/print.h"
#include "tools/report_page.h"
#include "tools/report_pictures.h"

#define CHIPS      8   /* queries shown of one picture */
#define TEXT_SHOWN 240 /* bytes of one text */

static void chip(struct page *p, const struct picture *v, size_t i)
{
    if (v->q[i] >= qlist_count(&p->list))
        return;
    buf_addf(p->b, "<span%s>", v->picked[i] ? " class=\"picked\"" : "");
    report_html_said(p->b, qlist_text(&p->list, v->q[i]), 40);
    report_html_add(p->b, "</span>");
}

/* Those that picked it first. */
static void chips(struct page *p, const struct picture *v)
{
    size_t shown = 0;

    report_html_add(p->b, "<div class=\"chips\">");
    for (int picked = 1; picked >= 0; picked--)
        for (size_t i = 0; i < v->n_q && shown < CHIPS; i++) {
            if (v->picked[i] != picked)
                continue;
            chip(p, v, i);
            shown++;
        }
    if (v->n_q > shown)
        buf_addf(p->b, "<span>and %s more</span>", print_n(v->n_q - shown));
    report_html_add(p->b, "</div>");
}

static void one_picture(struct page *p, const struct picture *v)
{
    struct buf *b = p->b;
    struct url_parts u = {.host = STR_NONE};

    (void)url_split(v->url, &u);
    report_html_add(b, "<li><figure><img src=\"");
    report_html_jpeg(b, v->jpeg);
    report_html_add(b, "\" alt=\"");
    report_html_attribute(b, v->n_texts ? v->texts[0] : STR_NONE, TEXT_SHOWN);
    buf_addf(b, "\" width=\"%llu\" height=\"%llu\" loading=\"lazy\">",
             (unsigned long long)v->width, (unsigned long long)v->height);
    report_html_add(b, "<figcaption>");
    for (size_t i = 0; i < v->n_texts && i < 2; i++) {
        report_html_add(b, i ? "<br>" : "");
        report_html_said(b, v->texts[i], TEXT_SHOWN);
    }
    if (v->texts_total > 2)
        buf_addf(b, "<br><span class=\"from\">and %s more texts</span>",
                 print_n(v->texts_total - 2));
    chips(p, v);
    report_html_add(b, "<span class=\"from\">");
    report_html_said(b, u.host, 60);
    report_html_add(b, ", sample ");
    report_html_text(b, v->key, 40);
    report_html_add(b, "</span></figcaption></figure></li>\n");
}

int page_pictures(struct page *p, struct err *e)
{
    struct pictures v;
    struct err inner = ERR_INIT;
    int rc;

    (void)e;
    page_heading(p, "pictures", "Pictures");
    rc = pictures_draw(&v, p->corpus, p->catalog, p->config->pictures,
                       REPORT_PICTURE_BYTES, REPORT_PICTURE_MAX, &inner);
    if (rc) {
        /* A damaged shard is verify's to name; the numbers still hold. */
        log_event("warning", "no pictures in the report: %s", inner.message);
        report_html_add(p->b,
                        "<p>The shards could not be read; <code>witmill "
                        "verify</code> says where they are damaged.</p>\n");
        return 0;
    }
    if (!v.n) {
        report_html_add(p->b, v.total
                                  ? "<p>No picture is small enough to be shown "
                                    "here.</p>\n"
                                  : "<p>Nothing has been packed yet.</p>\n");
    } else {
        buf_addf(p->b,
                 "<p class=\"soft\">%s of %s samples, drawn by hash from all "
                 "shards",
                 print_n(v.n), print_n(v.total));
        if (v.too_large)
            buf_addf(p->b,
                     "; %s more were drawn and are too large for this "
                     "page",
                     print_n(v.too_large));
        report_html_add(p->b,
                        ". Under each its text and the queries in it; those "
                        "that picked the pair stand first, in colour.</p>\n"
                        "<ul class=\"pictures\">\n");
        for (size_t i = 0; i < v.n; i++)
            one_picture(p, &v.v[i]);
        report_html_add(p->b, "</ul>\n");
    }
    pictures_release(&v);
    return 0;
}
