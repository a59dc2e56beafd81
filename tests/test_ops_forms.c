/* Ops of the reference against independent closed forms: what a gradient that
 * fits its forward cannot tell.  And the reference in float against double. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/op_cases.h"
#include "train/ref/ref.h"

#define CLOSE 1e-12
#define N(a)  ((int64_t)(sizeof(a) / sizeof *(a)))

static struct device device;

static int setup(void **state)
{
    struct err e = ERR_INIT;

    (void)state;
    return ref_open(&device, DTYPE_F64, &e);
}

static int teardown(void **state)
{
    (void)state;
    device_close(&device);
    return 0;
}

static void near(double a, double b)
{
    if (!(fabs(a - b) <= CLOSE * fmax(1, fabs(b))))
        fail_msg("%.17g is not %.17g", a, b);
}

static void near_all(const double *a, const double *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        near(a[i], b[i]);
}

/* The reference's device memory is the host's, so ops run on plain arrays. */
static void fill(double *x, int64_t n, uint64_t seed)
{
    struct play p;

    play_open(&p, &device, seed);
    for (int64_t i = 0; i < n; i++)
        x[i] = play_uniform(&p);
}

/* ---- products ---- */

static void test_ops_forms__linear(void **state)
{
    /* [2, 3] by [3, 2], by hand; w in both orders */
    static const double x[] = {1, 2, 3, 4, 5, 6};
    static const double w[] = {1, 0, -1, 2, 1, 0};
    static const double w_in_out[] = {1, 2, 0, 1, -1, 0};
    static const double b[] = {10, 20}, res[] = {100, 200, 300, 400};
    static const double want[] = {108, 224, 308, 433};
    double y[4];

    (void)state;
    for (int io = 0; io < 2; io++) {
        struct op_linear op = {
            .m = 2,
            .n = 2,
            .k = 3,
            .x = x,
            .w = io ? w_in_out : w,
            .w_is_in_out = io,
            .b = b,
            .res = res,
            .y = y,
        };

        op_linear(&device, &op);
        near_all(y, want, 4);
    }
}

/* x Phi(x) with Phi by the complementary error function, x sigmoid(1.702 x) by
 * tanh; res comes behind the activation, pre before it. */
static void test_ops_forms__activation(void **state)
{
    static const double x[] = {-9, -3, -1, -0.5, 0, 0.5, 1, 3, 9};
    static const double one = 1, bias = 0.25;
    double res[N(x)], pre[N(x)], y[N(x)];

    (void)state;
    fill(res, N(x), 1);
    for (enum act_kind act = ACT_GELU; act <= ACT_QUICK_GELU; act++) {
        struct op_linear op = {
            .m = N(x),
            .n = 1,
            .k = 1,
            .x = x,
            .w = &one,
            .b = &bias,
            .act = act,
            .pre = pre,
            .res = res,
            .y = y,
        };

        op_linear(&device, &op);
        for (int64_t i = 0; i < N(x); i++) {
            double z = x[i] + bias;
            double gate = act == ACT_GELU ? erfc(-z / sqrt(2)) / 2
                                          : (1 + tanh(0.851 * z)) / 2;

            near(pre[i], z);
            near(y[i], z * gate + res[i]);
        }
    }
}

