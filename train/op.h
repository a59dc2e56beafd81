/*
 * op - the arithmetic that layers are made of, and its three versions.
 *
 * Model.   An op is a struct of shapes and pointers and a function op_NAME()
 *          that counts its work (checking the shapes it counts by: products,
 *          convolutions, attention, losses) and hands it to the device's
 *          backend.  train/ref computes each as its formula stands (the
 *          oracle), train/cpu and train/cuda fast.  Backends fill a struct
 *          ops; layers call only op_*().
 * Layout.  All arrays are dense, row-major, without overlap, in device
 *          memory.  `act` and `real` are the device's two types (see
 *          train/device.h).  Rows are tokens or pixels, columns features:
 *          images are NHWC, so a feature map is [n*h*w, c].  Weights stand as
 *          in the file: linear [out, in], convolution [out, in, kh, kw].
 *          "+=" outputs add to what is there (gradients of parameters are
 *          summed over chunks); all others are overwritten.
 * Precision. Sums are taken in `real` or wider and rounded once on storing.
 *          Every reduction has a fixed order for given shapes and thread
 *          count.
 * Fails.   A wrong shape is our bug (assert); what a backend cannot do sticks
 *          in the device.
 * Threads. The device's.
 * Cost.    No allocation, but by a backend while planning.
 */
#ifndef TRAIN_OP_H
#define TRAIN_OP_H

#include <stdbool.h>
#include <stdint.h>
#include "train/device.h"

#define OP_STAMPS 1024

struct launch;
struct agreement;
struct collective;

enum act_kind {
    ACT_NONE,
    ACT_GELU,      /* x * (1 + erf(x / sqrt 2)) / 2: Hendrycks & Gimpel 2016 */
    ACT_QUICK_GELU /* x * sigmoid(1.702 x): OpenAI's CLIP */
};

/* ---- products ---- */

/* y = act(x w^T + b) + res.  With act, `pre` receives x w^T + b.
 * With w_is_in_out, w stands as [k, n] (CLIP's projections): y = x w. */
struct op_linear {
    int64_t m, n, k;   /* rows, outputs, inputs */
    const void *x;     /* act [m, k] */
    const void *w;     /* act [n, k], or [k, n] */
    bool w_is_in_out;
    const void *b;     /* real [n], or NULL */
    enum act_kind act;
    void *pre;         /* act [m, n]; NULL when act is ACT_NONE */
    const void *res;   /* act [m, n], or NULL */
    void *y;           /* act [m, n] */
};

/* dx = (dy w) * act'(pre): the gradient in what went through act before it
 * became x. */
struct op_linear_dx {
    int64_t m, n, k;
    const void *dy;    /* act [m, n] */
    const void *w;     /* as above */
    bool w_is_in_out;
    enum act_kind act;
    const void *pre;   /* act [m, k]; NULL when act is ACT_NONE */
    bool add;          /* dx += instead; only without act */
    void *dx;          /* act [m, k] */
};

/* dw += dy^T x (x^T dy with w_is_in_out); db += column sums of dy. */
struct op_linear_dw {
    int64_t m, n, k;
    const void *x;     /* act [m, k] */
    const void *dy;    /* act [m, n] */
    bool w_is_in_out;
    void *dw;          /* real, shape of w, += */
    void *db;          /* real [n], +=, or NULL */
};

/* y[n,i,j,o] = sum over c,p,q of x[n, i*stride-pad+p, j*stride-pad+q, c] *
 * w[o,c,p,q]; out sides are (side + 2 pad - kernel) / stride + 1. */
struct op_conv {
    int64_t batch, h, w, in, out; /* images, input sides, channels */
    int kernel, stride, pad;      /* pixels, the same in both directions */
    const void *x;      /* act [batch, h, w, in] */
    const void *weight; /* act [out, in, kernel, kernel] */
    void *y;            /* act [batch, h', w', out] */
};

