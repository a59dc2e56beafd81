#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/resnet_plain.h"
#include "tests/resnet_world.h"

#define ROOM_MAX (256u << 20) /* bytes of the plain formula's maps */

/* The last group of a shape may not be of two rows in a channel: two numbers
 * normalised are -1 and 1 whatever they are, and gradients vanish. */
static const struct shape shapes[] = {
    {"one group", 32, 4, 64, {1, 2, 1, 1}, 4, 4},
    {"groups of 2, odd side", 96, 2, 16, {1, 1, 1, 1}, 4, 2},
    {"groups of 3", 32, 2, 64, {2, 1, 1, 2}, 6, 3},
    {"groups of 1", 64, 2, 32, {1, 1, 1, 1}, 2, 1},
    {"narrow", 64, 2, 8, {1, 2, 1, 1}, 3, 5},
};

#define SHAPES (sizeof shapes / sizeof *shapes)

static struct resnet_batch whole(const struct shape *k)
{
    return (struct resnet_batch){.n = k->n, .group = k->group};
}

/* Largest difference by largest number. */
static double apart(const double *a, const double *b, int64_t n)
{
    double most = 0, size = 0;

    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs(a[i] - b[i]));
        size = fmax(size, fabs(b[i]));
        if (isnan(a[i]) || isnan(b[i]))
            return INFINITY;
    }
    return size > 0 ? most / size : most;
}

static double *features_room(const struct world *w)
{
    return xcalloc((size_t)(w->n * w->c.embed_dim), sizeof(double));
}

/* ---- forward against the formula, and what it collects ---- */

static void check_forward(const struct shape *k, bool running, bool train)
{
    struct world w;
    struct resnet_batch b = whole(k);
    struct plain p = {.group = k->group};
    double *y, *want, *weights, *sums;
    double off;

    world_open(&w, k);
    b.running = running;
    b.collect = !running;
    w.p.train = train;
    y = features_room(&w);
    want = features_room(&w);
    p.s = &w.s;
    p.weights = weights = world_class(&w, w.s.real);
    p.sums = xcalloc((size_t)w.s.size, sizeof(double));
    arena_init(&p.room, ROOM_MAX);
    if (running)
        p.group = 0;

    world_zero(&w);
    world_pass(&w, &b, 0, y);
    plain_resnet(&p, &w.c, w.n, w.pixels, want);
    off = apart(y, want, (int64_t)w.n * w.c.embed_dim);
    print_message("%s%s: features apart by %.1e\n", k->label,
                  running ? ", running"
                  : train ? ", training"
                          : "",
                  off);
    assert_true(off < 1e-10);

    sums = world_class(&w, w.s.grad);
    if (!running)
        assert_true(apart(sums + w.s.parameters, p.sums + w.s.parameters,
                          w.s.size - w.s.parameters) < 1e-11);
    else
        for (int64_t i = 0; i < w.s.size; i++)
            assert_true(sums[i] == 0);
    arena_release(&p.room);
    free(p.sums);
    free(weights);
    free(sums);
    free(want);
    free(y);
    world_close(&w);
}

static void test_resnet__forward_is_the_formula(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        check_forward(&shapes[i], false, true);
        check_forward(&shapes[i], false, false);
        check_forward(&shapes[i], true, false);
    }
}

/* running = 0.9 running + 0.1 of the mean over groups, each group's variance
 * unbiased; parameters stay. */
static void test_resnet__statistics_move_once(void **state)
{
    const struct shape *k = &shapes[1];
    struct resnet_batch b = whole(k);
    struct world w;
    double *before, *sums, *after;
    int64_t groups = k->n / k->group;

    (void)state;
    world_open(&w, k);
    b.collect = true;
    world_zero(&w);
    world_pass(&w, &b, 0, NULL);
    before = world_class(&w, w.s.real);
    sums = world_class(&w, w.s.grad);
    resnet_move_statistics(&w.p, groups);
    after = world_class(&w, w.s.real);
    for (int i = 0; i < w.s.n; i++) {
        const struct tensor *t = &w.s.list[i];

        for (int64_t n = t->at; n < t->at + t->count; n++) {
            double mean = sums[n] / (double)groups;
            double want = t->buffer ? 0.9 * before[n] + 0.1 * mean : before[n];

            assert_true(fabs(after[n] - want) <= 1e-15 * fabs(want));
            assert_true(!t->buffer || sums[n] != 0);
        }
    }
    free(before);
    free(sums);
    free(after);
    world_close(&w);
}

