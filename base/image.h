/*
 * image - strangers' pictures in, plain 8-bit RGB or a stored JPEG out.
 *
 * Model.   The one door to libjpeg-turbo, libpng, libwebp, giflib, libavif and
 *          lcms2.  The magic bytes say what a file is; its name and its
 *          Content-Type say nothing.  Dimensions are read and held against the
 *          limits before any pixel memory is asked for.  A picture that cannot
 *          be used is data: an enum image_reason, whose name is the drop's
 *          name.  "All of the original image" must be there: what a viewer
 *          would show half of, or patch up, is refused (docs/formats/image.md
 *          lists the cases).  Animations give their first frame; alpha is
 *          composited on white.
 * Owns.    struct image owns rgb unless it is a view; image_release() frees.
 *          Byte strings passed in are borrowed for the call.
 * Fails.   enum image_reason, IMAGE_OK being 0.  IMAGE_MEMORY is the only one
 *          that says something about this machine.
 * Threads. Pure functions.  Pictures of strangers are decoded in a worker of
 *          base/jail; image_worker() is that worker's function.
 * Cost.    Memory: 3 bytes a pixel (4 with alpha), twice that inside a codec.
 */
#ifndef BASE_IMAGE_H
#define BASE_IMAGE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_BYTES_MAX                                                        \
    (16u << 20)                    /* bytes of an original, and of a stored    \
                                    */
#define IMAGE_EXIF_MAX (16u << 10) /* bytes of the exif JSON */
#define IMAGE_ICC_MAX  (4u << 20)  /* bytes of a profile; larger is ignored */
/* Room for a packed result: header, exif and stored JPEG. */
#define IMAGE_PACKED_MAX (IMAGE_BYTES_MAX + IMAGE_EXIF_MAX + 4096u)

/* value, name in drop counts and ledgers */
#define IMAGE_REASON_MAP(X)                                                    \
    X(IMAGE_OK, "ok")                                                          \
    X(IMAGE_EMPTY, "image-empty")              /* no bytes */                  \
    X(IMAGE_NOT, "not-image")                  /* HTML, archives, anything */  \
    X(IMAGE_UNSUPPORTED, "unsupported-format") /* SVG, BMP, HEIC, 12 bits */   \
    X(IMAGE_BYTES, "image-bytes")         /* original or stored too long */    \
    X(IMAGE_SMALL, "image-too-small")     /* shorter side */                   \
    X(IMAGE_ASPECT, "image-aspect")       /* longer to shorter side */         \
    X(IMAGE_LARGE, "image-too-large")     /* pixels */                         \
    X(IMAGE_WORK, "image-work")           /* scans, frames, chunks */          \
    X(IMAGE_TRUNCATED, "image-truncated") /* ends before the picture does */   \
    X(IMAGE_CORRUPT, "image-corrupt")     /* a decoder objects */              \
    X(IMAGE_MEMORY, "decoder-memory")     /* over the worker's limit */        \
    X(IMAGE_CRASHED, "decoder-crashed")   /* the worker died of it */          \
    X(IMAGE_TIMEOUT, "decoder-timeout")   /* the wall clock ran out */

enum image_reason {
#define X(name, text) name,
    IMAGE_REASON_MAP(X)
#undef X
        IMAGE_REASONS
};

const char *image_reason_name(enum image_reason r);

/* The reason of that name; false when there is none. */
bool image_reason_find(struct str name, enum image_reason *r);

enum image_format {
    IMAGE_FORMAT_NONE,
    IMAGE_JPEG,
    IMAGE_PNG,
    IMAGE_WEBP,
    IMAGE_GIF,
    IMAGE_AVIF,
    IMAGE_FORMATS
};

const char *image_format_name(enum image_format f); /* "jpeg", "none" */

/* What may be decoded at all.  0 switches a limit off where that is said. */
struct image_limits {
    size_t max_bytes;    /* of the original, 1.. */
    uint32_t min_side;   /* pixels of the shorter side; 0: any */
    double max_aspect;   /* longer to shorter side, 1.0..; 0: any */
    uint64_t max_pixels; /* width times height, 1.. */
    uint32_t max_scans;  /* of a progressive JPEG, 1.. */
    uint32_t max_frames; /* of an animation, 1..; the first one is decoded */
    uint32_t max_chunks; /* PNG chunks and GIF blocks, 1.. */
};

/* DESIGN's: 100 pixels, 3:1, 100 Mpx, 16 MiB, 100 scans, 10,000 frames,
 * 100,000 chunks. */
struct image_limits image_limits_default(void);

/* The same without the first two: what the trainer decodes. */
struct image_limits image_limits_decodable(void);

struct image {
    uint32_t width, height; /* pixels, both at least 1 */
    size_t stride;          /* bytes from row to row, at least 3 * width */
    uint8_t *rgb;           /* R, G, B; NULL when empty */
};

