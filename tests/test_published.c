/* ViT-B/32 as published: tensors, initialisation, operations; no memory. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "base/mem.h"
#include "train/tower.h"

static const struct clip_config vit_b_32 = {
    .name = "ViT-B-32",
    .embed_dim = 512,
    .vision = {.kind = VISION_VIT,
               .image_size = 224,
               .width = 768,
               .layers = 12,
               .patch_size = 32,
               .head_width = 64,
               .mlp_ratio = 4},
    .text = {.context_length = 77,
             .vocab_size = 49408,
             .width = 512,
             .heads = 8,
             .layers = 12,
             .mlp_ratio = 4},
};

struct published {
    struct store s;
    struct text_tower text;
    struct vit vit;
};

static struct published *open_published(void)
{
    struct published *m = xcalloc(1, sizeof *m);

    store_init(&m->s);
    text_tower_init(&m->text, &m->s, &vit_b_32);
    store_add(&m->s, (struct init){INIT_CONSTANT, 2.6593}, 0, NULL,
              "logit_scale");
    vit_init(&m->vit, &m->s, &vit_b_32);
    store_seal(&m->s);
    return m;
}

static void close_published(struct published *m, struct device *d)
{
    text_tower_release(&m->text);
    vit_release(&m->vit);
    store_release(&m->s, d);
    free(m);
}

static void test_published__counts(void **state)
{
    struct published *m = open_published();
    int64_t numbers_in_all = 0;

    (void)state;
    for (int i = 0; i < m->s.n; i++) {
        numbers_in_all += m->s.list[i].count;
        assert_int_equal(store_find(&m->s, str_of(m->s.list[i].name)), i);
    }
    assert_int_equal(m->s.n, 302);
    assert_int_equal(numbers_in_all, 151277313);
    assert_int_equal(m->s.parameters, m->s.size);
    close_published(m, NULL);
}

/* "[77, 512]" of a tensor. */
static void print_shape(const struct tensor *t, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "[");

    for (int i = 0; i < t->rank; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? ", " : "",
                              (long long)t->shape[i]);
    snprintf(out + n, size - n, "]");
}

/* Names, order (but for logit_scale's) and shapes of a file of open_clip's. */
static void test_published__file(void **state)
{
    const char *shared = getenv("WITMILL_SHARED");
    char *path = xasprintf("%s/facts/tensors_openclip_ViT-B-32.tsv",
                           shared ? shared : "../shared");
    FILE *f = fopen(path, "r");
    char line[512], name[256], shape[128], ours[128];
    struct published *m;
    int n = 0, last = -1;

    (void)state;
    if (!f)
        print_message("skipped: no %s\n", path);
    free(path);
    if (!f)
        skip();
    m = open_published();
    while (fgets(line, sizeof line, f)) {
        int i;

        assert_int_equal(sscanf(line, "%255[^\t]\tF32\t%127[^\n]", name, shape),
                         2);
        i = store_find(&m->s, str_of(name));
        assert_true(i >= 0);
        print_shape(&m->s.list[i], ours, sizeof ours);
        assert_string_equal(ours, shape);
        if (strcmp(name, "logit_scale") != 0) {
            assert_true(i > last);
            last = i;
        }
        n++;
    }
    assert_int_equal(n, m->s.n);
    fclose(f);
    close_published(m, NULL);
}

