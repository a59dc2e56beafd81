/*
 * What a file's shapes tell: all sizes but the width of a head, which is 64 in
 * every published model, and the activation.  OpenAI's own files carry three
 * sizes as tensors, and all of OpenAI's models are of QuickGELU.
 */
#include <math.h>
#include <stdio.h>

#include "train/weights_names.h"

#define HEAD 64

/* Where to look in each layout; %d is a block or bottleneck. */
struct places {
    const char *token, *position, *block, *hidden;
    const char *vision_position, *patch, *vision_block, *vision_hidden;
    const char *projection;
    int embed_axis; /* of the projection */
};

static const struct places layouts[] = {
    [WEIGHTS_OPEN_CLIP] = {"token_embedding.weight", "positional_embedding",
                           "transformer.resblocks.%d.ln_1.weight",
                           "transformer.resblocks.0.mlp.c_fc.bias",
                           "visual.positional_embedding", "visual.conv1.weight",
                           "visual.transformer.resblocks.%d.ln_1.weight",
                           "visual.transformer.resblocks.0.mlp.c_fc.bias",
                           "text_projection", 1},
    [WEIGHTS_TRANSFORMERS] =
        {"text_model.embeddings.token_embedding.weight",
         "text_model.embeddings.position_embedding.weight",
         "text_model.encoder.layers.%d.layer_norm1.weight",
         "text_model.encoder.layers.0.mlp.fc1.bias",
         "vision_model.embeddings.position_embedding.weight",
         "vision_model.embeddings.patch_embedding.weight",
         "vision_model.encoder.layers.%d.layer_norm1.weight",
         "vision_model.encoder.layers.0.mlp.fc1.bias", "text_projection.weight",
         0},
};

struct asking {
    const struct weights_index *x;
    const char *path;
    int rc; /* sticky */
    struct err *e;
};

/* One side of a tensor; 0 when it is not there or has other axes. */
static int side(struct asking *a, const char *name, int rank, int axis)
{
    struct weights_entry *at = weights_index_find(a->x, str_of(name));

    if (at && at->t->rank == rank && at->t->shape[axis] <= CONFIG_VOCAB_MAX)
        return (int)at->t->shape[axis];
    if (!a->rc)
        a->rc = err_set(a->e, E_NOTFOUND,
                        "%s: its sizes are not to be told: no tensor %s of %d "
                        "axes",
                        a->path, name, rank);
    return 0;
}

/* How many blocks there are, from 0 on. */
static int blocks(const struct asking *a, const char *format)
{
    int n = 0;

    while (n <= CONFIG_LAYERS_MAX) {
        char name[128];

        snprintf(name, sizeof name, format, n);
        if (!weights_index_find(a->x, str_of(name)))
            break;
        n++;
    }
    return n;
}

/* The side of the grid of these places, one of which is the class. */
static int grid(int places)
{
    return places > 1 ? (int)lround(sqrt(places - 1)) : 0;
}

static void vision_transformer(struct asking *a, const struct places *p,
                               struct vision_config *v)
{
    v->kind = VISION_VIT;
    v->width = side(a, p->patch, 4, 0);
    v->patch_size = side(a, p->patch, 4, 3);
    if (v->patch_size > CONFIG_IMAGE_MAX)
        v->patch_size = 0;
    v->image_size = grid(side(a, p->vision_position, 2, 0)) * v->patch_size;
    v->layers = blocks(a, p->vision_block);
    v->mlp_ratio = clip_config_ratio(v->width, side(a, p->vision_hidden, 1, 0));
}

static void vision_resnet(struct asking *a, struct vision_config *v)
{
    static const char *const stages[4] = {
        "visual.layer1.%d.conv1.weight", "visual.layer2.%d.conv1.weight",
        "visual.layer3.%d.conv1.weight", "visual.layer4.%d.conv1.weight"};

    v->kind = VISION_RESNET;
    v->width = side(a, "visual.conv3.weight", 4, 0);
    v->image_size =
        32 * grid(side(a, "visual.attnpool.positional_embedding", 2, 0));
    for (int i = 0; i < 4; i++)
        v->stages[i] = blocks(a, stages[i]);
    v->mlp_ratio = 4;
}

static enum weights_says openai(const struct weights_index *x)
{
    return weights_index_find(x, STR("input_resolution")) &&
                   weights_index_find(x, STR("context_length")) &&
                   weights_index_find(x, STR("vocab_size"))
               ? SAYS_QUICK_GELU
               : SAYS_NOTHING;
}

int weights_sizes(struct clip_config *c, enum weights_says *activation,
                  const struct safetensors *file, const char *path,
                  struct err *e)
{
    const struct places *p = &layouts[weights_layout_of(file)];
    struct weights_index x;
    struct asking a = {.x = &x, .path = path, .e = e};
    struct text_config *t = &c->text;
    int rc = weights_index_make(&x, file, path, e);

    if (rc)
        return rc;
    *c = (struct clip_config){.init_logit_scale = CONFIG_LOGIT_SCALE,
                              .pictures = config_pictures_clip};
    c->embed_dim = side(&a, p->projection, 2, p->embed_axis);
    c->logit_bias = weights_index_find(&x, STR("logit_bias")) != NULL;
    if (weights_index_find(&x, STR("bow.weight")))
        c->objective = OBJECTIVE_BOW;
    if (weights_index_find(&x, STR("caption.projection")))
        c->objective = OBJECTIVE_CAPTION;
    t->vocab_size = side(&a, p->token, 2, 0);
    t->width = side(&a, p->token, 2, 1);
    t->context_length = side(&a, p->position, 2, 0);
    t->layers = blocks(&a, p->block);
    t->heads = t->width / HEAD;
    t->mlp_ratio = clip_config_ratio(t->width, side(&a, p->hidden, 1, 0));
    c->vision.head_width = HEAD;
    if (weights_index_find(&x, STR("visual.layer1.0.conv1.weight")))
        vision_resnet(&a, &c->vision);
    else
        vision_transformer(&a, p, &c->vision);
    *activation = openai(&x);
    weights_index_release(&x);
    if (!a.rc && clip_config_check(c, e))
        a.rc =
            err_wrap(e, -E_NOTFOUND, "%s: its sizes are not to be told", path);
    return a.rc;
}
