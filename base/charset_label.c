/* Labels and declarations: Encoding Standard 4.2, HTML standard 13.2.3.2. */
#include "base/charset.h"

#include <stdlib.h>

#include "base/utf8.h"

struct label {
    const char *name;
    enum charset charset;
};

/* In bytewise order. */
static const struct label labels[] = {
    {"866", CHARSET_IBM866},
    {"ansi_x3.4-1968", CHARSET_WINDOWS_1252},
    {"arabic", CHARSET_ISO_8859_6},
    {"ascii", CHARSET_WINDOWS_1252},
    {"asmo-708", CHARSET_ISO_8859_6},
    {"big5", CHARSET_BIG5},
    {"big5-hkscs", CHARSET_BIG5},
    {"chinese", CHARSET_GBK},
    {"cn-big5", CHARSET_BIG5},
    {"cp1250", CHARSET_WINDOWS_1250},
    {"cp1251", CHARSET_WINDOWS_1251},
    {"cp1252", CHARSET_WINDOWS_1252},
    {"cp1253", CHARSET_WINDOWS_1253},
    {"cp1254", CHARSET_WINDOWS_1254},
    {"cp1255", CHARSET_WINDOWS_1255},
    {"cp1256", CHARSET_WINDOWS_1256},
    {"cp1257", CHARSET_WINDOWS_1257},
    {"cp1258", CHARSET_WINDOWS_1258},
    {"cp819", CHARSET_WINDOWS_1252},
    {"cp866", CHARSET_IBM866},
    {"csbig5", CHARSET_BIG5},
    {"cseuckr", CHARSET_EUC_KR},
    {"cseucpkdfmtjapanese", CHARSET_EUC_JP},
    {"csgb2312", CHARSET_GBK},
    {"csibm866", CHARSET_IBM866},
    {"csiso2022jp", CHARSET_ISO_2022_JP},
    {"csiso2022kr", CHARSET_REPLACEMENT},
    {"csiso58gb231280", CHARSET_GBK},
    {"csiso88596e", CHARSET_ISO_8859_6},
    {"csiso88596i", CHARSET_ISO_8859_6},
    {"csiso88598e", CHARSET_ISO_8859_8},
    {"csiso88598i", CHARSET_ISO_8859_8_I},
    {"csisolatin1", CHARSET_WINDOWS_1252},
    {"csisolatin2", CHARSET_ISO_8859_2},
    {"csisolatin3", CHARSET_ISO_8859_3},
    {"csisolatin4", CHARSET_ISO_8859_4},
    {"csisolatin5", CHARSET_WINDOWS_1254},
    {"csisolatin6", CHARSET_ISO_8859_10},
    {"csisolatin9", CHARSET_ISO_8859_15},
    {"csisolatinarabic", CHARSET_ISO_8859_6},
    {"csisolatincyrillic", CHARSET_ISO_8859_5},
    {"csisolatingreek", CHARSET_ISO_8859_7},
    {"csisolatinhebrew", CHARSET_ISO_8859_8},
    {"cskoi8r", CHARSET_KOI8_R},
    {"csksc56011987", CHARSET_EUC_KR},
    {"csmacintosh", CHARSET_MACINTOSH},
    {"csshiftjis", CHARSET_SHIFT_JIS},
    {"csunicode", CHARSET_UTF_16LE},
    {"cyrillic", CHARSET_ISO_8859_5},
    {"dos-874", CHARSET_WINDOWS_874},
    {"ecma-114", CHARSET_ISO_8859_6},
    {"ecma-118", CHARSET_ISO_8859_7},
    {"elot_928", CHARSET_ISO_8859_7},
    {"euc-jp", CHARSET_EUC_JP},
    {"euc-kr", CHARSET_EUC_KR},
    {"gb18030", CHARSET_GB18030},
    {"gb2312", CHARSET_GBK},
    {"gb_2312", CHARSET_GBK},
    {"gb_2312-80", CHARSET_GBK},
    {"gbk", CHARSET_GBK},
    {"greek", CHARSET_ISO_8859_7},
    {"greek8", CHARSET_ISO_8859_7},
    {"hebrew", CHARSET_ISO_8859_8},
    {"hz-gb-2312", CHARSET_REPLACEMENT},
    {"ibm819", CHARSET_WINDOWS_1252},
    {"ibm866", CHARSET_IBM866},
    {"iso-10646-ucs-2", CHARSET_UTF_16LE},
    {"iso-2022-cn", CHARSET_REPLACEMENT},
    {"iso-2022-cn-ext", CHARSET_REPLACEMENT},
    {"iso-2022-jp", CHARSET_ISO_2022_JP},
    {"iso-2022-kr", CHARSET_REPLACEMENT},
    {"iso-8859-1", CHARSET_WINDOWS_1252},
    {"iso-8859-10", CHARSET_ISO_8859_10},
    {"iso-8859-11", CHARSET_WINDOWS_874},
    {"iso-8859-13", CHARSET_ISO_8859_13},
    {"iso-8859-14", CHARSET_ISO_8859_14},
    {"iso-8859-15", CHARSET_ISO_8859_15},
    {"iso-8859-16", CHARSET_ISO_8859_16},
    {"iso-8859-2", CHARSET_ISO_8859_2},
    {"iso-8859-3", CHARSET_ISO_8859_3},
    {"iso-8859-4", CHARSET_ISO_8859_4},
    {"iso-8859-5", CHARSET_ISO_8859_5},
    {"iso-8859-6", CHARSET_ISO_8859_6},
    {"iso-8859-6-e", CHARSET_ISO_8859_6},
    {"iso-8859-6-i", CHARSET_ISO_8859_6},
    {"iso-8859-7", CHARSET_ISO_8859_7},
    {"iso-8859-8", CHARSET_ISO_8859_8},
    {"iso-8859-8-e", CHARSET_ISO_8859_8},
    {"iso-8859-8-i", CHARSET_ISO_8859_8_I},
    {"iso-8859-9", CHARSET_WINDOWS_1254},
    {"iso-ir-100", CHARSET_WINDOWS_1252},
    {"iso-ir-101", CHARSET_ISO_8859_2},
    {"iso-ir-109", CHARSET_ISO_8859_3},
    {"iso-ir-110", CHARSET_ISO_8859_4},
    {"iso-ir-126", CHARSET_ISO_8859_7},
    {"iso-ir-127", CHARSET_ISO_8859_6},
    {"iso-ir-138", CHARSET_ISO_8859_8},
    {"iso-ir-144", CHARSET_ISO_8859_5},
    {"iso-ir-148", CHARSET_WINDOWS_1254},
    {"iso-ir-149", CHARSET_EUC_KR},
    {"iso-ir-157", CHARSET_ISO_8859_10},
    {"iso-ir-58", CHARSET_GBK},
    {"iso8859-1", CHARSET_WINDOWS_1252},
    {"iso8859-10", CHARSET_ISO_8859_10},
    {"iso8859-11", CHARSET_WINDOWS_874},
    {"iso8859-13", CHARSET_ISO_8859_13},
    {"iso8859-14", CHARSET_ISO_8859_14},
    {"iso8859-15", CHARSET_ISO_8859_15},
    {"iso8859-2", CHARSET_ISO_8859_2},
    {"iso8859-3", CHARSET_ISO_8859_3},
    {"iso8859-4", CHARSET_ISO_8859_4},
    {"iso8859-5", CHARSET_ISO_8859_5},
    {"iso8859-6", CHARSET_ISO_8859_6},
    {"iso8859-7", CHARSET_ISO_8859_7},
    {"iso8859-8", CHARSET_ISO_8859_8},
    {"iso8859-9", CHARSET_WINDOWS_1254},
    {"iso88591", CHARSET_WINDOWS_1252},
    {"iso885910", CHARSET_ISO_8859_10},
    {"iso885911", CHARSET_WINDOWS_874},
    {"iso885913", CHARSET_ISO_8859_13},
    {"iso885914", CHARSET_ISO_8859_14},
    {"iso885915", CHARSET_ISO_8859_15},
    {"iso88592", CHARSET_ISO_8859_2},
    {"iso88593", CHARSET_ISO_8859_3},
    {"iso88594", CHARSET_ISO_8859_4},
    {"iso88595", CHARSET_ISO_8859_5},
    {"iso88596", CHARSET_ISO_8859_6},
    {"iso88597", CHARSET_ISO_8859_7},
    {"iso88598", CHARSET_ISO_8859_8},
    {"iso88599", CHARSET_WINDOWS_1254},
    {"iso_8859-1", CHARSET_WINDOWS_1252},
    {"iso_8859-15", CHARSET_ISO_8859_15},
    {"iso_8859-1:1987", CHARSET_WINDOWS_1252},
    {"iso_8859-2", CHARSET_ISO_8859_2},
    {"iso_8859-2:1987", CHARSET_ISO_8859_2},
    {"iso_8859-3", CHARSET_ISO_8859_3},
    {"iso_8859-3:1988", CHARSET_ISO_8859_3},
    {"iso_8859-4", CHARSET_ISO_8859_4},
    {"iso_8859-4:1988", CHARSET_ISO_8859_4},
    {"iso_8859-5", CHARSET_ISO_8859_5},
    {"iso_8859-5:1988", CHARSET_ISO_8859_5},
    {"iso_8859-6", CHARSET_ISO_8859_6},
    {"iso_8859-6:1987", CHARSET_ISO_8859_6},
    {"iso_8859-7", CHARSET_ISO_8859_7},
    {"iso_8859-7:1987", CHARSET_ISO_8859_7},
    {"iso_8859-8", CHARSET_ISO_8859_8},
    {"iso_8859-8:1988", CHARSET_ISO_8859_8},
    {"iso_8859-9", CHARSET_WINDOWS_1254},
    {"iso_8859-9:1989", CHARSET_WINDOWS_1254},
    {"koi", CHARSET_KOI8_R},
    {"koi8", CHARSET_KOI8_R},
    {"koi8-r", CHARSET_KOI8_R},
    {"koi8-ru", CHARSET_KOI8_U},
    {"koi8-u", CHARSET_KOI8_U},
    {"koi8_r", CHARSET_KOI8_R},
    {"korean", CHARSET_EUC_KR},
    {"ks_c_5601-1987", CHARSET_EUC_KR},
    {"ks_c_5601-1989", CHARSET_EUC_KR},
    {"ksc5601", CHARSET_EUC_KR},
    {"ksc_5601", CHARSET_EUC_KR},
    {"l1", CHARSET_WINDOWS_1252},
    {"l2", CHARSET_ISO_8859_2},
    {"l3", CHARSET_ISO_8859_3},
    {"l4", CHARSET_ISO_8859_4},
    {"l5", CHARSET_WINDOWS_1254},
    {"l6", CHARSET_ISO_8859_10},
    {"l9", CHARSET_ISO_8859_15},
    {"latin1", CHARSET_WINDOWS_1252},
    {"latin2", CHARSET_ISO_8859_2},
    {"latin3", CHARSET_ISO_8859_3},
    {"latin4", CHARSET_ISO_8859_4},
    {"latin5", CHARSET_WINDOWS_1254},
    {"latin6", CHARSET_ISO_8859_10},
    {"logical", CHARSET_ISO_8859_8_I},
    {"mac", CHARSET_MACINTOSH},
    {"macintosh", CHARSET_MACINTOSH},
    {"ms932", CHARSET_SHIFT_JIS},
    {"ms_kanji", CHARSET_SHIFT_JIS},
    {"replacement", CHARSET_REPLACEMENT},
    {"shift-jis", CHARSET_SHIFT_JIS},
    {"shift_jis", CHARSET_SHIFT_JIS},
    {"sjis", CHARSET_SHIFT_JIS},
    {"sun_eu_greek", CHARSET_ISO_8859_7},
    {"tis-620", CHARSET_WINDOWS_874},
    {"ucs-2", CHARSET_UTF_16LE},
    {"unicode", CHARSET_UTF_16LE},
    {"unicode-1-1-utf-8", CHARSET_UTF_8},
    {"unicode11utf8", CHARSET_UTF_8},
    {"unicode20utf8", CHARSET_UTF_8},
    {"unicodefeff", CHARSET_UTF_16LE},
    {"unicodefffe", CHARSET_UTF_16BE},
    {"us-ascii", CHARSET_WINDOWS_1252},
    {"utf-16", CHARSET_UTF_16LE},
    {"utf-16be", CHARSET_UTF_16BE},
    {"utf-16le", CHARSET_UTF_16LE},
    {"utf-8", CHARSET_UTF_8},
    {"utf8", CHARSET_UTF_8},
    {"visual", CHARSET_ISO_8859_8},
    {"windows-1250", CHARSET_WINDOWS_1250},
    {"windows-1251", CHARSET_WINDOWS_1251},
    {"windows-1252", CHARSET_WINDOWS_1252},
    {"windows-1253", CHARSET_WINDOWS_1253},
    {"windows-1254", CHARSET_WINDOWS_1254},
    {"windows-1255", CHARSET_WINDOWS_1255},
    {"windows-1256", CHARSET_WINDOWS_1256},
    {"windows-1257", CHARSET_WINDOWS_1257},
    {"windows-1258", CHARSET_WINDOWS_1258},
    {"windows-31j", CHARSET_SHIFT_JIS},
    {"windows-874", CHARSET_WINDOWS_874},
    {"windows-949", CHARSET_EUC_KR},
    {"x-cp1250", CHARSET_WINDOWS_1250},
    {"x-cp1251", CHARSET_WINDOWS_1251},
    {"x-cp1252", CHARSET_WINDOWS_1252},
    {"x-cp1253", CHARSET_WINDOWS_1253},
    {"x-cp1254", CHARSET_WINDOWS_1254},
    {"x-cp1255", CHARSET_WINDOWS_1255},
    {"x-cp1256", CHARSET_WINDOWS_1256},
    {"x-cp1257", CHARSET_WINDOWS_1257},
    {"x-cp1258", CHARSET_WINDOWS_1258},
    {"x-euc-jp", CHARSET_EUC_JP},
    {"x-gbk", CHARSET_GBK},
    {"x-mac-cyrillic", CHARSET_X_MAC_CYRILLIC},
    {"x-mac-roman", CHARSET_MACINTOSH},
    {"x-mac-ukrainian", CHARSET_X_MAC_CYRILLIC},
    {"x-sjis", CHARSET_SHIFT_JIS},
    {"x-unicode20utf8", CHARSET_UTF_8},
    {"x-user-defined", CHARSET_X_USER_DEFINED},
    {"x-x-big5", CHARSET_BIG5},
};

