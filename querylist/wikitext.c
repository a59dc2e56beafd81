/* The second scan: lines, emphasis, and all that is plain. */
#include "querylist/wikitext.h"

#include <stdlib.h>

#include "base/err.h"
#include "querylist/words.h"
#include "querylist/wikitext_parts.h"

#define MAGIC_MAX 60 /* bytes of a magic word */

_Static_assert(WIKITEXT_TEXT_MAX(WIKITEXT_MAX) <= WORDS_TEXT_MAX,
               "the text of a page can be cut into words");

void wikitext_init(struct wikitext *w)
{
    memset(w, 0, sizeof *w);
}

void wikitext_release(struct wikitext *w)
{
    free(w->cuts);
    wikitext_init(w);
}

/* ---- fragments ---- */

void skip_to(struct reader *k, size_t at)
{
    while (k->cut < k->cut_end && k->cut->from < at) {
        if (k->cut->to > at)
            at = k->cut->to;
        k->cut++;
    }
    k->at = at;
    k->end = k->cut < k->cut_end ? k->cut->from : k->text.n;
}

/* What a cut leaves behind. */
static void read_cut(struct reader *k)
{
    const struct wikitext_cut *cut = k->cut;
    bool block = cut->kind == CUT_BLOCK || cut->kind == CUT_LITERAL_BLOCK;

    if (block)
        put_block(k);
    if (cut->kind == CUT_LITERAL || cut->kind == CUT_LITERAL_BLOCK)
        put_literal(k, str_slice(k->text, cut->inside, cut->inside_end));
    if (cut->kind == CUT_LITERAL_BLOCK)
        put_block(k);
    skip_to(k, cut->to);
}

/* ---- lines ---- */

/* What stands before the words of a cell or a template's parameter: a cell's
 * attributes, or a name.  Returns where the words begin. */
static size_t cell_start(struct reader *k, size_t at)
{
    size_t words = at, i;

    for (i = at; i < k->end; i++) {
        char c = k->text.p[i];

        if (c == '\n' || c == '[' || c == '<')
            break;
        if (c == '|') {
            /* A bar after an = ends attributes, two begin a cell. */
            if (words > at && peek(k, i + 1) != '|')
                words = i + 1;
            break;
        }
        if (c == '=' && words == at)
            words = i + 1;
    }
    k->w->steps += i - at;
    return words;
}

static void skip_line(struct reader *k)
{
    size_t end = str_find_char(str_slice(k->text, 0, k->end), '\n', k->at);

    k->at = end == SIZE_MAX ? k->end : end;
}

/* A line of a table or a template that was never closed. */
static void begin_cell(struct reader *k)
{
    char next = peek(k, k->at + 1);

    k->block = true;
    put_block(k);
    if (next == '-' || next == '}')
        skip_line(k);
    else
        k->at = cell_start(k, k->at + 1 + (next == '+'));
}

/* {| of a table that is not closed, with its attributes. */
static void begin_table(struct reader *k)
{
    if (peek(k, k->at) != '{' || peek(k, k->at + 1) != '|')
        return;
    put_block(k);
    skip_line(k);
}

static void begin_list(struct reader *k)
{
    put_block(k);
    k->block = true;
    for (char c = peek(k, k->at); c == '*' || c == '#' || c == ':' || c == ';';
         c = peek(k, k->at))
        k->at++;
    begin_table(k);
}

static void begin_line(struct reader *k)
{
    k->fresh = k->at == k->end && k->cut < k->cut_end;
    k->line = k->to;
    switch (peek(k, k->at)) {
    case '*':
    case '#':
    case ':':
    case ';':
        begin_list(k);
        break;
    case '=':
        put_block(k);
        k->heading = true;
        while (peek(k, k->at) == '=')
            k->at++;
        break;
    case '|':
    case '!':
        if (peek(k, k->at) == '|' || peek(k, k->at + 1) == ' ')
            begin_cell(k);
        break;
    case '-':
        if (str_starts(str_slice(k->text, k->at, k->end), STR("----"))) {
            put_block(k);
            while (peek(k, k->at) == '-')
                k->at++;
        }
        break;
    case '{':
        begin_table(k);
        break;
    default:
        break;
    }
}

/* Of a line whose apostrophes do not pair, MediaWiki reads one ''' as ' and '',
 * by preference the one behind a single letter. */
static void mend_emphasis(struct reader *k)
{
    for (size_t i = 0; i < 3; i++) {
        char *at = k->base + k->lonely[i] - 1;

        if (!k->lonely[i] || at < k->line || at > k->to)
            continue;
        k->w->steps += (size_t)(k->to - at);
        memmove(at + 1, at, (size_t)(k->to - at));
        *at = '\'';
        k->to++;
        return;
    }
}

