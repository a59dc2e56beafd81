#include "filter/textrules.h"

#include "base/utf8.h"

#define REPETITION_WORDS 8 /* shorter texts may repeat themselves */

static bool path_ends(struct str url, struct str suffix)
{
    size_t end = str_find_char(url, '?', 0);

    return str_iends(str_slice(url, 0, end), suffix);
}

/* Words of navigation, folded, in bytewise order (bsearch).  A text that has
 * no other speaks of the page, not of the picture. */
static const char *const navigation[] = {
    "arrow",    "back",   "backward", "bottom",  "button",   "click",
    "close",    "contents", "down",   "enter",   "first",    "forward",
    "go",       "here",   "home",     "homepage", "icon",    "image",
    "img",      "index",  "last",     "left",    "link",     "logo",
    "menu",     "nav",    "navigation", "next",  "of",       "page",
    "picture",  "prev",   "previous", "print",   "return",   "right",
    "scroll",   "search", "share",    "skip",    "spacer",   "start",
    "the",      "thumbnail", "to",    "toc",     "toggle",   "top",
    "up"};

static bool is_navigation(struct str word)
{
    size_t lo = 0, hi = sizeof navigation / sizeof *navigation;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int c = str_cmp(str_of(navigation[mid]), word);

        if (c == 0)
            return true;
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
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

static bool names_image(struct str token)
{
    static const char *const suffixes[] = {
        ".jpg", ".jpeg", ".png", ".gif",  ".webp", ".avif", ".svg",
        ".svgz", ".bmp", ".tif", ".tiff", ".ico",  ".heic", ".jfif"};

    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (str_iends(token, str_of(suffixes[i])))
            return true;
    return false;
}

/* Words of at least two letters in a token; a letter is an ASCII one or any
 * code point behind ASCII. */
static size_t words_of_letters(struct str token)
{
    size_t words = 0, letters = 0, at = 0;

    while (at < token.n) {
        uint32_t cp = utf8_next(token, &at);
        bool letter = cp >= 0x80 || str_is_alpha((char)cp);

        letters = letter ? letters + 1 : 0;
        words += letters == 2;
    }
    return words;
}

static bool filename(struct str text)
{
    struct str token;
    bool named = false;
    size_t words = 0;

    while (str_split(&text, ' ', &token)) {
        if (names_image(token))
            named = true;
        else
            words += words_of_letters(token);
    }
    return named && words < 2;
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

static uint64_t chars(struct str text)
{
    uint64_t n = 0;

    for (size_t i = 0; i < text.n; i++)
        n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
    return n;
}

const char *textrules_verdict(const struct textrules *r, struct str url,
                              struct str text, const struct words *w)
{
    if (r->svg && (path_ends(url, STR(".svg")) || path_ends(url, STR(".svgz"))))
        return "svg";
    if (r->boilerplate && boilerplate(w))
        return "boilerplate";
    if (r->filename && filename(text))
        return "filename";
    if (r->repetition && repetition(w))
        return "repetition";
    if (chars(text) < r->min_chars)
        return "too-few-chars";
    if (w->n < r->min_words)
        return "too-few-words";
    if (r->max_words && w->n > r->max_words)
        return "too-many-words";
    return NULL;
}
