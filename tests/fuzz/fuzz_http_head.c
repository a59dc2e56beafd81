/* The input is a response's head, cut into lines as curl does. */
#include <assert.h>

#include "crawler/fetch_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = str_make((const char *)data, size);
    enum fetch_reason why = FETCH_R_NONE;
    struct head h;

    head_init(&h, STR("witmill"));
    for (size_t at = 0; at < all.n && !why;) {
        size_t end = str_find_char(all, '\n', at);

        end = end == SIZE_MAX ? all.n : end + 1;
        why = head_line(&h, str_slice(all, at, end));
        at = end;
        assert(h.status >= 0 && h.status <= 999);
        assert(h.n_tags <= FETCH_TAGS_MAX);
        assert(h.fields.n <= HEAD_FIELDS_MAX && h.fields.rc == 0);
        assert(why || h.codings <= 1);
    }
    for (size_t i = 0; i < h.n_tags; i++)
        assert(head_field(&h, &h.tags[i]).n <= h.fields.n);
    assert(head_field(&h, &h.location).n <= h.fields.n);
    head_release(&h);
    return 0;
}
