/* Ranks over MPI: each runs this program (mpirun -n R mpi_ranks), with its
 * share of the same global batch, and compares what comes out with the batch
 * computed alone; see tests/check_ranks.py. */
#include "tests/clip_world.h"
#include "train/collective.h"

#define BATCH 8

static struct collective ranks;

static const struct {
    const char *model;
    struct clip_options o;
    enum objective objective;
} cases[] = {
    {"tiny-vit", {.packed = true, .reduce = true}, OBJECTIVE_CONTRASTIVE},
    {"tiny-vit", {.chunk = 1, .recompute = true}, OBJECTIVE_CONTRASTIVE},
    {"tiny-vit", {.loss = LOSS_SIGMOID}, OBJECTIVE_CONTRASTIVE},
    {"tiny-resnet", {.bn_batch = 2}, OBJECTIVE_CONTRASTIVE},
    {"tiny-resnet", {.bn_batch = 2, .chunk = 2}, OBJECTIVE_CONTRASTIVE},
    {"tiny-vit", {.packed = true, .chunk = 1}, OBJECTIVE_BOW},
    {"tiny-resnet", {.bn_batch = 2}, OBJECTIVE_BOW},
    {"tiny-vit", {.packed = true}, OBJECTIVE_CAPTION},
    {"tiny-resnet", {.bn_batch = 2, .chunk = 2}, OBJECTIVE_CAPTION},
};
#define CASES (sizeof cases / sizeof *cases)

static const struct {
    enum world_device device;
    double limit; /* other sums: of rows in parts, of gradients by ranks */
} devices[] = {{REF_DOUBLE, 1e-9}, {CPU_FLOAT, 5e-4}, {CPU_BF16, 0.15}};
#define DEVICES (sizeof devices / sizeof *devices)

/* This rank's pairs alone are left in w. */
static void keep_share(struct world *w)
{
    const struct clip_config *c = &w->m.config;
    size_t side = (size_t)c->vision.image_size;
    size_t picture = 3 * side * side * dtype_size(w->d.real);
    size_t caption = (size_t)c->text.context_length * sizeof *w->ids;
    size_t n = (size_t)w->n / (size_t)ranks.size;
    size_t first = n * (size_t)ranks.rank;

    memmove((void *)w->pixels.x, (const char *)w->pixels.x + first * picture,
            n * picture);
    memmove(w->ids, (char *)w->ids + first * caption, n * caption);
    w->n = (int)n;
}

/* Features are the share's: compared by hand. */
static void check_features(const struct world *w, const struct outcome *got,
                           const struct outcome *want, double limit)
{
    size_t dim = (size_t)w->m.config.embed_dim, share = (size_t)w->n * dim;
    size_t first = (size_t)ranks.rank * share;

    for (size_t i = 0; i < share; i++) {
        const double *b = want->features + first + i;

        if (fabs(got->features[i] - b[0]) > limit ||
            fabs(got->features[share + i] - b[BATCH * dim]) > limit)
            fail_msg("rank %d: feature %zu differs", ranks.rank, i);
    }
}

static void check_case(size_t i, size_t k)
{
    struct clip_config c = world_config(cases[i].model);
    struct clip_options o = cases[i].o;
    struct outcome got, want;
    struct world w, alone;

    c.objective = cases[i].objective;
    c.logit_bias = o.loss == LOSS_SIGMOID;
    c.init_logit_bias = -2;
    world_open(&alone, devices[k].device, &c, BATCH, 7);
    world_run(&alone, &o, &want);
    world_open(&w, devices[k].device, &c, BATCH, 7);
    keep_share(&w);
    o.ranks = &ranks;
    world_run(&w, &o, &got);
    check_features(&w, &got, &want, devices[k].limit);
    w.n = 0; /* the rest is of the whole batch */
    outcome_compare(&w, &got, &want, devices[k].limit);
    outcome_release(&got);
    outcome_release(&want);
    world_close(&w);
    world_close(&alone);
}

static void test_ranks__equal_the_batch(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES; i++)
        for (size_t k = 0; k < DEVICES; k++)
            if (world_has(devices[k].device))
                check_case(i, k);
}

/* Sums of counts that leave ranks parts of different lengths, and of more than
 * one round; every rank has the same bits. */
static void test_ranks__sums(void **state)
{
    static const int64_t counts[] = {1, 2, 3, 7, 65536, 65537, 300001};
    const double all = ranks.size;

    (void)state;
    for (int wide = 0; wide < 2; wide++) {
        struct device d;
        struct err e = ERR_INIT;

        assert_int_equal(ref_open(&d, wide ? DTYPE_F64 : DTYPE_F32, &e), 0);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            int64_t n = counts[i];
            double *x = malloc((size_t)n * sizeof *x);
            void *p = device_alloc(&d, (size_t)n * sizeof *x, &e);

            assert_true(x && p);
            for (int64_t t = 0; t < n; t++)
                x[t] = (double)(t % 100) + 1000 * ranks.rank;
            dtype_convert(p, d.real, x, DTYPE_F64, (size_t)n);
            ranks.sum(&ranks, &d, p, n);
            dtype_convert(x, DTYPE_F64, p, d.real, (size_t)n);
            for (int64_t t = 0; t < n; t++)
                if (x[t] != all * (double)(t % 100) + 500 * all * (all - 1))
                    fail_msg("number %lld of %lld: %g", (long long)t,
                             (long long)n, x[t]);
            free(x);
            device_free(&d, p);
        }
        assert_int_equal(device_check(&d, &e), 0);
        device_close(&d);
    }
}

static void test_ranks__tell(void **state)
{
    int32_t words[5] = {ranks.rank, 1, 2, 3, ranks.rank};
    struct device d;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(ref_open(&d, DTYPE_F32, &e), 0);
    ranks.tell(&ranks, &d, words, sizeof words);
    assert_int_equal(words[0], 0);
    assert_int_equal(words[4], 0);
    device_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks__sums),
        cmocka_unit_test(test_ranks__tell),
        cmocka_unit_test(test_ranks__equal_the_batch),
    };
    struct err e = ERR_INIT;
    int failed;

    if (collective_mpi(&ranks, &e)) {
        fprintf(stderr, "%s\n", e.message);
        return 1;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    collective_close(&ranks);
    return failed;
}
