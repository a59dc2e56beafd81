#include "querylist/dump_cut.h"

#include "base/mem.h"
#include "querylist/dump_xml.h"

#define LOOK         16 /* bytes that tell what a < begins */
#define HISTORY_FROM 4  /* blocks that a page fills: old revisions go */

/* ---- messages ---- */

/* The title of the page at `from`, as far as it is there. */
struct str cut_title(const struct dump *d, size_t from, size_t to)
{
    struct xml x = {d->b.p + from, d->b.p + to, NULL};
    struct xml_text text;
    struct xml_tag t;

    xml_tag(&x, &t);
    xml_tag(&x, &t);
    if (t.kind != XML_OPEN || !str_eq(t.name, STR("title")) ||
        !xml_leaf(&x, t.name, &text))
        return STR("");
    return str_slice(text.raw, 0, CUT_TITLE);
}

/* Where byte `at` of b is, for people. */
void cut_place(const struct dump *d, size_t at, struct buf *out)
{
    bool in = d->in_page;
    uint64_t page = d->pages + d->n_pages + (in ? 1 : 0);
    struct str title = d->in_page || d->n_pages ? cut_title(d, d->page_at, at)
                                                : str_of(d->title);

    buf_addf(
        out, "byte %llu of the XML, ",
        (unsigned long long)dump_gaps_place(d->gaps, d->n_gaps, d->offset, at));
    if (page)
        buf_addf(out, "%s page %llu \"%.*s\"", in ? "in" : "behind",
                 (unsigned long long)page, STR_ARG(title));
    else
        buf_addf(out, "before the first page");
}

/* What is in b up to here will be handed out before anybody hears of it. */
static void fail(struct dump *d, size_t at, const char *what)
{
    struct buf where;

    buf_init(&where, ERR_MESSAGE_MAX);
    cut_place(d, at, &where);
    d->rc = err_set(&d->late, E_FORMAT, "%s: %.*s: %s", d->name,
                    STR_ARG(buf_str(&where)), what);
    buf_release(&where);
}

/* Bytes that no block will have; d->gaps remembers them, so that what is behind
 * keeps its place in the dump. */
static void take_out(struct dump *d, size_t from, size_t to)
{
    struct dump_gap *last = d->n_gaps ? &d->gaps[d->n_gaps - 1] : NULL;

    memmove(d->b.p + from, d->b.p + to, d->b.n - to + 1);
    d->b.n -= to - from;
    d->at -= to - from;
    if (last && last->at == from) {
        last->n += to - from;
        return;
    }
    d->gaps = xgrow(d->gaps, &d->cap_gaps, d->n_gaps + 1, sizeof *d->gaps);
    d->gaps[d->n_gaps++] = (struct dump_gap){from, to - from};
}

void cut_forget(struct dump *d)
{
    memmove(d->b.p, d->b.p + d->at, d->b.n - d->at + 1);
    d->b.n -= d->at;
    d->offset += d->at;
    d->at = 0;
}

/* Another export follows, at d->at; true when there is a need for more. */
static bool next_head(struct dump *d)
{
    struct str s = str_slice(buf_str(&d->b), d->at, SIZE_MAX);

    if (s.n < d->first_head.n && !d->eof)
        return true;
    if (d->eof && str_starts(buf_str(&d->first_head), s)) {
        d->torn = true;
        d->at = d->b.n;
    } else if (!str_starts(s, buf_str(&d->first_head))) {
        fail(d, d->at, "here begins another dump with another head");
    } else {
        d->at += d->first_head.n;
        d->in_export = !d->head.empty;
        cut_forget(d);
    }
    return false;
}

/* ---- cutting ---- */

/* Does the markup at d->at begin with s, and end its name there? */
static bool is_tag(const struct dump *d, struct str s)
{
    const char *p = d->b.p + d->at;

    return d->b.n - d->at > s.n && !memcmp(p, s.p, s.n) &&
           (p[s.n] == '>' || p[s.n] == '/' || str_is_space(p[s.n]));
}

/* Revisions are measured one by one, with what stands before them: whether a
 * page is too large does not depend on how much was read at a time. */
static void measure(struct dump *d, size_t end)
{
    size_t n;

    if (d->first_revision == CUT_NOWHERE)
        n = end - d->page_at;
    else
        n = d->first_revision - d->page_at + end - d->last_revision;
    d->over = d->over || n > DUMP_PAGE_MAX;
}

/* Only the last revision counts. */
static void drop_history(struct dump *d)
{
    if (d->first_revision == d->last_revision)
        return;
    take_out(d, d->first_revision, d->last_revision);
    d->last_revision = d->first_revision;
}

static void begin_page(struct dump *d)
{
    if (!d->n_pages)
        cut_forget(d); /* it may be the rest of a comment */
    d->in_page = true;
    d->over = false;
    d->page_at = d->at++;
    d->first_revision = d->last_revision = CUT_NOWHERE;
}

static void begin_revision(struct dump *d)
{
    measure(d, d->at);
    if (d->first_revision == CUT_NOWHERE)
        d->first_revision = d->at;
    d->last_revision = d->at++;
}

