/* Names of elements, and what is known of each (base/html_tags.inc). */
#include "base/html.h"

#define HTML_TAG_HASH
#include "base/html_tags.inc"
#undef HTML_TAG_HASH

struct tag_row {
    const char *name;
    size_t n; /* its bytes */
    unsigned flags;
};

static const struct tag_row tag_rows[HTML_TAGS] = {
    {"", 0, 0},
#define HTML_TAG_ROW(id, name, flags) {name, sizeof name - 1, flags},
#include "base/html_tags.inc"
#undef HTML_TAG_ROW
};

/* No name of the list is longer than 16 bytes; the hash is made so that they
 * all fall into slots of their own (tools/gen_tags.py). */
enum html_tag html_tag_of(struct str name)
{
    uint64_t a = 0, b = 0;
    unsigned char low[16] = {0};
    enum html_tag tag;

    if (name.n == 0 || name.n > sizeof low)
        return HTML_OTHER;
    for (size_t i = 0; i < name.n; i++)
        low[i] = (unsigned char)str_lower_char(name.p[i]);
    for (size_t i = 0; i < 8; i++)
        a |= (uint64_t)low[i] << (8 * i);
    for (size_t i = 0; i < 8 && name.n > 8; i++)
        b |= (uint64_t)low[8 + i] << (8 * i);
    tag = tag_slots[(a ^ b << 5) * TAG_FACTOR >> 54];
    if (tag_rows[tag].n != name.n ||
        memcmp(tag_rows[tag].name, low, name.n) != 0)
        return HTML_OTHER;
    return tag;
}

const char *html_tag_name(enum html_tag tag)
{
    return tag_rows[tag].name;
}

unsigned html_tag_flags(enum html_tag tag)
{
    return tag_rows[tag].flags;
}
