#include "train/rows.h"

#include <assert.h>
#include <string.h>

#include "train/sheet.h"

/* Host side of struct rows. */
struct rows_fill {
    int32_t *begin, *end, *read, *see, *one;
};

static int64_t rows_numbers(int seqs, int reads)
{
    return 2 * (int64_t)seqs + 3 * (int64_t)reads + 1;
}

static void take_rows(struct sheet *t, struct rows *r, struct rows_fill *f)
{
    r->begin = sheet_take(t, r->seqs, &f->begin);
    r->end = sheet_take(t, r->seqs, &f->end);
    r->read = sheet_take(t, r->reads, &f->read);
    r->see = sheet_take(t, r->reads, &f->see);
    r->one = sheet_take(t, r->reads + 1, &f->one);
}

/* Sequence s, if it is one of the samples read at its place `read`, which sees
 * `see` rows. */
static void fill_sequence(const struct rows *r, const struct rows_fill *f,
                          int s, int64_t begin, int len, int read, int see)
{
    f->begin[s] = (int32_t)begin;
    f->end[s] = (int32_t)(begin + len);
    if (s >= r->reads)
        return;
    f->read[s] = (int32_t)(begin + read);
    f->see[s] = (int32_t)(begin + see);
    f->one[s] = s;
    f->one[s + 1] = s + 1;
}

void rows_pictures(struct device *d, int n, int len, struct rows *out)
{
    struct rows_fill f;
    struct sheet t;

    *out = (struct rows){.total = (int64_t)n * len,
                         .seqs = n,
                         .reads = n,
                         .max_len = len,
                         .pairs = (int64_t)n * len * len,
                         .read_pairs = (int64_t)n * len};
    assert(n > 0 && len > 0 && out->total <= INT32_MAX);
    sheet_open(&t, d, rows_numbers(n, n));
    take_rows(&t, out, &f);
    if (sheet_writable(&t))
        for (int i = 0; i < n; i++)
            fill_sequence(out, &f, i, (int64_t)i * len, len, 0, len);
    sheet_close(&t);
}

int caption_eot(const int32_t *ids, int context)
{
    int at = 0;

    for (int i = 1; i < context; i++)
        if (ids[i] > ids[at])
            at = i;
    return at;
}

int captions_check(const struct captions *c, int vocab, struct err *e)
{
    for (int64_t i = 0; i < (int64_t)c->n * c->context; i++)
        if (c->ids[i] < 0 || c->ids[i] >= vocab)
            return err_set(e, E_RANGE, "caption %lld: id %d is not in 0..%d",
                           (long long)(i / c->context), (int)c->ids[i],
                           vocab - 1);
    return 0;
}

static int64_t stepped(const struct device *d, int64_t rows)
{
    return (rows + d->row_step - 1) / d->row_step * d->row_step;
}

int64_t rows_captions_max(const struct device *d, int n, int context)
{
    return stepped(d, (int64_t)n * context);
}

/* Numbers of rows and sequences.  Packed, all but `total` are functions of the
 * options alone, so that what was prepared for one batch serves another: as
 * many sequences of pads as a step can need, the last ones empty, and lengths
 * up to a caption's. */
static void measure(const struct device *d, const struct captions *c,
                    bool packed, int64_t plan_rows, struct rows *r)
{
    int64_t rows = 0;

    r->reads = r->seqs = c->n;
    r->causal = true;
    r->max_len = c->context;
    if (packed)
        r->seqs += (d->row_step - 1 + c->context - 1) / c->context;
    if (!packed) {
        r->total = (int64_t)c->n * c->context;
    } else if (d->planning) {
        r->total =
            plan_rows ? plan_rows : rows_captions_max(d, c->n, c->context);
    } else {
        for (int i = 0; i < c->n; i++)
            rows +=
                caption_eot(c->ids + (int64_t)i * c->context, c->context) + 1;
        r->total = stepped(d, rows);
    }
    assert(c->n > 0 && c->context > 0 && r->total <= INT32_MAX);
}

/* One sequence of captions: its rows' ids and places, and its pairs. */
static void fill_caption(struct caption_rows *out, const struct rows_fill *f,
                         int s, int64_t begin, int len, int eot,
                         const int32_t *from, int32_t *ids, int32_t *places)
{
    struct rows *r = &out->rows;

    fill_sequence(r, f, s, begin, len, eot, eot + 1);
    for (int i = 0; i < len; i++) {
        ids[begin + i] = from ? from[i] : 0;
        places[begin + i] = i;
    }
    r->pairs += (int64_t)len * (len + 1) / 2;
    if (s < r->reads)
        r->read_pairs += eot + 1;
}

static void fill_captions(const struct captions *c, bool packed,
                          struct caption_rows *out, const struct rows_fill *f,
                          int32_t *ids, int32_t *places)
{
    int64_t begin = 0;

    for (int i = 0; i < c->n; i++) {
        const int32_t *from = c->ids + (int64_t)i * c->context;
        int eot = caption_eot(from, c->context);
        int len = packed ? eot + 1 : c->context;

        fill_caption(out, f, i, begin, len, eot, from, ids, places);
        begin += len;
    }
    for (int s = c->n; s < out->rows.seqs; s++) {
        int64_t left = out->rows.total - begin;
        int len = left < c->context ? (int)left : c->context;

        fill_caption(out, f, s, begin, len, 0, NULL, ids, places);
        begin += len;
    }
    assert(begin == out->rows.total);
}

void rows_captions(struct device *d, const struct captions *c, bool packed,
                   int64_t plan_rows, struct caption_rows *out)
{
    struct rows *r = &out->rows;
    int32_t *ids, *places;
    struct rows_fill f;
    struct sheet t;

    memset(out, 0, sizeof *out);
    measure(d, c, packed, plan_rows, r);
    sheet_open(&t, d, rows_numbers(r->seqs, r->reads) + 2 * r->total);
    take_rows(&t, r, &f);
    out->ids = sheet_take(&t, r->total, &ids);
    out->places = sheet_take(&t, r->total, &places);
    if (sheet_writable(&t)) {
        fill_captions(c, packed, out, &f, ids, places);
    } else { /* the most there can be */
        r->pairs = (r->total * (c->context + 1) + 1) / 2;
        r->read_pairs = (int64_t)r->reads * c->context;
    }
    sheet_close(&t);
}

void rows_attend(const struct rows *r, struct op_attention *a)
{
    a->seqs = r->seqs;
    a->causal = r->causal;
    a->q_begin = a->k_begin = r->begin;
    a->q_end = a->k_end = r->end;
    a->max_q = a->max_k = r->max_len;
    a->pairs = r->pairs;
    a->q_rows = r->total;
}

void rows_attend_read(const struct rows *r, struct op_attention *a)
{
    a->seqs = r->reads;
    a->causal = false; /* the range of keys ends where the mask would */
    a->q_begin = r->one;
    a->q_end = r->one + 1;
    a->k_begin = r->begin;
    a->k_end = r->see;
    a->max_q = 1;
    a->max_k = r->max_len;
    a->pairs = r->read_pairs;
    a->q_rows = r->reads;
}
