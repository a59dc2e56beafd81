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
    r->places = c->url_contains.n || c->block_hosts || c->block_urls;
    r->marks = c->link || c->markup || c->entity || c->template || c->code ||
               c->filler;
    r->chars = c->max_char_run || c->min_letters || c->max_word_chars ||
               c->min_chars || c->max_chars || c->min_tokens;
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

    char last;

    if (path.n < 4)
        return false;
    /* The last letter but one parts these from nearly all others. */
    last = str_lower_char(path.p[path.n - 2]);
    return (last == 'v' && str_iends(path, STR(".svg"))) ||
           (last == 'g' && str_iends(path, STR(".svgz")));
}

static bool contains_any(struct str url, const struct opt_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (str_find(url, str_of(l->v[i]), 0) != SIZE_MAX)
            return true;
    return false;
}

static const char *judge_place(const struct textrules *r, struct str url)
{
    if (contains_any(url, &r->c->url_contains))
        return "url-contains";
    if (r->c->block_hosts && blocklist_has_host(&r->hosts, url))
        return "block-host";
    if (r->c->block_urls && blocklist_has_url(&r->urls, url))
        return "block-url";
    return NULL;
}

/* ---- words ---- */

#define S(word)                                                                \
    {                                                                          \
        (word), sizeof(word) - 1                                               \
    }

/* Words of navigation, folded, by their first letter.  A text that has no
 * other speaks of the page, not of the picture. */
static bool is_navigation(struct str word)
{
    static const struct str by_letter[26][8] = {
        ['a' - 'a'] = {S("arrow")},
        ['b' - 'a'] = {S("back"), S("backward"), S("bottom"), S("button")},
        ['c' - 'a'] = {S("click"), S("close"), S("contents")},
        ['d' - 'a'] = {S("down")},
        ['e' - 'a'] = {S("enter")},
        ['f' - 'a'] = {S("first"), S("forward")},
        ['g' - 'a'] = {S("go")},
        ['h' - 'a'] = {S("here"), S("home"), S("homepage")},
        ['i' - 'a'] = {S("icon"), S("image"), S("img"), S("index")},
        ['l' - 'a'] = {S("last"), S("left"), S("link"), S("logo")},
        ['m' - 'a'] = {S("menu")},
        ['n' - 'a'] = {S("nav"), S("navigation"), S("next")},
        ['o' - 'a'] = {S("of")},
        ['p' - 'a'] = {S("page"), S("picture"), S("prev"), S("previous"),
                       S("print")},
        ['r' - 'a'] = {S("return"), S("right")},
        ['s' - 'a'] = {S("scroll"), S("search"), S("share"), S("skip"),
                       S("spacer"), S("start")},
        ['t' - 'a'] = {S("the"), S("thumbnail"), S("to"), S("toc"), S("toggle"),
                       S("top")},
        ['u' - 'a'] = {S("up")},
    };
    /* Lengths that the words of a letter have: bit n for n bytes. */
    static const uint16_t lengths[26] = {
        ['a' - 'a'] = 1 << 5,
        ['b' - 'a'] = 1 << 4 | 1 << 6 | 1 << 8,
        ['c' - 'a'] = 1 << 5 | 1 << 8,
        ['d' - 'a'] = 1 << 4,
        ['e' - 'a'] = 1 << 5,
        ['f' - 'a'] = 1 << 5 | 1 << 7,
        ['g' - 'a'] = 1 << 2,
        ['h' - 'a'] = 1 << 4 | 1 << 8,
        ['i' - 'a'] = 1 << 3 | 1 << 4 | 1 << 5,
        ['l' - 'a'] = 1 << 4,
        ['m' - 'a'] = 1 << 4,
        ['n' - 'a'] = 1 << 3 | 1 << 4 | 1 << 10,
        ['o' - 'a'] = 1 << 2,
        ['p' - 'a'] = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 8,
        ['r' - 'a'] = 1 << 5 | 1 << 6,
        ['s' - 'a'] = 1 << 4 | 1 << 5 | 1 << 6,
        ['t' - 'a'] = 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9,
        ['u' - 'a'] = 1 << 2,
    };
    unsigned letter = word.n ? (unsigned)(word.p[0] - 'a') : 26;

    if (letter >= 26 || word.n > 15 || !(lengths[letter] >> word.n & 1))
        return false;
    for (const struct str *s = by_letter[letter]; s->n; s++)
        if (str_eq(*s, word))
            return true;
    return false;
}

static bool boilerplate(const struct words *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (!is_navigation(words_at(w, i)))
            return false;
    return w->n > 0;
}

