/* Curve, tables of queries, hosts, histograms. */
#include <stdio.h>
#include <stdlib.h>

#include "tools/print.h"
#include "tools/report_page.h"

/* ---- coverage ---- */

static void spread_row(struct page *p, const char *label,
                       const struct ask_spread *s)
{
    uint64_t sum = s->tail_sum + s->head_sum;

    if (!s->known)
        return;
    buf_addf(p->b,
             "<tr><th scope=\"row\">%s</th><td class=\"n\">%s</td><td "
             "class=\"n\">%s</td><td class=\"n\">%s</td><td "
             "class=\"n\">%s</td></tr>\n",
             label, print_n(s->zero), print_n(s->tail), print_n(s->head),
             print_share(s->head_sum, sum));
}

static void spreads(struct page *p)
{
    buf_addf(p->b,
             "<div class=\"wide\"><table><caption>Queries (groups of entries "
             "with the same "
             "words) by the number of pairs that contain them, and the share "
             "of those pairs that the head holds.</caption><thead><tr><th "
             "scope=\"col\"></th><th scope=\"col\" class=\"n\">zero</th><th "
             "scope=\"col\" class=\"n\">up to %s</th><th scope=\"col\" "
             "class=\"n\">above %s</th><th scope=\"col\" class=\"n\">head "
             "holds</th></tr></thead><tbody>\n",
             print_n(p->cap), print_n(p->cap));
    spread_row(p, "found", &p->found);
    spread_row(p, "selected", &p->selected);
    spread_row(p, "packed", &p->packed);
    report_html_add(p->b, "</tbody></table></div>\n");
    if (p->selected.known)
        buf_addf(p->b,
                 "<p class=\"soft\">Picks in all: %s, most of one query: %s. "
                 "A pair is picked by some of the queries it contains; a "
                 "common word is contained in many pairs that others "
                 "picked.</p>\n",
                 print_n(p->selected.picks), print_n(p->selected.most_picks));
}

int page_coverage(struct page *p, struct err *e)
{
    static const struct {
        const char *stage, *name, *colour;
    } curves[] = {{"gather", "found, before balancing", "one"},
                  {"balance", "selected, after balancing", "two"},
                  {"pack", "packed", "three"}};
    struct report_html_curve v[3];
    uint64_t *numbers[3] = {NULL, NULL, NULL};
    int rc = 0;

    page_heading(p, "coverage", "Coverage");
    if (!p->found.known) {
        report_html_add(p->b,
                        "<p>Nothing has been matched and gathered yet.</p>\n");
        return 0;
    }
    for (size_t i = 0; i < 3 && !rc; i++) {
        v[i] = (struct report_html_curve){.name = curves[i].name,
                                          .colour = curves[i].colour};
        rc = ask_curve(p->catalog, curves[i].stage, &numbers[i], &v[i].n, e);
        v[i].v = numbers[i];
    }
    if (!rc) {
        report_html_add(p->b,
                        "<p>Pairs that contain each query. Balancing cuts the "
                        "few queries that are everywhere and leaves the many "
                        "rare ones as they are.</p>\n");
        report_html_curves(p->b, v, 3, p->selected.known ? p->cap : 0);
        spreads(p);
    }
    for (size_t i = 0; i < 3; i++)
        free(numbers[i]);
    return rc;
}

/* ---- head, tail, zero ---- */

static void cell(struct buf *b, uint64_t n)
{
    buf_addf(b, "<td class=\"n\">%s</td>", print_n(n));
}

static int query_row(void *ctx, const struct ask_entry *row, struct err *e)
{
    struct buf *b = ctx;

    (void)e;
    report_html_add(b, "<tr><th scope=\"row\">");
    report_html_said(b, row->norm, 80);
    report_html_add(b, "</th>");
    cell(b, row->found);
    cell(b, row->picks);
    cell(b, row->selected);
    cell(b, row->packed);
    report_html_add(b, "</tr>\n");
    return 0;
}

static int zero_chip(void *ctx, const struct ask_entry *row, struct err *e)
{
    struct buf *b = ctx;

    (void)e;
    report_html_add(b, "<span>");
    report_html_said(b, row->norm, 60);
    report_html_add(b, "</span>");
    return 0;
}

static int query_table(struct page *p, enum ask_list list, const char *caption,
                       struct err *e)
{
    int rc;

    buf_addf(p->b,
             "<div class=\"wide\"><table><caption>%s</caption><thead><tr><th "
             "scope=\"col\">query</th><th scope=\"col\" "
             "class=\"n\">found</th><th scope=\"col\" "
             "class=\"n\">picks</th><th scope=\"col\" "
             "class=\"n\">selected</th><th scope=\"col\" "
             "class=\"n\">packed</th></tr></thead><tbody>\n",
             caption);
    rc = ask_entries(p->catalog, list, p->config->top, query_row, p->b, e);
    report_html_add(p->b, "</tbody></table></div>\n");
    return rc;
}

int page_queries(struct page *p, struct err *e)
{
    int rc;

    page_heading(p, "queries", "Queries");
    if (!p->found.known) {
        report_html_add(p->b, "<p>Not counted yet.</p>\n");
        return 0;
    }
    rc = query_table(p, ASK_HEAD, "Head: the queries found most often.", e);
    if (!rc)
        rc =
            query_table(p, ASK_TAIL, "Tail: the queries found least often.", e);
    if (rc || !p->found.zero)
        return rc;
    buf_addf(p->b, "<h3>Found nowhere: %s of %s</h3>\n<div class=\"chips\">",
             print_n(p->found.zero), print_n(p->found.groups));
    rc = ask_entries(p->catalog, ASK_ZERO, p->config->top, zero_chip, p->b, e);
    report_html_add(p->b, "</div>\n");
    return rc;
}

