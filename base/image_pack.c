/* image_process behind base/jail: its result as bytes, and back. */
#include "base/image.h"
#include "base/json.h"

#define MAGIC    0x474d4957u /* "WIMG" */
#define SIDE_MAX 65535u

/* Both ends are one program on one machine: the struct is the format. */
struct wire {
    uint32_t magic;
    uint32_t reason, format;
    uint32_t width, height, original_width, original_height;
    uint32_t flat, consent;
    uint32_t exif_bytes, jpeg_bytes; /* follow, in this order */
    uint32_t zero;
    uint64_t phash;
    uint8_t sha256[SHA256_SIZE];
};

int image_worker(void *ctx, struct str in, uint8_t *out, size_t cap,
                 size_t *out_bytes)
{
    const struct image_config *c = ctx;
    struct image_result r;
    struct wire w;

    if (cap < IMAGE_PACKED_MAX)
        return -E_TOOBIG;
    image_result_init(&r);
    image_process(in, c, &r);
    w = (struct wire){.magic = MAGIC,
                      .reason = r.reason,
                      .format = r.format,
                      .width = r.width,
                      .height = r.height,
                      .original_width = r.original_width,
                      .original_height = r.original_height,
                      .flat = r.flat,
                      .consent = r.consent,
                      .exif_bytes = (uint32_t)r.exif.n,
                      .jpeg_bytes = (uint32_t)r.jpeg.n,
                      .phash = r.phash};
    memcpy(w.sha256, r.sha256, sizeof w.sha256);
    memcpy(out, &w, sizeof w);
    if (r.exif.n)
        memcpy(out + sizeof w, r.exif.p, r.exif.n);
    if (r.jpeg.n)
        memcpy(out + sizeof w + r.exif.n, r.jpeg.p, r.jpeg.n);
    *out_bytes = sizeof w + r.exif.n + r.jpeg.n;
    image_result_release(&r);
    return 0;
}

static bool is_object(struct str s)
{
    struct arena arena;
    struct json j;
    bool ok;

    arena_init(&arena, 1u << 20);
    json_open(&j, s, &arena);
    ok = json_peek(&j) == JSON_OBJECT;
    json_skip(&j);
    ok = json_close(&j, NULL) == 0 && ok;
    arena_release(&arena);
    return ok;
}

static bool is_sound(const struct wire *w, struct str exif, struct str jpeg)
{
    if (w->reason != IMAGE_OK)
        return exif.n == 0 && jpeg.n == 0;
    return w->width >= 1 && w->width <= SIDE_MAX && w->height >= 1 &&
           w->height <= SIDE_MAX && str_starts(jpeg, STR("\xff\xd8\xff")) &&
           (exif.n == 0 || is_object(exif));
}

int image_unpack(struct str packed, struct image_result *r)
{
    struct buf exif = r->exif, jpeg = r->jpeg;
    struct str exif_bytes, jpeg_bytes;
    struct wire w;

    if (packed.n < sizeof w)
        return -E_FORMAT;
    memcpy(&w, packed.p, sizeof w);
    if (w.magic != MAGIC || w.reason >= IMAGE_REASONS ||
        w.format >= IMAGE_FORMATS || w.exif_bytes > IMAGE_EXIF_MAX ||
        w.jpeg_bytes > IMAGE_BYTES_MAX || w.flat > 1 ||
        packed.n != sizeof w + w.exif_bytes + w.jpeg_bytes)
        return -E_FORMAT;
    exif_bytes = str_make(packed.p + sizeof w, w.exif_bytes);
    jpeg_bytes = str_make(exif_bytes.p + exif_bytes.n, w.jpeg_bytes);
    if (!is_sound(&w, exif_bytes, jpeg_bytes))
        return -E_FORMAT;
    buf_clear(&exif);
    buf_clear(&jpeg);
    buf_add(&exif, exif_bytes);
    buf_add(&jpeg, jpeg_bytes);
    *r = (struct image_result){.reason = (enum image_reason)w.reason,
                               .format = (enum image_format)w.format,
                               .width = w.width,
                               .height = w.height,
                               .original_width = w.original_width,
                               .original_height = w.original_height,
                               .phash = w.phash,
                               .flat = w.flat,
                               .consent = w.consent,
                               .exif = exif,
                               .jpeg = jpeg};
    memcpy(r->sha256, w.sha256, sizeof r->sha256);
    return exif.rc ? exif.rc : jpeg.rc;
}
