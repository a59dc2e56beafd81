/* Sniffing and every decoder on any bytes: always sound UTF-8. */
#include <stdint.h>
#include <stdlib.h>

#include "base/charset.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte picks the decoder; 0 lets the bytes decide. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct charset_decoder d;
    static int ready;
    struct str bytes, text;
    size_t bom = 0;
    enum charset c;

    if (!size)
        return 0;
    if (!ready++)
        charset_decoder_init(&d);
    c = (enum charset)(data[0] % CHARSETS);
    bytes = str_make((const char *)data + 1, size - 1);
    if (c == CHARSET_NONE)
        c = charset_sniff(bytes, STR_NONE, &bom);
    if (c == CHARSET_NONE || bom > bytes.n)
        abort();
    if (charset_decode(&d, c, str_slice(bytes, bom, bytes.n), &text) ||
        !utf8_valid(text))
        abort();
    return 0;
}