/* A kernel that is 1 at one place of one channel shifts the picture. */
static void test_ops_forms__conv(void **state)
{
    enum { H = 5, W = 4, C = 3 };
    double x[H * W * C], weight[C * 9], y[H * W];

    (void)state;
    fill(x, N(x), 2);
    for (int place = 0; place < C * 9; place++) {
        int c = place / 9, p = place % 9 / 3, q = place % 3;

        memset(weight, 0, sizeof weight);
        weight[place] = 1;
        for (int stride = 1; stride <= 2; stride++) {
            int64_t h = op_conv_side(H, 3, stride, 1);
            int64_t w = op_conv_side(W, 3, stride, 1);
            struct op_conv op = {
                .batch = 1,
                .h = H,
                .w = W,
                .in = C,
                .out = 1,
                .kernel = 3,
                .stride = stride,
                .pad = 1,
                .x = x,
                .weight = weight,
                .y = y,
            };

            op_conv(&device, &op);
            for (int64_t i = 0; i < h * w; i++) {
                int64_t row = i / w * stride - 1 + p;
                int64_t col = i % w * stride - 1 + q;
                bool in = row >= 0 && row < H && col >= 0 && col < W;

                near(y[i], in ? x[(row * W + col) * C + c] : 0);
            }
        }
    }
    assert_int_equal(op_conv_side(224, 3, 2, 1), 112);
    assert_int_equal(op_conv_side(7, 3, 2, 0), 3);
}

static void test_ops_forms__avgpool(void **state)
{
    /* 3 x 5 of one channel: the last row and column are left out */
    static const double x[] = {1, 2, 3, 4, 50, 5, 6, 7, 8, 50, 9, 9, 9, 9, 9};
    double y[2], dx[15];
    struct op_avgpool f = {
        .batch = 1, .h = 3, .w = 5, .dim = 1, .kernel = 2, .x = x, .y = y};
    struct op_avgpool_bwd b = {
        .batch = 1, .h = 3, .w = 5, .dim = 1, .kernel = 2, .dy = y, .dx = dx};

    (void)state;
    op_avgpool(&device, &f);
    near(y[0], 3.5);
    near(y[1], 5.5);
    op_avgpool_bwd(&device, &b);
    near(dx[0], 0.875);
    near(dx[8], 1.375);
    near(dx[4], 0);
    near(dx[12], 0);
}

/* ---- attention ---- */

/* Two sequences of `len` rows with a row between them that is not a number. */
static void attend(int len, bool causal, double *qkv, double *out, double *lse)
{
    int32_t begin[2] = {0, len + 1}, end[2] = {len, 2 * len + 1};
    struct op_attention op = {
        .seqs = 2,
        .heads = 2,
        .dim = 3,
        .causal = causal,
        .q_begin = begin,
        .q_end = end,
        .k_begin = begin,
        .k_end = end,
        .max_q = len,
        .max_k = len,
        .pairs = 2 * len * len,
        .q_rows = 2 * len + 1,
        .q = qkv,
        .k = qkv + 6,
        .v = qkv + 12,
        .ldq = 18,
        .ldk = 18,
        .ldv = 18,
        .out = out,
        .lse = lse,
    };

    for (int i = 0; i < 18; i++)
        qkv[len * 18 + i] = NAN;
    op_attention(&device, &op);
}

/* One key: its value.  A causal sequence's first query, too.  Keys that are
 * all alike: the mean of the values.  lse of zeros: log of the keys. */
static void test_ops_forms__attention(void **state)
{
    enum { LEN = 4, ROWS = 2 * LEN + 1 };
    double qkv[ROWS * 18], out[ROWS * 6], lse[ROWS * 2];

    (void)state;
    fill(qkv, N(qkv), 3);
    attend(1, false, qkv, out, lse);
    near_all(out, qkv + 12, 6);
    near_all(out + 12, qkv + 36 + 12, 6);

    fill(qkv, N(qkv), 4);
    out[LEN * 6] = 7;
    attend(LEN, true, qkv, out, lse);
    near_all(out, qkv + 12, 6);
    near_all(out + (LEN + 1) * 6, qkv + (LEN + 1) * 18 + 12, 6);
    near(out[LEN * 6], 7); /* no range writes the row between */

    for (int causal = 0; causal < 2; causal++) {
        fill(qkv, N(qkv), 5);
        for (int r = 0; r < ROWS; r++)
            memset(qkv + r * 18 + 6, 0, 6 * sizeof *qkv);
        attend(LEN, causal, qkv, out, lse);
        for (int r = 0; r < LEN; r++) {
            int keys = causal ? r + 1 : LEN;
            double sum = 0;

            for (int j = 0; j < keys; j++)
                sum += qkv[j * 18 + 12 + 5];
            near(out[r * 6 + 5], sum / keys);
            near(lse[r * 2], log(keys));
        }
    }
}

