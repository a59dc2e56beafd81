#include "base/charset.h"

#include <errno.h>
#include <iconv.h>

#include "base/err.h"
#include "base/utf8.h"

#include "base/charset_tables.inc"

#define BAD "\xef\xbf\xbd" /* U+FFFD */

enum kind { KIND_U, KIND_W, KIND_S, KIND_I, KIND_J, KIND_X, KIND_R };

static const struct {
    const char *name;
    enum kind kind;
    const void *arg; /* table of 128 code points, or iconv's name */
} sets[CHARSETS] = {[CHARSET_NONE] = {"none", KIND_R, NULL},
#define X(id, name, kind, arg) [id] = {name, KIND_##kind, arg},
                    CHARSET_MAP(X)
#undef X
};

const char *charset_name(enum charset c)
{
    return sets[c].name;
}

void charset_decoder_init(struct charset_decoder *d)
{
    *d = (struct charset_decoder){0};
    buf_init(&d->out, BUF_NO_LIMIT);
    buf_init(&d->scratch, BUF_NO_LIMIT);
}

void charset_decoder_release(struct charset_decoder *d)
{
    for (size_t i = 0; i < CHARSETS; i++)
        if (d->handles[i])
            iconv_close((iconv_t)d->handles[i]);
    buf_release(&d->out);
    buf_release(&d->scratch);
    *d = (struct charset_decoder){0};
}

static void put(struct buf *out, uint32_t cp)
{
    char bytes[UTF8_MAX];

    buf_add_bytes(out, bytes, utf8_put(bytes, cp));
}

/* ---- our own ---- */

static void decode_utf8(struct str s, struct buf *out)
{
    size_t at = 0, kept = 0;

    while (at < s.n) {
        size_t from;

        at += utf8_ascii_span(str_slice(s, at, s.n));
        from = at;
        if (at == s.n || utf8_next(s, &at) != UTF8_BAD)
            continue;
        buf_add(out, str_slice(s, kept, from));
        buf_add(out, STR(BAD));
        kept = at;
    }
    buf_add(out, str_slice(s, kept, s.n));
}

static uint32_t unit_at(struct str s, size_t at, bool big)
{
    uint32_t a = (unsigned char)s.p[at], b = (unsigned char)s.p[at + 1];

    return big ? a << 8 | b : b << 8 | a;
}

static void decode_utf16(struct str s, bool big, struct buf *out)
{
    size_t at = 0;

    while (at + 2 <= s.n) {
        uint32_t u = unit_at(s, at, big), low;

        at += 2;
        if (u >= 0xd800 && u <= 0xdfff) {
            low = at + 2 <= s.n ? unit_at(s, at, big) : 0;
            if (u > 0xdbff || low < 0xdc00 || low > 0xdfff) {
                u = 0xfffd; /* the unit behind it is read again */
            } else {
                u = 0x10000 + ((u - 0xd800) << 10) + (low - 0xdc00);
                at += 2;
            }
        }
        put(out, u);
    }
    if (at < s.n)
        buf_add(out, STR(BAD));
}

/* table NULL: x-user-defined, bytes 80-FF are U+F780-F7FF. */
static void decode_single(struct str s, const uint16_t *table, struct buf *out)
{
    size_t at = 0;

    while (at < s.n) {
        size_t n = utf8_ascii_span(str_slice(s, at, s.n));
        uint32_t cp;

        buf_add(out, str_slice(s, at, at + n));
        for (at += n; at < s.n && (s.p[at] & 0x80); at++) {
            cp = (unsigned char)s.p[at] & 0x7f;
            cp = table ? table[cp] : 0xf780 + cp;
            put(out, cp ? cp : 0xfffd);
        }
    }
}

/* ---- iconv ---- */

/* Bytes of a malformed sequence: a pair is taken whole unless its second byte
 * is ASCII, which is read again, so that no quote or < can be swallowed. */
