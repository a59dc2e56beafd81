/* train/classifier, and what it asks of train/encoder, for each objective:
 * scores of classes are the means of what the objective gives their prompts,
 * and an evaluation counts them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "tests/all_scores.h"
#include "tests/eval_world.h"
#include "tests/tokenizer_world.h"
#include "train/classifier.h"
#include "train/evaluator.h"
#include "train/ref/ref.h"

#define BATCH    5
#define PICTURES 4
#define NAMES    3
#define EACH     3 /* templates */
#define DIM_MAX  512

static const struct clip_options options = {
    .packed = true, .reduce = true, .pixels = PIXEL_BYTE};
static const char names[] = "cat\nhouse by the sea\nred squares\n";
static const char templates[] =
    "a photo of a {}.\n{}\na drawing of {} at night\n";

struct opened {
    struct device d;
    struct clip m;
    struct tokenizer *t;
    struct zeroshot_prompts p;
    uint8_t *rgb; /* BATCH squares, no two alike */
};

static void open_model(struct opened *o, enum dtype real, enum objective what)
{
    struct clip_config c;
    size_t bytes;

    *o = (struct opened){.t = tokenizer_world()};
    WORLD_MUST(clip_config_find(&c, "tiny-vit", we));
    c.text.vocab_size = tokenizer_vocab(o->t);
    c.objective = what;
    WORLD_MUST(ref_open(&o->d, real, we));
    WORLD_MUST(clip_open(&o->m, &o->d, &c, STORE_READ, we));
    WORLD_MUST(clip_initialise(&o->m, 3, we));
    WORLD_MUST(clip_plan(&o->m, &options, BATCH, we));
    WORLD_MUST(zeroshot_names(&o->p.names, STR(names), "names", we));
    WORLD_MUST(
        zeroshot_templates(&o->p.templates, STR(templates), "templates", we));
    assert_true(o->p.names.n == NAMES && o->p.templates.n == EACH);
    bytes = picture_bytes((uint32_t)c.vision.image_size);
    o->rgb = xcalloc(BATCH, bytes);
    for (size_t i = 0; i < BATCH * bytes; i++)
        o->rgb[i] = (uint8_t)((i + 7) * (i / bytes + 3) * 37 >> 2);
}

static void close_model(struct opened *o)
{
    free(o->rgb);
    zeroshot_prompts_release(&o->p);
    clip_close(&o->m);
    device_close(&o->d);
    tokenizer_close(o->t);
}

/* ---- by hand ---- */

/* Ids of every prompt, a class's behind each other: the caller's. */
static int32_t *prompt_ids(const struct opened *o)
{
    const size_t context = (size_t)o->m.config.text.context_length;
    int32_t *ids = xcalloc((size_t)NAMES * EACH * context, sizeof *ids);
    struct tokenizer_scratch scratch;
    struct buf text;

    tokenizer_scratch_init(&scratch);
    buf_init(&text, 1000);
    for (size_t i = 0; i < (size_t)NAMES * EACH; i++) {
        buf_clear(&text);
        zeroshot_prompt(o->p.templates.v[i % EACH], o->p.names.v[i / EACH],
                        &text);
        assert_true(tokenizer_caption(o->t, &scratch, buf_str(&text),
                                      (int)context, ids + i * context) > 2);
    }
    buf_release(&text);
    tokenizer_scratch_release(&scratch);
    return ids;
}

/* What a model that predicts captions says of n squares and all classes. */
static void by_hand(struct opened *o, int n, const uint8_t *rgb, double *out)
{
    const struct pixels x = {PIXEL_BYTE, rgb, clip_pixel_norm(&o->m.config)};
    const int context = o->m.config.text.context_length, all = NAMES * EACH;
    int32_t *ids = prompt_ids(o);
    const struct captions c = {all, context, ids};
    float likely[BATCH * NAMES * EACH];

    assert_true(n <= BATCH);
    WORLD_MUST(all_scores(&o->m, &options, n, &x, &c, likely, we));
    for (int i = 0; i < n * NAMES; i++) {
        out[i] = 0;
        for (int k = 0; k < EACH; k++) {
            int prompt = i % NAMES * EACH + k;
            int eot = caption_eot(ids + prompt * context, context);
            bool bow = o->m.config.objective == OBJECTIVE_BOW;

            out[i] += (double)likely[i / NAMES * all + prompt] /
                      (bow ? 1 : eot) / EACH;
        }
    }
    free(ids);
}

