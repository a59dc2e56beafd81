#include "train/config_json.h"

#include <math.h>
#include <stdio.h>

/* One row a model; a ResNet has stages, a ViT a patch size. */
struct model_row {
    const char *name;
    int embed_dim, image_size, width;
    int layers, patch_size; /* ViT */
    int stages[4];          /* ResNet */
    int head_width;
    int context, vocab, text_width, text_heads, text_layers;
};

/* Radford et al. 2021, tables 19 and 20; behind them small ones of ours. */
static const struct model_row models[] = {
    {"RN50", 1024, 224, 64, 0, 0, {3, 4, 6, 3}, 64, 77, 49408, 512, 8, 12},
    {"RN101", 512, 224, 64, 0, 0, {3, 4, 23, 3}, 64, 77, 49408, 512, 8, 12},
    {"RN50x4", 640, 288, 80, 0, 0, {4, 6, 10, 6}, 64, 77, 49408, 640, 10, 12},
    {"RN50x16", 768, 384, 96, 0, 0, {6, 8, 18, 8}, 64, 77, 49408, 768, 12, 12},
    {"RN50x64",
     1024,
     448,
     128,
     0,
     0,
     {3, 15, 36, 10},
     64,
     77,
     49408,
     1024,
     16,
     12},
    {"ViT-B-32", 512, 224, 768, 12, 32, {0}, 64, 77, 49408, 512, 8, 12},
    {"ViT-B-16", 512, 224, 768, 12, 16, {0}, 64, 77, 49408, 512, 8, 12},
    {"ViT-L-14", 768, 224, 1024, 24, 14, {0}, 64, 77, 49408, 768, 12, 12},
    {"ViT-L-14-336", 768, 336, 1024, 24, 14, {0}, 64, 77, 49408, 768, 12, 12},
    {"tiny-vit", 32, 32, 64, 3, 8, {0}, 32, 16, 512, 64, 2, 2},
    {"tiny-resnet", 32, 64, 8, 0, 0, {1, 2, 1, 1}, 32, 16, 512, 64, 2, 2},
};

#define MODELS (sizeof models / sizeof *models)

static void fill(struct clip_config *c, const struct model_row *m, bool quick)
{
    *c = (struct clip_config){
        .embed_dim = m->embed_dim,
        .quick_gelu = quick,
        .init_logit_scale = CONFIG_LOGIT_SCALE,
        .pictures = config_pictures_clip,
        .vision = {.kind = m->layers ? VISION_VIT : VISION_RESNET,
                   .image_size = m->image_size,
                   .width = m->width,
                   .layers = m->layers,
                   .patch_size = m->patch_size,
                   .head_width = m->head_width,
                   .mlp_ratio = 4},
        .text = {m->context, m->vocab, m->text_width, m->text_heads,
                 m->text_layers, 4},
    };
    memcpy(c->vision.stages, m->stages, sizeof m->stages);
    snprintf(c->name, sizeof c->name, "%s%s", m->name,
             quick ? "-quickgelu" : "");
}

const char *clip_config_name(int n)
{
    return n >= 0 && (size_t)n < MODELS ? models[n].name : NULL;
}

/* One spelling of both: lower case, - for / and @, no "px". */
static bool spell(char *out, size_t size, struct str name)
{
    size_t n = 0;

    if (name.n >= size)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char ch = str_lower_char(name.p[i]);

        if (ch == 'p' && i && str_is_digit(name.p[i - 1]) && i + 1 < name.n &&
            str_lower_char(name.p[i + 1]) == 'x') {
            i++;
            continue;
        }
        out[n++] = ch == '/' || ch == '@' ? '-' : ch;
    }
    out[n] = 0;
    return true;
}

int clip_config_find(struct clip_config *c, const char *name, struct err *e)
{
    static const char suffix[] = "-quickgelu";
    char asked[CONFIG_NAME_MAX], row[CONFIG_NAME_MAX], list[256] = "";
    bool known = spell(asked, sizeof asked, str_of(name)), quick = false;
    size_t n = 0;

    if (known && str_ends(str_of(asked), STR(suffix))) {
        quick = true;
        asked[strlen(asked) - strlen(suffix)] = 0;
    }
    for (size_t i = 0; i < MODELS; i++) {
        spell(row, sizeof row, str_of(models[i].name));
        if (known && strcmp(row, asked) == 0) {
            fill(c, &models[i], quick);
            return 0;
        }
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "",
                              models[i].name);
    }
    return err_set(e, E_NOTFOUND,
                   "no model is called %.*s; there are %s, each also with "
                   "-quickgelu",
                   CONFIG_NAME_MAX, name, list);
}