/* Two keys: p = sigmoid of the scores' difference over sqrt(dim), also where
 * exp() of a score would overflow. */
static void test_ops_forms__attention_scale(void **state)
{
    static const double sizes[] = {1, 100};
    double qkv[5 * 18], out[5 * 6], lse[5 * 2];

    (void)state;
    for (int t = 0; t < 2; t++) {
        double gap = 0, p;

        fill(qkv, N(qkv), 6);
        for (int c = 0; c < 3; c++) {
            qkv[c] *= sizes[t];
            qkv[6 + c] *= sizes[t];
            qkv[18 + 6 + c] *= sizes[t];
            gap += qkv[c] * (qkv[6 + c] - qkv[18 + 6 + c]);
        }
        p = 1 / (1 + exp(-gap / sqrt(3)));
        attend(2, false, qkv, out, lse);
        for (int c = 0; c < 3; c++)
            near(out[c], p * qkv[12 + c] + (1 - p) * qkv[18 + 12 + c]);
    }
}

/* ---- normalisation ---- */

static void test_ops_forms__layernorm(void **state)
{
    enum { ROWS = 5, DIM = 7 };
    double x[ROWS * DIM], g[DIM], b[DIM], y[ROWS * DIM];
    double mean[ROWS], rstd[ROWS];
    struct op_layernorm op = {
        .rows = ROWS,
        .dim = DIM,
        .x = x,
        .g = g,
        .b = b,
        .mean = mean,
        .rstd = rstd,
        .y = y,
    };

    (void)state;
    fill(x, N(x), 7);
    for (int c = 0; c < DIM; c++) {
        g[c] = 2;
        b[c] = 3;
        x[c] = 5; /* a constant row: var 0, rstd by eps alone */
    }
    op_layernorm(&device, &op);
    near(rstd[0], 1 / sqrt(1e-5));
    near(mean[0], 5);
    near(y[3], 3);
    for (int r = 1; r < ROWS; r++) {
        double sum = 0, square = 0;

        for (int c = 0; c < DIM; c++) {
            double z = (y[r * DIM + c] - 3) / 2;

            near(z, (x[r * DIM + c] - mean[r]) * rstd[r]);
            sum += z;
            square += z * z;
        }
        near(sum, 0);
        /* var / (var + eps), not 1 */
        near(square / DIM, 1 - 1e-5 * rstd[r] * rstd[r]);
    }
}

static void test_ops_forms__batchnorm(void **state)
{
    /* two groups of two rows, two channels; g 1, b 0 */
    static const double x[] = {1, 10, 3, 30, -5, 8, -5, 8};
    static const double g[] = {1, 1}, b[] = {0, 0};
    static const double means[] = {2, 20, -5, 8}, vars[] = {1, 100, 0, 0};
    static const double given_mean[] = {1, 2}, given_var[] = {4, 9};
    static const double g2[] = {2, 3}, b2[] = {5, -1};
    double mean[4], var[4], y[8], m[2], v[2], res[8];
    struct op_batchnorm op = {
        .groups = 2,
        .per = 2,
        .dim = 2,
        .x = x,
        .g = g,
        .b = b,
        .mean = mean,
        .var = var,
        .y = y,
    };

    (void)state;
    op_batchnorm(&device, &op);
    near_all(mean, means, 4);
    near_all(var, vars, 4);
    near(y[0], -1 / sqrt(1 + 1e-5));
    near(y[3], 10 / sqrt(100 + 1e-5));
    near(y[5], 0);

    fill(res, 8, 8);
    memcpy(m, given_mean, sizeof m);
    memcpy(v, given_var, sizeof v);
    op = (struct op_batchnorm){
        .groups = 1,
        .per = 4,
        .dim = 2,
        .x = x,
        .g = g2,
        .b = b2,
        .res = res,
        .relu = true,
        .given = true,
        .mean = m,
        .var = v,
        .y = y,
    };
    op_batchnorm(&device, &op);
    for (int i = 0; i < 8; i++) {
        int c = i % 2;
        double t = (x[i] - given_mean[c]) / sqrt(given_var[c] + 1e-5);

        near(y[i], fmax(0, t * g2[c] + b2[c] + res[i]));
    }
    near_all(m, given_mean, 2);
    near_all(v, given_var, 2);
}

