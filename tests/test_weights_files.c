/* train/weights on files of others: what is taken, of which numbers, and what
 * must not be loaded. */
#include "tests/weights_world.h"

/* ---- what files of others look like ---- */

static void test_weights_files__taken(void **state)
{
    static const struct {
        const char *what;
        struct edit edit;
        bool transformers;
    } rows[] = {
        {"of two wraps", {.prefix = "module._orig_mod."}, false},
        {"of CustomTextCLIP", {.text_prefix = "text."}, false},
        {"in double", {.dtype = ST_F64}, false},
        {"transformers' in double", {.dtype = ST_F64}, true},
        {"a scalar in a row", {.reshape = "logit_scale"}, false},
        {"OpenAI's sizes",
         {.extra = "input_resolution", .extra_dtype = ST_I64},
         false},
        {"old transformers'",
         {.extra = "text_model.embeddings.position_ids", .extra_dtype = ST_I64},
         true},
        {"wrapped transformers'", {.prefix = "module."}, true},
        {"the activation alone",
         {.key = "witmill.activation", .value = "gelu"},
         false},
    };
    struct clip a, b;

    (void)state;
    open_model(&a, "tiny-vit", 11);
    save(&a, WEIGHTS_OPEN_CLIP, "oc");
    save(&a, WEIGHTS_TRANSFORMERS, "hf");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;

        rewrite(at(rows[i].transformers ? "hf" : "oc"), at("edited"),
                &rows[i].edit);
        open_model(&b, "tiny-vit", 0);
        if (weights_load(&b, at("edited"), false, &e))
            fail_msg("%s: %s", rows[i].what, e.message);
        same_numbers(&a, &b);
        clip_close(&b);
    }
    clip_close(&a);
}

/* Counters may be absent. */
static void test_weights_files__counters(void **state)
{
    struct edit w = {.drop = "visual.layer2.1.bn3.num_batches_tracked"};
    struct clip a, b;
    struct err e = ERR_INIT;

    (void)state;
    open_model(&a, "tiny-resnet", 12);
    open_model(&b, "tiny-resnet", 0);
    save(&a, WEIGHTS_OPEN_CLIP, "rn");
    rewrite(at("rn"), at("edited"), &w);
    assert_int_equal(weights_load(&b, at("edited"), false, &e), 0);
    same_numbers(&a, &b);
    clip_close(&a);
    clip_close(&b);
}

/* Halves and bfloat16 come in as what they are. */
static void test_weights_files__narrow_numbers(void **state)
{
    static const struct {
        enum safetensors_dtype dtype;
        int fraction, least; /* bits; exponent under which edits give 0 */
    } rows[] = {{ST_F16, 10, 113}, {ST_BF16, 7, 0}};
    struct clip a, b;

    (void)state;
    open_model(&a, "tiny-vit", 13);
    save(&a, WEIGHTS_OPEN_CLIP, "oc");
    for (size_t k = 0; k < 2; k++) {
        struct edit w = {.dtype = rows[k].dtype};
        struct err e = ERR_INIT;

        rewrite(at("oc"), at("edited"), &w);
        open_model(&b, "tiny-vit", 0);
        if (weights_load(&b, at("edited"), false, &e))
            fail_msg("%s", e.message);
        for (int i = 0; i < a.store.n; i++) {
            const float *x = tensor(&a, i), *y = tensor(&b, i);

            for (int64_t n = 0; n < a.store.list[i].count; n++) {
                uint32_t bits;
                float cut;

                memcpy(&bits, &x[n], sizeof bits);
                bits &= ~((UINT32_C(1) << (23 - rows[k].fraction)) - 1);
                if ((int)(bits >> 23 & 255) < rows[k].least)
                    bits &= UINT32_C(1) << 31;
                memcpy(&cut, &bits, sizeof cut);
                assert_memory_equal(&cut, &y[n], sizeof cut);
            }
        }
        clip_close(&b);
    }
    clip_close(&a);
}

/* Every half, beside what IEEE 754 says it is: exponent, fraction, sign; by
 * way of a file, as bytes come. */