void clip_config_recognise(struct clip_config *c)
{
    struct clip_config row;

    c->name[0] = 0;
    for (size_t i = 0; i < MODELS; i++) {
        fill(&row, &models[i], c->quick_gelu);
        row.logit_bias = c->logit_bias;
        row.objective = c->objective;
        row.pictures = c->pictures;
        if (clip_config_equal(c, &row)) {
            memcpy(c->name, row.name, sizeof c->name);
            return;
        }
    }
}

const char *const objective_names[] = {"contrastive", "bow", "caption", NULL};

int clip_config_hidden(int width, double mlp_ratio)
{
    return (int)(width * mlp_ratio);
}

double clip_config_ratio(int width, int hidden)
{
    double r = width ? (double)hidden / width : 0;

    if (width && (int)(width * r) < hidden)
        r = nextafter(r, INFINITY);
    return r;
}

int clip_config_grid(const struct clip_config *c)
{
    const struct vision_config *v = &c->vision;

    return v->image_size / (v->kind == VISION_VIT ? v->patch_size : 32);
}

int clip_config_features(const struct clip_config *c)
{
    const struct vision_config *v = &c->vision;

    return v->kind == VISION_VIT ? v->width : 32 * v->width;
}

int clip_config_vision_heads(const struct clip_config *c)
{
    return clip_config_features(c) / c->vision.head_width;
}

/* The first failed comparison words the error. */
struct check {
    struct err *e;
    int rc;
};

static void within(struct check *k, const char *what, int value, int low,
                   int high)
{
    if (!k->rc && (value < low || value > high))
        k->rc = err_set(k->e, E_RANGE, "%s is %d, not in %d..%d", what, value,
                        low, high);
}

static void mlp_fits(struct check *k, const char *what, int width, double ratio)
{
    if (!k->rc && !(ratio * width >= 1 && ratio * width < 16 * 16384.0))
        k->rc = err_set(k->e, E_RANGE,
                        "%s is %g: an MLP of 1..262143 columns is needed", what,
                        ratio);
}

static void divides(struct check *k, const char *part, int by,
                    const char *whole, int value)
{
    if (!k->rc && value % by)
        k->rc = err_set(k->e, E_RANGE, "%s %d is no multiple of %s %d", whole,
                        value, part, by);
}

static void check_vision(struct check *k, const struct clip_config *c)
{
    static const char *const names[] = {
        "vision_cfg.layers[0]", "vision_cfg.layers[1]", "vision_cfg.layers[2]",
        "vision_cfg.layers[3]"};
    const struct vision_config *v = &c->vision;

    within(k, "vision_cfg.image_size", v->image_size, 1, CONFIG_IMAGE_MAX);
    within(k, "vision_cfg.head_width", v->head_width, 1, CONFIG_WIDTH_MAX);
    if (v->kind == VISION_VIT) {
        within(k, "vision_cfg.width", v->width, 1, CONFIG_WIDTH_MAX);
        within(k, "vision_cfg.layers", v->layers, 1, CONFIG_LAYERS_MAX);
        within(k, "vision_cfg.patch_size", v->patch_size, 1, v->image_size);
        mlp_fits(k, "vision_cfg.mlp_ratio", v->width, v->mlp_ratio);
        if (!k->rc)
            divides(k, "head_width", v->head_width, "vision_cfg.width",
                    v->width);
        return;
    }
    within(k, "vision_cfg.width", v->width, 2, CONFIG_WIDTH_MAX / 32);
    for (int i = 0; i < 4; i++)
        within(k, names[i], v->stages[i], 1, CONFIG_LAYERS_MAX / 4);
    divides(k, "2 (the stem halves it),", 2, "vision_cfg.width", v->width);
    divides(k, "32 (five halvings),", 32, "vision_cfg.image_size",
            v->image_size);
    if (!k->rc)
        divides(k, "head_width", v->head_width,
                "32 vision_cfg.width =", 32 * v->width);
}

