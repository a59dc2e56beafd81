#include "crawler/robots.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "crawler/consent.h"

enum key {
    KEY_OTHER,
    KEY_AGENT,
    KEY_ALLOW,
    KEY_DISALLOW,
    KEY_DELAY,
    KEY_SIGNAL,
    KEY_USAGE
};

/* Which groups a line belongs to. */
enum scope { SCOPE_US, SCOPE_ALL, SCOPES };

/* A list of rules under construction; patterns are offsets into text until
 * the text stops moving. */
struct list {
    struct robots_rule *v;
    size_t n, cap;
};

struct parser {
    struct str token;
    struct buf text;             /* normalised patterns and kept lines */
    struct list rules[SCOPES];   /* Allow and Disallow */
    struct list signals[SCOPES]; /* Content-Signal with ai-train */
    uint32_t delay_ms[SCOPES];
    bool in_group; /* behind a user-agent line */
    bool ours;     /* the open group names us */
    bool star;     /* the open group names * */
    bool ruled;    /* the open group has rules: an agent line starts anew */
    bool names_us;
    struct robots *out;
};

static bool is_token_char(char c)
{
    return str_is_alpha(c) || c == '_' || c == '-';
}

/* ---- one form for rules and paths ---- */

static bool is_unreserved(unsigned char c)
{
    return str_is_alpha((char)c) || str_is_digit((char)c) || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* What base/url escapes in a path, so that a rule may be written with it. */
static bool is_escaped(unsigned char c)
{
    return c <= 0x20 || c >= 0x7f || strchr("\"<>\\^`{|}", c) != NULL;
}

static void add_escape(struct buf *to, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";

    buf_add_char(to, '%');
    buf_add_char(to, hex[c >> 4]);
    buf_add_char(to, hex[c & 15]);
}

/* specials: a pattern, whose * stays a star.  (A final $ was cut off before.)
 */
static void normalise(struct buf *to, struct str s, bool specials)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];

        if (c == '%' && i + 2 < s.n && str_hex_digit(s.p[i + 1]) >= 0 &&
            str_hex_digit(s.p[i + 2]) >= 0) {
            c = (unsigned char)(str_hex_digit(s.p[i + 1]) << 4 |
                                str_hex_digit(s.p[i + 2]));
            i += 2;
            if (is_unreserved(c))
                buf_add_char(to, (char)c);
            else
                add_escape(to, c);
        } else if (is_escaped(c) || c == '$' || (c == '*' && !specials)) {
            add_escape(to, c);
        } else {
            buf_add_char(to, (char)c);
        }
    }
}

/* ---- parsing ---- */

static struct str text_since(const struct parser *p, size_t start)
{
    /* An offset in a pointer's clothes: text may still move. */
    return str_make((const char *)(uintptr_t)start, p->text.n - start);
}

static void add_rule(struct parser *p, struct list *l, struct str pattern,
                     bool allow, int ai_train)
{
    struct robots_rule r = {.allow = allow, .ai_train = (int8_t)ai_train};
    size_t start = p->text.n;

    r.anchored = pattern.n && pattern.p[pattern.n - 1] == '$';
    normalise(&p->text, str_slice(pattern, 0, pattern.n - r.anchored), true);
    r.pattern = text_since(p, start);
    r.octets = (uint32_t)(r.pattern.n + r.anchored);
    l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n++] = r;
}

/* "Allow: /dir/index.html" speaks of /dir/ too, which is the same page. */
static void add_index_rule(struct parser *p, struct list *l, struct str value)
{
    size_t slash = value.n;
    char *folder;

    while (slash > 0 && value.p[slash - 1] != '/')
        slash--;
    if (slash == 0 ||
        !str_starts(str_slice(value, slash, value.n), STR("index.htm")))
        return;
    folder = xasprintf("%.*s$", (int)slash, value.p);
    add_rule(p, l, str_of(folder), true, 0);
    free(folder);
}

