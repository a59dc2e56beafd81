/*
 * loss - what the kernels of the losses' gradients share.
 *
 * Model.   struct loss is the op, struct strip a part of its similarities, a
 *          kind is what makes a similarity's slope: nce_slope, sigmoid_slope.
 *          A kind loads what it needs of a row and of a column once, then is
 *          asked for every pair of them.
 */
#ifndef TRAIN_CUDA_LOSS_CUH
#define TRAIN_CUDA_LOSS_CUH

#include "train/cuda/tile.cuh"

/* What the ops have in common. */
struct loss {
    int64_t rows, cols, first, dim;
    const float *a, *b, *log_scale;
    float *da;
    bool packs; /* tile_packs() */
};

/* A strip, and what its similarities leave behind; sums go on from the strip to
 * the left unless it is the first. */
struct strip {
    int64_t row, col;   /* first ones */
    int64_t rows, cols; /* that exist */
    int64_t deep;       /* columns of one part */
    int64_t across;     /* tiles of the first strip's columns */
    int64_t pitch;      /* rows of slope, whole tiles of them */
    float *slope;       /* [columns, pitch]: s G; whole tiles, 0 where there
                           is nothing */
    double *sums;       /* [tiles of all rows, tiles across, 2]: of G S, of G,
                           before they are divided by columns */
    float *losses;      /* [tiles across, pitch]; NULL: not wanted */
    float *part;        /* [parts - 1, rows, dim]: da of all parts but one */
};

/* ---- the two slopes: dL/dS times how many columns ---- */

struct nce_slope {
    static constexpr bool has_loss = false;
    const float *lse_a, *lse_b; /* [rows], [cols] */
    struct row {
        float lse;
    };
    struct col {
        float lse;
    };

    __device__ __forceinline__ struct row row_at(int64_t i) const
    {
        return {lse_a[i]};
    }

    __device__ __forceinline__ struct col col_at(int64_t j) const
    {
        return {lse_b[j]};
    }

    __device__ __forceinline__ float slope(float x, struct row a, struct col b,
                                           bool own, float *) const
    {
        return 0.5f * (expf(x - a.lse) + expf(x - b.lse)) - (own ? 1.0f : 0.0f);
    }
};

struct sigmoid_slope {
    static constexpr bool has_loss = true;
    const float *bias;
    struct row {
        float bias;
    };
    struct col {
    };

    __device__ __forceinline__ struct row row_at(int64_t) const
    {
        return {*bias};
    }

    __device__ __forceinline__ struct col col_at(int64_t) const
    {
        return {};
    }

    /* With t = x + bias, or less that of its own match: log(1 + exp(t)) and
     * 1 / (1 + exp(-t)), both by exp(-|t|). */
    __device__ __forceinline__ float slope(float x, struct row a, struct col,
                                           bool own, float *loss) const
    {
        float t = own ? -(x + a.bias) : x + a.bias, e = expf(-fabsf(t));
        float g = __fdividef(t < 0 ? e : 1.0f, 1.0f + e);

        *loss += fmaxf(t, 0) + log1pf(e);
        return own ? -g : g;
    }
};

#endif
