/* cuBLASLt's products, number by number; see include/cublasLt.h.
 *
 * Algorithms 1, and 2, which a sum over a's or b's rows gets where k is no
 * multiple of 8 (the real library, too, has other kernels where an epilogue
 * asks for them): they split k, the first half's sums go through the workspace,
 * in float.  Whoever wants several answers also gets one that does not fit, one
 * that is refused when it is called, and algorithm 3, which does not split k and
 * so gives other last bits. */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include <cublasLt.h>

#include "tests/emulate/emulate.h"
#include "tests/emulate/runtime.hh"
extern "C" {
#include "train/device.h"
}

struct emulate_lt {
    int open;
};

struct emulate_lt_desc {
    cublasComputeType_t compute;
    int32_t turned[2], epilogue; /* of A, B */
    char *vector;                /* bias, or sums */
};

struct emulate_lt_layout {
    cudaDataType type;
    uint64_t rows, cols;
    int64_t ld;
};

struct emulate_lt_preference {
    uint64_t workspace;
    uint32_t split, align[4]; /* A, B, C, D */
};

/* What an algorithm was chosen for; stands in cublasLtMatmulAlgo_t. */
struct algorithm {
    int32_t id;
    uint32_t align[4], vector;
    uint64_t m, n, k, workspace;
    bool refuses, slow;
};
static_assert(sizeof(algorithm) <= sizeof(cublasLtMatmulAlgo_t), "too large");

[[noreturn]] static void die(const char *what)
{
    fprintf(stderr, "cublasLt: %s\n", what);
    exit(3);
}

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "success";
    case CUBLAS_STATUS_ALLOC_FAILED:
        return "out of memory";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "not supported";
    case CUBLAS_STATUS_INVALID_VALUE:
        break;
    }
    return "invalid value";
}

/* ---- descriptors ---- */

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    *handle = new emulate_lt{1};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    delete handle;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc,
                                        cublasComputeType_t compute,
                                        cudaDataType_t scale)
{
    if (scale != CUDA_R_32F)
        return CUBLAS_STATUS_INVALID_VALUE;
    *desc = new emulate_lt_desc{
        compute, {CUBLAS_OP_N, CUBLAS_OP_N}, CUBLASLT_EPILOGUE_DEFAULT, NULL};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc)
{
    delete desc;
    return CUBLAS_STATUS_SUCCESS;
}

