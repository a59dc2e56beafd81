#include "train/targets.h"

#include "train/sheet.h"

static const int32_t *caption_at(const struct captions *c, int i)
{
    return c->ids + (int64_t)i * c->context;
}

static void fill_next(const struct captions *c, bool packed, int64_t rows,
                      int32_t *at, int32_t *ids)
{
    int32_t n = 0;
    int64_t row = 0;

    for (int i = 0; i < c->n; i++) {
        const int32_t *from = caption_at(c, i);
        int eot = caption_eot(from, c->context);
        int len = packed ? eot + 1 : c->context;

        for (int t = 0; t < len; t++) {
            at[row++] = n;
            if (t < eot)
                ids[n++] = from[t + 1];
        }
    }
    for (; row <= rows; row++)
        at[row] = n;
}

void targets_next(struct device *d, const struct captions *c, bool packed,
                  int64_t rows, struct targets *out)
{
    int32_t *at, *ids;
    struct sheet t;

    *out = (struct targets){.rows = rows, .most = 1};
    sheet_open(&t, d, 2 * rows + 1);
    out->at = sheet_take(&t, rows + 1, &at);
    out->ids = sheet_take(&t, rows, &ids);
    if (sheet_writable(&t))
        fill_next(c, packed, rows, at, ids);
    sheet_close(&t);
}

void targets_words(struct device *d, const struct captions *c,
                   struct targets *out)
{
    int32_t *at, *ids, n = 0;
    struct sheet t;

    *out = (struct targets){.rows = c->n, .most = c->context};
    sheet_open(&t, d, c->n + 1 + (int64_t)c->n * c->context);
    out->at = sheet_take(&t, c->n + 1, &at);
    out->ids = sheet_take(&t, (int64_t)c->n * c->context, &ids);
    if (sheet_writable(&t)) {
        for (int i = 0; i < c->n; i++) {
            const int32_t *from = caption_at(c, i);
            int eot = caption_eot(from, c->context);

            at[i] = n;
            for (int k = 1; k < eot; k++)
                ids[n++] = from[k];
        }
        at[c->n] = n;
    }
    sheet_close(&t);
}

int64_t targets_next_count(const struct captions *c)
{
    int64_t count = 0;

    for (int i = 0; i < c->n; i++)
        count += caption_eot(caption_at(c, i), c->context);
    return count;
}

int64_t targets_words_count(const struct captions *c)
{
    int64_t count = 0;

    for (int i = 0; i < c->n; i++)
        count += caption_eot(caption_at(c, i), c->context) > 1;
    return count;
}
