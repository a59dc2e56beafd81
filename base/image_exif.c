/*
 * EXIF: a TIFF structure from a stranger, read with checked offsets only.
 *
 * The JSON has the names that exifread prints and img2dataset stores ("Image
 * Make", "EXIF FNumber"), all values as strings.  Where somebody was (the GPS
 * directory), serial numbers, owners' names and maker notes are not for a
 * corpus and are not read.
 */
#include <stdio.h>

#include "base/image.h"
#include "base/json.h"
#include "base/utf8.h"

#define ENTRY         12   /* bytes of a directory entry */
#define ENTRIES_MAX   512  /* of a directory that are looked at */
#define TEXT_MAX      1024 /* bytes of a value kept */
#define TAG_ORIENT    0x0112
#define TAG_SUBFOLDER 0x8769 /* the EXIF directory */

enum { BYTE = 1, ASCII, SHORT, LONG, RATIONAL, SLONG = 9, SRATIONAL };

struct tiff {
    struct str s;
    bool big; /* most significant byte first */
};

struct entry {
    unsigned tag, type;
    uint32_t count;
    size_t at;    /* offset of its value */
    size_t bytes; /* of its value, all inside s */
};

static uint32_t get16(const struct tiff *t, size_t at)
{
    const uint8_t *p = (const uint8_t *)t->s.p + at;

    return t->big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t get32(const struct tiff *t, size_t at)
{
    uint32_t a = get16(t, at), b = get16(t, at + 2);

    return t->big ? a << 16 | b : b << 16 | a;
}

static bool tiff_open(struct tiff *t, struct str s, size_t *folder)
{
    t->s = s;
    if (s.n < 8)
        return false;
    t->big = s.p[0] == 'M';
    if (s.p[0] != s.p[1] || (s.p[0] != 'M' && s.p[0] != 'I') ||
        get16(t, 2) != 42)
        return false;
    *folder = get32(t, 4);
    return true;
}

static size_t type_bytes(unsigned type)
{
    switch (type) {
    case BYTE:
    case ASCII:
        return 1;
    case SHORT:
        return 2;
    case LONG:
    case SLONG:
        return 4;
    case RATIONAL:
    case SRATIONAL:
        return 8;
    default:
        return 0;
    }
}

/* Find a tag in the directory at folder; only values that lie inside. */
static bool find(const struct tiff *t, size_t folder, unsigned tag,
                 struct entry *e)
{
    uint32_t n;

    if (folder > t->s.n || t->s.n - folder < 2)
        return false;
    n = get16(t, folder);
    for (uint32_t i = 0; i < n && i < ENTRIES_MAX; i++) {
        size_t at = folder + 2 + (size_t)i * ENTRY, size;

        if (at > t->s.n || t->s.n - at < ENTRY)
            return false;
        e->tag = get16(t, at);
        if (e->tag != tag)
            continue;
        e->type = get16(t, at + 2);
        e->count = get32(t, at + 4);
        size = type_bytes(e->type);
        if (size == 0 || e->count == 0)
            return false;
        e->bytes = size * (size_t)e->count;
        e->at = e->bytes <= 4 ? at + 8 : get32(t, at + 8);
        return e->at <= t->s.n && e->bytes <= t->s.n - e->at;
    }
    return false;
}

unsigned image_exif_orientation(struct str tiff)
{
    struct tiff t;
    struct entry e;
    size_t folder;
    uint32_t v;

    if (!tiff_open(&t, tiff, &folder) || !find(&t, folder, TAG_ORIENT, &e))
        return 1;
    if (e.type == SHORT)
        v = get16(&t, e.at);
    else if (e.type == LONG)
        v = get32(&t, e.at);
    else if (e.type == BYTE)
        v = (uint8_t)t.s.p[e.at];
    else
        return 1;
    return v >= 1 && v <= 8 ? v : 1;
}

/* ---- to JSON ---- */

static const struct known {
    unsigned tag;
    const char *name;
} image_tags[] =
    {
        {0x010e, "Image ImageDescription"},
        {0x010f, "Image Make"},
        {0x0110, "Image Model"},
        {TAG_ORIENT, "Image Orientation"},
        {0x011a, "Image XResolution"},
        {0x011b, "Image YResolution"},
        {0x0128, "Image ResolutionUnit"},
        {0x0131, "Image Software"},
        {0x0132, "Image DateTime"},
        {0x013b, "Image Artist"},
        {0x8298, "Image Copyright"},
},
  exif_tags[] = {
      {0x829a, "EXIF ExposureTime"},
      {0x829d, "EXIF FNumber"},
      {0x8822, "EXIF ExposureProgram"},
      {0x8827, "EXIF ISOSpeedRatings"},
      {0x9003, "EXIF DateTimeOriginal"},
      {0x9004, "EXIF DateTimeDigitized"},
      {0x9204, "EXIF ExposureBiasValue"},
      {0x9205, "EXIF MaxApertureValue"},
      {0x9207, "EXIF MeteringMode"},
      {0x9209, "EXIF Flash"},
      {0x920a, "EXIF FocalLength"},
      {0xa001, "EXIF ColorSpace"},
      {0xa002, "EXIF ExifImageWidth"},
      {0xa003, "EXIF ExifImageLength"},
      {0xa402, "EXIF ExposureMode"},
      {0xa403, "EXIF WhiteBalance"},
      {0xa405, "EXIF FocalLengthIn35mmFilm"},
      {0xa406, "EXIF SceneCaptureType"},
      {0xa433, "EXIF LensMake"},
      {0xa434, "EXIF LensModel"},
};

static const char *const orientations[] = {
    "Horizontal (normal)",
    "Mirrored horizontal",
    "Rotated 180",
    "Mirrored vertical",
    "Mirrored horizontal then rotated 90 CCW",
    "Rotated 90 CW",
    "Mirrored horizontal then rotated 90 CW",
    "Rotated 90 CCW",
};

static int64_t gcd(int64_t a, int64_t b)
{
    a = a < 0 ? -a : a;
    b = b < 0 ? -b : b;
    while (b) {
        int64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a ? a : 1;
}

static void ratio_text(int64_t num, int64_t den, char *out, size_t size)
{
    int64_t g = gcd(num, den);

    num /= g;
    den /= g;
    if (den == 1)
        snprintf(out, size, "%lld", (long long)num);
    else
        snprintf(out, size, "%lld/%lld", (long long)num, (long long)den);
}

/* The value as text; of several numbers the first. False: nothing to say. */
static bool value_text(const struct tiff *t, const struct entry *e,
                       char scratch[64], struct str *text)
{
    uint32_t v;

    *text = STR_NONE;
    switch (e->type) {
    case ASCII:
        *text = str_make(t->s.p + e->at, e->bytes);
        *text = str_slice(*text, 0, str_find_char(*text, 0, 0));
        *text = str_trim(str_slice(str_trim(*text), 0, TEXT_MAX));
        return text->n > 0 && utf8_valid(*text);
    case BYTE:
        snprintf(scratch, 64, "%u", (unsigned)(uint8_t)t->s.p[e->at]);
        break;
    case SHORT:
        v = get16(t, e->at);
        if (e->tag == TAG_ORIENT && v >= 1 && v <= 8)
            snprintf(scratch, 64, "%s", orientations[v - 1]);
        else
            snprintf(scratch, 64, "%u", (unsigned)v);
        break;
    case LONG:
        snprintf(scratch, 64, "%u", (unsigned)get32(t, e->at));
        break;
    case SLONG:
        snprintf(scratch, 64, "%d", (int)(int32_t)get32(t, e->at));
        break;
    case RATIONAL:
        ratio_text(get32(t, e->at), get32(t, e->at + 4), scratch, 64);
        break;
    default: /* SRATIONAL */
        ratio_text((int32_t)get32(t, e->at), (int32_t)get32(t, e->at + 4),
                   scratch, 64);
    }
    *text = str_of(scratch);
    return true;
}

static void put_tags(const struct tiff *t, size_t folder,
                     const struct known *known, size_t n, struct json_out *o,
                     bool *any)
{
    for (size_t i = 0; i < n; i++) {
        char scratch[64];
        struct entry e;
        struct str text;

        if (!find(t, folder, known[i].tag, &e) ||
            !value_text(t, &e, scratch, &text))
            continue;
        if (!*any)
            json_out_object(o);
        *any = true;
        json_put_string(o, known[i].name, text);
    }
}

void image_exif_json(struct str tiff, struct buf *out)
{
    struct tiff t;
    struct entry e;
    struct json_out o;
    size_t folder, before = out->n;
    bool any = false;

    if (!tiff_open(&t, tiff, &folder))
        return;
    json_out_init(&o, out);
    put_tags(&t, folder, image_tags, sizeof image_tags / sizeof image_tags[0],
             &o, &any);
    if (find(&t, folder, TAG_SUBFOLDER, &e) && e.type == LONG)
        put_tags(&t, get32(&t, e.at), exif_tags,
                 sizeof exif_tags / sizeof exif_tags[0], &o, &any);
    if (any)
        json_out_end_object(&o);
    if (out->rc == -E_TOOBIG) { /* no half an object */
        out->n = before;
        out->p[before] = 0;
        out->rc = 0;
    }
}
