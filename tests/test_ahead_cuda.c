/* Pixels that travel while the device computes: the same bits as without, and
 * no more waiting. */
#include "tests/clip_cuda.h"

#define STEPS 5

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
static void test_ahead_cuda__changes_no_bit(void **state)
{
    (void)state;
    check_journey("tiny-vit", &ways[1]);
    check_journey("tiny-vit", &ways[2]);
    check_journey("tiny-resnet", &ways[2]);
}

#ifdef WITMILL_EMULATED
/* A chunk's copy is ordered twice: behind the last one's and before its ops.
 * Two chunks are put twice.  The host waits as often as without. */
static void test_ahead_cuda__waits_no_more(void **state)
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
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ahead_cuda__changes_no_bit),
#ifdef WITMILL_EMULATED
        cmocka_unit_test(test_ahead_cuda__waits_no_more),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
