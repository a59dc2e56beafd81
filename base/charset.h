/*
 * charset - from a page's bytes to UTF-8 (Encoding Standard; extraction.md
 * rule 17).
 *
 * Model.   charset_sniff() decides what the bytes are in: a byte order mark;
 *          else UTF-8 if they are valid UTF-8 and not all ASCII, whatever is
 *          declared; else the HTTP header's label; else the first meta in
 *          64 KiB; else the XML declaration; else windows-1252.
 *          charset_decode() then gives UTF-8, U+FFFD for what is malformed.
 * Owns.    The decoder owns its output and the iconv handles it has opened;
 *          a decoded text is valid until the next call.
 * Fails.   -E_NOMEM only: every byte string can be decoded.
 * Threads. One decoder per thread; the rest are pure functions.
 * Cost.    UTF-8 and ASCII are borrowed, not copied; single-byte sets are a
 *          table look-up; the double-byte sets of East Asia go through libc's
 *          iconv, whose handles are kept.
 */
#ifndef BASE_CHARSET_H
#define BASE_CHARSET_H

#include "base/buf.h"
#include "base/str.h"
#include <stdbool.h>

#define CHARSET_PRESCAN (64u << 10) /* bytes searched for a meta */

/* value, name, kind: U utf-8, W utf-16, S single byte, I iconv, J
 * iso-2022-jp, X x-user-defined, R replacement; what the kind needs */
#define CHARSET_MAP(X)                                                         \
    X(CHARSET_UTF_8, "utf-8", U, NULL)                                         \
    X(CHARSET_UTF_16BE, "utf-16be", W, NULL)                                   \
    X(CHARSET_UTF_16LE, "utf-16le", W, NULL)                                   \
    X(CHARSET_IBM866, "ibm866", S, table_ibm866)                               \
    X(CHARSET_ISO_8859_2, "iso-8859-2", S, table_iso_8859_2)                   \
    X(CHARSET_ISO_8859_3, "iso-8859-3", S, table_iso_8859_3)                   \
    X(CHARSET_ISO_8859_4, "iso-8859-4", S, table_iso_8859_4)                   \
    X(CHARSET_ISO_8859_5, "iso-8859-5", S, table_iso_8859_5)                   \
    X(CHARSET_ISO_8859_6, "iso-8859-6", S, table_iso_8859_6)                   \
    X(CHARSET_ISO_8859_7, "iso-8859-7", S, table_iso_8859_7)                   \
    X(CHARSET_ISO_8859_8, "iso-8859-8", S, table_iso_8859_8)                   \
    X(CHARSET_ISO_8859_8_I, "iso-8859-8-i", S, table_iso_8859_8)               \
    X(CHARSET_ISO_8859_10, "iso-8859-10", S, table_iso_8859_10)                \
    X(CHARSET_ISO_8859_13, "iso-8859-13", S, table_iso_8859_13)                \
    X(CHARSET_ISO_8859_14, "iso-8859-14", S, table_iso_8859_14)                \
    X(CHARSET_ISO_8859_15, "iso-8859-15", S, table_iso_8859_15)                \
    X(CHARSET_ISO_8859_16, "iso-8859-16", S, table_iso_8859_16)                \
    X(CHARSET_KOI8_R, "koi8-r", S, table_koi8_r)                               \
    X(CHARSET_KOI8_U, "koi8-u", S, table_koi8_u)                               \
    X(CHARSET_MACINTOSH, "macintosh", S, table_macintosh)                      \
    X(CHARSET_WINDOWS_874, "windows-874", S, table_windows_874)                \
    X(CHARSET_WINDOWS_1250, "windows-1250", S, table_windows_1250)             \
    X(CHARSET_WINDOWS_1251, "windows-1251", S, table_windows_1251)             \
    X(CHARSET_WINDOWS_1252, "windows-1252", S, table_windows_1252)             \
    X(CHARSET_WINDOWS_1253, "windows-1253", S, table_windows_1253)             \
    X(CHARSET_WINDOWS_1254, "windows-1254", S, table_windows_1254)             \
    X(CHARSET_WINDOWS_1255, "windows-1255", S, table_windows_1255)             \
    X(CHARSET_WINDOWS_1256, "windows-1256", S, table_windows_1256)             \
    X(CHARSET_WINDOWS_1257, "windows-1257", S, table_windows_1257)             \
    X(CHARSET_WINDOWS_1258, "windows-1258", S, table_windows_1258)             \
    X(CHARSET_X_MAC_CYRILLIC, "x-mac-cyrillic", S, table_x_mac_cyrillic)       \
    X(CHARSET_GBK, "gbk", I, "GB18030")                                        \
    X(CHARSET_GB18030, "gb18030", I, "GB18030")                                \
    X(CHARSET_BIG5, "big5", I, "BIG5-HKSCS")                                   \
    X(CHARSET_EUC_JP, "euc-jp", I, "EUC-JP-MS")                                \
    X(CHARSET_ISO_2022_JP, "iso-2022-jp", J, "EUC-JP-MS")                      \
    X(CHARSET_SHIFT_JIS, "shift_jis", I, "CP932")                              \
    X(CHARSET_EUC_KR, "euc-kr", I, "UHC")                                      \
    X(CHARSET_X_USER_DEFINED, "x-user-defined", X, NULL)                       \
    X(CHARSET_REPLACEMENT, "replacement", R, NULL)

enum charset {
    CHARSET_NONE, /* no encoding has this label */
#define X(id, name, kind, arg) id,
    CHARSET_MAP(X)
#undef X
        CHARSETS
};

/* The encoding of a label, in any case, with white space around it. */
enum charset charset_of_label(struct str label);
const char *charset_name(enum charset c); /* "none" for CHARSET_NONE */

/* The charset parameter of a Content-Type header or of a meta's content
 * ("text/html; charset=x"); empty if there is none. */
struct str charset_of_content_type(struct str value);

/* http_label may be empty or unknown.  *bom: bytes of the mark to skip. */
enum charset charset_sniff(struct str bytes, struct str http_label,
                           size_t *bom);

/* The meta of the standard's prescan, and the XML declaration. */
enum charset charset_of_meta(struct str bytes);
enum charset charset_of_xml(struct str bytes);

struct charset_decoder {
    struct buf out;
    struct buf scratch;      /* iso-2022-jp as euc-jp */
    void *handles[CHARSETS]; /* iconv_t, NULL until needed */
};

void charset_decoder_init(struct charset_decoder *d);
void charset_decoder_release(struct charset_decoder *d);

/* bytes without their mark.  *text is bytes itself or lies in d. */
int charset_decode(struct charset_decoder *d, enum charset c, struct str bytes,
                   struct str *text);

/* Both in one: what a page says as UTF-8. */
int charset_to_utf8(struct charset_decoder *d, struct str bytes,
                    struct str http_label, struct str *text,
                    enum charset *found);

#endif
