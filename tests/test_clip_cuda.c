/* A batch through the whole model on the cuda backend: near the reference in
 * double, the same bits op by op and in graphs, without waiting in the midst.
 * On a GPU with CUDA=1, else emulated (tests/emulate). */
#include "tests/clip_world.h"
#include "tests/emulate/emulate.h"
#include "train/cuda/cuda.h"
#include "train/objective.h"

#define BATCH 6

static const char *const models[] = {"tiny-vit", "tiny-resnet"};
#define MODELS (sizeof models / sizeof *models)

static const struct {
    enum dtype act;
    double limit[MODELS]; /* of the loss, features and gradients, see
                             outcome_compare(); 0: norm_limit of the whole
                             gradient instead.  BatchNorm over two pictures of
                             a ResNet four channels wide turns bf16's roundings
                             into half of some gradients; the cpu's does so,
                             too */
    double norm_limit;
} types[] = {{DTYPE_F32, {5e-4, 5e-4}, 0}, {DTYPE_BF16, {0.15, 0}, 0.4}};
#define TYPES (sizeof types / sizeof *types)

static const struct clip_options ways[] = {
    {.bn_batch = 2},
    {.bn_batch = 2, .packed = true, .reduce = true},
    {.bn_batch = 2, .chunk = 4, .packed = true, .recompute = true},
};
#define WAYS (sizeof ways / sizeof *ways)

/* Skips the test where there is no GPU. */
static void open_config(struct world *w, enum dtype act, bool eager,
                        const struct clip_config *c, uint64_t seed)
{
    const struct cuda_options o = {.row_step = 16, .eager = eager};
    struct err e = ERR_INIT;
    int rc;

    memset(w, 0, sizeof *w);
    rc = cuda_open(&w->d, act, &o, &e);
    if (rc == -E_UNSUPPORTED)
        skip();
    if (rc)
        fail_msg("%s", e.message);
    world_begin(w, c, BATCH, seed);
}

static void open_cuda(struct world *w, enum dtype act, bool eager,
                      const char *model, uint64_t seed)
{
    struct clip_config c = world_config(model);

    open_config(w, act, eager, &c, seed);
}

/* ||a - b|| by ||b||, of all gradients as one vector. */
static void compare_norms(const struct world *w, const struct outcome *a,
                          const struct outcome *b, double limit)
{
    double apart = 0, norm = 0;

    for (int i = 0; i < w->m.store.n; i++) {
        const struct tensor *t = &w->m.store.list[i];

        for (int64_t k = t->at; k < t->at + t->count; k++) {
            apart += (a->numbers[k] - b->numbers[k]) *
                     (a->numbers[k] - b->numbers[k]);
            norm += b->numbers[k] * b->numbers[k];
        }
    }
    print_message("gradient %.3g apart\n", sqrt(apart / norm));
    if (!(apart <= limit * limit * norm))
        fail_msg("the gradient is %.3g from the reference, more than %.3g",
                 sqrt(apart / norm), limit);
}

static void check(size_t model, size_t type, size_t way, enum objective what)
{
    struct clip_config c = world_config(models[model]);
    struct outcome got, want;
    struct world w, ref;

    c.objective = what;
    open_config(&w, types[type].act, true, &c, 7);
    world_open(&ref, REF_DOUBLE, &c, BATCH, 7);
    world_run(&ref, &ways[way], &want);
    world_run(&w, &ways[way], &got);
    if (types[type].limit[model] > 0)
        outcome_compare(&ref, &got, &want, types[type].limit[model]);
    else
        compare_norms(&ref, &got, &want, types[type].norm_limit);
    outcome_release(&got);
    outcome_release(&want);
    world_close(&ref);
    world_close(&w);
}

static void test_clip_cuda__against_reference(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++)
        for (size_t t = 0; t < TYPES; t++)
            for (size_t i = 0; i < WAYS; i++)
                check(m, t, i, OBJECTIVE_CONTRASTIVE);
}

/* Scores of all pictures and captions. */
static void score(struct world *w, const struct clip_options *o, float *out)
{
    struct clip_batch b = world_batch(w);
    struct err e = ERR_INIT;

    if (clip_plan(&w->m, o, BATCH, &e) ||
        objective_score(&w->m, o, BATCH, &b.pixels, &b.captions, out, &e))
        fail_msg("%s", e.message);
}

