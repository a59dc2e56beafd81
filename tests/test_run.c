/* Training runs on generated pairs: they learn, repeat bit for bit, give the
 * reference's losses, and stop where they must; what a step is counted as. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "tests/folder.h"
#include "train/flops.h"
#include "train/run.h"

static const char *const models[] = {"tiny-vit", "tiny-resnet"};

static struct run_config small_run(const char *model, enum backend backend,
                                   int batch, uint64_t steps)
{
    struct run_config c = {.backend = backend,
                           .batch = batch,
                           .steps = steps,
                           .caption_tokens = 12,
                           .options = {.packed = true, .reduce = true}};

    assert_int_equal(clip_config_find(&c.model, model, NULL), 0);
    optim_defaults(&c.optim, &c.model);
    c.optim.lr = 1e-3;
    c.optim.warmup = 10;
    c.optim.total = steps;
    return c;
}

/* The fastest backend that this build has. */
static enum backend fast(void)
{
    return backend_built(BACKEND_CPU) ? BACKEND_CPU : BACKEND_REF;
}

static void play(const struct run_config *c, struct run_summary *s)
{
    struct err e = ERR_INIT;

    if (run_train(c, s, &e))
        fail_msg("%s: %s", c->model.name, e.message);
}

static void test_run__learns(void **state)
{
    /* the reference has time for the first fall only */
    bool cpu = fast() == BACKEND_CPU;
    uint64_t steps = cpu ? 120 : 40;
    double share = cpu ? 0.92 : 1.02; /* of ln(batch) */
    int batch = cpu ? 16 : 8;

    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct run_config c = small_run(models[i], fast(), batch, steps);
        struct run_summary s;

        play(&c, &s);
        print_message("%s: loss %.3f, then %.3f; ln(batch) %.3f\n", models[i],
                      s.first, s.last, log(batch));
        assert_true(s.last < share * log(batch));
        assert_true(s.median_s > 0 && s.executed > 0);
        assert_true((double)s.useful > s.executed);
    }
}

/* The losses in a log, from its second line on; returns how many. */
static int losses(const char *path, double *out, int max)
{
    struct buf b;
    struct str rest, line, name;
    int n = -1;

    buf_init(&b, 1 << 20);
    assert_int_equal(io_read_file(path, &b, NULL), 0);
    rest = buf_str(&b);
    while (str_split(&rest, '\n', &line) && line.n) {
        struct json j;

        json_open(&j, line, NULL);
        json_object(&j);
        while (json_member(&j, &name)) {
            if (str_eq(name, STR("loss")) && n >= 0 && n < max)
                out[n] = json_double(&j);
            else
                json_skip(&j);
        }
        assert_int_equal(json_close(&j, NULL), 0);
        n++;
    }
    buf_release(&b);
    return n;
}

static void test_run__as_the_reference(void **state)
{
    enum { STEPS = 20 };
    (void)state;

    if (!backend_built(BACKEND_CPU)) {
        print_message("skipped: this build has no cpu backend\n");
        skip();
    }
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        double x[2][STEPS];
        struct run_summary s;

        for (int k = 0; k < 2; k++) {
            struct run_config c =
                small_run(models[i], k ? BACKEND_REF : BACKEND_CPU, 6, STEPS);

            c.log = at("log");
            play(&c, &s);
            assert_int_equal(losses(at("log"), x[k], STEPS), STEPS);
        }
        for (int k = 0; k < STEPS; k++)
            if (!(fabs(x[0][k] - x[1][k]) < 2e-3 * x[1][k]))
                fail_msg("%s, step %d: %.6f, the reference has %.6f", models[i],
                         k + 1, x[0][k], x[1][k]);
    }
}

