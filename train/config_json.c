#include "train/config_json.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- an object by its table ---- */

void members_fail(struct members *m, int code, const char *name,
                  const char *format, ...)
{
    char text[256];
    va_list ap;

    if (m->rc)
        return;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    m->rc = err_set(m->e, code, "%s: %s%s%s%s", m->place, m->object, name,
                    *m->object || *name ? " " : "", text);
}

static bool fits(struct str value, struct str fixed)
{
    struct str one;
    double a, b;

    while (str_split(&fixed, '|', &one)) {
        if (str_eq(value, one))
            return true;
        if (str_double(value, &a) == 0 && str_double(one, &b) == 0 && a == b)
            return true;
    }
    return false;
}

static void read_int(struct members *m, const struct member *row,
                     struct json *j)
{
    uint64_t v = json_u64(j);

    if (v > INT_MAX)
        members_fail(m, E_RANGE, row->name, "is %llu", (unsigned long long)v);
    else
        *(int *)((char *)m->to + row->at) = (int)v;
}

static void read_value(struct members *m, const struct member *row,
                       struct json *j)
{
    void *to = (char *)m->to + row->at;
    struct str raw;

    switch (row->kind) {
    case MEMBER_INT:
        read_int(m, row, j);
        break;
    case MEMBER_DOUBLE:
        *(double *)to = json_double(j);
        break;
    case MEMBER_BOOL:
        *(bool *)to = json_bool(j);
        break;
    case MEMBER_CALL:
        row->read(m, j);
        break;
    case MEMBER_FIXED:
        raw = json_raw(j);
        if (!j->rc && !fits(raw, str_of(row->fixed)))
            members_fail(m, E_UNSUPPORTED, row->name,
                         "is %.*s: another architecture",
                         raw.n > 60 ? 60 : (int)raw.n, raw.p);
        break;
    case MEMBER_LEFT:
        json_skip(j);
        break;
    }
    if (j->rc)
        members_fail(m, -j->rc, row->name, "is not as it should be: %s",
                     err_name(j->rc));
}

static const struct member *row_of(const struct members *m, struct str name)
{
    for (size_t i = 0; i < m->n; i++)
        if (str_eq(name, str_of(m->list[i].name)))
            return &m->list[i];
    return NULL;
}

static void unknown(struct members *m, struct str name)
{
    char text[64];

    snprintf(text, sizeof text, "%.*s", name.n > 60 ? 60 : (int)name.n, name.p);
    members_fail(m, E_UNSUPPORTED, text, "is a member that is not known");
}

int members_read(struct members *m, struct json *j)
{
    struct str name;

    json_object(j);
    while (!m->rc && json_member(j, &name)) {
        const struct member *row = row_of(m, name);
        uint64_t bit;

        if (!row) {
            if (!m->others)
                unknown(m, name);
            json_skip(j);
            continue;
        }
        bit = (uint64_t)1 << (row - m->list);
        if (m->seen & bit) {
            /* not read: a member that is an object has a result of its own */
            members_fail(m, E_FORMAT, row->name, "stands there twice");
            break;
        }
        m->seen |= bit;
        read_value(m, row, j);
    }
    if (j->rc)
        members_fail(m, -j->rc, "", "is no sound JSON object: %s at byte %zu",
                     err_name(j->rc), j->at);
    return m->rc;
}

/* ---- open_clip's model JSON ---- */

#define VISION(field) offsetof(struct vision_config, field)
#define TEXT(field)   offsetof(struct text_config, field)
#define ROWS(list)    (list), sizeof(list) / sizeof *(list)

/* One number, or two that are equal: pictures are square. */
static void read_image_size(struct members *m, struct json *j)
{
    struct vision_config *v = m->to;
    uint64_t side = 0;
    int n = 0;

    if (json_peek(j) != JSON_ARRAY) {
        side = json_u64(j);
        n = 2;
    } else {
        json_array(j);
        while (json_element(j)) {
            uint64_t one = json_u64(j);

            if (n++ && one != side)
                members_fail(m, E_UNSUPPORTED, "image_size", "is not square");
            side = one;
        }
    }
    if (!j->rc && (n != 2 || side > CONFIG_IMAGE_MAX))
        members_fail(m, E_RANGE, "image_size", "is no size of up to %d",
                     CONFIG_IMAGE_MAX);
    v->image_size = side > CONFIG_IMAGE_MAX ? 0 : (int)side;
}

