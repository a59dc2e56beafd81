/* A warp's tensor products; see include/cuda_runtime.h.  Layouts of fragments:
 * PTX ISA 8.0, "Matrix Fragments for mma.m16n8k16" and "ldmatrix". */
#include <cstdio>
#include <cstdlib>

#include <cuda_runtime.h>

static float low(unsigned pair)
{
    return __uint_as_float(pair << 16);
}

static float high(unsigned pair)
{
    return __uint_as_float(pair & 0xffff0000u);
}

struct operands {
    unsigned a[4], b[2];
};

/* Lane 4 g + t holds of a (16 x 16) rows g and g + 8, columns 2t, 2t + 1 and
 * those 8 further; of b (16 x 8) column g, rows likewise; of c (16 x 8) rows
 * g and g + 8, columns 2t, 2t + 1. */
void emulate_mma_bf16(float c[4], const unsigned a[4], const unsigned b[2])
{
    operands mine;
    const operands *all;
    int lane = emulate_lane(), g = lane / 4, t = lane % 4;

    memcpy(mine.a, a, sizeof mine.a);
    memcpy(mine.b, b, sizeof mine.b);
    all = (const operands *)emulate_meet(&mine, sizeof mine);
    for (int i = 0; i < 4; i++) {
        int n = 2 * t + i % 2;
        float sum = 0;

        for (int k = 0; k < 16; k += 2) {
            unsigned x = all[4 * g + k % 8 / 2].a[k / 8 * 2 + i / 2];
            unsigned y = all[4 * n + k % 8 / 2].b[k / 8];

            sum += low(x) * low(y) + high(x) * high(y);
        }
        c[i] += sum;
    }
}

/* Lane 4 g + t receives of each matrix row g, columns 2t and 2t + 1; with
 * trans, column g, rows 2t and 2t + 1. */
void emulate_ldmatrix(unsigned r[4], const void *row, bool trans)
{
    uint16_t mine[8];
    const uint16_t(*all)[8];
    int lane = emulate_lane(), g = lane / 4, t = lane % 4;

    if ((uintptr_t)row % 16) {
        fprintf(stderr, "a row of ldmatrix not aligned to 16 bytes\n");
        exit(3);
    }
    memcpy(mine, row, sizeof mine);
    all = (const uint16_t(*)[8])emulate_meet(mine, sizeof mine);
    for (int i = 0; i < 4; i++) {
        const uint16_t(*m)[8] = all + 8 * i;
        uint16_t one = trans ? m[2 * t][g] : m[g][2 * t];
        uint16_t two = trans ? m[2 * t + 1][g] : m[g][2 * t + 1];

        r[i] = (unsigned)one | (unsigned)two << 16;
    }
}