/* dx from dy: x is the output here, y the input, named dx and dy. */
struct op_conv_dx {
    int64_t batch, h, w, in, out;
    int kernel, stride, pad;
    const void *dy;     /* act [batch, h', w', out] */
    const void *weight;
    bool add;           /* dx += */
    void *dx;           /* act [batch, h, w, in] */
};

struct op_conv_dw {
    int64_t batch, h, w, in, out;
    int kernel, stride, pad;
    const void *x;
    const void *dy;
    void *dweight;      /* real [out, in, kernel, kernel], += */
};

/* Side of a convolution's output. */
int64_t op_conv_side(int64_t side, int kernel, int stride, int pad);

/* ---- attention ---- */

/*
 * Softmax attention within sequences (Vaswani et al. 2017, eq. 1): for every
 * sequence s, head a and query row i in [q_begin[s], q_end[s]),
 *   out[i] = sum_j p_ij v[j],  p_ij = exp(dim^-1/2 q[i].k[j] - lse[i]),
 * over key rows j in [k_begin[s], k_end[s]); head a is columns a*dim ..
 * a*dim+dim-1 of every row.  causal: the query at place t of its range sees the
 * keys at places 0..t of theirs (ranges of equal length).  This one form is
 * full, causal, of variable length, and (a range of one row) single query.
 * Rows outside every range are neither read nor written.
 */
struct op_attention {
    int seqs, heads, dim;
    bool causal;
    const int32_t *q_begin, *q_end; /* [seqs] rows, device memory */
    const int32_t *k_begin, *k_end; /* [seqs] */
    int max_q, max_k;               /* longest ranges */
    int64_t pairs;                  /* (query, key) pairs in all, to count the
                                       work by: the indices lie elsewhere */
    int64_t q_rows;                 /* rows of q, out and lse */
    const void *q, *k, *v;          /* act, rows of ldq, ldk, ldv numbers */
    int64_t ldq, ldk, ldv;          /* >= heads * dim */
    void *out;                      /* act [q_rows, heads * dim] */
    void *lse;                      /* real [q_rows, heads] */
};

/* Gradients by the saved lse: p is made again, tile by tile.  dq, dk and dv have
 * the strides of q, k and v.  `forward` is the struct of the forward pass. */
struct op_attention_bwd {
    const struct op_attention *forward;
    const void *dout; /* act [q_rows, heads * dim] */
    void *dq, *dk, *dv;
};

/* ---- normalisation ---- */

#define OP_NORM_EPS 1e-5 /* of LayerNorm and BatchNorm alike */

/* y = (x - mean) * rstd * g + b over each row, rstd = 1/sqrt(var + eps), var
 * biased: Ba et al. 2016. */
struct op_layernorm {
    int64_t rows, dim;
    const void *x;       /* act [rows, dim] */
    const void *g, *b;   /* real [dim] */
    void *mean, *rstd;   /* real [rows] */
    void *y;             /* act [rows, dim] */
};

/* dx = res + gradient through the norm. */
struct op_layernorm_bwd {
    int64_t rows, dim;
    const void *x, *g, *mean, *rstd;
    const void *dy;      /* act [rows, dim] */
    const void *res;     /* act [rows, dim], or NULL */
    void *dx;            /* act [rows, dim]; may be res or dy */
    void *dg, *db;       /* real [dim], += */
};

/*
 * y = relu?(((x - mean) / sqrt(var + eps)) * g + b + res), per channel, with
 * mean and biased variance over the `per` rows of each of `groups` consecutive
 * groups (Ioffe & Szegedy 2015; a group is some images times their pixels).
 * `given`: mean and var are inputs (running statistics), groups is 1.
 */
struct op_batchnorm {
    int64_t groups, per, dim;
    const void *x;       /* act [groups * per, dim] */
    const void *g, *b;   /* real [dim] */
    const void *res;     /* act, shape of x, or NULL */
    bool relu, given;
    void *mean, *var;    /* real [groups, dim] */
    void *y;             /* act, shape of x */
};