/* A closing tag of n bytes, < and name, at d->at.  False: its > is not read
 * yet. */
static bool close_tag(struct dump *d, size_t n)
{
    size_t to = d->at + n;

    while (to < d->b.n && str_is_space(d->b.p[to]))
        to++;
    if (to == d->b.n && !d->eof)
        return false;
    if (to == d->b.n) {
        d->at = to; /* cut off */
        return true;
    }
    if (d->b.p[to] != '>') {
        fail(d, d->at, "a closing tag without end");
        return true;
    }
    d->at = to + 1;
    if (!d->in_page) {
        d->in_export = false;
        return true;
    }
    measure(d, d->at);
    drop_history(d);
    d->in_page = false;
    d->pages_end = d->at;
    d->n_pages++;
    d->stop = d->over; /* a block of its own */
    return true;
}

/* At a < in a page.  False: more bytes are needed.  (Most are none of these:
 * a byte or two decide that.) */
static bool mark_in_page(struct dump *d)
{
    const char *p = d->b.p + d->at;

    if (p[1] == '/' && p[2] == 'p' && is_tag(d, STR("</page")))
        return close_tag(d, 6);
    if (p[1] == 'p' && is_tag(d, STR("<page")))
        fail(d, d->at, "a page begins in a page");
    else if (p[1] == 'r' && is_tag(d, STR("<revision")) && !d->over)
        begin_revision(d);
    else
        d->at++;
    return true;
}

/* At a < between pages. */
static bool mark_between(struct dump *d)
{
    if (!d->in_export) {
        if (!is_tag(d, STR("<mediawiki"))) {
            fail(d, d->at, "<mediawiki> or nothing expected");
            return true;
        }
        d->stop = d->n_pages > 0; /* its head is no part of a block */
        return !d->stop && !next_head(d);
    }
    if (is_tag(d, STR("<page")))
        begin_page(d);
    else if (is_tag(d, STR("</mediawiki")))
        return close_tag(d, 11);
    else
        fail(d, d->at, "<page> or </mediawiki> expected");
    return true;
}

/* At a < with ! or ? behind it. */
static void mark_special(struct dump *d)
{
    struct str s = str_slice(buf_str(&d->b), d->at, d->b.n);
    size_t n = 0;

    if (str_starts(s, STR("<!--")))
        d->until = STR("-->"), n = 4;
    else if (str_starts(s, STR("<?")))
        d->until = STR("?>"), n = 2;
    else if (str_starts(s, STR("<![CDATA[")) && d->in_page)
        d->until = STR("]]>"), n = 9;
    else
        fail(d, d->at, XML_DECLARATION);
    d->at += n;
}

/* At a <; false: more bytes are needed. */
static bool mark(struct dump *d)
{
    const char *p = d->b.p + d->at;
    size_t n = d->b.n - d->at;

    if (n < LOOK && !memchr(p, '>', n)) { /* at the end */
        d->torn = true;
        d->at = d->b.n;
        return true;
    }
    if (p[1] != '!' && p[1] != '?')
        return d->in_page ? mark_in_page(d) : mark_between(d);
    mark_special(d);
    return true;
}

/* Inside a comment or the like. */
static bool find_end(struct dump *d)
{
    struct str s = buf_str(&d->b);
    size_t hit = str_find(s, d->until, d->at), keep = d->until.n - 1;

    if (hit == SIZE_MAX) {
        if (s.n - d->at > keep)
            d->at = s.n - keep;
        return false;
    }
    d->at = hit + d->until.n;
    d->until.n = 0;
    return true;
}

static char *pass_space(char *p, const char *end)
{
    while (p < end && str_is_space(*p))
        p++;
    return p;
}

void cut_scan(struct dump *d)
{
    d->stop = false;
    while (!d->rc && !d->stop) {
        char *from = d->b.p + d->at, *end = d->b.p + d->b.n, *lt;

        if (d->until.n) {
            if (!find_end(d))
                return;
            continue;
        }
        lt = from < end ? memchr(from, '<', (size_t)(end - from)) : NULL;
        if (!d->in_page) {
            from = pass_space(from, end);
            if (from < (lt ? lt : end)) {
                fail(d, (size_t)(from - d->b.p), "text between pages");
                return;
            }
        }
        d->at = (size_t)((lt ? lt : end) - d->b.p);
        if (!lt || (end - lt < LOOK && !d->eof) || !mark(d))
            return;
    }
}

/* ---- keeping b small ---- */

/* No whole page is in b: leave out what no block will need. */
void cut_shrink(struct dump *d)
{
    if (!d->in_page) {
        cut_forget(d);
        return;
    }
    if (d->b.n - d->page_at > HISTORY_FROM * d->options.block_bytes)
        drop_history(d);
    measure(d, d->at);
    if (d->over && d->at > d->page_at + CUT_KEEP) {
        take_out(d, d->page_at + CUT_KEEP, d->at);
        d->first_revision = d->last_revision = CUT_NOWHERE;
    }
}