static void test_run__same_bytes(void **state)
{
    struct buf file[3];

    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct run_summary s;

        for (int k = 0; k < 3; k++) {
            struct run_config c = small_run(models[i], fast(), 8, 3);

            c.save = at("w.safetensors");
            c.seed = k == 2;
            c.feed_threads = 1 + k;
            play(&c, &s);
            buf_init(&file[k], BUF_NO_LIMIT);
            assert_int_equal(io_read_file(c.save, &file[k], NULL), 0);
        }
        assert_true(str_eq(buf_str(&file[0]), buf_str(&file[1])));
        assert_false(str_eq(buf_str(&file[0]), buf_str(&file[2])));
        for (int k = 0; k < 3; k++)
            buf_release(&file[k]);
    }
}

/* The step that is taken apart comes behind what the run leaves. */
/* Weights of a run begin another one, also where pictures are larger; those of
 * another model do not. */
static void test_run__begins_with_weights(void **state)
{
    struct run_config c = small_run("tiny-vit", fast(), 8, 1), next;
    struct run_summary first, s;
    struct err e = ERR_INIT;

    (void)state;
    c.seed = 3;
    c.save = at("first.safetensors");
    play(&c, &first);

    next = c;
    next.save = NULL;
    next.seed = 3;
    next.optim.lr = 0;
    next.init = c.save;
    play(&next, &s);
    assert_true(s.first < first.first); /* the same pairs, after a step */
    next.model.vision.image_size += next.model.vision.image_size / 2;
    play(&next, &s);
    next = small_run("tiny-resnet", fast(), 8, 1);
    next.init = at("first.safetensors");
    assert_int_equal(run_train(&next, &s, &e), -E_STALE);
    assert_non_null(strstr(e.message, "another model"));
}

static void test_run__profile(void **state)
{
    struct run_config c = small_run("tiny-vit", fast(), 8, 3);
    struct run_summary plain, profiled;
    struct buf file[2], text;

    (void)state;
    c.save = at("p.safetensors");
    buf_init(&text, 1 << 20);
    for (int k = 0; k < 2; k++) {
        c.profile = k ? &text : NULL;
        play(&c, k ? &profiled : &plain);
        buf_init(&file[k], BUF_NO_LIMIT);
        assert_int_equal(io_read_file(c.save, &file[k], NULL), 0);
    }
    assert_true(str_eq(buf_str(&file[0]), buf_str(&file[1])));
    assert_true(plain.last == profiled.last);
    buf_add_char(&text, '\0');
    assert_int_equal(text.rc, 0);
    assert_non_null(strstr(text.p, "\nadamw "));
    assert_non_null(strstr(text.p, "\nattention_bwd "));
    assert_non_null(strstr(text.p, "\nall "));
    buf_release(&text);
    buf_release(&file[0]);
    buf_release(&file[1]);
}

static void test_run__stops(void **state)
{
    struct run_config c = small_run("tiny-vit", fast(), 8, 9);
    struct err e = ERR_INIT;
    struct run_summary s;

    (void)state;
    c.save = at("none.safetensors");
    c.optim.lr = 1e30;
    c.optim.warmup = 0;
    assert_int_equal(run_train(&c, &s, &e), -E_RANGE);
    assert_non_null(strstr(e.message, "step 2: the loss is not finite"));
    assert_false(io_exists(at("none.safetensors")));

    e = (struct err)ERR_INIT;
    c = small_run("tiny-vit", fast(), 8, 9);
    c.save = at("no/such/x");
    assert_int_equal(run_train(&c, &s, &e), -E_IO);
    assert_int_equal(io_write_file(at("file"), STR("x"), NULL), 0);
    c.save = at("file/x"); /* behind a file, and a folder, before the run */
    assert_int_equal(run_train(&c, &s, &e), -E_IO);
    c.save = at("");
    assert_int_equal(run_train(&c, &s, &e), -E_IO);
    c.save = "";
    assert_int_equal(run_train(&c, &s, &e), -E_RANGE);

    e = (struct err)ERR_INIT;
    c = small_run("tiny-vit", BACKEND_REF, 8, 9);
    c.act = DTYPE_BF16;
    assert_int_equal(run_train(&c, &s, &e), -E_UNSUPPORTED);

    e = (struct err)ERR_INIT;
    c = small_run("tiny-vit", BACKEND_CUDA, 8, 1);
    if (!backend_built(BACKEND_CUDA)) {
        assert_int_equal(run_train(&c, &s, &e), -E_UNSUPPORTED);
        assert_non_null(strstr(e.message, "no cuda backend"));
    }
}