/* Mean over templates of normalised features, normalised; products. */
static void by_hand_contrastive(struct opened *o, int n, double *out)
{
    struct encoder e1;
    struct buf text;
    float f[BATCH * DIM_MAX], t[DIM_MAX];
    size_t dim = (size_t)o->m.config.embed_dim;

    WORLD_MUST(encoder_open(&e1, &o->m, &options, BATCH, o->t, we));
    WORLD_MUST(encoder_pictures(&e1, n, o->rgb, f, we));
    buf_init(&text, 1000);
    for (size_t k = 0; k < NAMES; k++) {
        double row[DIM_MAX] = {0}, norm = 0;

        for (size_t i = 0; i < EACH; i++) {
            buf_clear(&text);
            zeroshot_prompt(o->p.templates.v[i], o->p.names.v[k], &text);
            WORLD_MUST(encoder_put(&e1, 0, buf_str(&text), we));
            WORLD_MUST(encoder_texts(&e1, 1, t, we));
            for (size_t c = 0; c < dim; c++)
                row[c] += (double)t[c];
        }
        for (size_t c = 0; c < dim; c++)
            norm += row[c] * row[c];
        for (size_t i = 0; i < (size_t)n; i++) {
            out[i * NAMES + k] = 0;
            for (size_t c = 0; c < dim; c++)
                out[i * NAMES + k] +=
                    row[c] * (double)f[i * dim + c] / sqrt(norm);
        }
    }
    buf_release(&text);
    encoder_close(&e1);
}

/* ---- scores ---- */

/* Texts in batches of another size than pictures; with a cache and without, and
 * a second time. */
static void check_scores(struct opened *o, const double *want)
{
    for (int batch = PICTURES; batch <= BATCH; batch++)
        for (int kept = 0; kept < 3; kept++) {
            struct zeroshot_cache cache = {
                .folder = kept ? at("kept") : NULL,
                .model = objective_names[o->m.config.objective]};
            bool caption = o->m.config.objective == OBJECTIVE_CAPTION;
            float scores[BATCH * NAMES];
            struct classifier c;
            struct encoder n;

            WORLD_MUST(
                encoder_open_products(&n, &o->m, &options, batch, o->t, we));
            WORLD_MUST(classifier_open(&c, &o->p, &n, &cache, we));
            assert_true(cache.hit ==
                        (!caption && (kept > 1 || (kept && batch == BATCH))));
            for (int again = 0; again < 2; again++) {
                WORLD_MUST(classifier_score(&c, PICTURES, o->rgb, scores, we));
                for (int i = 0; i < PICTURES * NAMES; i++)
                    if (!(fabs((double)scores[i] - want[i]) <
                          2e-6 * (1 + fabs(want[i]))))
                        fail_msg("%d: %.8g, not %.8g", i, (double)scores[i],
                                 want[i]);
            }
            classifier_close(&c);
            encoder_close(&n);
        }
}

static void test_classifier__scores(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        double want[BATCH * NAMES];
        struct opened o;

        open_model(&o, DTYPE_F64, (enum objective)k);
        if (k == OBJECTIVE_CONTRASTIVE)
            by_hand_contrastive(&o, PICTURES, want);
        else
            by_hand(&o, PICTURES, o.rgb, want);
        check_scores(&o, want);
        close_model(&o);
    }
}

/* Texts without words, where words are what is predicted; rows of texts, where
 * there are none. */