/* With relu, dy counts where y > 0; what is left of it is also the gradient of
 * res.  mean and var are the batch's (training). */
struct op_batchnorm_bwd {
    int64_t groups, per, dim;
    const void *x, *g, *mean, *var;
    const void *y;       /* act; NULL without relu */
    const void *dy;      /* act */
    void *dx;            /* act; may be dy */
    void *dres;          /* act, or NULL; may be dy, not dx */
    void *dg, *db;       /* real [dim], += */
};

/* sum_mean += sum over groups of mean; sum_var += of var * per / (per - 1)
 * (per 1: of var): what running statistics are moved by, once a step. */
struct op_batchnorm_collect {
    int64_t groups, per, dim;
    const void *mean, *var;    /* real [groups, dim] */
    void *sum_mean, *sum_var;  /* real [dim], += */
};

/* y = x / norm, norm = max(||x||, 1e-12) of each row (torch's normalize). */
struct op_l2norm {
    int64_t rows, dim;
    const void *x;       /* act [rows, dim] */
    void *norm;          /* real [rows] */
    void *y;             /* real [rows, dim] */
};

/* dx = (dy - (dy . y) y) / norm. */
struct op_l2norm_bwd {
    int64_t rows, dim;
    const void *y, *norm;
    const void *dy;      /* real [rows, dim] */
    void *dx;            /* act [rows, dim] */
};

/* ---- tokens, pixels, rows ---- */

/* x[r] = token[ids[r]] + position[places[r]]. */
struct op_embed {
    int64_t rows, dim, vocab, places_max;
    const int32_t *ids, *places; /* [rows], device memory */
    const void *token;           /* real [vocab, dim] */
    const void *position;        /* real [places_max, dim] */
    void *x;                     /* act [rows, dim] */
};

/* Both +=, rows in ascending order for every entry. */
struct op_embed_bwd {
    int64_t rows, dim, vocab, places_max;
    const int32_t *ids, *places;
    const void *dx;              /* act [rows, dim] */
    void *dtoken, *dposition;    /* real, += */
};

/*
 * Pictures come normalised, or as the bytes that decoders give, a fourth of the
 * way to the device.  Byte x of colour c stands for (x / 255 - mean) / std,
 * computed in float as
 *   x scale[c] + (x rest[c] + shift[c]).
 * scale and rest have 16 significant bits each, so that their products with a
 * byte are exact: fusing a multiply and an add changes nothing, and every
 * backend and instruction set gives the same bits (real and act round them
 * further).  Together they are 1 / (255 std) to 2^-32.
 */
enum pixel_kind {
    PIXEL_REAL, /* real [batch, channels, h, w], normalised */
    PIXEL_BYTE  /* uint8_t [batch, h, w, 3]: red, green, blue */
};

struct pixel_norm {
    float scale[3], rest[3], shift[3];
};

struct pixels {
    enum pixel_kind kind;
    const void *x;
    struct pixel_norm norm; /* of bytes */
};

/* From means and deviations of x / 255; deviations are above 0. */
struct pixel_norm pixel_norm_of(const double mean[3], const double std[3]);

/* The number that a byte of a colour stands for. */
float pixel_value(const struct pixel_norm *n, int colour, uint8_t x);

/* Bytes of one picture of size x size as device memory holds it. */
size_t pixel_bytes(enum pixel_kind kind, enum dtype real, int64_t size);

/* Squares of a picture as rows: y[(n, i, j), (c, p, q)] = pixel c of place
 * i*patch + p, j*patch + q of picture n, (size / patch)^2 rows a picture;
 * pixels that fill no square are left out.  Its product with conv1.weight is
 * the patch embedding (Dosovitskiy et al. 2021). */
struct op_patches {
    int64_t batch, channels, size, patch;
    struct pixels x;     /* of size x size */
    void *y;             /* act [batch * (size/patch)^2, channels * patch^2] */
};