static void test_weights_files__every_half(void **state)
{
    struct safetensor t = {.name = STR("token_embedding.weight"),
                           .dtype = ST_F16,
                           .rank = 2,
                           .shape = {4096, 16}};
    static const char json[] =
        "{\"embed_dim\":4,\"vision_cfg\":{\"image_size\":8,\"patch_size\":8,"
        "\"width\":8,\"head_width\":8,\"layers\":1},\"text_cfg\":{\"width\":16,"
        "\"heads\":2,\"layers\":1,\"vocab_size\":4096,\"context_length\":3}}";
    struct safetensors_out o;
    struct safetensors file;
    struct safetensor *list;
    struct clip a, b;
    const float *x;
    struct buf halves;

    (void)state;
    open_model(&a, json, 3);
    open_model(&b, json, 0);
    save(&a, WEIGHTS_OPEN_CLIP, "oc");
    buf_init(&halves, 1 << 20);
    for (unsigned h = 0; h < 65536; h++) {
        buf_add_char(&halves, (char)(h & 255));
        buf_add_char(&halves, (char)(h >> 8));
    }
    assert_int_equal(safetensors_open(&file, at("oc"), NULL), 0);
    list = malloc(file.n * sizeof *list);
    assert_non_null(list);
    for (size_t i = 0; i < file.n; i++)
        list[i] = str_eq(file.list[i].name, t.name) ? t : file.list[i];
    assert_int_equal(
        safetensors_create(&o, at("halves"), list, file.n, NULL, 0, NULL), 0);
    for (size_t i = 0; i < file.n; i++)
        safetensors_write(
            &o,
            list[i].dtype == ST_F16
                ? buf_str(&halves)
                : str_make((const char *)list[i].data, list[i].size),
            NULL);
    assert_int_equal(safetensors_publish(&o, NULL), 0);
    assert_int_equal(weights_load(&b, at("halves"), false, NULL), 0);
    x = tensor(&b, store_find(&b.store, t.name));
    for (unsigned h = 0; h < 65536; h++) {
        int exponent = (int)(h >> 10 & 31);
        double fraction = (h & 1023) / 1024.0, want;

        if (exponent == 31 && fraction != 0) {
            assert_true(isnan(x[h]));
            continue;
        }
        want = exponent == 31  ? (double)INFINITY
               : exponent == 0 ? fraction * 0x1p-14
                               : (1 + fraction) * exp2(exponent - 15);
        assert_true(x[h] == (float)(h >> 15 ? -want : want));
        assert_int_equal(!!signbit(x[h]), h >> 15);
    }
    free(list);
    safetensors_close(&file);
    buf_release(&halves);
    clip_close(&a);
    clip_close(&b);
}

/* ---- refused ---- */

static void test_weights_files__refused(void **state)
{
    static const struct {
        struct edit edit;
        bool transformers;
        int rc;
        const char *words;
    } rows[] = {
        {{.drop = "visual.ln_pre.bias"},
         false,
         -E_NOTFOUND,
         "tensor visual.ln_pre.bias is missing"},
        {{.drop = "text_model.encoder.layers.1.self_attn.k_proj.bias"},
         true,
         -E_NOTFOUND,
         "text_model.encoder.layers.1.self_attn.k_proj.bias is missing"},
        {{.extra = "visual.ln_mid.bias", .extra_dtype = ST_F32},
         false,
         -E_FORMAT,
         "visual.ln_mid.bias belongs to no part of this model"},
        {{.extra = "logit_bias", .extra_dtype = ST_F32},
         false,
         -E_FORMAT,
         "logit_bias belongs to no part"},
        {{.extra = "visual.bn1.num_batches_tracked", .extra_dtype = ST_I64},
         false,
         -E_FORMAT,
         "num_batches_tracked belongs to no part"},
        {{.extra = "module.logit_scale", .extra_dtype = ST_F32},
         false,
         -E_FORMAT,
         "are the same but for what wraps the model"},
        {{.reshape = "visual.proj"},
         false,
         -E_RANGE,
         "visual.proj is [2048]; the model needs [64, 32]"},
        {{.reshape = "positional_embedding"},
         false,
         -E_RANGE,
         "needs [16, 64] (no resizing was asked for)"},
        {{.reshape = "visual_projection.weight"},
         true,
         -E_RANGE,
         "visual_projection.weight is [2048]; the model needs [32, 64]"},
        {{.drop = "logit_scale", .extra = "logit_scale", .extra_dtype = ST_I64},
         false,
         -E_FORMAT,
         "logit_scale is of I64; F16, BF16, F32 or F64"},
        {{.key = "witmill.activation", .value = "quick_gelu"},
         false,
         -E_STALE,
         "weights of a model with quick_gelu, but this model runs with gelu"},
        {{.key = "witmill.activation", .value = "relu"},
         false,
         -E_FORMAT,
         "witmill.activation is \"relu\""},
        {{.key = "witmill.config", .value = "{"},
         false,
         -E_FORMAT,
         "witmill.config: "},
        {{.key = "witmill.config",
          .value = "{\"embed_dim\":32,\"vision_cfg\":{},\"text_cfg\":{}}"},
         false,
         -E_STALE,
         "its vision_cfg.image_size is not this model's"},
        {{.key = "witmill.config",
          .value = "{\"embed_dim\":32,\"quick_gelu\":true,\"vision_cfg\":{},"
                   "\"text_cfg\":{}}"},
         false,
         -E_STALE,
         "weights of a model with quick_gelu"},
        {{.key = "witmill.version", .value = "2"},
         false,
         -E_VERSION,
         "witmill.version is \"2\"; this program knows 1"},
        {{.prefix = "model."}, false, -E_NOTFOUND, "is missing"},
    };
    struct clip a, b;

    (void)state;
    open_model(&a, "tiny-vit", 21);
    open_model(&b, "tiny-vit", 0);
    save(&a, WEIGHTS_OPEN_CLIP, "oc");
    save(&a, WEIGHTS_TRANSFORMERS, "hf");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err e = ERR_INIT;
        int rc;

        rewrite(at(rows[i].transformers ? "hf" : "oc"), at("edited"),
                &rows[i].edit);
        rc = weights_load(&b, at("edited"), false, &e);
        if (rc != rows[i].rc || !strstr(e.message, rows[i].words) ||
            !strstr(e.message, "/edited"))
            fail_msg("row %zu: %d \"%s\", not %d \"%s\"", i, rc, e.message,
                     rows[i].rc, rows[i].words);
    }
    clip_close(&a);
    clip_close(&b);
}

