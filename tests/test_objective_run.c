/* Runs of the objectives that predict captions: their loss falls, runs repeat
 * to the last bit, the file says what it is and comes back, and what was
 * learned tells pictures' captions from others. */
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
#include "base/log.h"
#include "base/mem.h"
#include "tests/all_scores.h"
#include "tests/folder.h"
#include "train/pairs.h"
#include "train/run.h"
#include "train/safetensors.h"
#include "train/weights.h"

static const enum objective both[] = {OBJECTIVE_BOW, OBJECTIVE_CAPTION};

static struct run_config small_run(enum objective objective, uint64_t steps)
{
    bool cpu = backend_built(BACKEND_CPU);
    struct run_config c = {.backend = cpu ? BACKEND_CPU : BACKEND_REF,
                           .device = {.threads = 1},
                           .batch = 16,
                           .steps = steps,
                           .caption_tokens = 12,
                           .options = {.packed = true, .reduce = true}};

    assert_int_equal(clip_config_find(&c.model, "tiny-vit", NULL), 0);
    c.model.objective = objective;
    optim_defaults(&c.optim, &c.model);
    c.optim.lr = 3e-3;
    c.optim.warmup = 10;
    c.optim.total = steps;
    return c;
}

static void play(const struct run_config *c, struct run_summary *s)
{
    struct err e = ERR_INIT;

    if (run_train(c, s, &e))
        fail_msg("%s", e.message);
}

/* ---- what was learned ---- */

#define HELD 16       /* pairs that no step has seen */
#define FAR  10000000 /* the first of them */

/* By how much the own captions of held-back pictures are likelier than all of
 * them are on average. */
static double own_likelier(struct clip *m)
{
    const struct clip_options o = {.packed = true, .pixels = PIXEL_BYTE};
    const size_t size = (size_t)m->config.vision.image_size;
    const int context = m->config.text.context_length;
    uint8_t *pixels = xmalloc(HELD * 3 * size * size);
    int32_t *ids = xcalloc(HELD * (size_t)context, sizeof *ids);
    const struct captions c = {.n = HELD, .context = context, .ids = ids};
    float scores[HELD * HELD];
    struct err e = ERR_INIT;
    struct pixels x = {PIXEL_BYTE, pixels, pairs_norm()};
    struct pairs p;
    double sum = 0;

    assert_int_equal(pairs_init(&p, &m->config, 0, context, &e), 0);
    for (int i = 0; i < HELD; i++) {
        pairs_picture(&p, FAR + (uint64_t)i,
                      pixels + (size_t)i * 3 * size * size);
        pairs_caption(&p, FAR + (uint64_t)i, ids + (ptrdiff_t)i * context);
    }
    if (clip_plan(m, &o, HELD, &e) ||
        all_scores(m, &o, HELD, &x, &c, scores, &e))
        fail_msg("%s", e.message);
    for (int i = 0; i < HELD; i++)
        for (int k = 0; k < HELD; k++)
            sum += (double)(scores[i * HELD + i] - scores[i * HELD + k]);
    pairs_release(&p);
    free(pixels);
    free(ids);
    return sum / HELD / HELD;
}

/* A model of the objective that the file says, with its weights. */
static void load(struct clip *m, struct device *d, const char *path)
{
    const struct backend_options one = {.threads = 1};
    bool cpu = backend_built(BACKEND_CPU);
    struct err e = ERR_INIT;
    struct clip_config c;

    if (backend_open(d, cpu ? BACKEND_CPU : BACKEND_REF, DTYPE_F32, &one, &e) ||
        weights_config(&c, path, &e) || clip_open(m, d, &c, STORE_READ, &e) ||
        weights_load(m, path, false, &e))
        fail_msg("%s", e.message);
}

static void test_objective_run__learns(void **state)
{
    bool cpu = backend_built(BACKEND_CPU);

    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct run_config c = small_run(both[k], cpu ? 300 : 30);
        struct run_summary s;
        struct device d;
        struct clip m;
        double margin;

        c.save = at("learned.safetensors");
        play(&c, &s);
        load(&m, &d, c.save);
        assert_int_equal(m.config.objective, both[k]);
        margin = own_likelier(&m);
        print_message("%s: loss %.3f, then %.3f; own captions likelier by "
                      "%.3f\n",
                      objective_names[both[k]], s.first, s.last, margin);
        assert_true(fabs(s.first - log(512)) < 0.5);
        assert_true(s.last < (cpu ? 0.85 : 0.95) * s.first);
        assert_true(!cpu || margin > 0.02);
        clip_close(&m);
        device_close(&d);
    }
}