/* A number of blocks makes a ViT, four of bottlenecks a ResNet. */
static void read_layers(struct members *m, struct json *j)
{
    struct vision_config *v = m->to;
    int *to = &v->layers, n = 0, places = 1;
    uint64_t one;

    if (json_peek(j) == JSON_ARRAY) {
        v->kind = VISION_RESNET;
        v->layers = 0;
        to = v->stages;
        places = 4;
        json_array(j);
        while (json_element(j)) {
            one = json_u64(j);
            if (n < places && one <= CONFIG_LAYERS_MAX)
                to[n] = (int)one;
            n++;
        }
    } else {
        one = json_u64(j);
        *to = one <= CONFIG_LAYERS_MAX ? (int)one : 0;
        n = 1;
    }
    if (!j->rc && n != places)
        members_fail(m, E_UNSUPPORTED, "layers", "has %d numbers, not four", n);
}

static void read_patch_size(struct members *m, struct json *j)
{
    struct vision_config *v = m->to;
    uint64_t side;

    if (json_peek(j) == JSON_NULL) {
        json_skip(j);
        v->patch_size = 0;
        return;
    }
    side = json_u64(j);
    v->patch_size = side > CONFIG_IMAGE_MAX ? 0 : (int)side;
}

static void read_patch_dropout(struct members *m, struct json *j)
{
    double p = json_double(j);

    if (!j->rc && !(p >= 0 && p < 1))
        members_fail(m, E_RANGE, "patch_dropout", "is %g", p);
}

static const struct member vision_members[] = {
    {"image_size", MEMBER_CALL, 0, NULL, read_image_size},
    {"layers", MEMBER_CALL, 0, NULL, read_layers},
    {"width", MEMBER_INT, VISION(width), NULL, NULL},
    {"patch_size", MEMBER_CALL, 0, NULL, read_patch_size},
    {"head_width", MEMBER_INT, VISION(head_width), NULL, NULL},
    {"mlp_ratio", MEMBER_DOUBLE, VISION(mlp_ratio), NULL, NULL},
    {"patch_dropout", MEMBER_CALL, 0, NULL, read_patch_dropout},
    {"ls_init_value", MEMBER_FIXED, 0, "null", NULL},
    {"no_ln_pre", MEMBER_FIXED, 0, "false", NULL},
    {"input_patchnorm", MEMBER_FIXED, 0, "false", NULL},
    {"global_average_pool", MEMBER_FIXED, 0, "false", NULL},
    {"attentional_pool", MEMBER_FIXED, 0, "false|null|\"none\"", NULL},
    {"attn_pooler_queries", MEMBER_LEFT, 0, NULL, NULL},
    {"attn_pooler_heads", MEMBER_LEFT, 0, NULL, NULL},
    {"n_queries", MEMBER_LEFT, 0, NULL, NULL},
    {"pos_embed_type", MEMBER_FIXED, 0, "\"learnable\"", NULL},
    {"pool_type", MEMBER_FIXED, 0, "\"tok\"", NULL},
    {"final_ln_after_pool", MEMBER_LEFT, 0, NULL, NULL}, /* of one row: equal */
    {"output_tokens", MEMBER_FIXED, 0, "false", NULL},
    {"act_kwargs", MEMBER_FIXED, 0, "null|{}", NULL},
    {"norm_kwargs", MEMBER_FIXED, 0, "null|{}", NULL},
    {"block_type", MEMBER_FIXED, 0, "null|\"default\"", NULL},
    {"qk_norm", MEMBER_FIXED, 0, "false", NULL},
    {"scaled_cosine_attn", MEMBER_FIXED, 0, "false", NULL},
    {"scale_heads", MEMBER_FIXED, 0, "false", NULL},
    {"scale_attn_inner", MEMBER_FIXED, 0, "false", NULL},
    {"scale_attn", MEMBER_FIXED, 0, "false", NULL},
    {"scale_fc", MEMBER_FIXED, 0, "false", NULL},
    {"eva_model_name", MEMBER_FIXED, 0, "null", NULL},
    {"timm_model_name", MEMBER_FIXED, 0, "null", NULL},
    {"timm_model_pretrained", MEMBER_LEFT, 0, NULL, NULL},
    {"timm_pool", MEMBER_LEFT, 0, NULL, NULL},
    {"timm_proj", MEMBER_LEFT, 0, NULL, NULL},
    {"timm_proj_bias", MEMBER_LEFT, 0, NULL, NULL},
    {"timm_drop", MEMBER_LEFT, 0, NULL, NULL},
    {"timm_drop_path", MEMBER_LEFT, 0, NULL, NULL},
};

