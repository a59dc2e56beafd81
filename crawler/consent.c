#include "crawler/consent.h"

#include <string.h>

static const char *const names[CONSENT_SIGNALS] = {"allowed",
#define X(code, name) name,
                                                   CONSENT_MAP(X)
#undef X
};

/* Directives that are followed by a colon and a value of their own. */
static const char *const valued[] = {"unavailable_after", "max-snippet",
                                     "max-image-preview", "max-video-preview"};

/* Directives that refuse nothing, but are no agents either. */
static const char *const harmless[] = {
    "all",       "index",     "follow",         "nofollow",
    "noarchive", "nosnippet", "notranslate",    "nocache",
    "noodp",     "noydir",    "indexifembedded"};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

void consent_init(struct consent *c)
{
    memset(c, 0, sizeof *c);
}

void consent_add(struct consent *c, enum consent_signal s)
{
    if (s != CONSENT_ALLOWED)
        c->seen |= 1u << s;
    if (s == CONSENT_NONE)
        c->nofollow = true;
}

enum consent_signal consent_verdict(const struct consent *c)
{
    for (int s = CONSENT_ALLOWED + 1; s < CONSENT_SIGNALS; s++)
        if (c->seen >> s & 1)
            return (enum consent_signal)s;
    return CONSENT_ALLOWED;
}

const char *consent_name(enum consent_signal s)
{
    return names[s];
}

/* The signal that word is, of those a directive can be. */
static enum consent_signal directive(struct str word)
{
    for (int s = CONSENT_ALLOWED + 1; s < CONSENT_AI_TRAIN; s++)
        if (str_ieq(word, str_of(names[s])))
            return (enum consent_signal)s;
    return CONSENT_ALLOWED;
}

static bool in_list(struct str word, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_ieq(word, str_of(list[i])))
            return true;
    return false;
}

static bool separates(char c)
{
    return c == ',' || c == ';' || c == '"' || c == '\'' || str_is_space(c);
}

/* Every word of one list item; sites separate with spaces and semicolons too,
 * and quote. */
static void add_words(struct consent *c, struct str item)
{
    for (size_t i = 0; i < item.n;) {
        size_t end = i;
        struct str word;

        while (end < item.n && !separates(item.p[end]) && item.p[end] != ':')
            end++;
        word = str_slice(item, i, end);
        consent_add(c, directive(word));
        if (str_ieq(word, STR("nofollow")))
            c->nofollow = true;
        i = end + 1;
    }
}

/* Is what stands before a colon the name of an agent? */
static bool is_agent(struct str left)
{
    if (left.n == 0 || (!str_is_alpha(left.p[0]) && left.p[0] != '*'))
        return false;
    for (size_t i = 0; i < left.n; i++)
        if (separates(left.p[i]))
            return false;
    return !in_list(left, valued, COUNT(valued)) &&
           !in_list(left, harmless, COUNT(harmless)) &&
           directive(left) == CONSENT_ALLOWED;
}

/* "witmill", "witmill/1.0" and "*" are us. */
static bool is_us(struct str agent, struct str token)
{
    size_t n = 0;

    if (str_eq(agent, STR("*")))
        return true;
    while (n < agent.n &&
           (str_is_alpha(agent.p[n]) || agent.p[n] == '_' || agent.p[n] == '-'))
        n++;
    return str_ieq(str_slice(agent, 0, n), token);
}

void consent_header(struct consent *c, struct str value, struct str token)
{
    struct str rest = value, item;
    bool ours = true; /* until an agent is named, all are meant */

    while (str_split(&rest, ',', &item)) {
        size_t colon;
        struct str left;

        item = str_trim(item);
        colon = str_find_char(item, ':', 0);
        left = str_trim(str_slice(item, 0, colon));
        if (colon != SIZE_MAX && is_agent(left)) {
            ours = is_us(left, token);
            item = str_slice(item, colon + 1, item.n);
            colon = str_find_char(item, ':', 0);
            left = str_trim(str_slice(item, 0, colon));
        }
        if (!ours)
            continue;
        if (colon != SIZE_MAX && in_list(left, valued, COUNT(valued)))
            continue; /* the value is no directive */
        add_words(c, item);
    }
}

void consent_meta(struct consent *c, struct str name, struct str content,
                  struct str token)
{
    struct str rest = content, item;

    name = str_trim(name);
    if (!str_ieq(name, STR("robots")) && !str_ieq(name, token))
        return;
    while (str_split(&rest, ',', &item)) {
        size_t colon = str_find_char(item, ':', 0);
        struct str left = str_trim(str_slice(item, 0, colon));

        if (colon == SIZE_MAX || !in_list(left, valued, COUNT(valued)))
            add_words(c, item);
    }
}

int consent_ai_train(struct str signals)
{
    struct str rest = signals, item;
    int said = 0;

    while (str_split(&rest, ',', &item)) {
        size_t eq = str_find_char(item, '=', 0);
        struct str key = str_trim(str_slice(item, 0, eq));
        struct str value;

        if (eq == SIZE_MAX || !str_ieq(key, STR("ai-train")))
            continue;
        value = str_trim(str_slice(item, eq + 1, item.n));
        if (str_ieq(value, STR("no")))
            return -1;
        if (str_ieq(value, STR("yes")))
            said = 1;
    }
    return said;
}
