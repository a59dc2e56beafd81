/* The first line of the input is the path, the rest the robots.txt. */
#include <assert.h>

#include "crawler/robots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make((const char *)data, size), path;
    struct robots *r;

    if (!size || !str_split(&rest, '\n', &path))
        return 0;
    r = robots_parse(rest, STR("witmill"));
    (void)robots_reserves(r, path);
    assert(robots_allows(r, STR("/robots.txt")));
    assert(robots_allows(r, path) == robots_allows(r, path));
    assert(r->delay_ms <= ROBOTS_DELAY_MAX_MS);
    assert(r->n_kept <= ROBOTS_KEPT_MAX);
    for (size_t i = 1; i < r->n_rules; i++)
        assert(r->rules[i - 1].octets >= r->rules[i].octets);
    robots_free(r);
    return 0;
}
