#include "train/cuda/products_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/*
 * cuBLASLt counts columns first, so its matrices are ours turned: to it our
 * d [m, n] is an n by m one, and d = op(a) op(b) reads d' = op(b)' op(a)'.
 * What it calls A is our b, and B our a; a bias stands along its rows, which
 * are our columns.
 *
 * No TF32: products of floats are asked for as PEDANTIC, which also keeps what
 * the environment says of emulated floats away.  Of bfloat16, every partial sum
 * of a split k stays in float: kept in the output's type, it would be rounded
 * as often as k is split.
 */

#define LT_CANDIDATES 8 /* answers asked for */
#define LT_ROWS_MOST  ((int64_t)1 << 20)

static int lt_failed(struct device *d, const char *what, cublasStatus_t st)
{
    device_fail(d, st == CUBLAS_STATUS_ALLOC_FAILED ? E_NOMEM : E_IO,
                "cuda: cuBLASLt: %s: %s", what, cublasLtGetStatusString(st));
    return -1;
}

/* ---- life ---- */

int lt_open(struct device *d, struct err *e)
{
    struct lt *lt = xcalloc(1, sizeof *lt);
    uint64_t workspace = LT_WORKSPACE;
    cublasStatus_t st;

    cuda_of(d)->lt = lt;
    lt->rows_most = LT_ROWS_MOST;
    lt->slots = 64;
    lt->slot = xcalloc((size_t)lt->slots, sizeof *lt->slot);
    st = cublasLtCreate(&lt->handle);
    if (!st)
        st = cublasLtMatmulPreferenceCreate(&lt->preference);
    if (!st)
        st = cublasLtMatmulPreferenceSetAttribute(
            lt->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
            &workspace, sizeof workspace);
    if (st)
        return err_set(e, E_IO, "cuda: open cuBLASLt: %s",
                       cublasLtGetStatusString(st));
    return 0;
}

static void entry_free(struct entry *en)
{
    if (en->desc)
        cublasLtMatmulDescDestroy(en->desc);
    if (en->a)
        cublasLtMatrixLayoutDestroy(en->a);
    if (en->b)
        cublasLtMatrixLayoutDestroy(en->b);
    if (en->d)
        cublasLtMatrixLayoutDestroy(en->d);
    free(en);
}

void lt_close(struct device *d)
{
    struct lt *lt = cuda_of(d)->lt;

    if (!lt)
        return;
    lt_tune_close(d);
    for (int i = 0; i < lt->slots; i++)
        if (lt->slot[i])
            entry_free(lt->slot[i]);
    if (lt->preference)
        cublasLtMatmulPreferenceDestroy(lt->preference);
    if (lt->handle)
        cublasLtDestroy(lt->handle);
    free(lt->slot);
    free(lt);
    cuda_of(d)->lt = NULL;
}

/* ---- the table ---- */

static uint16_t align_of(const void *p)
{
    uintptr_t low = (uintptr_t)p & -(uintptr_t)p;

    return (uint16_t)(low && low < LT_ALIGN_MOST ? low : LT_ALIGN_MOST);
}

static struct key key_of(const struct product *p)
{
    return (struct key){
        .m = p->m,
        .n = p->n,
        .k = p->k,
        .lda = p->lda,
        .ldb = p->ldb,
        .ldd = p->ldd,
        .align = {align_of(p->a), align_of(p->b), align_of(p->c ? p->c : p->d),
                  align_of(p->d), align_of(p->of ? p->sums : p->bias)},
        .flags = (uint16_t)((p->a_turned ? KEY_A_TURNED : 0) |
                            (p->b_turned ? KEY_B_TURNED : 0) |
                            (p->real ? KEY_REAL : 0) |
                            (p->bias ? KEY_BIAS : 0) | (p->c ? KEY_ADD : 0) |
                            (p->of == SUMS_A ? KEY_SUMS_A : 0) |
                            (p->of == SUMS_B ? KEY_SUMS_B : 0)),
    };
}

/* FNV-1a, whose low bits are folded: the table's size is a power of two. */
static uint64_t key_hash(const struct key *key)
{
    const unsigned char *at = (const unsigned char *)key;
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < sizeof *key; i++)
        h = (h ^ at[i]) * 0x100000001b3u;
    return h ^ h >> 32;
}

/* Where a key stands, or would. */
static struct entry **find(struct lt *lt, const struct key *key)
{
    uint64_t i = key_hash(key);

