/* Parts of a JPEG are the whole's pixels, and refused where the whole is,
 * whatever the bytes are.  The first eight say which part, and how. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/image.h"

#define PIXELS_MAX (1u << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each side as a share of 256, of what is left behind the corner. */
static struct image_rect wanted(void *ctx, const struct image_header *h,
                                uint32_t width, uint32_t height)
{
    const uint8_t *say = ctx;
    struct image_rect r = {width * say[0] / 256, height * say[1] / 256, 1, 1};

    assert(width <= h->width && height <= h->height);
    r.width += (width - r.x - 1) * say[2] / 255;
    r.height += (height - r.y - 1) * say[3] / 255;
    return r;
}

static void compare(const struct image *whole, const struct image *part,
                    struct image_rect r, size_t bytes)
{
    assert(whole->width == part->width && whole->height == part->height);
    for (uint32_t y = r.y; y < r.y + r.height; y++)
        assert(!memcmp(whole->rgb + y * whole->stride + r.x * bytes,
                       part->rgb + y * part->stride + r.x * bytes,
                       r.width * bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct image_room all, some; /* kept for the next input */
    struct image_decode_options o = {.limits = image_limits_decodable()};
    struct image whole = IMAGE_INIT, part = IMAGE_INIT;
    enum image_kind kind = IMAGE_PLAIN, other = IMAGE_PLAIN;
    enum image_reason reason;
    struct image_header h;
    uint8_t say[8];
    struct str in;

    if (size < sizeof say)
        return 0;
    memcpy(say, data, sizeof say);
    in = str_make((const char *)data + sizeof say, size - sizeof say);
    o.limits.max_pixels = PIXELS_MAX;
    o.limits.max_scans = 8;
    o.flags = say[4] % 2 ? IMAGE_QUICK : 0;
    o.keep_width = say[5];
    o.keep_height = say[6];
    reason = image_decode_raw(in, &o, &all, &whole, &kind, &h);
    o.wanted = wanted;
    o.ctx = say;
    if (some.p)
        memset(some.p, 0xa5, some.n);
    assert(image_decode_raw(in, &o, &some, &part, &other, &h) == reason);
    if (reason != IMAGE_OK)
        return 0;
    assert(kind == other);
    compare(&whole, &part, wanted(say, &h, whole.width, whole.height),
            image_kind_bytes(kind));
    return 0;
}
