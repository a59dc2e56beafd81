/* train/config: the table, three forms of JSON, what is refused and by which
 * words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "train/config.h"

static struct clip_config must_find(const char *name)
{
    struct clip_config c;
    struct err e = ERR_INIT;

    if (clip_config_find(&c, name, &e))
        fail_msg("%s: %s", name, e.message);
    return c;
}

static struct clip_config must_parse(const char *json)
{
    struct clip_config c;
    struct err e = ERR_INIT;

    if (clip_config_parse(&c, str_of(json), "x.json", &e))
        fail_msg("%s: %s", json, e.message);
    return c;
}

/* Radford et al. 2021, tables 19 and 20 (facts b.1), typed once more. */
static void test_config__published(void **state)
{
    static const struct {
        const char *name;
        int embed, image, width, layers[4], patch, heads, grid, features;
        int text_width, text_heads;
    } rows[] = {
        {"RN50", 1024, 224, 64, {3, 4, 6, 3}, 0, 32, 7, 2048, 512, 8},
        {"RN101", 512, 224, 64, {3, 4, 23, 3}, 0, 32, 7, 2048, 512, 8},
        {"RN50x4", 640, 288, 80, {4, 6, 10, 6}, 0, 40, 9, 2560, 640, 10},
        {"RN50x16", 768, 384, 96, {6, 8, 18, 8}, 0, 48, 12, 3072, 768, 12},
        {"RN50x64", 1024, 448, 128, {3, 15, 36, 10}, 0, 64, 14, 4096, 1024, 16},
        {"ViT-B-32", 512, 224, 768, {12}, 32, 12, 7, 768, 512, 8},
        {"ViT-B-16", 512, 224, 768, {12}, 16, 12, 14, 768, 512, 8},
        {"ViT-L-14", 768, 224, 1024, {24}, 14, 16, 16, 1024, 768, 12},
        {"ViT-L-14-336", 768, 336, 1024, {24}, 14, 16, 24, 1024, 768, 12},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct clip_config c = must_find(rows[i].name);
        const struct vision_config *v = &c.vision;

        assert_string_equal(clip_config_name((int)i), rows[i].name);
        assert_string_equal(c.name, rows[i].name);
        assert_int_equal(clip_config_check(&c, NULL), 0);
        assert_int_equal(c.embed_dim, rows[i].embed);
        assert_int_equal(v->kind, rows[i].patch ? VISION_VIT : VISION_RESNET);
        assert_int_equal(v->image_size, rows[i].image);
        assert_int_equal(v->width, rows[i].width);
        assert_int_equal(v->patch_size, rows[i].patch);
        if (v->kind == VISION_VIT)
            assert_int_equal(v->layers, rows[i].layers[0]);
        else
            assert_memory_equal(v->stages, rows[i].layers, sizeof v->stages);
        assert_int_equal(clip_config_vision_heads(&c), rows[i].heads);
        assert_int_equal(clip_config_grid(&c), rows[i].grid);
        assert_int_equal(clip_config_features(&c), rows[i].features);
        assert_int_equal(c.text.width, rows[i].text_width);
        assert_int_equal(c.text.heads, rows[i].text_heads);
        assert_int_equal(c.text.layers, 12);
        assert_int_equal(c.text.context_length, 77);
        assert_int_equal(c.text.vocab_size, 49408);
        assert_int_equal(clip_config_hidden(c.text.width, c.text.mlp_ratio),
                         4 * rows[i].text_width);
        assert_true(c.init_logit_scale == 2.6592600369327783);
        assert_false(c.quick_gelu || c.logit_bias);
    }
}