static int label_cmp(const void *key, const void *row)
{
    return strcmp(key, ((const struct label *)row)->name);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r';
}

enum charset charset_of_label(struct str label)
{
    const struct label *found;
    char low[32];

    while (label.n && is_space(label.p[0]))
        label = str_slice(label, 1, label.n);
    while (label.n && is_space(label.p[label.n - 1]))
        label.n--;
    if (label.n == 0 || label.n >= sizeof low)
        return CHARSET_NONE;
    for (size_t i = 0; i < label.n; i++)
        low[i] = str_lower_char(label.p[i]);
    low[label.n] = 0;
    if (strlen(low) != label.n)
        return CHARSET_NONE;
    found = bsearch(low, labels, sizeof labels / sizeof labels[0],
                    sizeof labels[0], label_cmp);
    return found ? found->charset : CHARSET_NONE;
}

static size_t skip_space(struct str s, size_t at)
{
    while (at < s.n && is_space(s.p[at]))
        at++;
    return at;
}

/* "extracting a character encoding from a meta element" */
struct str charset_of_content_type(struct str s)
{
    static const struct str word = {"charset", 7};
    size_t at = 0, end;

    for (;; at++) {
        if (at + word.n > s.n)
            return STR_NONE;
        if (!str_ieq(str_slice(s, at, at + word.n), word))
            continue;
        at = skip_space(s, at + word.n);
        if (at < s.n && s.p[at] == '=')
            break;
        at--;
    }
    at = skip_space(s, at + 1);
    if (at >= s.n)
        return STR_NONE;
    if (s.p[at] == '"' || s.p[at] == '\'') {
        end = str_find_char(s, s.p[at], at + 1);
        return end == SIZE_MAX ? STR_NONE : str_slice(s, at + 1, end);
    }
    for (end = at; end < s.n && !is_space(s.p[end]) && s.p[end] != ';';)
        end++;
    return str_slice(s, at, end);
}