static void on_rule(struct parser *p, struct str value, bool allow)
{
    if (!p->in_group)
        return;
    p->ruled = true;
    if (value.n == 0)
        return; /* an empty Disallow forbids nothing */
    for (int s = 0; s < SCOPES; s++) {
        if (s == SCOPE_US ? !p->ours : !p->star)
            continue;
        add_rule(p, &p->rules[s], value, allow, 0);
        if (allow)
            add_index_rule(p, &p->rules[s], value);
    }
}

static void on_agent(struct parser *p, struct str value)
{
    size_t n = 0;

    if (p->ruled || !p->in_group) {
        p->ours = p->star = p->ruled = false;
        p->in_group = true;
    }
    if (value.n && value.p[0] == '*' &&
        (value.n == 1 || str_is_space(value.p[1]))) {
        p->star = true;
        return;
    }
    while (n < value.n && is_token_char(value.p[n]))
        n++;
    if (n && str_ieq(str_slice(value, 0, n), p->token))
        p->ours = p->names_us = true;
}

/* Seconds with a fraction; what is no number says nothing. */
static uint32_t delay_of(struct str value)
{
    double seconds = 0, unit = 1;
    size_t i = 0;

    if (value.n == 0 || !(str_is_digit(value.p[0]) || value.p[0] == '.'))
        return 0;
    for (; i < value.n && str_is_digit(value.p[i]); i++)
        if (seconds < 1e9)
            seconds = seconds * 10 + (value.p[i] - '0');
    if (i < value.n && (value.p[i] == '.' || value.p[i] == ','))
        for (i++; i < value.n && str_is_digit(value.p[i]); i++) {
            unit /= 10;
            seconds += (value.p[i] - '0') * unit;
        }
    /* 1e308 is said to stop crawlers; it gets the longest wait there is. */
    if (i < value.n && (value.p[i] == 'e' || value.p[i] == 'E'))
        return ROBOTS_DELAY_MAX_MS;
    if (seconds >= ROBOTS_DELAY_MAX_MS / 1000)
        return ROBOTS_DELAY_MAX_MS;
    return (uint32_t)(seconds * 1000 + 0.5);
}

static void on_delay(struct parser *p, struct str value)
{
    uint32_t ms = delay_of(value);

    if (p->ours && ms > p->delay_ms[SCOPE_US])
        p->delay_ms[SCOPE_US] = ms;
    if (p->star && ms > p->delay_ms[SCOPE_ALL])
        p->delay_ms[SCOPE_ALL] = ms;
}

static void on_signal(struct parser *p, enum key key, struct str line,
                      struct str value)
{
    struct str path = STR("/");
    size_t start = p->text.n, space = 0;
    int said;

    if (p->in_group && !p->ours && !p->star)
        return;
    if (p->out->n_kept < ROBOTS_KEPT_MAX) {
        buf_add(&p->text, line);
        p->out->kept[p->out->n_kept++] = text_since(p, start);
    }
    if (key != KEY_SIGNAL)
        return;
    if (value.n && (value.p[0] == '/' || value.p[0] == '*')) {
        while (space < value.n && !str_is_space(value.p[space]))
            space++;
        path = str_slice(value, 0, space);
        value = str_trim(str_slice(value, space, value.n));
    }
    said = consent_ai_train(value);
    if (said == 0)
        return;
    if (p->ours)
        add_rule(p, &p->signals[SCOPE_US], path, said > 0, said);
    if (!p->in_group || p->star)
        add_rule(p, &p->signals[SCOPE_ALL], path, said > 0, said);
}

static bool istarts(struct str s, const char *prefix)
{
    struct str q = str_of(prefix);

    return s.n >= q.n && str_ieq(str_slice(s, 0, q.n), q);
}

