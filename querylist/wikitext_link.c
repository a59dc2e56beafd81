/* Links of all kinds. */
#include "querylist/wikitext_parts.h"

#define SCHEME_BACK 8 /* bytes of the longest scheme before :// */

/* ---- addresses ---- */

static const struct str schemes[] = {
    {"http://", 7}, {"https://", 8},  {"//", 2},        {"ftp://", 6},
    {"mailto:", 7}, {"irc://", 6},    {"ircs://", 7},   {"ftps://", 7},
    {"news:", 5},   {"gopher://", 9}, {"telnet://", 9}, {"nntp://", 7},
    {"git://", 6},  {"svn://", 6},    {"tel:", 4},      {"sftp://", 7},
    {"magnet:", 7}, {"geo:", 4},      {"urn:", 4},      {"sip:", 4},
};

size_t scheme_length(struct str s)
{
    if (s.n == 0 || !(str_is_alpha(s.p[0]) || s.p[0] == '/'))
        return 0;
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (str_lower_char(s.p[0]) == schemes[i].p[0] &&
            str_ieq(str_slice(s, 0, schemes[i].n), schemes[i]))
            return schemes[i].n;
    return 0;
}

static size_t address_end(struct reader *k, size_t at)
{
    size_t from = at;

    while (at < k->end && (unsigned char)k->text.p[at] > ' ' &&
           !strchr("[]<>\"{}|", k->text.p[at]) &&
           !(k->text.p[at] == '\'' && peek(k, at + 1) == '\''))
        at++;
    k->w->steps += at - from;
    return at;
}

/* An address that stands in the text: it shows, but is no words. */
void read_address(struct reader *k)
{
    struct str text = str_slice(k->text, 0, k->end);
    char *from = k->to;
    size_t n;

    if (peek(k, k->at + 1) != '/' || peek(k, k->at + 2) != '/') {
        *k->to++ = k->text.p[k->at++];
        return;
    }
    while (from > k->base && k->to - from < SCHEME_BACK &&
           str_is_alpha(from[-1]))
        from--;
    n = (size_t)(k->to - from);
    if (n < 2 || n > k->at ||
        !str_eq(str_slice(text, k->at - n, k->at), str_make(from, n)) ||
        scheme_length(str_slice(text, k->at - n, text.n)) != n + 3) {
        *k->to++ = k->text.p[k->at++];
        return;
    }
    k->to = from;
    k->at = address_end(k, k->at);
}

/* ---- links ---- */

enum link_class {
    LINK_TEXT,
    LINK_FILE,  /* goes with its caption, which may hold links */
    LINK_MEDIA, /* to a file itself: its label stays */
    LINK_CUT    /* a category, or the page in another language */
};

static enum link_class classify(const struct dump_site *site, struct str target)
{
    size_t colon = str_find_char(target, ':', 0);

    if (colon == SIZE_MAX || colon == 0)
        return LINK_TEXT;
    switch (site_find(site, str_slice(target, 0, colon))) {
    case SITE_FILE:
        return LINK_FILE;
    case SITE_MEDIA:
        return LINK_MEDIA;
    case SITE_CATEGORY:
        return LINK_CUT;
    case SITE_NONE:
        return site_is_language(str_slice(target, 0, colon)) ? LINK_CUT
                                                             : LINK_TEXT;
    default:
        return LINK_TEXT;
    }
}

/* Prefixes of the sister projects, besides those of languages. */
static bool is_interwiki(struct str prefix)
{
    static const struct str sisters[] = {
        {"w", 1},
        {"wikipedia", 9},
        {"wikt", 4},
        {"wiktionary", 10},
        {"commons", 7},
        {"c", 1},
        {"s", 1},
        {"wikisource", 10},
        {"b", 1},
        {"wikibooks", 9},
        {"n", 1},
        {"wikinews", 8},
        {"q", 1},
        {"wikiquote", 9},
        {"v", 1},
        {"wikiversity", 11},
        {"species", 7},
        {"d", 1},
        {"m", 1},
        {"wikidata", 8},
        {"wikispecies", 11},
        {"meta", 4},
        {"mw", 2},
        {"voy", 3},
        {"wikivoyage", 10},
        {"foundation", 10},
    };

    prefix = str_trim(prefix);
    for (size_t i = 0; i < sizeof sisters / sizeof *sisters; i++)
        if (str_ieq(prefix, sisters[i]))
            return true;
    return site_is_language(prefix);
}

/* What a link without a label shows. */
static void put_target(struct reader *k, struct str target)
{
    char *from;
    size_t colon;

    target = str_trim(target);
    if (target.n && target.p[0] == ':')
        target = str_slice(target, 1, target.n);
    while ((colon = str_find_char(target, ':', 0)) != SIZE_MAX &&
           is_interwiki(str_slice(target, 0, colon)))
        target = str_slice(target, colon + 1, target.n);
    from = k->to;
    put_literal(k, target);
    for (; from < k->to; from++)
        if (*from == '_')
            *from = ' ';
}

