/* The first scan: what of a page is no text. */
#include <stdlib.h>

#include "base/err.h"
#include "querylist/wikitext_parts.h"

enum frame_kind { FRAME_BRACES, FRAME_TABLE, FRAME_HTML_TABLE, FRAME_KINDS };

struct cutter {
    struct wikitext *w;
    struct str text;
    size_t n_frames;
    uint32_t open[FRAME_KINDS]; /* frames of a kind */
    bool unclosed[TAG_IDS];     /* no end tag of that name follows */
    bool no_comment_end;        /* no --> follows */
    int rc;
};

static void add_cut(struct cutter *c, struct wikitext_cut cut)
{
    struct wikitext *w = c->w;

    /* What it holds has been cut before. */
    while (w->n_cuts && w->cuts[w->n_cuts - 1].from >= cut.from)
        w->n_cuts--;
    if (w->n_cuts == w->cap_cuts) {
        size_t cap = w->cap_cuts ? 2 * w->cap_cuts : 256;
        struct wikitext_cut *grown = realloc(w->cuts, cap * sizeof *grown);

        if (!grown) {
            c->rc = -E_NOMEM;
            return;
        }
        w->cuts = grown;
        w->cap_cuts = cap;
    }
    w->cuts[w->n_cuts++] = cut;
}

static void cut_out(struct cutter *c, enum cut_kind kind, size_t from,
                    size_t to)
{
    add_cut(c, (struct wikitext_cut){
                   .from = (uint32_t)from, .to = (uint32_t)to, .kind = kind});
}

static void push(struct cutter *c, enum frame_kind kind, size_t at, size_t n)
{
    if (c->n_frames == WIKITEXT_DEPTH)
        return;
    c->w->frames[c->n_frames++] =
        (struct wikitext_frame){(uint32_t)at, (uint16_t)n, (uint16_t)kind};
    c->open[kind]++;
}

/* The innermost frame of a kind that is open; those in it were never closed,
 * and go. */
static struct wikitext_frame *innermost(struct cutter *c, enum frame_kind kind)
{
    struct wikitext_frame *f;

    if (!c->open[kind])
        return NULL;
    for (;;) {
        f = &c->w->frames[c->n_frames - 1];
        if (f->kind == kind)
            return f;
        c->open[f->kind]--;
        c->n_frames--;
    }
}

static void pop(struct cutter *c)
{
    c->n_frames--;
    c->open[c->w->frames[c->n_frames].kind]--;
}

/* Does `at` begin a line, but for what may stand before a table's braces and
 * for what has been cut there (comments, mostly)? */
static bool at_line_start(struct cutter *c, size_t at)
{
    const struct wikitext *w = c->w;
    size_t n_cuts = w->n_cuts, from = at;

    for (;; c->w->steps++) {
        if (from == 0 || c->text.p[from - 1] == '\n')
            return true;
        if (n_cuts && w->cuts[n_cuts - 1].to == from &&
            w->cuts[n_cuts - 1].kind == CUT_INLINE)
            from = w->cuts[--n_cuts].from;
        else if (strchr(" \t:", c->text.p[from - 1]))
            from--;
        else
            return false;
    }
}

static size_t run_end(struct str text, size_t at)
{
    char c = text.p[at];

    do
        at++;
    while (at < text.n && text.p[at] == c);
    return at;
}

static size_t open_braces(struct cutter *c, size_t at)
{
    size_t end = run_end(c->text, at), n = end - at;

    if (n > UINT16_MAX)
        n = UINT16_MAX; /* the innermost */
    if (n >= 2)
        push(c, FRAME_BRACES, end - n, n);
    else if (end < c->text.n && c->text.p[end] == '|' && at_line_start(c, at))
        push(c, FRAME_TABLE, at, 0);
    return end;
}

/* n closing braces at `at`; those of a template match two at a time, those of
 * a parameter three, from the inside. */
static void close_braces(struct cutter *c, size_t at, size_t n)
{
    while (n >= 2) {
        struct wikitext_frame *f = innermost(c, FRAME_BRACES);
        size_t match;

        if (!f)
            return;
        match = n < f->n ? n : f->n;
        if (match > 3)
            match = 3;
        f->n = (uint16_t)(f->n - match);
        at += match;
        n -= match;
        cut_out(c, CUT_INLINE, f->at + f->n, at);
        if (f->n < 2)
            pop(c);
    }
}

static void close_table(struct cutter *c, enum frame_kind kind, size_t to)
{
    struct wikitext_frame *f = innermost(c, kind);

    if (!f)
        return;
    cut_out(c, CUT_BLOCK, f->at, to);
    pop(c);
}

static size_t read_closing(struct cutter *c, size_t at)
{
    size_t end = run_end(c->text, at);

    /* |} ends a table; |}} a template whose last parameter is empty, unless a
     * table is what is open. */
    if (c->open[FRAME_TABLE] && at > 0 && c->text.p[at - 1] == '|' &&
        at_line_start(c, at - 1) &&
        (end - at == 1 || c->w->frames[c->n_frames - 1].kind == FRAME_TABLE)) {
        close_table(c, FRAME_TABLE, at + 1);
        at++;
    }
    if (end - at >= 2)
        close_braces(c, at, end - at);
    return end;
}

