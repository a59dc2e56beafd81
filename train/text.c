#include "train/tower.h"

#include <math.h>

void text_tower_init(struct text_tower *t, struct store *s,
                     const struct clip_config *c)
{
    const struct text_config *tc = &c->text;
    const int64_t position[] = {tc->context_length, tc->width};
    const int64_t projection[] = {tc->width, c->embed_dim};
    const int64_t token[] = {tc->vocab_size, tc->width};

    *t = (struct text_tower){.c = *tc, .embed_dim = c->embed_dim};
    t->position = store_add(s, (struct init){INIT_NORMAL, 0.01}, 2, position,
                            "positional_embedding");
    t->projection =
        store_add(s, (struct init){INIT_NORMAL, pow(tc->width, -0.5)}, 2,
                  projection, "text_projection");
    block_stack_init(&t->blocks, s, tc->layers, tc->width, tc->heads,
                     clip_config_hidden(tc->width, tc->mlp_ratio),
                     c->quick_gelu ? ACT_QUICK_GELU : ACT_GELU, BLOCK_INIT_TEXT,
                     "transformer");
    t->token = store_add(s, (struct init){INIT_NORMAL, 0.02}, 2, token,
                         "token_embedding.weight");
    t->ln_final = norm_init(s, tc->width, "", "ln_final");
}

void text_tower_release(struct text_tower *t)
{
    block_stack_release(&t->blocks);
}

/* Tokens and their places. */
static void embed(const struct pass *p, const struct text_tower *t,
                  const struct caption_rows *at, void *x)
{
    op_embed(p->d, &(struct op_embed){
                       .rows = at->rows.total,
                       .dim = t->c.width,
                       .vocab = t->c.vocab_size,
                       .places_max = t->c.context_length,
                       .ids = at->ids,
                       .places = at->places,
                       .token = store_real(p->store, t->token),
                       .position = store_real(p->store, t->position),
                       .x = x,
                   });
}

static void embed_backward(const struct pass *p, const struct text_tower *t,
                           const struct caption_rows *at, const void *dx)
{
    op_embed_bwd(p->d, &(struct op_embed_bwd){
                           .rows = at->rows.total,
                           .dim = t->c.width,
                           .vocab = t->c.vocab_size,
                           .places_max = t->c.context_length,
                           .ids = at->ids,
                           .places = at->places,
                           .dx = dx,
                           .dtoken = store_grad(p->store, t->token),
                           .dposition = store_grad(p->store, t->position),
                       });
}

void text_tower_forward(const struct pass *p, struct text_tower *t,
                        const struct caption_rows *at, void *features)
{
    const int64_t width = t->c.width;
    const int64_t rows = at->rows.total, n = at->rows.reads;
    struct product project =
        product_projection(p, t->projection, t->embed_dim, width);

    t->kept.at = *at;
    t->kept.x = device_take_act(p->d, rows * width);
    t->kept.read = device_take_act(p->d, n * width);
    t->kept.normed = device_take_act(p->d, n * width);
    embed(p, t, at, t->kept.x);
    block_stack_forward(p, &t->blocks, &at->rows, t->kept.x, t->kept.read);
    norm_forward(p, t->ln_final, n, width, t->kept.read, &t->kept.norm,
                 t->kept.normed);
    product_forward(p, &project, n, t->kept.normed, NULL, features);
}

void text_tower_backward(const struct pass *p, struct text_tower *t,
                         const void *dfeatures)
{
    const struct caption_rows *at = &t->kept.at;
    const int64_t width = t->c.width;
    const int64_t rows = at->rows.total, n = at->rows.reads;
    const size_t mark = device_mark(p->d);
    void *dread = device_take_act(p->d, n * width);
    void *dx = device_take_act(p->d, rows * width);
    struct product project =
        product_projection(p, t->projection, t->embed_dim, width);

    product_backward(p, &project, n, t->kept.normed, dfeatures, dread);
    norm_backward(p, t->ln_final, n, width, t->kept.read, &t->kept.norm, dread,
                  NULL, dread);
    block_stack_backward(p, &t->blocks, &at->rows, dread, dx);
    embed_backward(p, t, at, dx);
    device_release(p->d, mark);
}

/* ---- the tower as a decoder ---- */

void text_decoder_forward(const struct pass *p, struct text_tower *t,
                          const struct caption_rows *at, const void *first,
                          void *y)
{
    const int64_t width = t->c.width, rows = at->rows.total;

    t->kept.at = *at;
    t->kept.at.rows.all = true;
    t->kept.x = device_take_act(p->d, rows * width);
    t->kept.read = device_take_act(p->d, rows * width);
    embed(p, t, at, t->kept.x);
    op_scatter_add(p->d, &(struct op_scatter_add){.n = at->rows.reads,
                                                  .dim = width,
                                                  .total = rows,
                                                  .rows = at->rows.begin,
                                                  .y = first,
                                                  .x = t->kept.x});
    block_stack_forward(p, &t->blocks, &t->kept.at.rows, t->kept.x,
                        t->kept.read);
    norm_forward(p, t->ln_final, rows, width, t->kept.read, &t->kept.norm, y);
}

void text_decoder_backward(const struct pass *p, struct text_tower *t, void *dy,
                           void *dfirst)
{
    const struct caption_rows *at = &t->kept.at;
    const int64_t width = t->c.width, rows = at->rows.total;
    const size_t mark = device_mark(p->d);
    void *dx = device_take_act(p->d, rows * width);

    norm_backward(p, t->ln_final, rows, width, t->kept.read, &t->kept.norm, dy,
                  NULL, dy);
    block_stack_backward(p, &t->blocks, &at->rows, dy, dx);
    embed_backward(p, t, at, dx);
    op_gather(p->d, &(struct op_gather){.n = at->rows.reads,
                                        .dim = width,
                                        .total = rows,
                                        .rows = at->rows.begin,
                                        .x = dx,
                                        .y = dfirst});
    device_release(p->d, mark);
}