static enum key key_of(struct str k)
{
    static const struct {
        const char *name;
        enum key key;
    } keys[] = {
        {"user-agent", KEY_AGENT},      {"useragent", KEY_AGENT},
        {"user agent", KEY_AGENT},      {"allow", KEY_ALLOW},
        {"disallow", KEY_DISALLOW},     {"dissallow", KEY_DISALLOW},
        {"dissalow", KEY_DISALLOW},     {"disalow", KEY_DISALLOW},
        {"diasllow", KEY_DISALLOW},     {"disallaw", KEY_DISALLOW},
        {"crawl-delay", KEY_DELAY},     {"crawldelay", KEY_DELAY},
        {"content-signal", KEY_SIGNAL}, {"content-usage", KEY_USAGE},
    };

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (istarts(k, keys[i].name))
            return keys[i].key;
    return KEY_OTHER;
}

/* "key: value", or "key value" when there are just the two words. */
static bool cut_line(struct str line, struct str *key, struct str *value)
{
    size_t colon = str_find_char(line, ':', 0), i = 0;

    if (colon != SIZE_MAX) {
        *key = str_trim(str_slice(line, 0, colon));
        *value = str_trim(str_slice(line, colon + 1, line.n));
        return key->n > 0;
    }
    while (i < line.n && !str_is_space(line.p[i]))
        i++;
    *key = str_slice(line, 0, i);
    *value = str_trim(str_slice(line, i, line.n));
    for (i = 0; i < value->n; i++)
        if (str_is_space(value->p[i]))
            return false;
    return key->n > 0 && value->n > 0;
}

static void on_line(struct parser *p, struct str line)
{
    struct str key, value;

    if (line.n > ROBOTS_LINE_MAX)
        line.n = ROBOTS_LINE_MAX;
    line = str_trim(str_slice(line, 0, str_find_char(line, '#', 0)));
    if (!cut_line(line, &key, &value))
        return;
    switch (key_of(key)) {
    case KEY_AGENT:
        on_agent(p, value);
        break;
    case KEY_ALLOW:
        on_rule(p, value, true);
        break;
    case KEY_DISALLOW:
        on_rule(p, value, false);
        break;
    case KEY_DELAY:
        on_delay(p, value);
        break;
    case KEY_SIGNAL:
        on_signal(p, KEY_SIGNAL, line, value);
        break;
    case KEY_USAGE:
        on_signal(p, KEY_USAGE, line, value);
        break;
    case KEY_OTHER:
        break;
    }
}

static void each_line(struct parser *p, struct str body)
{
    size_t at = 0;
    bool whole = body.n <= ROBOTS_BYTES_MAX;

    body = str_slice(body, 0, ROBOTS_BYTES_MAX);
    for (size_t i = 0; i < 3 && at < body.n; i++, at++)
        if ((unsigned char)body.p[at] != (unsigned char)"\xEF\xBB\xBF"[i])
            break;
    while (at < body.n) {
        size_t end = at;

        while (end < body.n && body.p[end] != '\n' && body.p[end] != '\r')
            end++;
        if (end == body.n && !whole)
            return; /* cut in the middle: who knows what it said */
        on_line(p, str_slice(body, at, end));
        at = end + 1;
    }
}

/* ---- compiling ---- */

static int by_length(const void *a, const void *b)
{
    const struct robots_rule *x = a, *y = b;

    if (x->octets != y->octets)
        return x->octets > y->octets ? -1 : 1;
    /* A tie between rules allows; between signals, reserves. */
    if (x->ai_train != y->ai_train)
        return x->ai_train < y->ai_train ? -1 : 1;
    return (int)y->allow - (int)x->allow;
}

static void settle(struct str *s, const char *text)
{
    s->p = text + (uintptr_t)s->p;
}

static struct robots_rule *compile(struct list *l, struct robots *r)
{
    for (size_t i = 0; i < l->n; i++)
        settle(&l->v[i].pattern, r->text);
    if (l->n)
        qsort(l->v, l->n, sizeof *l->v, by_length);
    r->bytes += l->n * sizeof *l->v;
    return l->v;
}

