#include "train/cpu/k_gemm.h"

#include <string.h>

typedef void kernel(int k, const float *a, ptrdiff_t a_step, const float *b,
                    ptrdiff_t b_row, float *c, ptrdiff_t c_row, bool add);

/*
 * One block of `rows` x `vectors` sums.  `along`: a's rows are a_step apart and
 * its columns 1; else the other way about.  The constant arguments are folded,
 * so that the sums live in registers.
 */
K_INLINE void block(const int rows, const int vectors, const bool along, int k,
                    const float *a, ptrdiff_t a_step, const float *b,
                    ptrdiff_t b_row, float *c, ptrdiff_t c_row, bool add)
{
    vf sum[GEMM_ROWS][2];

#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++)
            sum[i][v] = vf_set(0);
    for (int p = 0; p < k; p++) {
        vf b0 = vf_load(b);
        vf b1 = vectors > 1 ? vf_load(b + VW) : b0;

#pragma GCC unroll 16
        for (int i = 0; i < rows; i++) {
            vf x = vf_set(along ? a[i * a_step] : a[i]);

            sum[i][0] += x * b0;
            if (vectors > 1)
                sum[i][1] += x * b1;
        }
        a += along ? 1 : a_step;
        b += b_row;
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; v++) {
            float *to = c + i * c_row + v * VW;

            vf_store(to, add ? vf_load(to) + sum[i][v] : sum[i][v]);
        }
}

#define KERNEL(rows, vectors, name, along)                                     \
    static void name##_##rows##_##vectors(                                     \
        int k, const float *a, ptrdiff_t a_step, const float *b,               \
        ptrdiff_t b_row, float *c, ptrdiff_t c_row, bool add)                  \
    {                                                                          \
        block(rows, vectors, along, k, a, a_step, b, b_row, c, c_row, add);    \
    }
#define KERNELS(rows)                                                          \
    KERNEL(rows, 1, along, true)                                               \
    KERNEL(rows, 2, along, true)                                               \
    KERNEL(rows, 1, across, false)                                             \
    KERNEL(rows, 2, across, false)
#define ENTRY(rows)                                                            \
    [rows] = {{across_##rows##_1, across_##rows##_2},                          \
              {along_##rows##_1, along_##rows##_2}},
#if VW == 16
#define ROWS_MAP(X)                                                            \
    X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
#else
#define ROWS_MAP(X) X(1) X(2) X(3) X(4) X(5) X(6)
#endif

ROWS_MAP(KERNELS)
static kernel *const kernels[GEMM_ROWS + 1][2][2] = {ROWS_MAP(ENTRY)};

/* The last columns, where they fill no whole vector: by way of a block that
 * takes whole ones. */
static void ragged(kernel *f, int rows, int columns, int k, const float *a,
                   ptrdiff_t a_step, const float *b, ptrdiff_t b_row, float *c,
                   ptrdiff_t c_row, bool add)
{
    float whole[GEMM_ROWS * GEMM_COLS] __attribute__((aligned(64)));

    f(k, a, a_step, b, b_row, whole, GEMM_COLS, false);
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < columns; j++)
            c[i * c_row + j] =
                whole[i * GEMM_COLS + j] + (add ? c[i * c_row + j] : 0);
}

void CPU(gemm)(const struct gemm *g)
{
    bool along = g->a_col == 1;
    ptrdiff_t a_step = along ? g->a_row : g->a_col;
    int blocks = (g->m + GEMM_ROWS - 1) / GEMM_ROWS;

    for (int j = 0; j < g->n; j += GEMM_COLS) {
        const float *b = g->b + j / GEMM_COLS * g->b_panel;
        int columns = g->n - j < GEMM_COLS ? g->n - j : GEMM_COLS;

        /* Rows are dealt evenly: short blocks keep the multipliers less
         * busy, and one nearly empty block is worst. */
        for (int r = 0; r < blocks; r++) {
            int i = (int)((int64_t)g->m * r / blocks);
            int rows = (int)((int64_t)g->m * (r + 1) / blocks) - i;
            kernel *f = kernels[rows][along][columns > VW];
            const float *a = g->a + i * g->a_row;
            float *c = g->c + i * g->c_row + j;

            if (columns % VW)
                ragged(f, rows, columns, g->k, a, a_step, b, g->b_row, c,
                       g->c_row, g->add);
            else
                f(g->k, a, a_step, b, g->b_row, c, g->c_row, g->add);
        }
    }
}
