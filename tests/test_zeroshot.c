/* train/zeroshot, encoder, evaluator: prompts, classifiers and their cache,
 * scores, and a whole evaluation of a model in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "tests/eval_world.h"
#include "tests/tokenizer_world.h"
#include "train/classifier.h"
#include "train/dot.h"
#include "train/evaluator.h"
#include "train/npy.h"
#include "train/ref/ref.h"

#define BATCH 4
#define SHA   "0000000000000000000000000000000000000000000000000000000000000000"

static struct device device;
static struct clip model;
static struct tokenizer *tokenizer;
static const struct clip_options options = {
    .packed = true, .reduce = true, .pixels = PIXEL_BYTE};

/* ---- prompts ---- */

static void test_zeroshot__prompts(void **state)
{
    static const struct {
        const char *template, *name, *text;
    } cases[] = {
        {"a photo of a {}.", "cat", "a photo of a cat."},
        {"a photo of a {c}.", "cat", "a photo of a cat."},
        {"{}", "cat", "cat"},
        {"{c}, {}, and {c}", "{}", "{}, {}, and {}"},
        {"{d} {} {", "cat", "{d} cat {"},
    };
    struct buf b;

    (void)state;
    buf_init(&b, 100);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buf_clear(&b);
        zeroshot_prompt(str_of(cases[i].template), str_of(cases[i].name), &b);
        assert_string_equal(b.p, cases[i].text);
    }
    buf_release(&b);
}

static void test_zeroshot__lines(void **state)
{
    static const struct {
        const char *text;
        size_t names;     /* 0: -E_FORMAT */
        size_t templates; /* likewise */
    } cases[] = {
        {"cat {}\r\ndog {}\r\n", 2, 2},
        {"{}", 1, 1},
        {"{}\n{}\n\n \n\n", 2, 2},
        {"a {}\n\nb {}\n", 0, 2},
        {"a {}\nb\n", 2, 0},
        {"", 0, 0},
        {"\n\n", 0, 0},
        {"a { c } {d}\n", 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct zeroshot_lines l;
        struct err e = ERR_INIT;
        int rc = zeroshot_names(&l, str_of(cases[i].text), "x", &e);

        assert_int_equal(rc, cases[i].names ? 0 : -E_FORMAT);
        assert_int_equal(l.n, cases[i].names);
        zeroshot_lines_release(&l);
        rc = zeroshot_templates(&l, str_of(cases[i].text), "x", &e);
        assert_int_equal(rc, cases[i].templates ? 0 : -E_FORMAT);
        assert_int_equal(l.n, cases[i].templates);
        zeroshot_lines_release(&l);
    }
}

static void test_zeroshot__ceilings(void **state)
{
    struct zeroshot_lines l;
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 24);
    for (size_t i = 0; i <= ZEROSHOT_TEMPLATES_MAX; i++)
        buf_add(&b, STR("{}\n"));
    assert_int_equal(zeroshot_templates(&l, buf_str(&b), "x", NULL), -E_TOOBIG);
    b.n -= 4; /* the last line, and the end of the one before */
    assert_int_equal(zeroshot_templates(&l, buf_str(&b), "x", NULL), 0);
    assert_int_equal(l.n, ZEROSHOT_TEMPLATES_MAX);
    zeroshot_lines_release(&l);
    buf_release(&b);
}

/* ---- classifiers ---- */

static void prompts(struct zeroshot_prompts *p, const char *names,
                    const char *templates)
{
    WORLD_MUST(zeroshot_names(&p->names, str_of(names), "names", we));
    WORLD_MUST(
        zeroshot_templates(&p->templates, str_of(templates), "templates", we));
}

static void open_encoder(struct encoder *n, int batch)
{
    WORLD_MUST(encoder_open(n, &model, &options, batch, tokenizer, we));
}