/* Pictures to NHWC activations. */
struct op_nhwc {
    int64_t batch, channels, h, w;
    struct pixels x;     /* of h x w */
    void *y;             /* act [batch, h, w, channels] */
};

/* y[n, 0] = first + position[0] (first NULL: the mean of the picture's rows,
 * + position[0]); y[n, 1 + i] = x[n, i] + position[1 + i]: the class token of a
 * ViT, the mean token of CLIP's attention pooling. */
struct op_tokens {
    int64_t batch, n, dim;   /* n rows a picture before, n + 1 behind */
    const void *x;           /* act [batch * n, dim] */
    const void *first;       /* real [dim], or NULL */
    const void *position;    /* real [n + 1, dim] */
    void *y;                 /* act [batch * (n + 1), dim] */
};

struct op_tokens_bwd {
    int64_t batch, n, dim;
    const void *dy;          /* act [batch * (n + 1), dim] */
    void *dx;                /* act [batch * n, dim] */
    void *dfirst;            /* real [dim], +=; NULL as in the forward */
    void *dposition;         /* real [n + 1, dim], += */
};

/* Mean over kernel x kernel squares, stride = kernel; a rest at the lower and
 * right edge is left out (its dx is 0). */
struct op_avgpool {
    int64_t batch, h, w, dim;
    int kernel;
    const void *x;       /* act [batch, h, w, dim] */
    void *y;             /* act [batch, h / kernel, w / kernel, dim] */
};

struct op_avgpool_bwd {
    int64_t batch, h, w, dim;
    int kernel;
    const void *dy;
    void *dx;
};

/* y[i] = x[rows[i]]. */
struct op_gather {
    int64_t n, dim, total;   /* rows taken, columns, rows of x */
    const int32_t *rows;     /* [n], device memory */
    const void *x;           /* act [total, dim] */
    void *y;                 /* act [n, dim] */
};

/* x[rows[i]] += y[i]. */
struct op_scatter_add {
    int64_t n, dim, total;
    const int32_t *rows;     /* [n], distinct */
    const void *y;
    void *x;                 /* act [total, dim], += */
};

/* ---- loss ---- */

/*
 * The symmetric InfoNCE loss of CLIP, one direction at a time and streamed: the
 * [rows, cols] matrix of similarities S = s a b^T, s = exp(log_scale), is never
 * stored.  Row i's own match is column first + i.
 * lse[i] = log sum_j exp S_ij; loss[i] = lse[i] - S_i,first+i.  The batch's loss
 * is the mean over both directions and all rows.  a holds a rank's rows, b
 * everyone's: images against texts, then texts against images.
 */
struct op_nce {
    int64_t rows, cols, first, dim;
    const void *a;           /* real [rows, dim], rows of norm 1 */
    const void *b;           /* real [cols, dim] */
    const void *log_scale;   /* real [1] */
    void *lse;               /* real [rows] */
    void *loss;              /* real [rows] */
};

/* With lse_b of the other direction, G_ij = (exp(S_ij - lse_a[i]) +
 * exp(S_ij - lse_b[j]) - 2 [j = first + i]) / (2 cols):
 * da = s G b; dlog_scale += sum of G * S over these rows (NULL: left out, so
 * that the second direction does not count it again). */
struct op_nce_bwd {
    int64_t rows, cols, first, dim;
    const void *a, *b, *log_scale;
    const void *lse_a;       /* real [rows] */
    const void *lse_b;       /* real [cols] */
    void *da;                /* real [rows, dim] */
    void *dlog_scale;        /* real [1], +=, or NULL */
};

/*
 * The sigmoid loss (Zhai et al. 2023, eq. 1): with z = 1 where j = first + i,
 * else -1, t = S_ij + bias: loss[i] = sum_j log(1 + exp(-z t)); the batch's loss
 * is the sum over rows / cols.  da, dlog_scale and dbias are gradients of that.
 * The second direction (a and b exchanged) gives the other side's da alone:
 * its loss, dlog_scale and dbias are NULL.
 */
