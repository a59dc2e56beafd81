#include "filter/textrules.h"

#include <stdlib.h>

#include "base/fold.h"
#include "base/io.h"
#include "base/utf8.h"
#include "filter/textmarks.h"

#define REPETITION_WORDS 8 /* shorter texts may repeat themselves */

const char *const textrules_unknown_names[] = {"keep", "drop", NULL};

/* ---- opening ---- */

static int open_list(struct blocklist *b, enum blocklist_kind kind,
                     const char *path, char sha256[SHA256_HEX], struct err *e)
{
    int rc = path ? io_sha256_file(path, sha256, e) : 0;

    return rc || !path ? rc : blocklist_open(b, kind, path, e);
}

static int open_language(struct textrules *r, struct err *e)
{
    const struct textrules_config *c = r->c;
    struct str codes = str_of(c->language);

    r->languages = codes.n && !str_eq(codes, STR("any"));
    if (!r->languages)
        return 0;
    r->language.min_bytes = c->language_bytes;
    r->language.min_percent = c->language_percent;
    r->language.reliable = c->language_reliable;
    return language_set_parse(&r->language.wanted, codes, e);
}

int textrules_open(struct textrules *r, const struct textrules_config *c,
                   struct err *e)
{
    int rc;

    *r = (struct textrules){.c = c};
    r->marks = c->link || c->markup || c->entity || c->template || c->code;
    rc = open_language(r, e);
    if (!rc)
        rc = open_list(&r->terms, BLOCKLIST_TERMS, c->block_terms,
                       r->terms_sha256, e);
    if (!rc)
        rc = open_list(&r->hosts, BLOCKLIST_HOSTS, c->block_hosts,
                       r->hosts_sha256, e);
    if (!rc)
        rc = open_list(&r->urls, BLOCKLIST_URLS, c->block_urls, r->urls_sha256,
                       e);
    if (rc)
        textrules_close(r);
    return rc;
}

void textrules_close(struct textrules *r)
{
    blocklist_close(&r->terms);
    blocklist_close(&r->hosts);
    blocklist_close(&r->urls);
    *r = (struct textrules){0};
}

void textrules_scratch_release(struct textrules_scratch *s)
{
    phrase_ids_release(&s->ids);
    *s = (struct textrules_scratch){0};
}

void textrules_add_inputs(const struct textrules *r, struct stage_inputs *in)
{
    if (r->terms_sha256[0])
        stage_inputs_add(in, "block-terms", r->terms_sha256);
    if (r->hosts_sha256[0])
        stage_inputs_add(in, "block-hosts", r->hosts_sha256);
    if (r->urls_sha256[0])
        stage_inputs_add(in, "block-urls", r->urls_sha256);
}

/* ---- the URL ---- */

static bool svg(struct str url)
{
    size_t end = str_find_char(url, '?', 0);
    struct str path = str_slice(url, 0, end);

    return str_iends(path, STR(".svg")) || str_iends(path, STR(".svgz"));
}

static bool contains_any(struct str url, const struct opt_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_find(url, str_of(l->v[i]), 0) != SIZE_MAX)
            return true;
    return false;
}

static const char *judge_url(const struct textrules *r, struct str url)
{
    if (r->c->svg && svg(url))
        return "svg";
    if (contains_any(url, &r->c->url_contains))
        return "url-contains";
    if (r->c->block_hosts && blocklist_has_host(&r->hosts, url))
        return "block-host";
    if (r->c->block_urls && blocklist_has_url(&r->urls, url))
        return "block-url";
    return NULL;
}

/* ---- words ---- */

/* Words of navigation, folded, by their first letter; between spaces.  A text
 * that has no other speaks of the page, not of the picture. */
static bool is_navigation(struct str word)
{
    static const char *const by_letter[26] = {
        ['a' - 'a'] = "arrow",
        ['b' - 'a'] = "back backward bottom button",
        ['c' - 'a'] = "click close contents",
        ['d' - 'a'] = "down",
        ['e' - 'a'] = "enter",
        ['f' - 'a'] = "first forward",
        ['g' - 'a'] = "go",
        ['h' - 'a'] = "here home homepage",
        ['i' - 'a'] = "icon image img index",
        ['l' - 'a'] = "last left link logo",
        ['m' - 'a'] = "menu",
        ['n' - 'a'] = "nav navigation next",
        ['o' - 'a'] = "of",
        ['p' - 'a'] = "page picture prev previous print",
        ['r' - 'a'] = "return right",
        ['s' - 'a'] = "scroll search share skip spacer start",
        ['t' - 'a'] = "the thumbnail to toc toggle top",
        ['u' - 'a'] = "up",
    };
    const char *at = NULL;

    if (word.n >= 2 && word.p[0] >= 'a' && word.p[0] <= 'z')
        at = by_letter[word.p[0] - 'a'];
    while (at) {
        size_t n = strcspn(at, " ");

        if (n == word.n && !memcmp(at, word.p, n))
            return true;
        at = at[n] ? at + n + 1 : NULL;
    }
    return false;
}

static bool boilerplate(const struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (!is_navigation(words_at(w, i)))
            return false;
    return w->n > 0;
}

