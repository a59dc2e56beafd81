/* What stands between a model and those who rank by its features: numbers that
 * are none do not pass, nor texts that nobody compares with pictures. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/shards_world.h"
#include "tests/tokenizer_world.h"
#include "train/encoder.h"
#include "train/op.h"
#include "train/ref/ref.h"

#define BATCH 2

static const struct clip_options options = {
    .packed = true, .reduce = true, .pixels = PIXEL_BYTE};

struct opened {
    struct device d;
    struct clip m;
    struct tokenizer *t;
};

static void open_seeing(struct opened *o, enum dtype real, enum objective what,
                        const struct config_pictures *p)
{
    struct clip_config c;

    *o = (struct opened){.t = tokenizer_world()};
    WORLD_MUST(clip_config_find(&c, "tiny-vit", we));
    c.pictures = *p;
    c.text.vocab_size = tokenizer_vocab(o->t);
    c.objective = what;
    WORLD_MUST(ref_open(&o->d, real, we));
    WORLD_MUST(clip_open(&o->m, &o->d, &c, STORE_READ, we));
    WORLD_MUST(clip_initialise(&o->m, 3, we));
    WORLD_MUST(clip_plan(&o->m, &options, BATCH, we));
}

static void open_model(struct opened *o, enum dtype real, enum objective what)
{
    open_seeing(o, real, what, &config_pictures_clip);
}

static void close_model(struct opened *o)
{
    clip_close(&o->m);
    device_close(&o->d);
    tokenizer_close(o->t);
}

/* x in the place of a tensor's last number. */
static void put_last(struct opened *o, const char *name, double x)
{
    struct store *s = &o->m.store;
    int i = store_find(s, str_of(name));
    size_t count;
    double *all;

    assert_true(i >= 0);
    count = (size_t)s->list[i].count;
    all = malloc(count * sizeof *all);
    assert_non_null(all);
    store_get(s, &o->d, i, all, DTYPE_F64);
    all[count - 1] = x;
    store_put(s, &o->d, i, all, DTYPE_F64);
    free(all);
}

static int pictures(struct opened *o, struct encoder *n, struct err *e)
{
    size_t side = (size_t)o->m.config.vision.image_size;
    uint8_t *rgb = calloc(BATCH, 3 * side * side);
    float features[BATCH * 512];
    int rc;

    assert_non_null(rgb);
    assert_true(n->dim <= 512);
    rc = encoder_pictures(n, BATCH, rgb, features, e);
    free(rgb);
    return rc;
}

static int texts(struct encoder *n, struct err *e)
{
    float features[BATCH * 512];

    for (int i = 0; i < BATCH; i++)
        WORLD_MUST(encoder_put(n, i, STR("a red square"), we));
    return encoder_texts(n, BATCH, features, e);
}

/* Of a picture whose products are no numbers no text stands before its own:
 * every one would be found at once. */
static void test_encoder__not_finite(void **state)
{
    static const double bad[] = {NAN, INFINITY};

    (void)state;
    for (int k = 0; k < 4; k++) {
        struct err e = ERR_INIT;
        struct encoder n;
        struct opened o;

        open_model(&o, k < 2 ? DTYPE_F32 : DTYPE_F64, OBJECTIVE_CONTRASTIVE);
        WORLD_MUST(encoder_open(&n, &o.m, &options, BATCH, o.t, we));
        assert_int_equal(pictures(&o, &n, NULL), 0);
        assert_int_equal(texts(&n, NULL), 0);
        put_last(&o, "visual.proj", bad[k % 2]);
        assert_int_equal(texts(&n, NULL), 0);
        assert_int_equal(pictures(&o, &n, &e), -E_RANGE);
        assert_non_null(strstr(e.message, "pictures"));
        e = (struct err)ERR_INIT;
        put_last(&o, "visual.proj", 1);
        assert_int_equal(pictures(&o, &n, NULL), 0);
        put_last(&o, "text_projection", bad[k % 2]);
        assert_int_equal(texts(&n, &e), -E_RANGE);
        assert_non_null(strstr(e.message, "texts"));
        encoder_close(&n);
        close_model(&o);
    }
}

/* Their text tower was not trained, or to say what comes next: figures of it
 * would look like those of a bad model.  Pictures have features. */
static void test_encoder__other_objectives(void **state)
{
    static const enum objective others[] = {OBJECTIVE_BOW, OBJECTIVE_CAPTION};

    (void)state;
    for (int k = 0; k < 2; k++) {
        struct err e = ERR_INIT;
        struct encoder n;
        struct opened o;

        open_model(&o, DTYPE_F32, others[k]);
        assert_int_equal(encoder_open(&n, &o.m, &options, BATCH, o.t, &e),
                         -E_UNSUPPORTED);
        assert_non_null(strstr(e.message, objective_names[others[k]]));
        encoder_close(&n);
        WORLD_MUST(encoder_open(&n, &o.m, &options, BATCH, NULL, we));
        assert_int_equal(pictures(&o, &n, NULL), 0);
        encoder_close(&n);
        close_model(&o);
    }
}

/* What a byte means is the model's to say: 255 is 1 to all three, 0 is not. */
static void test_encoder__pictures_of_the_model(void **state)
{
    static const struct config_pictures means[] = {
        {{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
        {{0, 0, 0}, {1, 1, 1}},
        {{0.75, 0.5, 0}, {0.25, 0.5, 1}}};
    static const uint8_t bytes[] = {255, 0};
    float all[3][2][BATCH * 512];

    (void)state;
    for (int k = 0; k < 3; k++) {
        struct encoder n;
        struct opened o;
        size_t square;
        uint8_t *rgb;

        open_seeing(&o, DTYPE_F32, OBJECTIVE_CONTRASTIVE, &means[k]);
        WORLD_MUST(encoder_open(&n, &o.m, &options, BATCH, NULL, we));
        square = 3 * (size_t)o.m.config.vision.image_size *
                 (size_t)o.m.config.vision.image_size;
        rgb = malloc(BATCH * square);
        assert_non_null(rgb);
        for (int i = 0; i < 2; i++) {
            memset(rgb, bytes[i], BATCH * square);
            WORLD_MUST(encoder_pictures(&n, BATCH, rgb, all[k][i], we));
        }
        free(rgb);
        for (int i = 0; i < n.dim && k; i++)
            assert_true(fabsf(all[k][0][i] - all[0][0][i]) < 1e-5f);
        if (k)
            assert_memory_not_equal(all[k][1], all[0][1],
                                    (size_t)n.dim * sizeof(float));
        encoder_close(&n);
        close_model(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoder__not_finite),
        cmocka_unit_test(test_encoder__other_objectives),
        cmocka_unit_test(test_encoder__pictures_of_the_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