/* Length, first and last byte of a word: equal words have equal ones.  Single
 * bytes, since words have often been written a moment ago, 16 bytes at a time
 * over each other: a longer load would wait until they have reached memory. */
static uint64_t head(const struct words *w, size_t i)
{
    struct str word = words_at(w, i);

    return (uint64_t)word.n << 16 | (uint64_t)(unsigned char)word.p[0] << 8 |
           (unsigned char)word.p[word.n - 1];
}

/* Are the first four words distinct by their heads alone?  Most texts' are, and
 * are done with here, without a branch that could be foreseen wrongly. */
static bool distinct_heads(const struct words *w)
{
    uint64_t a = head(w, 0), b = head(w, 1), c = head(w, 2), d = head(w, 3);

    return !((a == b) | (a == c) | (a == d) | (b == c) | (b == d) | (c == d));
}

/* Distinct words by comparing each with those before: texts that reach this
 * are at most PAIR_TEXT_MAX bytes, and the search stops once a quarter is
 * passed. */
static bool repetition(const struct words *w)
{
    size_t most = w->n / 4, distinct = 0;

    /* One branch that is nearly always taken costs less than two that half of
     * the texts take; under four words there are no four heads. */
    if (w->n < 4 ||
        (w->n < REPETITION_WORDS) | ((most < 4) & distinct_heads(w)))
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

/* Code points: bytes but those that go on with one, eight at a time. */
static uint64_t chars(struct str text)
{
    uint64_t n = text.n;
    size_t i = 0;

    for (; i + 8 <= text.n; i += 8) {
        uint64_t x;

        memcpy(&x, text.p + i, 8);
        x = x >> 7 & ~x >> 6 & UINT64_C(0x0101010101010101);
        n -= x * UINT64_C(0x0101010101010101) >> 56;
    }
    for (; i < text.n; i++)
        n -= ((unsigned char)text.p[i] & 0xc0) == 0x80;
    return n;
}

/* The code point at *at, with a short way for ASCII. */
static uint32_t next(struct str text, size_t *at)
{
    unsigned char c = (unsigned char)text.p[*at];

    if (c >= 0x80)
        return utf8_next(text, at);
    ++*at;
    return c;
}

static bool is_white(uint32_t cp)
{
    return cp < 0x80 ? str_is_space((char)cp) : utf8_is_white_space(cp);
}

static uint64_t tokens(struct str text)
{
    uint64_t n = 0;
    bool inside = false;
    size_t at = 0;

    while (at < text.n) {
        bool space = is_white(next(text, &at));

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
        uint32_t cp = next(text, &at);

        run = cp == last ? run + 1 : 1;
        last = cp;
        if (run > most && cp != ' ')
            return true;
    }
    return false;
}

static bool is_letter(uint32_t cp)
{
    enum fold_class kind = cp == UTF8_BAD ? FOLD_OTHER : fold_class(cp);

    return kind == FOLD_LETTER || kind == FOLD_MARK;
}

/* Letters and the marks on them, as a share of all but white space. */
static bool few_letters(struct str text, uint64_t percent)
{
    uint64_t letters = 0, all = 0;
    size_t at = 0;

    while (at < text.n) {
        uint32_t cp = next(text, &at);

        all += !is_white(cp);
        letters += cp < 0x80 ? str_is_alpha((char)cp) : is_letter(cp);
    }
    return letters * 100 < percent * all;
}

static const char *judge_chars(const struct textrules_config *c,
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
    return NULL;
}

/* ---- what was not meant to be read ---- */

static const char *judge_marks(const struct textrules *r, struct str text,
                               const struct words *w)
{
    const struct textrules_config *c = r->c;
    unsigned seen = textmarks_scan(text);

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
                                  struct textrules_seen *s, struct str text)
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
                              struct textrules_seen *s, struct str url,
                              struct str text, const struct words *w)
{
    const struct textrules_config *c = r->c;
    const char *reason = NULL;

    if (c->svg && svg(url))
        return "svg";
    if (r->places)
        reason = judge_place(r, url);
    if (!reason && c->boilerplate && boilerplate(w))
        reason = "boilerplate";
    if (!reason && c->filename && textmarks_filename(text))
        reason = "filename";
    if (!reason && r->marks)
        reason = judge_marks(r, text, w);
    if (!reason && c->repetition && repetition(w))
        reason = "repetition";
    if (!reason && r->chars)
        reason = judge_chars(c, text, w);
    if (reason)
        return reason;
    if (w->n < c->min_words)
        return "too-few-words";
    if (c->max_words && w->n > c->max_words)
        return "too-many-words";
    if (c->block_terms && blocklist_has_term(&r->terms, w))
        return "block-term";
    return r->languages ? judge_language(r, s, text) : NULL;
}
