/* A vocabulary file: what parses gives itself back in the form of ours, which
 * parses to the same, and its tokens decode. */
#include <stdlib.h>

#include "train/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_encode(const struct tokenizer *t)
{
    struct tokenizer_scratch s;
    struct buf out;

    tokenizer_scratch_init(&s);
    buf_init(&out, BUF_NO_LIMIT);
    check(!tokenizer_encode(t, &s, STR("the photo isn't 1 of a\xc3\xa9, the")));
    for (size_t i = 0; i < s.n; i++)
        check(s.ids[i] >= 0 && s.ids[i] < tokenizer_sot(t));
    check(!tokenizer_decode(t, s.ids, s.n, &out));
    check(str_eq(buf_str(&out), STR("the photo isn 't 1 of a\xc3\xa9 , the ")));
    buf_release(&out);
    tokenizer_scratch_release(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    struct tokenizer *t, *again;

    if (tokenizer_parse(&t, in, "fuzz", TOKENIZER_CLIP, NULL))
        return 0;
    check(tokenizer_vocab(t) >= TOKENIZER_BYTES + 2);
    check(!tokenizer_parse(&again, tokenizer_bytes(t), "own", TOKENIZER_CLIP,
                           NULL));
    check(tokenizer_vocab(t) == tokenizer_vocab(again));
    check(str_eq(tokenizer_bytes(t), tokenizer_bytes(again)));
    check_encode(t);
    tokenizer_close(again);
    tokenizer_close(t);
    return 0;
}