/* The mean by hand, text by text. */
static void slow_class(struct str name, const struct zeroshot_lines *templates,
                       float *row)
{
    int dim = model.config.embed_dim;
    double sum[512] = {0}, norm = 0;
    struct encoder n;
    struct buf b;
    float one[512];

    open_encoder(&n, 1);
    buf_init(&b, 1000);
    for (size_t i = 0; i < templates->n; i++) {
        buf_clear(&b);
        zeroshot_prompt(templates->v[i], name, &b);
        WORLD_MUST(encoder_put(&n, 0, buf_str(&b), we));
        WORLD_MUST(encoder_texts(&n, 1, one, we));
        assert_true(fabs((double)dot(one, one, dim) - 1) < 1e-5);
        for (int k = 0; k < dim; k++)
            sum[k] += (double)one[k];
    }
    for (int k = 0; k < dim; k++)
        norm += sum[k] * sum[k];
    for (int k = 0; k < dim; k++)
        row[k] = (float)(sum[k] / sqrt(norm));
    buf_release(&b);
    encoder_close(&n);
}

static void test_zeroshot__classifier(void **state)
{
    struct zeroshot_prompts p;
    int dim = model.config.embed_dim;
    float *rows, row[512];

    (void)state;
    prompts(&p, "cat\ndog\nhouse by the sea\nred square\nphotograph\n",
            "a photo of a {}.\na drawing of a {}.\n{c}, two {c}s\n");
    /* batches end within classes, and between them */
    for (int batch = 1; batch <= BATCH; batch++) {
        struct encoder n;

        open_encoder(&n, batch);
        WORLD_MUST(zeroshot_classifier(&p, &n, &rows, we));
        for (size_t i = 0; i < p.names.n; i++) {
            slow_class(p.names.v[i], &p.templates, row);
            for (int k = 0; k < dim; k++)
                assert_true(fabsf(rows[i * (size_t)dim + (size_t)k] - row[k]) <
                            1e-5f);
        }
        free(rows);
        encoder_close(&n);
    }
    zeroshot_prompts_release(&p);
}

/* ---- the cache ---- */

static bool cached(const char *names, const char *templates, const char *sha,
                   float **rows)
{
    struct zeroshot_cache c = {.folder = at("cache"), .model = sha};
    struct zeroshot_prompts p;
    struct encoder n;

    prompts(&p, names, templates);
    open_encoder(&n, BATCH);
    WORLD_MUST(zeroshot_cached(&p, &n, &c, rows, we));
    encoder_close(&n);
    zeroshot_prompts_release(&p);
    return c.hit;
}

static bool hit(const char *names, const char *templates, const char *sha)
{
    float *rows;
    bool h = cached(names, templates, sha, &rows);

    free(rows);
    return h;
}

static void test_zeroshot__cache(void **state)
{
    size_t bytes = 2 * (size_t)model.config.embed_dim * sizeof(float);
    float *made, *kept;

    (void)state;
    assert_false(cached("cat\ndog\n", "a {}.", SHA, &made));
    assert_true(cached("cat\ndog\n", "a {}.", SHA, &kept));
    assert_memory_equal(made, kept, bytes);
    free(made);
    free(kept);
    /* everything that decides is asked */
    assert_false(hit("cat\ndogs\n", "a {}.", SHA));
    assert_false(hit("dog\ncat\n", "a {}.", SHA));
    assert_false(hit("cat\ndog\n", "a {}", SHA));
    assert_false(hit("cat\ndog\n", "a {}.\na {}.", SHA));
    assert_false(hit("cat\ndog\n", "a {}.", "1" SHA));
    /* the same weights, but the file beside them says another activation */
    model.config.quick_gelu = !model.config.quick_gelu;
    assert_false(hit("cat\ndog\n", "a {}.", SHA));
    model.config.quick_gelu = !model.config.quick_gelu;
    assert_true(hit("cat\ndog\n", "a {}.", SHA));
}

