/* Tokenizer, walk, extraction and page text on any bytes. */
#include <stdint.h>
#include <stdlib.h>

#include "base/markup.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct markup m;
    static struct buf text = {.max = BUF_NO_LIMIT};
    struct str page = str_make((const char *)data, size);

    if (!m.state)
        markup_init(&m);
    m.want_links = true;
    check(markup_page(&m, page, STR("http://a.test/b/c"), STR_NONE) == 0);
    for (size_t i = 0; i < m.n_pairs; i++) {
        struct str t = m.pairs[i].text, u = m.pairs[i].url;

        check(t.n >= 1 && t.n <= MARKUP_TEXT_MAX && utf8_valid(t));
        check(t.p[0] != ' ' && t.p[t.n - 1] != ' ');
        for (size_t k = 0; k < t.n; k++)
            check((unsigned char)t.p[k] >= ' ');
        check(u.n <= URL_MAX && utf8_ascii_span(u) == u.n);
        check(str_starts(u, STR("http://")) || str_starts(u, STR("https://")));
    }
    for (size_t i = 0; i < m.n_links; i++)
        check(utf8_ascii_span(m.links[i].url) == m.links[i].url.n);
    buf_clear(&text);
    check(markup_text(page, STR_NONE, &text) == 0);
    check(utf8_valid(buf_str(&text)));
    return 0;
}
