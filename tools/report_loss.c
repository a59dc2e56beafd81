/* The curve of a training run: steps against loss, as inline SVG. */
#include <math.h>
#include <stdio.h>

#include "tools/print.h"
#include "tools/report_html.h"

#define WIDTH  720
#define HEIGHT 320
#define LEFT   64
#define RIGHT  16
#define TOP    14
#define BOTTOM 52
#define POINTS 240
#define TICKS  6 /* of an axis, at most */

struct plane {
    double x_max, y_max;
};

static double place_x(const struct plane *p, double x)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * x / p->x_max;
}

static double place_y(const struct plane *p, double y)
{
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / p->y_max;
}

/* 1, 2 or 5 times a power of ten, so that at most TICKS of it make max. */
static double tick_of(double max, double least)
{
    double power = pow(10, floor(log10(max / TICKS)));
    static const int heads[] = {1, 2, 5, 10};
    size_t i = 0;

    while (i < 3 && heads[i] * power * TICKS < max)
        i++;
    return fmax(heads[i] * power, least);
}

static void axes(struct buf *b, const struct plane *p)
{
    double step = tick_of(p->x_max, 1), loss = tick_of(p->y_max, 0);

    for (int i = 0; i * step <= p->x_max; i++) {
        double x = place_x(p, i * step);

        buf_addf(b,
                 "<line class=\"grid\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" "
                 "y2=\"%d\"/><text x=\"%.1f\" y=\"%d\" "
                 "text-anchor=\"%s\">%s</text>\n",
                 x, TOP, x, HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 20,
                 x > WIDTH - 2 * RIGHT ? "end" : "middle",
                 print_n((uint64_t)(i * step)));
    }
    for (int i = 0; i * loss <= p->y_max; i++) {
        double y = place_y(p, i * loss);

        buf_addf(b,
                 "<line class=\"grid\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" "
                 "y2=\"%.1f\"/><text x=\"%d\" y=\"%.1f\" "
                 "text-anchor=\"end\">%g</text>\n",
                 LEFT, y, WIDTH - RIGHT, y, LEFT - 8, y + 5, i * loss);
    }
    buf_addf(b, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">steps</text>\n",
             (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8);
}

/* NAN: none of them is finite. */
static double mean(const float *losses, size_t from, size_t to)
{
    double sum = 0;
    size_t n = 0;

    for (size_t i = from; i < to; i++)
        if (isfinite(losses[i])) {
            sum += losses[i];
            n++;
        }
    return n ? sum / (double)n : NAN;
}

static void curve(struct buf *b, const struct plane *p, const float *losses,
                  size_t n)
{
    size_t parts = n < POINTS ? n : POINTS;
    bool first = true;

    report_html_add(b, "<polyline class=\"curve one\" points=\"");
    for (size_t i = 0; i < parts; i++) {
        size_t from = n * i / parts, to = n * (i + 1) / parts;
        double y = mean(losses, from, to);

        if (!isfinite(y))
            continue;
        buf_addf(b, "%s%.1f,%.1f", first ? "" : " ",
                 place_x(p, ((double)from + (double)to + 1) / 2),
                 place_y(p, y));
        first = false;
    }
    report_html_add(b, "\"/>\n");
}

void report_html_loss(struct buf *b, const float *losses, size_t n,
                      double guess)
{
    struct plane p = {.x_max = (double)n};
    double most = 0;

    for (size_t i = 0; i < n; i++)
        if (isfinite(losses[i]))
            most = fmax(most, losses[i]);
    if (most <= 0)
        return;
    p.y_max = 1.05 * fmax(most, guess);
    buf_addf(b,
             "<figure class=\"chart\"><svg viewBox=\"0 0 %d %d\" role=\"img\" "
             "aria-label=\"Loss of the training steps\">\n",
             WIDTH, HEIGHT);
    axes(b, &p);
    if (guess > 0)
        buf_addf(b,
                 "<line class=\"cap\" x1=\"%d\" y1=\"%.1f\" x2=\"%d\" "
                 "y2=\"%.1f\"/>\n",
                 LEFT, place_y(&p, guess), WIDTH - RIGHT, place_y(&p, guess));
    curve(b, &p, losses, n);
    report_html_add(b, "</svg>\n<ul class=\"legend\"><li><span class=\"one\">"
                       "</span>loss</li>");
    if (guess > 0)
        buf_addf(b, "<li><span class=\"cap\"></span>of guessing, %.2f</li>",
                 guess);
    report_html_add(b, "</ul></figure>\n");
}