/* ---- the prescan ---- */

struct attr {
    struct str name, value;
};

/* "get an attribute" from s at *at; false when there is none. */
static bool get_attr(struct str s, size_t *at, struct attr *a)
{
    size_t i = *at, from;

    *a = (struct attr){STR_NONE, STR_NONE};
    while (i < s.n && (is_space(s.p[i]) || s.p[i] == '/'))
        i++;
    *at = i;
    if (i >= s.n || s.p[i] == '>')
        return false;
    from = i++;
    while (i < s.n && s.p[i] != '=' && !is_space(s.p[i]) && s.p[i] != '/' &&
           s.p[i] != '>')
        i++;
    a->name = str_slice(s, from, i);
    *at = i;
    i = skip_space(s, i);
    if (i >= s.n || s.p[i] != '=')
        return true;
    i = skip_space(s, i + 1);
    if (i < s.n && (s.p[i] == '"' || s.p[i] == '\'')) {
        size_t end = str_find_char(s, s.p[i], i + 1);

        if (end == SIZE_MAX)
            end = s.n;
        a->value = str_slice(s, i + 1, end);
        *at = end < s.n ? end + 1 : end;
        return true;
    }
    for (from = i; i < s.n && !is_space(s.p[i]) && s.p[i] != '>';)
        i++;
    a->value = str_slice(s, from, i);
    *at = i;
    return true;
}