/* ---- gradients against central differences ---- */

/* The functional whose gradient world_pass() computes. */
static double functional(struct world *w, const struct resnet_batch *b,
                         double *y)
{
    double sum = 0;

    w->p.train = false;
    world_part(w, b, 0, y);
    w->p.train = true;
    for (int i = 0; i < b->n * w->c.embed_dim; i++)
        sum += w->dfeatures[i] * y[i];
    return sum;
}

/* Its slope along `way` at tensor i. */
static double slope(struct world *w, const struct resnet_batch *b, int i,
                    const double *at, const double *way, double h, double *y)
{
    int64_t n = w->s.list[i].count;
    double *moved = xmalloc((size_t)n * sizeof *moved), f[2];

    for (int side = 0; side < 2; side++) {
        for (int64_t k = 0; k < n; k++)
            moved[k] = at[k] + (side ? h : -h) * way[k];
        store_put(&w->s, &w->d, i, moved, DTYPE_F64);
        f[side] = functional(w, b, y);
    }
    store_put(&w->s, &w->d, i, at, DTYPE_F64);
    free(moved);
    return (f[1] - f[0]) / (2 * h);
}

/* Whether the slope is the gradient's.  A ReLU's kink between -h and h spoils a
 * difference, not the next one of another h. */
static bool slope_fits(struct world *w, const struct resnet_batch *b, int i,
                       const double *at, const double *way,
                       const double *gradient, double *y)
{
    static const double steps[] = {1e-5, 1e-6, 1e-7};
    double want = 0, got = 0;

    for (int64_t k = 0; k < w->s.list[i].count; k++)
        want += gradient[k] * way[k];
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
        got = slope(w, b, i, at, way, steps[s], y);
        if (fabs(got - want) <= 1e-5 * fabs(want) + 3e-7)
            return true;
    }
    print_message("%s: slope %.9g, gradient %.9g\n", w->s.list[i].name, got,
                  want);
    return false;
}

/* Any single number, the one of the steepest slope, a direction of all. */
static int wrong_slopes(struct world *w, const struct resnet_batch *b, int i,
                        double *y)
{
    enum { SINGLES = 1, STEEPEST = SINGLES, ALL };
    const struct tensor *t = &w->s.list[i];
    uint64_t stream = random_stream(3, str_of(t->name));
    size_t bytes = (size_t)t->count * sizeof(double);
    double *at = xmalloc(bytes), *gradient = xmalloc(bytes);
    double *way = xmalloc(bytes);
    int64_t steepest = 0;
    int wrong = 0;

    store_get(&w->s, &w->d, i, at, DTYPE_F64);
    store_get_grad(&w->s, &w->d, i, gradient, DTYPE_F64);
    for (int64_t k = 1; k < t->count; k++)
        if (fabs(gradient[k]) > fabs(gradient[steepest]))
            steepest = k;
    for (int look = 0; look <= ALL; look++) {
        uint64_t any = random_bits(stream, (uint64_t)look);

        memset(way, 0, bytes);
        if (look < SINGLES)
            way[any % (uint64_t)t->count] = 1;
        else if (look == STEEPEST)
            way[steepest] = 1;
        else
            world_fill(t->name, t->count, 0, 1 / sqrt((double)t->count), way);
        wrong += !slope_fits(w, b, i, at, way, gradient, y);
    }
    free(at);
    free(gradient);
    free(way);
    return wrong;
}