/* Damage of either file is noticed, and mended. */
static void test_zeroshot__damaged_cache(void **state)
{
    struct io_list l;
    char path[IO_PATH_MAX], folder_[IO_PATH_MAX];
    struct buf b;

    (void)state;
    snprintf(folder_, sizeof folder_, "%s", at("cache"));
    hit("cat\n", "the {}", SHA);
    WORLD_MUST(io_list(folder_, &l, we));
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < l.n; i++)
        for (int how = 0; how < 3; how++) {
            WORLD_MUST(io_join(path, folder_, l.names[i], we));
            buf_clear(&b);
            WORLD_MUST(io_read_file(path, &b, we));
            if (how == 0)
                b.p[b.n - 10] ^= 1;
            b.n = how == 1 ? b.n / 2 : how == 2 ? 0 : b.n;
            WORLD_MUST(io_write_file(path, buf_str(&b), we));
            hit("cat\n", "the {}", SHA);
            hit("cat\ndog\n", "a {}.", SHA);
            assert_true(hit("cat\n", "the {}", SHA));
            assert_true(hit("cat\ndog\n", "a {}.", SHA));
        }
    buf_release(&b);
    io_list_release(&l);
}

/* ---- scores ---- */

static void test_zeroshot__scores(void **state)
{
    static const struct {
        float x[7];
        uint64_t label;
        bool right, top5;
        size_t told;
    } cases[] = {
        {{9, 1, 2, 3, 4, 5, 6}, 0, true, true, 0},
        {{9, 1, 2, 3, 4, 5, 6}, 6, false, true, 0},
        {{9, 1, 2, 3, 4, 5, 6}, 3, false, true, 0},
        {{9, 1, 2, 3, 4, 5, 6}, 2, false, false, 0},
        {{1, 1, 1, 1, 1, 1, 1}, 0, true, true, 0}, /* ties: the first */
        {{1, 1, 1, 1, 1, 1, 1}, 4, false, true, 0},
        {{1, 1, 1, 1, 1, 1, 1}, 5, false, false, 0},
        {{-1, -2, -1, -9, -9, -9, -9}, 2, false, true, 0},
        {{0, 0, 0, 0, 0, 0, 1}, 6, true, true, 6},
    };
    struct zeroshot_score s;
    uint64_t right = 0, top5 = 0;

    (void)state;
    zeroshot_score_init(&s, 7);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t told = s.of[cases[i].told].told;

        zeroshot_score_add(&s, cases[i].x, cases[i].label);
        assert_int_equal(s.right, right += cases[i].right);
        assert_int_equal(s.top5, top5 += cases[i].top5);
        assert_int_equal(s.of[cases[i].told].told, told + 1);
    }
    assert_int_equal(s.images, 9);
    assert_int_equal(s.of[6].images, 2);
    assert_int_equal(s.of[6].right, 1);
    /* 0: 2 of 2, 2: 0 of 2, 3, 4, 5: 0 of 1, 6: 1 of 2; 1 has no picture */
    assert_true(fabs(zeroshot_recall(&s) - 1.5 / 6) < 1e-12);
    zeroshot_score_release(&s);
}

/* ---- whole evaluations ---- */

static double evaluate(enum evaluator_task task, const char *data, int batch,
                       struct evaluator *v)
{
    const struct evaluator_config c = {
        .task = task,
        .data = data,
        .size = (uint32_t)model.config.vision.image_size,
        .batch = batch,
        .workers = 1};
    double metric;

    WORLD_MUST(evaluator_open(v, &c, we));
    WORLD_MUST(
        evaluator_run(v, &model, &options, tokenizer, NULL, &metric, we));
    return metric;
}

/* One of the benchmark's classes for every picture of it, by hand. */
static void test_evaluator__zeroshot(void **state)
{
    char data[IO_PATH_MAX];
    struct evaluator v;
    double first, other;

    (void)state;
    snprintf(data, sizeof data, "%s", at("bench"));
    first = evaluate(EVALUATE_AUTO, data, BATCH, &v);
    assert_int_equal(v.c.task, EVALUATE_ZEROSHOT);
    assert_int_equal(v.prompts.templates.n, 2);
    assert_int_equal(v.score.images, 22);
    assert_true(first == (double)v.score.right / 22);
    /* colours are labels: the pictures of one are told alike, nearly */
    assert_int_equal(
        v.score.of[0].told + v.score.of[1].told + v.score.of[2].told, 22);
    evaluator_close(&v);
    other = evaluate(EVALUATE_ZEROSHOT, data, 3, &v);
    assert_true(first == other);
    WORLD_MUST(
        evaluator_run(&v, &model, &options, tokenizer, NULL, &first, we));
    assert_true(first == other);
    evaluator_close(&v);
}

