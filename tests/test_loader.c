/* train/loader: batches from shards, whoever reads them and whatever breaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "tests/shards_world.h"
#include "train/balance.h"
#include "train/loader.h"
#include "train/order.h"
#include "train/source.h"
#include "train/tokenizer.h"

#define SIZE    16
#define CONTEXT 24
#define PIXELS  (3 * SIZE * SIZE)

/* Samples as a model gets them. */
struct seen {
    uint8_t pixels[PIXELS];
    int32_t ids[CONTEXT];
};

/* As at(), for as long as a test lasts. */
static const char *lasting(const char *name)
{
    static char path[8][IO_PATH_MAX];
    static int turn;
    char *to = path[turn++ % 8];

    snprintf(to, IO_PATH_MAX, "%s", at(name));
    return to;
}

static struct dataset_config config_of(const char *const *data, size_t n)
{
    return (struct dataset_config){.data = data,
                                   .n = n,
                                   .vocabulary = lasting("vocabulary"),
                                   .crop = PICTURE_SQUARE,
                                   .seed = 3,
                                   .window = 2,
                                   .threads = 2};
}

static void open_data(struct dataset *d, const struct dataset_config *c)
{
    if (!io_exists(c->vocabulary))
        WORLD_MUST(io_write_file(c->vocabulary,
                                 STR("#witmill-vocabulary 1 514\n"), we));
    WORLD_MUST(dataset_open(d, c, we));
}

/* Steps from `from` to `to` of one rank, as the ring asks for them: two under
 * way.  0, or why it stopped. */
static int play(const struct dataset *d, const struct loader_config *c,
                uint64_t from, uint64_t to, struct seen *out, struct load *load,
                struct err *e)
{
    size_t n = (size_t)c->n;
    uint8_t *pixels[2] = {xmalloc(n * PIXELS), xmalloc(n * PIXELS)};
    int32_t *ids[2] = {xcalloc(n * CONTEXT, sizeof **ids),
                       xcalloc(n * CONTEXT, sizeof **ids)};
    struct batch_maker m;
    struct loader *l;
    int rc = 0;

    (void)d;
    WORLD_MUST(loader_open(&l, c, &m, we));
    assert_memory_equal(&m.norm, &c->norm, sizeof m.norm);
    m.start(m.ctx, from, pixels[from % 2], ids[from % 2]);
    for (uint64_t s = from; s < to; s++) {
        if (s + 1 < to)
            m.start(m.ctx, s + 1, pixels[(s + 1) % 2], ids[(s + 1) % 2]);
        rc = m.finish(m.ctx, s, e);
        if (rc)
            break;
        for (size_t i = 0; i < n; i++, out++) {
            memcpy(out->pixels, pixels[s % 2] + i * PIXELS, PIXELS);
            memcpy(out->ids, ids[s % 2] + i * CONTEXT, sizeof out->ids);
        }
    }
    if (load)
        loader_of_all(l, load);
    m.close(m.ctx);
    for (int i = 0; i < 2; i++) {
        free(pixels[i]);
        free(ids[i]);
    }
    return rc;
}

/* The sample's number, by its text, of which each digit is a word; its picture
 * must be that sample's. */
static int number_of(const struct dataset *d, const struct seen *s,
                     char *letter)
{
    int n = 0, number = 0;
    struct buf text;

    buf_init(&text, 4096);
    while (n < CONTEXT && s->ids[n] != tokenizer_eot(d->tokenizer))
        n++;
    assert_int_equal(
        tokenizer_decode(d->tokenizer, s->ids + 1, (size_t)n - 1, &text), 0);
    *letter = 0;
    n = strncmp(text.p, "text ", 5) ? 7 : 5;
    assert_true(n == 5 || !strncmp(text.p, "sample ", 7));
    for (const char *p = text.p + n; *p; p++)
        if (*p >= '0' && *p <= '9')
            number = 10 * number + *p - '0';
        else if (*p != ' ')
            *letter = *p;
    assert_in_range(s->pixels[0] + 4, 8 * (number % 32), 8 * (number % 32) + 8);
    assert_in_range(s->pixels[1] + 4, 8 * (number / 32), 8 * (number / 32) + 8);
    buf_release(&text);
    return number;
}

static struct loader_config loader_for(const struct dataset *d, int n)
{
    return (struct loader_config){.data = d,
                                  .n = n,
                                  .size = SIZE,
                                  .context = CONTEXT,
                                  .norm = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}},
                                  .stride = (uint64_t)n,
                                  .workers = 2};
}

#define SAMPLES 60
#define BATCH   12
#define STEPS   15 /* three epochs */