static void test_ops_forms__batchnorm_collect(void **state)
{
    static const double mean[] = {1, 2, 3, 4, 5, 6};
    static const double var[] = {10, 20, 30, 40, 50, 60};
    static const double sums[][2] = {{90, 120}, {90 * 1.25, 120 * 1.25}};
    static const int64_t pers[] = {1, 5};

    (void)state;
    for (int i = 0; i < 2; i++) {
        double m[] = {100, 200}, v[] = {0.5, 0.25};
        struct op_batchnorm_collect op = {
            .groups = 3,
            .per = pers[i],
            .dim = 2,
            .mean = mean,
            .var = var,
            .sum_mean = m,
            .sum_var = v,
        };

        op_batchnorm_collect(&device, &op);
        near(m[0], 109);
        near(m[1], 212);
        near(v[0], sums[i][0] + 0.5);
        near(v[1], sums[i][1] + 0.25);
    }
}

static void test_ops_forms__l2norm(void **state)
{
    static const double x[] = {3, 4, 0, 0, -5, 12};
    static const double want[] = {0.6, 0.8, 0, 0, -5. / 13, 12. / 13};
    double norm[3], y[6];
    struct op_l2norm op = {.rows = 3, .dim = 2, .x = x, .norm = norm, .y = y};

    (void)state;
    op_l2norm(&device, &op);
    near_all(y, want, 6);
    near(norm[0], 5);
    assert_true(norm[1] == 1e-12);
    op.rows = 1;
    op.x = (const double[]){1, NAN};
    op_l2norm(&device, &op);
    assert_true(isnan(norm[0]) && isnan(y[0]) && isnan(y[1]));
}

/* ---- tokens, pixels, rows ---- */

static void test_ops_forms__embed(void **state)
{
    static const double token[] = {1, 2, 3, 4, 5, 6},
                        place[] = {10, 20, 30, 40};
    static const int32_t ids[] = {2, 0, 2}, places[] = {0, 1, 1};
    static const double want[] = {15, 26, 31, 42, 35, 46};
    double x[6], dtoken[6] = {0}, dplace[4] = {0};
    struct op_embed f = {
        .rows = 3,
        .dim = 2,
        .vocab = 3,
        .places_max = 2,
        .ids = ids,
        .places = places,
        .token = token,
        .position = place,
        .x = x,
    };
    struct op_embed_bwd b = {
        .rows = 3,
        .dim = 2,
        .vocab = 3,
        .places_max = 2,
        .ids = ids,
        .places = places,
        .dx = want,
        .dtoken = dtoken,
        .dposition = dplace,
    };

    (void)state;
    op_embed(&device, &f);
    near_all(x, want, 6);
    op_embed_bwd(&device, &b);
    near_all(dtoken, (double[]){31, 42, 0, 0, 50, 72}, 6);
    near_all(dplace, (double[]){15, 26, 66, 88}, 4);
}