static void test_config__spellings(void **state)
{
    static const struct {
        const char *asked, *name;
    } rows[] = {
        {"ViT-B/32", "ViT-B-32"},
        {"vit-b-32", "ViT-B-32"},
        {"VIT-L/14@336px", "ViT-L-14-336"},
        {"ViT-L-14-336", "ViT-L-14-336"},
        {"ViT-L/14@336", "ViT-L-14-336"},
        {"ViT-L-14-336px-QuickGELU", "ViT-L-14-336-quickgelu"},
        {"ViT-B/16-quickgelu", "ViT-B-16-quickgelu"},
        {"rn50X4", "RN50x4"},
        {"RN50-quickgelu", "RN50-quickgelu"},
        {"Tiny-ViT", "tiny-vit"},
    };
    static const char *const none[] = {
        "",
        "ViT",
        "ViT-B-3",
        "ViT-B-322",
        "RN50x",
        "-quickgelu",
        "ViT-B-32-quickgelu-quickgelu",
        "a-name-longer-than-any-in-the-table-of-models-that-ever-was-or-is"};
    struct clip_config c;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        c = must_find(rows[i].asked);
        assert_string_equal(c.name, rows[i].name);
        assert_int_equal(c.quick_gelu, strstr(rows[i].name, "quick") != NULL);
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct err e = ERR_INIT;

        assert_int_equal(clip_config_find(&c, none[i], &e), -E_NOTFOUND);
        assert_non_null(strstr(e.message, "RN50x64, ViT-B-32, ViT-B-16"));
    }
}

/* Every model through all that writes and all that reads. */
static void test_config__round_trips(void **state)
{
    static void (*const write[])(const struct clip_config *, struct buf *) = {
        clip_config_write, clip_config_write_hub,
        clip_config_write_transformers};

    (void)state;
    for (int i = 0; clip_config_name(i); i++)
        for (int form = 0; form < 6; form++) {
            struct clip_config c, back;
            struct buf b;
            char name[CONFIG_NAME_MAX + 16];

            snprintf(name, sizeof name, "%s%s", clip_config_name(i),
                     form % 2 ? "-quickgelu" : "");
            c = must_find(name);
            if (c.vision.kind == VISION_RESNET && form / 2 == 2)
                continue;
            buf_init(&b, CONFIG_JSON_MAX);
            write[form / 2](&c, &b);
            back = must_parse(b.p);
            assert_true(clip_config_equal(&c, &back));
            assert_string_equal(back.name, c.name);
            if (form < 4)
                assert_true(back.init_logit_scale == c.init_logit_scale);
            buf_release(&b);
        }
}

/* Odd sizes, and a bias: what is written is what was there. */
static void test_config__writes_all(void **state)
{
    static const char json[] =
        "{\"embed_dim\":24,\"quick_gelu\":true,\"init_logit_scale\":2.5,"
        "\"init_logit_bias\":-10,\"vision_cfg\":{\"image_size\":48,"
        "\"layers\":2,\"width\":48,\"patch_size\":7,\"head_width\":16,"
        "\"mlp_ratio\":3.5},\"text_cfg\":{\"context_length\":9,"
        "\"vocab_size\":99,\"width\":40,\"heads\":5,\"layers\":1,"
        "\"mlp_ratio\":2.25}}";
    struct clip_config c = must_parse(json);
    struct buf b;

    (void)state;
    assert_string_equal(c.name, "");
    assert_true(c.logit_bias && c.init_logit_bias == -10);
    assert_int_equal(clip_config_grid(&c), 6);
    assert_int_equal(clip_config_hidden(c.vision.width, c.vision.mlp_ratio),
                     168);
    buf_init(&b, CONFIG_JSON_MAX);
    clip_config_write(&c, &b);
    assert_int_equal(b.rc, 0);
    assert_string_equal(b.p, json);
    buf_release(&b);
}