/* [[ns:Title (of what)|]] shows Title, as a page's preview does. */
static void put_pipe_trick(struct reader *k, struct str target)
{
    size_t colon = str_find_char(target, ':', target.n && target.p[0] == ':'),
           at;

    if (colon != SIZE_MAX)
        target = str_slice(target, colon + 1, target.n);
    target = str_trim(target);
    at = str_ends(target, STR(")")) ? str_find(target, STR(" ("), 0)
                                    : str_find(target, STR(", "), 0);
    if (at != SIZE_MAX)
        target = str_slice(target, 0, at);
    put_literal(k, target);
}

/* The ]] of the file whose target ends at `at`, or SIZE_MAX where the
 * paragraph ends before it: then *at_fail says where. */
static size_t find_file_end(struct reader *k, size_t at, size_t *at_fail)
{
    const struct wikitext_cut *cut = k->cut;
    size_t end = k->end, depth = 1, from = at;
    const char *p = k->text.p;

    for (;; at++) {
        while (at >= end && cut < k->cut_end) {
            at = at > cut->to ? at : cut->to;
            cut++;
            end = cut < k->cut_end ? cut->from : k->text.n;
        }
        if (at >= end || (p[at] == '\n' && at + 1 < end &&
                          (p[at + 1] == '\n' || p[at + 1] == '=')))
            break;
        if (at + 1 >= end || (p[at] != '[' && p[at] != ']') ||
            p[at + 1] != p[at])
            continue;
        depth += p[at] == '[' ? 1 : SIZE_MAX;
        at++;
        if (depth == 0) {
            k->w->steps += at - from;
            return at + 1;
        }
    }
    k->w->steps += at - from;
    *at_fail = at;
    return SIZE_MAX;
}

/* A link to a file that is never closed: of what stands between bars on this
 * line only the last can be a caption. */
static size_t skip_options(struct reader *k, size_t at)
{
    size_t words = at, i;

    for (i = at; i < k->end; i++) {
        char c = k->text.p[i];

        if (c == '\n' || ((c == '[' || c == ']') && peek(k, i + 1) == c))
            break;
        if (c == '|')
            words = i + 1;
    }
    k->w->steps += i - at;
    return words;
}

static void read_file(struct reader *k, size_t at)
{
    size_t end = SIZE_MAX;

    if (at >= k->no_file)
        end = find_file_end(k, at, &k->no_file);
    if (end != SIZE_MAX)
        skip_to(k, end);
    else
        k->at = skip_options(k, at);
}

/* A link that goes: up to the ]] of its line. */
static void skip_link(struct reader *k, size_t at)
{
    size_t i = at;

    while (i < k->end && k->text.p[i] != '\n' && k->text.p[i] != '[' &&
           k->text.p[i] != ']')
        i++;
    k->w->steps += i - at;
    k->at = i;
    if (peek(k, i) == ']' && peek(k, i + 1) == ']')
        k->at = i + 2;
}

static const unsigned char ends_target[256] = {
    ['|'] = 1, [']'] = 1, ['['] = 1, ['\n'] = 1,
    ['{'] = 1, ['}'] = 1, ['<'] = 1};

/* From the bar of a link that shows its label: that is read as text, and its
 * brackets go. */
static void read_label(struct reader *k, struct str target, size_t bar)
{
    k->at = bar + 1;
    if (peek(k, bar + 1) != ']' || peek(k, bar + 2) != ']')
        return;
    put_pipe_trick(k, target);
    k->at = bar + 3;
}

static void read_link(struct reader *k)
{
    size_t from = k->at + 2, at = from;
    const char *p = k->text.p;
    struct str target;
    enum link_class class;
    bool closed, colon = false;

    for (; at < k->end && !ends_target[(unsigned char)p[at]]; at++)
        colon |= p[at] == ':';
    k->w->steps += at - from;
    target = str_make(p + from, at - from);
    k->at = from;
    if (colon &&
        scheme_length(target)) { /* an address in one bracket too many */
        k->at = address_end(k, from);
        return;
    }
    closed = peek(k, at) == ']' && peek(k, at + 1) == ']';
    class = colon ? classify(k->site, target) : LINK_TEXT;
    if (class == LINK_FILE)
        read_file(k, at);
    else if (class == LINK_CUT)
        skip_link(k, at);
    else if (peek(k, at) == '|')
        read_label(k, target, at);
    else if (closed && class == LINK_MEDIA)
        k->at = at + 2;
    else if (closed) {
        put_target(k, target);
        k->at = at + 2;
    } else if (at == k->end) {
        k->target = k->to;
    }
}

void read_bracket(struct reader *k)
{
    struct str rest = str_slice(k->text, k->at + 1, k->end);

    if (peek(k, k->at + 1) == '[') {
        read_link(k);
    } else if (scheme_length(rest)) {
        k->at = address_end(k, k->at + 1);
        if (peek(k, k->at) == ' ')
            k->at++;
        k->labels++;
    } else {
        *k->to++ = k->text.p[k->at++];
    }
}

void read_close_bracket(struct reader *k)
{
    k->target = NULL;
    if (peek(k, k->at + 1) == ']' &&
        !(k->labels && peek(k, k->at + 2) == ']')) {
        k->at += 2;
    } else if (k->labels) {
        k->labels--;
        k->at++;
    } else {
        *k->to++ = k->text.p[k->at++];
    }
}
