/* querylist/words on any bytes: spans tile the text, words hold no separator,
 * and the first byte of the input picks the policy. */
#include <assert.h>

#include "base/utf8.h"
#include "querylist/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_spans(const struct words *w, bool empty_words)
{
    size_t at = 0;

    for (size_t i = 0; i < w->n; i++) {
        if (i)
            assert(w->text.p[at++] == ' ');
        assert(w->span[i].at == at);
        assert(empty_words || w->span[i].n > 0);
        for (size_t k = 0; k < w->span[i].n; k++)
            assert(w->text.p[at + k] != ' ');
        at += w->span[i].n;
    }
    assert(at == w->text.n && w->text.p[at] == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum query_policy policy;
    struct words w;
    struct str s;

    if (!size)
        return 0;
    policy = data[0] & 1 ? QUERY_POLICY_METACLIP : QUERY_POLICY_WORDS;
    s = str_make((const char *)data + 1, size - 1);
    words_init(&w);
    if (words_split(&w, policy, s) == 0) {
        check_spans(&w, policy == QUERY_POLICY_METACLIP);
        if (policy == QUERY_POLICY_WORDS)
            assert(utf8_valid(s) && utf8_valid(buf_str(&w.text)));
    } else {
        assert(w.n == 0 && !utf8_valid(s));
    }
    if (words_norm(&w, policy, s) == 0)
        check_spans(&w, policy == QUERY_POLICY_METACLIP);
    words_release(&w);
    return 0;
}