/* Copies a value whose size must be the attribute's. */
template <typename T>
static cublasStatus_t take(T *to, const void *value, size_t bytes)
{
    if (!value || bytes != sizeof(T))
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, sizeof(T));
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                               cublasLtMatmulDescAttributes_t attribute,
                               const void *value, size_t bytes)
{
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return take(&desc->turned[0], value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return take(&desc->turned[1], value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return take(&desc->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return take(&desc->vector, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout,
                                          cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld)
{
    *layout = new emulate_lt_layout{type, rows, cols, ld};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    delete layout;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference)
{
    *preference = new emulate_lt_preference{
        0, CUBLASLT_REDUCTION_SCHEME_MASK, {256, 256, 256, 256}};
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t
cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    delete preference;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t preference,
    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
    size_t bytes)
{
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return take(&preference->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return take(&preference->split, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
        return take(
            &preference->align[attribute -
                               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES],
            value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

/* ---- checks ---- */

static size_t size_of(cudaDataType type)
{
    return type == CUDA_R_16BF ? 2 : 4;
}

/* op(x)'s rows and columns. */
static uint64_t rows_of(const emulate_lt_layout *x, int32_t turned)
{
    return turned == CUBLAS_OP_T ? x->cols : x->rows;
}

static uint64_t cols_of(const emulate_lt_layout *x, int32_t turned)
{
    return turned == CUBLAS_OP_T ? x->rows : x->cols;
}

/* Shapes that fit, leading dimensions that hold a column, and types that the
 * library has kernels for. */
static cublasStatus_t check(const emulate_lt_desc *desc,
                            const emulate_lt_layout *a,
                            const emulate_lt_layout *b,
                            const emulate_lt_layout *c,
                            const emulate_lt_layout *d)
{
    bool fp32 = desc->compute == CUBLAS_COMPUTE_32F_PEDANTIC;

    for (const emulate_lt_layout *x : {a, b, c, d})
        if (!x->rows || !x->cols || x->ld < (int64_t)x->rows ||
            x->rows > INT32_MAX || x->cols > INT32_MAX)
            return CUBLAS_STATUS_INVALID_VALUE;
    if (rows_of(a, desc->turned[0]) != d->rows ||
        cols_of(a, desc->turned[0]) != rows_of(b, desc->turned[1]) ||
        cols_of(b, desc->turned[1]) != d->cols || c->rows != d->rows ||
        c->cols != d->cols)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (a->type != b->type || c->type != d->type ||
        (d->type == CUDA_R_16BF && a->type != CUDA_R_16BF))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    /* floats without PEDANTIC may be computed in TF32 one day */
    if ((a->type == CUDA_R_32F) != fp32)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    switch (desc->epilogue) {
    case CUBLASLT_EPILOGUE_DEFAULT:
        return CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_BGRADA:
    case CUBLASLT_EPILOGUE_BGRADB:
        return desc->vector ? CUBLAS_STATUS_SUCCESS
                            : CUBLAS_STATUS_INVALID_VALUE;
    }
    return CUBLAS_STATUS_NOT_SUPPORTED;
}

/* Bytes at which all columns begin. */
static uint32_t align_of(const emulate_lt_layout *x, uint32_t pointer)
{
    uint64_t bytes = (uint64_t)x->ld * size_of(x->type);
    uint64_t low = bytes & (~bytes + 1);

    return low < pointer ? (uint32_t)low : pointer;
}

static uint32_t align_of(const void *p)
{
    uintptr_t low = (uintptr_t)p & (~(uintptr_t)p + 1);

    return low && low < 256 ? (uint32_t)low : 256;
}

static bool slow_answer;

void emulate_slow_answer(bool slow)
{
    slow_answer = slow;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
    cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
    cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int wanted,
    cublasLtMatmulHeuristicResult_t *results, int *count)
{
    cublasStatus_t st = check(desc, a, b, c, d);
    const emulate_lt_layout *all[4] = {a, b, c, d};
    algorithm algo = {};

    *count = 0;
    if (st)
        return st;
    if (wanted < 1)
        return CUBLAS_STATUS_INVALID_VALUE;
    /* Tensor cores load two bfloat16 at a time at least. */
    for (int i = 0; i < 4; i++) {
        if (align_of(all[i], preference->align[i]) < 4)
            return CUBLAS_STATUS_NOT_SUPPORTED;
        algo.align[i] = preference->align[i];
    }
    algo.vector = align_of(desc->vector);
    algo.m = d->rows;
    algo.n = d->cols;
    algo.k = cols_of(a, desc->turned[0]);
    algo.id = desc->epilogue >= CUBLASLT_EPILOGUE_BGRADA && algo.k % 8 ? 2 : 1;
    if (preference->split & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
        algo.workspace = algo.m * algo.n * sizeof(float);
    if (algo.workspace > preference->workspace)
        algo.workspace = 0;
    algo.slow = slow_answer;
    for (int i = 0; i < wanted && i < 4; i++) {
        results[i] = cublasLtMatmulHeuristicResult_t();
        algo.refuses = i == 2;
        if (i == 1)
            results[i].state = CUBLAS_STATUS_NOT_SUPPORTED;
        if (i == 3) {
            algo.id = 3;
            algo.workspace = 0;
        }
        memcpy(&results[i].algo, &algo, sizeof algo);
        results[i].workspaceSize = algo.workspace;
        algo.slow = false;
        *count = i + 1;
    }
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(
    const cublasLtMatmulAlgo_t *from,
    cublasLtMatmulAlgoConfigAttributes_t attribute, void *value, size_t bytes,
    size_t *written)
{
    algorithm algo;

    memcpy(&algo, from, sizeof algo);
    if (attribute != CUBLASLT_ALGO_CONFIG_ID || bytes != sizeof algo.id)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(value, &algo.id, bytes);
    if (written)
        *written = bytes;
    return CUBLAS_STATUS_SUCCESS;
}

/* ---- the product ---- */

static float get(const emulate_lt_layout *x, const char *p, uint64_t i,
                 uint64_t j)
{
    const char *at = p + (i + j * (uint64_t)x->ld) * size_of(x->type);
    uint16_t half;
    float whole;

    if (x->type == CUDA_R_16BF) {
        memcpy(&half, at, sizeof half);
        return bf16_to_float(half);
    }
    memcpy(&whole, at, sizeof whole);
    return whole;
}

static void put(cudaDataType type, char *at, float x)
{
    uint16_t half = bf16_from_float(x);

    if (type == CUDA_R_16BF)
        memcpy(at, &half, sizeof half);
    else
        memcpy(at, &x, sizeof x);
}

/* op(x) as [rows, cols] of floats, row-major. */
static std::vector<float> unpack(const emulate_lt_layout *x, const char *p,
                                 int32_t turned)
{
    uint64_t rows = rows_of(x, turned), cols = cols_of(x, turned);
    std::vector<float> all(rows * cols);

    for (uint64_t i = 0; i < rows; i++)
        for (uint64_t j = 0; j < cols; j++)
            all[i * cols + j] =
                turned == CUBLAS_OP_T ? get(x, p, j, i) : get(x, p, i, j);
    return all;
}

struct call {
    emulate_lt_desc desc;
    emulate_lt_layout a, b, c, d;
    algorithm algo;
    const char *A, *B, *C;
    char *D;
    float alpha, beta;
    float *workspace;
};

/* The sums of op(a)'s rows, or of op(b)'s columns, over k. */
static void sum_vector(const call &t, const std::vector<float> &a,
                       const std::vector<float> &b)
{
    bool of_a = t.desc.epilogue == CUBLASLT_EPILOGUE_BGRADA;
    uint64_t n = of_a ? t.algo.m : t.algo.n, k = t.algo.k;

    for (uint64_t i = 0; i < n; i++) {
        double sum = 0;

        for (uint64_t l = 0; l < k; l++)
            sum += (double)(of_a ? a[i * k + l] : b[l * n + i]);
        put(t.d.type, t.desc.vector + i * size_of(t.d.type), (float)sum);
    }
}

static void compute(const call &t)
{
    const struct timespec pause = {0, 1000000};
    uint64_t m = t.algo.m, n = t.algo.n, k = t.algo.k;
    std::vector<float> a = unpack(&t.a, t.A, t.desc.turned[0]);
    std::vector<float> b = unpack(&t.b, t.B, t.desc.turned[1]);
    std::vector<double> sum(n);

    if (t.algo.slow)
        nanosleep(&pause, NULL);
    if (t.desc.epilogue >= CUBLASLT_EPILOGUE_BGRADA)
        sum_vector(t, a, b);
    for (uint64_t i = 0; i < m; i++) {
        sum.assign(n, 0);
        for (uint64_t l = 0; l < k; l++) {
            if (l == k / 2 && t.workspace) {
                for (uint64_t j = 0; j < n; j++)
                    t.workspace[i * n + j] = (float)sum[j];
                sum.assign(n, 0);
            }
            for (uint64_t j = 0; j < n; j++)
                sum[j] += (double)a[i * k + l] * (double)b[l * n + j];
        }
        for (uint64_t j = 0; j < n; j++) {
            double x =
                sum[j] + (t.workspace ? (double)t.workspace[i * n + j] : 0);

            x *= (double)t.alpha;
            if (t.beta != 0)
                x += (double)t.beta * (double)get(&t.c, t.C, i, j);
            if (t.desc.epilogue == CUBLASLT_EPILOGUE_BIAS) {
                emulate_lt_layout bias = {t.d.type, m, 1, (int64_t)m};

                x += (double)get(&bias, t.desc.vector, i, 0);
            }
            put(t.d.type, t.D + (i + j * (uint64_t)t.d.ld) * size_of(t.d.type),
                (float)x);
        }
    }
}

cublasStatus_t
cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t desc, const void *alpha,
               const void *A, cublasLtMatrixLayout_t a, const void *B,
               cublasLtMatrixLayout_t b, const void *beta, const void *C,
               cublasLtMatrixLayout_t c, void *D, cublasLtMatrixLayout_t d,
               const cublasLtMatmulAlgo_t *chosen, void *workspace,
               size_t workspace_bytes, cudaStream_t stream)
{
    cublasStatus_t st = check(desc, a, b, c, d);
    const void *all[4] = {A, B, C, D};
    call t = {*desc,
              *a,
              *b,
              *c,
              *d,
              {},
              (const char *)A,
              (const char *)B,
              (const char *)C,
              (char *)D,
              *(const float *)alpha,
              *(const float *)beta,
              NULL};

    if (st)
        return st;
    memcpy(&t.algo, chosen, sizeof t.algo);
    if (t.algo.refuses)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (t.algo.m != d->rows || t.algo.n != d->cols ||
        t.algo.k != cols_of(a, desc->turned[0]))
        die("an algorithm that was chosen for another shape");
    for (int i = 0; i < 4; i++)
        if (!all[i] || align_of(all[i]) < t.algo.align[i])
            die("a pointer that is less aligned than the algorithm was told");
    if (desc->epilogue != CUBLASLT_EPILOGUE_DEFAULT &&
        align_of(desc->vector) < t.algo.vector)
        die("a bias that is less aligned than the algorithm was told");
    if (workspace_bytes < t.algo.workspace)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (t.algo.workspace && (!workspace || (uintptr_t)workspace % 16))
        die("a workspace that is none, or not aligned");
    if (t.algo.workspace)
        t.workspace = (float *)workspace;
    return emulate_enqueue(stream, [=]() { compute(t); })
               ? CUBLAS_STATUS_INVALID_VALUE
               : CUBLAS_STATUS_SUCCESS;
}
