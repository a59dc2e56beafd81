/*
 * Colour profiles, by lcms2: perceptual intent to sRGB.
 *
 * A profile that lcms refuses, or that does not fit the pixels, is as none: the
 * picture is whole, and browsers show it so.  A profile that moves no colour of
 * a 6x6x6 grid by more than one step is sRGB (most are) and costs nothing.
 */
#include <stdlib.h>

#include <lcms2.h>

#include "base/image_codec.h"

struct image_icc {
    cmsContext context;
    cmsHTRANSFORM transform;
};

static void on_error(cmsContext context, cmsUInt32Number code, const char *text)
{
    (void)context;
    (void)code;
    (void)text; /* lcms would print */
}

/* The pixel layout for that profile, or 0. Grey profiles read the first
 * channel of grey pixels' three. */
static cmsUInt32Number layout_of(cmsHPROFILE profile,
                                 enum image_icc_space space)
{
    const cmsUInt32Number grey_of_rgb =
        COLORSPACE_SH(PT_GRAY) | CHANNELS_SH(1) | EXTRA_SH(2) | BYTES_SH(1);

    switch (cmsGetColorSpace(profile)) {
    case cmsSigRgbData:
        return space == IMAGE_ICC_CMYK_INVERTED ? 0 : TYPE_RGB_8;
    case cmsSigGrayData:
        return space == IMAGE_ICC_GREY ? grey_of_rgb : 0;
    case cmsSigCmykData:
        return space == IMAGE_ICC_CMYK_INVERTED ? TYPE_CMYK_8_REV : 0;
    default:
        return 0;
    }
}

/* Does no sample colour move?  Greys for a grey picture, whose transform may
 * read one channel alone; else a grid over all colours. */
static bool changes_nothing(const struct image_icc *icc, bool grey)
{
    uint8_t from[256][3], to[256][3];
    unsigned n = grey ? 256 : 6 * 6 * 6;

    for (unsigned i = 0; i < n; i++) {
        from[i][0] = (uint8_t)(grey ? i : i / 36 * 51);
        from[i][1] = (uint8_t)(grey ? i : i / 6 % 6 * 51);
        from[i][2] = (uint8_t)(grey ? i : i % 6 * 51);
    }
    cmsDoTransform(icc->transform, from, to, n);
    for (unsigned i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            if (abs(from[i][c] - to[i][c]) > 1)
                return false;
    return true;
}

struct image_icc *image_icc_open(struct str profile, enum image_icc_space space)
{
    struct image_icc *icc;
    cmsHPROFILE from, to;
    cmsUInt32Number layout;

    if (profile.n == 0)
        return NULL;
    icc = calloc(1, sizeof *icc);
    if (!icc)
        return NULL;
    icc->context = cmsCreateContext(NULL, NULL);
    cmsSetLogErrorHandlerTHR(icc->context, on_error);
    from = cmsOpenProfileFromMemTHR(icc->context, profile.p,
                                    (cmsUInt32Number)profile.n);
    to = cmsCreate_sRGBProfileTHR(icc->context);
    layout = from ? layout_of(from, space) : 0;
    if (layout && to)
        icc->transform =
            cmsCreateTransformTHR(icc->context, from, layout, to, TYPE_RGB_8,
                                  INTENT_PERCEPTUAL, cmsFLAGS_NOCACHE);
    if (from)
        cmsCloseProfile(from);
    if (to)
        cmsCloseProfile(to);
    if (!icc->transform || (space != IMAGE_ICC_CMYK_INVERTED &&
                            changes_nothing(icc, space == IMAGE_ICC_GREY))) {
        image_icc_close(icc);
        return NULL;
    }
    return icc;
}

void image_icc_row(struct image_icc *icc, const uint8_t *from, uint8_t *rgb,
                   uint32_t pixels)
{
    cmsDoTransform(icc->transform, from, rgb, pixels);
}

void image_icc_close(struct image_icc *icc)
{
    if (!icc)
        return;
    if (icc->transform)
        cmsDeleteTransform(icc->transform);
    if (icc->context)
        cmsDeleteContext(icc->context);
    free(icc);
}

void image_icc_apply(struct image *m, struct str profile,
                     enum image_icc_space space)
{
    struct image_icc *icc = image_icc_open(profile, space);

    if (!icc)
        return;
    for (uint32_t y = 0; y < m->height; y++) {
        uint8_t *row = m->rgb + y * m->stride;

        image_icc_row(icc, row, row,
                      m->width); /* 3 bytes in, 3 out: in place */
    }
    image_icc_close(icc);
}