/* Every number says where it is from. */
static void test_ops_forms__pixels(void **state)
{
    enum { B = 2, C = 3, S = 7, P = 3, G = S / P };
    double x[B * C * S * S], y[B * G * G * C * P * P], t[B * S * S * C];
    struct op_patches patches = {.batch = B,
                                 .channels = C,
                                 .size = S,
                                 .patch = P,
                                 .x = {.x = x},
                                 .y = y};
    struct op_nhwc nhwc = {
        .batch = B, .channels = C, .h = S, .w = S, .x = {.x = x}, .y = t};

    (void)state;
    for (int n = 0; n < B; n++)
        for (int c = 0; c < C; c++)
            for (int i = 0; i < S; i++)
                for (int j = 0; j < S; j++)
                    x[((n * C + c) * S + i) * S + j] =
                        n * 1000 + c * 100 + i * 10 + j;
    op_patches(&device, &patches);
    op_nhwc(&device, &nhwc);
    for (int k = 0; k < N(y); k++) {
        int q = k % P, p = k / P % P, c = k / P / P % C;
        int square = k / P / P / C, j = square % G, i = square / G % G;

        near(y[k],
             square / G / G * 1000 + c * 100 + (i * P + p) * 10 + j * P + q);
    }
    for (int k = 0; k < N(t); k++)
        near(t[k], k / (S * S * C) * 1000 + k % C * 100 + k / (S * C) % S * 10 +
                       k / C % S);
}

static void test_ops_forms__tokens(void **state)
{
    static const double x[] = {1, 2, 3, 4, 5, 6}, first[] = {70, 80};
    static const double position[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8};
    static const double mean[] = {3, 4};
    double y[8];

    (void)state;
    for (int given = 0; given < 2; given++) {
        struct op_tokens op = {
            .batch = 1,
            .n = 3,
            .dim = 2,
            .x = x,
            .first = given ? first : NULL,
            .position = position,
            .y = y,
        };

        op_tokens(&device, &op);
        for (int c = 0; c < 8; c++)
            near(y[c], (c >= 2  ? x[c - 2]
                        : given ? first[c]
                                : mean[c]) +
                           position[c]);
    }
}

static void test_ops_forms__gather(void **state)
{
    static const double x[] = {1, 2, 3, 4, 5, 6};
    static const int32_t rows[] = {2, 0};
    double y[4], sum[6] = {10, 10, 10, 10, 10, 10};
    struct op_gather take = {
        .n = 2, .dim = 2, .total = 3, .rows = rows, .x = x, .y = y};
    struct op_scatter_add give = {
        .n = 2, .dim = 2, .total = 3, .rows = rows, .y = y, .x = sum};

    (void)state;
    op_gather(&device, &take);
    near_all(y, (double[]){5, 6, 1, 2}, 4);
    op_scatter_add(&device, &give);
    near_all(sum, (double[]){11, 12, 10, 10, 15, 16}, 6);
}

/* ---- loss ---- */

/* Rows that are all alike: ln N, whatever the scale.  Two orthogonal pairs:
 * log(1 + exp(-s)).  A scale of 1000 does not overflow. */
static void test_ops_forms__nce(void **state)
{
    static const double same[] = {0.6, 0.8, 0.6, 0.8, 0.6, 0.8};
    static const double cross[] = {1, 0, 0, 1};
    static const double scales[] = {1, 14, 1000};
    double lse[3], loss[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        double log_scale = log(scales[i]);
        struct op_nce op = {
            .rows = 3,
            .cols = 3,
            .dim = 2,
            .a = same,
            .b = same,
            .log_scale = &log_scale,
            .lse = lse,
            .loss = loss,
        };

        op_nce(&device, &op);
        near(loss[2], log(3));
        near(lse[2], scales[i] + log(3));
        op.rows = 1;
        op.cols = 2;
        op.first = 1;
        op.a = cross + 2;
        op.b = cross;
        op_nce(&device, &op);
        near(loss[0], log1p(exp(-scales[i])));
    }
}

