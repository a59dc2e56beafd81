#include "train/tower.h"

#include <assert.h>
#include <math.h>

#define CHANNELS 3

void vit_init(struct vit *v, struct store *s, const struct clip_config *c)
{
    const struct vision_config *vc = &c->vision;
    const int64_t width = vc->width, patch = vc->patch_size;
    const int grid = clip_config_grid(c);
    const struct init normal = {INIT_NORMAL, pow(vc->width, -0.5)};
    const struct init uniform = {INIT_UNIFORM,
                                 pow(CHANNELS * patch * patch, -0.5)};
    const int64_t position[] = {1 + (int64_t)grid * grid, width};
    const int64_t projection[] = {width, c->embed_dim};
    const int64_t conv1[] = {width, CHANNELS, patch, patch};

    assert(vc->kind == VISION_VIT && grid > 0);
    *v = (struct vit){.c = *vc, .embed_dim = c->embed_dim, .grid = grid};
    v->class_embedding =
        store_add(s, normal, 1, &width, "visual.class_embedding");
    v->position =
        store_add(s, normal, 2, position, "visual.positional_embedding");
    v->projection = store_add(s, normal, 2, projection, "visual.proj");
    v->conv1 = store_add(s, uniform, 4, conv1, "visual.conv1.weight");
    v->ln_pre = norm_init(s, width, "visual.", "ln_pre");
    block_stack_init(&v->blocks, s, vc->layers, vc->width,
                     clip_config_vision_heads(c),
                     clip_config_hidden(vc->width, vc->mlp_ratio),
                     c->quick_gelu ? ACT_QUICK_GELU : ACT_GELU, BLOCK_INIT_VIT,
                     "visual.transformer");
    v->ln_post = norm_init(s, width, "visual.", "ln_post");
}

void vit_release(struct vit *v)
{
    block_stack_release(&v->blocks);
}

/* Numbers of one square of pixels, squares of n pictures. */
static int64_t square_numbers(const struct vit *v)
{
    return CHANNELS * (int64_t)v->c.patch_size * v->c.patch_size;
}

static int64_t squares(const struct vit *v, int n)
{
    return (int64_t)n * v->grid * v->grid;
}

/* A convolution whose squares do not overlap is a product. */
static struct product conv1_of(const struct pass *p, const struct vit *v)
{
    return product_of(p, (struct linear_at){v->conv1, -1}, 0, v->c.width,
                      square_numbers(v));
}

/* Pixels to the tokens that ln_pre reads. */
static void embed_forward(const struct pass *p, struct vit *v, int n,
                          const struct pixels *pixels)
{
    const size_t mark = device_mark(p->d);
    const int64_t width = v->c.width, rows = squares(v, n);
    void *embedded = device_take_act(p->d, rows * width);
    struct op_patches cut = {
        .batch = n,
        .channels = CHANNELS,
        .size = v->c.image_size,
        .patch = v->c.patch_size,
        .x = *pixels,
        .y = v->kept.patches,
    };
    struct product conv1 = conv1_of(p, v);
    struct op_tokens tokens = {
        .batch = n,
        .n = (int64_t)v->grid * v->grid,
        .dim = width,
        .x = embedded,
        .first = store_real(p->store, v->class_embedding),
        .position = store_real(p->store, v->position),
        .y = v->kept.tokens,
    };

    op_patches(p->d, &cut);
    product_forward(p, &conv1, rows, v->kept.patches, NULL, embedded);
    op_tokens(p->d, &tokens);
    device_release(p->d, mark);
}

void vit_forward(const struct pass *p, struct vit *v, const struct rows *rows,
                 const struct pixels *pixels, void *features)
{
    const int n = rows->reads;
    const int64_t width = v->c.width;
    const struct rows *r = &v->kept.rows;
    struct product project =
        product_projection(p, v->projection, v->embed_dim, width);

    v->kept.rows = *rows;
    v->kept.patches = device_take_act(p->d, squares(v, n) * square_numbers(v));
    v->kept.tokens = device_take_act(p->d, r->total * width);
    v->kept.x = device_take_act(p->d, r->total * width);
    v->kept.read = device_take_act(p->d, n * width);
    v->kept.normed = device_take_act(p->d, n * width);
    embed_forward(p, v, n, pixels);
    norm_forward(p, v->ln_pre, r->total, width, v->kept.tokens, &v->kept.pre,
                 v->kept.x);
    block_stack_forward(p, &v->blocks, r, v->kept.x, v->kept.read);
    norm_forward(p, v->ln_post, n, width, v->kept.read, &v->kept.post,
                 v->kept.normed);
    product_forward(p, &project, n, v->kept.normed, NULL, features);
}

/* From the tokens' gradient to those of what made them; the pixels have none.
 */
static void embed_backward(const struct pass *p, struct vit *v,
                           const void *dtokens)
{
    const size_t mark = device_mark(p->d);
    const int n = v->kept.rows.reads;
    const int64_t width = v->c.width, rows = squares(v, n);
    void *dembedded = device_take_act(p->d, rows * width);
    struct op_tokens_bwd tokens = {
        .batch = n,
        .n = (int64_t)v->grid * v->grid,
        .dim = width,
        .dy = dtokens,
        .dx = dembedded,
        .dfirst = store_grad(p->store, v->class_embedding),
        .dposition = store_grad(p->store, v->position),
    };
    struct product conv1 = conv1_of(p, v);

    op_tokens_bwd(p->d, &tokens);
    product_backward(p, &conv1, rows, v->kept.patches, dembedded, NULL);
    device_release(p->d, mark);
}

void vit_backward(const struct pass *p, struct vit *v, const void *dfeatures)
{
    const size_t mark = device_mark(p->d);
    const struct rows *r = &v->kept.rows;
    const int64_t width = v->c.width, n = r->reads;
    void *dread = device_take_act(p->d, n * width);
    void *dx = device_take_act(p->d, r->total * width);
    struct product project =
        product_projection(p, v->projection, v->embed_dim, width);

    product_backward(p, &project, n, v->kept.normed, dfeatures, dread);
    norm_backward(p, v->ln_post, n, width, v->kept.read, &v->kept.post, dread,
                  NULL, dread);
    block_stack_backward(p, &v->blocks, r, dread, dx);
    norm_backward(p, v->ln_pre, r->total, width, v->kept.tokens, &v->kept.pre,
                  dx, NULL, dx);
    embed_backward(p, v, dx);
    device_release(p->d, mark);
}