int clip_config_check(const struct clip_config *c, struct err *e)
{
    struct check k = {e, 0};
    const struct text_config *t = &c->text;

    within(&k, "embed_dim", c->embed_dim, 1, CONFIG_WIDTH_MAX);
    check_vision(&k, c);
    /* SOT and EOT alone make a caption of two. */
    within(&k, "text_cfg.context_length", t->context_length, 2,
           CONFIG_CONTEXT_MAX);
    within(&k, "text_cfg.vocab_size", t->vocab_size, 3, CONFIG_VOCAB_MAX);
    within(&k, "text_cfg.width", t->width, 1, CONFIG_WIDTH_MAX);
    within(&k, "text_cfg.layers", t->layers, 1, CONFIG_LAYERS_MAX);
    within(&k, "text_cfg.heads", t->heads, 1, CONFIG_WIDTH_MAX);
    mlp_fits(&k, "text_cfg.mlp_ratio", t->width, t->mlp_ratio);
    if (!k.rc)
        divides(&k, "heads", t->heads, "text_cfg.width", t->width);
    /* exp() of more is no scale any more; training keeps it in [0, ln 100]. */
    if (!k.rc && !(fabs(c->init_logit_scale) <= 20))
        k.rc = err_set(e, E_RANGE, "init_logit_scale is %g, not in -20..20",
                       c->init_logit_scale);
    if (!k.rc && c->logit_bias && !(fabs(c->init_logit_bias) <= 1e6))
        k.rc = err_set(e, E_RANGE, "init_logit_bias is %g, not in -1e6..1e6",
                       c->init_logit_bias);
    return k.rc ? k.rc : config_pictures_check(&c->pictures, e);
}

/* The first member in which both differ, NULL when there is none. */
static const char *vision_differs(const struct vision_config *a,
                                  const struct vision_config *b)
{
    if (a->kind != b->kind)
        return "vision_cfg.layers";
    if (a->image_size != b->image_size)
        return "vision_cfg.image_size";
    if (a->width != b->width)
        return "vision_cfg.width";
    if (a->head_width != b->head_width)
        return "vision_cfg.head_width";
    if (a->kind == VISION_RESNET)
        return memcmp(a->stages, b->stages, sizeof a->stages)
                   ? "vision_cfg.layers"
                   : NULL;
    if (a->layers != b->layers)
        return "vision_cfg.layers";
    if (a->patch_size != b->patch_size)
        return "vision_cfg.patch_size";
    if (clip_config_hidden(a->width, a->mlp_ratio) !=
        clip_config_hidden(b->width, b->mlp_ratio))
        return "vision_cfg.mlp_ratio";
    return NULL;
}

static const char *text_differs(const struct text_config *a,
                                const struct text_config *b)
{
    if (a->context_length != b->context_length)
        return "text_cfg.context_length";
    if (a->vocab_size != b->vocab_size)
        return "text_cfg.vocab_size";
    if (a->width != b->width)
        return "text_cfg.width";
    if (a->heads != b->heads)
        return "text_cfg.heads";
    if (a->layers != b->layers)
        return "text_cfg.layers";
    if (clip_config_hidden(a->width, a->mlp_ratio) !=
        clip_config_hidden(b->width, b->mlp_ratio))
        return "text_cfg.mlp_ratio";
    return NULL;
}

const char *clip_config_differs(const struct clip_config *a,
                                const struct clip_config *b)
{
    const char *what;

    if (a->quick_gelu != b->quick_gelu)
        return "quick_gelu";
    if (a->embed_dim != b->embed_dim)
        return "embed_dim";
    if (a->logit_bias != b->logit_bias)
        return "init_logit_bias";
    if (a->objective != b->objective)
        return "objective";
    if (!config_pictures_equal(&a->pictures, &b->pictures))
        return "preprocess_cfg";
    what = vision_differs(&a->vision, &b->vision);
    return what ? what : text_differs(&a->text, &b->text);
}

bool clip_config_equal(const struct clip_config *a, const struct clip_config *b)
{
    return !clip_config_differs(a, b);
}
