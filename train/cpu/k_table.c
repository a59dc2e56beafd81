#include "train/cpu/k.h"

/* What is written as kernels, by file; the rest is train/cpu/products.c. */
#define K_MAP(X)                                                               \
    X(layernorm)                                                               \
    X(layernorm_bwd)                                                           \
    X(l2norm)                                                                  \
    X(l2norm_bwd) /* k_norm.c */                                               \
    X(batchnorm)                                                               \
    X(batchnorm_bwd) X(batchnorm_collect)              /* k_batchnorm.c */     \
        X(embed) X(embed_bwd) X(gather) X(scatter_add) /* k_rows.c */          \
        X(patches) X(nhwc) X(tokens) X(tokens_bwd)     /* k_tokens.c */        \
        X(avgpool) X(avgpool_bwd) X(adamw) X(sumsq) X(cast) X(add) X(axpby)    \
            X(clamp) X(zero) X(copy)      /* k_optim.c */                      \
        X(attention) X(attention_bwd)     /* k_attention*.c */                 \
        X(nce) X(nce_bwd) X(sigmoid_loss) /* k_loss.c */                  \
        X(softmax_loss)                   /* k_softmax.c */

void CPU(fill)(struct cpu *c)
{
#define X(name) c->ops.name = CPU(name);
    K_MAP(X)
#undef X
    c->passes.act = CPU(act);           /* k_act.c */
    c->passes.bias_act = CPU(bias_act); /* k_bias.c */
    c->passes.act_bwd = CPU(act_bwd);
    c->passes.colsum = CPU(colsum);
    c->passes.to_float = CPU(to_float);
    c->passes.from_float = CPU(from_float);
}