/* What a declaration inside the page may not be, or cannot mean. */
static enum charset declared(enum charset c)
{
    if (c == CHARSET_UTF_16BE || c == CHARSET_UTF_16LE)
        return CHARSET_UTF_8;
    if (c == CHARSET_X_USER_DEFINED)
        return CHARSET_WINDOWS_1252;
    return c;
}

/* One meta, its attributes at *at. */
static enum charset read_meta(struct str s, size_t *at)
{
    bool pragma = false, need_pragma = false, decided = false;
    bool seen_equiv = false, seen_content = false, seen_charset = false;
    enum charset found = CHARSET_NONE;
    struct attr a;

    while (get_attr(s, at, &a)) {
        if (str_ieq(a.name, STR("http-equiv")) && !seen_equiv) {
            seen_equiv = true;
            pragma = str_ieq(a.value, STR("content-type"));
        } else if (str_ieq(a.name, STR("content")) && !seen_content) {
            seen_content = true;
            if (!decided) {
                found = charset_of_label(charset_of_content_type(a.value));
                decided = need_pragma = found != CHARSET_NONE;
            }
        } else if (str_ieq(a.name, STR("charset")) && !seen_charset) {
            seen_charset = decided = true;
            found = charset_of_label(a.value);
            need_pragma = false;
        }
    }
    return need_pragma && !pragma ? CHARSET_NONE : declared(found);
}

