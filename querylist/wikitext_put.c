/* What is written: ends of lines, and characters that have names. */
#include "base/entities.h"
#include "base/utf8.h"
#include "querylist/wikitext_parts.h"

void trim_spaces(struct reader *k)
{
    while (k->to > k->base && k->to[-1] == ' ')
        k->to--;
}

void put_line_end(struct reader *k)
{
    if (k->to == k->base ||
        (k->to - k->base >= 2 && k->to[-1] == '\n' && k->to[-2] == '\n'))
        return;
    *k->to++ = '\n';
}

void put_block(struct reader *k)
{
    trim_spaces(k);
    put_line_end(k);
    put_line_end(k);
}

/* What an entity stands for, if s begins with one; its bytes, or 0. */
static size_t entity_length(struct str s, uint32_t cp[2])
{
    struct entity named;
    size_t at = 2;
    bool hex;
    uint32_t number = 0;

    cp[1] = 0;
    if (s.n < 3)
        return 0;
    if (s.p[1] != '#') {
        if (!entity_find(str_slice(s, 1, s.n), &named) || !named.semicolon)
            return 0;
        cp[0] = named.first;
        cp[1] = named.second;
        return 1 + named.n;
    }
    hex = (s.p[2] | 0x20) == 'x';
    at += hex;
    for (; at < s.n && at < 12 && s.p[at] != ';'; at++) {
        int digit = str_hex_digit(s.p[at]);

        if (digit < 0 || (!hex && digit > 9))
            return 0;
        number = number > 0x10ffff ? number
                                   : number * (hex ? 16 : 10) + (uint32_t)digit;
    }
    if (at == s.n || s.p[at] != ';' || at == 2u + hex)
        return 0;
    cp[0] = entity_number(number);
    return at + 1;
}

static size_t put_entity(struct reader *k, struct str s)
{
    uint32_t cp[2];
    size_t n = entity_length(s, cp);

    if (n == 0) {
        *k->to++ = '&';
        return 1;
    }
    for (size_t i = 0; i < 2 && (i == 0 || cp[i]); i++) {
        if (utf8_is_white_space(cp[i]))
            *k->to++ = ' ';
        else
            k->to += utf8_put(k->to, cp[i]);
    }
    return n;
}

void put_literal(struct reader *k, struct str s)
{
    size_t at = 0;

    while (at < s.n) {
        size_t next = str_find_char(s, '&', at);

        if (next == SIZE_MAX)
            next = s.n;
        memcpy(k->to, s.p + at, next - at);
        k->to += next - at;
        at = next;
        if (at < s.n)
            at += put_entity(k, str_slice(s, at, s.n));
    }
}

void read_entity(struct reader *k)
{
    k->at += put_entity(k, str_slice(k->text, k->at, k->end));
}