static void test_evaluator__retrieval(void **state)
{
    char data[IO_PATH_MAX];
    struct evaluator v;
    double metric;

    (void)state;
    snprintf(data, sizeof data, "%s", at("labels.tar"));
    metric = evaluate(EVALUATE_AUTO, data, BATCH, &v);
    assert_int_equal(v.c.task, EVALUATE_RETRIEVAL);
    assert_int_equal(v.found.pictures, v.set.given);
    assert_int_equal(v.found.texts, 2 * v.set.given);
    assert_true(metric == (v.found.to_text[0] + v.found.to_picture[0]) / 2);
    assert_true(v.found.to_text[2] >= v.found.to_text[1]);
    evaluator_close(&v);
}

/* ---- several labels a picture ---- */

#define MANY 17 /* pictures of many/, one of them with a broken label */

static bool is_of(int i, int class)
{
    return i * 7 % 8 >> class & 1;
}

/* A picture's labels: an array, or the numbers of the classes. */
static void add_labels(struct tar_writer *t, int i)
{
    const uint64_t shape = EVAL_CLASSES;
    char npy[NPY_HEAD + EVAL_CLASSES * sizeof(float)], cls[32];

    npy_head(npy, NPY_F32, 1, &shape);
    for (int c = 0; c < (int)EVAL_CLASSES; c++) {
        float x = (float)is_of(i, c);

        memcpy(npy + NPY_HEAD + (size_t)c * sizeof x, &x, sizeof x);
    }
    snprintf(cls, sizeof cls, "%s%s%s", is_of(i, 0) ? "0 " : "",
             is_of(i, 1) ? "1 " : "", is_of(i, 2) ? "2" : "");
    if (i % 2)
        world_member(t, i, "npy", str_make(npy, sizeof npy));
    else
        world_member(t, i, "cls", i == 4 ? STR("cat") : str_of(cls));
}

static void make_many(void)
{
    struct tar_writer t;
    struct buf b;

    buf_init(&b, 1 << 20);
    WORLD_MUST(io_mkdirs(at("many/test"), we));
    WORLD_MUST(tar_writer_open(&t, at("many/test/0.tar"), we));
    for (int i = 0; i < MANY; i++) {
        eval_picture(i, &b);
        world_member(&t, i, "jpg", buf_str(&b));
        add_labels(&t, i);
    }
    WORLD_MUST(tar_writer_publish(&t, we));
    WORLD_MUST(
        io_write_file(at("many/dataset_type.txt"), STR("multilabel\n"), we));
    WORLD_MUST(io_write_file(at("many/classnames.txt"),
                             STR("cat\ndog\nred square\n"), we));
    buf_release(&b);
}

static int number(struct str key)
{
    uint64_t n;

    assert_int_equal(str_u64(key, &n), 0);
    return (int)n;
}

/* Every score of the set, as the evaluator asks for them; keys are numbers. */
static int all_scores_of(struct evaluator *v, float scores[][EVAL_CLASSES],
                         int *key)
{
    struct zeroshot_cache none = {0};
    struct evalset_batch b;
    struct classifier c;
    struct encoder n;
    int images = 0;

    open_encoder(&n, BATCH);
    WORLD_MUST(classifier_open(&c, &v->prompts, &n, &none, we));
    evalset_rewind(&v->set);
    for (;;) {
        WORLD_MUST(evalset_next(&v->set, &b, we));
        if (!b.n)
            break;
        WORLD_MUST(classifier_score(&c, b.n, b.rgb, scores[images], we));
        for (int i = 0; i < b.n; i++)
            key[images++] = number(b.items[i].key);
    }
    classifier_close(&c);
    encoder_close(&n);
    return images;
}