/* A comment goes with its line if there is nothing else on it. */
static size_t read_comment(struct cutter *c, size_t at)
{
    struct str text = c->text;
    size_t from = at, to, end;

    end = c->no_comment_end ? SIZE_MAX : str_find(text, STR("-->"), at + 4);
    if (end == SIZE_MAX) {
        c->no_comment_end = true;
        cut_out(c, CUT_INLINE, at, at + 4);
        return at + 4;
    }
    end += 3;
    to = end;
    while (from > 0 && text.p[from - 1] == ' ')
        from--;
    while (to < text.n && text.p[to] == ' ')
        to++;
    c->w->steps += at - from + to - end;
    if ((from == 0 || text.p[from - 1] == '\n') && to < text.n &&
        text.p[to] == '\n') {
        cut_out(c, CUT_INLINE, from, to + 1);
        return to + 1;
    }
    cut_out(c, CUT_INLINE, at, end);
    return end;
}

static bool has_heading(const char *p, size_t n)
{
    const char *end = p + n;

    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        p++;
        if (end - p >= 2 && p[0] == '=' && p[1] == '=')
            return true;
    }
    return false;
}

/* </ref name="x"> ends nothing; </ref without its > does. */
static bool is_end_tag(struct cutter *c, struct tag *t)
{
    tag_end(c->text, t, &c->w->steps);
    return !t->end ||
           str_trim(str_slice(c->text, t->name_end, t->end - 1)).n == 0;
}

/* The < of the end tag of t, or SIZE_MAX.  A reference that another one begins
 * in, or a heading, was never closed. */
static size_t find_end_tag(struct cutter *c, const struct tag *t)
{
    struct str text = c->text;
    size_t at = t->end;
    bool ref = str_lower_char(text.p[t->name]) == 'r';

    for (;;) {
        size_t next = str_find_char(text, '<', at);
        struct tag found;

        c->w->steps += (next == SIZE_MAX ? text.n : next) - at;
        if (ref &&
            has_heading(text.p + at, (next == SIZE_MAX ? text.n : next) - at))
            return SIZE_MAX;
        if (next == SIZE_MAX) {
            c->unclosed[t->id] = true;
            return SIZE_MAX;
        }
        found = tag_at(text, next);
        at = next + 1;
        if (found.kind == TAG_NONE || found.id != t->id)
            continue;
        if (found.close && is_end_tag(c, &found))
            return next;
        if (found.close || t->kind >= TAG_LITERAL || t->lax)
            continue;
        tag_end(text, &found, &c->w->steps);
        if (!found.empty)
            return SIZE_MAX;
    }
}

/* An element whose content is no wikitext, or none that counts. */
static size_t read_element(struct cutter *c, size_t at, struct tag *t)
{
    static const enum cut_kind kind[] = {
        [TAG_DROP] = CUT_INLINE,
        [TAG_DROP_BLOCK] = CUT_BLOCK,
        [TAG_LITERAL] = CUT_LITERAL,
        [TAG_LITERAL_BLOCK] = CUT_LITERAL_BLOCK,
    };
    struct tag close;
    size_t inside_end;

    tag_end(c->text, t, &c->w->steps);
    if (!t->end)
        return t->name_end;
    /* The tag alone is the second scan's, which drops it. */
    if (t->close || t->empty || c->unclosed[t->id])
        return t->end;
    inside_end = find_end_tag(c, t);
    if (inside_end == SIZE_MAX)
        return t->end;
    close = tag_at(c->text, inside_end);
    tag_end(c->text, &close, &c->w->steps);
    if (!close.end)
        close.end = close.name_end;
    add_cut(c, (struct wikitext_cut){(uint32_t)at, close.end, t->end,
                                     (uint32_t)inside_end, kind[t->kind]});
    return close.end;
}

static size_t read_angle(struct cutter *c, size_t at)
{
    struct tag t;

    if (c->text.n - at >= 4 && memcmp(c->text.p + at, "<!--", 4) == 0)
        return read_comment(c, at);
    t = tag_at(c->text, at);
    if (t.kind >= TAG_DROP)
        return read_element(c, at, &t);
    if (t.kind == TAG_TABLE) {
        tag_end(c->text, &t, &c->w->steps);
        if (t.end && t.close)
            close_table(c, FRAME_HTML_TABLE, t.end);
        else if (t.end && !t.empty)
            push(c, FRAME_HTML_TABLE, at, 0);
        return t.end ? t.end : t.name_end;
    }
    return at + 1;
}

int wikitext_cut(struct wikitext *w, struct str text)
{
    struct cutter c = {.w = w, .text = text};
    struct scan scan;
    size_t at = 0;

    w->n_cuts = 0;
    scan_init(&scan, text);
    for (;;) {
        at = scan_next(&scan, at, text.n, scan_cuts);
        if (at == text.n || c.rc)
            return c.rc;
        if (text.p[at] == '{')
            at = open_braces(&c, at);
        else if (text.p[at] == '}')
            at = read_closing(&c, at);
        else
            at = read_angle(&c, at);
    }
}
