/* The objectives that predict captions: their loss is the formula's, its
 * gradient the loss's, the ways to compute it agree, scores are the losses of
 * pairs, and what does not fit is refused. */
#include "tests/all_scores.h"
#include "tests/clip_world.h"
#include "train/objective.h"
#include "train/optim.h"

#define BATCH 6

static const struct clip_options plain = {0};
static const enum objective both[] = {OBJECTIVE_BOW, OBJECTIVE_CAPTION};

static const struct {
    enum world_device device;
    double limit; /* how far two orders of the same sums may lie apart */
} devices[] = {{REF_DOUBLE, 1e-9}, {CPU_FLOAT, 5e-4}, {CPU_BF16, 0.15}};
#define DEVICES (sizeof devices / sizeof *devices)

static struct clip_config config_of(const char *model, enum objective objective)
{
    struct clip_config c = world_config(model);

    c.objective = objective;
    return c;
}

/* ---- the formula ---- */

/* A tensor as doubles, the caller's. */
static double *tensor(const struct world *w, const char *name)
{
    const struct store *s = &w->m.store;
    int i = store_find(s, str_of(name));
    double *x;

    if (i < 0)
        fail_msg("no tensor %s", name);
    x = malloc((size_t)s->list[i].count * sizeof *x);
    assert_non_null(x);
    store_get(s, w->m.d, i, x, DTYPE_F64);
    return x;
}

/* Blocks that add nothing: what comes out of a tower is what goes in. */
static void silence_blocks(struct world *w)
{
    struct store *s = &w->m.store;

    for (int i = 0; i < s->n; i++) {
        double *zeros;

        if (!strstr(s->list[i].name, "attn.out_proj") &&
            !strstr(s->list[i].name, "mlp.c_proj"))
            continue;
        zeros = calloc((size_t)s->list[i].count, sizeof *zeros);
        assert_non_null(zeros);
        store_put(s, &w->d, i, zeros, DTYPE_F64);
        free(zeros);
    }
    store_refresh(s, &w->d);
}

static void norm(const struct world *w, const char *name, int n, double *x)
{
    char gain[64], bias[64];
    double mean = 0, var = 0, *g, *b;

    snprintf(gain, sizeof gain, "%s.weight", name);
    snprintf(bias, sizeof bias, "%s.bias", name);
    g = tensor(w, gain);
    b = tensor(w, bias);
    for (int k = 0; k < n; k++)
        mean += x[k] / n;
    for (int k = 0; k < n; k++)
        var += (x[k] - mean) * (x[k] - mean) / n;
    for (int k = 0; k < n; k++)
        x[k] = (x[k] - mean) / sqrt(var + 1e-5) * g[k] + b[k];
    free(g);
    free(b);
}

/* y = x w, w [from, to]. */
static void project(const double *x, const double *w, int from, int to,
                    double *y)
{
    for (int k = 0; k < to; k++) {
        y[k] = 0;
        for (int c = 0; c < from; c++)
            y[k] += x[c] * w[c * to + k];
    }
}

#define WIDE 64 /* more than any width or vocabulary here has */

/* Features of a picture, whatever it shows, where blocks add nothing. */
static void plain_features(const struct world *w, double *f)
{
    int width = w->m.config.vision.width;
    double *class = tensor(w, "visual.class_embedding");
    double *place = tensor(w, "visual.positional_embedding");
    double *proj = tensor(w, "visual.proj"), x[WIDE];

    for (int k = 0; k < width; k++)
        x[k] = class[k] + place[k];
    norm(w, "visual.ln_pre", width, x);
    norm(w, "visual.ln_post", width, x);
    project(x, proj, width, w->m.config.embed_dim, f);
    free(class);
    free(place);
    free(proj);
}

/* log softmax(x table^T)[id], table [vocab, n]. */
static double log_likely(const double *x, const double *table, int vocab, int n,
                         int id)
{
    double logit[WIDE], sum = 0;

    for (int v = 0; v < vocab; v++) {
        logit[v] = 0;
        for (int k = 0; k < n; k++)
            logit[v] += x[k] * table[v * n + k];
        sum += exp(logit[v]);
    }
    return logit[id] - log(sum);
}

