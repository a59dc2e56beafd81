#include <stdlib.h>

#include "querylist/wikitext_parts.h"

#define NAME_MAX_BYTES 20

static const struct tag_name {
    const char *name;
    enum tag_kind kind;
    bool lax;
} names[] = {
    {"ref", TAG_DROP, false}, /* nearly all there are */
    /* Ascending. */
    {"abbr", TAG_INLINE, false},
    {"b", TAG_INLINE, false},
    {"bdi", TAG_INLINE, false},
    {"bdo", TAG_INLINE, false},
    {"big", TAG_INLINE, false},
    {"blockquote", TAG_BLOCK, false},
    {"br", TAG_BLOCK, false},
    {"caption", TAG_BLOCK, false},
    {"categorytree", TAG_DROP_BLOCK, false},
    {"ce", TAG_DROP, false},
    {"center", TAG_BLOCK, false},
    {"charinsert", TAG_DROP, false},
    {"chem", TAG_DROP, false},
    {"cite", TAG_INLINE, false},
    {"code", TAG_INLINE, false},
    {"col", TAG_BLOCK, false},
    {"colgroup", TAG_BLOCK, false},
    {"data", TAG_INLINE, false},
    {"dd", TAG_BLOCK, false},
    {"del", TAG_INLINE, false},
    {"dfn", TAG_INLINE, false},
    {"div", TAG_BLOCK, false},
    {"dl", TAG_BLOCK, false},
    {"dt", TAG_BLOCK, false},
    {"dynamicpagelist", TAG_DROP_BLOCK, false},
    {"em", TAG_INLINE, false},
    {"font", TAG_INLINE, false},
    {"gallery", TAG_DROP_BLOCK, false},
    {"graph", TAG_DROP_BLOCK, false},
    {"h1", TAG_BLOCK, false},
    {"h2", TAG_BLOCK, false},
    {"h3", TAG_BLOCK, false},
    {"h4", TAG_BLOCK, false},
    {"h5", TAG_BLOCK, false},
    {"h6", TAG_BLOCK, false},
    {"hiero", TAG_DROP, false},
    {"hr", TAG_BLOCK, false},
    {"i", TAG_INLINE, false},
    {"imagemap", TAG_DROP_BLOCK, false},
    {"includeonly", TAG_DROP, false},
    {"indicator", TAG_DROP, false},
    {"inputbox", TAG_DROP_BLOCK, false},
    {"ins", TAG_INLINE, false},
    {"kbd", TAG_INLINE, false},
    {"langconvert", TAG_INLINE, false},
    {"li", TAG_BLOCK, false},
    {"link", TAG_INLINE, false},
    {"mapframe", TAG_DROP_BLOCK, false},
    {"maplink", TAG_DROP, false},
    {"mark", TAG_INLINE, false},
    {"math", TAG_DROP, false},
    {"meta", TAG_INLINE, false},
    {"noinclude", TAG_INLINE, false},
    {"nowiki", TAG_LITERAL, false},
    {"ol", TAG_BLOCK, false},
    {"onlyinclude", TAG_INLINE, false},
    {"p", TAG_BLOCK, false},
    {"poem", TAG_BLOCK, false},
    {"pre", TAG_LITERAL_BLOCK, false},
    {"q", TAG_INLINE, false},
    {"quiz", TAG_DROP_BLOCK, false},
    {"rb", TAG_INLINE, false},
    {"references", TAG_DROP_BLOCK, false},
    {"rp", TAG_INLINE, false},
    {"rt", TAG_INLINE, false},
    {"rtc", TAG_INLINE, false},
    {"ruby", TAG_INLINE, false},
    {"s", TAG_INLINE, false},
    {"samp", TAG_INLINE, false},
    {"score", TAG_DROP_BLOCK, false},
    {"section", TAG_INLINE, false},
    {"small", TAG_INLINE, false},
    {"source", TAG_DROP_BLOCK, true},
    {"span", TAG_INLINE, false},
    {"strike", TAG_INLINE, false},
    {"strong", TAG_INLINE, false},
    {"sub", TAG_INLINE, false},
    {"sup", TAG_INLINE, false},
    {"syntaxhighlight", TAG_DROP_BLOCK, true},
    {"table", TAG_TABLE, false},
    {"tbody", TAG_BLOCK, false},
    {"td", TAG_BLOCK, false},
    {"templatedata", TAG_DROP_BLOCK, true},
    {"templatestyles", TAG_DROP, false},
    {"tfoot", TAG_BLOCK, false},
    {"th", TAG_BLOCK, false},
    {"thead", TAG_BLOCK, false},
    {"time", TAG_INLINE, false},
    {"timeline", TAG_DROP_BLOCK, false},
    {"tr", TAG_BLOCK, false},
    {"tt", TAG_INLINE, false},
    {"u", TAG_INLINE, false},
    {"ul", TAG_BLOCK, false},
    {"var", TAG_INLINE, false},
    {"wbr", TAG_INLINE, false},
};

_Static_assert(sizeof names / sizeof *names <= TAG_IDS, "an id for each name");

static int compare_name(const void *key, const void *member)
{
    return strcmp(key, ((const struct tag_name *)member)->name);
}

static const struct tag_name *find_name(const char *name)
{
    if (strcmp(name, names[0].name) == 0)
        return names;
    return bsearch(name, names + 1, sizeof names / sizeof *names - 1,
                   sizeof *names, compare_name);
}

struct tag tag_at(struct str text, size_t at)
{
    struct tag t = {.kind = TAG_NONE};
    char name[NAME_MAX_BYTES];
    const struct tag_name *found;
    size_t n = 0;

    at++;
    if (at < text.n && text.p[at] == '/') {
        t.close = true;
        at++;
    }
    t.name = (uint32_t)at;
    while (at < text.n && n < sizeof name - 1 &&
           (str_is_alpha(text.p[at]) || (n && str_is_digit(text.p[at]))))
        name[n++] = str_lower_char(text.p[at++]);
    name[n] = 0;
    t.name_end = (uint32_t)at;
    /* A name goes as far as white space, / or >. */
    if (n == 0 || (at < text.n && !str_is_space(text.p[at]) &&
                   text.p[at] != '/' && text.p[at] != '>' && text.p[at] != '<'))
        return t;
    found = find_name(name);
    if (!found)
        return t;
    t.kind = found->kind;
    t.lax = found->lax;
    t.id = (uint32_t)(found - names);
    return t;
}

void tag_end(struct str text, struct tag *t, uint64_t *steps)
{
    size_t at = t->name_end;

    while (at < text.n && text.p[at] != '>' && text.p[at] != '<')
        at++;
    *steps += at - t->name_end;
    if (at == text.n || text.p[at] == '<')
        return;
    t->empty = text.p[at - 1] == '/';
    t->end = (uint32_t)at + 1;
}

void read_tag(struct reader *k)
{
    struct tag t = tag_at(k->text, k->at);

    if (t.kind == TAG_NONE) {
        *k->to++ = k->text.p[k->at++];
        return;
    }
    tag_end(k->text, &t, &k->w->steps);
    switch (t.kind) {
    case TAG_BLOCK:
    case TAG_TABLE:
    case TAG_DROP_BLOCK:
    case TAG_LITERAL_BLOCK:
        put_block(k);
        break;
    default:
        break;
    }
    skip_to(k, t.end ? t.end : t.name_end);
}