struct op_sigmoid_loss {
    int64_t rows, cols, first, dim;
    const void *a, *b;
    const void *log_scale, *bias; /* real [1] */
    void *loss;                   /* real [rows], or NULL */
    void *da;                     /* real [rows, dim] */
    void *dlog_scale, *dbias;     /* real [1], +=, or NULL */
};

#define OP_TARGETS_MAX 4096 /* ids of a row: a caption's, at most */

/*
 * Cross-entropy of softmax(x[r]) against row r's target, which is uniform over
 * ids[at[r] .. at[r + 1]), an id as often as it stands there:
 *   lse[r] = log sum_j exp x_rj;  loss[r] = lse[r] - mean x_r,id;
 * and with `by`, in place of the logits the gradient of by * sum loss,
 *   x_rj = by (exp(x_rj - lse[r]) - j's share of the target).
 * A row without ids has neither loss nor gradient (but an lse).
 */
struct op_softmax_loss {
    int64_t rows, cols;
    int64_t most;            /* ids of a row, at most */
    void *x;                 /* act [rows, cols] */
    const int32_t *at;       /* [rows + 1], device memory */
    const int32_t *ids;      /* [at[rows]] */
    const void *by;          /* real [1]; NULL: x stays */
    void *loss;              /* real [rows] */
    void *lse;               /* real [rows], or NULL */
};

/* ---- optimiser, small change ---- */

#define OP_DECAY_RUN 64 /* numbers that decay, or not, together */

/*
 * Decoupled weight decay (Loshchilov & Hutter 2019), as torch computes it:
 * p *= 1 - lr decay, where it applies; m += (1 - beta1)(g - m);
 * v = beta2 v + (1 - beta2) g^2;
 * p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps); copy = p.
 * With sumsq, that of a gradient of which g is the whole or a part: g counts
 * clip_norm / (norm + 1e-6) times where norm = sqrt(*sumsq) > clip_norm > 0;
 * where norm is not finite, or > skip_norm > 0, nothing is changed at all.
 * With half_moments m and v hold bfloat16 numbers: what a step makes of them
 * moves p in full, and is then rounded by chance as the copy is, each by draws
 * of its own.  To nearest they would stand still: the ulp of bfloat16 is 1/256
 * to 1/128 of a number, and v with beta2 = 0.999 moves by 1/1000 of g^2 - v.
 * With rounding the copy holds bfloat16 numbers, whatever act is: p away from
 * zero with the probability of what is cut off, as drawn for (rounding, t, i)
 * by train/adamw.h, the same on every backend.
 */
struct op_adamw {
    int64_t n;
    void *p;                 /* real [n] */
    void *m, *v;             /* real [n], or bfloat16 */
    const void *g;           /* real [n] */
    void *copy;              /* act [n]; NULL, or p, when there is none */
    const uint8_t *decays;   /* [n / OP_DECAY_RUN, rounded up], device memory:
                                whether decay applies; NULL: everywhere */
    const double *sumsq;     /* [1], device memory, or NULL */
    double lr, beta1, beta2, eps, decay;
    double clip_norm;        /* 0: off */
    double skip_norm;        /* 0: off */
    uint64_t t;              /* step, from 1 */
    uint64_t rounding;       /* 0: the copy is rounded to nearest even */
    bool half_moments;
};

struct op_sumsq {            /* *out += sum of x^2, in double */
    int64_t n;
    const void *x;           /* real [n] */
    double *out;             /* device memory */
};

struct op_cast {             /* y = x */
    int64_t n;
    const void *x;           /* real [n] */
    void *y;                 /* act [n] */
};

struct op_add {              /* y += x */
    int64_t n;
    const void *x;           /* act [n] */
    void *y;                 /* act [n] */
};