static void test_clip_cuda__other_objectives(void **state)
{
    (void)state;
    for (enum objective k = OBJECTIVE_BOW; k <= OBJECTIVE_CAPTION; k++)
        for (size_t t = 0; t < TYPES; t++) {
            struct clip_config c = world_config("tiny-vit");
            float got[BATCH * BATCH], want[BATCH * BATCH];
            struct world w, ref;

            for (size_t i = 0; i < WAYS; i++)
                for (size_t m = 0; m < (i || t ? 1 : MODELS); m++)
                    check(m, t, i, k);
            c.objective = k;
            open_config(&w, types[t].act, false, &c, 7);
            world_open(&ref, REF_DOUBLE, &c, BATCH, 7);
            score(&ref, &ways[0], want);
            for (size_t i = 0; i < WAYS; i++) {
                score(&w, &ways[i], got);
                for (int n = 0; n < BATCH * BATCH; n++)
                    assert_true(fabsf(got[n] - want[n]) <
                                (t ? 2e-2f : 1e-4f) * fabsf(want[n]));
            }
            world_close(&w);
            world_close(&ref);
        }
}

/* One batch's outcome. */
static void compute(struct world *w, const struct clip_options *o,
                    const struct clip_batch *b, struct outcome *out)
{
    size_t side = (size_t)w->n * (size_t)w->m.config.embed_dim;
    float *features = calloc(2 * side, sizeof *features);
    struct err e = ERR_INIT;

    assert_non_null(features);
    if (clip_gradients(&w->m, o, b, &out->loss, features, features + side, &e))
        fail_msg("%s", e.message);
    out->numbers = world_numbers(w);
    out->features = calloc(2 * side, sizeof *out->features);
    assert_non_null(out->features);
    dtype_convert(out->features, DTYPE_F64, features, DTYPE_F32, 2 * side);
    free(features);
}

static void step(struct world *w, const struct clip_options *o, uint64_t seed,
                 struct outcome *out)
{
    struct clip_batch b;

    world_captions(w, seed);
    b = world_batch(w);
    compute(w, o, &b, out);
}

/* Batches whose packed captions take different numbers of rows: recorded,
 * repeated, taken up again.  The ResNet, which takes its time here, in the last
 * way, which has the parts of the others. */
static void test_clip_cuda__graphs_change_no_bit(void **state)
{
    static const uint64_t seeds[] = {1, 1, 2, 1, 2, 3, 2};

    (void)state;
    for (size_t m = 0; m < MODELS; m++)
        for (size_t i = m ? WAYS - 1 : 0; i < WAYS; i++) {
            struct world w, eager;
            struct err e = ERR_INIT;

            open_cuda(&w, DTYPE_BF16, false, models[m], 7);
            open_cuda(&eager, DTYPE_BF16, true, models[m], 7);
            assert_int_equal(clip_plan(&w.m, &ways[i], BATCH, &e), 0);
            assert_int_equal(clip_plan(&eager.m, &ways[i], BATCH, &e), 0);
            for (size_t k = 0; k < sizeof seeds / sizeof *seeds; k++) {
                struct outcome a, b;

                step(&w, &ways[i], seeds[k], &a);
                step(&eager, &ways[i], seeds[k], &b);
                outcome_equal(&w, &a, &b);
                outcome_release(&a);
                outcome_release(&b);
            }
            world_close(&w);
            world_close(&eager);
        }
}

/* ---- what travels ahead ---- */

#define STEPS 4 /* op by op, recorded, repeated, repeated */

/* Batches of bytes in two buffers that take turns, as a run has them. */
struct journey {
    struct world w;
    struct clip_batch batch[2];
    uint8_t *pixels[2];
    int32_t *ids[2];
    uint64_t at;
};

static size_t journey_bytes(const struct journey *t)
{
    int64_t size = t->w.m.config.vision.image_size;

    return BATCH * pixel_bytes(PIXEL_BYTE, DTYPE_F32, size);
}

static void fill(struct journey *t, uint64_t step)
{
    uint64_t s = random_stream(step, STR("bytes"));
    int context = t->w.m.config.text.context_length;
    int k = (int)(step % 2);

    for (size_t i = 0; i < journey_bytes(t); i++)
        t->pixels[k][i] = (uint8_t)random_bits(s, i);
    world_captions(&t->w, step);
    memcpy(t->ids[k], t->w.ids, BATCH * (size_t)context * sizeof *t->ids[k]);
}

static const struct clip_batch *next_batch(void *ctx)
{
    struct journey *t = ctx;

    if (t->at + 1 == STEPS)
        return NULL;
    fill(t, t->at + 1);
    return &t->batch[(t->at + 1) % 2];
}