static size_t bad_length(enum charset c, const char *p, size_t n)
{
    unsigned lead = (unsigned char)p[0];
    unsigned lo = 0x81, hi = 0xfe;

    if (c == CHARSET_SHIFT_JIS) {
        hi = 0xfc;
        if (lead >= 0xa0 && lead <= 0xdf)
            return 1;
    } else if (c == CHARSET_EUC_JP || c == CHARSET_ISO_2022_JP) {
        if (lead == 0x8f && n > 2 && (p[1] & 0x80))
            return p[2] & 0x80 ? 3 : 2;
        if (lead == 0x8e)
            lo = 0x8e;
        else
            lo = 0xa1;
    }
    return lead >= lo && lead <= hi && n > 1 && (p[1] & 0x80) ? 2 : 1;
}

/*
 * What the standard reads and glibc's tables do not: the single byte 0x80 in
 * two sets, seven pairs of Big5.  Bytes taken, 0 when it is malformed for both.
 */
static size_t put_known(enum charset c, const char *p, size_t n,
                        struct buf *out)
{
    static const struct {
        enum charset charset;
        uint16_t bytes, cp;
    } known[] = {
        {CHARSET_GBK, 0x80, 0x20ac},     {CHARSET_GB18030, 0x80, 0x20ac},
        {CHARSET_SHIFT_JIS, 0x80, 0x80}, {CHARSET_BIG5, 0xa15a, 0x2574},
        {CHARSET_BIG5, 0xa1c3, 0xffe3},  {CHARSET_BIG5, 0xa1c5, 0x02cd},
        {CHARSET_BIG5, 0xa1fe, 0xff0f},  {CHARSET_BIG5, 0xa240, 0xff3c},
        {CHARSET_BIG5, 0xa2cc, 0x5341},  {CHARSET_BIG5, 0xa2ce, 0x5345},
    };
    unsigned one = (unsigned char)p[0];
    unsigned two = n > 1 ? one << 8 | (unsigned char)p[1] : 0;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].charset != c)
            continue;
        if (known[i].bytes == one || known[i].bytes == two) {
            put(out, known[i].cp);
            return known[i].bytes == one ? 1 : 2;
        }
    }
    return 0;
}

/* glibc's UHC refuses A2 E8 and stands behind it when it says so; from is where
 * that call of iconv began. */
static bool passed_already(enum charset c, const char *from, const char *in)
{
    return c == CHARSET_EUC_KR && in - from >= 2 &&
           memcmp(in - 2, "\xa2\xe8", 2) == 0;
}

/* What iconv, which began at from, stopped at; bytes it takes. */
static size_t put_bad(enum charset c, const char *from, const char *in,
                      size_t left, int why, struct buf *out)
{
    size_t n = left ? put_known(c, in, left, out) : 0;

    if (n)
        return n;
    buf_add(out, STR(BAD));
    if (!left || passed_already(c, from, in))
        return 0;
    return why == EINVAL ? left : bad_length(c, in, left);
}

static int decode_iconv(struct charset_decoder *d, enum charset c, struct str s,
                        struct buf *out)
{
    iconv_t cd = d->handles[c];
    char *in = (char *)(uintptr_t)s.p;
    size_t left = s.n;

    if (!cd) {
        cd = iconv_open("UTF-8", sets[c].arg);
        if (cd == (iconv_t)-1)
            return errno == ENOMEM ? -E_NOMEM : -E_UNSUPPORTED;
        d->handles[c] = cd;
    }
    iconv(cd, NULL, NULL, NULL, NULL);
    for (;;) {
        size_t room = left * 3 + 64, had = room, rc, n;
        char *to = buf_reserve(out, room);
        const char *from = in;
        bool flush = !left; /* Big5 holds a letter back for its accent */

        if (!to)
            return out->rc;
        rc = flush ? iconv(cd, NULL, NULL, &to, &room)
                   : iconv(cd, &in, &left, &to, &room);
        out->n += had - room;
        out->p[out->n] = 0;
        if (rc == (size_t)-1 && errno != E2BIG) {
            n = put_bad(c, from, in, left, errno, out);
            in += n;
            left -= n;
        }
        if (flush)
            return out->rc;
    }
}

/* ---- iso-2022-jp ---- */

/* Pairs of JIS X 0208 collected in scratch as EUC-JP. */
static int flush_pairs(struct charset_decoder *d, struct buf *out)
{
    int rc = 0;

    if (d->scratch.n)
        rc = decode_iconv(d, CHARSET_ISO_2022_JP, buf_str(&d->scratch), out);
    buf_clear(&d->scratch);
    return rc;
}