static void end_line(struct reader *k)
{
    if (k->bold & k->italic & 1)
        mend_emphasis(k);
    if (k->heading) {
        trim_spaces(k);
        while (k->to > k->line && k->to[-1] == '=')
            k->to--;
    }
    if (k->heading || k->block)
        put_block(k);
    k->heading = k->block = false;
    k->bold = k->italic = k->labels = 0;
    k->lonely[0] = k->lonely[1] = k->lonely[2] = 0;
    k->target = NULL;
}

static void read_line_end(struct reader *k)
{
    end_line(k);
    put_line_end(k);
    k->at++;
    begin_line(k);
}

/* ---- characters ---- */

static void read_apostrophes(struct reader *k)
{
    size_t n = 0, which;

    while (peek(k, k->at + n) == '\'')
        n++;
    k->at += n;
    for (; n == 1 || n == 4 || n > 5; n--)
        *k->to++ = '\'';
    k->bold += n == 3 || n == 5;
    k->italic += n == 2 || n == 5;
    if (n != 3)
        return;
    which = k->to > k->line && k->to[-1] == ' '        ? 2
            : k->to - k->line >= 2 && k->to[-2] == ' ' ? 0
                                                       : 1;
    if (!k->lonely[which])
        k->lonely[which] = (size_t)(k->to - k->base) + 1;
}

/* __NOTOC__ and the like, of any language. */
static void read_magic(struct reader *k)
{
    size_t at = k->at + 2;
    char c;

    if (peek(k, k->at + 1) == '_') {
        for (; at - k->at < MAGIC_MAX; at++) {
            c = peek(k, at);
            if (c == '_' && peek(k, at + 1) == '_' && at > k->at + 3) {
                k->at = at + 2;
                return;
            }
            if (c != '_' && !(c >= 'A' && c <= 'Z') && (unsigned char)c < 0x80)
                break;
        }
        k->w->steps += at - k->at;
    }
    *k->to++ = '_';
    k->at++;
}

static void read_bar(struct reader *k)
{
    /* What a template or a comment stood in was the target of a link. */
    if (k->target && k->target <= k->to)
        k->to = k->target;
    else
        *k->to++ = '|';
    k->target = NULL;
    k->at++;
}

static void read_char(struct reader *k)
{
    switch (k->text.p[k->at]) {
    case '\n':
        read_line_end(k);
        break;
    case '[':
        read_bracket(k);
        break;
    case ']':
        read_close_bracket(k);
        break;
    case '\'':
        read_apostrophes(k);
        break;
    case '<':
        read_tag(k);
        break;
    case '&':
        read_entity(k);
        break;
    case ':':
        read_address(k);
        break;
    case '{':
    case '}':
        read_brace(k);
        break;
    case '|':
        read_bar(k);
        break;
    default:
        read_magic(k);
        break;
    }
}

static void read_fragments(struct reader *k)
{
    begin_line(k);
    for (;;) {
        size_t next = scan_next(&k->scan, k->at, k->end, scan_text);

        put_run(k, next - k->at);
        if (next < k->end) {
            read_char(k);
        } else if (k->cut < k->cut_end) {
            read_cut(k);
            if (k->fresh)
                begin_line(k);
        } else {
            end_line(k);
            return;
        }
    }
}

/* #REDIRECT [[target]] is nobody's text. */
static void skip_redirect(struct reader *k)
{
    struct str text = str_slice(k->text, 0, k->end);
    size_t at = 0, close;

    while (at < text.n && str_is_space(text.p[at]))
        at++;
    if (!str_ieq(str_slice(text, at, at + 9), STR("#redirect")))
        return;
    close = str_find(text, STR("]]"), at);
    if (close != SIZE_MAX)
        k->at = close + 2;
}

int wikitext_text(struct wikitext *w, const struct dump_site *site,
                  struct str wikitext, struct buf *out)
{
    struct reader k = {.w = w, .site = site, .text = wikitext};
    int rc;

    if (wikitext.n > WIKITEXT_MAX)
        return -E_TOOBIG;
    if (wikitext.n == 0)
        return out->rc;
    rc = wikitext_cut(w, wikitext);
    if (rc)
        return rc;
    k.to = k.base = buf_reserve(out, WIKITEXT_TEXT_MAX(wikitext.n));
    if (!k.to)
        return out->rc;
    k.cut = w->n_cuts ? w->cuts : NULL;
    k.cut_end = w->n_cuts ? w->cuts + w->n_cuts : NULL;
    scan_init(&k.scan, wikitext);
    skip_to(&k, 0);
    skip_redirect(&k);
    read_fragments(&k);
    while (k.to > k.base && str_is_space(k.to[-1]))
        k.to--;
    out->n += (size_t)(k.to - k.base);
    out->p[out->n] = 0;
    return 0;
}