/* The mean of shares of own pictures, from each own one on. */
static double slow_precision(float scores[][EVAL_CLASSES], const int *key,
                             int n, int class)
{
    double sum = 0;
    int own = 0;

    for (int i = 0; i < n; i++) {
        int all = 0, good = 0;

        for (int k = 0; k < n; k++)
            if (scores[k][class] > scores[i][class] ||
                (scores[k][class] == scores[i][class] && k <= i)) {
                all++;
                good += is_of(key[k], class);
            }
        if (is_of(key[i], class)) {
            sum += (double)good / all;
            own++;
        }
    }
    return sum / own;
}

static void test_evaluator__several_labels(void **state)
{
    float scores[MANY][EVAL_CLASSES];
    char data[IO_PATH_MAX];
    struct evaluator v;
    int key[MANY], images;
    double metric, sum = 0;

    (void)state;
    make_many();
    snprintf(data, sizeof data, "%s", at("many"));
    metric = evaluate(EVALUATE_AUTO, data, BATCH, &v);
    assert_true(v.many && v.c.task == EVALUATE_ZEROSHOT);
    assert_int_equal(v.set.given, MANY - 1);
    assert_int_equal(tally_get(&v.set.left_out, "bad-label"), 1);
    images = all_scores_of(&v, scores, key);
    assert_int_equal(images, MANY - 1);
    for (int c = 0; c < (int)EVAL_CLASSES; c++) {
        double want = slow_precision(scores, key, images, c);

        assert_true(fabs(v.precision.of[c].average - want) < 1e-12);
        sum += want / EVAL_CLASSES;
    }
    assert_true(fabs(metric - sum) < 1e-12);
    WORLD_MUST(evaluator_run(&v, &model, &options, tokenizer, NULL, &sum, we));
    assert_true(metric == sum);
    evaluator_close(&v);
}

static void test_evaluator__refuses(void **state)
{
    struct evaluator_config c = {
        .task = EVALUATE_ZEROSHOT, .size = 8, .batch = BATCH, .workers = 1};
    char data[IO_PATH_MAX], names[IO_PATH_MAX];
    struct err e = ERR_INIT;
    struct evaluator v;

    (void)state;
    snprintf(data, sizeof data, "%s", at("labels.tar"));
    snprintf(names, sizeof names, "%s", at("nowhere.txt"));
    c.data = data;
    assert_int_equal(evaluator_open(&v, &c, &e), -E_USAGE);
    assert_non_null(strstr(e.message, "--classnames"));
    c.classnames = names;
    assert_int_equal(evaluator_open(&v, &c, NULL), -E_NOTFOUND);
}

static int setup(void **state)
{
    struct clip_config c;

    log_quiet(true);
    if (folder_setup(state))
        return -1;
    eval_world();
    tokenizer = tokenizer_world();
    WORLD_MUST(clip_config_find(&c, "tiny-vit", we));
    c.text.vocab_size = tokenizer_vocab(tokenizer);
    WORLD_MUST(ref_open(&device, DTYPE_F64, we));
    WORLD_MUST(clip_open(&model, &device, &c, STORE_READ, we));
    WORLD_MUST(clip_initialise(&model, 5, we));
    WORLD_MUST(clip_plan(&model, &options, BATCH, we));
    return 0;
}

static int teardown(void **state)
{
    clip_close(&model);
    device_close(&device);
    tokenizer_close(tokenizer);
    return folder_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zeroshot__prompts),
        cmocka_unit_test(test_zeroshot__lines),
        cmocka_unit_test(test_zeroshot__ceilings),
        cmocka_unit_test(test_zeroshot__classifier),
        cmocka_unit_test(test_zeroshot__cache),
        cmocka_unit_test(test_zeroshot__damaged_cache),
        cmocka_unit_test(test_zeroshot__scores),
        cmocka_unit_test(test_evaluator__zeroshot),
        cmocka_unit_test(test_evaluator__retrieval),
        cmocka_unit_test(test_evaluator__several_labels),
        cmocka_unit_test(test_evaluator__refuses),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