static void test_classifier__refuses(void **state)
{
    (void)state;
    for (int k = 0; k < 3; k++) {
        struct err e = ERR_INIT;
        float rows[BATCH * DIM_MAX];
        struct encoder n;
        struct opened o;

        open_model(&o, DTYPE_F32, (enum objective)k);
        WORLD_MUST(encoder_open_products(&n, &o.m, &options, BATCH, o.t, we));
        assert_int_equal(encoder_put(&n, 0, STR(" "), &e),
                         k == OBJECTIVE_BOW ? -E_RANGE : 0);
        WORLD_MUST(encoder_put(&n, 0, STR("a cat"), we));
        e = (struct err)ERR_INIT;
        assert_int_equal(encoder_texts(&n, 1, rows, &e),
                         k == OBJECTIVE_CAPTION ? -E_UNSUPPORTED : 0);
        encoder_close(&n);
        close_model(&o);
    }
}

/* ---- whole evaluations ---- */

static struct evaluator_config ask(const struct opened *o, const char *data)
{
    return (struct evaluator_config){
        .task = EVALUATE_AUTO,
        .data = data,
        .size = (uint32_t)o->m.config.vision.image_size,
        .objective = o->m.config.objective,
        .batch = BATCH,
        .workers = 1};
}

/* Pictures of the benchmark whose own class is the likeliest, by hand. */
static int right_by_hand(struct opened *o, const char *data)
{
    const struct evalset_config c = {
        .data = data,
        .need = EVALSET_LABELS,
        .size = (uint32_t)o->m.config.vision.image_size,
        .batch = BATCH,
        .workers = 1};
    double scores[BATCH * NAMES];
    struct evalset_batch b;
    struct evalset s;
    int right = 0;

    WORLD_MUST(evalset_open(&s, &c, we));
    for (;;) {
        WORLD_MUST(evalset_next(&s, &b, we));
        if (!b.n)
            break;
        by_hand(o, b.n, b.rgb, scores);
        for (int i = 0; i < b.n; i++) {
            int best = 0;

            for (int k = 1; k < NAMES; k++)
                if (scores[i * NAMES + k] > scores[i * NAMES + best])
                    best = k;
            right += (uint64_t)best == b.items[i].label;
        }
    }
    evalset_close(&s);
    return right;
}

static void test_classifier__evaluation(void **state)
{
    char data[IO_PATH_MAX], names_at[IO_PATH_MAX], templates_at[IO_PATH_MAX];

    (void)state;
    snprintf(data, sizeof data, "%s", at("bench"));
    snprintf(names_at, sizeof names_at, "%s", at("names"));
    snprintf(templates_at, sizeof templates_at, "%s", at("templates"));
    WORLD_MUST(io_write_file(names_at, STR(names), we));
    WORLD_MUST(io_write_file(templates_at, STR(templates), we));
    for (int k = OBJECTIVE_BOW; k <= OBJECTIVE_CAPTION; k++) {
        struct evaluator_config c;
        struct evaluator v;
        struct opened o;
        double metric;

        open_model(&o, DTYPE_F64, (enum objective)k);
        c = ask(&o, data);
        c.classnames = names_at;
        c.templates = templates_at;
        WORLD_MUST(evaluator_open(&v, &c, we));
        for (int again = 0; again < 2; again++) {
            WORLD_MUST(
                evaluator_run(&v, &o.m, &options, o.t, NULL, &metric, we));
            assert_int_equal(v.score.images, 22);
            assert_int_equal(v.score.right, right_by_hand(&o, data));
            assert_true(metric == (double)v.score.right / 22);
        }
        evaluator_close(&v);
        close_model(&o);
    }
}

#define MOST 64 /* pictures, of two texts each */

/* Pictures whose likeliest text is one of theirs, and texts whose likeliest
 * picture is theirs; scores [n, 2 n], texts 2 i and 2 i + 1 are of i. */
static void found_by_hand(const float *scores, int n, int *to_text,
                          int *to_picture)
{
    *to_text = *to_picture = 0;
    for (int i = 0; i < n; i++) {
        int best = 0;

        for (int t = 1; t < 2 * n; t++)
            if (scores[i * 2 * n + t] > scores[i * 2 * n + best])
                best = t;
        *to_text += best / 2 == i;
    }
    for (int t = 0; t < 2 * n; t++) {
        int best = 0;

        for (int i = 1; i < n; i++)
            if (scores[i * 2 * n + t] > scores[best * 2 * n + t])
                best = i;
        *to_picture += best == t / 2;
    }
}

