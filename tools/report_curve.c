/* The coverage curve: rank against pairs, both logarithmic, as inline SVG. */
#include <math.h>
#include <stdio.h>

#include "tools/report_html.h"

/* The drawing, in the SVG's own units; the page scales it. */
#define WIDTH  720
#define HEIGHT 420
#define LEFT   64 /* room for the numbers of the vertical axis */
#define RIGHT  16
#define TOP    14
#define BOTTOM 52  /* and for those of the horizontal one */
#define POINTS 300 /* of a curve, at most about */

struct frame {
    int decades_x, decades_y; /* powers of ten the axes span */
};

/* Decades needed to show 1..v; at least one. */
static int decades(uint64_t v)
{
    int n = 1;

    for (uint64_t top = 10; top < v && n < 19; top *= 10)
        n++;
    return n;
}

static double place_x(const struct frame *f, double rank)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * log10(rank) / f->decades_x;
}

static double place_y(const struct frame *f, double n)
{
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * log10(n) / f->decades_y;
}

/* "1", "10", "1k", "1M": short enough for a phone. */
static void tick_label(struct buf *b, int decade)
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};
    static const char *const heads[] = {"1", "10", "100"};

    buf_addf(b, "%s%s", heads[decade % 3], units[decade / 3]);
}

static void axes(struct buf *b, const struct frame *f)
{
    for (int d = 0; d <= f->decades_x; d++) {
        double x = place_x(f, pow(10, d));

        buf_addf(b,
                 "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" "
                 "y2=\"%d\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">",
                 x, TOP, x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 20,
                 d == f->decades_x ? "end" : "middle");
        tick_label(b, d);
        report_html_add(b, "</text>\n");
    }
    for (int d = 0; d <= f->decades_y; d++) {
        double y = place_y(f, pow(10, d));

        buf_addf(b,
                 "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" "
                 "y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" "
                 "text-anchor=\"end\">",
                 LEFT, y, WIDTH - RIGHT, y, LEFT - 8, y + 5);
        tick_label(b, d);
        report_html_add(b, "</text>\n");
    }
    buf_addf(b,
             "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">queries by "
             "rank</text>\n",
             (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8);
}

/* Ranks a constant factor apart, the first and the last included. */
static void one_curve(struct buf *b, const struct frame *f,
                      const struct report_html_curve *c)
{
    double factor = pow(10, (double)f->decades_x / POINTS);
    double next = 1;
    size_t n = c->n;

    while (n && c->v[n - 1] == 0)
        n--;
    if (!n)
        return;
    buf_addf(b, "<polyline class=\"curve %s\" points=\"", c->colour);
    for (size_t rank = 1; rank <= n; rank++) {
        if ((double)rank < next && rank != n)
            continue;
        buf_addf(b, "%s%.1f,%.1f", rank > 1 ? " " : "",
                 place_x(f, (double)rank), place_y(f, (double)c->v[rank - 1]));
        while (next <= (double)rank)
            next *= factor;
    }
    report_html_add(b, "\"/>\n");
}

static void legend(struct buf *b, const struct report_html_curve *curves,
                   size_t n, uint64_t cap)
{
    report_html_add(b, "<ul class=\"legend\">");
    for (size_t i = 0; i < n; i++) {
        if (!curves[i].n)
            continue;
        buf_addf(b, "<li><span class=\"%s\"></span>%s</li>", curves[i].colour,
                 curves[i].name);
    }
    if (cap) {
        report_html_add(b, "<li><span class=\"cap\"></span>the cap, ");
        report_html_number(b, cap);
        report_html_add(b, "</li>");
    }
    report_html_add(b, "</ul>\n");
}

void report_html_curves(struct buf *b, const struct report_html_curve *curves,
                        size_t n, uint64_t cap)
{
    uint64_t most = 0, ranks = 0;
    struct frame f;

    for (size_t i = 0; i < n; i++) {
        if (curves[i].n && curves[i].v[0] > most)
            most = curves[i].v[0];
        if (curves[i].n > ranks)
            ranks = curves[i].n;
    }
    if (!most)
        return;
    f = (struct frame){decades(ranks), decades(most > cap ? most : cap)};
    buf_addf(b,
             "<figure class=\"chart\"><svg viewBox=\"0 0 %d %d\" role=\"img\" "
             "aria-label=\"Number of pairs that contain each query, queries "
             "by rank, both axes logarithmic\">\n",
             WIDTH, HEIGHT);
    axes(b, &f);
    if (cap) {
        double y = place_y(&f, (double)cap);

        buf_addf(b,
                 "<line class=\"cap\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" "
                 "y2=\"%.1f\"/>\n",
                 LEFT, y, WIDTH - RIGHT, y);
    }
    for (size_t i = 0; i < n; i++)
        one_curve(b, &f, &curves[i]);
    report_html_add(b, "</svg>\n");
    legend(b, curves, n, cap);
    report_html_add(b, "</figure>\n");
}
