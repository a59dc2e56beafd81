/*
 * op_cases_rows - tokens, pixels, losses and the optimiser on random shapes.
 */
#ifndef TESTS_OP_CASES_ROWS_H
#define TESTS_OP_CASES_ROWS_H

#include "tests/op_play.h"

/* ---- tokens, pixels, rows ---- */

#define PLAY_ROWS 300

static inline void case_embed(struct play *p)
{
    int64_t rows = play_size(p, 8, 257), dim = play_size(p, 5, 130);
    int64_t vocab = play_size(p, 5, 100), places = play_size(p, 5, 65);
    int32_t ids[PLAY_ROWS], at[PLAY_ROWS];

    for (int64_t r = 0; r < rows; r++) {
        ids[r] = play_pick(p, (int)vocab);
        at[r] = play_pick(p, (int)places);
    }
    struct op_embed f = {
        .rows = rows,
        .dim = dim,
        .vocab = vocab,
        .places_max = places,
        .ids = play_index(p, "ids", rows, ids),
        .places = play_index(p, "places", rows, at),
        .token = play_in(p, "token", PLAY_REAL, vocab * dim),
        .position = play_in(p, "position", PLAY_REAL, places * dim),
        .x = play_out(p, "x", PLAY_ACT, rows * dim),
    };

    op_embed(p->d, &f);
    play_step(p);

    struct op_embed_bwd b = {
        .rows = rows,
        .dim = dim,
        .vocab = vocab,
        .places_max = places,
        .ids = f.ids,
        .places = f.places,
        .dx = play_dout(p, "dx", f.x),
        .dtoken = play_dsum(p, "dtoken", f.token),
        .dposition = play_dsum(p, "dposition", f.position),
    };

    op_embed_bwd(p->d, &b);
    play_step(p);
}

static inline struct pixels play_pixels(struct play *p, bool bytes, int64_t n)
{
    static const double mean[] = {0.48145466, 0.4578275, 0.40821073};
    static const double std[] = {0.26862954, 0.26130258, 0.27577711};

    if (bytes)
        return (struct pixels){.kind = PIXEL_BYTE,
                               .x = play_bytes(p, "bytes", n, 256),
                               .norm = pixel_norm_of(mean, std)};
    return (struct pixels){.x = play_in(p, "pixels", PLAY_REAL, n)};
}

/* Of the patches that models have, and others; with and without pixels at the
 * edge that fill no square, an even or odd number of them. */
static inline void case_pixels(struct play *p)
{
    static const int usual[] = {14, 16, 32};
    bool bytes = play_flag(p), known = play_flag(p) && p->large;
    int64_t patch = known ? usual[play_pick(p, 3)] : play_size(p, 3, 16);
    int64_t side = play_size(p, 3, known ? 3 : 7);
    int64_t rest = play_pick(p, (int)patch) * play_pick(p, 2);
    int64_t size = patch * side + (play_flag(p) ? rest : rest / 4 * 4);
    int64_t batch = play_size(p, 3, 5);
    int64_t channels = bytes ? 3 : play_size(p, 3, 5);
    int64_t n = batch * channels * size * size;
    struct op_patches f = {
        .batch = batch,
        .channels = channels,
        .size = size,
        .patch = patch,
        .x = play_pixels(p, bytes, n),
        .y = play_out(p, "patches", PLAY_ACT,
                      batch * side * side * channels * patch * patch),
    };
    struct op_nhwc t = {
        .batch = batch,
        .channels = channels,
        .h = size,
        .w = size,
        .x = f.x,
        .y = play_out(p, "nhwc", PLAY_ACT, n),
    };

    op_patches(p->d, &f);
    op_nhwc(p->d, &t);
    play_step(p);
}