static void journey_open(struct journey *t, const char *model,
                         const struct clip_options *o)
{
    const double mean[] = {0.5, 0.4, 0.45}, std[] = {0.26, 0.27, 0.28};
    struct err e = ERR_INIT;

    open_cuda(&t->w, DTYPE_BF16, !o->ahead, model, 7);
    t->at = 0;
    for (int k = 0; k < 2; k++) {
        int context = t->w.m.config.text.context_length;

        t->pixels[k] = malloc(journey_bytes(t));
        t->ids[k] = malloc(BATCH * (size_t)context * sizeof *t->ids[k]);
        assert_true(t->pixels[k] && t->ids[k]);
        if (o->ahead)
            device_pin(&t->w.d, t->pixels[k], journey_bytes(t));
        t->batch[k] =
            (struct clip_batch){.n = BATCH,
                                .pixels = {.kind = PIXEL_BYTE,
                                           .x = t->pixels[k],
                                           .norm = pixel_norm_of(mean, std)},
                                .captions = {BATCH, context, t->ids[k]},
                                .next = next_batch,
                                .ctx = t};
    }
    assert_int_equal(clip_plan(&t->w.m, o, BATCH, &e), 0);
}

static void journey_close(struct journey *t)
{
    for (int k = 0; k < 2; k++) {
        device_unpin(&t->w.d, t->pixels[k]);
        free(t->pixels[k]);
        free(t->ids[k]);
    }
    world_close(&t->w);
}

/* The buffer is another's behind its step, as a maker's in a run. */
static void journey_step(struct journey *t, const struct clip_options *o,
                         struct outcome *out)
{
    int k = (int)(t->at % 2);

    if (!o->ahead || !t->at)
        fill(t, t->at);
    compute(&t->w, o, &t->batch[k], out);
    memset(t->pixels[k], 0x77, journey_bytes(t));
    memset(t->ids[k], 0, sizeof *t->ids[k]);
    t->at++;
}

static void check_journey(const char *model, const struct clip_options *o)
{
    struct clip_options ahead = *o, here = *o;
    struct outcome want[STEPS], got;
    struct journey t;

    ahead.pixels = here.pixels = PIXEL_BYTE;
    ahead.ahead = true;
    journey_open(&t, model, &here);
    assert_null(t.w.d.landing);
    for (int i = 0; i < STEPS; i++)
        journey_step(&t, &here, &want[i]);
    journey_close(&t);
    for (int early = 0; early < 2; early++) {
#ifdef WITMILL_EMULATED
        emulate_early(early);
#endif
        journey_open(&t, model, &ahead);
        for (int i = 0; i < STEPS; i++) {
            journey_step(&t, &ahead, &got);
            outcome_equal(&t.w, &got, &want[i]);
            outcome_release(&got);
        }
        assert_int_equal(t.w.d.landing_size,
                         journey_bytes(&t) / BATCH *
                             (size_t)(o->chunk ? o->chunk : BATCH));
        assert_true(device_stood(&t.w.d) > 0);
        journey_close(&t);
    }
#ifdef WITMILL_EMULATED
    emulate_early(0);
#endif
    for (int i = 0; i < STEPS; i++)
        outcome_release(&want[i]);
}

/* With the copies done as late as can be, and as early. */
static void test_clip_cuda__ahead_changes_no_bit(void **state)
{
    (void)state;
    check_journey("tiny-vit", &ways[1]);
    check_journey("tiny-vit", &ways[2]);
    check_journey("tiny-resnet", &ways[2]);
}

#ifdef WITMILL_EMULATED
/* A chunk's copy is ordered twice: behind the last one's and before its ops.
 * Two chunks are put twice.  The host waits as often as without. */
static void test_clip_cuda__ahead_waits_no_more(void **state)
{
    static const struct {
        int way;
        uint64_t orders;
    } cases[] = {{1, 2}, {2, 8}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct clip_options o = ways[cases[i].way];
        struct emulate_counts before, behind;
        struct err e = ERR_INIT;
        struct journey t;
        double loss;

        o.pixels = PIXEL_BYTE;
        o.ahead = true;
        journey_open(&t, "tiny-vit", &o);
        fill(&t, 0);
        for (; t.at < STEPS - 1; t.at++) {
            before = emulate_counted();
            assert_int_equal(clip_gradients(&t.w.m, &o, &t.batch[t.at % 2],
                                            &loss, NULL, NULL, &e),
                             0);
            behind = emulate_counted();
            assert_int_equal(behind.allocations, before.allocations);
            if (!o.chunk)
                assert_int_equal(behind.waits - before.waits, 2);
            if (t.at)
                assert_int_equal(behind.orders - before.orders,
                                 cases[i].orders);
        }
        journey_close(&t);
    }
}

/* Graphs that do not fit: others make room, or steps go on op by op, with the
 * same bits; a step never fails for it. */