struct op_axpby {            /* y = a x + b y */
    int64_t n;
    double a, b;
    const void *x;           /* real [n] */
    void *y;                 /* real [n] */
};

struct op_clamp {            /* x = min(max(x, low), high) */
    int64_t n;
    double low, high;
    void *x;                 /* real [n] */
};

struct op_zero {
    int64_t bytes;
    void *x;
};

struct op_copy {             /* y = x, byte by byte */
    int64_t bytes;
    const void *x;
    void *y;
};

/* name of the op: also of its struct and of its function in struct ops */
#define OP_MAP(X)                                                            \
    X(linear) X(linear_dx) X(linear_dw) X(conv) X(conv_dx) X(conv_dw)        \
    X(attention) X(attention_bwd) X(layernorm) X(layernorm_bwd)              \
    X(batchnorm) X(batchnorm_bwd) X(batchnorm_collect)                       \
    X(l2norm) X(l2norm_bwd) X(embed) X(embed_bwd) X(patches) X(nhwc)         \
    X(tokens) X(tokens_bwd) X(avgpool) X(avgpool_bwd)                        \
    X(gather) X(scatter_add) X(nce) X(nce_bwd) X(sigmoid_loss)               \
    X(softmax_loss)                                                          \
    X(adamw) X(sumsq) X(cast) X(add) X(axpby) X(clamp) X(zero) X(copy)

enum op_kind {
#define X(name) OP_##name,
    OP_MAP(X)
#undef X
    OP_KINDS
};

/* What a backend brings.  alloc returns NULL without memory; put and get as
 * device_put and device_get, pin and unpin (may be NULL) as device_pin().  plan
 * (may be NULL) is called instead of the op during a dry run, for what a
 * backend keeps per shape.  collective (may be NULL) opens what ranks on such
 * devices share (train/collective.h).  stamp and seconds (NULL where an op is
 * done when it returns): put mark i, below OP_STAMPS, behind what was called;
 * wait for two marks and tell what lies between them.
 * reads_host: the ops read host memory where it stands.  Else send and bring
 * (may be NULL: nothing is sent ahead, and put will do), as device_send() and
 * device_bring() but that the landing place and the copy's are given; stood
 * (may be NULL) as device_stood().
 * graph_begin and graph_end (may be NULL): see device_graph_begin(); they are
 * not called while planning, and the backend mixes the key with the stack's
 * height. */
struct ops {
    const char *name;        /* "ref", "cpu", "cuda" */
    void (*close)(struct device *d);
    void *(*alloc)(struct device *d, size_t bytes);
    void (*free)(struct device *d, void *p);
    void (*put)(struct device *d, void *to, const void *host, size_t bytes);
    void (*get)(struct device *d, void *host, const void *from, size_t bytes);
    void (*pin)(struct device *d, void *p, size_t bytes);
    void (*unpin)(struct device *d, void *p);
    bool reads_host;
    void (*send)(struct device *d, void *landing, const void *host,
                 size_t bytes);
    void (*bring)(struct device *d, void *to, const void *host, size_t bytes);
    double (*stood)(struct device *d);
    void (*plan)(struct device *d, enum op_kind kind, const void *op);
    int (*collective)(struct device *d, const struct launch *l,
                      const struct agreement *a, struct collective *out,
                      struct err *e);
    void (*stamp)(struct device *d, int i);
    double (*seconds)(struct device *d, int from, int to);
    bool (*graph_begin)(struct device *d, uint64_t key);
    void (*graph_end)(struct device *d);
#define X(name) void (*name)(struct device *d, const struct op_##name *op);
    OP_MAP(X)
#undef X
};

#define X(name) void op_##name(struct device *d, const struct op_##name *op);
OP_MAP(X)
#undef X

/* Multiplications and additions of an op: 2 a product's term; 0 for those that
 * memory alone decides about. */
uint64_t op_flops(enum op_kind kind, const void *op);

const char *op_kind_name(enum op_kind kind);

#endif