static inline void case_tokens(struct play *p)
{
    bool first = play_flag(p);
    int64_t batch = play_size(p, 3, 9), n = play_size(p, 7, 65);
    int64_t dim = play_size(p, 5, 300);
    struct op_tokens f = {
        .batch = batch,
        .n = n,
        .dim = dim,
        .x = play_in(p, "x", PLAY_ACT, batch * n * dim),
        .first = first ? play_in(p, "first", PLAY_REAL, dim) : NULL,
        .position = play_in(p, "position", PLAY_REAL, (n + 1) * dim),
        .y = play_out(p, "y", PLAY_ACT, batch * (n + 1) * dim),
    };

    op_tokens(p->d, &f);
    play_step(p);

    struct op_tokens_bwd b = {
        .batch = batch,
        .n = n,
        .dim = dim,
        .dy = play_dout(p, "dy", f.y),
        .dx = play_din(p, "dx", f.x),
        .dfirst = first ? play_dsum(p, "dfirst", f.first) : NULL,
        .dposition = play_dsum(p, "dposition", f.position),
    };

    op_tokens_bwd(p->d, &b);
    play_step(p);
}

static inline void case_avgpool(struct play *p)
{
    int kernel = 1 + play_pick(p, 3);
    int64_t batch = play_size(p, 3, 5), dim = play_size(p, 5, 130);
    int64_t h = kernel - 1 + play_size(p, 5, 17);
    int64_t w = kernel - 1 + play_size(p, 5, 17);
    struct op_avgpool f = {
        .batch = batch,
        .h = h,
        .w = w,
        .dim = dim,
        .kernel = kernel,
        .x = play_in(p, "x", PLAY_ACT, batch * h * w * dim),
        .y = play_out(p, "y", PLAY_ACT,
                      batch * (h / kernel) * (w / kernel) * dim),
    };

    op_avgpool(p->d, &f);
    play_step(p);

    struct op_avgpool_bwd b = {
        .batch = batch,
        .h = h,
        .w = w,
        .dim = dim,
        .kernel = kernel,
        .dy = play_dout(p, "dy", f.y),
        .dx = play_din(p, "dx", f.x),
    };

    op_avgpool_bwd(p->d, &b);
    play_step(p);
}

/* scatter_add is gather's backward. */
static inline void case_gather(struct play *p)
{
    int64_t total = play_size(p, 7, 257), dim = play_size(p, 5, 130);
    int64_t n = 1 + play_pick(p, (int)total);
    int32_t rows[PLAY_ROWS];

    for (int32_t r = 0; r < total; r++) {
        int k = play_pick(p, r + 1); /* a random order of all rows */

        rows[r] = rows[k];
        rows[k] = r;
    }
    struct op_gather f = {
        .n = n,
        .dim = dim,
        .total = total,
        .rows = play_index(p, "rows", n, rows),
        .x = play_in(p, "x", PLAY_ACT, total * dim),
        .y = play_out(p, "y", PLAY_ACT, n * dim),
    };

    op_gather(p->d, &f);
    play_step(p);

    struct op_scatter_add b = {
        .n = n,
        .dim = dim,
        .total = total,
        .rows = f.rows,
        .y = play_dout(p, "dy", f.y),
        .x = play_dsum(p, "dx", f.x),
    };

    op_scatter_add(p->d, &b);
    play_step(p);
}

/* ---- loss ---- */

/* Rows of norm 1, about. */
static inline const void *play_features(struct play *p, const char *name,
                                        int64_t rows, int64_t dim)
{
    double most = sqrt(3 / (double)dim);

    return play_in_range(p, name, PLAY_REAL, rows * dim, -most, most);
}

