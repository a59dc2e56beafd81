/* Learning rates, which tensors decay, clipping, and a step of a model. */
#include "tests/clip_world.h"
#include "train/optim.h"

static void test_optim__rate(void **state)
{
    const struct optim_config c = {.lr = 2, .warmup = 4, .total = 12};
    static const struct {
        uint64_t step;
        double rate;
    } cases[] = {{0, 0.5}, {1, 1}, {3, 2}, {4, 2}, {8, 1}, {12, 0}, {99, 0}};
    const struct optim_config all_warm = {.lr = 1, .warmup = 4, .total = 4};
    const struct optim_config cold = {.lr = 1, .total = 2};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_true(fabs(optim_rate(&c, cases[i].step) - cases[i].rate) <
                    1e-15);
    assert_true(optim_rate(&c, 5) < optim_rate(&c, 4));
    assert_true(optim_rate(&all_warm, 3) == 1);
    assert_true(optim_rate(&all_warm, 4) == 0);
    assert_true(optim_rate(&cold, 0) == 1);
    assert_true(fabs(optim_rate(&cold, 1) - 0.5) < 1e-15);
}

static void test_optim__which_tensors_decay(void **state)
{
    static const struct {
        struct tensor t;
        bool paper, rank;
    } cases[] = {
        {{.name = "logit_scale", .rank = 0}, false, false},
        {{.name = "positional_embedding", .rank = 2}, true, false},
        {{.name = "visual.positional_embedding", .rank = 2}, true, false},
        {{.name = "visual.attnpool.positional_embedding", .rank = 2},
         true,
         false},
        {{.name = "visual.class_embedding", .rank = 1}, false, false},
        {{.name = "token_embedding.weight", .rank = 2}, true, true},
        {{.name = "visual.proj", .rank = 2}, true, true},
        {{.name = "visual.conv1.weight", .rank = 4}, true, true},
        {{.name = "ln_final.weight", .rank = 1}, false, false},
        {{.name = "visual.layer1.0.bn1.weight", .rank = 1}, false, false},
        {{.name = "visual.layer1.0.downsample.1.weight", .rank = 1},
         false,
         false},
        {{.name = "visual.layer1.0.downsample.0.weight", .rank = 4},
         true,
         true},
        {{.name = "transformer.resblocks.0.attn.in_proj_weight", .rank = 2},
         true,
         true},
        {{.name = "transformer.resblocks.0.attn.in_proj_bias", .rank = 1},
         false,
         false},
        {{.name = "visual.bn1.running_mean", .rank = 1, .buffer = true},
         false,
         false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct tensor *t = &cases[i].t;

        if (optim_decays(DECAY_PAPER, t) != cases[i].paper ||
            optim_decays(DECAY_RANK, t) != cases[i].rank)
            fail_msg("%s", t->name);
    }
}

static void test_optim__published_values(void **state)
{
    static const struct {
        const char *name;
        double lr, beta2, eps;
    } cases[] = {{"RN50", 5e-4, 0.999, 1e-8},
                 {"RN50x16", 4e-4, 0.999, 1e-8},
                 {"RN50x64", 3.6e-4, 0.999, 1e-8},
                 {"ViT-B-32", 5e-4, 0.98, 1e-6},
                 {"ViT-L-14", 4e-4, 0.98, 1e-6},
                 {"ViT-L-14-quickgelu", 4e-4, 0.98, 1e-6},
                 {"ViT-L-14-336", 2e-5, 0.98, 1e-6}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct optim_config c;
        struct clip_config m;

        assert_int_equal(clip_config_find(&m, cases[i].name, NULL), 0);
        optim_defaults(&c, &m);
        if (c.lr != cases[i].lr || c.beta2 != cases[i].beta2 ||
            c.eps != cases[i].eps || c.decay != 0.2 || c.warmup != 2000)
            fail_msg("%s", cases[i].name);
    }
}

/* ---- a step of a model ---- */

static double *weights(const struct world *w)
{
    const struct store *s = &w->m.store;
    double *out = malloc((size_t)s->size * sizeof *out);

    assert_non_null(out);
    for (int i = 0; i < s->n; i++)
        store_get(s, w->m.d, i, out + s->list[i].at, DTYPE_F64);
    return out;
}

/* One first step by the formula, written again here: with m = v = 0,
 * m / (1 - beta1) = g and v / (1 - beta2) = g^2. */
static void test_optim__first_step(void **state)
{
    const struct optim_config c = {.lr = 1e-3,
                                   .beta1 = 0.9,
                                   .beta2 = 0.98,
                                   .eps = 1e-6,
                                   .decay = 0.2,
                                   .warmup = 2,
                                   .total = 10,
                                   .clip_norm = 0.25};
    struct clip_config model;
    struct err e = ERR_INIT;
    struct outcome at;
    struct optim optim;
    struct world w;
    double *before, *after, norm, sum = 0, scale;

    (void)state;
    model = world_config("tiny-resnet");
    world_open(&w, REF_DOUBLE, &model, 4, 2);
    world_run(&w, &(struct clip_options){0}, &at);
    before = weights(&w);
    assert_int_equal(optim_open(&optim, &w.m, &c, &e), 0);
    assert_int_equal(optim_step(&optim, 0, &norm, &e), 0);
    optim_close(&optim);
    after = weights(&w);
    for (int64_t k = 0; k < w.m.store.parameters; k++)
        sum += at.numbers[k] * at.numbers[k];
    assert_true(fabs(norm - sqrt(sum)) < 1e-9 * norm);
    assert_true(norm > c.clip_norm);
    scale = c.clip_norm / (norm + 1e-6);
    for (int i = 0; i < w.m.store.n; i++) {
        const struct tensor *t = &w.m.store.list[i];
        double decay = optim_decays(c.rule, t) ? c.decay : 0, lr = c.lr / 2;

        for (int64_t k = t->at; k < t->at + t->count; k++) {
            double g = at.numbers[k] * scale, want = before[k];

            if (!t->buffer)
                want = want * (1 - lr * decay) - lr * g / (fabs(g) + c.eps);
            if (fabs(after[k] - want) > 1e-12)
                fail_msg("%s: %.17g, not %.17g", t->name, after[k], want);
        }
    }
    free(before);
    free(after);
    outcome_release(&at);
    world_close(&w);
}

static void set_scale(struct world *w, double x)
{
    store_put(&w->m.store, &w->d, w->m.logit_scale, &x, DTYPE_F64);
}

static double scale_after_step(struct world *w, double x)
{
    const struct optim_config c = {
        .lr = 1, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .total = 2};
    struct err e = ERR_INIT;
    struct optim optim;
    double out;

    set_scale(w, x);
    assert_int_equal(optim_open(&optim, &w->m, &c, &e), 0);
    assert_int_equal(optim_step(&optim, 0, NULL, &e), 0);
    optim_close(&optim);
    store_get(&w->m.store, &w->d, w->m.logit_scale, &out, DTYPE_F64);
    return out;
}

static void test_optim__logit_scale_stays_in_its_range(void **state)
{
    struct clip_config model;
    struct outcome at;
    struct world w;
    double up, down;

    (void)state;
    model = world_config("tiny-vit");
    world_open(&w, REF_DOUBLE, &model, 4, 2);
    world_run(&w, &(struct clip_options){0}, &at);
    /* far outside on either side: one step of 1 does not bring it back */
    up = scale_after_step(&w, 9);
    down = scale_after_step(&w, -9);
    assert_true(fabs(up - log(100)) < 1e-12);
    assert_true(down == 0);
    outcome_release(&at);
    world_close(&w);
}

static void test_optim__refuses_what_is_not_finite(void **state)
{
    const struct optim_config c = {.lr = 1,
                                   .beta1 = 0.9,
                                   .beta2 = 0.98,
                                   .eps = 1e-6,
                                   .total = 2,
                                   .clip_norm = 1};
    struct clip_config model;
    struct err e = ERR_INIT;
    struct outcome at;
    double bad = NAN, *before, *after;
    struct optim optim;
    struct world w;

    (void)state;
    model = world_config("tiny-vit");
    world_open(&w, REF_DOUBLE, &model, 2, 2);
    world_run(&w, &(struct clip_options){0}, &at);
    before = weights(&w);
    device_put(&w.d, store_grad(&w.m.store, w.m.logit_scale), &bad, sizeof bad);
    assert_int_equal(optim_open(&optim, &w.m, &c, &e), 0);
    assert_int_equal(optim_step(&optim, 4, NULL, &e), -E_RANGE);
    optim_close(&optim);
    assert_non_null(strstr(e.message, "step 5"));
    after = weights(&w);
    assert_memory_equal(before, after, (size_t)w.m.store.size * sizeof *before);
    free(before);
    free(after);
    outcome_release(&at);
    world_close(&w);
}

/* A few pairs, over and over, on one device: the loss before and after. */
static void learn(enum world_device device, const char *name,
                  const struct optim_config *c)
{
    const struct clip_options o = {.packed = true, .reduce = true};
    struct clip_config model = world_config(name);
    struct err e = ERR_INIT;
    double first = 0, loss = 0;
    struct clip_batch b;
    struct optim optim;
    struct world w;

    world_open(&w, device, &model, 6, 21);
    assert_int_equal(clip_plan(&w.m, &o, 6, &e), 0);
    assert_int_equal(optim_open(&optim, &w.m, c, &e), 0);
    b = world_batch(&w);
    for (uint64_t step = 0; step < c->total; step++) {
        assert_int_equal(clip_gradients(&w.m, &o, &b, &loss, NULL, NULL, &e),
                         0);
        assert_int_equal(optim_step(&optim, step, NULL, &e), 0);
        if (!step)
            first = loss;
    }
    if (!(loss < 0.5 * first))
        fail_msg("%s: loss from %g to %g only", name, first, loss);
    optim_close(&optim);
    world_close(&w);
}

/* The loss falls, in every precision. */
static void test_optim__learns(void **state)
{
    static const enum world_device devices[] = {REF_DOUBLE, CPU_FLOAT,
                                                CPU_BF16};
    static const char *const models[] = {"tiny-vit", "tiny-resnet"};
    struct optim_config c = {.lr = 3e-3,
                             .beta1 = 0.9,
                             .beta2 = 0.98,
                             .eps = 1e-6,
                             .decay = 0.1,
                             .warmup = 2,
                             .total = 24,
                             .clip_norm = 1};

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 2 && world_has(devices[i]); k++)
            learn(devices[i], models[k], &c);
    c.stochastic = true;
    if (world_has(CPU_BF16))
        learn(CPU_BF16, "tiny-vit", &c);
}