static void test_clip_cuda__graphs_without_memory(void **state)
{
    struct world w, eager;
    struct err e = ERR_INIT;
    uint64_t graphs = 0;

    (void)state;
    open_cuda(&w, DTYPE_BF16, false, "tiny-vit", 7);
    open_cuda(&eager, DTYPE_BF16, true, "tiny-vit", 7);
    assert_int_equal(clip_plan(&w.m, &ways[2], BATCH, &e), 0);
    assert_int_equal(clip_plan(&eager.m, &ways[2], BATCH, &e), 0);
    for (int i = 0; i < 8; i++) {
        struct outcome a, b;

        emulate_refuse_graphs(i == 3 ? 1 : 0);
        emulate_memory(i == 4 || i == 5 ? 1 << 20 : SIZE_MAX);
        graphs = emulate_counted().graphs;
        step(&w, &ways[2], (uint64_t)(i / 2), &a);
        step(&eager, &ways[2], (uint64_t)(i / 2), &b);
        outcome_equal(&w, &a, &b);
        outcome_release(&a);
        outcome_release(&b);
        graphs = emulate_counted().graphs - graphs;
    }
    assert_true(graphs > 0);
    emulate_memory(SIZE_MAX);
    world_close(&w);
    world_close(&eager);
}

/* A plan leaves some memory to what comes later. */
static void test_clip_cuda__leaves_memory(void **state)
{
    struct err e = ERR_INIT;
    struct device d;

    (void)state;
    assert_int_equal(cuda_open(&d, DTYPE_BF16, &(struct cuda_options){0}, &e),
                     0);
    emulate_memory((size_t)1200 << 20);
    device_plan_begin(&d);
    device_take(&d, (size_t)200 << 20);
    assert_int_equal(device_plan_end(&d, &e), -E_NOMEM);
    device_plan_begin(&d);
    device_take(&d, (size_t)170 << 20);
    assert_int_equal(device_plan_end(&d, &e), 0);
    emulate_memory(SIZE_MAX);
    device_close(&d);
}

/* A step of a whole batch waits for the two columns of losses, and for nothing
 * else; it allocates nothing, and what repeats is launched as graphs. */
static void test_clip_cuda__waits_at_the_end(void **state)
{
    struct emulate_counts before, behind;
    struct clip_batch b;
    struct err e = ERR_INIT;
    struct world w;
    double loss;

    (void)state;
    open_cuda(&w, DTYPE_BF16, false, "tiny-vit", 7);
    b = world_batch(&w);
    assert_int_equal(clip_plan(&w.m, &ways[1], BATCH, &e), 0);
    for (int i = 0; i < 4; i++) {
        before = emulate_counted();
        assert_int_equal(
            clip_gradients(&w.m, &ways[1], &b, &loss, NULL, NULL, &e), 0);
        behind = emulate_counted();
        assert_int_equal(behind.waits - before.waits, 2);
        assert_int_equal(behind.allocations, before.allocations);
        assert_int_equal(behind.graphs - before.graphs, i > 0);
        assert_true(behind.kernels > before.kernels);
    }
    world_close(&w);
}
#endif

/* On a device with memory of its own, room that was planned for bytes is too
 * small for numbers. */
static void test_clip_cuda__numbers_where_bytes_were_planned(void **state)
{
    const struct clip_options o = {.pixels = PIXEL_BYTE};
    struct err e = ERR_INIT;
    struct clip_batch b;
    struct world w;
    double loss;

    (void)state;
    open_cuda(&w, DTYPE_F32, true, "tiny-vit", 1);
    assert_int_equal(clip_plan(&w.m, &o, BATCH, &e), 0);
    b = world_batch(&w);
    assert_int_equal(clip_gradients(&w.m, &o, &b, &loss, NULL, NULL, &e),
                     -E_TOOBIG);
    world_bytes(&w, false);
    b = world_batch(&w);
    e = (struct err)ERR_INIT;
    if (clip_gradients(&w.m, &o, &b, &loss, NULL, NULL, &e))
        fail_msg("%s", e.message);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clip_cuda__against_reference),
        cmocka_unit_test(test_clip_cuda__other_objectives),
        cmocka_unit_test(test_clip_cuda__graphs_change_no_bit),
        cmocka_unit_test(test_clip_cuda__ahead_changes_no_bit),
#ifdef WITMILL_EMULATED
        cmocka_unit_test(test_clip_cuda__ahead_waits_no_more),
        cmocka_unit_test(test_clip_cuda__numbers_where_bytes_were_planned),
        cmocka_unit_test(test_clip_cuda__graphs_without_memory),
        cmocka_unit_test(test_clip_cuda__leaves_memory),
        cmocka_unit_test(test_clip_cuda__waits_at_the_end),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
