#include "querylist/pageviews.h"

#include <stdio.h>

#include "base/log.h"

#define CHUNK ((size_t)1 << 18) /* bytes read at once */

/* ---- which lines ---- */

struct family {
    const char *code; /* in the hourly files */
    const char *name; /* in the complete ones */
};

static const struct family families[] = {
    {"z", "wikipedia"},   {"b", "wikibooks"},    {"d", "wiktionary"},
    {"n", "wikinews"},    {"q", "wikiquote"},    {"s", "wikisource"},
    {"v", "wikiversity"}, {"voy", "wikivoyage"},
};

static const struct family *family_named(struct str name)
{
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (str_eq(name, str_of(families[i].code)) ||
            str_eq(name, str_of(families[i].name)))
            return &families[i];
    return NULL;
}

static bool is_language(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !str_is_digit(s.p[i]) &&
            s.p[i] != '-')
            return false;
    return s.n > 0 && s.n <= 24;
}

static void add_code(struct pageviews_project *p, struct str language,
                     const char *access, const char *family)
{
    snprintf(p->codes[p->n], sizeof p->codes[p->n], "%.*s%s%s%s",
             STR_ARG(language), access, *family ? "." : "", family);
    p->n++;
}

int pageviews_project(struct pageviews_project *p, const char *name,
                      struct err *e)
{
    static const char *const access[] = {"", ".m", ".zero"};
    struct str s = str_of(name);
    size_t dot = str_find_char(s, '.', 0);
    struct str language = str_slice(s, 0, dot);
    const struct family *family =
        dot == SIZE_MAX ? families : family_named(str_slice(s, dot + 1, s.n));

    *p = (struct pageviews_project){.language = language.n};
    if (!family || !is_language(language))
        return err_set(e, E_USAGE,
                       "--project %s: expected a language, or with a project "
                       "of its own like de.wikisource",
                       name);
    for (size_t i = 0; i < 3; i++)
        add_code(p, language, access[i], family->code);
    for (size_t i = 0; i < 3 && family == families; i++)
        add_code(p, language, access[i], "");
    add_code(p, language, "", family->name);
    p->exact_case = str_eq(str_of(family->name), STR("wiktionary"));
    return 0;
}

static bool is_code(const struct pageviews_project *p, struct str code)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(code, str_of(p->codes[i])))
            return true;
    return false;
}

/* ---- which period ---- */

/* The first n bytes of s as a number, or UINT32_MAX. */
static uint32_t digits(struct str s, size_t n)
{
    uint64_t v;

    if (s.n < n || str_u64(str_slice(s, 0, n), &v))
        return UINT32_MAX;
    return (uint32_t)v;
}

static bool is_date(uint32_t yyyymmdd)
{
    return yyyymmdd != UINT32_MAX && yyyymmdd / 100 % 100 - 1 < 12 &&
           yyyymmdd % 100 - 1 < 31;
}

struct pageviews_period pageviews_period(const char *path)
{
    static const char *const prefixes[] = {"pageviews-", "pagecounts-"};
    const char *slash = strrchr(path, '/');
    struct str name = str_of(slash ? slash + 1 : path);
    struct str rest = STR_NONE;
    size_t run = 0;
    uint32_t date, hour;

    for (size_t i = 0; i < 2; i++)
        if (str_starts(name, str_of(prefixes[i])))
            rest = str_slice(name, strlen(prefixes[i]), name.n);
    while (run < rest.n && str_is_digit(rest.p[run]))
        run++;
    date = digits(rest, run);
    if (run == 6 && is_date(date * 100 + 1))
        return (struct pageviews_period){PAGEVIEWS_MONTH, date};
    if (run != 8 || !is_date(date))
        return (struct pageviews_period){PAGEVIEWS_OWN, 0};
    rest = str_slice(rest, run, rest.n);
    if (str_starts(rest, STR("-")) &&
        digits(str_slice(rest, 1, 7), 6) != UINT32_MAX) {
        hour = digits(str_slice(rest, 1, 3), 2);
        if (hour < 24)
            return (struct pageviews_period){PAGEVIEWS_HOUR, date * 24 + hour};
    }
    return (struct pageviews_period){PAGEVIEWS_DAY, date};
}