static const struct member text_members[] = {
    {"context_length", MEMBER_INT, TEXT(context_length), NULL, NULL},
    {"vocab_size", MEMBER_INT, TEXT(vocab_size), NULL, NULL},
    {"width", MEMBER_INT, TEXT(width), NULL, NULL},
    {"heads", MEMBER_INT, TEXT(heads), NULL, NULL},
    {"layers", MEMBER_INT, TEXT(layers), NULL, NULL},
    {"mlp_ratio", MEMBER_DOUBLE, TEXT(mlp_ratio), NULL, NULL},
    {"ls_init_value", MEMBER_FIXED, 0, "null", NULL},
    {"embed_cls", MEMBER_FIXED, 0, "false", NULL},
    {"pad_id", MEMBER_FIXED, 0, "0", NULL},
    {"eos_id", MEMBER_LEFT, 0, NULL, NULL}, /* pool_type "eos" alone reads it */
    {"correct_cls_mask", MEMBER_LEFT, 0, NULL, NULL}, /* of embed_cls */
    {"no_causal_mask", MEMBER_FIXED, 0, "false", NULL},
    {"final_ln_after_pool", MEMBER_LEFT, 0, NULL, NULL}, /* of one row: equal */
    {"pool_type", MEMBER_FIXED, 0, "\"argmax\"", NULL},
    {"proj_bias", MEMBER_FIXED, 0, "false", NULL},
    {"proj_type", MEMBER_FIXED, 0, "\"linear\"", NULL},
    {"output_tokens", MEMBER_FIXED, 0, "false", NULL},
    {"act_kwargs", MEMBER_FIXED, 0, "null|{}", NULL},
    {"norm_kwargs", MEMBER_FIXED, 0, "null|{}", NULL},
    {"block_type", MEMBER_FIXED, 0, "null|\"default\"", NULL},
    {"qk_norm", MEMBER_FIXED, 0, "false", NULL},
    {"scaled_cosine_attn", MEMBER_FIXED, 0, "false", NULL},
    {"scale_heads", MEMBER_FIXED, 0, "false", NULL},
    {"scale_attn_inner", MEMBER_FIXED, 0, "false", NULL},
    {"scale_attn", MEMBER_FIXED, 0, "false", NULL},
    {"scale_fc", MEMBER_FIXED, 0, "false", NULL},
    {"hf_tokenizer_name", MEMBER_FIXED, 0, "null|\"\"", NULL},
    {"tokenizer_mode", MEMBER_FIXED, 0, "null", NULL},
    {"tokenizer_kwargs", MEMBER_FIXED, 0, "null|{}", NULL},
    {"hf_model_name", MEMBER_FIXED, 0, "null|\"\"", NULL},
    {"hf_model_pretrained", MEMBER_LEFT, 0, NULL, NULL},
    {"hf_proj_type", MEMBER_LEFT, 0, NULL, NULL},
    {"hf_pooler_type", MEMBER_LEFT, 0, NULL, NULL},
};

static void read_vision(struct members *m, struct json *j)
{
    struct clip_config *c = m->to;
    struct members v = {ROWS(vision_members), .object = "vision_cfg.",
                        .place = m->place, .to = &c->vision, .e = m->e};

    m->rc = members_read(&v, j);
}

static void read_text(struct members *m, struct json *j)
{
    struct clip_config *c = m->to;
    struct members t = {ROWS(text_members), .object = "text_cfg.",
                        .place = m->place, .to = &c->text, .e = m->e};

    m->rc = members_read(&t, j);
}

static void read_pictures(struct members *m, struct json *j)
{
    struct clip_config *c = m->to;

    m->rc = config_pictures_read(&c->pictures, j, m->place, m->e);
}

static void read_logit_bias(struct members *m, struct json *j)
{
    struct clip_config *c = m->to;

    c->logit_bias = json_peek(j) != JSON_NULL;
    if (c->logit_bias)
        c->init_logit_bias = json_double(j);
    else
        json_skip(j);
}

static void read_objective(struct members *m, struct json *j)
{
    struct clip_config *c = m->to;
    struct str name = json_string(j);
    int i = 0;

    while (objective_names[i] && !str_eq(name, str_of(objective_names[i])))
        i++;
    if (objective_names[i])
        c->objective = (enum objective)i;
    else
        members_fail(m, E_UNSUPPORTED, "objective", "is \"%.*s\"",
                     STR_ARG(name));
}

#define TOP(field) offsetof(struct clip_config, field)

enum { TOP_EMBED_DIM, TOP_VISION, TOP_TEXT }; /* must be there */

