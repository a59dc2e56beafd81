/*
 * Cross-entropy over the vocabulary: a block takes a row.  Its threads read
 * packs side by side, each with the largest logit it has met and the sum of
 * exponentials under that; both are put together by warps, then in the order
 * of the warps.  The logits of the row's own ids are kept in shared memory
 * before the gradient goes over all of them; their columns are written again
 * behind it.
 *
 * Cost.  The row is read twice and written once, the second time from the L2:
 *        49,408 columns of bfloat16 are 97 KB, so 1,280 rows 253 MB of memory's
 *        traffic, 59 us at 4.3 TB/s.
 */
#include <cfloat>

#include "train/cuda/kernel.cuh"

#define SOFTMAX_THREADS 512
#define SOFTMAX_WARPS   (SOFTMAX_THREADS / WARP)

/* The largest of logits, and the sum of their exponentials under it. */
struct softmax {
    float most, sum;
};

static __device__ __forceinline__ void join(struct softmax *a, float most,
                                            float sum)
{
    float was = a->most;

    a->most = fmaxf(was, most);
    a->sum = a->sum * expf(was - a->most) + sum * expf(most - a->most);
}

/* This thread's share of a row. */
template <typename A, int N>
static __device__ __forceinline__ struct softmax softmax_of(const A *row,
                                                            int64_t cols)
{
    struct softmax s = {-FLT_MAX, 0};

    for (int64_t c = threadIdx.x * N; c < cols; c += SOFTMAX_THREADS * N) {
        float x[N], most = s.most, sum;

        load_n<N>(row + c, x);
#pragma unroll
        for (int i = 0; i < N; i++)
            most = fmaxf(most, x[i]);
        sum = s.sum * expf(s.most - most);
#pragma unroll
        for (int i = 0; i < N; i++)
            sum += expf(x[i] - most);
        s.most = most;
        s.sum = sum;
    }
    return s;
}

/* The block's, to all its threads. */
static __device__ __forceinline__ struct softmax whole(struct softmax s)
{
    __shared__ struct softmax room[SOFTMAX_WARPS];

#pragma unroll
    for (int by = WARP / 2; by; by /= 2)
        join(&s, __shfl_xor_sync(FULL, s.most, by),
             __shfl_xor_sync(FULL, s.sum, by));
    if (threadIdx.x % WARP == 0)
        room[threadIdx.x / WARP] = s;
    __syncthreads();
    s = room[0];
    for (int w = 1; w < SOFTMAX_WARPS; w++)
        join(&s, room[w].most, room[w].sum);
    return s;
}

/* by softmax over the row, then its own columns again. */
template <typename A, int N>
static __device__ __forceinline__ void
softmax_slopes(A *row, int64_t cols, const int32_t *ids, int n, float by,
               struct softmax s, const float *own)
{
    float scale = by / s.sum;

    for (int64_t c = threadIdx.x * N; c < cols; c += SOFTMAX_THREADS * N) {
        float x[N];

        load_n<N>(row + c, x);
#pragma unroll
        for (int i = 0; i < N; i++)
            x[i] = expf(x[i] - s.most) * scale;
        store_n<N>(row + c, x);
    }
    __syncthreads();
    for (int k = threadIdx.x; k < n; k += SOFTMAX_THREADS) {
        int found = 0;

        for (int i = 0; i < n; i++)
            found += ids[i] == ids[k];
        /* of an id that stands there twice both write the same */
        set(row + ids[k],
            by * (expf(own[k] - s.most) / s.sum - (float)found / (float)n));
    }
}

template <typename A, int N>
static __global__ void __launch_bounds__(SOFTMAX_THREADS)
    softmax_loss(struct op_softmax_loss o)
{
    DYNAMIC_SHARED(float, own); /* [o.most] */
    int64_t r = blockIdx.x;
    const int32_t *ids = o.ids + o.at[r];
    int n = o.at[r + 1] - o.at[r];
    A *row = (A *)o.x + r * o.cols;
    struct softmax s;

    for (int k = threadIdx.x; k < n; k += SOFTMAX_THREADS)
        own[k] = to_float(row[ids[k]]);
    s = whole(softmax_of<A, N>(row, o.cols)); /* a barrier behind own, too */
    if (!threadIdx.x) {
        float log_sum = logf(s.sum), below = 0;

        for (int k = 0; k < n; k++)
            below += s.most - own[k];
        ((float *)o.loss)[r] = n ? below / (float)n + log_sum : 0;
        if (o.lse)
            ((float *)o.lse)[r] = s.most + log_sum;
    }
    if (o.by)
        softmax_slopes<A, N>(row, o.cols, ids, n, n ? *(const float *)o.by : 0,
                             s, own);
}

void cuda_softmax_loss(struct device *d, const struct op_softmax_loss *o)
{
    for_act(d, [=](auto *a) {
        using A = std::remove_pointer_t<decltype(a)>;
        constexpr int N = pack_n<A>;
        const size_t shared = (size_t)o->most * sizeof(float);
        const unsigned rows = (unsigned)o->rows;

        if (o->cols % N)
            launch(d, softmax_loss<A, 1>, rows, SOFTMAX_THREADS, shared, *o);
        else
            launch(d, softmax_loss<A, N>, rows, SOFTMAX_THREADS, shared, *o);
    });
}