static double plain_bow(const struct world *w)
{
    const struct clip_config *c = &w->m.config;
    int context = c->text.context_length, rows = 0;
    double *table = tensor(w, "bow.weight"), f[WIDE], loss = 0;

    plain_features(w, f);
    for (int i = 0; i < w->n; i++) {
        const int32_t *ids = w->ids + i * context;
        int words = caption_eot(ids, context) - 1;

        rows += words > 0;
        for (int t = 1; t <= words; t++)
            loss -=
                log_likely(f, table, c->text.vocab_size, c->embed_dim, ids[t]) /
                words;
    }
    free(table);
    return loss / rows;
}

static double plain_caption(const struct world *w)
{
    const struct clip_config *c = &w->m.config;
    int context = c->text.context_length, width = c->text.width, tokens = 0;
    double *table = tensor(w, "token_embedding.weight");
    double *place = tensor(w, "positional_embedding");
    double *proj = tensor(w, "caption.projection");
    double f[WIDE], first[WIDE], x[WIDE], loss = 0;

    plain_features(w, f);
    project(f, proj, c->embed_dim, width, first);
    for (int i = 0; i < w->n; i++) {
        const int32_t *ids = w->ids + i * context;

        for (int t = 0; t < caption_eot(ids, context); t++, tokens++) {
            for (int k = 0; k < width; k++)
                x[k] = table[ids[t] * width + k] + place[t * width + k] +
                       (t ? 0 : first[k]);
            norm(w, "ln_final", width, x);
            loss -= log_likely(x, table, c->text.vocab_size, width, ids[t + 1]);
        }
    }
    free(table);
    free(place);
    free(proj);
    return loss / tokens;
}

static void test_objective__formula(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct clip_config c = config_of("tiny-vit", both[k]);
        struct outcome at;
        struct world w;
        double want;

        assert_true(c.text.vocab_size <= WIDE && c.vision.width <= WIDE);
        world_open(&w, REF_DOUBLE, &c, BATCH, 3);
        silence_blocks(&w);
        want = k ? plain_caption(&w) : plain_bow(&w);
        world_run(&w, &plain, &at);
        if (fabs(at.loss - want) > 1e-10)
            fail_msg("%s: loss %.15g, not %.15g", objective_names[both[k]],
                     at.loss, want);
        outcome_release(&at);
        world_close(&w);
    }
}

/* ---- ways to compute it ---- */

static void compare(const char *model, enum objective objective,
                    const struct clip_options *way,
                    const struct clip_options *other, bool bits)
{
    struct clip_config c = config_of(model, objective);

    for (size_t k = 0; k < DEVICES; k++)
        world_two_ways(devices[k].device, &c, BATCH, way, other, bits,
                       devices[k].limit);
}

static void test_objective__ways_agree(void **state)
{
    static const struct clip_options ways[] = {
        {.chunk = 1, .bn_batch = 1},
        {.chunk = 4, .bn_batch = 2, .packed = true},
        {.packed = true, .reduce = true, .bn_batch = 2},
        {.logits = 64 * 5, .bn_batch = 2},
        {.logits = 1, .packed = true, .chunk = 2, .bn_batch = 2},
    };
    static const char *const models[] = {"tiny-vit", "tiny-resnet"};

    (void)state;
    for (size_t m = 0; m < 2; m++)
        for (size_t k = 0; k < 2; k++)
            for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
                compare(models[m], both[k], &ways[i],
                        &(struct clip_options){.bn_batch = ways[i].bn_batch},
                        false);
}

static void test_objective__recompute_is_bit_equal(void **state)
{
    const struct clip_options stored = {.packed = true},
                              again = {.packed = true, .recompute = true};

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        compare("tiny-vit", both[k], &again, &stored, true);
        compare("tiny-resnet", both[k], &again, &stored, true);
        compare("tiny-vit", both[k], &stored, &stored, true);
    }
}

/* Logits of a row at a time instead of all. */
static void test_objective__logits_take_less(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct clip_config c = config_of("tiny-vit", both[k]);
        struct outcome all, few;
        struct world w;

        c.text.vocab_size = 20000;
        world_open(&w, REF_FLOAT, &c, BATCH, 7);
        world_run(&w, &plain, &all);
        world_run(&w, &(struct clip_options){.logits = 20000}, &few);
        print_message("%s: %zu bytes, %zu a row at a time\n",
                      objective_names[both[k]], all.peak, few.peak);
        assert_true(few.peak + 4 * 20000 * 3 <= all.peak);
        outcome_release(&all);
        outcome_release(&few);
        world_close(&w);
    }
}

/* ---- the gradient ---- */

