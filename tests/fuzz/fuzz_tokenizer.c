/* Any bytes as a text: ids are of the vocabulary, the cache changes none, and
 * they decode to the cleaned text but for white space. */
#include <stdlib.h>

#include "base/utf8.h"
#include "tests/tokenizer_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

/* Without what is no piece. */
static void bare(struct str s, struct buf *out)
{
    size_t at = 0;

    buf_clear(out);
    while (at < s.n) {
        size_t begin = at;
        uint32_t cp = utf8_next(s, &at);

        check(cp != UTF8_BAD);
        if (!utf8_is_white_space(cp) && cp != 0x345)
            buf_add(out, str_slice(s, begin, at));
    }
}

/* An empty cache takes as long as the rest: one text in eight gets one. */
static void check_cold(const struct tokenizer *t, struct str in,
                       const struct tokenizer_scratch *warm)
{
    struct tokenizer_scratch cold;

    if (in.n % 8)
        return;
    tokenizer_scratch_init(&cold);
    check(!tokenizer_encode(t, &cold, in));
    check(warm->n == cold.n && warm->garbled == cold.garbled);
    check(!cold.n || !memcmp(warm->ids, cold.ids, cold.n * sizeof *cold.ids));
    tokenizer_scratch_release(&cold);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct tokenizer *t;
    static struct tokenizer_scratch s;
    struct str in = str_make((const char *)data, size), cleaned;
    struct clean c;
    struct buf text, got, want;

    if (size > TOKENIZER_TEXT_MAX)
        return 0;
    if (!t) {
        t = tokenizer_world();
        tokenizer_scratch_init(&s);
    }
    clean_init(&c);
    buf_init(&text, BUF_NO_LIMIT);
    buf_init(&got, BUF_NO_LIMIT);
    buf_init(&want, BUF_NO_LIMIT);
    check(!clean_text(&c, in, &cleaned));
    check(!tokenizer_encode(t, &s, in));
    check_cold(t, in, &s);
    for (size_t i = 0; i < s.n; i++)
        check(s.ids[i] >= 0 && s.ids[i] < tokenizer_vocab(t));
    check(!tokenizer_decode(t, s.ids, s.n, &text));
    bare(buf_str(&text), &got);
    bare(cleaned, &want);
    check(str_eq(buf_str(&got), buf_str(&want)));
    buf_release(&text);
    buf_release(&got);
    buf_release(&want);
    clean_release(&c);
    return 0;
}
