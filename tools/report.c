#include "tools/report.h"

#include <stdio.h>

#include "base/embed.h"
#include "tools/coverage.h"
#include "tools/print.h"
#include "tools/report_page.h"

EMBED_TEXT(report_css, "tools/report.css");

void page_heading(struct page *p, const char *id, const char *title)
{
    buf_addf(p->b, "\n<h2 id=\"%s\">%s</h2>\n", id, title);
}

/* Nothing may be fetched and nothing may run: the page holds strangers'
 * texts, and this holds even if one should slip through the escaping. */
static void head(struct page *p)
{
    struct buf *b = p->b;

    report_html_add(
        b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
           "<meta charset=\"utf-8\">\n"
           "<meta http-equiv=\"Content-Security-Policy\" content=\""
           "default-src 'none'; img-src data:; style-src "
           "'unsafe-inline'\">\n"
           "<meta name=\"viewport\" content=\"width=device-width, "
           "initial-scale=1\">\n"
           "<meta name=\"color-scheme\" content=\"light dark\">\n"
           "<meta name=\"referrer\" content=\"no-referrer\">\n<title>");
    report_html_text(b, str_of(p->config->title), 0);
    report_html_add(b, "</title>\n<style>\n");
    report_html_add(b, report_css);
    report_html_add(b, "</style>\n</head>\n<body>\n<header>\n<h1>");
    report_html_text(b, str_of(p->config->title), 0);
    report_html_add(
        b, "</h1>\n<p class=\"soft\">Pictures with the texts that speak "
           "of them, found on web pages, chosen so that each query of a "
           "list brings at most a fixed number of pairs. Made by "
           "witmill.</p>\n<nav aria-label=\"Sections\"><ul>\n");
    report_html_add(b, "<li><a href=\"#funnel\">Funnel</a></li>"
                       "<li><a href=\"#coverage\">Coverage</a></li>"
                       "<li><a href=\"#queries\">Queries</a></li>"
                       "<li><a href=\"#drops\">Drops</a></li>"
                       "<li><a href=\"#hosts\">Hosts</a></li>"
                       "<li><a href=\"#measures\">Sizes and lengths</a></li>");
    if (p->config->model)
        report_html_add(b, "<li><a href=\"#model\">Model</a></li>");
    report_html_add(b, "<li><a href=\"#pictures\">Pictures</a></li>\n"
                       "</ul></nav>\n</header>\n<main>\n");
}

static void fact(struct page *p, const char *label, const char *value)
{
    buf_addf(p->b, "<div><dt>%s</dt><dd>", label);
    report_html_text(p->b, str_of(value), 0);
    report_html_add(p->b, "</dd></div>\n");
}

static void step_fact(struct page *p, const char *label, const char *row)
{
    const struct funnel_row *r = funnel_find(&p->funnel, row);

    if (r)
        fact(p, label, print_n(r->n));
}

static void facts(struct page *p)
{
    const struct corpus_header *h = &p->corpus->head;
    char seed[24];

    report_html_add(p->b, "<dl class=\"facts\">\n");
    step_fact(p, "samples in shards", "samples");
    if (p->packed.known)
        fact(p, "queries with a packed pair",
             print_n(p->packed.groups - p->packed.zero));
    if (p->found.known)
        fact(p, "queries found in a text",
             print_n(p->found.groups - p->found.zero));
    fact(p, "entries in the query list", print_n(p->found.entries));
    step_fact(p, "distinct pairs matched", "unique");
    step_fact(p, "pages read", "pages");
    if (p->selected.known)
        fact(p, "cap of a query's picks", print_n(p->cap));
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)h->seed);
    fact(p, "seed of all draws", seed);
    fact(p, "matching policy", query_policy_names[h->policy]);
    report_html_add(p->b, "</dl>\n");
}