static double loss_of(struct world *w, const struct clip_options *o)
{
    struct clip_batch b = world_batch(w);
    struct err e = ERR_INIT;
    double loss = 0;

    if (clip_gradients(&w->m, o, &b, &loss, NULL, NULL, &e))
        fail_msg("%s", e.message);
    return loss;
}

static double loss_beside(struct world *w, const struct clip_options *o, int i,
                          int64_t at, double by)
{
    struct store *s = &w->m.store;
    double *x = tensor(w, s->list[i].name), loss;

    x[at] += by;
    store_put(s, &w->d, i, x, DTYPE_F64);
    store_refresh(s, &w->d);
    loss = loss_of(w, o);
    x[at] -= by;
    store_put(s, &w->d, i, x, DTYPE_F64);
    free(x);
    return loss;
}

/* A ReLU's kink between the two points spoils one step; all three it does not.
 */
static bool slope_fits(struct world *w, const struct clip_options *o, int i,
                       int64_t at, double want)
{
    static const double steps[] = {1e-5, 1e-6, 1e-7};

    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        double h = steps[k], slope = (loss_beside(w, o, i, at, h) -
                                      loss_beside(w, o, i, at, -h)) /
                                     (2 * h);

        if (fabs(slope - want) <= 1e-4 * fabs(slope) + 1e-8)
            return true;
    }
    return false;
}

/* Whether a tensor takes no part in an objective. */
static bool unused(const char *name, enum objective objective)
{
    if (!strcmp(name, "logit_scale") || !strcmp(name, "text_projection"))
        return true;
    return objective == OBJECTIVE_BOW && strncmp(name, "visual.", 7) != 0 &&
           strcmp(name, "bow.weight") != 0;
}

/* The largest number of every tensor's gradient, whose difference is clearest;
 * all zeros where a tensor is not used. */
static void check_gradient(const char *model, enum objective objective)
{
    const struct clip_options o = {
        .packed = true, .bn_batch = 2, .chunk = 2, .logits = 64 * 7};
    struct clip_config c = config_of(model, objective);
    struct outcome at;
    struct world w;
    int checked = 0, used = 0;

    world_open(&w, REF_DOUBLE, &c, 4, 11);
    world_run(&w, &o, &at);
    for (int i = 0; i < w.m.store.n; i++) {
        const struct tensor *t = &w.m.store.list[i];
        const double *g = at.numbers + t->at;
        int64_t k = 0;

        if (t->buffer)
            continue;
        for (int64_t n = 0; n < t->count; n++)
            if (fabs(g[n]) > fabs(g[k]))
                k = n;
        if (unused(t->name, objective)) {
            assert_true(g[k] == 0);
            continue;
        }
        if (!slope_fits(&w, &o, i, k, g[k]))
            fail_msg("%s[%lld]: %.9g is not the slope", t->name, (long long)k,
                     g[k]);
        used++;
        checked += fabs(g[k]) > 1e-7;
    }
    assert_true(checked > used / 2);
    outcome_release(&at);
    world_close(&w);
}

static void test_objective__gradient_is_of_the_loss(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* the reference has one thread, and is slow enough without */
#endif
    check_gradient("tiny-vit", OBJECTIVE_BOW);
    check_gradient("tiny-vit", OBJECTIVE_CAPTION);
    check_gradient("tiny-resnet", OBJECTIVE_BOW);
}

/* Captions without words are no loss and no gradient; among others they do not
 * count. */
static void test_objective__no_words(void **state)
{
    struct clip_config c = config_of("tiny-vit", OBJECTIVE_BOW);
    struct outcome some, without, none;
    struct world w;
    int context;

    (void)state;
    world_open(&w, REF_DOUBLE, &c, 4, 2);
    context = w.m.config.text.context_length;
    w.n = 3;
    world_run(&w, &plain, &some);
    w.n = 4;
    w.ids[3 * context + 1] = c.text.vocab_size - 1;
    world_run(&w, &plain, &without);
    w.n = 3;
    outcome_compare(&w, &without, &some, 1e-12);
    for (int i = 0; i < 3; i++)
        w.ids[i * context + 1] = c.text.vocab_size - 1;
    world_run(&w, &plain, &none);
    assert_true(none.loss == 0);
    for (int i = 0; i < w.m.store.n; i++)
        for (int64_t k = 0; k < w.m.store.list[i].count; k++)
            assert_true(none.numbers[w.m.store.list[i].at + k] == 0);
    outcome_release(&some);
    outcome_release(&without);
    outcome_release(&none);
    world_close(&w);
}

/* ---- scores ---- */