static void test_objective_run__same_bytes(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct buf file[2];
        struct run_summary s;

        for (int i = 0; i < 2; i++) {
            struct run_config c = small_run(both[k], 4);

            c.device.threads = 1 + i;
            c.feed_threads = 1 + i;
            c.save = at("same.safetensors");
            play(&c, &s);
            buf_init(&file[i], BUF_NO_LIMIT);
            assert_int_equal(io_read_file(c.save, &file[i], NULL), 0);
        }
        assert_true(str_eq(buf_str(&file[0]), buf_str(&file[1])));
        buf_release(&file[0]);
        buf_release(&file[1]);
    }
}

/* ---- files ---- */

/* Names that a file has and a contrastive model's has not. */
static void check_names(const char *path, enum objective objective)
{
    static const char *const own[] = {NULL, "bow.weight", "caption.projection"};
    struct safetensors file;
    struct err e = ERR_INIT;
    struct device d;
    struct clip m;
    struct clip_config c;
    int more = 0;

    assert_int_equal(clip_config_find(&c, "tiny-vit", NULL), 0);
    assert_int_equal(backend_open(&d, BACKEND_REF, DTYPE_F32,
                                  &(struct backend_options){0}, &e),
                     0);
    assert_int_equal(clip_open(&m, &d, &c, STORE_READ, &e), 0);
    assert_int_equal(safetensors_open(&file, path, &e), 0);
    for (size_t i = 0; i < file.n; i++) {
        struct str name = file.list[i].name;

        if (store_find(&m.store, name) >= 0)
            continue;
        assert_true(own[objective] && str_eq(name, str_of(own[objective])));
        more++;
    }
    assert_int_equal(more, objective != OBJECTIVE_CONTRASTIVE);
    assert_int_equal((int)file.n, m.store.n + more);
    safetensors_close(&file);
    /* other weights do not pass for a contrastive model's */
    assert_int_equal(weights_load(&m, path, false, &e),
                     objective ? -E_STALE : 0);
    if (objective)
        assert_non_null(strstr(e.message, "objective"));
    clip_close(&m);
    device_close(&d);
}

static void test_objective_run__files(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        struct run_config c = small_run((enum objective)k, 1);
        const char *theirs = at("theirs.safetensors");
        struct err e = ERR_INIT;
        struct run_summary s;
        struct device d;
        struct clip m;

        c.save = at("names.safetensors");
        play(&c, &s);
        check_names(c.save, (enum objective)k);
        load(&m, &d, c.save);
        assert_int_equal(m.config.objective, k);
        assert_int_equal(weights_save(&m, WEIGHTS_TRANSFORMERS, theirs, &e),
                         k ? -E_UNSUPPORTED : 0);
        clip_close(&m);
        device_close(&d);
    }
}

static void test_objective_run__config(void **state)
{
    struct clip_config c, back;
    struct err e = ERR_INIT;
    struct buf b;

    (void)state;
    for (int k = 0; k < 3; k++) {
        assert_int_equal(clip_config_find(&c, "ViT-B-32", &e), 0);
        c.objective = (enum objective)k;
        buf_init(&b, CONFIG_JSON_MAX);
        clip_config_write(&c, &b);
        assert_int_equal(clip_config_parse(&back, buf_str(&b), "x", &e), 0);
        assert_true(clip_config_equal(&c, &back));
        assert_string_equal(back.name, "ViT-B-32");
        buf_add_char(&b, '\0');
        assert_int_equal(strstr(b.p, "objective") != NULL, k > 0);
        buf_release(&b);
        back.objective = (enum objective)((k + 1) % 3);
        assert_string_equal(clip_config_differs(&c, &back), "objective");
    }
    assert_int_equal(
        clip_config_parse(&c,
                          STR("{\"embed_dim\":512,\"objective\":\"rhyme\","
                              "\"vision_cfg\":{},\"text_cfg\":{}}"),
                          "x", &e),
        -E_UNSUPPORTED);
    assert_non_null(strstr(e.message, "rhyme"));
}

static int setup(void **state)
{
    log_quiet(true);
    return folder_setup(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objective_run__learns),
        cmocka_unit_test(test_objective_run__same_bytes),
        cmocka_unit_test(test_objective_run__files),
        cmocka_unit_test(test_objective_run__config),
    };

    return cmocka_run_group_tests(tests, setup, folder_teardown);
}