/* Distinct words by comparing each with those before: texts that reach this
 * are at most PAIR_TEXT_MAX bytes, and the search stops once a quarter is
 * passed. */
static bool repetition(const struct words *w)
{
    size_t most = w->n / 4, distinct = 0;

    if (w->n < REPETITION_WORDS)
        return false;
    for (size_t i = 0; i < w->n; i++) {
        size_t k = 0;

        while (k < i && !str_eq(words_at(w, k), words_at(w, i)))
            k++;
        if (k == i && ++distinct > most)
            return false;
    }
    return true;
}

/* ---- characters ---- */

static uint64_t chars(struct str text)
{
    uint64_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return n;
}

static uint64_t tokens(struct str text)
{
    uint64_t n = 0;
    bool inside = false;
    size_t at = 0;

    while (at < text.n) {
        bool space = utf8_is_white_space(utf8_next(text, &at));

        n += !space && !inside;
        inside = !space;
    }
    return n;
}

static bool long_word(const struct words *w, uint64_t most)
{
    for (size_t i = 0; i < w->n; i++)
        if (w->span[i].n > most && chars(words_at(w, i)) > most)
            return true;
    return false;
}

static bool char_run(struct str text, uint64_t most)
{
    uint32_t last = UTF8_BAD;
    uint64_t run = 0;
    size_t at = 0;

    while (at < text.n) {
        uint32_t cp = utf8_next(text, &at);

        run = cp == last ? run + 1 : 1;
        last = cp;
        if (run > most && cp != ' ')
            return true;
    }
    return false;
}

/* Letters and the marks on them, as a share of all but white space. */
static bool few_letters(struct str text, uint64_t percent)
{
    uint64_t letters = 0, all = 0;
    size_t at = 0;

    while (at < text.n) {
        uint32_t cp = utf8_next(text, &at);
        enum fold_class kind;

        if (cp < 0x80) {
            letters += str_is_alpha((char)cp);
            all += !str_is_space((char)cp);
            continue;
        }
        kind = cp == UTF8_BAD ? FOLD_OTHER : fold_class(cp);
        letters += kind == FOLD_LETTER || kind == FOLD_MARK;
        all += !utf8_is_white_space(cp);
    }
    return letters * 100 < percent * all;
}

static const char *judge_counts(const struct textrules_config *c,
                                struct str text, const struct words *w)
{
    uint64_t n = c->min_chars || c->max_chars ? chars(text) : 0;

    if (c->max_char_run && char_run(text, c->max_char_run))
        return "char-run";
    if (c->min_letters && few_letters(text, c->min_letters))
        return "few-letters";
    if (c->max_word_chars && long_word(w, c->max_word_chars))
        return "long-word";
    if (n < c->min_chars)
        return "too-few-chars";
    if (c->max_chars && n > c->max_chars)
        return "too-many-chars";
    if (c->min_tokens && tokens(text) < c->min_tokens)
        return "too-few-tokens";
    if (w->n < c->min_words)
        return "too-few-words";
    if (c->max_words && w->n > c->max_words)
        return "too-many-words";
    return NULL;
}

/* ---- what was not meant to be read ---- */

static const char *judge_marks(const struct textrules *r, struct str text,
                               const struct words *w)
{
    const struct textrules_config *c = r->c;
    unsigned seen = r->marks ? textmarks_scan(text)
                    : text.n && memchr(text.p, '.', text.n) ? TEXTMARKS_DOT
                                                            : 0;

    if (c->filename && textmarks_filename(text, seen))
        return "filename";
    if (c->link && textmarks_link(text, seen))
        return "link";
    if (c->markup && textmarks_tags(text, seen))
        return "markup";
    if (c->entity && textmarks_entities(text, seen))
        return "entity";
    if (c->template && textmarks_template(text, seen))
        return "template";
    if (c->code && textmarks_code(text, seen))
        return "code";
    if (c->filler && textmarks_filler(buf_str(&w->text)))
        return "filler";
    return NULL;
}

/* ---- all of it ---- */

static const char *judge_language(const struct textrules *r,
                                  struct textrules_scratch *s, struct str text)
{
    switch (language_judge(&r->language, text)) {
    case LANGUAGE_WANTED:
        return NULL;
    case LANGUAGE_OTHER:
        return "language";
    case LANGUAGE_UNKNOWN:
        break;
    }
    if (r->c->language_unknown == TEXTRULES_DROP)
        return "language-unknown";
    s->unknown++;
    return NULL;
}

const char *textrules_verdict(const struct textrules *r,
                              struct textrules_scratch *s, struct str url,
                              struct str text, const struct words *w)
{
    const struct textrules_config *c = r->c;
    const char *reason = judge_url(r, url);

    if (reason)
        return reason;
    if (c->boilerplate && boilerplate(w))
        return "boilerplate";
    reason = judge_marks(r, text, w);
    if (!reason && c->repetition && repetition(w))
        reason = "repetition";
    if (!reason)
        reason = judge_counts(c, text, w);
    if (reason)
        return reason;
    if (c->block_terms && blocklist_has_term(&r->terms, w, &s->ids))
        return "block-term";
    return r->languages ? judge_language(r, s, text) : NULL;
}