#define IMAGE_INIT                                                             \
    {                                                                          \
        0, 0, 0, NULL                                                          \
    }

/* Memory that pictures are put into one after the other; it only grows.
 * Release it with image_room_release(). */
struct image_room {
    uint8_t *p; /* NULL when n is 0 */
    size_t n;   /* bytes */
};

void image_room_release(struct image_room *room);

/* Uninitialised pixels, tight rows; IMAGE_MEMORY when there is no memory. */
enum image_reason image_alloc(struct image *m, uint32_t width, uint32_t height);
void image_release(struct image *m); /* not for views */

/* A view on part of m, which must hold it whole; owns nothing. */
struct image image_view(const struct image *m, uint32_t x, uint32_t y,
                        uint32_t width, uint32_t height);

/* ---- reading ---- */

/* What the first bytes say: IMAGE_OK and a format, or EMPTY, NOT,
 * UNSUPPORTED. */
enum image_reason image_sniff(struct str bytes, enum image_format *format);

struct image_header {
    enum image_format format;
    uint32_t width, height; /* as coded, before orientation */
    unsigned orientation;   /* EXIF 1..8; 1 when there is none */
    bool has_icc;           /* a profile came with it */
    bool animated;
};

/* Read as far as the dimensions and hold them against the limits; allocates
 * no pixels.  h is filled as far as known also when a limit refuses.
 * Orientation and profile may stand later in the file than it reads. */
enum image_reason image_header(struct str bytes,
                               const struct image_limits *limits,
                               struct image_header *h);

enum image_decode_flags {
    IMAGE_ORIENT = 1, /* turn as EXIF (AVIF: irot, imir) says */
    IMAGE_SRGB = 2,   /* convert from the embedded profile to sRGB */
    IMAGE_QUICK = 4,  /* a JPEG's colours unsmoothed where they are coarser */
};

/* Pixels of a picture. */
struct image_rect {
    uint32_t x, y, width, height;
};

struct image_decode_options {
    struct image_limits limits;
    unsigned flags; /* enum image_decode_flags */
    /* For a JPEG: the largest DCT reduction of 2, 4, 8 that leaves both sides
     * at least this long, in pixels; 0: none.  Callers give twice what they
     * need (DESIGN 5). */
    uint32_t keep_width, keep_height;
    /* image_decode_raw of a JPEG: which pixels of a picture of that size,
     * decoded to width x height, are wanted; others are undefined.  NULL:
     * all.  Whether the picture is sound is judged by all of it. */
    struct image_rect (*wanted)(void *ctx, const struct image_header *h,
                                uint32_t width, uint32_t height);
    void *ctx; /* wanted's */
};

/* All of it.  out is written on IMAGE_OK only; release it then.  exif, when
 * not NULL, gets the TIFF block appended ("II*\0..." or "MM\0*..."). */
enum image_reason image_decode(struct str bytes,
                               const struct image_decode_options *o,
                               struct image *out, struct image_header *h,
                               struct buf *exif);

/* Turn m in place of itself as EXIF orientation 1..8 asks. */
enum image_reason image_orient(struct image *m, unsigned orientation);

/* ---- resampling: Pillow's, to the bit ---- */

enum image_filter {
    IMAGE_BOX,
    IMAGE_BILINEAR,
    IMAGE_BICUBIC, /* a = -0.5 */
    IMAGE_LANCZOS,
    IMAGE_FILTERS
};

const char *image_filter_name(enum image_filter f);
bool image_filter_find(struct str name, enum image_filter *f);

/* in to width x height, as Pillow's Image.resize((width, height), filter) in
 * mode RGB.  out must be empty or another image than in. */
enum image_reason image_resize(const struct image *in, uint32_t width,
                               uint32_t height, enum image_filter filter,
                               struct image *out);

/* ---- pixels as the file has them ----
 *
 * For models, whose preprocessing resizes a picture in the file's own mode
 * and only then makes it RGB (train/picture.h).  Alpha is kept apart and in
 * the end dropped; nothing is composited, and neither orientation nor profile
 * is read.
 */

enum image_kind {
    IMAGE_PLAIN,   /* R, G, B; greys thrice */
    IMAGE_INDEXED, /* R, G, B of a palette or of two levels */
    IMAGE_ALPHA,   /* R, G, B, A, colours not multiplied */
    IMAGE_INKS,    /* C, M, Y, K, 255 is all ink */
    IMAGE_DEEP,    /* uint32_t, a grey of 16 bits */
    IMAGE_KINDS
};

size_t image_kind_bytes(enum image_kind kind); /* of a pixel: 3 or 4 */

/* image_decode into room, of o->flags only IMAGE_QUICK: out is a view on it
 * with pixels of image_kind_bytes(*kind) at rgb.  h tells neither orientation
 * nor profile. */
