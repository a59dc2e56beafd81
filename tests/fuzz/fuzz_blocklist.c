/* filter/blocklist: the first byte chooses the kind.  What is read is asked for
 * its own entries, which it has; a line that is refused leaves nothing. */
#include <stdlib.h>

#include "filter/blocklist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has(const struct blocklist *b, struct str entry)
{
    struct words w;
    struct buf url;
    bool found;

    switch (b->kind) {
    case BLOCKLIST_TERMS:
        words_init(&w);
        found = !words_norm(&w, QUERY_POLICY_WORDS, entry) &&
                blocklist_has_term(b, &w);
        words_release(&w);
        return found;
    case BLOCKLIST_HOSTS:
    case BLOCKLIST_URLS:
        break;
    }
    buf_init(&url, 1 << 20);
    buf_addf(&url, "https://%.*s%s", STR_ARG(entry),
             b->kind == BLOCKLIST_HOSTS ? "/x" : "");
    found = b->kind == BLOCKLIST_HOSTS ? blocklist_has_host(b, buf_str(&url))
                                       : blocklist_has_url(b, buf_str(&url));
    buf_release(&url);
    return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct blocklist b;
    struct stream *in;

    if (size < 1 || size > 1 << 16)
        return 0;
    if (stream_open_memory(&in, str_make((const char *)data + 1, size - 1),
                           "fuzz", NULL))
        return 0;
    if (!blocklist_read(&b, (enum blocklist_kind)(data[0] % 3), in, "fuzz",
                        NULL))
        for (uint32_t i = 0; i < b.set.n; i++)
            if (!has(&b, strset_at(&b.set, i)))
                abort();
    blocklist_close(&b);
    stream_close(in);
    return 0;
}