static void check_gradients(const struct shape *k)
{
    struct world w;
    struct resnet_batch b = whole(k);
    double *y;
    int wrong = 0, still = 0;

    world_open(&w, k);
    y = features_room(&w);
    world_zero(&w);
    world_pass(&w, &b, 0, NULL);
    for (int i = 0; i < w.s.n; i++) {
        const struct tensor *t = &w.s.list[i];
        double *gradient;

        if (t->buffer)
            continue;
        wrong += wrong_slopes(&w, &b, i, y);
        gradient = xmalloc((size_t)t->count * sizeof *gradient);
        store_get_grad(&w.s, &w.d, i, gradient, DTYPE_F64);
        for (int64_t n = 0; n < t->count; n++)
            if (fabs(gradient[n]) > 1e-6)
                break;
            else if (n == t->count - 1)
                still++;
        free(gradient);
    }
    print_message("%s: %d tensors, %d slopes wrong, %d tensors without one\n",
                  k->label, w.s.n, wrong, still);
    assert_int_equal(wrong, 0);
    /* Attention does not see what is added to all keys alike. */
    assert_int_equal(still, 1);
    free(y);
    world_close(&w);
}

static void test_resnet__gradients_are_the_slopes(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++)
        check_gradients(&shapes[i]);
}

/* ---- other ways to the same numbers ---- */

static void test_resnet__recompute_is_bit_equal(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        struct resnet_batch b = whole(&shapes[i]);
        double *y[2], *sums[2];
        size_t peak[2];
        struct world w;

        b.collect = true;
        world_open(&w, &shapes[i]);
        for (int again = 0; again < 2; again++) {
            y[again] = features_room(&w);
            w.p.recompute = again;
            world_zero(&w);
            world_pass(&w, &b, 0, y[again]);
            sums[again] = world_class(&w, w.s.grad);
            peak[again] = w.d.peak;
        }
        assert_memory_equal(y[0], y[1],
                            sizeof(double) * (size_t)(w.n * w.c.embed_dim));
        assert_memory_equal(sums[0], sums[1],
                            sizeof(double) * (size_t)w.s.size);
        assert_true(peak[1] < peak[0]);
        for (int k = 0; k < 2; k++) {
            free(y[k]);
            free(sums[k]);
        }
        world_close(&w);
    }
}

/* Chunks of `chunk` pictures: as gradient caching has them, statistics are
 * collected by a first pass without gradients and not by the second. */
static void by_chunks(struct world *w, const struct shape *k, int chunk,
                      double *y)
{
    struct resnet_batch b = {.n = chunk, .group = k->group};

    for (int second = 0; second < 2; second++) {
        w->p.train = second;
        b.collect = !second;
        for (int at = 0; at < k->n; at += chunk)
            world_pass(w, &b, at, y + at * w->c.embed_dim);
    }
}

static void test_resnet__chunks_equal_the_whole(void **state)
{
    const struct shape k = {"8 by 2", 64, 2, 64, {1, 1, 2, 1}, 8, 2};
    static const int chunks[] = {2, 4};
    struct resnet_batch b = whole(&k);
    double *y, *part_y, *sums;
    struct world w;

    (void)state;
    world_open(&w, &k);
    y = features_room(&w);
    part_y = features_room(&w);
    b.collect = true;
    world_zero(&w);
    world_pass(&w, &b, 0, y);
    sums = world_class(&w, w.s.grad);
    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        double *part;

        world_zero(&w);
        by_chunks(&w, &k, chunks[i], part_y);
        part = world_class(&w, w.s.grad);
        assert_true(apart(part_y, y, (int64_t)k.n * w.c.embed_dim) < 1e-12);
        for (int t = 0; t < w.s.n; t++) {
            const struct tensor *at = &w.s.list[t];

            if (!strstr(at->name, "k_proj.bias")) /* 0 but for rounding */
                assert_true(apart(part + at->at, sums + at->at, at->count) <
                            1e-12);
        }
        free(part);
    }
    free(y);
    free(part_y);
    free(sums);
    world_close(&w);
}