/* A pair's loss alone, times what it predicts, is minus its score. */
static double pair_loss(struct world *w, int picture, int caption)
{
    struct clip_batch b = world_batch(w);
    size_t side = (size_t)w->m.config.vision.image_size;
    size_t bytes = 3 * side * side * dtype_size(w->d.real);
    int context = b.captions.context;
    struct err e = ERR_INIT;
    double loss = 0;

    b.n = b.captions.n = 1;
    b.pixels.x = (const char *)b.pixels.x + (size_t)picture * bytes;
    b.captions.ids += caption * context;
    if (clip_gradients(&w->m, &plain, &b, &loss, NULL, NULL, &e))
        fail_msg("%s", e.message);
    return w->m.config.objective == OBJECTIVE_BOW
               ? loss
               : loss * caption_eot(b.captions.ids, context);
}

static void check_scores(enum objective objective, enum world_device device,
                         const struct clip_options *o, double limit)
{
    struct clip_config c = config_of("tiny-vit", objective);
    float scores[BATCH * 5];
    struct err e = ERR_INIT;
    struct clip_batch b;
    struct world w;
    double apart = 0;

    world_open(&w, device, &c, BATCH, 13);
    b = world_batch(&w);
    b.captions.n = 5;
    assert_int_equal(clip_plan(&w.m, o, BATCH, &e), 0);
    if (all_scores(&w.m, o, BATCH, &b.pixels, &b.captions, scores, &e))
        fail_msg("%s", e.message);
    assert_int_equal(clip_plan(&w.m, &plain, 1, &e), 0);
    for (int i = 0; i < BATCH; i++)
        for (int k = 0; k < 5; k++) {
            double want = -pair_loss(&w, i, k);

            if (!(fabs((double)scores[i * 5 + k] - want) < limit * -want))
                fail_msg("picture %d, caption %d: %g, not %g", i, k,
                         (double)scores[i * 5 + k], want);
            apart += fabs((double)(scores[i * 5 + k] - scores[k]));
        }
    assert_true(apart > 1e-3); /* the picture matters */
    world_close(&w);
}

static void test_objective__scores(void **state)
{
    static const struct clip_options ways[] = {
        {0}, {.chunk = 4, .packed = true}, {.chunk = 1, .logits = 64 * 3}};
    static const double limits[] = {1e-6, 1e-5, 0.02};

    (void)state;
    for (size_t k = 0; k < 2; k++)
        for (size_t d = 0; d < DEVICES; d++)
            for (size_t i = 0; i < 3 && world_has(devices[d].device); i++)
                check_scores(both[k], devices[d].device, &ways[i], limits[d]);
}

/* A few pairs, over and over: the loss falls, and every picture's own caption
 * becomes its likeliest, which only the picture can tell. */
static void learn(enum objective objective, enum world_device device)
{
    const struct clip_options o = {.packed = true};
    const struct optim_config rule = {.lr = 3e-3,
                                      .beta1 = 0.9,
                                      .beta2 = 0.98,
                                      .eps = 1e-6,
                                      .decay = 0.1,
                                      .warmup = 5,
                                      .total = 60};
    struct clip_config c = config_of("tiny-vit", objective);
    float scores[BATCH * BATCH];
    struct err e = ERR_INIT;
    double first = 0, loss = 0;
    struct clip_batch b;
    struct optim optim;
    struct world w;

    world_open(&w, device, &c, BATCH, 21);
    b = world_batch(&w);
    assert_int_equal(optim_open(&optim, &w.m, &rule, &e), 0);
    assert_int_equal(clip_plan(&w.m, &o, BATCH, &e), 0);
    for (uint64_t step = 0; step < rule.total; step++) {
        assert_int_equal(clip_gradients(&w.m, &o, &b, &loss, NULL, NULL, &e),
                         0);
        assert_int_equal(optim_step(&optim, step, NULL, &e), 0);
        first = step ? first : loss;
    }
    optim_close(&optim);
    print_message("%s: loss %.3f, then %.3f\n", objective_names[objective],
                  first, loss);
    assert_true(loss < 0.7 * first);
    assert_int_equal(
        all_scores(&w.m, &o, BATCH, &b.pixels, &b.captions, scores, &e), 0);
    for (int i = 0; i < BATCH; i++) /* of each caption: the own picture's */
        for (int k = 0; k < BATCH; k++)
            assert_true(scores[i * BATCH + i] >= scores[k * BATCH + i]);
    world_close(&w);
}