/* Both directions, by one rank or by three with a third of the rows each. */
static inline void case_nce(struct play *p)
{
    int64_t ranks = play_flag(p) ? 3 : 1;
    int64_t rows = play_size_of_norm(p, 3, 64);
    int64_t cols = ranks * rows, dim = play_size(p, 5, 300);
    const void *side[2] = {play_features(p, "image", cols, dim),
                           play_features(p, "text", cols, dim)};
    const void *scale = play_in_range(p, "log_scale", PLAY_REAL, 1, 0, 3);
    void *lse[2] = {play_out(p, "lse_image", PLAY_REAL, cols),
                    play_out(p, "lse_text", PLAY_REAL, cols)};
    void *loss[2] = {play_out(p, "loss_image", PLAY_REAL, cols),
                     play_out(p, "loss_text", PLAY_REAL, cols)};

    for (int64_t i = 0; i < 2 * ranks; i++) {
        int64_t way = i % 2, first = i / 2 * rows;
        struct op_nce f = {
            .rows = rows,
            .cols = cols,
            .first = first,
            .dim = dim,
            .a = play_at(p, side[way], first * dim),
            .b = side[!way],
            .log_scale = scale,
            .lse = play_at(p, lse[way], first),
            .loss = play_at(p, loss[way], first),
        };

        op_nce(p->d, &f);
    }
    play_step(p);

    void *grad[2] = {play_din(p, "dimage", side[0]),
                     play_din(p, "dtext", side[1])};
    void *dscale = play_dsum(p, "dlog_scale", scale);

    play_weigh(p, "mean_image", loss[0], 0.5 / (double)cols);
    play_weigh(p, "mean_text", loss[1], 0.5 / (double)cols);
    for (int64_t i = 0; i < 2 * ranks; i++) {
        int64_t way = i % 2, first = i / 2 * rows;
        struct op_nce_bwd b = {
            .rows = rows,
            .cols = cols,
            .first = first,
            .dim = dim,
            .a = play_at(p, side[way], first * dim),
            .b = side[!way],
            .log_scale = scale,
            .lse_a = play_at(p, lse[way], first),
            .lse_b = lse[!way],
            .da = play_at(p, grad[way], first * dim),
            .dlog_scale = way ? NULL : dscale,
        };

        op_nce_bwd(p->d, &b);
    }
    play_step(p);
}

static inline void case_sigmoid_loss(struct play *p)
{
    int64_t ranks = play_flag(p) ? 3 : 1;
    int64_t rows = play_size_of_norm(p, 3, 64);
    int64_t cols = ranks * rows, dim = play_size(p, 5, 300);
    const void *side[2] = {play_features(p, "image", cols, dim),
                           play_features(p, "text", cols, dim)};
    const void *scale = play_in_range(p, "log_scale", PLAY_REAL, 1, 0, 3);
    const void *bias = play_in_range(p, "bias", PLAY_REAL, 1, -3, 1);
    void *loss = play_out(p, "loss", PLAY_REAL, cols);
    void *grad[2] = {play_din(p, "dimage", side[0]),
                     play_din(p, "dtext", side[1])};
    void *dscale = play_dsum(p, "dlog_scale", scale);
    void *dbias = play_dsum(p, "dbias", bias);

    play_weigh(p, "mean", loss, 1 / (double)cols);
    for (int64_t i = 0; i < 2 * ranks; i++) {
        int64_t way = i % 2, first = i / 2 * rows;
        struct op_sigmoid_loss f = {
            .rows = rows,
            .cols = cols,
            .first = first,
            .dim = dim,
            .a = play_at(p, side[way], first * dim),
            .b = side[!way],
            .log_scale = scale,
            .bias = bias,
            .loss = way ? NULL : play_at(p, loss, first),
            .da = play_at(p, grad[way], first * dim),
            .dlog_scale = way ? NULL : dscale,
            .dbias = way ? NULL : dbias,
        };

        op_sigmoid_loss(p->d, &f);
    }
    play_step(p);
}

/* Rows with one id, with several of which some are equal, and with none; with
 * and without a gradient. */
static inline void case_softmax_loss(struct play *p)
{
    bool one = play_flag(p), lse = play_flag(p), some = play_flag(p);
    bool slopes = play_flag(p) || some;
    int64_t rows = play_size(p, 5, 65), cols = play_size(p, 8, 300);
    int32_t at[PLAY_ROWS + 1] = {0}, ids[9 * PLAY_ROWS];
    const double by = 0.375;

    for (int64_t r = 0; r < rows; r++) {
        int n = play_pick(p, one ? 2 : 10);

        at[r + 1] = at[r] + n;
        for (int k = at[r]; k < at[r + 1]; k++)
            ids[k] = play_pick(p, (int)cols);
    }
    ids[at[rows]] = 0; /* an array is not empty */
    struct op_softmax_loss f = {
        .rows = rows,
        .cols = cols,
        .most = one ? 1 : 9,
        .x = play_in_range(p, "x", PLAY_ACT, rows * cols, -3, 3),
        .at = play_index(p, "at", rows + 1, at),
        .ids = play_index(p, "ids", at[rows] + 1, ids),
        .by = slopes ? play_in_range(p, "by", PLAY_REAL, 1, by, by) : NULL,
        .loss = play_out(p, "loss", PLAY_REAL, rows),
        .lse = lse ? play_out(p, "lse", PLAY_REAL, rows) : NULL,
    };

    if (slopes) {
        play_weigh(p, "sum", f.loss, by);
        play_becomes(p, "dx", f.x, f.x);
    }
    op_softmax_loss(p->d, &f);
    play_step(p);
}

