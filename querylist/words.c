#include "querylist/words.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/utf8.h"
#include "querylist/words_cut.h"
#include "querylist/words_fold.h"
#include "querylist/words_kind.h"
#include "querylist/words_space.h"

const char *const query_policy_names[] = {"words", "metaclip", NULL};

void words_init(struct words *w)
{
    *w = (struct words){0};
    buf_init(&w->text, BUF_NO_LIMIT);
    buf_init(&w->folded, BUF_NO_LIMIT);
    fold_init(&w->fold);
    w->fold.untabled = true; /* only what is not in the tables below */
    w->wide = words_can_cut_wide();
}

void words_release(struct words *w)
{
    free(w->span);
    free(w->stop);
    words_table_release(&w->table);
    free(w->window);
    buf_release(&w->text);
    buf_release(&w->folded);
    fold_release(&w->fold);
    words_init(w);
}

/* ---- room ---- */

static int reserve_words(struct words *w, size_t n)
{
    struct word_span *span;
    bool *stop;

    if (n <= w->cap)
        return 0;
    span = realloc(w->span, n * sizeof *span);
    if (span)
        w->span = span;
    stop = realloc(w->stop, n * sizeof *stop);
    if (stop)
        w->stop = stop;
    if (!span || !stop)
        return -E_NOMEM;
    w->cap = n;
    return 0;
}

int words_make_room(struct words *w, size_t n_words, size_t n_bytes)
{
    int rc = 0;

    if (n_words > w->cap)
        rc = reserve_words(w, w->n ? n_words + n_words / 2 : n_words);
    if (!rc && n_bytes > w->text.cap &&
        !buf_reserve(&w->text, n_bytes - w->text.n))
        rc = w->text.rc;
    return rc;
}

/* ---- default policy ---- */

#define ASCII_PIECE 64 /* bytes; a shorter one is folded with what follows */

/* Normalising does not reach across two characters of ASCII, so that a text
 * is the sum of its pieces. */
static int cut_text(struct cutter *c, struct str s)
{
    int rc = 0;

    while (!rc && s.n) {
        size_t n = s.n > WORDS_CHUNK ? utf8_ascii_span(s) : s.n;
        struct piece piece;

        if (n < s.n)
            n = n > ASCII_PIECE ? n - 1 : 0;
        piece = (struct piece){.p = s.p, .n = n, .lower = !c->keep};
        piece.last = n == s.n;
        piece.joins = !piece.last && words_joins_byte(s.p[n]);
        rc = words_reserve(c, n);
        if (!rc && (!n || !words_cut(c, &piece)))
            rc = words_cut_folded(c, s, &n);
        s = str_make(s.p + n, s.n - n);
    }
    return rc;
}

/* Behind the last word. */
static void end_words(struct cutter *c)
{
    struct words *w = c->w;
    struct word_span *last = w->span + w->n - 1;

    if (c->open)
        last->n = (uint32_t)(c->to - w->text.p) - last->at;
    else if (w->n)
        c->to--;
    w->stop_behind = c->stop;
    w->text.n = (size_t)(c->to - w->text.p);
    memset(c->to, 0, WORDS_SLACK);
}

static int split_words(struct words *w, struct str s, bool keep)
{
    struct cutter c = {.w = w, .keep = keep};
    int rc;

    buf_clear(&w->text);
    rc = s.n ? cut_text(&c, s) : words_reserve(&c, 0);
    if (rc) {
        w->n = 0;
        return rc;
    }
    end_words(&c);
    return 0;
}

/* ---- MetaCLIP's policy ---- */

#define SMALL_TEXT 8192 /* bytes */

/* Room for the words of s: for a bound where that is small, else for their
 * number. */
static int split_metaclip(struct words *w, struct str s, bool spaced)
{
    size_t n = 2 * s.n + 2;
    int rc;

    if (s.n > SMALL_TEXT)
        n = words_count_spaced(s, spaced);
    buf_clear(&w->text);
    w->n = 0;
    n += WORDS_BEYOND;
    rc = words_make_room(w, n, 3 * s.n + WORDS_BEYOND + WORDS_SLACK);
    if (rc)
        return rc;
    w->stop_behind = false;
    if (w->wide)
        words_space_wide(w, s, spaced);
    else
        words_space_plain(w, s, spaced);
    return 0;
}

/* ---- the door ---- */

int words_split(struct words *w, enum query_policy policy, struct str text)
{
    w->n = 0;
    if (text.n > WORDS_TEXT_MAX)
        return -E_TOOBIG;
    if (policy == QUERY_POLICY_METACLIP)
        return split_metaclip(w, text, true);
    return split_words(w, text, false);
}

int words_split_kept(struct words *w, struct str text)
{
    w->n = 0;
    if (text.n > WORDS_TEXT_MAX)
        return -E_TOOBIG;
    return split_words(w, text, true);
}

int words_norm(struct words *w, enum query_policy policy, struct str entry)
{
    w->n = 0;
    if (entry.n > WORDS_TEXT_MAX)
        return -E_TOOBIG;
    if (policy == QUERY_POLICY_METACLIP)
        return split_metaclip(w, entry, false);
    return split_words(w, entry, false);
}
