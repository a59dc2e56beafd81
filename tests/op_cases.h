/*
 * op_cases - every op of train/op.h on random shapes, forward and backward.
 *
 * Model.   One function a family, written against tests/op_play.h, in
 *          op_cases_layers.h and op_cases_rows.h.  op_cases[]
 *          lists them with how many seeds it takes to see all their flags and
 *          enough of their shapes.
 */
#ifndef TESTS_OP_CASES_H
#define TESTS_OP_CASES_H

#include "tests/op_cases_layers.h"
#include "tests/op_cases_rows.h"
#include "tests/op_play.h"

struct op_case {
    const char *name;
    play_case *run;
    bool gradient;  /* it has a backward */
    uint64_t seeds; /* 0 .. seeds - 1 show all flags and many shapes */
};

static const struct op_case op_cases[] = {
    {"linear", case_linear, true, 64},
    {"conv", case_conv, true, 48},
    {"attention", case_attention, true, 48},
    {"attention_one", case_attention_one, true, 24},
    {"layernorm", case_layernorm, true, 32},
    {"batchnorm", case_batchnorm, true, 64},
    {"batchnorm_running", case_batchnorm_running, false, 12},
    {"l2norm", case_l2norm, true, 16},
    {"embed", case_embed, true, 16},
    {"pixels", case_pixels, false, 32},
    {"tokens", case_tokens, true, 16},
    {"avgpool", case_avgpool, true, 24},
    {"gather", case_gather, true, 16},
    {"nce", case_nce, true, 24},
    {"sigmoid_loss", case_sigmoid_loss, true, 24},
    {"softmax_loss", case_softmax_loss, true, 48},
    {"adamw", case_adamw, false, 96},
    {"small", case_small, false, 16},
};

#define OP_CASES (sizeof op_cases / sizeof *op_cases)

#endif
