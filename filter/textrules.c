#include "filter/textrules.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fold.h"
#include "base/hash.h"
#include "base/io.h"
#include "base/utf8.h"
#include "filter/textmarks.h"
#include "filter/textwords.h"

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
    if (c->repetition)
        r->secret = hash_secret();
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

/* Another one may tell other languages. */
static void add_cld2(struct stage_inputs *in)
{
    char name[80], hex[SHA256_HEX];
    struct sha256 h;

    snprintf(name, sizeof name, "CLD2 %s", language_version());
    sha256_init(&h);
    sha256_add(&h, str_of(name));
    sha256_final_hex(&h, hex);
    stage_inputs_add(in, name, hex);
}

void textrules_add_inputs(const struct textrules *r, struct stage_inputs *in)
{
    if (r->terms_sha256[0])
        stage_inputs_add(in, "block-terms", r->terms_sha256);
    if (r->hosts_sha256[0])
        stage_inputs_add(in, "block-hosts", r->hosts_sha256);
    if (r->urls_sha256[0])
        stage_inputs_add(in, "block-urls", r->urls_sha256);
    if (r->languages)
        add_cld2(in);
}

/* ---- the URL ---- */

static bool svg(struct str url)
{
    const char *query = url.n ? memchr(url.p, '?', url.n) : NULL;
    struct str path = str_make(url.p, query ? (size_t)(query - url.p) : url.n);
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

const char *textrules_verdict(const struct textrules *r, struct str url,
                              struct str text, const struct words *w)
{
    const struct textrules_config *c = r->c;
    const char *reason = NULL;

    if (c->svg && svg(url))
        return "svg";
    if (r->places)
        reason = judge_place(r, url);
    if (!reason && c->boilerplate && textwords_boilerplate(w))
        reason = "boilerplate";
    if (!reason && c->filename && textmarks_filename(text))
        reason = "filename";
    if (!reason && r->marks)
        reason = judge_marks(r, text, w);
    if (!reason && c->repetition && textwords_repeated(w, r->secret))
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
    return NULL;
}

const char *textrules_language(const struct textrules *r,
                               struct textrules_seen *s, struct str text)
{
    if (!r->languages)
        return NULL;
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
