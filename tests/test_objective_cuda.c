/* The objectives that predict captions on the cuda backend: near the reference
 * in double, whole and in chunks, gradients and scores. */
#include "tests/all_scores.h"
#include "tests/clip_cuda.h"

/* Scores of all pictures and captions. */
static void score(struct world *w, const struct clip_options *o, float *out)
{
    struct clip_batch b = world_batch(w);
    struct err e = ERR_INIT;

    if (clip_plan(&w->m, o, BATCH, &e) ||
        all_scores(&w->m, o, BATCH, &b.pixels, &b.captions, out, &e))
        fail_msg("%s", e.message);
}

static void test_objective_cuda__as_the_reference(void **state)
{
    (void)state;
    for (enum objective k = OBJECTIVE_BOW; k <= OBJECTIVE_CAPTION; k++)
        for (size_t t = 0; t < TYPES; t++) {
            struct clip_config c = world_config("tiny-vit");
            float got[BATCH * BATCH], want[BATCH * BATCH];
            struct world w, ref;

            for (size_t i = 0; i < WAYS; i++)
                for (size_t m = 0; m < (i ? 1 : MODELS); m++)
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objective_cuda__as_the_reference),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
