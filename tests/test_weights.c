/* train/weights: both layouts there and back bit for bit, names and sizes as
 * others have them, the JSON beside a file, other picture sizes. */
#include "tests/weights_world.h"
#include "train/resize.h"

/* ---- there and back ---- */

static void test_weights__round_trips(void **state)
{
    static const struct {
        const char *model;
        enum weights_layout layout;
    } rows[] = {
        {"tiny-vit", WEIGHTS_OPEN_CLIP},
        {"tiny-vit-quickgelu", WEIGHTS_TRANSFORMERS},
        {"tiny-resnet", WEIGHTS_OPEN_CLIP},
        {"{\"embed_dim\":12,\"init_logit_bias\":-10,\"vision_cfg\":{"
         "\"image_size\":20,\"patch_size\":7,\"width\":24,\"head_width\":8,"
         "\"layers\":1,\"mlp_ratio\":2.5},\"text_cfg\":{\"width\":20,"
         "\"heads\":5,\"layers\":3,\"vocab_size\":11,\"context_length\":4}}",
         WEIGHTS_OPEN_CLIP},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct clip_config c;
        struct clip a, b;
        struct err e = ERR_INIT;

        open_model(&a, rows[i].model, 1 + i);
        open_model(&b, rows[i].model, 0);
        save(&a, rows[i].layout, "round");
        if (weights_load(&b, at("round"), false, &e))
            fail_msg("%s", e.message);
        same_numbers(&a, &b);
        assert_int_equal(weights_config(&c, at("round"), &e), 0);
        assert_true(clip_config_equal(&c, &a.config));
        clip_close(&a);
        clip_close(&b);
    }
}

/* Where numbers lie in transformers' layout: parts of in_proj, transposed
 * projections. */
static void test_weights__transformers_layout(void **state)
{
    const struct safetensor *t;
    struct safetensors s;
    struct err e = ERR_INIT;
    struct clip m;
    const float *x;
    float y;
    int w;

    (void)state;
    open_model(&m, "tiny-vit", 5);
    save(&m, WEIGHTS_TRANSFORMERS, "hf");
    assert_int_equal(safetensors_open(&s, at("hf"), &e), 0);
    w = store_find(&m.store,
                   STR("visual.transformer.resblocks.2.attn.in_proj_weight"));
    x = tensor(&m, w);
    for (int part = 0; part < 3; part++) {
        char name[128];

        snprintf(name, sizeof name,
                 "vision_model.encoder.layers.2.self_attn.%c_proj.weight",
                 "qkv"[part]);
        t = safetensors_find(&s, str_of(name));
        assert_non_null(t);
        assert_int_equal(t->count, 64 * 64);
        assert_memory_equal(t->data, x + part * 64 * 64, t->size);
    }
    x = tensor(&m, store_find(&m.store, STR("text_projection")));
    t = safetensors_find(&s, STR("text_projection.weight"));
    assert_int_equal(t->shape[0], 32);
    assert_int_equal(t->shape[1], 64);
    memcpy(&y, t->data + 4 * (5 * 64 + 9), sizeof y);
    assert_true(y == x[9 * 32 + 5]);
    safetensors_close(&s);
    clip_close(&m);
}

/* The bytes of version 1 (WITMILL_WRITE_GOLDEN=1 makes the files anew).  Its
 * numbers are quarters: the n-th of all is n modulo 64, less 32, by 4. */