static void test_loader__every_pair_once_an_epoch(void **state)
{
    const char *data[] = {lasting("w")};
    const struct dataset_config c = config_of(data, 1);
    static struct seen seen[BATCH * STEPS];
    unsigned texts[SAMPLES] = {0}, letters = 0;
    struct loader_config lc;
    struct load load;
    struct dataset d;
    struct err e = ERR_INIT;

    (void)state;
    world_folder(&(struct world){0}, "w", SAMPLES, 10);
    open_data(&d, &c);
    assert_int_equal(d.epoch, SAMPLES);
    assert_int_equal(dataset_check(&d, 60, &e), 0);
    assert_int_equal(dataset_check(&d, 61, &e), -E_RANGE);
    lc = loader_for(&d, BATCH);
    assert_int_equal(play(&d, &lc, 0, STEPS, seen, &load, &e), 0);
    for (int k = 0; k < 3; k++) {
        bool once[SAMPLES] = {false};

        for (int i = 0; i < SAMPLES; i++) {
            char letter;
            int s = number_of(&d, &seen[k * SAMPLES + i], &letter);

            assert_in_range(s, 0, SAMPLES - 1);
            assert_false(once[s]);
            once[s] = true;
            texts[s] |= 1u << (letter - 'a');
        }
    }
    for (int i = 0; i < SAMPLES; i++)
        letters += (texts[i] & (texts[i] - 1)) != 0; /* more than one text */
    assert_in_range(letters, SAMPLES / 2, SAMPLES);
    assert_int_equal(load.samples, BATCH * STEPS);
    assert_int_equal(load.replaced, 0);
    assert_true(load.read > 0 && load.tokenise > 0 && load.copy > 0 &&
                load.decode > 0 && load.resize > 0 && load.bytes > 10000);
    dataset_close(&d);
}

static enum world_flaw some_broken(int i)
{
    return i % 10 == 3   ? WORLD_BROKEN
           : i % 10 == 7 ? WORLD_NOT_PICTURE
           : i % 10 == 9 ? WORLD_EMPTY_TXT
                         : WORLD_WHOLE;
}

/* Positions that a broken sample had hold another one of their window; and
 * whoever reads, and from wherever on, gets the same. */
static void readers_agree(const char *name, enum world_flaw (*flaw)(int i),
                          size_t window, uint64_t least, uint64_t most)
{
    const struct world w = {.flaw = flaw};
    const char *data[] = {lasting(name)};
    struct dataset_config c = config_of(data, 1);
    static struct seen whole[BATCH * STEPS], part[BATCH * STEPS];
    struct loader_config lc;
    struct load load;
    struct dataset d;
    struct err e = ERR_INIT;

    c.window = window;
    log_quiet(true);
    world_folder(&w, name, SAMPLES, 10);
    open_data(&d, &c);
    lc = loader_for(&d, BATCH);
    assert_int_equal(play(&d, &lc, 0, STEPS, whole, &load, &e), 0);
    assert_in_range(load.replaced, least, most);
    for (int i = 0; i < BATCH * STEPS; i++) {
        char letter;

        assert_int_equal(flaw(number_of(&d, &whole[i], &letter)), WORLD_WHOLE);
    }
    dataset_close(&d);
    for (int ranks = 1; ranks <= 4; ranks *= 2)
        for (int r = 0; r < ranks; r++) {
            uint64_t from = (uint64_t)(5 * r + ranks) % STEPS;
            int n = BATCH / ranks;

            open_data(&d, &c);
            lc = loader_for(&d, n);
            lc.stride = BATCH;
            lc.first = (uint64_t)(r * n);
            lc.workers = (unsigned)ranks;
            assert_int_equal(play(&d, &lc, from, STEPS, part, NULL, &e), 0);
            for (uint64_t s = from; s < STEPS; s++)
                assert_memory_equal(&part[(s - from) * (uint64_t)n],
                                    &whole[s * BATCH + lc.first],
                                    (size_t)n * sizeof *part);
            dataset_close(&d);
        }
    log_quiet(false);
}

static void test_loader__ranks_and_restarts_agree(void **state)
{
    (void)state;
    readers_agree("broken", some_broken, 2, 3 * 18, 3 * 18 * 3);
}

/* Two windows of six have nothing, or one sample that the draws miss: what
 * their places get comes from the windows behind them, at times both, at times
 * of the next epoch. */
static enum world_flaw stretch_broken(int i)
{
    return (i / 10 == 1 && i != 13) || i / 10 == 4 ? WORLD_BROKEN : WORLD_WHOLE;
}

static void test_loader__goes_on_behind_a_broken_window(void **state)
{
    (void)state;
    readers_agree("stretch", stretch_broken, 1, 3 * 10 * (LOADER_ATTEMPTS + 1),
                  3 * 19 * (LOADER_ATTEMPTS * LOADER_WINDOWS + 1));
}

