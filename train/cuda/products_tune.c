/*
 * The fastest of cuBLASLt's answers for a shape.
 *
 * Its heuristic says which kernel should be fast; the device says which is.  In
 * a dry run, when no graph is captured and most memory is still free, each
 * answer is called on arrays as long and as aligned as the product's, once to
 * be loaded and then TUNE_TIMES in a row between two events.  Another answer
 * than the first is taken where it gains TUNE_GAIN, which is more than times
 * are apart from run to run; so most choices, if not all, are the same in the
 * next run.  All answers are deterministic, each by itself: their partial sums
 * are ordered, by a second step or by counters (cublasLt.h on reduction
 * schemes).
 *
 * Cost.  2 to 40 calls of each product: for a ViT-B/32 of 4,096 pairs, whose
 * packed captions come in 77 sizes, some seconds.  Past TUNE_SECONDS in all,
 * first answers are believed again; sizes are planned the batch's own first,
 * then from short captions on, so that what is left out are rare sizes.
 */
#include "train/cuda/products_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "train/random.h"

#define TUNE_TIMES   3
#define TUNE_GAIN    0.03 /* of the first answer's time */
#define TUNE_SECONDS 20
#define TUNE_PIECE   ((size_t)1 << 20) /* bytes of random numbers, repeated */

/* A product's arrays in the room. */
struct arrays {
    size_t a, b, c, d, vector; /* offsets */
    size_t bytes;              /* of all, behind the workspace */
};

/* Room for `bytes` that are aligned to `align` and no further. */
static size_t lay(size_t *at, size_t bytes, size_t align)
{
    size_t begin = (*at + LT_ALIGN_MOST - 1) / LT_ALIGN_MOST * LT_ALIGN_MOST;

    begin += align % LT_ALIGN_MOST;
    *at = begin + bytes;
    return begin;
}

static struct arrays lay_arrays(const struct device *d, const struct key *k)
{
    size_t act = dtype_size(d->act);
    size_t out = k->flags & KEY_REAL ? dtype_size(d->real) : act;
    int64_t a = k->flags & KEY_A_TURNED ? k->k : k->m;
    int64_t b = k->flags & KEY_B_TURNED ? k->n : k->k;
    size_t at = LT_WORKSPACE;
    struct arrays r;

    r.a = lay(&at, (size_t)(a * k->lda) * act, k->align[0]);
    r.b = lay(&at, (size_t)(b * k->ldb) * act, k->align[1]);
    r.d = lay(&at, (size_t)(k->m * k->ldd) * out, k->align[3]);
    r.c = r.d; /* it may be d, unless c was said to be aligned otherwise */
    if (k->align[2] != k->align[3])
        r.c = lay(&at, (size_t)(k->m * k->ldd) * out, k->align[2]);
    r.vector = lay(&at, (size_t)(k->m > k->n ? k->m : k->n) * sizeof(float),
                   k->align[4]);
    r.bytes = at;
    return r;
}

/* Random numbers in all of the room: others take less power, and less time. */
static cudaError_t fill(struct device *d, struct tune *t)
{
    size_t size = dtype_size(d->act), n = TUNE_PIECE / size;
    uint64_t stream = random_stream(1, STR("tune"));
    cudaStream_t s = cuda_of(d)->stream;
    float *x = xmalloc(n * sizeof *x);
    char *piece = xmalloc(TUNE_PIECE);
    size_t done = t->size < TUNE_PIECE ? t->size : TUNE_PIECE;
    cudaError_t rc;

    for (size_t i = 0; i < n; i++)
        x[i] = (float)(2 * random_uniform(stream, i) - 1);
    dtype_convert(piece, d->act, x, DTYPE_F32, n);
    rc = cudaMemcpyAsync(t->room, piece, done, cudaMemcpyHostToDevice, s);
    if (!rc)
        rc = cudaStreamSynchronize(s); /* the piece is freed below */
    while (!rc && done < t->size) {
        size_t more = t->size - done < done ? t->size - done : done;

        rc = cudaMemcpyAsync(t->room + done, t->room, more,
                             cudaMemcpyDeviceToDevice, s);
        done += more;
    }
    free(piece);
    free(x);
    return rc;
}