static void test_objective__learns(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        learn(both[k], world_has(CPU_FLOAT) ? CPU_FLOAT : REF_FLOAT);
        if (world_has(CPU_BF16))
            learn(both[k], CPU_BF16);
    }
}

/* ---- what does not fit ---- */

static void test_objective__refuses(void **state)
{
    float out[64 * 4];
    struct clip_batch b;
    double loss;

    (void)state;
    for (int k = 0; k < 3; k++) {
        struct clip_config c = config_of("tiny-vit", (enum objective)k);
        const struct clip_options sigmoid = {.loss = LOSS_SIGMOID};
        struct err e = ERR_INIT;
        struct world w;

        c.logit_bias = true;
        world_open(&w, REF_FLOAT, &c, 2, 1);
        b = world_batch(&w);
        assert_int_equal(clip_plan(&w.m, &plain, 2, &e), 0);
        assert_int_equal(
            all_scores(&w.m, &plain, 2, &b.pixels, &b.captions, out, &e),
            k ? 0 : -E_UNSUPPORTED);
        e = (struct err)ERR_INIT;
        if (k != OBJECTIVE_BOW)
            assert_int_equal(
                objective_pictures(&w.m, &plain, 2, &b.pixels, out, &e),
                -E_UNSUPPORTED);
        else
            assert_int_equal(objective_score(&w.m, &plain, 2, &b.pixels,
                                             &b.captions, out, &e),
                             -E_UNSUPPORTED);
        e = (struct err)ERR_INIT;
        assert_int_equal(clip_encode_texts(&w.m, &plain, &b.captions, out, &e),
                         k ? -E_UNSUPPORTED : 0);
        assert_int_equal(
            clip_encode_images(&w.m, &plain, 2, &b.pixels, out, &e), 0);
        e = (struct err)ERR_INIT;
        assert_int_equal(clip_plan(&w.m, &sigmoid, 2, &e), k ? -E_RANGE : 0);
        assert_int_equal(clip_plan(&w.m, &plain, 2, NULL), 0);
        w.ids[5] = c.text.vocab_size;
        assert_int_equal(
            clip_gradients(&w.m, &plain, &b, &loss, NULL, NULL, &e), -E_RANGE);
        if (k)
            assert_int_equal(
                all_scores(&w.m, &plain, 2, &b.pixels, &b.captions, out, &e),
                -E_RANGE);
        w.ids[5] = 0;
        w.ids[1] = c.text.vocab_size - 1; /* SOT and EOT */
        e = (struct err)ERR_INIT;
        assert_int_equal(
            all_scores(&w.m, &plain, 2, &b.pixels, &b.captions, out, &e),
            k == 0   ? -E_UNSUPPORTED
            : k == 1 ? -E_RANGE
                     : 0);
        world_close(&w);
    }
}

/* More than was planned is an error, and the device goes on. */
static void test_objective__beyond_the_plan(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct clip_config c = config_of("tiny-vit", both[k]);
        struct err e = ERR_INIT;
        struct clip_batch b;
        float out[64 * 64];
        struct world w;
        double loss;

        world_open(&w, REF_FLOAT, &c, 40, 1);
        b = world_batch(&w);
        assert_int_equal(clip_plan(&w.m, &plain, 3, &e), 0);
        assert_int_equal(
            clip_gradients(&w.m, &plain, &b, &loss, NULL, NULL, &e), -E_TOOBIG);
        assert_int_equal(
            all_scores(&w.m, &plain, 40, &b.pixels, &b.captions, out, &e),
            -E_TOOBIG);
        assert_int_equal(clip_plan(&w.m, &plain, 40, &e), 0);
        assert_int_equal(
            clip_gradients(&w.m, &plain, &b, &loss, NULL, NULL, &e), 0);
        assert_int_equal(
            all_scores(&w.m, &plain, 40, &b.pixels, &b.captions, out, &e), 0);
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objective__formula),
        cmocka_unit_test(test_objective__ways_agree),
        cmocka_unit_test(test_objective__recompute_is_bit_equal),
        cmocka_unit_test(test_objective__logits_take_less),
        cmocka_unit_test(test_objective__gradient_is_of_the_loss),
        cmocka_unit_test(test_objective__no_words),
        cmocka_unit_test(test_objective__scores),
        cmocka_unit_test(test_objective__learns),
        cmocka_unit_test(test_objective__refuses),
        cmocka_unit_test(test_objective__beyond_the_plan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