static enum world_flaw all_broken(int i)
{
    (void)i;
    return WORLD_BROKEN;
}

static void test_loader__gives_up_on_a_broken_window(void **state)
{
    static const struct world w = {.flaw = all_broken};
    const char *data[] = {lasting("dead")};
    const struct dataset_config c = config_of(data, 1);
    static struct seen seen[BATCH];
    struct loader_config lc;
    struct dataset d;
    struct err e = ERR_INIT;

    (void)state;
    log_quiet(true);
    world_folder(&w, "dead", 20, 10);
    open_data(&d, &c);
    lc = loader_for(&d, BATCH);
    assert_int_equal(play(&d, &lc, 0, 1, seen, NULL, &e), -E_FORMAT);
    assert_non_null(
        strstr(e.message, "81 samples of its window and of the 4 "));
    assert_non_null(strstr(e.message, "image-"));
    dataset_close(&d);
    log_quiet(false);
}

/* Gone, or cut shorter, behind the start. */
static void test_loader__a_vanished_shard_stops_the_run(void **state)
{
    static const char *const names[] = {"gone/00002.tar", "cut/00002.tar"};
    static struct seen seen[BATCH * STEPS];

    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *data[] = {lasting(i ? "cut" : "gone")};
        const struct dataset_config c = config_of(data, 1);
        struct loader_config lc;
        struct dataset d;
        struct err e = ERR_INIT;

        world_folder(&(struct world){0}, i ? "cut" : "gone", SAMPLES, 10);
        open_data(&d, &c);
        if (i)
            assert_int_equal(truncate(at(names[i]), 4096), 0);
        else
            assert_int_equal(unlink(at(names[i])), 0);
        lc = loader_for(&d, BATCH);
        assert_int_equal(play(&d, &lc, 0, STEPS, seen, NULL, &e), -E_IO);
        assert_non_null(strstr(e.message, names[i]));
        dataset_close(&d);
    }
}

/* A tar that is cut while its window is open. */
static void test_loader__an_open_shard_that_shrinks_stops_the_run(void **state)
{
    const char *data[] = {lasting("shrink")};
    const struct dataset_config c = config_of(data, 1);
    uint8_t *pixels = xmalloc((size_t)BATCH * PIXELS);
    int32_t *ids = xmalloc((size_t)BATCH * CONTEXT * sizeof *ids);
    struct loader_config lc;
    struct batch_maker m;
    struct loader *l;
    struct dataset d;
    struct err e = ERR_INIT;
    int rc = 0;

    (void)state;
    world_folder(&(struct world){0}, "shrink", 40, 40); /* one window */
    open_data(&d, &c);
    lc = loader_for(&d, BATCH);
    WORLD_MUST(loader_open(&l, &lc, &m, we));
    m.start(m.ctx, 0, pixels, ids);
    assert_int_equal(m.finish(m.ctx, 0, &e), 0);
    assert_int_equal(truncate(at("shrink/00000.tar"), 1024), 0);
    for (uint64_t s = 1; !rc && s < 4; s++) {
        m.start(m.ctx, s, pixels, ids);
        rc = m.finish(m.ctx, s, &e);
    }
    assert_int_equal(rc, -E_IO);
    assert_non_null(strstr(e.message, "shrink/00000.tar"));
    m.close(m.ctx);
    dataset_close(&d);
    free(pixels);
    free(ids);
}

/* Each place holds the sample that the order says, of both sources. */
static void test_loader__sources_by_weight(void **state)
{
    static const struct world plain = {.plain = true};
    char second[64];
    const char *data[2] = {lasting("w"), second};
    struct dataset_config c;
    static struct seen seen[256];
    struct loader_config lc;
    struct dataset d;
    struct err e = ERR_INIT;
    unsigned turns[2] = {0};

    (void)state;
    world_folder(&plain, "v", 20, 10);
    snprintf(second, sizeof second, "%s@1.5", at("v"));
    c = config_of(data, 2);
    open_data(&d, &c);
    assert_int_equal(d.epoch, SAMPLES + 30);
    lc = loader_for(&d, 16);
    assert_int_equal(play(&d, &lc, 0, 16, seen, NULL, &e), 0);
    for (uint64_t g = 0; g < 256; g++) {
        struct order_window w;
        struct order_place p;
        char letter;
        int n = number_of(&d, &seen[g], &letter);

        assert_int_equal(order_find(d.order, g, &p, &e), 0);
        assert_int_equal(
            order_window_open(d.order, p.source, p.epoch, p.window, &w, &e), 0);
        assert_int_equal(n, 10 * w.shards[w.items[p.at].shard] +
                                w.items[p.at].sample);
        assert_int_equal(letter == 0, p.source == 1); /* without .json */
        turns[p.source]++;
        order_window_close(&w);
    }
    assert_in_range(turns[1], 256 / 3 - 30, 256 / 3 + 30);
    dataset_close(&d);
}