/* ---- a line ---- */

/* Without the quotes and backslashes of the complete form.  A title that only
 * begins and ends with a quotation mark (a song's) has no backslash before
 * those within, and stays. */
static struct str unquoted(struct pageviews *p, struct str s)
{
    struct str inner = str_slice(s, 1, s.n - 1);
    bool escapes = false;
    size_t n = 0;

    if (s.n < 3 || s.p[0] != '"' || s.p[s.n - 1] != '"')
        return s;
    for (size_t i = 0; i < inner.n; i++) {
        if (inner.p[i] == '\\' && i + 1 < inner.n &&
            (inner.p[i + 1] == '"' || inner.p[i + 1] == '\\')) {
            escapes = true;
            i++;
        } else if (inner.p[i] == '"') {
            return s;
        }
        p->title[n++] = inner.p[i];
    }
    return escapes ? str_make(p->title, n) : s;
}

/* A1B23 into slots; returns how many, or -1. */
static int read_slots(const struct pageviews *p, struct str s,
                      struct pageviews_slot to[PAGEVIEWS_SLOTS], uint64_t *sum)
{
    size_t i = 0;
    int n = 0;

    *sum = 0;
    while (i < s.n) {
        unsigned at = (unsigned)(unsigned char)s.p[i] - 'A';
        size_t from = ++i;
        uint64_t v = 0;

        while (i < s.n && i - from < 11 && str_is_digit(s.p[i]))
            v = v * 10 + (uint64_t)(s.p[i++] - '0');
        if (at >= p->slots || i == from || v > PAGEVIEWS_VIEWS_MAX ||
            n == PAGEVIEWS_SLOTS || (n && at <= to[n - 1].at))
            return -1;
        to[n++] = (struct pageviews_slot){at, v};
        *sum += v;
    }
    return n ? n : -1;
}

static int give(struct pageviews *p, struct str title,
                const struct pageviews_slot *v, int n, struct err *e)
{
    p->lines++;
    return p->fn(p->ctx, unquoted(p, title), v, (size_t)n, e);
}

static int drop(struct pageviews *p, const char *reason)
{
    tally_add(p->drops, reason, 1);
    if (!p->bad++) {
        p->first_bad = p->number;
        p->first_reason = reason;
    }
    return 0;
}

/* rest: what stands behind the code. */
static int read_line(struct pageviews *p, struct str rest, struct err *e)
{
    struct pageviews_slot slots[PAGEVIEWS_SLOTS];
    struct str field[6];
    uint64_t total, sum;
    size_t n = 0;
    int got = 1;

    if (rest.n && rest.p[rest.n - 1] == '\r')
        rest.n--;
    while (n < 6 && str_split(&rest, ' ', &field[n]))
        n++;
    if (n < 3 || n > 5 || !field[0].n)
        return drop(p, "views-fields");
    if (n == 3 && !str_u64(field[2], &total)) { /* hourly */
        if (str_u64(field[1], &total) || total > PAGEVIEWS_VIEWS_MAX)
            return drop(p, "views-number");
        slots[0] = (struct pageviews_slot){0, total};
        return give(p, field[0], slots, got, e);
    }
    if (str_u64(field[n - 2], &total))
        return drop(p, "views-number");
    got = read_slots(p, field[n - 1], slots, &sum);
    if (got < 0)
        return drop(p, "views-slots");
    if (sum != total)
        return drop(p, "views-sum");
    return give(p, field[0], slots, got, e);
}

/* Whether the line is of the project; *rest is then behind the code. */
static bool is_ours(const struct pageviews_project *project, struct str line,
                    struct str *rest)
{
    const char *space;
    size_t n;

    if (line.n <= project->language ||
        memcmp(line.p, project->codes[0], project->language) != 0 ||
        (line.p[project->language] != ' ' && line.p[project->language] != '.'))
        return false;
    space = memchr(line.p, ' ', line.n);
    n = space ? (size_t)(space - line.p) : line.n;
    if (!is_code(project, str_make(line.p, n)))
        return false;
    *rest = space ? str_slice(line, n + 1, line.n) : STR("");
    return true;
}