/* The copy that products read, of every weight: a neighbour, not always the
 * nearer, and others in the next step though no weight has moved. */
static void test_optim__rounds_by_chance(void **state)
{
    const struct optim_config c = {
        .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .total = 2, .stochastic = 1};
    struct clip_config model = world_config("tiny-vit");
    int64_t far = 0, changed = 0, n;
    uint16_t *copy[2];
    struct err e = ERR_INIT;
    struct optim optim;
    struct world w;
    float *x;

    (void)state;
    if (!world_has(CPU_BF16))
        skip();
    world_open(&w, CPU_BF16, &model, 2, 2);
    n = w.m.store.parameters;
    assert_int_equal(optim_open(&optim, &w.m, &c, &e), 0);
    x = calloc((size_t)n, sizeof *x);
    assert_non_null(x);
    for (uint64_t t = 0; t < 2; t++) {
        assert_int_equal(optim_step(&optim, t, NULL, &e), 0);
        copy[t] = calloc((size_t)n, sizeof **copy);
        assert_non_null(copy[t]);
        device_get(&w.d, copy[t], w.m.store.act, (size_t)n * sizeof **copy);
    }
    device_get(&w.d, x, w.m.store.real, (size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &x[i], sizeof bits);
        assert_true(copy[0][i] == bits >> 16 || copy[0][i] == (bits >> 16) + 1);
        far += copy[0][i] != bf16_from_float(x[i]);
        changed += copy[0][i] != copy[1][i];
    }
    /* of remainders spread evenly a quarter goes far, and a third changes */
    assert_true(far > n / 8 && changed > n / 6);
    optim_close(&optim);
    world_close(&w);
    free(copy[0]);
    free(copy[1]);
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optim__rate),
        cmocka_unit_test(test_optim__which_tensors_decay),
        cmocka_unit_test(test_optim__published_values),
        cmocka_unit_test(test_optim__first_step),
        cmocka_unit_test(test_optim__logit_scale_stays_in_its_range),
        cmocka_unit_test(test_optim__refuses_what_is_not_finite),
        cmocka_unit_test(test_optim__learns),
        cmocka_unit_test(test_optim__rounds_by_chance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
