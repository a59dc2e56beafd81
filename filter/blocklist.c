#include "filter/blocklist.h"

#include "base/url.h"
#include "querylist/words.h"

static const char *const kinds[] = {"term", "host", "URL"};

/* What reading one file needs. */
struct reading {
    struct blocklist *to;
    const char *name;
    uint64_t line;
    struct buf url;     /* canonical form of the line at hand */
    struct words words; /* of the line at hand */
};

static int bad(const struct reading *r, struct str line, const char *why,
               struct err *e)
{
    return err_set(e, E_FORMAT, "%s:%llu: \"%.*s\" %s", r->name,
                   (unsigned long long)r->line, STR_ARG(str_slice(line, 0, 80)),
                   why);
}

static int add(const struct reading *r, struct str entry, struct err *e)
{
    struct strset *set = &r->to->set;
    bool is_new;
    uint32_t id;
    int rc = set->n >= BLOCKLIST_ENTRIES_MAX
                 ? -E_TOOBIG
                 : strset_add(set, entry, &id, &is_new);

    return rc ? err_set(e, -rc,
                        "%s:%llu: more than %zu entries, or %zu MiB of them",
                        r->name, (unsigned long long)r->line,
                        BLOCKLIST_ENTRIES_MAX, BLOCKLIST_BYTES_MAX >> 20)
              : 0;
}

static int add_term(struct reading *r, struct str line, struct err *e)
{
    int rc = words_norm(&r->words, QUERY_POLICY_WORDS, line);

    if (rc == -E_FORMAT)
        return bad(r, line, "is not UTF-8", e);
    if (rc)
        return err_set(e, -rc, "%s:%llu: %s", r->name,
                       (unsigned long long)r->line, err_name(rc));
    if (!r->words.n)
        return bad(r, line, "has no word, so no text contains it", e);
    return add(r, buf_str(&r->words.text), e);
}

/* Without the dot of the root, which few URLs have. */
static struct str without_root(struct str host)
{
    if (host.n > 1 && host.p[host.n - 1] == '.')
        host.n--;
    return host;
}

/* A host gets its canonical form as part of a URL. */
static int add_host(struct reading *r, struct str line, struct err *e)
{
    struct str host = str_trim(str_slice(line, 0, str_find_char(line, '#', 0)));
    struct url_parts parts;
    struct buf all;
    enum url_reason why;

    for (size_t i = 0; i < host.n; i++)
        if (strchr("/?@\\ \t", host.p[i]))
            return bad(r, line,
                       "is no host name: one a line, without scheme, "
                       "path or user",
                       e);
    buf_init(&all, BLOCKLIST_LINE_MAX + 16);
    buf_add(&all, STR("http://"));
    buf_add(&all, host);
    buf_add_char(&all, '/');
    why = url_resolve(STR_NONE, buf_str(&all), &r->url);
    buf_release(&all);
    if (why != URL_OK || !url_split(buf_str(&r->url), &parts) ||
        parts.port != 80)
        return bad(r, line, "is no host name", e);
    host = without_root(parts.host);
    if (str_starts(host, STR(".")) || str_ends(host, STR(".")) ||
        str_find(host, STR(".."), 0) != SIZE_MAX)
        return bad(r, line, "is no host name: a label is empty", e);
    return add(r, host, e);
}

/* From the authority on: without the scheme and its ://. */
static struct str behind_scheme(struct str url)
{
    size_t at = str_starts(url, STR("https://")) ? 8 : 7;

    return str_slice(url, at, url.n);
}

static int add_url(struct reading *r, struct str line, struct err *e)
{
    enum url_reason why = url_resolve(STR_NONE, line, &r->url);
    struct str url = buf_str(&r->url);

    if (why != URL_OK)
        return bad(r, line, "is no http or https URL", e);
    if (url.p[url.n - 1] == '/' && str_find_char(url, '?', 0) == SIZE_MAX)
        r->to->folders = true;
    return add(r, behind_scheme(url), e);
}

static int add_line(struct reading *r, struct str line, struct err *e)
{
    if (r->line == 1 && str_starts(line, STR("\xef\xbb\xbf")))
        line = str_slice(line, 3, line.n);
    line = str_trim(line);
    if (!line.n || line.p[0] == '#')
        return 0;
    switch (r->to->kind) {
    case BLOCKLIST_TERMS:
        return add_term(r, line, e);
    case BLOCKLIST_HOSTS:
        return add_host(r, line, e);
    case BLOCKLIST_URLS:
        return add_url(r, line, e);
    }
    return 0;
}