/* The whole of labels.tar at once. */
static void read_captioned(struct opened *o, const char *data, uint8_t *rgb,
                           int32_t *ids, int *n)
{
    const struct evalset_config c = {
        .data = data,
        .need = EVALSET_CAPTIONS,
        .size = (uint32_t)o->m.config.vision.image_size,
        .batch = MOST,
        .workers = 1};
    const int context = o->m.config.text.context_length;
    struct tokenizer_scratch scratch;
    struct evalset_batch b;
    struct evalset s;

    tokenizer_scratch_init(&scratch);
    WORLD_MUST(evalset_open(&s, &c, we));
    WORLD_MUST(evalset_next(&s, &b, we));
    *n = b.n;
    memcpy(rgb, b.rgb, (size_t)b.n * picture_bytes(c.size));
    for (int i = 0; i < 2 * b.n; i++)
        assert_true(tokenizer_caption(o->t, &scratch,
                                      b.items[i / 2].texts[i % 2], context,
                                      ids + i * context) > 2);
    evalset_close(&s);
    tokenizer_scratch_release(&scratch);
}

static void check_retrieval(struct opened *o, const struct evaluator *v)
{
    const size_t bytes = picture_bytes((uint32_t)o->m.config.vision.image_size);
    const int context = o->m.config.text.context_length;
    uint8_t *rgb = xcalloc(MOST, bytes);
    int32_t *ids = xcalloc(2 * MOST * (size_t)context, sizeof *ids);
    float *scores = xcalloc(2 * MOST * MOST, sizeof *scores);
    int n, to_text, to_picture;

    read_captioned(o, v->c.data, rgb, ids, &n);
    assert_true(n > 20);
    for (int i = 0; i < n; i += BATCH) {
        const struct pixels x = {PIXEL_BYTE, rgb + (size_t)i * bytes,
                                 clip_pixel_norm(&o->m.config)};
        const struct captions c = {2 * n, context, ids};

        WORLD_MUST(all_scores(&o->m, &options, n - i < BATCH ? n - i : BATCH,
                              &x, &c, scores + (ptrdiff_t)i * 2 * n, we));
    }
    found_by_hand(scores, n, &to_text, &to_picture);
    assert_true(v->found.to_text[0] == (double)to_text / n);
    assert_true(v->found.to_picture[0] == (double)to_picture / (2 * n));
    free(rgb);
    free(ids);
    free(scores);
}

/* Every pair is a pass through a caption model's decoder. */
static void test_classifier__retrieval(void **state)
{
    char data[IO_PATH_MAX];

    (void)state;
    snprintf(data, sizeof data, "%s", at("labels.tar"));
    for (int k = OBJECTIVE_BOW; k <= OBJECTIVE_CAPTION; k++) {
        struct evaluator_config c;
        struct err e = ERR_INIT;
        struct evaluator v;
        struct opened o;

        open_model(&o, DTYPE_F64, (enum objective)k);
        c = ask(&o, data);
        if (k == OBJECTIVE_CAPTION) {
            assert_int_equal(evaluator_open(&v, &c, &e), -E_UNSUPPORTED);
            assert_non_null(strstr(e.message, "pictures times texts"));
        } else {
            WORLD_MUST(evaluator_open(&v, &c, we));
            WORLD_MUST(evaluator_run(&v, &o.m, &options, o.t, NULL, NULL, we));
            check_retrieval(&o, &v);
            evaluator_close(&v);
        }
        close_model(&o);
    }
}

static int setup(void **state)
{
    log_quiet(true);
    return folder_setup(state) || (eval_world(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classifier__scores),
        cmocka_unit_test(test_classifier__refuses),
        cmocka_unit_test(test_classifier__evaluation),
        cmocka_unit_test(test_classifier__retrieval),
    };

    return cmocka_run_group_tests(tests, setup, folder_teardown);
}