enum image_reason image_decode_raw(struct str bytes,
                                   const struct image_decode_options *o,
                                   struct image_room *room, struct image *out,
                                   enum image_kind *kind,
                                   struct image_header *h);

/* As Pillow's convert("RGB"), in place; m is IMAGE_PLAIN then. */
void image_raw_to_rgb(struct image *m, enum image_kind kind);

/* Resize to to_width x to_height and keep of that width x height at (x, y). */
struct image_part {
    uint64_t to_width, to_height; /* at least 1 */
    uint64_t x, y;
    uint32_t width, height; /* at least 1 */
};

/* What of a picture of that size the part depends on. */
struct image_rect image_part_needs(const struct image_part *part,
                                   enum image_filter filter, uint32_t width,
                                   uint32_t height);

/* in as Pillow's resize(), crop() and convert("RGB") make it: to rgb, rows of
 * 3 * part->width bytes.  Only what the part needs is computed.  in (no view,
 * unless it is IMAGE_PLAIN) is spoiled where it has alpha. */
enum image_reason image_raw_resize(struct image *in, enum image_kind kind,
                                   const struct image_part *part,
                                   enum image_filter filter,
                                   struct image_room *work, uint8_t *rgb);

/* ---- writing ---- */

/* Baseline JPEG, 4:2:0, optimised Huffman tables, no metadata but JFIF;
 * quality 1..100.  Appended to out; IMAGE_BYTES past its ceiling. */
enum image_reason image_encode_jpeg(const struct image *m, int quality,
                                    struct buf *out);

/* ---- exif ---- */

/* The orientation in a TIFF block, 1 when absent or nonsense. */
unsigned image_exif_orientation(struct str tiff);

/* The main tags as one JSON object of strings under exifread's names
 * ("Image Make", "EXIF ExposureTime"), appended; nothing is appended when there
 * are none.  Positions (GPS) and serial numbers are left out on purpose. */
void image_exif_json(struct str tiff, struct buf *out);

/* ---- the whole of a download ---- */

enum image_resize_mode {
    IMAGE_KEEP_SIZE,    /* "no" */
    IMAGE_SHORTER_SIDE, /* "keep-ratio": shorter side to `size` */
    IMAGE_LONGER_SIDE,  /* "keep-ratio-largest": longer side to `size` */
    IMAGE_CENTER_CROP,  /* "center-crop": shorter side, then a square */
    IMAGE_RESIZE_MODES
};

/* By their numbers, NULL behind the last: for option tables. */
extern const char *const image_resize_names[];

struct image_config {
    struct image_limits limits;
    enum image_resize_mode mode;
    uint32_t size;            /* pixels, 1..65500; pictures are only reduced */
    enum image_filter filter; /* for that */
    int quality;              /* of the stored JPEG, 1..100 */
    bool keep_original;       /* store a JPEG's own bytes, metadata and all,
                                 where nothing has to change */
};

/* keep-ratio 512, so that every CLIP model's square (up to 448) is cut from
 * at least as many pixels; bicubic; quality 95. */
struct image_config image_config_default(void);

struct image_result {
    enum image_reason reason;
    enum image_format format;
    uint32_t width, height;                   /* of the stored JPEG */
    uint32_t original_width, original_height; /* after orientation; as coded
                                                 when refused before it */
    uint8_t sha256[SHA256_SIZE];              /* of the original bytes */
    uint64_t phash;                           /* of the stored JPEG */
    bool flat;        /* too even for a phash: exempt from comparing */
    uint32_t consent; /* reserved for markers in the bytes; 0 */
    struct buf exif;  /* JSON object, or empty */
    struct buf jpeg;  /* to store; empty unless reason is IMAGE_OK */
};

void image_result_init(struct image_result *r);
void image_result_release(struct image_result *r);

/* Nothing but a reason, for a picture whose worker gave no answer; memory is
 * kept. */
void image_result_clear(struct image_result *r, enum image_reason reason);

/* sniff, limits, decode, orient, resize, sRGB, encode, hashes; r is cleared
 * first and keeps its memory for the next one.  sha256 is set whatever the
 * verdict. */
enum image_reason image_process(struct str bytes, const struct image_config *c,
                                struct image_result *r);

/* The same as a jail_fn: ctx is the struct image_config, the answer a packed
 * result in out[cap], cap at least IMAGE_PACKED_MAX; 0 or -E_*. */
int image_worker(void *ctx, struct str in, uint8_t *out, size_t cap,
                 size_t *out_bytes);

/* Unpack what image_worker packed.  The bytes come from a process that has
 * read strangers' data: everything is checked, -E_FORMAT when it cannot be. */
int image_unpack(struct str packed, struct image_result *r);

/* Members of an object: the codecs by name, and their versions. */
void image_libraries(struct json_out *o);

#endif
