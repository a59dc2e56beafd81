#include "base/json.h"
#include "train/config_json.h"

/* A ratio of 4 is what is taken when it is not said. */
static void put_ratio(struct json_out *o, double ratio)
{
    if (ratio != 4)
        json_put_double(o, "mlp_ratio", ratio);
}

static void put_int(struct json_out *o, const char *name, int v)
{
    json_put_u64(o, name, (uint64_t)v);
}

static void put_vision(struct json_out *o, const struct vision_config *v)
{
    json_out_name(o, "vision_cfg");
    json_out_object(o);
    put_int(o, "image_size", v->image_size);
    if (v->kind == VISION_RESNET) {
        json_out_name(o, "layers");
        json_out_array(o);
        for (int i = 0; i < 4; i++)
            json_out_u64(o, (uint64_t)v->stages[i]);
        json_out_end_array(o);
        put_int(o, "width", v->width);
        json_out_name(o, "patch_size");
        json_out_null(o);
        put_int(o, "head_width", v->head_width);
    } else {
        put_int(o, "layers", v->layers);
        put_int(o, "width", v->width);
        put_int(o, "patch_size", v->patch_size);
        put_int(o, "head_width", v->head_width);
        put_ratio(o, v->mlp_ratio);
    }
    json_out_end_object(o);
}

static bool says_pictures(const struct clip_config *c)
{
    return !config_pictures_equal(&c->pictures, &config_pictures_clip);
}

static void put_model(struct json_out *o, const struct clip_config *c,
                      bool pictures)
{
    const struct text_config *t = &c->text;

    json_out_object(o);
    put_int(o, "embed_dim", c->embed_dim);
    json_put_bool(o, "quick_gelu", c->quick_gelu);
    if (c->init_logit_scale != CONFIG_LOGIT_SCALE)
        json_put_double(o, "init_logit_scale", c->init_logit_scale);
    if (c->logit_bias)
        json_put_double(o, "init_logit_bias", c->init_logit_bias);
    if (c->objective)
        json_put_string(o, "objective", str_of(objective_names[c->objective]));
    put_vision(o, &c->vision);
    json_out_name(o, "text_cfg");
    json_out_object(o);
    put_int(o, "context_length", t->context_length);
    put_int(o, "vocab_size", t->vocab_size);
    put_int(o, "width", t->width);
    put_int(o, "heads", t->heads);
    put_int(o, "layers", t->layers);
    put_ratio(o, t->mlp_ratio);
    json_out_end_object(o);
    if (pictures)
        config_pictures_put(&c->pictures, o);
    json_out_end_object(o);
}

void clip_config_write(const struct clip_config *c, struct buf *to)
{
    struct json_out o;

    json_out_init(&o, to);
    put_model(&o, c, says_pictures(c));
}

void clip_config_write_hub(const struct clip_config *c, struct buf *to)
{
    struct json_out o;

    json_out_init(&o, to);
    json_out_object(&o);
    json_out_name(&o, "model_cfg");
    put_model(&o, c, false);
    config_pictures_put(&c->pictures, &o);
    json_out_end_object(&o);
    buf_add_char(to, '\n');
}

static void put_tower(struct json_out *o, const struct clip_config *c,
                      const char *type, int width, int heads, int layers,
                      double ratio)
{
    json_put_string(o, "model_type", str_of(type));
    json_put_string(o, "hidden_act",
                    c->quick_gelu ? STR("quick_gelu") : STR("gelu"));
    put_int(o, "hidden_size", width);
    put_int(o, "intermediate_size", clip_config_hidden(width, ratio));
    put_int(o, "num_attention_heads", heads);
    put_int(o, "num_hidden_layers", layers);
    put_int(o, "projection_dim", c->embed_dim);
}

void clip_config_write_transformers(const struct clip_config *c, struct buf *to)
{
    const struct vision_config *v = &c->vision;
    const struct text_config *t = &c->text;
    struct json_out o;

    json_out_init(&o, to);
    json_out_object(&o);
    json_out_name(&o, "architectures");
    json_out_array(&o);
    json_out_string(&o, STR("CLIPModel"));
    json_out_end_array(&o);
    json_put_double(&o, "logit_scale_init_value", c->init_logit_scale);
    json_put_string(&o, "model_type", STR("clip"));
    if (says_pictures(c))
        config_pictures_put(&c->pictures, &o);
    put_int(&o, "projection_dim", c->embed_dim);
    json_out_name(&o, "text_config");
    json_out_object(&o);
    put_tower(&o, c, "clip_text_model", t->width, t->heads, t->layers,
              t->mlp_ratio);
    put_int(&o, "max_position_embeddings", t->context_length);
    put_int(&o, "vocab_size", t->vocab_size);
    put_int(&o, "bos_token_id", t->vocab_size - 2);
    put_int(&o, "eos_token_id", t->vocab_size - 1);
    put_int(&o, "pad_token_id", 0);
    json_out_end_object(&o);
    json_out_name(&o, "vision_config");
    json_out_object(&o);
    put_tower(&o, c, "clip_vision_model", v->width, clip_config_vision_heads(c),
              v->layers, v->mlp_ratio);
    put_int(&o, "image_size", v->image_size);
    put_int(&o, "patch_size", v->patch_size);
    json_out_end_object(&o);
    json_out_end_object(&o);
    buf_add_char(to, '\n');
}