    for (;; i++) {
        struct entry **at = &lt->slot[i & (uint64_t)(lt->slots - 1)];

        if (!*at || !memcmp(&(*at)->key, key, sizeof *key))
            return at;
    }
}

static void grow(struct lt *lt)
{
    struct entry **old = lt->slot;
    int n = lt->slots;

    lt->slots = 2 * n;
    lt->slot = xcalloc((size_t)lt->slots, sizeof *lt->slot);
    for (int i = 0; i < n; i++)
        if (old[i])
            *find(lt, &old[i]->key) = old[i];
    free(old);
}

/* ---- asking cuBLASLt ---- */

static cublasStatus_t set_int(cublasLtMatmulDesc_t desc,
                              cublasLtMatmulDescAttributes_t attribute,
                              int value)
{
    int32_t v = value; /* operations and epilogues have this size, too */

    return cublasLtMatmulDescSetAttribute(desc, attribute, &v, sizeof v);
}

cublasStatus_t lt_set_vector(cublasLtMatmulDesc_t desc, const void *p)
{
    return cublasLtMatmulDescSetAttribute(
        desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &p, sizeof p);
}

static cublasLtEpilogue_t epilogue_of(unsigned flags)
{
    if (flags & KEY_BIAS)
        return CUBLASLT_EPILOGUE_BIAS;
    if (flags & KEY_SUMS_A)
        return CUBLASLT_EPILOGUE_BGRADB;
    if (flags & KEY_SUMS_B)
        return CUBLASLT_EPILOGUE_BGRADA;
    return CUBLASLT_EPILOGUE_DEFAULT;
}