/* As open_clip's configs write them, members left out and said again. */
static void test_config__open_clip(void **state)
{
    static const struct {
        const char *json, *name;
    } rows[] = {
        {"{\"embed_dim\": 1024, \"vision_cfg\": {\"image_size\": 224, "
         "\"layers\": [3, 4, 6, 3], \"width\": 64, \"patch_size\": null}, "
         "\"text_cfg\": {\"context_length\": 77, \"vocab_size\": 49408, "
         "\"width\": 512, \"heads\": 8, \"layers\": 12}}",
         "RN50"},
        {"{\"embed_dim\": 512, \"quick_gelu\": true, \"vision_cfg\": "
         "{\"patch_size\": 32}, \"text_cfg\": {}}",
         "ViT-B-32-quickgelu"},
        {"{\"embed_dim\": 512, \"vision_cfg\": {\"image_size\": [224, 224], "
         "\"patch_dropout\": 0.5, \"ls_init_value\": null, \"pool_type\": "
         "\"tok\", \"attentional_pool\": false, \"timm_model_name\": null, "
         "\"timm_pool\": \"avg\", \"no_ln_pre\": false, \"act_kwargs\": {}, "
         "\"mlp_ratio\": 4}, \"text_cfg\": {\"pad_id\": 0.0, "
         "\"hf_tokenizer_name\": \"\", \"pool_type\": \"argmax\"}, "
         "\"custom_text\": true, \"init_logit_bias\": null}",
         "ViT-B-16"},
        {" { \"preprocess_cfg\": {\"mean\": [1, 2, 3]}, \"model_cfg\": "
         "{\"embed_dim\": 512, \"vision_cfg\": {}, \"text_cfg\": {}}} ",
         "ViT-B-16"},
        {"{\"model_type\": \"clip\"}", "ViT-B-32-quickgelu"},
        {"{\"projection_dim\": 768, \"text_config\": {\"hidden_act\": "
         "\"gelu\"}, \"text_config_dict\": {\"hidden_size\": 768, "
         "\"intermediate_size\": 3072, \"num_attention_heads\": 12, "
         "\"eos_token_id\": 2, \"top_k\": 50}, \"vision_config_dict\": null, "
         "\"vision_config\": {\"hidden_act\": \"gelu\", \"hidden_size\": 1024, "
         "\"intermediate_size\": 4096, \"num_attention_heads\": 16, "
         "\"num_hidden_layers\": 24, \"patch_size\": 14, \"image_size\": 336, "
         "\"layer_norm_eps\": 0.00001}, \"torch_dtype\": \"float32\"}",
         "ViT-L-14-336"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct clip_config c = must_parse(rows[i].json);

        assert_string_equal(c.name, rows[i].name);
    }
}

/* Pictures of another training set, in every form and back. */
static void test_config__pictures(void **state)
{
    static const char model[] =
        "{\"embed_dim\": 512, \"vision_cfg\": {}, \"text_cfg\": {}";
    static void (*const write[])(const struct clip_config *, struct buf *) = {
        clip_config_write, clip_config_write_hub,
        clip_config_write_transformers};
    struct clip_config c, back;
    char json[1024];
    struct buf b;

    (void)state;
    for (int hub = 0; hub < 3; hub++) {
        static const char pictures[] =
            "\"preprocess_cfg\": {\"size\": [224, 224], \"mode\": \"RGB\", "
            "\"mean\": [0.5, 0.25, -1], \"std\": [0.5, 0.125, 2], "
            "\"interpolation\": \"bicubic\", \"resize_mode\": \"shortest\", "
            "\"fill_color\": 0}";

        if (hub == 0)
            snprintf(json, sizeof json, "%s, %s}", model, pictures);
        else if (hub == 1)
            snprintf(json, sizeof json, "{%s, \"model_cfg\": %s}}", pictures,
                     model);
        else
            snprintf(json, sizeof json, "{\"model_cfg\": %s}, %s}", model,
                     pictures);
        c = must_parse(json);
        assert_string_equal(c.name, "ViT-B-16");
        assert_true(c.pictures.mean[1] == 0.25 && c.pictures.mean[2] == -1 &&
                    c.pictures.std[1] == 0.125 && c.pictures.std[2] == 2);
        for (size_t i = 0; i < sizeof write / sizeof *write; i++) {
            buf_init(&b, CONFIG_JSON_MAX);
            write[i](&c, &b);
            back = must_parse(b.p);
            assert_true(clip_config_equal(&c, &back));
            buf_release(&b);
        }
    }
    /* one of the six numbers said otherwise is another model's */
    back.pictures.std[2] = 1;
    assert_string_equal(clip_config_differs(&c, &back), "preprocess_cfg");
    /* not said at all, or in part: CLIP's */
    snprintf(json, sizeof json, "%s, \"preprocess_cfg\": {\"std\": [1, 1, 1]}}",
             model);
    c = must_parse(json);
    assert_true(c.pictures.mean[0] == 0.48145466 && c.pictures.std[0] == 1);
    c = must_find("RN50");
    assert_true(c.pictures.mean[2] == 0.40821073 &&
                c.pictures.std[2] == 0.27577711);
    /* and CLIP's are not written where open_clip would not */
    buf_init(&b, CONFIG_JSON_MAX);
    clip_config_write(&c, &b);
    assert_null(strstr(b.p, "preprocess"));
    buf_release(&b);
}

/* A ratio that no binary fraction holds gives the same columns again. */
static void test_config__hidden_columns(void **state)
{
    static const int rows[][2] = {{1408, 6144}, {1664, 8192}, {768, 3072},
                                  {49, 123},    {7, 1},       {3, 262142}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct clip_config c, back;
        struct buf b;
        char json[256];

        snprintf(json, sizeof json,
                 "{\"model_type\":\"clip\",\"vision_config\":{\"hidden_size\":"
                 "%d,\"intermediate_size\":%d,\"num_attention_heads\":1}}",
                 rows[i][0], rows[i][1]);
        c = must_parse(json);
        assert_int_equal(clip_config_hidden(c.vision.width, c.vision.mlp_ratio),
                         rows[i][1]);
        buf_init(&b, CONFIG_JSON_MAX);
        clip_config_write(&c, &b);
        back = must_parse(b.p);
        assert_true(clip_config_equal(&c, &back));
        buf_release(&b);
    }
}

/* The same of all small sizes: cutting the product never loses a column. */
static void test_config__ratio(void **state)
{
    (void)state;
    for (int width = 1; width <= 600; width++)
        for (int hidden = 1; hidden <= 5 * width; hidden++)
            if (clip_config_hidden(width, clip_config_ratio(width, hidden)) !=
                hidden)
                fail_msg("%d of %d", hidden, width);
}

#define V(members)                                                             \
    "{\"embed_dim\":8,\"vision_cfg\":{" members "},\"text_cfg\":{}}"
#define T(members)                                                             \
    "{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{" members "}}"
#define HF(members) "{\"model_type\":\"clip\"," members "}"

static void test_config__refused(void **state)
{
    static const struct {
        const char *json;
        int rc;
        const char *words;
    } rows[] = {
        {"", -E_FORMAT, "x.json: is no sound JSON object"},
        {"[]", -E_FORMAT, "no sound JSON"},
        {"{}", -E_FORMAT, "embed_dim is missing"},
        {"{\"embed_dim\":8,\"vision_cfg\":{}}", -E_FORMAT,
         "text_cfg is missing"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{}} x", -E_FORMAT,
         "x.json: JSON"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{}", -E_FORMAT,
         "no sound JSON"},
        {"{\"embed_dim\":8,\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{}}",
         -E_FORMAT, "embed_dim stands there twice"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"vision_cfg\":{},"
         "\"text_cfg\":{}}",
         -E_FORMAT, "vision_cfg stands there twice"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},"
         "\"text_cfg\":{}}",
         -E_FORMAT, "text_cfg stands there twice"},
        {HF("\"text_config\":{},\"text_config\":{}"), -E_FORMAT,
         "text_config stands there twice"},
        {"{\"embed_dim\":\"8\",\"vision_cfg\":{},\"text_cfg\":{}}", -E_FORMAT,
         "embed_dim is not as it should be"},
        {"{\"embed_dim\":-8,\"vision_cfg\":{},\"text_cfg\":{}}", -E_RANGE,
         "embed_dim is not as it should be"},
        {"{\"embed_dim\":0,\"vision_cfg\":{},\"text_cfg\":{}}", -E_RANGE,
         "embed_dim is 0"},
        {"{\"embed_dim\":4294967304,\"vision_cfg\":{},\"text_cfg\":{}}",
         -E_RANGE, "embed_dim is 4294967304"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},\"extra\":1}",
         -E_UNSUPPORTED, "extra is a member that is not known"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},"
         "\"multimodal_cfg\":{}}",
         -E_UNSUPPORTED, "multimodal_cfg is {}"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},"
         "\"init_logit_scale\":100}",
         -E_RANGE, "init_logit_scale is 100"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},"
         "\"preprocess_cfg\":{\"mean\":[1,2]}}",
         -E_FORMAT, "preprocess_cfg.mean has 2 numbers, not three"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},"
         "\"preprocess_cfg\":{\"mean\":[1,2,3,4]}}",
         -E_FORMAT, "preprocess_cfg.mean has 4 numbers"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},"
         "\"preprocess_cfg\":{\"mean\":[1,2,127.5]}}",
         -E_RANGE, "preprocess_cfg.mean holds 127.5"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},"
         "\"preprocess_cfg\":{\"std\":[1,0,1]}}",
         -E_RANGE, "preprocess_cfg.std holds 0"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},"
         "\"preprocess_cfg\":{\"std\":0.5}}",
         -E_FORMAT, "preprocess_cfg"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},"
         "\"preprocess_cfg\":{\"resize_mode\":\"squash\"}}",
         -E_UNSUPPORTED, "preprocess_cfg.resize_mode is"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},"
         "\"preprocess_cfg\":{\"interpolation\":\"nearest\"}}",
         -E_UNSUPPORTED, "preprocess_cfg.interpolation is"},
        {"{\"embed_dim\":8,\"vision_cfg\":{},\"text_cfg\":{},"
         "\"preprocess_cfg\":{\"new\":1}}",
         -E_UNSUPPORTED, "preprocess_cfg.new is a member"},
        {V("\"timm_model_name\":\"convnext_base\""), -E_UNSUPPORTED,
         "vision_cfg.timm_model_name is \"convnext_base\""},
        {V("\"eva_model_name\":\"eva\""), -E_UNSUPPORTED, "eva_model_name"},
        {V("\"attentional_pool\":true"), -E_UNSUPPORTED, "attentional_pool"},
        {V("\"ls_init_value\":1e-5"), -E_UNSUPPORTED, "ls_init_value"},
        {V("\"pool_type\":\"avg\""), -E_UNSUPPORTED, "pool_type is \"avg\""},
        {V("\"no_ln_pre\":true"), -E_UNSUPPORTED, "no_ln_pre"},
        {V("\"pos_embed_type\":\"sin_cos_2d\""), -E_UNSUPPORTED,
         "pos_embed_type"},
        {V("\"norm_kwargs\":{\"eps\":1e-6}"), -E_UNSUPPORTED, "norm_kwargs"},
        {V("\"colour\":1"), -E_UNSUPPORTED, "vision_cfg.colour is a member"},
        {V("\"image_size\":[224,448]"), -E_UNSUPPORTED, "is not square"},
        {V("\"image_size\":[]"), -E_RANGE, "image_size"},
        {V("\"image_size\":5000"), -E_RANGE, "image_size"},
        {V("\"layers\":[1,2,3]"), -E_UNSUPPORTED, "layers has 3 numbers"},
        {V("\"layers\":[1,2,3,4,5]"), -E_UNSUPPORTED, "layers has 5"},
        {V("\"layers\":[1,2,0,4],\"width\":64"), -E_RANGE, "layers[2] is 0"},
        {V("\"layers\":1025"), -E_RANGE, "vision_cfg.layers is 0"},
        {V("\"patch_size\":null"), -E_RANGE, "patch_size is 0"},
        {V("\"patch_size\":300"), -E_RANGE, "patch_size is 300"},
        {V("\"patch_dropout\":1"), -E_RANGE, "patch_dropout is 1"},
        {V("\"width\":700"), -E_RANGE, "no multiple of head_width 64"},
        {V("\"width\":16448"), -E_RANGE, "vision_cfg.width is 16448"},
        {V("\"mlp_ratio\":0"), -E_RANGE, "vision_cfg.mlp_ratio is 0"},
        {V("\"mlp_ratio\":-4"), -E_RANGE, "vision_cfg.mlp_ratio is -4"},
        {V("\"layers\":[1,1,1,1],\"width\":63"), -E_RANGE, "halves it"},
        {V("\"layers\":[1,1,1,1],\"width\":64,\"image_size\":225"), -E_RANGE,
         "five halvings"},
        {V("\"layers\":[1,1,1,1],\"width\":768"), -E_RANGE, "width is 768"},
        {T("\"heads\":7"), -E_RANGE, "no multiple of heads 7"},
        {T("\"heads\":0"), -E_RANGE, "text_cfg.heads is 0"},
        {T("\"context_length\":1"), -E_RANGE, "context_length is 1"},
        {T("\"vocab_size\":4194305"), -E_RANGE, "vocab_size is 4194305"},
        {T("\"hf_model_name\":\"roberta-base\""), -E_UNSUPPORTED,
         "text_cfg.hf_model_name"},
        {T("\"hf_tokenizer_name\":\"t5\""), -E_UNSUPPORTED,
         "hf_tokenizer_name"},
        {T("\"embed_cls\":true"), -E_UNSUPPORTED, "embed_cls"},
        {T("\"pad_id\":1"), -E_UNSUPPORTED, "pad_id is 1"},
        {T("\"no_causal_mask\":true"), -E_UNSUPPORTED, "no_causal_mask"},
        {T("\"proj_type\":\"mlp\""), -E_UNSUPPORTED, "proj_type"},
        {"{\"model_cfg\":{},\"other\":1}", -E_FORMAT, "embed_dim is missing"},
        {HF("\"model_type\":\"clip\""), -E_FORMAT, "twice"},
        {"{\"model_type\":\"siglip\"}", -E_UNSUPPORTED, "model_type"},
        {HF("\"text_config\":{\"hidden_act\":\"gelu\"}"), -E_UNSUPPORTED,
         "hidden_act of the two towers"},
        {HF("\"text_config\":{\"hidden_act\":\"relu\"}"), -E_UNSUPPORTED,
         "text_config.hidden_act is \"relu\""},
        {HF("\"text_config\":{\"eos_token_id\":1}"), -E_UNSUPPORTED,
         "eos_token_id is 1"},
        {HF("\"vision_config\":{\"layer_norm_eps\":1e-6}"), -E_UNSUPPORTED,
         "vision_config.layer_norm_eps is 1e-6"},
        {HF("\"vision_config\":{\"num_channels\":4}"), -E_UNSUPPORTED,
         "num_channels is 4"},
        {HF("\"vision_config\":{\"num_attention_heads\":0}"), -E_RANGE,
         "0 heads"},
        {HF("\"vision_config\":{\"hidden_size\":2147483647,"
            "\"num_attention_heads\":1}"),
         -E_RANGE, "hidden_size 2147483647"},
        {HF("\"vision_config\":{\"intermediate_size\":2147483647}"), -E_RANGE,
         "vision_cfg.mlp_ratio"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct clip_config c;
        struct err e = ERR_INIT;
        int rc = clip_config_parse(&c, str_of(rows[i].json), "x.json", &e);

        if (rc != rows[i].rc || !strstr(e.message, rows[i].words) ||
            !strstr(e.message, "x.json: "))
            fail_msg("row %zu, %s: %d \"%s\", not %d \"%s\"", i, rows[i].json,
                     rc, e.message, rows[i].rc, rows[i].words);
    }
}