/* ---- optimiser, small change ---- */

/* Clipped and not, with a norm that is none, and none at all. */
static inline const double *adamw_sumsq(struct play *p)
{
    static const double sums[] = {1e-3, 16, INFINITY, NAN};
    int way = play_pick(p, 5);

    return way < 4 ? play_number_in(p, "sumsq", sums[way]) : NULL;
}

static inline void case_adamw(struct play *p)
{
    bool copy = play_flag(p), decay = play_flag(p), some = play_flag(p);
    bool clip = play_flag(p), rounding = play_flag(p);
    int64_t n = play_size(p, 9, 300);
    int64_t runs = (n + OP_DECAY_RUN - 1) / OP_DECAY_RUN;
    struct op_adamw f = {
        .n = n,
        .p = play_sum(p, "p", PLAY_REAL, n),
        .m = play_sum(p, "m", PLAY_REAL, n),
        .g = play_in(p, "g", PLAY_REAL, n),
        .copy = copy ? play_out(p, "copy", PLAY_ACT, n) : NULL,
        .decays = some ? play_bytes(p, "decays", runs, 2) : NULL,
        .sumsq = adamw_sumsq(p),
        /* by chance: of a weight that is the same everywhere, so is the copy */
        .lr = rounding ? 0 : 1e-2,
        .beta1 = 0.9,
        .beta2 = 0.98,
        .eps = 1e-6,
        .decay = decay ? 0.2 : 0,
        .clip_norm = clip ? 1.5 : 0,
        .t = 1 + (uint64_t)play_pick(p, 1000),
        .rounding = rounding ? 1 + (uint64_t)play_pick(p, 9) : 0,
    };

    f.v =
        play_fill(p, play_slot(p, "v", PLAY_REAL, PLAY_SUM, n, NULL, -1), 0, 1);
    op_adamw(p->d, &f);
    play_step(p);
}

static inline void case_small(struct play *p)
{
    int64_t n = play_size(p, 9, 300);
    struct op_sumsq sum = {
        .n = n,
        .x = play_in(p, "x", PLAY_REAL, n),
        .out = play_sum(p, "sumsq", PLAY_DOUBLE, 1),
    };
    struct op_cast cast = {
        .n = n,
        .x = sum.x,
        .y = play_out(p, "cast", PLAY_ACT, n),
    };
    struct op_add add = {
        .n = n,
        .x = play_in(p, "a", PLAY_ACT, n),
        .y = play_sum(p, "added", PLAY_ACT, n),
    };
    struct op_axpby mix = {
        .n = n,
        .a = 0.75,
        .b = -1.5,
        .x = sum.x,
        .y = play_sum(p, "axpby", PLAY_REAL, n),
    };
    struct op_clamp clamp = {
        .n = n,
        .low = -0.25,
        .high = 0.5,
        .x = play_sum(p, "clamp", PLAY_REAL, n),
    };
    struct op_zero zero = {
        .bytes = n * (int64_t)dtype_size(p->d->real),
        .x = play_out(p, "zero", PLAY_REAL, n),
    };
    struct op_copy copy = {
        .bytes = n * (int64_t)dtype_size(p->d->real),
        .x = sum.x,
        .y = play_out(p, "copy", PLAY_REAL, n),
    };

    op_sumsq(p->d, &sum);
    op_cast(p->d, &cast);
    op_add(p->d, &add);
    op_axpby(p->d, &mix);
    op_clamp(p->d, &clamp);
    op_zero(p->d, &zero);
    op_copy(p->d, &copy);
    play_step(p);
}

#endif