static cublasStatus_t describe(const struct device *d, struct entry *en)
{
    const struct key *k = &en->key;
    bool at = k->flags & KEY_A_TURNED, bt = k->flags & KEY_B_TURNED;
    bool bf16 = d->act == DTYPE_BF16;
    cudaDataType_t act = bf16 ? CUDA_R_16BF : CUDA_R_32F;
    cudaDataType_t out = k->flags & KEY_REAL ? CUDA_R_32F : act;
    cublasLtEpilogue_t epilogue = epilogue_of(k->flags);
    cublasStatus_t st = cublasLtMatmulDescCreate(
        &en->desc, bf16 ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_PEDANTIC,
        CUDA_R_32F);

    if (!st)
        st = set_int(en->desc, CUBLASLT_MATMUL_DESC_TRANSA,
                     bt ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (!st)
        st = set_int(en->desc, CUBLASLT_MATMUL_DESC_TRANSB,
                     at ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (!st)
        st = set_int(en->desc, CUBLASLT_MATMUL_DESC_EPILOGUE, (int)epilogue);
    /* Only its alignment is looked at before the call. */
    if (!st && epilogue != CUBLASLT_EPILOGUE_DEFAULT)
        st = lt_set_vector(en->desc, (const void *)(uintptr_t)k->align[4]);
    if (!st)
        st = cublasLtMatrixLayoutCreate(&en->b, act,
                                        (uint64_t)(bt ? k->k : k->n),
                                        (uint64_t)(bt ? k->n : k->k), k->ldb);
    if (!st)
        st = cublasLtMatrixLayoutCreate(&en->a, act,
                                        (uint64_t)(at ? k->m : k->k),
                                        (uint64_t)(at ? k->k : k->m), k->lda);
    if (!st)
        st = cublasLtMatrixLayoutCreate(&en->d, out, (uint64_t)k->n,
                                        (uint64_t)k->m, k->ldd);
    return st;
}

static cublasStatus_t prefer(struct lt *lt, const struct key *k, bool bf16)
{
    static const cublasLtMatmulPreferenceAttributes_t of[4] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, /* our a */
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    uint32_t split = bf16 && !(k->flags & KEY_REAL)
                         ? CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE
                         : CUBLASLT_REDUCTION_SCHEME_MASK;
    cublasStatus_t st = cublasLtMatmulPreferenceSetAttribute(
        lt->preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &split,
        sizeof split);

    for (int i = 0; !st && i < 4; i++) {
        uint32_t bytes = k->align[i];

        st = cublasLtMatmulPreferenceSetAttribute(lt->preference, of[i], &bytes,
                                                  sizeof bytes);
    }
    return st;
}

/* Of the answers that fit: the first, which is the same in every run, or with
 * --tune the fastest. */
static cublasStatus_t choose(struct device *d, struct entry *en)
{
    struct lt *lt = cuda_of(d)->lt;
    cublasLtMatmulHeuristicResult_t answer[LT_CANDIDATES];
    cublasStatus_t st = prefer(lt, &en->key, d->act == DTYPE_BF16);
    bool tried = en->key.flags & (KEY_SUMS_A | KEY_SUMS_B);
    int n = 0, fit = 0;

    if (st)
        return st;
    st = cublasLtMatmulAlgoGetHeuristic(lt->handle, en->desc, en->b, en->a,
                                        en->d, en->d, lt->preference,
                                        LT_CANDIDATES, answer, &n);
    en->refused = true;
    if (st == CUBLAS_STATUS_NOT_SUPPORTED ||
        (st == CUBLAS_STATUS_INVALID_VALUE && tried)) /* versions differ */
        return CUBLAS_STATUS_SUCCESS;
    if (st)
        return st;
    for (int i = 0; i < n; i++)
        if (!answer[i].state && answer[i].workspaceSize <= LT_WORKSPACE)
            answer[fit++] = answer[i];
    if (!fit)
        return CUBLAS_STATUS_SUCCESS;
    en->refused = false;
    en->algo = answer[lt_fastest(d, en, answer, fit)].algo;
    return cublasLtMatmulAlgoConfigGetAttribute(
        &en->algo, CUBLASLT_ALGO_CONFIG_ID, &en->id, sizeof en->id, NULL);
}

/* NULL behind a failure. */
static const struct entry *entry_of(struct device *d, const struct product *p)
{
    struct lt *lt = cuda_of(d)->lt;
    struct key key = key_of(p);
    struct entry **at = find(lt, &key), *en = *at;
    cublasStatus_t st;

    if (en)
        return en;
    en = xcalloc(1, sizeof *en);
    en->key = key;
    st = describe(d, en);
    if (!st)
        st = choose(d, en);
    if (st) {
        lt_failed(d, "choose an algorithm", st);
        entry_free(en);
        return NULL;
    }
    *at = en;
    lt->refused += en->refused && !p->of; /* sums are only tried */
    if (2 * ++lt->used > lt->slots)
        grow(lt);
    return en;
}

/* ---- what products.h promises ---- */

void product(struct device *d, const struct product *p)
{
    const struct entry *en = d->rc ? NULL : entry_of(d, p);
    float one = 1, beta = p->c ? 1 : 0;
    cublasStatus_t st = CUBLAS_STATUS_SUCCESS;

    if (!en || !cuda_runs(d))
        return;
    if (en->refused) {
        product_own(d, p);
        return;
    }
    if (p->bias || p->of)
        st = lt_set_vector(en->desc, p->of ? (const void *)p->sums : p->bias);
    if (!st)
        st = cublasLtMatmul(cuda_of(d)->lt->handle, en->desc, &one, p->b, en->b,
                            p->a, en->a, &beta, p->c ? p->c : p->d, en->d, p->d,
                            en->d, &en->algo, p->workspace, LT_WORKSPACE,
                            cuda_of(d)->stream);
    if (st)
        lt_failed(d, "a product", st);
}

bool product_sums_free(struct device *d, const struct product *p)
{
    struct product plain = *p;
    const struct entry *with, *without;

    plain.of = SUMS_NONE;
    plain.sums = NULL;
    with = d->rc ? NULL : entry_of(d, p);
    without = d->rc ? NULL : entry_of(d, &plain);
    if (!with || !without || with->refused || without->refused)
        return false;
    if (with->ms > 0 && without->ms > 0)
        return with->ms <= (1 + LT_SUMS_COST) * without->ms;
    return with->id == without->id;
}

struct lt_counts lt_counted(const struct device *d)
{
    const struct lt *lt = cuda_of(d)->lt;

    return (struct lt_counts){lt->used, lt->refused, lt->tune.timed,
                              lt->tune.changed};
}

void lt_rows_most(struct device *d, int64_t rows)
{
    cuda_of(d)->lt->rows_most = rows ? rows : LT_ROWS_MOST;
}

int64_t product_rows(const struct device *d, int64_t widest)
{
    int64_t most = ((int64_t)1 << 31) / widest / 4096 * 4096;
    int64_t set = cuda_of(d)->lt->rows_most;

    return most && most < set ? most : set;
}
