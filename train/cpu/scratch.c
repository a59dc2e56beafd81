#include "train/cpu/scratch.h"

#include "train/cpu/cpu.h"
#include "train/cpu/tiles.h"

static size_t batchnorm(int64_t groups, int64_t per, int64_t dim, int sums,
                        int coefs)
{
    return scratch_groups(groups, per, dim, sums) +
           scratch_coefs(groups, dim, coefs);
}

size_t cpu_scratch_need(const struct cpu *c, enum op_kind kind, const void *op)
{
    switch (kind) {
    case OP_linear_dw: {
        const struct op_linear_dw *o = (const struct op_linear_dw *)op;

        return o->db ? scratch_rows(o->m, o->n, 1) : 0;
    }
    case OP_layernorm_bwd: {
        const struct op_layernorm_bwd *o = (const struct op_layernorm_bwd *)op;

        return scratch_rows(o->rows, o->dim, 2);
    }
    case OP_batchnorm: {
        const struct op_batchnorm *o = (const struct op_batchnorm *)op;

        return batchnorm(o->groups, o->per, o->dim, 3, 3);
    }
    case OP_batchnorm_bwd: {
        const struct op_batchnorm_bwd *o = (const struct op_batchnorm_bwd *)op;

        return batchnorm(o->groups, o->per, o->dim, 2, 4);
    }
    case OP_sumsq:
        return scratch_sumsq(((const struct op_sumsq *)op)->n);
    case OP_attention:
        return attend_bytes((const struct op_attention *)op, c->threads);
    case OP_attention_bwd:
        return attend_bwd_bytes((const struct op_attention_bwd *)op,
                                c->threads);
    case OP_nce:
        return loss_bytes(((const struct op_nce *)op)->rows, c->threads);
    case OP_nce_bwd:
        return loss_bytes(((const struct op_nce_bwd *)op)->rows, c->threads);
    case OP_sigmoid_loss:
        return loss_bytes(((const struct op_sigmoid_loss *)op)->rows,
                          c->threads);
    default:
        return 0;
    }
}