static void funnel(struct page *p)
{
    struct report_html_bar bars[FUNNEL_MAX];

    page_heading(p, "funnel", "Funnel");
    if (!p->funnel.n) {
        report_html_add(p->b, "<p>No stage has run yet.</p>\n");
        return;
    }
    for (size_t i = 0; i < p->funnel.n; i++) {
        const struct funnel_row *r = &p->funnel.rows[i];

        bars[i] = (struct report_html_bar){str_of(r->label), r->n,
                                           str_of(r->what), "one"};
    }
    report_html_bars(p->b, "What each step of the chain left.", "step",
                     "number", bars, p->funnel.n);
}

static void drops(struct page *p)
{
    const struct funnel *f = &p->funnel;

    page_heading(p, "drops", "Drops by reason");
    if (!f->n_drops)
        report_html_add(p->b, "<p>Nothing was dropped.</p>\n");
    for (size_t i = 0, next; i < f->n_drops; i = next) {
        struct report_html_bar bars[FUNNEL_REASONS];
        char caption[64];

        for (next = i; next < f->n_drops && next - i < FUNNEL_REASONS &&
                       !strcmp(f->drops[next].stage, f->drops[i].stage);
             next++)
            bars[next - i] =
                (struct report_html_bar){str_of(f->drops[next].reason),
                                         f->drops[next].n, STR_NONE, "two"};
        snprintf(caption, sizeof caption, "Left out by <b>%s</b>.",
                 f->drops[i].stage);
        report_html_bars(p->b, caption, NULL, NULL, bars, next - i);
    }
}

static int sections(struct page *p, struct err *e)
{
    int rc;

    head(p);
    facts(p);
    funnel(p);
    rc = page_coverage(p, e);
    if (!rc)
        rc = page_queries(p, e);
    drops(p);
    if (!rc)
        rc = page_hosts(p, e);
    if (!rc)
        rc = page_measures(p, e);
    if (!rc && p->config->model)
        rc = page_model(p, e);
    if (!rc)
        rc = page_pictures(p, e);
    report_html_add(p->b, "</main>\n</body>\n</html>\n");
    if (!rc && p->b->rc)
        rc = err_set(e, -p->b->rc, "report.html: %s", err_name(p->b->rc));
    return rc;
}

int report_render(const struct corpus *c, const struct report_config *config,
                  struct catalog *catalog, struct buf *b, struct err *e)
{
    struct page p = {.corpus = c, .config = config, .catalog = catalog, .b = b};
    char path[IO_PATH_MAX];
    int rc = corpus_path(c, QLIST_FILE, path, e);

    if (!rc)
        rc = qlist_open(&p.list, path, e);
    if (rc)
        return rc;
    p.cap = coverage_fact(catalog, "cap", COVERAGE_CAP);
    rc = funnel_read(&p.funnel, catalog, e);
    if (!rc)
        rc = ask_spread(catalog, "gather", p.cap, &p.found, e);
    if (!rc)
        rc = ask_spread(catalog, "balance", p.cap, &p.selected, e);
    if (!rc)
        rc = ask_spread(catalog, "pack", p.cap, &p.packed, e);
    if (!rc)
        rc = sections(&p, e);
    funnel_release(&p.funnel);
    qlist_close(&p.list);
    return rc;
}

int report_run(const struct corpus *c, const struct report_config *config,
               struct err *e)
{
    struct catalog catalog = CATALOG_INIT;
    char path[IO_PATH_MAX];
    struct buf b;
    int rc = corpus_path(c, "report.html", path, e);

    if (!rc)
        rc = catalog_open(&catalog, c->dir, DB_READ, e);
    if (rc)
        return rc;
    buf_init(&b, REPORT_MAX + 2 * (REPORT_PICTURE_BYTES + REPORT_FOUND_BYTES));
    rc = report_render(c, config, &catalog, &b, e);
    if (!rc)
        rc = io_write_file(config->out ? config->out : path, buf_str(&b), e);
    buf_release(&b);
    catalog_close(&catalog);
    return rc;
}