/* ---- memory ---- */

/* What a plan for n pictures takes is what n pictures take, fewer take less,
 * and backward leaves the stack as forward left it. */
static void test_resnet__stack_is_as_planned(void **state)
{
    const struct shape *k = &shapes[2];

    (void)state;
    for (int recompute = 0; recompute < 2; recompute++) {
        struct resnet_batch b = whole(k);
        struct world w;
        size_t planned;

        world_open(&w, k);
        w.p.recompute = recompute;
        world_pass(&w, &b, 0, NULL);
        assert_int_equal(w.d.used, 0);
        assert_int_equal(w.d.peak, w.d.stack_size);
        planned = w.d.stack_size;
        for (int n = 1; n <= k->n; n++) {
            if (n > k->group && n % k->group)
                continue;
            b.n = n;
            w.d.peak = 0;
            world_part(&w, &b, 0, NULL);
            assert_int_equal(device_check(&w.d, NULL), 0);
            assert_int_equal(w.d.used, 0);
            assert_true(n == k->n ? w.d.peak == planned : w.d.peak < planned);
        }
        world_close(&w);
    }
}

/* ---- names and sizes of the published models ---- */

struct published {
    const char *name;
    int stages[4], width, image, embed_dim, text_width;
    int64_t parameters;
};

static const struct published models[] = {
    {"RN50", {3, 4, 6, 3}, 64, 224, 1024, 512, 102007137},
    {"RN101", {3, 4, 23, 3}, 64, 224, 512, 512, 119688033},
    {"RN50x4", {4, 6, 10, 6}, 80, 288, 640, 640, 178300601},
    {"RN50x16", {6, 8, 18, 8}, 96, 384, 768, 768, 290979217},
    {"RN50x64", {3, 15, 36, 10}, 128, 448, 1024, 1024, 623258305},
};

static void declare(const struct published *m, struct store *s,
                    struct resnet *r)
{
    struct clip_config c = {.embed_dim = m->embed_dim};

    c.vision = (struct vision_config){.kind = VISION_RESNET,
                                      .image_size = m->image,
                                      .width = m->width,
                                      .head_width = 64};
    memcpy(c.vision.stages, m->stages, sizeof m->stages);
    store_init(s);
    resnet_init(r, s, &c);
    store_seal(s);
}

static void undeclare(struct store *s, struct resnet *r)
{
    struct device none = {0};

    resnet_release(r);
    store_release(s, &none);
}

/* All that is not the vision tower: 12 blocks of width w. */
static int64_t text_parameters(const struct published *m)
{
    int64_t w = m->text_width, block = 12 * w * w + 13 * w;

    return 49408 * w + 77 * w + 12 * block + 2 * w + w * m->embed_dim + 1;
}

static void test_resnet__published_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct store s;
        struct resnet r;
        int64_t count = 0;

        declare(&models[i], &s, &r);
        for (int t = 0; t < s.n; t++)
            count += s.list[t].buffer ? 0 : s.list[t].count;
        assert_int_equal(count + text_parameters(&models[i]),
                         models[i].parameters);
        undeclare(&s, &r);
    }
}

/* One line of the list: NAME TAB TYPE TAB [a, b].  Whether it is a tensor that
 * the store must have next. */
static bool parse_line(char *line, struct tensor *t)
{
    char *type = strchr(line, '\t'), *dims;

    assert_non_null(type);
    *type++ = '\0';
    dims = strchr(type, '[');
    assert_non_null(dims);
    memset(t, 0, sizeof *t);
    t->name = line;
    for (dims++; *dims != ']';) {
        assert_true(t->rank < STORE_RANK_MAX);
        t->shape[t->rank++] = strtoll(dims, &dims, 10);
        while (*dims == ',' || *dims == ' ')
            dims++;
    }
    return !strncmp(line, "visual.", 7) && !ends(line, "num_batches_tracked");
}