static int queries(int i, int *ids)
{
    ids[0] = i % 2;
    return 1;
}

static void test_loader__balanced(void **state)
{
    static const struct world w = {.q = queries};
    const char *data[] = {lasting("bal")};
    struct dataset_config c = config_of(data, 1);
    static struct seen seen[200];
    struct loader_config lc;
    struct dataset d;
    struct err e = ERR_INIT;
    unsigned odd = 0;

    (void)state;
    world_folder(&w, "bal", SAMPLES, 10);
    WORLD_MUST(io_write_file(at("bal/counts.tsv"),
                             STR("0\ta\t1000\t9\n1\tb\t10\t9\n"), we));
    c.balance = 100; /* even ones with 1 in 10, odd ones always */
    open_data(&d, &c);
    assert_int_equal(d.epoch, SAMPLES / 2 + SAMPLES / 20);
    lc = loader_for(&d, 10);
    assert_int_equal(play(&d, &lc, 0, 20, seen, NULL, &e), 0);
    for (int i = 0; i < 200; i++) {
        char letter;

        odd += (unsigned)number_of(&d, &seen[i], &letter) % 2;
    }
    assert_in_range(odd, 165, 197); /* 10 of 11 are odd */
    dataset_close(&d);
}

static void test_loader__captions_from_json(void **state)
{
    const char *data[] = {lasting("w")};
    struct dataset_config c = config_of(data, 1);
    static struct seen seen[BATCH];
    struct loader_config lc;
    struct dataset d;
    struct err e = ERR_INIT;
    struct buf text;

    (void)state;
    c.caption_key = "other";
    open_data(&d, &c);
    lc = loader_for(&d, BATCH);
    assert_int_equal(play(&d, &lc, 0, 1, seen, NULL, &e), 0);
    buf_init(&text, 4096);
    for (int i = 0; i < BATCH; i++) {
        buf_clear(&text);
        assert_int_equal(
            tokenizer_decode(d.tokenizer, seen[i].ids + 1, 5, &text), 0);
        assert_int_equal(strncmp(text.p, "json ", 5), 0);
    }
    buf_release(&text);
    dataset_close(&d);
}

/* Closing while batches are being made, at once and a little later. */
static void test_loader__closes_in_the_middle(void **state)
{
    const char *data[] = {lasting("w")};
    const struct dataset_config c = config_of(data, 1);
    uint8_t *pixels = xmalloc((size_t)BATCH * PIXELS * 2);
    int32_t *ids = xmalloc((size_t)BATCH * CONTEXT * sizeof *ids * 2);
    struct dataset d;

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct loader_config lc;
        struct batch_maker m;
        struct loader *l;

        open_data(&d, &c);
        lc = loader_for(&d, BATCH);
        WORLD_MUST(loader_open(&l, &lc, &m, we));
        for (uint64_t s = 0; s < 2 && i; s++)
            m.start(m.ctx, s, pixels + s * BATCH * PIXELS,
                    ids + s * BATCH * CONTEXT);
        usleep((unsigned)i * 2000);
        m.close(m.ctx);
        dataset_close(&d);
    }
    free(pixels);
    free(ids);
}

static void test_loader__says_what_limits(void **state)
{
    static const struct {
        struct load load;
        const char *says;
    } cases[] = {
        {{.decode = 70, .resize = 9, .read = 3}, "decoding pictures limits"},
        {{.decode = 7, .resize = 90, .read = 3}, "resizing pictures limits"},
        {{.decode = 30, .read = 9, .tokenise = 1}, "reading limits"},
        {{.decode = 30, .read = 1, .tokenise = 8}, "tokenising limits"},
        {{.decode = 30, .read = 1, .copy = 8}, "copying limits"},
        {{0}, "nothing"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[512];

        load_advice(&cases[i].load, 10, 8, text, sizeof text);
        assert_non_null(strstr(text, cases[i].says));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loader__every_pair_once_an_epoch),
        cmocka_unit_test(test_loader__ranks_and_restarts_agree),
        cmocka_unit_test(test_loader__goes_on_behind_a_broken_window),
        cmocka_unit_test(test_loader__gives_up_on_a_broken_window),
        cmocka_unit_test(test_loader__a_vanished_shard_stops_the_run),
        cmocka_unit_test(test_loader__an_open_shard_that_shrinks_stops_the_run),
        cmocka_unit_test(test_loader__sources_by_weight),
        cmocka_unit_test(test_loader__balanced),
        cmocka_unit_test(test_loader__captions_from_json),
        cmocka_unit_test(test_loader__closes_in_the_middle),
        cmocka_unit_test(test_loader__says_what_limits),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