static size_t find_or_end(struct str s, struct str what, size_t from)
{
    size_t at = str_find(s, what, from);

    return at == SIZE_MAX ? s.n : at;
}

static char byte_at(struct str s, size_t at)
{
    return at < s.n ? s.p[at] : 0;
}

enum charset charset_of_meta(struct str s)
{
    size_t at;

    s = str_slice(s, 0, CHARSET_PRESCAN);
    for (at = find_or_end(s, STR("<"), 0); at < s.n;
         at = find_or_end(s, STR("<"), at)) {
        struct attr a;
        char c = byte_at(s, at + 1);

        if (str_starts(str_slice(s, at, s.n), STR("<!--"))) {
            at = find_or_end(s, STR("-->"), at + 2);
        } else if (str_ieq(str_slice(s, at, at + 5), STR("<meta")) &&
                   (is_space(byte_at(s, at + 5)) ||
                    byte_at(s, at + 5) == '/')) {
            enum charset found;

            at += 5;
            found = read_meta(s, &at);
            if (at >= s.n)
                break; /* the tag has no end in what is searched */
            if (found != CHARSET_NONE)
                return found;
        } else if (str_is_alpha(c) ||
                   (c == '/' && str_is_alpha(byte_at(s, at + 2)))) {
            while (at < s.n && !is_space(s.p[at]) && s.p[at] != '>')
                at++;
            while (get_attr(s, &at, &a))
                ;
        } else if (c == '!' || c == '/' || c == '?') {
            at = find_or_end(s, STR(">"), at + 1);
        } else {
            at++;
        }
    }
    return CHARSET_NONE;
}

