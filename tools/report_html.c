#include "tools/report_html.h"

#include <stdio.h>

#include "base/utf8.h"
#include "tools/print.h"

void report_html_add(struct buf *b, const char *html)
{
    buf_add(b, str_of(html));
}

/* Controls and noncharacters may not stand in HTML, not even escaped. */
static bool forbidden(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) ||
           (cp >= 0xfdd0 && cp <= 0xfdef) || (cp & 0xfffe) == 0xfffe;
}

static void escape(struct buf *b, struct str s, size_t max_bytes)
{
    size_t at = 0;

    while (at < s.n) {
        size_t from = at;
        uint32_t cp = utf8_next(s, &at);

        if (max_bytes && at > max_bytes) {
            buf_add(b, STR("\xe2\x80\xa6")); /* ellipsis */
            return;
        }
        if (cp == '&')
            buf_add(b, STR("&amp;"));
        else if (cp == '<')
            buf_add(b, STR("&lt;"));
        else if (cp == '>')
            buf_add(b, STR("&gt;"));
        else if (cp == '"')
            buf_add(b, STR("&quot;"));
        else if (cp == '\'')
            buf_add(b, STR("&#39;"));
        else if (cp == UTF8_BAD || forbidden(cp))
            buf_add(b, STR("\xef\xbf\xbd")); /* U+FFFD */
        else
            buf_add(b, str_slice(s, from, at));
    }
}

void report_html_text(struct buf *b, struct str s, size_t max_bytes)
{
    escape(b, s, max_bytes);
}

void report_html_attribute(struct buf *b, struct str s, size_t max_bytes)
{
    escape(b, s, max_bytes);
}

void report_html_said(struct buf *b, struct str s, size_t max_bytes)
{
    report_html_add(b, "<bdi>");
    escape(b, s, max_bytes);
    report_html_add(b, "</bdi>");
}

void report_html_number(struct buf *b, uint64_t n)
{
    buf_add(b, str_of(print_n(n)));
}

void report_html_jpeg(struct buf *b, struct str jpeg)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop"
                                 "qrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)jpeg.p;

    report_html_add(b, "data:image/jpeg;base64,");
    for (size_t i = 0; i < jpeg.n; i += 3) {
        size_t left = jpeg.n - i;
        uint32_t v = (uint32_t)p[i] << 16 |
                     (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0u);

        buf_add_char(b, digits[v >> 18]);
        buf_add_char(b, digits[v >> 12 & 63]);
        buf_add_char(b, left > 1 ? digits[v >> 6 & 63] : '=');
        buf_add_char(b, left > 2 ? digits[v & 63] : '=');
    }
}

/* ---- bars ---- */

void report_html_bars(struct buf *b, const char *caption,
                      const char *label_head, const char *number_head,
                      const struct report_html_bar *bars, size_t n)
{
    uint64_t most = 1;

    for (size_t i = 0; i < n; i++)
        most = bars[i].n > most ? bars[i].n : most;
    buf_addf(b, "<div class=\"wide\"><table><caption>%s</caption>", caption);
    if (label_head)
        buf_addf(b,
                 "<thead><tr><th scope=\"col\">%s</th><th scope=\"col\" "
                 "class=\"n\">%s</th><th class=\"bar\" "
                 "aria-hidden=\"true\"></th></tr></thead>",
                 label_head, number_head);
    report_html_add(b, "<tbody>\n");
    for (size_t i = 0; i < n; i++) {
        report_html_add(b, "<tr><th scope=\"row\">");
        report_html_said(b, bars[i].label, 0);
        if (bars[i].note.n) {
            report_html_add(b, " <span class=\"soft roomy\">");
            report_html_text(b, bars[i].note, 0);
            report_html_add(b, "</span>");
        }
        report_html_add(b, "</th><td class=\"n\">");
        report_html_number(b, bars[i].n);
        report_html_add(b, "</td><td class=\"bar\" aria-hidden=\"true\">");
        if (bars[i].n)
            buf_addf(b, "<span class=\"%s\" style=\"width:%.1f%%\"></span>",
                     bars[i].colour, 100.0 * (double)bars[i].n / (double)most);
        report_html_add(b, "</td></tr>\n");
    }
    report_html_add(b, "</tbody></table></div>\n");
}
