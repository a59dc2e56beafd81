/* Which libraries decode: pixels are theirs. */
#include <stdio.h>

#include <avif/avif.h>
#include <gif_lib.h>
#include <jpeglib.h>
#include <png.h>
#include <webp/decode.h>

#include "base/image.h"

#define TEXT_MAX 32

/* As three numbers in one: a * scale^2 + b * scale + c. */
static void put(struct json_out *o, const char *name, int version, int scale)
{
    char text[TEXT_MAX];

    snprintf(text, sizeof text, "%d.%d.%d", version / scale / scale,
             version / scale % scale, version % scale);
    json_put_string(o, name, str_of(text));
}

/* libjpeg and giflib tell what they were only when this was compiled. */
void image_libraries(struct json_out *o)
{
    put(o, "libjpeg-turbo", LIBJPEG_TURBO_VERSION_NUMBER, 1000);
    json_put_string(o, "libpng", str_of(png_get_libpng_ver(NULL)));
    put(o, "libwebp", WebPGetDecoderVersion(), 256);
    put(o, "giflib", GIFLIB_MAJOR * 10000 + GIFLIB_MINOR * 100 + GIFLIB_RELEASE,
        100);
    json_put_string(o, "libavif", str_of(avifVersion()));
}
