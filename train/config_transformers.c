/* transformers' config.json of a CLIPModel: facts b.6, its own defaults. */
#include "train/config_json.h"

/* One tower as that file says it; 0 or none where it does not. */
struct tower_json {
    int hidden_size, intermediate_size, layers, heads;
    int image_size, patch_size;     /* vision */
    int context_length, vocab_size; /* text */
    int eos;
    bool quick;
};

struct model_json {
    struct tower_json vision, text;
    int projection_dim;
    double logit_scale;
    struct config_pictures pictures;
};

#define TOWER(field) offsetof(struct tower_json, field)
#define MODEL(field) offsetof(struct model_json, field)
#define ROWS(list)   (list), sizeof(list) / sizeof *(list)

static void read_act(struct members *m, struct json *j)
{
    struct tower_json *t = m->to;
    struct str s = json_string(j);

    t->quick = str_eq(s, STR("quick_gelu"));
    if (!j->rc && !t->quick && !str_eq(s, STR("gelu")))
        members_fail(m, E_UNSUPPORTED, "hidden_act",
                     "is \"%.*s\", neither quick_gelu nor gelu",
                     s.n > 60 ? 60 : (int)s.n, s.p);
}

static const struct member tower_members[] = {
    {"hidden_size", MEMBER_INT, TOWER(hidden_size), NULL, NULL},
    {"intermediate_size", MEMBER_INT, TOWER(intermediate_size), NULL, NULL},
    {"num_hidden_layers", MEMBER_INT, TOWER(layers), NULL, NULL},
    {"num_attention_heads", MEMBER_INT, TOWER(heads), NULL, NULL},
    {"image_size", MEMBER_INT, TOWER(image_size), NULL, NULL},
    {"patch_size", MEMBER_INT, TOWER(patch_size), NULL, NULL},
    {"max_position_embeddings", MEMBER_INT, TOWER(context_length), NULL, NULL},
    {"vocab_size", MEMBER_INT, TOWER(vocab_size), NULL, NULL},
    {"eos_token_id", MEMBER_INT, TOWER(eos), NULL, NULL},
    {"hidden_act", MEMBER_CALL, 0, NULL, read_act},
    {"layer_norm_eps", MEMBER_FIXED, 0, "1e-05", NULL},
    {"num_channels", MEMBER_FIXED, 0, "3", NULL},
    {"model_type", MEMBER_FIXED, 0,
     "\"clip_text_model\"|\"clip_vision_model\"|\"clip\"", NULL},
};

static void read_tower(struct members *m, struct json *j, struct tower_json *to,
                       const char *object)
{
    struct members t = {
        ROWS(tower_members), .object = object, .place = m->place,
        .others = true,      .to = to,         .e = m->e};

    if (json_peek(j) == JSON_NULL) /* then the defaults hold */
        json_skip(j);
    else
        m->rc = members_read(&t, j);
}

static void read_text(struct members *m, struct json *j)
{
    read_tower(m, j, &((struct model_json *)m->to)->text, "text_config.");
}

static void read_vision(struct members *m, struct json *j)
{
    read_tower(m, j, &((struct model_json *)m->to)->vision, "vision_config.");
}

/* Of ours alone. */
static void read_pictures(struct members *m, struct json *j)
{
    struct model_json *model = m->to;

    m->rc = config_pictures_read(&model->pictures, j, m->place, m->e);
}

/* Old files repeat a tower's members under a second name, behind the first
 * in the alphabet; where both differ the second one holds. */
static const struct member model_members[] = {
    {"text_config", MEMBER_CALL, 0, NULL, read_text},
    {"text_config_dict", MEMBER_CALL, 0, NULL, read_text},
    {"vision_config", MEMBER_CALL, 0, NULL, read_vision},
    {"vision_config_dict", MEMBER_CALL, 0, NULL, read_vision},
    {"projection_dim", MEMBER_INT, MODEL(projection_dim), NULL, NULL},
    {"logit_scale_init_value", MEMBER_DOUBLE, MODEL(logit_scale), NULL, NULL},
    {"model_type", MEMBER_FIXED, 0, "\"clip\"", NULL},
    {"preprocess_cfg", MEMBER_CALL, 0, NULL, read_pictures},
};

static int fill(struct clip_config *c, const struct model_json *m,
                const char *place, struct err *e)
{
    const struct tower_json *v = &m->vision, *t = &m->text;

    if (v->quick != t->quick)
        return err_set(e, E_UNSUPPORTED,
                       "%s: hidden_act of the two towers differs", place);
    /* 2 stands in old files and means the highest id, too. */
    if (t->eos != 2 && t->eos != t->vocab_size - 1)
        return err_set(e, E_UNSUPPORTED,
                       "%s: text_config.eos_token_id is %d; the last id, %d, "
                       "is needed",
                       place, t->eos, t->vocab_size - 1);
    if (v->hidden_size > CONFIG_WIDTH_MAX || v->heads < 1 ||
        v->hidden_size % v->heads)
        return err_set(e, E_RANGE,
                       "%s: vision_config.hidden_size %d does not divide "
                       "among %d heads",
                       place, v->hidden_size, v->heads);
    c->embed_dim = m->projection_dim;
    c->quick_gelu = v->quick;
    c->init_logit_scale = m->logit_scale;
    c->pictures = m->pictures;
    c->vision = (struct vision_config){
        .kind = VISION_VIT,
        .image_size = v->image_size,
        .width = v->hidden_size,
        .layers = v->layers,
        .patch_size = v->patch_size,
        .head_width = v->hidden_size / v->heads,
        .mlp_ratio = clip_config_ratio(v->hidden_size, v->intermediate_size)};
    c->text = (struct text_config){
        t->context_length,
        t->vocab_size,
        t->hidden_size,
        t->heads,
        t->layers,
        clip_config_ratio(t->hidden_size, t->intermediate_size)};
    return 0;
}

int config_transformers_read(struct clip_config *c, struct json *j,
                             const char *place, struct err *e)
{
    struct model_json model = {.vision = {.hidden_size = 768,
                                          .intermediate_size = 3072,
                                          .layers = 12,
                                          .heads = 12,
                                          .image_size = 224,
                                          .patch_size = 32,
                                          .quick = true},
                               .text = {.hidden_size = 512,
                                        .intermediate_size = 2048,
                                        .layers = 12,
                                        .heads = 8,
                                        .context_length = 77,
                                        .vocab_size = 49408,
                                        .eos = 49407,
                                        .quick = true},
                               .projection_dim = 512,
                               .logit_scale = 2.6592,
                               .pictures = config_pictures_clip};
    struct members m = {ROWS(model_members), .object = "", .place = place,
                        .others = true,      .to = &model, .e = e};
    int rc = members_read(&m, j);

    return rc ? rc : fill(c, &model, place, e);
}