static int add_lines(struct reading *r, struct stream *in, struct err *e)
{
    struct lines lines;
    struct str line;
    bool more;
    int rc;

    lines_init(&lines, in, BLOCKLIST_LINE_MAX);
    while (!(rc = lines_next(&lines, &line, &more, e)) && more) {
        r->line = lines.number;
        rc = add_line(r, line, e);
        if (rc)
            break;
    }
    if (!rc && lines.too_long)
        rc = err_set(e, E_FORMAT, "%s: a line of over %zu bytes is no %s",
                     r->name, BLOCKLIST_LINE_MAX, kinds[r->to->kind]);
    lines_release(&lines);
    return rc;
}

static int make_trie(struct blocklist *b, const char *name, struct err *e)
{
    const unsigned char *at[TRIE_SECTIONS];
    struct str sections[TRIE_SECTIONS];
    uint64_t bytes[TRIE_SECTIONS], where;
    const char *why;
    int rc = 0;

    for (uint32_t i = 0; !rc && i < b->set.n; i++)
        rc = trie_maker_add(&b->maker, strset_at(&b->set, i), i);
    if (!rc)
        rc = trie_maker_finish(&b->maker, sections);
    if (rc)
        return err_set(e, -rc, "%s: %s", name, err_name(rc));
    for (int s = 0; s < TRIE_SECTIONS; s++) {
        at[s] = (const unsigned char *)sections[s].p;
        bytes[s] = sections[s].n;
    }
    why = trie_open(&b->terms, at, bytes, &where);
    return why ? err_set(e, E_FORMAT, "%s: %s (%llu)", name, why,
                         (unsigned long long)where)
               : 0;
}

int blocklist_read(struct blocklist *b, enum blocklist_kind kind,
                   struct stream *in, const char *name, struct err *e)
{
    struct reading r = {.to = b, .name = name};
    int rc;

    *b = (struct blocklist){.kind = kind};
    strset_init(&b->set, BLOCKLIST_BYTES_MAX);
    trie_maker_init(&b->maker);
    buf_init(&r.url, BLOCKLIST_LINE_MAX * 4);
    words_init(&r.words);
    rc = add_lines(&r, in, e);
    buf_release(&r.url);
    words_release(&r.words);
    if (!rc && kind == BLOCKLIST_TERMS)
        rc = make_trie(b, name, e);
    if (rc)
        blocklist_close(b);
    return rc;
}

int blocklist_open(struct blocklist *b, enum blocklist_kind kind,
                   const char *path, struct err *e)
{
    struct stream *in;
    int rc = stream_open(&in, path, e);

    *b = (struct blocklist){0};
    if (rc)
        return rc;
    rc = blocklist_read(b, kind, in, path, e);
    stream_close(in);
    return rc;
}

void blocklist_close(struct blocklist *b)
{
    strset_release(&b->set);
    trie_maker_release(&b->maker);
    *b = (struct blocklist){0};
}

static bool is_listed(const struct blocklist *b, struct str s)
{
    return strset_find(&b->set, s) != STRSET_NONE;
}

/* Does the last label have a letter?  An address's does not, and nothing is
 * below an address. */
static bool is_name(struct str host)
{
    for (size_t i = host.n; i > 0 && host.p[i - 1] != '.'; i--)
        if (str_is_alpha(host.p[i - 1]))
            return host.p[0] != '[';
    return false;
}

bool blocklist_has_host(const struct blocklist *b, struct str url)
{
    struct url_parts parts;
    struct str host;
    size_t dot = 0;

    if (!url_split(url, &parts))
        return false;
    host = without_root(parts.host);
    if (is_listed(b, host) || !is_name(host))
        return is_listed(b, host);
    while ((dot = str_find_char(host, '.', dot)) != SIZE_MAX)
        if (is_listed(b, str_slice(host, ++dot, host.n)))
            return true;
    return false;
}

bool blocklist_has_url(const struct blocklist *b, struct str url)
{
    struct str all = behind_scheme(url);
    size_t end, slash = 0;

    if (is_listed(b, all))
        return true;
    if (!b->folders)
        return false;
    end = str_find_char(all, '?', 0);
    all = str_slice(all, 0, end);
    while ((slash = str_find_char(all, '/', slash)) != SIZE_MAX)
        if (is_listed(b, str_slice(all, 0, ++slash)))
            return true;
    return false;
}

bool blocklist_has_term(const struct blocklist *b, const struct words *w)
{
    return trie_has_any(&b->terms, w);
}