/* False where there is no memory for it: nothing is timed then. */
static bool make_room(struct device *d, struct tune *t, size_t bytes)
{
    cudaError_t rc = cudaSuccess;
    void *p = NULL;

    if (t->size >= bytes)
        return true;
    lt_tune_yield(d);
    if (cudaMalloc(&p, bytes)) {
        cudaGetLastError(); /* no failure: first answers serve */
        return false;
    }
    t->room = p;
    t->size = bytes;
    if (!t->began)
        rc = cudaEventCreateWithFlags(&t->began, 0);
    if (!rc && !t->ended)
        rc = cudaEventCreateWithFlags(&t->ended, 0);
    if (!rc)
        rc = fill(d, t);
    if (rc)
        cuda_fail(d, "make room to time products", rc);
    return !rc;
}

/* Milliseconds of a call; 0 when the library will not, which is no failure:
 * there are other answers. */
static float time_one(struct device *d, struct entry *en,
                      const struct arrays *r, const cublasLtMatmulAlgo_t *algo)
{
    struct tune *t = &cuda_of(d)->lt->tune;
    cudaStream_t s = cuda_of(d)->stream;
    float one = 1, beta = en->key.flags & KEY_ADD ? 1 : 0, ms = 0;
    char *p = t->room;
    cudaError_t rc = cudaSuccess;

    for (int i = -1; !rc && i < TUNE_TIMES; i++) {
        if (i == 0)
            rc = cudaEventRecord(t->began, s);
        if (!rc &&
            cublasLtMatmul(cuda_of(d)->lt->handle, en->desc, &one, p + r->b,
                           en->b, p + r->a, en->a, &beta, p + r->c, en->d,
                           p + r->d, en->d, algo, p, LT_WORKSPACE, s))
            return 0;
    }
    if (!rc)
        rc = cudaEventRecord(t->ended, s);
    if (!rc)
        rc = cudaEventSynchronize(t->ended);
    if (!rc)
        rc = cudaEventElapsedTime(&ms, t->began, t->ended);
    if (rc)
        cuda_fail(d, "time a product", rc);
    return ms / TUNE_TIMES;
}

int lt_fastest(struct device *d, struct entry *en,
               const cublasLtMatmulHeuristicResult_t *answer, int n)
{
    struct tune *t = &cuda_of(d)->lt->tune;
    uint64_t began = clock_mono_ns();
    struct arrays r = lay_arrays(d, &en->key);
    int best = 0;

    if (!cuda_of(d)->tune || !d->planning ||
        t->spent_ns > TUNE_SECONDS * (uint64_t)1000000000 ||
        !make_room(d, t, r.bytes))
        return 0;
    if (en->key.flags & (KEY_BIAS | KEY_SUMS_A | KEY_SUMS_B))
        lt_set_vector(en->desc, t->room + r.vector);
    for (int i = 0; i < n && !d->rc; i++) {
        float ms = time_one(d, en, &r, &answer[i].algo);
        float gain = i ? (float)TUNE_GAIN : 0;

        if (ms > 0 && (en->ms <= 0 || ms < en->ms * (1 - gain))) {
            en->ms = ms;
            best = i;
        }
    }
    t->timed++;
    t->changed += best > 0;
    t->spent_ns += clock_mono_ns() - began;
    return best;
}

void lt_tune_yield(struct device *d)
{
    struct lt *lt = cuda_of(d)->lt;

    if (!lt || !lt->tune.room)
        return;
    cudaStreamSynchronize(cuda_of(d)->stream);
    cudaFree(lt->tune.room);
    lt->tune.room = NULL;
    lt->tune.size = 0;
}

void lt_tune_close(struct device *d)
{
    struct tune *t = &cuda_of(d)->lt->tune;

    lt_tune_yield(d);
    if (t->began)
        cudaEventDestroy(t->began);
    if (t->ended)
        cudaEventDestroy(t->ended);
}