/* Facts b.2, worked out for ViT-B/32 by hand. */
static void test_published__init(void **state)
{
    static const struct {
        const char *name;
        enum init_kind kind;
        double scale;
    } want[] = {
        {"token_embedding.weight", INIT_NORMAL, 0.02},
        {"positional_embedding", INIT_NORMAL, 0.01},
        {"text_projection", INIT_NORMAL, 0.044194173824159216},
        {"ln_final.weight", INIT_CONSTANT, 1},
        {"ln_final.bias", INIT_CONSTANT, 0},
        {"transformer.resblocks.3.ln_1.weight", INIT_CONSTANT, 1},
        {"transformer.resblocks.3.attn.in_proj_weight", INIT_NORMAL,
         0.044194173824159216},
        {"transformer.resblocks.3.attn.in_proj_bias", INIT_CONSTANT, 0},
        {"transformer.resblocks.3.attn.out_proj.weight", INIT_NORMAL,
         0.009021097956087902},
        {"transformer.resblocks.3.attn.out_proj.bias", INIT_CONSTANT, 0},
        {"transformer.resblocks.3.mlp.c_fc.weight", INIT_NORMAL, 0.03125},
        {"transformer.resblocks.3.mlp.c_fc.bias", INIT_UNIFORM,
         0.044194173824159216},
        {"transformer.resblocks.3.mlp.c_proj.weight", INIT_NORMAL,
         0.009021097956087902},
        {"transformer.resblocks.3.mlp.c_proj.bias", INIT_UNIFORM,
         0.022097086912079608},
        {"visual.class_embedding", INIT_NORMAL, 0.03608439182435161},
        {"visual.positional_embedding", INIT_NORMAL, 0.03608439182435161},
        {"visual.proj", INIT_NORMAL, 0.03608439182435161},
        {"visual.conv1.weight", INIT_UNIFORM, 0.018042195912175804},
        {"visual.ln_pre.weight", INIT_CONSTANT, 1},
        {"visual.transformer.resblocks.0.attn.in_proj_weight", INIT_UNIFORM,
         0.04419417382415922},
        {"visual.transformer.resblocks.0.attn.in_proj_bias", INIT_CONSTANT, 0},
        {"visual.transformer.resblocks.0.attn.out_proj.weight", INIT_UNIFORM,
         0.03608439182435161},
        {"visual.transformer.resblocks.0.attn.out_proj.bias", INIT_CONSTANT, 0},
        {"visual.transformer.resblocks.0.mlp.c_fc.weight", INIT_UNIFORM,
         0.03608439182435161},
        {"visual.transformer.resblocks.0.mlp.c_fc.bias", INIT_UNIFORM,
         0.03608439182435161},
        {"visual.transformer.resblocks.0.mlp.c_proj.weight", INIT_UNIFORM,
         0.018042195912175804},
        {"visual.transformer.resblocks.0.mlp.c_proj.bias", INIT_UNIFORM,
         0.018042195912175804},
    };
    struct published *m = open_published();

    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        int at = store_find(&m->s, str_of(want[i].name));
        const struct init *init = &m->s.list[at < 0 ? 0 : at].init;

        assert_true(at >= 0);
        if (init->kind != want[i].kind ||
            fabs(init->scale - want[i].scale) > 1e-15)
            fail_msg("%s: kind %d, scale %.17g", want[i].name, init->kind,
                     init->scale);
    }
    close_published(m, NULL);
}

/* A backend with addresses and nothing behind them: enough for a plan. */
static void *reserve(struct device *d, size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    (void)d;
    return p == MAP_FAILED ? NULL : p;
}

static void keep(struct device *d, void *p)
{
    (void)d;
    (void)p; /* goes with the process */
}

static void skip_zero(struct device *d, const struct op_zero *op)
{
    (void)d;
    (void)op;
}

static void close_nothing(struct device *d)
{
    (void)d;
}

static const struct ops plan_ops = {.name = "plan",
                                    .close = close_nothing,
                                    .alloc = reserve,
                                    .free = keep,
                                    .zero = skip_zero};

/*
 * Operations of a pair: facts b.1 has 8.82 + 5.96 GFLOP forward for open_clip,
 * which counts what the causal mask hides.  By hand, with r rows of width d:
 * a block 24 r d^2 and 4 d a pair (query, key).
 */
static void test_published__work(void **state)
{
    const uint64_t b50 = 24ull * 50 * 768 * 768, a50 = 4ull * 50 * 50 * 768;
    const uint64_t b77 = 24ull * 77 * 512 * 512, a77 = 4ull * 77 * 39 * 512;
    const uint64_t head =
        2ull * 49 * 3072 * 768 + 2ull * 768 * 512 + 2ull * 512 * 512;
    struct published *m = open_published();
    struct device d = {.ops = &plan_ops, .row_step = 1};
    struct err e = ERR_INIT;
    uint64_t flops[2];

    (void)state;
    assert_int_equal(0, store_open(&m->s, &d, STORE_READ, &e));
    device_plan_begin(&d);
    for (int i = 0; i < 2; i++) {
        const struct captions c = {1, 77, NULL};
        struct pass p = {.d = &d, .store = &m->s, .reduce = i == 1};
        struct caption_rows at;
        struct rows rows;
        char nothing[1];

        d.flops = 0;
        rows_captions(&d, &c, false, 0, &at);
        text_tower_forward(&p, &m->text, &at, nothing);
        rows_pictures(&d, 1, m->vit.grid * m->vit.grid + 1, &rows);
        vit_forward(&p, &m->vit, &rows, &(struct pixels){.x = nothing},
                    nothing);
        flops[i] = d.flops;
    }
    assert_int_equal(flops[0], 12 * (b50 + a50 + b77 + a77) + head);
    /* The last block: keys and values of all rows, and one row of the rest. */
    assert_int_equal(flops[1], 11 * (b50 + a50 + b77 + a77) + head +
                                   (4ull * 50 + 20) * 768 * 768 +
                                   (4ull * 77 + 20) * 512 * 512 +
                                   4ull * 50 * 768 + 4ull * 77 * 512);
    close_published(m, &d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published__counts),
        cmocka_unit_test(test_published__file),
        cmocka_unit_test(test_published__init),
        cmocka_unit_test(test_published__work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