/* ---- hosts ---- */

static int host_row(void *ctx, const struct ask_host *h, struct err *e)
{
    struct buf *b = ctx;

    (void)e;
    report_html_add(b, "<tr><th scope=\"row\">");
    report_html_said(b, h->host, 120);
    report_html_add(b, "</th>");
    cell(b, h->asked);
    cell(b, h->images);
    report_html_add(b, "<td class=\"why\">");
    if (h->reason.n) {
        report_html_text(b, h->reason, 60);
        buf_addf(b, ", %s", print_n(h->n));
    }
    report_html_add(b, "</td></tr>\n");
    return 0;
}

static int host_table(struct page *p, bool by_failures, const char *caption,
                      struct err *e)
{
    int rc;

    buf_addf(p->b,
             "<div class=\"wide\"><table><caption>%s</caption><thead><tr><th "
             "scope=\"col\">host</th><th scope=\"col\" "
             "class=\"n\">asked</th><th scope=\"col\" "
             "class=\"n\">pictures</th><th scope=\"col\" class=\"why\">most "
             "frequent failure</th></tr></thead><tbody>\n",
             caption);
    rc = ask_hosts(p->catalog, by_failures, p->config->top, host_row, p->b, e);
    report_html_add(p->b, "</tbody></table></div>\n");
    return rc;
}

static int count_host(void *ctx, const struct ask_host *h, struct err *e)
{
    uint64_t *n = ctx;

    (void)h;
    (void)e;
    ++*n;
    return 0;
}

int page_hosts(struct page *p, struct err *e)
{
    uint64_t top = p->config->top, hosts = 0, failing = 0;
    int rc = ask_hosts(p->catalog, false, top + 1, count_host, &hosts, e);

    if (!rc)
        rc = ask_hosts(p->catalog, true, 1, count_host, &failing, e);
    page_heading(p, "hosts", "Hosts");
    if (rc)
        return rc;
    if (!hosts) {
        report_html_add(p->b, "<p>No picture has been asked for yet.</p>\n");
        return 0;
    }
    rc = host_table(p, false,
                    "Hosts asked most: URLs asked, and pictures "
                    "that came.",
                    e);
    /* A few hosts all stand in the first table. */
    if (!rc && failing && hosts > top)
        rc = host_table(p, true, "Hosts with most URLs that gave no picture.",
                        e);
    return rc;
}

/* ---- histograms ---- */

#define EDGES 12

static const struct measure {
    enum ask_measure what;
    const char *caption, *head, *unit, *colour;
    uint64_t edges[EDGES]; /* the last is the end, 0 behind it */
} measures[] = {
    {ASK_TEXT_BYTES,
     "Lengths of selected texts, in bytes.",
     "bytes",
     "bytes",
     "one",
     {1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4097}},
    {ASK_SHORTER_SIDE,
     "Shorter side of the pictures as stored, in pixels.",
     "pixels",
     "pixels",
     "three",
     {1, 64, 100, 128, 192, 256, 384, 512, 768, 1024, 1u << 20}},
};

static int histogram(struct page *p, const struct measure *m, struct err *e)
{
    static const unsigned permille[] = {100, 500, 900};
    struct report_html_bar bars[EDGES];
    char labels[EDGES][40];
    uint64_t counts[EDGES] = {0}, q[3], total = 0;
    size_t n = 0, first = 0;
    int rc;

    while (m->edges[n + 1])
        n++;
    rc = ask_histogram(p->catalog, m->what, m->edges, n, counts, e);
    if (!rc)
        rc = ask_quantiles(p->catalog, m->what, permille, 3, q, e);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n && m->what == ASK_SHORTER_SIDE)
            snprintf(labels[i], sizeof labels[i], "%s and more",
                     print_n(m->edges[i]));
        else
            snprintf(labels[i], sizeof labels[i], "%s\xe2\x80\x93%s",
                     print_n(m->edges[i]), print_n(m->edges[i + 1] - 1));
        bars[i] = (struct report_html_bar){str_of(labels[i]), counts[i],
                                           STR_NONE, m->colour};
        total += counts[i];
    }
    if (rc || !total)
        return rc;
    while (counts[first] == 0)
        first++;
    while (counts[n - 1] == 0)
        n--;
    report_html_bars(p->b, m->caption, m->head, "number", bars + first,
                     n - first);
    buf_addf(p->b,
             "<p class=\"soft\">A tenth has at most %s %s, half at most %s, "
             "nine tenths at most %s.</p>\n",
             print_n(q[0]), m->unit, print_n(q[1]), print_n(q[2]));
    return 0;
}

int page_measures(struct page *p, struct err *e)
{
    uint64_t loaded;
    int rc = ask_pairs_loaded(p->catalog, &loaded, e);

    page_heading(p, "measures", "Sizes and lengths");
    if (!rc && !loaded)
        report_html_add(p->b, "<p>No selected pair is in the catalogue.</p>\n");
    for (size_t i = 0; i < 2 && !rc && loaded; i++)
        rc = histogram(p, &measures[i], e);
    return rc;
}
