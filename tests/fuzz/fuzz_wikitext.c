/* Any bytes as the source of a wiki page. */
#include <stdint.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "querylist/wikitext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int holds)
{
    if (!holds)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wikitext w, fresh;
    static struct dump_site site;
    static struct buf text = {.max = BUF_NO_LIMIT},
                      again = {.max = BUF_NO_LIMIT};
    struct str page = str_make((const char *)data, size);
    uint64_t steps = w.steps;

    if (!site.n_names) {
        site_init(&site);
        site_add(&site, STR("Fails"), SITE_FILE);
    }
    buf_clear(&text);
    check(wikitext_text(&w, &site, page, &text) == 0);
    check(!utf8_valid(page) || utf8_valid(buf_str(&text)));
    /* An empty line for each line of the source, or a tag. */
    check(text.n <= size + size / 2 + 4);
    check(w.steps - steps <= 8 * size + 64);
    check(text.n == 0 || !str_is_space(text.p[text.n - 1]));
    /* What pages before have left in the scratch is of no account. */
    buf_clear(&again);
    wikitext_release(&fresh);
    check(wikitext_text(&fresh, &site, page, &again) == 0);
    check(str_eq(buf_str(&text), buf_str(&again)));
    return 0;
}