/* ---- a file ---- */

/* The whole lines of s; *used says how far they go. */
static int read_lines(struct pageviews *p, struct str s, size_t *used,
                      struct err *e)
{
    const char *at = s.p, *end = s.p + s.n, *stop;
    int rc = 0;

    while (!rc && at < end &&
           (stop = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        struct str line = str_make(at, (size_t)(stop - at)), rest;

        p->number++;
        at = stop + 1;
        if (!is_ours(p->project, line, &rest))
            continue;
        if (line.n > PAGEVIEWS_LINE_MAX)
            rc = drop(p, "views-too-long");
        else
            rc = read_line(p, rest, e);
    }
    *used = (size_t)(at - s.p);
    return rc;
}

void pageviews_init(struct pageviews *p,
                    const struct pageviews_project *project, pageviews_fn fn,
                    void *ctx, struct tally *drops)
{
    *p = (struct pageviews){
        .project = project, .fn = fn, .ctx = ctx, .drops = drops};
    buf_init(&p->buffer, 2 * CHUNK + 1);
}

void pageviews_release(struct pageviews *p)
{
    buf_release(&p->buffer);
}

/* A line that fills the buffer: its begin says whose it was, the rest of it is
 * passed over. */
static int skip_line(struct pageviews *p, bool *skipping)
{
    struct str rest;
    bool ours = is_ours(p->project, buf_str(&p->buffer), &rest);

    buf_clear(&p->buffer);
    *skipping = true;
    if (!ours)
        return 0;
    p->number++; /* its number, for the message; counted where it ends */
    drop(p, "views-too-long");
    p->number--;
    return 0;
}

/* Forget the first n bytes of the buffer. */
static void forget(struct buf *b, size_t n)
{
    if (n)
        memmove(b->p, b->p + n, b->n - n);
    b->n -= n;
}

static int read_chunk(struct pageviews *p, bool *skipping, struct err *e)
{
    size_t used = 0;
    int rc;

    if (*skipping) {
        size_t stop = str_find_char(buf_str(&p->buffer), '\n', 0);

        if (stop == SIZE_MAX) {
            buf_clear(&p->buffer);
            return 0;
        }
        p->number++;
        forget(&p->buffer, stop + 1);
        *skipping = false;
    }
    rc = read_lines(p, buf_str(&p->buffer), &used, e);
    forget(&p->buffer, used);
    if (!rc && p->buffer.n > CHUNK)
        rc = skip_line(p, skipping);
    return rc;
}

int pageviews_read_stream(struct pageviews *p, struct stream *in,
                          const char *name, struct err *e)
{
    enum pageviews_unit unit = pageviews_period(name).unit;
    bool skipping = false;
    size_t got = 1;
    int rc = 0;

    p->slots =
        unit == PAGEVIEWS_HOUR || unit == PAGEVIEWS_DAY ? 24 : PAGEVIEWS_SLOTS;
    p->number = p->bad = 0;
    buf_clear(&p->buffer);
    while (!rc && got) {
        char *to = buf_reserve(&p->buffer, CHUNK);

        if (!to)
            return err_set(e, E_NOMEM, "a buffer for %s", name);
        rc = stream_read(in, to, CHUNK, &got, e);
        p->buffer.n += rc ? 0 : got;
        if (!rc && !got && p->buffer.n) /* a last line without its ending */
            buf_add_char(&p->buffer, '\n');
        if (!rc && p->buffer.n)
            rc = read_chunk(p, &skipping, e);
    }
    if (!rc && p->bad)
        log_event("warning", "%s:%llu: %s: %llu such lines are left out", name,
                  (unsigned long long)p->first_bad, p->first_reason,
                  (unsigned long long)p->bad);
    return rc;
}

int pageviews_read(struct pageviews *p, const char *path, struct err *e)
{
    struct stream *in;
    int rc = stream_open(&in, path, e);

    if (rc)
        return rc;
    rc = pageviews_read_stream(p, in, path, e);
    stream_close(in);
    return rc;
}