/* A step's own count, every caption full, is what was foretold. */
static void test_flops__of_a_step(void **state)
{
    static const struct clip_options ways[] = {
        {0},
        {.reduce = true},
        {.recompute = true},
        {.chunk = 4, .bn_batch = 2},
        {.chunk = 4, .bn_batch = 4, .reduce = true, .recompute = true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
            struct run_config c = small_run(models[i], fast(), 8, 2);
            struct run_summary s;
            uint64_t flops;

            c.options = ways[k];
            c.caption_tokens = c.model.text.context_length;
            play(&c, &s);
            assert_int_equal(flops_of_step(&c.model, &ways[k], 8, &flops, NULL),
                             0);
            assert_true((double)flops == s.executed);
            assert_int_equal(k == 0, flops == s.useful);
        }
}

/* A batch that no device holds is told of, too: the larger, the more of it is
 * the loss. */
static void test_flops__of_huge_batches(void **state)
{
    static const int sizes[] = {1, 3, 100, 1 << 20, 1 << 24};

    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++)
        for (int loss = 0; loss < 2; loss++) {
            struct clip_options o = {.loss = (enum loss_kind)loss};
            struct clip_config c;
            double last = 0;

            assert_int_equal(clip_config_find(&c, models[i], NULL), 0);
            c.logit_bias = loss == LOSS_SIGMOID;
            for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
                /* of whole batches, and of one in pieces of itself: played */
                struct clip_options same = o;
                uint64_t flops, pieces;

                assert_int_equal(flops_of_step(&c, &o, sizes[k], &flops, NULL),
                                 0);
                assert_true((double)flops / sizes[k] > last);
                last = (double)flops / sizes[k];
                same.chunk = sizes[k];
                if (sizes[k] > 100)
                    continue;
                assert_int_equal(
                    flops_of_step(&c, &same, sizes[k], &pieces, NULL), 0);
                assert_true(flops == pieces);
            }
        }
}

/* Three forwards as open_clip's profile of its models has them; the first
 * layers have no gradient of pixels, and profilers differ in small change. */
static void test_flops__published(void **state)
{
    static const struct {
        const char *model;
        double gflop; /* forward, 2 a multiply-add, of one pair */
    } cases[] = {{"ViT-B-32", 14.78}, {"ViT-L-14", 175.33}, {"RN50", 18.18}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct clip_options plain = {0};
        struct clip_config c;
        uint64_t flops;
        double by;

        assert_int_equal(clip_config_find(&c, cases[i].model, NULL), 0);
        assert_int_equal(flops_of_step(&c, &plain, 64, &flops, NULL), 0);
        by = (double)flops * 1e-9 / 64 / 3 / cases[i].gflop;
        print_message("%s: %.2f GFLOP forward, %.3f of published\n",
                      cases[i].model, (double)flops * 1e-9 / 64 / 3, by);
        assert_true(by > 0.93 && by < 1.07);
    }
}

static int setup(void **state)
{
    log_quiet(true);
    return folder_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run__learns),
        cmocka_unit_test(test_run__as_the_reference),
        cmocka_unit_test(test_run__same_bytes),
        cmocka_unit_test(test_run__begins_with_weights),
        cmocka_unit_test(test_run__profile),
        cmocka_unit_test(test_run__stops),
        cmocka_unit_test(test_flops__of_a_step),
        cmocka_unit_test(test_flops__of_huge_batches),
        cmocka_unit_test(test_flops__published),
    };

    return cmocka_run_group_tests(tests, setup, folder_teardown);
}