static void test_weights__golden(void **state)
{
    static const char json[] =
        "{\"embed_dim\":2,\"quick_gelu\":true,\"vision_cfg\":{\"image_size\":4,"
        "\"patch_size\":2,\"width\":4,\"head_width\":2,\"layers\":1,"
        "\"mlp_ratio\":2},\"text_cfg\":{\"width\":2,\"heads\":1,\"layers\":1,"
        "\"vocab_size\":5,\"context_length\":3,\"mlp_ratio\":1}}";
    static const char *const files[] = {"weights-v1.safetensors",
                                        "weights-v1-transformers.safetensors"};
    struct clip a, b;
    unsigned n = 0;

    (void)state;
    open_model(&a, json, 0);
    for (int i = 0; i < a.store.n; i++) {
        float x[256];

        assert_true(a.store.list[i].count <= 256);
        for (int64_t k = 0; k < a.store.list[i].count; k++)
            x[k] = ((float)(n++ % 64) - 32) / 4;
        store_put(&a.store, a.d, i, x, DTYPE_F32);
    }
    for (int layout = 0; layout < 2; layout++) {
        char path[IO_PATH_MAX];
        struct err e = ERR_INIT;
        struct buf now, then;

        snprintf(path, sizeof path, "tests/golden/%s", files[layout]);
        buf_init(&now, 1 << 20);
        buf_init(&then, 1 << 20);
        save(&a, layout, "now");
        assert_int_equal(io_read_file(at("now"), &now, NULL), 0);
        if (getenv("WITMILL_WRITE_GOLDEN"))
            assert_int_equal(io_write_file(path, buf_str(&now), NULL), 0);
        assert_int_equal(io_read_file(path, &then, NULL), 0);
        assert_int_equal(now.n, then.n);
        assert_memory_equal(now.p, then.p, now.n);
        open_model(&b, json, 0);
        if (weights_load(&b, path, false, &e))
            fail_msg("%s", e.message);
        same_numbers(&a, &b);
        clip_close(&b);
        buf_release(&now);
        buf_release(&then);
    }
    clip_close(&a);
}

/* ---- names, counts ---- */

/* The tensors of a model, not allocated. */
static void declare(struct clip *m, const char *name)
{
    struct init zero = {INIT_CONSTANT, 0};

    memset(m, 0, sizeof *m);
    assert_int_equal(clip_config_find(&m->config, name, NULL), 0);
    store_init(&m->store);
    text_tower_init(&m->text, &m->store, &m->config);
    m->logit_scale = store_add(&m->store, zero, 0, NULL, "logit_scale");
    if (m->config.vision.kind == VISION_VIT)
        vit_init(&m->vision.vit, &m->store, &m->config);
    else
        resnet_init(&m->vision.resnet, &m->store, &m->config);
    store_seal(&m->store);
}

static void undeclare(struct clip *m)
{
    text_tower_release(&m->text);
    if (m->config.vision.kind == VISION_VIT)
        vit_release(&m->vision.vit);
    else
        resnet_release(&m->vision.resnet);
    store_release(&m->store, NULL);
}

/* Facts b.1 and b.6. */
static void test_weights__counts(void **state)
{
    static const struct {
        const char *name;
        int64_t parameters;
        size_t tensors; /* with buffers and their counters */
    } rows[] = {
        {"RN50", 102007137, 489},         {"RN101", 119688033, 795},
        {"RN50x4", 178300601, 669},       {"RN50x16", 290979217, 921},
        {"RN50x64", 623258305, 1353},     {"ViT-B-32", 151277313, 302},
        {"ViT-B-16", 149620737, 302},     {"ViT-L-14", 427616513, 446},
        {"ViT-L-14-336", 427944193, 446},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct weights_pieces p;
        struct clip m;
        int64_t n = 0;

        declare(&m, rows[i].name);
        for (int k = 0; k < m.store.n; k++)
            n += m.store.list[k].buffer ? 0 : m.store.list[k].count;
        if (n != rows[i].parameters)
            fail_msg("%s: %lld parameters", rows[i].name, (long long)n);
        assert_int_equal(weights_pieces_make(&p, &m, WEIGHTS_OPEN_CLIP, NULL),
                         0);
        assert_int_equal(p.n, rows[i].tensors);
        weights_pieces_release(&p);
        undeclare(&m);
    }
}

static const struct weights_piece *piece(const struct weights_pieces *p,
                                         struct str name)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->list[i].name, name))
            return &p->list[i];
    return NULL;
}

/* One line: name, dtype, "[1, 2]". */
static void check_line(const struct weights_pieces *p, struct str line)
{
    struct str rest = line, name, dtype, shape, side;
    const struct weights_piece *t;
    int rank = 0;

    assert_true(str_split(&rest, '\t', &name));
    assert_true(str_split(&rest, '\t', &dtype));
    assert_true(str_split(&rest, '\t', &shape));
    t = piece(p, name);
    if (!t)
        fail_msg("no tensor %.*s", STR_ARG(name));
    assert_true(str_eq(dtype, t->tensor < 0 ? STR("I64") : STR("F32")));
    shape = str_slice(shape, 1, shape.n - 1);
    while (shape.n && str_split(&shape, ',', &side)) {
        uint64_t v;

        assert_int_equal(str_u64(str_trim(side), &v), 0);
        assert_int_equal(t->shape[rank], v);
        rank++;
    }
    assert_int_equal(t->rank, rank);
}