static void test_resnet__names_are_open_clips(void **state)
{
    const char *env = getenv("WITMILL_SHARED");
    char path[1024], line[256];
    struct tensor want;
    struct resnet r;
    struct store s;
    int n = 0;
    FILE *f;

    (void)state;
    snprintf(path, sizeof path, "%s/facts/tensors_openclip_RN50.tsv",
             env ? env : "../shared");
    f = fopen(path, "r");
    if (!f) {
        print_message("skipped: no %s\n", path);
        skip();
    }
    declare(&models[0], &s, &r);
    while (fgets(line, sizeof line, f)) {
        if (!parse_line(line, &want))
            continue;
        assert_true(n < s.n);
        assert_string_equal(s.list[n].name, want.name);
        assert_int_equal(s.list[n].rank, want.rank);
        for (int i = 0; i < want.rank; i++)
            assert_int_equal(s.list[n].shape[i], want.shape[i]);
        assert_int_equal(s.list[n].buffer, ends(want.name, "running_mean") ||
                                               ends(want.name, "running_var"));
        n++;
    }
    assert_int_equal(n, s.n);
    assert_true(n > 280);
    fclose(f);
    undeclare(&s, &r);
}

static void test_resnet__initialised_as_published(void **state)
{
    static const struct {
        const char *name;
        struct init init;
        double square; /* of the scale, when there is no shorter name for it */
    } want[] = {
        {"visual.conv1.weight", {INIT_UNIFORM, 0}, 1.0 / 27},
        {"visual.bn3.weight", {INIT_CONSTANT, 1}, 0},
        {"visual.layer1.0.conv2.weight", {INIT_UNIFORM, 0}, 1.0 / 576},
        {"visual.layer1.0.bn1.weight", {INIT_CONSTANT, 1}, 0},
        {"visual.layer1.0.bn3.weight", {INIT_CONSTANT, 0}, 0},
        {"visual.layer4.2.bn3.weight", {INIT_CONSTANT, 0}, 0},
        {"visual.layer4.2.bn3.bias", {INIT_CONSTANT, 0}, 0},
        {"visual.layer2.0.downsample.0.weight", {INIT_UNIFORM, 0}, 1.0 / 256},
        {"visual.layer2.0.downsample.1.weight", {INIT_CONSTANT, 1}, 0},
        {"visual.bn1.running_mean", {INIT_CONSTANT, 0}, 0},
        {"visual.bn1.running_var", {INIT_CONSTANT, 1}, 0},
        {"visual.attnpool.positional_embedding", {INIT_NORMAL, 0}, 1.0 / 2048},
        {"visual.attnpool.c_proj.weight", {INIT_NORMAL, 0}, 1.0 / 2048},
        {"visual.attnpool.q_proj.bias", {INIT_UNIFORM, 0}, 1.0 / 2048},
    };
    struct resnet r;
    struct store s;

    (void)state;
    declare(&models[0], &s, &r);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        int t = store_find(&s, str_of(want[i].name));
        double scale =
            want[i].square > 0 ? sqrt(want[i].square) : want[i].init.scale;

        assert_true(t >= 0);
        assert_int_equal(s.list[t].init.kind, want[i].init.kind);
        assert_true(fabs(s.list[t].init.scale - scale) < 1e-12);
    }
    undeclare(&s, &r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resnet__forward_is_the_formula),
        cmocka_unit_test(test_resnet__statistics_move_once),
        cmocka_unit_test(test_resnet__gradients_are_the_slopes),
        cmocka_unit_test(test_resnet__recompute_is_bit_equal),
        cmocka_unit_test(test_resnet__chunks_equal_the_whole),
        cmocka_unit_test(test_resnet__stack_is_as_planned),
        cmocka_unit_test(test_resnet__published_sizes),
        cmocka_unit_test(test_resnet__names_are_open_clips),
        cmocka_unit_test(test_resnet__initialised_as_published),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