/* What equality looks at, and what it leaves aside. */
static void test_config__equal(void **state)
{
    struct clip_config a = must_find("tiny-vit"), b = a;

    (void)state;
    b.init_logit_scale = 1;
    b.init_logit_bias = -10;
    b.name[0] = 0;
    b.vision.stages[0] = 9;
    assert_true(clip_config_equal(&a, &b));
    b.quick_gelu = true;
    assert_false(clip_config_equal(&a, &b));
    b = a;
    b.vision.image_size = 40;
    assert_false(clip_config_equal(&a, &b));
    b = a;
    b.logit_bias = true;
    assert_false(clip_config_equal(&a, &b));
    b = a;
    b.text.mlp_ratio = 3;
    assert_false(clip_config_equal(&a, &b));
    a = must_find("tiny-resnet");
    b = a;
    b.vision.patch_size = 3;
    assert_true(clip_config_equal(&a, &b));
    b.vision.stages[3]++;
    assert_false(clip_config_equal(&a, &b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config__published),
        cmocka_unit_test(test_config__spellings),
        cmocka_unit_test(test_config__round_trips),
        cmocka_unit_test(test_config__writes_all),
        cmocka_unit_test(test_config__pictures),
        cmocka_unit_test(test_config__open_clip),
        cmocka_unit_test(test_config__hidden_columns),
        cmocka_unit_test(test_config__ratio),
        cmocka_unit_test(test_config__refused),
        cmocka_unit_test(test_config__equal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