static void test_weights__names_of_others(void **state)
{
    static const struct {
        const char *file, *model;
        enum weights_layout layout;
    } rows[] = {
        {"openclip_ViT-B-32", "ViT-B-32", WEIGHTS_OPEN_CLIP},
        {"openclip_RN50", "RN50", WEIGHTS_OPEN_CLIP},
        {"hf_clip-vit-base-patch32", "ViT-B-32", WEIGHTS_TRANSFORMERS},
    };
    const char *root = getenv("WITMILL_SHARED");

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char path[IO_PATH_MAX];
        struct weights_pieces p;
        struct str rest, line;
        struct clip m;
        struct buf b;
        size_t n = 0;

        snprintf(path, sizeof path, "%s/facts/tensors_%s.tsv",
                 root ? root : "../shared", rows[i].file);
        if (!io_exists(path)) {
            print_message("skipped: no %s\n", path);
            skip();
        }
        buf_init(&b, 1 << 20);
        assert_int_equal(io_read_file(path, &b, NULL), 0);
        declare(&m, rows[i].model);
        assert_int_equal(weights_pieces_make(&p, &m, rows[i].layout, NULL), 0);
        rest = str_trim(buf_str(&b));
        while (str_split(&rest, '\n', &line)) {
            check_line(&p, line);
            n++;
        }
        assert_int_equal(n, p.n);
        weights_pieces_release(&p);
        undeclare(&m);
        buf_release(&b);
    }
}

/* ---- the JSON beside ---- */

static void test_weights__json_beside(void **state)
{
    struct clip_config c;
    struct clip a, b;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(io_mkdirs(at("beside"), NULL), 0);
    open_model(&a, "tiny-vit", 31);
    open_model(&b, "tiny-vit-quickgelu", 0);
    for (int layout = 0; layout < 2; layout++) {
        const char *json = layout == WEIGHTS_OPEN_CLIP
                               ? "beside/open_clip_config.json"
                               : "beside/config.json";

        save(&a, layout, "beside/ours");
        assert_true(io_exists(at(json)));
        rewrite(at("beside/ours"), at("beside/w"), &(struct edit){.drop = ""});
        assert_int_equal(weights_config(&c, at("beside/w"), &e), 0);
        assert_string_equal(c.name, "tiny-vit");
        assert_int_equal(weights_load(&a, at("beside/w"), false, &e), 0);
        e = (struct err)ERR_INIT;
        assert_int_equal(weights_load(&b, at("beside/w"), false, &e), -E_STALE);
        /* a file that speaks for itself is not contradicted from beside */
        assert_int_equal(io_write_file(at(json), STR("{}"), NULL), 0);
        assert_int_equal(weights_load(&a, at("beside/ours"), false, NULL), 0);
        e = (struct err)ERR_INIT;
        assert_int_equal(weights_load(&a, at("beside/w"), false, &e),
                         -E_FORMAT);
        assert_int_equal(io_remove(at(json), NULL), 0);
        /* nobody says it: then the model's is taken */
        assert_int_equal(weights_load(&b, at("beside/w"), false, NULL), 0);
        e = (struct err)ERR_INIT;
    }
    clip_close(&a);
    clip_close(&b);
}

/* Sizes by shapes; the activation by OpenAI's sizes alone. */
static void test_weights__config_by_shapes(void **state)
{
    static const char *const models[] = {
        "{\"embed_dim\":24,\"vision_cfg\":{\"image_size\":42,\"patch_size\":14,"
        "\"width\":128,\"layers\":3},\"text_cfg\":{\"width\":64,\"heads\":1,"
        "\"layers\":2,\"vocab_size\":50,\"context_length\":7,"
        "\"mlp_ratio\":3}}",
        "{\"embed_dim\":24,\"vision_cfg\":{\"image_size\":96,"
        "\"width\":4,\"layers\":[1,2,1,1]},\"text_cfg\":{\"width\":64,"
        "\"heads\":1,\"layers\":2,\"vocab_size\":50,\"context_length\":7}}"};

    (void)state;
    assert_int_equal(io_mkdirs(at("bare"), NULL), 0);
    for (int k = 0; k < 3; k++) {
        struct clip_config c;
        struct err e = ERR_INIT;
        struct clip m;

        open_model(&m, models[k % 2], 1);
        save(&m, k == 2 ? WEIGHTS_TRANSFORMERS : WEIGHTS_OPEN_CLIP, "ours");
        rewrite(at("ours"), at("bare/w"), &(struct edit){.drop = ""});
        assert_int_equal(weights_config(&c, at("bare/w"), &e), -E_NOTFOUND);
        assert_non_null(strstr(e.message, "no tensor tells the activation"));
        assert_true(clip_config_equal(&c, &m.config));
        e = (struct err)ERR_INIT;
        rewrite(
            at("ours"), at("bare/w"),
            &(struct edit){.key = "witmill.activation", .value = "quick_gelu"});
        assert_int_equal(weights_config(&c, at("bare/w"), &e), 0);
        assert_string_equal(clip_config_differs(&c, &m.config), "quick_gelu");
        rewrite(at("ours"), at("bare/w"),
                &(struct edit){.drop = "logit_scale",
                               .rename = k == 2 ? "text_projection.weight"
                                                : "text_projection",
                               .to = "elsewhere"});
        assert_int_equal(weights_config(&c, at("bare/w"), &e), -E_NOTFOUND);
        assert_non_null(strstr(e.message, "no tensor text_projection"));
        clip_close(&m);
    }
}