/* Orthogonal pairs: log(1 + exp(-(s + b))) + (n - 1) log(1 + exp(b)). */
static void test_ops_forms__sigmoid_loss(void **state)
{
    static const double one[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    static const double scales[] = {1, 10, 1000}, bias = -10;
    double loss[2], da[6];

    (void)state;
    for (int i = 0; i < 3; i++) {
        double log_scale = log(scales[i]);
        struct op_sigmoid_loss op = {
            .rows = 2,
            .cols = 3,
            .first = 1,
            .dim = 3,
            .a = one + 3,
            .b = one,
            .log_scale = &log_scale,
            .bias = &bias,
            .loss = loss,
            .da = da,
        };

        op_sigmoid_loss(&device, &op);
        near(loss[0], log1p(exp(-(scales[i] - 10))) + 2 * log1p(exp(-10)));
        near(loss[1], loss[0]);
        /* along its own match: -s sigmoid(10 - s) / cols */
        near(da[1], -scales[i] / (1 + exp(scales[i] - 10)) / 3);
        near(da[0], scales[i] / (1 + exp(10)) / 3);
    }
}

/* ---- optimiser, small change ---- */

#define ADAMW .lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .decay = 0.2

/* The first step from empty moments: m / (1 - beta1) = g, sqrt(v / (1 - beta2))
 * = |g|.  Then a second step by hand. */
static void test_ops_forms__adamw(void **state)
{
    double p[] = {2, -3}, m[] = {0, 0}, v[] = {0, 0}, copy[2];
    static const double g[] = {0.5, -4};
    static const double sumsq = 16.25; /* half of its norm is kept */
    double want[2];
    struct op_adamw op = {
        .n = 2,
        .p = p,
        .m = m,
        .v = v,
        .g = g,
        .copy = copy,
        ADAMW,
        .sumsq = &sumsq,
        .clip_norm = (sqrt(16.25) + 1e-6) / 2,
        .t = 1,
    };

    (void)state;
    op_adamw(&device, &op);
    want[0] = 2 * 0.98 - 0.1 * 0.25 / (0.25 + 1e-3);
    want[1] = -3 * 0.98 + 0.1 * 2 / (2 + 1e-3);
    near_all(p, want, 2);
    near_all(copy, want, 2);
    near_all(m, (double[]){0.025, -0.2}, 2);
    near_all(v, (double[]){0.000625, 0.04}, 2);

    op.t = 2;
    op.g = (double[]){0, 0};
    op.decay = 0;
    op.copy = NULL;
    op_adamw(&device, &op);
    want[0] -= 0.1 * (0.0225 / 0.19) / (sqrt(0.00061875 / 0.0199) + 1e-3);
    want[1] += 0.1 * (0.18 / 0.19) / (sqrt(0.0396 / 0.0199) + 1e-3);
    near_all(p, want, 2);
}

/* Runs of 64 numbers that decay or not; a gradient under the norm; one whose
 * norm is not finite. */
static void test_ops_forms__adamw_runs(void **state)
{
    static const uint8_t decays[] = {1, 0, 1};
    static const double sums[] = {4, 4.01, INFINITY, NAN};
    static const double by[] = {1, 2 / (2.002498439450078 + 1e-6), 0, 0};
    double p[140], m[140], v[140], g[140];

    (void)state;
    for (int way = 0; way < 4; way++) {
        struct op_adamw op = {.n = 140,
                              .p = p,
                              .m = m,
                              .v = v,
                              .g = g,
                              .decays = decays,
                              .sumsq = &sums[way],
                              ADAMW,
                              .clip_norm = 2,
                              .t = 1};

        for (int i = 0; i < 140; i++) {
            p[i] = 3;
            m[i] = v[i] = 0;
            g[i] = 0.5;
        }
        op_adamw(&device, &op);
        for (int i = 0; i < 140; i++) {
            double keep = i / 64 == 1 ? 1 : 0.98, at = 0.5 * by[way];

            near(p[i], way < 2 ? 3 * keep - 0.1 * at / (at + 1e-3) : 3);
            near(m[i], 0.1 * at);
            near(v[i], 0.01 * at * at);
        }
    }
}

static void test_ops_forms__small(void **state)
{
    static const double x[] = {1, -2, 3};
    double y[] = {10, 20, 30}, sum = 0.5, c[] = {-7, 0.25, 7, NAN}, z[3];
    struct op_sumsq sumsq = {.n = 3, .x = x, .out = &sum};
    struct op_axpby mix = {.n = 3, .a = 2, .b = -1, .x = x, .y = y};
    struct op_add add = {.n = 3, .x = x, .y = y};
    struct op_clamp clamp = {.n = 4, .low = 0, .high = log(100), .x = c};
    struct op_cast cast = {.n = 3, .x = x, .y = z};
    struct op_zero zero = {.bytes = 2 * sizeof *z, .x = z};

    (void)state;
    op_sumsq(&device, &sumsq);
    near(sum, 14.5);
    op_axpby(&device, &mix);
    near_all(y, (double[]){-8, -24, -24}, 3);
    op_add(&device, &add);
    near_all(y, (double[]){-7, -26, -21}, 3);
    op_clamp(&device, &clamp);
    near_all(c, (double[]){0, 0.25, log(100)}, 3);
    assert_true(isnan(c[3]));
    op_cast(&device, &cast);
    near_all(z, x, 3);
    op_zero(&device, &zero);
    near_all(z, (double[]){0, 0, 3}, 3);
}

/* ---- both types ---- */

/* Float keeps to double within its rounding on every case, on shapes that fill
 * more than a block of columns; sums are in double, so 2^-24 is nearly all. */
static void test_ops_forms__float(void **state)
{
    struct err e = ERR_INIT;
    struct device d;
    double worst[2] = {0, 0};

    (void)state;
    assert_int_equal(ref_open(&d, DTYPE_F32, &e), 0);
    for (size_t i = 0; i < OP_CASES; i++)
        for (uint64_t seed = 0; seed < op_cases[i].seeds; seed++)
            play_compare(op_cases[i].name, op_cases[i].run, seed, &d, &device,
                         1e-6, 1e-6, worst);
    print_message("float from double: activations %.1e, reals %.1e\n", worst[0],
                  worst[1]);
    device_close(&d);
}

static void test_ops_forms__open(void **state)
{
    struct err e = ERR_INIT;
    struct device d;
    void *p;

    (void)state;
    assert_int_equal(ref_open(&d, DTYPE_BF16, &e), -E_UNSUPPORTED);
    p = device_alloc(&device, 1000, &e);
    assert_true((uintptr_t)p % DEVICE_ALIGN == 0);
    device_free(&device, p);
    assert_null(device.ops->alloc(&device, SIZE_MAX - 1));
    assert_int_equal(device.act, DTYPE_F64);
    assert_int_equal(device.real, DTYPE_F64);
    assert_true(device.row_step >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ops_forms__linear),
        cmocka_unit_test(test_ops_forms__activation),
        cmocka_unit_test(test_ops_forms__conv),
        cmocka_unit_test(test_ops_forms__avgpool),
        cmocka_unit_test(test_ops_forms__attention),
        cmocka_unit_test(test_ops_forms__attention_scale),
        cmocka_unit_test(test_ops_forms__layernorm),
        cmocka_unit_test(test_ops_forms__batchnorm),
        cmocka_unit_test(test_ops_forms__batchnorm_collect),
        cmocka_unit_test(test_ops_forms__l2norm),
        cmocka_unit_test(test_ops_forms__embed),
        cmocka_unit_test(test_ops_forms__pixels),
        cmocka_unit_test(test_ops_forms__tokens),
        cmocka_unit_test(test_ops_forms__gather),
        cmocka_unit_test(test_ops_forms__nce),
        cmocka_unit_test(test_ops_forms__sigmoid_loss),
        cmocka_unit_test(test_ops_forms__adamw),
        cmocka_unit_test(test_ops_forms__adamw_runs),
        cmocka_unit_test(test_ops_forms__small),
        cmocka_unit_test(test_ops_forms__float),
        cmocka_unit_test(test_ops_forms__open),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
