/* Attention of the cuda backend on the shapes of CLIP's towers, against the
 * reference: pictures of 50 to 577 tokens, captions full and packed with pads,
 * read rows, ranges that are empty, rows that stand in no range.  Emulated
 * where there is no GPU, then under other orders of a block's threads, too.
 *
 *     test_attention_cuda [PART-OF-A-SHAPE'S-NAME] */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/cuda_play.h"
#include "tests/op_cases_layers.h"
#include "train/ref/ref.h"

#define SEQS 12

/* Lengths of the ranges, up to the first -1; a gap of so many rows between
 * two. `q` NULL: the queries' ranges are the keys'. */
static const struct shape {
    const char *name;
    int heads, dim;
    bool causal;
    int gap;
    int k[SEQS], q[SEQS];
    bool own_q;
} shapes[] = {
    {"ViT-B/32", 2, 64, false, 0, {50, 50, 50, -1}, {0}, false},
    {"ViT-B/16", 1, 64, false, 0, {197, -1}, {0}, false},
    {"ViT-L/14", 2, 64, false, 0, {257, -1}, {0}, false},
    {"ViT-L/14@336", 1, 64, false, 0, {577, -1}, {0}, false},
    {"captions", 2, 64, true, 0, {77, 77, -1}, {0}, false},
    {"packed",
     3,
     64,
     true,
     0,
     {20, 3, 77, 1, 0, 16, 17, 0, 33, 48, 64, -1},
     {0},
     false},
    {"gaps", 1, 64, false, 3, {20, 0, 65, 1, 80, -1}, {0}, false},
    {"long, causal", 2, 64, true, 1, {130, 0, 81, 5, 64, 200, -1}, {0}, false},
    {"read rows",
     3,
     64,
     false,
     2,
     {50, 7, 80, 1, 16, -1},
     {1, 1, 1, 1, 1, -1},
     true},
    {"pool", 2, 64, false, 0, {197, 82, -1}, {1, 1, -1}, true},
    {"few keys", 1, 64, false, 1, {9, 0, 70, -1}, {90, 0, 5, -1}, true},
    {"nobody asks", 1, 64, false, 1, {40, 70, 90, -1}, {20, 0, 0, -1}, true},
    {"odd heads", 2, 80, true, 1, {77, 0, 20, 100, -1}, {0}, false},
    {"wide head", 1, 128, false, 0, {40, 1, -1}, {1, 35, -1}, true},
};

static const struct shape *shape;
static const char *wanted = "";

/* Ranges of `len` rows each; their number in *seqs, the rows in all out. */
static int32_t ranges(const int *len, int gap, int32_t *begin, int32_t *end,
                      int *seqs, int *longest)
{
    int32_t at = 0;

    *longest = 0;
    for (*seqs = 0; len[*seqs] >= 0; ++*seqs) {
        begin[*seqs] = at + gap;
        end[*seqs] = at + gap + len[*seqs];
        at = end[*seqs];
        if (len[*seqs] > *longest)
            *longest = len[*seqs];
    }
    return at + gap;
}

static void case_shape(struct play *p)
{
    const struct shape *s = shape;
    int32_t begin[SEQS], end[SEQS];
    struct op_attention f = {
        .heads = s->heads, .dim = s->dim, .causal = s->causal};
    int64_t width = (int64_t)s->heads * s->dim, rows;
    const void *q, *kv;

    rows = ranges(s->k, s->gap, begin, end, &f.seqs, &f.max_k);
    f.k_begin = play_index(p, "k begin", f.seqs, begin);
    f.k_end = play_index(p, "k end", f.seqs, end);
    if (s->own_q) {
        f.q_rows = ranges(s->q, s->gap, begin, end, &f.seqs, &f.max_q);
        f.q_begin = play_index(p, "q begin", f.seqs, begin);
        f.q_end = play_index(p, "q end", f.seqs, end);
        q = play_in_range(p, "q", PLAY_ACT, f.q_rows * width, -2, 2);
        kv = play_in_range(p, "kv", PLAY_ACT, rows * 2 * width, -2, 2);
    } else {
        f.q_rows = rows;
        f.max_q = f.max_k;
        f.q_begin = f.k_begin;
        f.q_end = f.k_end;
        q = kv = play_in_range(p, "qkv", PLAY_ACT, rows * 3 * width, -2, 2);
    }
    play_attend(p, &f, q, kv, s->gap > 0);
}

/* Emulated, the longest is played once and that is enough. */
static bool left_out(const struct shape *s, bool again)
{
#ifdef WITMILL_EMULATED
    again = again && s->k[0] > 300;
#else
    again = false;
#endif
    return again || !strstr(s->name, wanted);
}

/* Twice the distance of two bf16 numbers: p and ds are rounded on their way,
 * then the result. */
static void against_reference(enum dtype act, double bound)
{
    struct device ref, d;
    struct err e = ERR_INIT;

    assert_int_equal(ref_open(&ref, DTYPE_F32, &e), 0);
    open_cuda(&d, act);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        double worst[2] = {0, 0};

        shape = &shapes[i];
        if (left_out(shape, act == DTYPE_F32))
            continue;
        play_compare(shape->name, case_shape, i, &d, &ref, bound, 1e-5, worst);
        print_message("%-4s %-14s act %.1e lse %.1e\n", dtype_name(act),
                      shape->name, worst[0], worst[1]);
    }
    device_close(&d);
    device_close(&ref);
}

static void test_attention_cuda__f32(void **state)
{
    (void)state;
    against_reference(DTYPE_F32, 1e-5);
}

static void test_attention_cuda__bf16(void **state)
{
    (void)state;
    against_reference(DTYPE_BF16, 2 * 0x1p-8);
}

/* A second run, on a GPU; other orders of a block's threads, emulated: a copy
 * that is not waited for, a barrier that is missing. */
static void test_attention_cuda__same_bits(void **state)
{
    struct device one, two;

    (void)state;
    open_cuda(&one, DTYPE_BF16);
    open_cuda(&two, DTYPE_BF16);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        shape = &shapes[i];
        if (!left_out(shape, true))
            play_again(shape->name, case_shape, i, false, &one, &two, 2 + i);
    }
    device_close(&one);
    device_close(&two);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attention_cuda__f32),
        cmocka_unit_test(test_attention_cuda__bf16),
        cmocka_unit_test(test_attention_cuda__same_bits),
    };

    if (argc > 1)
        wanted = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
