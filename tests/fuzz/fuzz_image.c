/* base/image on strangers' bytes: a verdict, and pixels only with IMAGE_OK;
 * what was stored decodes again and survives its packing.  Small limits, so
 * that the fuzzer spends its time on parsing. */
#include <assert.h>
#include <stdlib.h>

#include "base/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct image_config config(void)
{
    struct image_config c = image_config_default();

    c.limits = image_limits_decodable();
    c.limits.max_pixels = 1u << 16;
    c.limits.max_scans = 8;
    c.limits.max_frames = 64;
    c.size = 16;
    return c;
}

static void check_decode(struct str in, const struct image_config *c)
{
    struct image_decode_options o = {.limits = c->limits,
                                     .flags = IMAGE_ORIENT | IMAGE_SRGB};
    struct image m = IMAGE_INIT;
    struct image_header h;
    enum image_reason r = image_decode(in, &o, &m, &h, NULL);
    unsigned sum = 0;

    assert((r == IMAGE_OK) == (m.rgb != NULL));
    if (r)
        return;
    assert((uint64_t)m.width * m.height <= c->limits.max_pixels);
    assert(h.orientation >= 1 && h.orientation <= 8);
    for (size_t i = 0; i < m.stride * m.height; i++)
        sum += m.rgb[i]; /* every byte is there to be read */
    image_release(&m);
    assert(sum <= 255u << 18);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *packed; /* kept for the next input */
    struct str in = str_make((const char *)data, size);
    struct image_config c = config();
    struct image_result r;
    size_t n = 0;

    if (!packed)
        packed = malloc(IMAGE_PACKED_MAX);
    assert(packed);
    check_decode(in, &c);
    assert(image_worker(&c, in, packed, IMAGE_PACKED_MAX, &n) == 0);
    image_result_init(&r);
    assert(image_unpack(str_make((char *)packed, n), &r) == 0);
    assert((r.reason == IMAGE_OK) == (r.jpeg.n > 0));
    if (r.reason == IMAGE_OK)
        assert(r.width >= 1 && r.height >= 1);
    image_unpack(in, &r); /* any bytes at all */
    image_result_release(&r);
    return 0;
}