/* "get an XML encoding"; and the declaration as it stands in UTF-16. */
enum charset charset_of_xml(struct str s)
{
    size_t at, end;
    char quote;

    if (str_starts(s, STR("<\0?\0x\0")))
        return CHARSET_UTF_16LE;
    if (str_starts(s, STR("\0<\0?\0x")))
        return CHARSET_UTF_16BE;
    if (!str_starts(s, STR("<?xml")))
        return CHARSET_NONE;
    s = str_slice(s, 0,
                  find_or_end(str_slice(s, 0, CHARSET_PRESCAN), STR(">"), 0));
    at = str_find(s, STR("encoding"), 0);
    if (at == SIZE_MAX)
        return CHARSET_NONE;
    for (at += 8; at < s.n && (unsigned char)s.p[at] <= ' ';)
        at++;
    if (byte_at(s, at) != '=')
        return CHARSET_NONE;
    for (at++; at < s.n && (unsigned char)s.p[at] <= ' ';)
        at++;
    quote = byte_at(s, at);
    if (quote != '"' && quote != '\'')
        return CHARSET_NONE;
    end = str_find_char(s, quote, at + 1);
    if (end == SIZE_MAX)
        return CHARSET_NONE;
    return declared(charset_of_label(str_slice(s, at + 1, end)));
}

enum charset charset_sniff(struct str s, struct str http_label, size_t *bom)
{
    enum charset c;

    *bom = 0;
    if (str_starts(s, STR("\xef\xbb\xbf"))) {
        *bom = 3;
        return CHARSET_UTF_8;
    }
    if (str_starts(s, STR("\xfe\xff")) || str_starts(s, STR("\xff\xfe"))) {
        *bom = 2;
        return s.p[0] == '\xfe' ? CHARSET_UTF_16BE : CHARSET_UTF_16LE;
    }
    if (utf8_ascii_span(s) < s.n && utf8_valid(s))
        return CHARSET_UTF_8;
    c = charset_of_label(http_label);
    if (c == CHARSET_NONE)
        c = charset_of_meta(s);
    if (c == CHARSET_NONE)
        c = charset_of_xml(s);
    return c == CHARSET_NONE ? CHARSET_WINDOWS_1252 : c;
}
