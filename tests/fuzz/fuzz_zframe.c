/* Frames of our own packer: zstd's decoder gives the content back, whatever it
 * is.  The content is the input over and over, the first byte says how often
 * and how far apart, so that small inputs have long and far matches too. */
#include "base/buf.h"
#include "base/zframe.h"
#include <stdlib.h>
#include <zstd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zframe *z = zframe_new();
    struct buf content;
    char *packed, *back;
    size_t n;

    if (size == 0 || !z) {
        zframe_free(z);
        return 0;
    }
    buf_init(&content, BUF_NO_LIMIT);
    for (unsigned i = 0; i <= data[0] % 32u; i++) {
        buf_add_bytes(&content, data + 1, size - 1);
        for (unsigned k = 0; k < 256u * (data[0] / 32u); k++)
            buf_add_char(&content, (char)(i * 31 + k * k));
    }
    packed = malloc(zframe_bound(content.n));
    back = malloc(content.n + 1);
    if (!packed || !back)
        abort();
    n = zframe_put(z, buf_str(&content), packed);
    if (n > zframe_bound(content.n) ||
        ZSTD_decompress(back, content.n, packed, n) != content.n ||
        (content.n && memcmp(back, content.p, content.n)))
        abort();
    free(packed);
    free(back);
    buf_release(&content);
    zframe_free(z);
    return 0;
}
