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
    uint64_t seeds; /* 0 .. seeds - 1 show all flags and many shapes */
};

static const struct op_case op_cases[] = {
    {"linear", case_linear, 64},
    {"conv", case_conv, 48},
    {"attention", case_attention, 48},
    {"attention_one", case_attention_one, 24},
    {"layernorm", case_layernorm, 32},
    {"batchnorm", case_batchnorm, 64},
    {"batchnorm_running", case_batchnorm_running, 12},
    {"l2norm", case_l2norm, 16},
    {"embed", case_embed, 16},
    {"pixels", case_pixels, 16},
    {"tokens", case_tokens, 16},
    {"avgpool", case_avgpool, 24},
    {"gather", case_gather, 16},
    {"nce", case_nce, 24},
    {"sigmoid_loss", case_sigmoid_loss, 24},
    {"adamw", case_adamw, 16},
    {"small", case_small, 16},
};

#define OP_CASES (sizeof op_cases / sizeof *op_cases)

#endif
