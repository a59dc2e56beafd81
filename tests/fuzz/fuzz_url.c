/* base/url on strangers' bytes: what comes out is canonical, which is to say
 * that it resolves to itself, with or without a base. */
#include <assert.h>
#include <stdlib.h>

#include "base/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size), base, ref = in;
    struct buf first, second;
    struct url_parts parts;

    buf_init(&first, BUF_NO_LIMIT);
    buf_init(&second, BUF_NO_LIMIT);
    base = STR("http://a.example/b/c/d;p?q");
    if (str_split(&ref, '\n', &in) && ref.p &&
        url_resolve(STR_NONE, in, &second) == URL_OK)
        base = buf_str(&second);
    else
        ref = str_make((const char *)data, size);
    if (url_resolve(base, ref, &first) == URL_OK) {
        struct str got = buf_str(&first);

        assert(got.n <= URL_MAX && url_split(got, &parts));
        assert(parts.path.n && parts.path.p[0] == '/');
        assert(url_resolve(STR_NONE, got, &second) == URL_OK);
        assert(str_eq(got, buf_str(&second)));
    } else {
        assert(first.n == 0);
    }
    buf_release(&first);
    buf_release(&second);
    return 0;
}