/* A model of another picture and caption size takes the weights. */
static void test_weights__resized(void **state)
{
    static const struct {
        const char *from, *to;
        enum weights_layout layout;
        const char *grid;
        size_t from_side, to_side;
    } rows[] = {
        {"tiny-vit",
         "{\"embed_dim\":32,\"vision_cfg\":{\"image_size\":48,\"layers\":3,"
         "\"width\":64,\"patch_size\":8,\"head_width\":32},\"text_cfg\":{"
         "\"context_length\":11,\"vocab_size\":512,\"width\":64,\"heads\":2,"
         "\"layers\":2}}",
         WEIGHTS_TRANSFORMERS, "visual.positional_embedding", 4, 6},
        {"tiny-resnet",
         "{\"embed_dim\":32,\"vision_cfg\":{\"image_size\":96,\"layers\":"
         "[1,2,1,1],\"width\":8,\"head_width\":32},\"text_cfg\":{"
         "\"context_length\":20,\"vocab_size\":512,\"width\":64,\"heads\":2,"
         "\"layers\":2}}",
         WEIGHTS_OPEN_CLIP, "visual.attnpool.positional_embedding", 2, 3},
    };
    static float want[1 << 14];

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct err e = ERR_INIT;
        struct clip a, b;
        const float *x;
        size_t width, n, to;

        open_model(&a, rows[i].from, 41);
        open_model(&b, rows[i].to, 0);
        save(&a, rows[i].layout, "small");
        assert_int_equal(weights_load(&b, at("small"), false, &e), -E_STALE);
        e = (struct err)ERR_INIT;
        if (weights_load(&b, at("small"), true, &e))
            fail_msg("%s", e.message);
        width = (size_t)clip_config_features(&a.config);
        x = tensor(&a, store_find(&a.store, str_of(rows[i].grid)));
        memcpy(want, x, width * sizeof *x);
        resize_grid(want + width, rows[i].to_side, x + width, rows[i].from_side,
                    width, NULL);
        n = (rows[i].to_side * rows[i].to_side + 1) * width;
        assert_memory_equal(
            want, tensor(&b, store_find(&b.store, str_of(rows[i].grid))),
            n * sizeof *want);
        to = (size_t)b.config.text.context_length;
        resize_line(
            want, to,
            tensor(&a, store_find(&a.store, STR("positional_embedding"))), 16,
            64);
        assert_memory_equal(
            want, tensor(&b, store_find(&b.store, STR("positional_embedding"))),
            to * 64 * sizeof *want);
        rewrite(at("small"), at("edited"),
                &(struct edit){.key = "witmill.activation", .value = "gelu"});
        e = (struct err)ERR_INIT;
        assert_int_equal(weights_load(&b, at("edited"), false, &e), -E_RANGE);
        assert_non_null(strstr(e.message, "(no resizing was asked for)"));
        clip_close(&a);
        clip_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights__round_trips),
        cmocka_unit_test(test_weights__transformers_layout),
        cmocka_unit_test(test_weights__golden),
        cmocka_unit_test(test_weights__counts),
        cmocka_unit_test(test_weights__names_of_others),
        cmocka_unit_test(test_weights__json_beside),
        cmocka_unit_test(test_weights__config_by_shapes),
        cmocka_unit_test(test_weights__resized),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