struct robots *robots_parse(struct str body, struct str token)
{
    struct parser p = {.token = token};
    struct robots *r = xcalloc(1, sizeof *r);
    enum scope mine;

    for (size_t i = 0; i < token.n; i++)
        if (!is_token_char(token.p[i]))
            p.token = STR_NONE;
    p.out = r;
    /* Escaping triples a byte at most, index rules double a rule, a kept line
     * repeats it, and rules may stand in two lists. */
    buf_init(&p.text, 16 * (size_t)ROBOTS_BYTES_MAX);
    each_line(&p, body);
    r->text = buf_detach(&p.text, &r->bytes);
    r->bytes += sizeof *r;
    for (size_t i = 0; i < r->n_kept; i++)
        settle(&r->kept[i], r->text);
    mine = p.names_us ? SCOPE_US : SCOPE_ALL;
    r->names_us = p.names_us;
    r->rules = compile(&p.rules[mine], r);
    r->n_rules = p.rules[mine].n;
    free(p.rules[mine == SCOPE_US ? SCOPE_ALL : SCOPE_US].v);
    for (int s = 0; s < SCOPES; s++) {
        r->signals[s] = compile(&p.signals[s], r);
        r->n_signals[s] = p.signals[s].n;
    }
    r->delay_ms = p.delay_ms[mine];
    return r;
}

void robots_free(struct robots *r)
{
    if (!r)
        return;
    free(r->rules);
    free(r->signals[0]);
    free(r->signals[1]);
    free(r->text);
    free(r);
}

/* ---- matching ---- */

/*
 * Greedy, left to right: the first place where a piece between stars fits
 * leaves the most room for the rest, so no choice is ever taken back.  Only
 * the last piece of an anchored pattern is bound to a place, the end.
 */
static bool matches(const struct robots_rule *r, struct str path)
{
    struct str rest = r->pattern, piece;
    size_t at = 0;
    bool first = true;

    while (str_split(&rest, '*', &piece)) {
        bool last = rest.p == NULL;

        if (last && r->anchored) {
            if (piece.n > path.n - at || (first && piece.n != path.n))
                return false;
            return str_eq(str_slice(path, path.n - piece.n, path.n), piece);
        }
        if (first) {
            if (!str_starts(path, piece))
                return false;
            at = piece.n;
        } else if (piece.n) {
            at = str_find(path, piece, at);
            if (at == SIZE_MAX)
                return false;
            at += piece.n;
        }
        first = false;
    }
    return true;
}

static const struct robots_rule *first_match(const struct robots_rule *v,
                                             size_t n, struct str path)
{
    for (size_t i = 0; i < n; i++)
        if (matches(&v[i], path))
            return &v[i];
    return NULL;
}

bool robots_allows(const struct robots *r, struct str path)
{
    const struct robots_rule *hit;
    struct buf norm;

    if (r->n_rules == 0 || str_eq(path, STR("/robots.txt")))
        return true;
    buf_init(&norm, BUF_NO_LIMIT);
    normalise(&norm, path.n ? path : STR("/"), false);
    hit = first_match(r->rules, r->n_rules, buf_str(&norm));
    buf_release(&norm);
    return !hit || hit->allow;
}

bool robots_reserves(const struct robots *r, struct str path)
{
    const struct robots_rule *hit;
    struct buf norm;

    if (r->n_signals[SCOPE_US] + r->n_signals[SCOPE_ALL] == 0)
        return false;
    buf_init(&norm, BUF_NO_LIMIT);
    normalise(&norm, path.n ? path : STR("/"), false);
    hit = first_match(r->signals[SCOPE_US], r->n_signals[SCOPE_US],
                      buf_str(&norm));
    if (!hit)
        hit = first_match(r->signals[SCOPE_ALL], r->n_signals[SCOPE_ALL],
                          buf_str(&norm));
    buf_release(&norm);
    return hit && hit->ai_train < 0;
}
