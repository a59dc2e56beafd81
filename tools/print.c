#include "tools/print.h"

#include "base/utf8.h"

#define ROTATE 8

const char *print_n(uint64_t n)
{
    static char out[ROTATE][32];
    static unsigned turn;
    char *p = out[turn++ % ROTATE] + sizeof out[0] - 1;
    unsigned digits = 0;

    if (n == UINT64_MAX)
        return "-";
    *p = 0;
    do {
        if (digits && digits % 3 == 0)
            *--p = ',';
        *--p = (char)('0' + n % 10);
        digits++;
    } while (n /= 10);
    return p;
}

const char *print_share(uint64_t part, uint64_t whole)
{
    static char out[ROTATE][16];
    static unsigned turn;
    char *p = out[turn++ % ROTATE];

    if (!whole)
        return "-";
    snprintf(p, sizeof out[0], "%.1f%%", 100.0 * (double)part / (double)whole);
    return p;
}

/* Controls, and characters that change the direction of what follows. */
static bool is_plain(uint32_t cp)
{
    return cp >= 0x20 && !(cp >= 0x7f && cp < 0xa0) && cp != 0x61c &&
           !(cp >= 0x200b && cp <= 0x200f) && !(cp >= 0x2028 && cp <= 0x202e) &&
           !(cp >= 0x2060 && cp <= 0x206f) && cp != 0xfeff &&
           !(cp >= 0xe0000 && cp <= 0xe007f);
}

void print_plain(struct buf *out, struct str s, size_t max_bytes)
{
    size_t at = 0;

    while (at < s.n) {
        size_t from = at;
        uint32_t cp = utf8_next(s, &at);

        if (max_bytes && at > max_bytes) {
            buf_add(out, STR("..."));
            return;
        }
        if (cp == UTF8_BAD)
            buf_add(out, STR("<?>"));
        else if (is_plain(cp))
            buf_add(out, str_slice(s, from, at));
        else
            buf_addf(out, "<U+%04X>", (unsigned)cp);
    }
}

void print_safe(FILE *to, struct str s, size_t max_bytes)
{
    struct buf b;

    buf_init(&b, BUF_NO_LIMIT);
    print_plain(&b, s, max_bytes);
    fwrite(buf_str(&b).p, 1, b.n, to);
    buf_release(&b);
}

/* As terminals count: 0 for what stands on the character before, 2 for the
 * wide blocks of East Asia and pictographs. */
static int columns_of(struct str s)
{
    int n = 0;

    for (size_t at = 0; at < s.n;) {
        uint32_t cp = utf8_next(s, &at);

        if (cp >= 0x300 && cp <= 0x36f)
            continue;
        n += (cp >= 0x1100 && cp <= 0x115f) || (cp >= 0x2e80 && cp <= 0xa4cf) ||
                     (cp >= 0xac00 && cp <= 0xd7a3) ||
                     (cp >= 0xf900 && cp <= 0xfaff) ||
                     (cp >= 0xff00 && cp <= 0xff60) ||
                     (cp >= 0x1f300 && cp <= 0x1faff) ||
                     (cp >= 0x20000 && cp <= 0x3fffd)
                 ? 2
                 : 1;
    }
    return n;
}

void print_cell(FILE *to, struct str s, int indent, int columns)
{
    struct buf b;
    int n;

    buf_init(&b, BUF_NO_LIMIT);
    print_plain(&b, s, 0);
    n = columns_of(buf_str(&b));
    fwrite(buf_str(&b).p, 1, b.n, to);
    if (n > columns)
        fprintf(to, "\n%*s", indent + columns, "");
    else
        fprintf(to, "%*s", columns - n, "");
    buf_release(&b);
}