static void put_file(const char *path, struct str bytes)
{
    FILE *f = fopen(path, "wb"); /* not synced: it is written very often */

    assert_non_null(f);
    assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    assert_int_equal(fclose(f), 0);
}

/* Whatever byte of the header is another one, the file is refused, or it gives
 * the same numbers: what it changed was said to nobody. */
static void test_weights_files__no_flipped_byte(void **state)
{
    static const char path[] = "tests/golden/weights-v1.safetensors";
    static const char with[] = {'0', '9', '"', ',', 'n', '}', '\0', '\xff'};
    struct clip_config c;
    struct clip a, b;
    struct buf file;
    size_t n, taken = 0;

    (void)state;
    assert_int_equal(weights_config(&c, path, NULL), 0);
    assert_int_equal(clip_open(&a, &device, &c, STORE_READ, NULL), 0);
    assert_int_equal(clip_open(&b, &device, &c, STORE_READ, NULL), 0);
    assert_int_equal(weights_load(&a, path, false, NULL), 0);
    buf_init(&file, 1 << 20);
    assert_int_equal(io_read_file(path, &file, NULL), 0);
    n = 8 + ((unsigned char)file.p[0] | (size_t)(unsigned char)file.p[1] << 8);
    for (size_t i = 0; i < n; i++) {
        char kept = file.p[i];

        file.p[i] = with[i % sizeof with];
        if (file.p[i] != kept) {
            struct err e = ERR_INIT;

            put_file(at("flipped"), buf_str(&file));
            if (weights_load(&b, at("flipped"), false, &e) == 0) {
                same_numbers(&a, &b);
                taken++;
            } else {
                assert_non_null(strstr(e.message, "/flipped"));
            }
        }
        file.p[i] = kept;
    }
    assert_true(taken < 40); /* keys of metadata that nobody reads */
    buf_release(&file);
    clip_close(&a);
    clip_close(&b);
}

static void test_weights_files__layouts_without_a_place(void **state)
{
    static const char bias[] =
        "{\"embed_dim\":4,\"init_logit_bias\":-10,\"vision_cfg\":{"
        "\"image_size\":8,\"patch_size\":8,\"width\":8,\"head_width\":8,"
        "\"layers\":1},\"text_cfg\":{\"width\":8,\"heads\":2,\"layers\":1,"
        "\"vocab_size\":9,\"context_length\":3}}";
    struct err e = ERR_INIT;
    struct clip m, vit;

    (void)state;
    open_model(&m, "tiny-resnet", 1);
    assert_int_equal(weights_save(&m, WEIGHTS_TRANSFORMERS, at("no"), &e),
                     -E_UNSUPPORTED);
    assert_non_null(strstr(e.message, "no ResNets"));
    open_model(&vit, "tiny-vit", 1);
    save(&vit, WEIGHTS_TRANSFORMERS, "hf");
    rewrite(at("hf"), at("edited"),
            &(struct edit){.key = "witmill.activation", .value = "gelu"});
    e = (struct err)ERR_INIT;
    assert_int_equal(weights_load(&m, at("edited"), false, &e), -E_UNSUPPORTED);
    clip_close(&m);
    clip_close(&vit);
    open_model(&m, bias, 1);
    e = (struct err)ERR_INIT;
    assert_int_equal(weights_save(&m, WEIGHTS_TRANSFORMERS, at("no"), &e),
                     -E_UNSUPPORTED);
    assert_non_null(strstr(e.message, "no place for logit_bias"));
    assert_false(io_exists(at("no")));
    e = (struct err)ERR_INIT;
    assert_int_equal(weights_save(&m, WEIGHTS_OPEN_CLIP, at("none/x"), &e),
                     -E_IO);
    assert_int_equal(weights_load(&m, at("absent"), false, &e), -E_NOTFOUND);
    clip_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_weights_files__taken),
        cmocka_unit_test(test_weights_files__counters),
        cmocka_unit_test(test_weights_files__narrow_numbers),
        cmocka_unit_test(test_weights_files__every_half),
        cmocka_unit_test(test_weights_files__refused),
        cmocka_unit_test(test_weights_files__no_flipped_byte),
        cmocka_unit_test(test_weights_files__layouts_without_a_place),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