enum jis_state { JIS_ASCII, JIS_ROMAN, JIS_KATAKANA, JIS_PAIRS };

static bool read_escape(struct str s, size_t at, enum jis_state *state)
{
    struct str e = str_slice(s, at + 1, at + 3);

    if (str_eq(e, STR("(B")))
        *state = JIS_ASCII;
    else if (str_eq(e, STR("(J")))
        *state = JIS_ROMAN;
    else if (str_eq(e, STR("(I")))
        *state = JIS_KATAKANA;
    else if (str_eq(e, STR("$@")) || str_eq(e, STR("$B")))
        *state = JIS_PAIRS;
    else
        return false;
    return true;
}

static void put_jis_single(enum jis_state state, unsigned c, struct buf *out)
{
    if (c >= 0x80 || c == 0x0e || c == 0x0f || c == 0x1b)
        put(out, 0xfffd);
    else if (state == JIS_KATAKANA)
        put(out, c >= 0x21 && c <= 0x5f ? 0xff61 - 0x21 + c : 0xfffd);
    else if (state == JIS_ROMAN && c == 0x5c)
        put(out, 0xa5);
    else if (state == JIS_ROMAN && c == 0x7e)
        put(out, 0x203e);
    else
        put(out, c);
}

static bool is_jis(struct str s, size_t at)
{
    return at < s.n && s.p[at] >= 0x21 && s.p[at] <= 0x7e;
}

static int decode_iso_2022_jp(struct charset_decoder *d, struct str s,
                              struct buf *out)
{
    enum jis_state state = JIS_ASCII;
    size_t at = 0;
    int rc;

    buf_clear(&d->scratch);
    while (at < s.n) {
        if (s.p[at] == 0x1b && read_escape(s, at, &state)) {
            at += 3;
            continue;
        }
        if (state == JIS_PAIRS && is_jis(s, at) && is_jis(s, at + 1)) {
            buf_add_char(&d->scratch, (char)(s.p[at] | 0x80));
            buf_add_char(&d->scratch, (char)(s.p[at + 1] | 0x80));
            at += 2;
            continue;
        }
        rc = flush_pairs(d, out);
        if (rc)
            return rc;
        if (state == JIS_PAIRS)
            buf_add(out, STR(BAD));
        else
            put_jis_single(state, (unsigned char)s.p[at], out);
        at++;
    }
    return d->scratch.rc ? d->scratch.rc : flush_pairs(d, out);
}

/* ---- the door ---- */

int charset_decode(struct charset_decoder *d, enum charset c, struct str bytes,
                   struct str *text)
{
    enum kind kind = sets[c].kind;
    int rc = 0;

    if (kind == KIND_U ? utf8_valid(bytes)
                       : (kind == KIND_S || kind == KIND_I || kind == KIND_X) &&
                             utf8_ascii_span(bytes) == bytes.n) {
        *text = bytes;
        return 0;
    }
    buf_clear(&d->out);
    switch (kind) {
    case KIND_U:
        decode_utf8(bytes, &d->out);
        break;
    case KIND_W:
        decode_utf16(bytes, c == CHARSET_UTF_16BE, &d->out);
        break;
    case KIND_S:
    case KIND_X:
        decode_single(bytes, sets[c].arg, &d->out);
        break;
    case KIND_I:
        rc = decode_iconv(d, c, bytes, &d->out);
        break;
    case KIND_J:
        rc = decode_iso_2022_jp(d, bytes, &d->out);
        break;
    case KIND_R:
        buf_add(&d->out, bytes.n ? STR(BAD) : STR_NONE);
        break;
    }
    *text = buf_str(&d->out);
    return rc ? rc : d->out.rc;
}

int charset_to_utf8(struct charset_decoder *d, struct str bytes,
                    struct str http_label, struct str *text,
                    enum charset *found)
{
    size_t bom;
    enum charset c = charset_sniff(bytes, http_label, &bom);

    if (found)
        *found = c;
    return charset_decode(d, c, str_slice(bytes, bom, bytes.n), text);
}
