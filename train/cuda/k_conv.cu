/*
 * What convolutions as products need: columns, and weights in their order.
 *
 * Method.  A thread of conv_columns copies one pack of channels (16 bytes, or
 *          a number where channels do not fill packs) of one pixel of the grid
 *          for all places of the kernel; lanes take a pixel's packs side by
 *          side.  The nine loads of a 3x3 kernel are on their way together.
 *          A part has less than 2^31 numbers, so that only its begin is
 *          counted in 64 bits.
 * Cost.    Reads x about once (the cache has it for the other eight places),
 *          writes kernel^2 times as much.  Weights: one number a thread.
 */
#include "train/cuda/conv.h"
#include "train/cuda/kernel.cuh"

#define CONV_THREADS 256

/* What is copied: numbers, or 16 bytes of them. */
template <int N, typename A> struct pack {
    uint4 bits;
};
template <typename A> struct pack<1, A> {
    A bits;
};

/* What a division by a size needs, in 32 bits. */
struct grid {
    unsigned area, w, per; /* pixels of an image, of a row; packs of a pixel */
    unsigned offset;       /* of `first` in its image */
    int64_t image;         /* `first`'s */
};

/* The source's row (or column) of place p, seen from row i; -1: none. */
static __device__ __forceinline__ int source(int i, int p, int stride, int pad,
                                             int side, bool turned)
{
    int at = turned ? i + pad - p : i * stride - pad + p;

    if (turned && at >= 0)
        at = at % stride ? -1 : at / stride;
    return at < side ? at : -1;
}

/* K x K places of the kernel, from (p0, q0) on: loaded, then stored. */
template <int K, typename P>
static __device__ __forceinline__ void
copy_places(const struct columns &o, unsigned per, const P *x, int i, int j,
            int p0, int q0, P *y)
{
    int stride = (int)o.stride, pad = (int)o.pad, kernel = (int)o.kernel;
    P v[K * K];

#pragma unroll
    for (int k = 0; k < K * K; k++) {
        int r = source(i, p0 + k / K, stride, pad, (int)o.h, o.turned);
        int s = source(j, q0 + k % K, stride, pad, (int)o.w, o.turned);

        v[k] = P();
        if (r >= 0 && s >= 0)
            v[k] = x[(r * o.w + s) * per];
    }
#pragma unroll
    for (int k = 0; k < K * K; k++)
        y[(int64_t)((p0 + k / K) * kernel + q0 + k % K) * per] = v[k];
}

template <typename A, int N, int K>
static __global__ void __launch_bounds__(CONV_THREADS)
    columns_of(struct columns o, struct grid g)
{
    typedef pack<N, A> P;
    unsigned t = blockIdx.x * CONV_THREADS + threadIdx.x;
    unsigned pixel = t / g.per, at = t % g.per;
    unsigned place = g.offset + pixel, rest = place % g.area;
    int64_t image = g.image + place / g.area;
    int i = (int)(rest / g.w), j = (int)(rest % g.w);
    const P *x = (const P *)o.x + image * o.h * o.w * g.per + at;
    A *row = (A *)o.y + (int64_t)pixel * o.ld;
    P *y = (P *)row + at;

    if (pixel >= o.count)
        return;
    for (int p = 0; p < o.kernel; p += K)
        for (int q = 0; q < o.kernel; q += K)
            copy_places<K>(o, g.per, x, i, j, p, q, y);
    if (!at) /* 16 bytes of floats may leave half of the last 8 numbers */
        for (int64_t c = o.kernel * o.kernel * o.channels; c < o.ld; c++)
            set(row + c, 0);
}

template <typename A, int N>
static void columns_by(struct device *d, const struct columns *o)
{
    int64_t area = o->grid_h * o->grid_w;
    struct grid g = {(unsigned)area, (unsigned)o->grid_w,
                     (unsigned)(o->channels / N), (unsigned)(o->first % area),
                     o->first / area};
    unsigned blocks = blocks_for(o->count * g.per, CONV_THREADS);

    launch(d, o->kernel == 3 ? columns_of<A, N, 3> : columns_of<A, N, 1>,
           blocks, CONV_THREADS, 0, *o, g);
}

void conv_columns(struct device *d, const struct columns *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;
        constexpr int N = pack_n<A>;
        bool packs = o->channels % N == 0 && (uintptr_t)o->x % 16 == 0;

        (packs ? columns_by<A, N> : columns_by<A, 1>)(d, o);
    });
}

/* ---- weights ---- */

/* One number a thread, in y's order. */
template <typename A>
static __global__ void __launch_bounds__(CONV_THREADS)
    weights_of(int64_t rows, int64_t inner, int64_t places, int64_t row_step,
               int64_t inner_step, int64_t ld, const A *__restrict__ weight,
               A *__restrict__ y)
{
    int64_t t = (int64_t)blockIdx.x * CONV_THREADS + threadIdx.x;
    int64_t row = t / ld, col = t % ld;
    int64_t place = col / inner, c = col % inner;

    if (row >= rows)
        return;
    if (place < places)
        y[t] = weight[row * row_step + c * inner_step + place];
    else
        set(y + t, 0);
}

void conv_weights(struct device *d, const struct conv *c, const void *weight,
                  bool turned, int64_t ld, void *y)
{
    int64_t places = c->kernel * c->kernel, filter = places * c->in;
    int64_t rows = turned ? c->in : c->out, inner = turned ? c->out : c->in;

    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;

        launch(d, weights_of<A>, blocks_for(rows * ld, CONV_THREADS),
               CONV_THREADS, 0, rows, inner, places, turned ? places : filter,
               turned ? filter : places, ld, (const A *)weight, (A *)y);
    });
}

/* One number a thread, in dweight's order. */
static __global__ void __launch_bounds__(CONV_THREADS)
    add_weights(int64_t n, int64_t in, int64_t places, int64_t ld,
                const float *__restrict__ part, float *__restrict__ dweight)
{
    int64_t t = (int64_t)blockIdx.x * CONV_THREADS + threadIdx.x;
    int64_t place = t % places, c = t / places % in, o = t / places / in;

    if (t < n)
        dweight[t] += part[o * ld + place * in + c];
}

void conv_add_weights(struct device *d, const struct conv *c, const float *part,
                      int64_t ld, void *dweight)
{
    int64_t places = c->kernel * c->kernel, n = c->out * c->in * places;

    launch(d, add_weights, blocks_for(n, CONV_THREADS), CONV_THREADS, 0, n,
           c->in, places, ld, part, (float *)dweight);
}