static const struct member top_members[] = {
    {"embed_dim", MEMBER_INT, TOP(embed_dim), NULL, NULL},
    {"vision_cfg", MEMBER_CALL, 0, NULL, read_vision},
    {"text_cfg", MEMBER_CALL, 0, NULL, read_text},
    {"quick_gelu", MEMBER_BOOL, TOP(quick_gelu), NULL, NULL},
    {"init_logit_scale", MEMBER_DOUBLE, TOP(init_logit_scale), NULL, NULL},
    {"init_logit_bias", MEMBER_CALL, 0, NULL, read_logit_bias},
    {"objective", MEMBER_CALL, 0, NULL, read_objective},
    {"preprocess_cfg", MEMBER_CALL, 0, NULL, read_pictures},
    {"nonscalar_logit_scale", MEMBER_FIXED, 0, "false", NULL},
    {"custom_text", MEMBER_FIXED, 0, "false|true", NULL},
    {"multimodal_cfg", MEMBER_FIXED, 0, "null", NULL},
    {"cast_dtype", MEMBER_LEFT, 0, NULL, NULL},
    {"output_dict", MEMBER_LEFT, 0, NULL, NULL},
};

/* What open_clip takes for members that are not there, but for pictures. */
static const struct clip_config defaults = {
    .init_logit_scale = CONFIG_LOGIT_SCALE,
    .vision = {.kind = VISION_VIT,
               .image_size = 224,
               .width = 768,
               .layers = 12,
               .patch_size = 16,
               .head_width = 64,
               .mlp_ratio = 4},
    .text = {77, 49408, 512, 8, 12, 4},
};

static int read_model(struct clip_config *c, struct json *j, const char *place,
                      struct err *e)
{
    struct members m = {ROWS(top_members), .object = "", .place = place,
                        .to = c, .e = e};

    members_read(&m, j);
    for (int i = TOP_EMBED_DIM; i <= TOP_TEXT; i++)
        if (!(m.seen >> i & 1))
            members_fail(&m, E_FORMAT, top_members[i].name, "is missing");
    if (c->vision.kind == VISION_RESNET)
        c->vision.patch_size = 0;
    return m.rc;
}

/* ---- which form ---- */

struct hub {
    struct clip_config *c;
    const char *place;
};

static void read_model_cfg(struct members *m, struct json *j)
{
    struct hub *h = m->to;

    m->rc = read_model(h->c, j, h->place, m->e);
}

static void read_hub_pictures(struct members *m, struct json *j)
{
    struct hub *h = m->to;

    m->rc = config_pictures_read(&h->c->pictures, j, h->place, m->e);
}

static const struct member hub_members[] = {
    {"model_cfg", MEMBER_CALL, 0, NULL, read_model_cfg},
    {"preprocess_cfg", MEMBER_CALL, 0, NULL, read_hub_pictures},
};

/* A top-level member tells: it is looked for before anything is read. */
static bool has_member(struct str json, struct arena *arena, struct str wanted)
{
    struct json j;
    struct str name;
    bool found = false;

    json_open(&j, json, arena);
    json_object(&j);
    while (!found && json_member(&j, &name)) {
        found = str_eq(name, wanted);
        json_skip(&j);
    }
    return found;
}

static int parse(struct clip_config *c, struct str json, struct arena *arena,
                 const char *place, struct err *e)
{
    struct json j;
    int rc, end;

    json_open(&j, json, arena);
    if (has_member(json, arena, STR("model_cfg"))) {
        struct hub h = {c, place};
        struct members m = {ROWS(hub_members), .object = "", .place = place,
                            .to = &h, .e = e};

        rc = members_read(&m, &j);
    } else if (has_member(json, arena, STR("vision_config")) ||
               has_member(json, arena, STR("model_type"))) {
        rc = config_transformers_read(c, &j, place, e);
    } else {
        rc = read_model(c, &j, place, e);
    }
    if (rc)
        return rc;
    end = json_close(&j, e);
    return end ? err_wrap(e, end, "%s", place) : 0;
}

int clip_config_parse(struct clip_config *c, struct str json, const char *place,
                      struct err *e)
{
    struct arena arena;
    int rc;

    if (json.n > CONFIG_JSON_MAX)
        return err_set(e, E_TOOBIG, "%s: a model JSON of %zu bytes", place,
                       json.n);
    *c = defaults;
    c->pictures = config_pictures_clip;
    arena_init(&arena, 8 * CONFIG_JSON_MAX);
    rc = parse(c, json, &arena, place, e);
    arena_release(&arena);
    if (rc)
        return rc;
    rc = clip_config_check(c, e);
    if (rc)
        return err_wrap(e, rc, "%s", place);
    clip_config_recognise(c);
    return 0;
}
