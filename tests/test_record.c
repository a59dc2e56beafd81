/* What a run writes down: when checkpoints are due, what evaluations leave,
 * that a rank that only reads leaves nothing, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "tests/folder.h"
#include "train/record.h"
#include "train/ref/ref.h"

static struct device device;
static struct clip model;
static struct optim optim;
static struct clock_fake fake = {.mono_ms = 1000, .wall_s = 1700000000};

static int setup(void **state)
{
    const struct optim_config o = {
        .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-6, .total = 100};
    struct clip_config c;

    log_quiet(true);
    clock_set_fake(&fake);
    return folder_setup(state) || ref_open(&device, DTYPE_F32, NULL) ||
                   clip_config_find(&c, "tiny-vit", NULL) ||
                   clip_open(&model, &device, &c, STORE_TRAIN, NULL) ||
                   clip_initialise(&model, 1, NULL) ||
                   optim_open(&optim, &model, &o, NULL)
               ? -1
               : 0;
}

static int teardown(void **state)
{
    optim_close(&optim);
    clip_close(&model);
    device_close(&device);
    clock_set_fake(NULL);
    return folder_teardown(state);
}

static struct record_config config(const char *folder_name)
{
    static char path[IO_PATH_MAX];

    snprintf(path, sizeof path, "%s", at(folder_name));
    return (struct record_config){.folder = path,
                                  .rules = {.keep = 9},
                                  .agree = STR("{\"batch\":8}"),
                                  .batch = 8,
                                  .epoch = 32,
                                  .alarms = {.begin = 2.66, .most = 4.6}};
}

#define MUST(call) assert_int_equal((call), 0)

static void begin(struct record *r, const struct record_config *c)
{
    struct err e = ERR_INIT;

    if (record_find(r, c, &e) || record_load(r, &optim, &e) ||
        record_begin(r, STR("{\"device\":\"x\"}"), STR("{\"head\":1}"), &e))
        fail_msg("%s", e.message);
}

static void take(struct record *r, uint64_t number)
{
    const struct record_step s = {.number = number,
                                  .loss = 1 + 1.0 / (double)number,
                                  .lr = 0.5,
                                  .norm = 1,
                                  .logit_scale = 2.7,
                                  .seconds = 0.5};

    assert_int_equal(record_step(r, &s, NULL), 0);
}

static void end(struct record *r)
{
    assert_int_equal(record_close(r, 0, NULL), 0);
}

/* Lines of a log; it ends with a whole one. */
static int count_lines(const char *path, const char *word)
{
    struct str rest, line;
    struct buf b;
    int n = 0;

    buf_init(&b, 1 << 20);
    assert_int_equal(io_read_file(path, &b, NULL), 0);
    rest = buf_str(&b);
    assert_true(str_ends(rest, STR("}\n")));
    while (str_split(&rest, '\n', &line))
        n += line.n && str_find(line, str_of(word), 0) < line.n;
    buf_release(&b);
    return n;
}

static void test_record__nothing(void **state)
{
    const struct record_config c = {.batch = 8};
    struct record r;

    (void)state;
    begin(&r, &c);
    assert_false(record_wants(&r));
    take(&r, 1);
    assert_false(record_due(&r));
    assert_int_equal(record_save(&r, &model, NULL), 0);
    end(&r);
}

static void test_record__a_log_alone(void **state)
{
    const struct record_config c = {.batch = 8, .log = at("alone")};
    struct record r;

    (void)state;
    for (int k = 0; k < 2; k++) { /* the second one begins it anew */
        begin(&r, &c);
        assert_true(record_wants(&r));
        take(&r, 1);
        take(&r, 2);
        end(&r);
        assert_int_equal(count_lines(c.log, ""), 3);
        assert_int_equal(count_lines(c.log, "\"samples\":16"), 1);
        assert_int_equal(count_lines(c.log, "epoch"), 0);
    }
}

static void test_record__due(void **state)
{
    struct record_config c = config("due");
    struct record r;

    (void)state;
    c.every = 3;
    c.minutes = 10;
    begin(&r, &c);
    for (uint64_t i = 1; i <= 7; i++) {
        take(&r, i);
        assert_int_equal(record_due(&r), i % 3 == 0);
        if (record_due(&r))
            assert_int_equal(record_save(&r, &model, NULL), 0);
        assert_false(record_due(&r)); /* it has just been made */
    }
    fake.mono_ms += 10 * 60000 - 1;
    take(&r, 8);
    assert_false(record_due(&r));
    fake.mono_ms++;
    assert_true(record_due(&r));
    assert_int_equal(record_save(&r, &model, NULL), 0);
    take(&r, 10);
    assert_false(record_due(&r));
    end(&r);
    assert_true(io_exists(at("due/step-000000008/checkpoint.json")));
    assert_int_equal(count_lines(at("due/log.jsonl"), "\"epoch\":0.25"), 1);
}

/* The best is what an evaluation says, of the step that it was made at. */
static void test_record__evaluations(void **state)
{
    static const double metrics[] = {0.25, 0.75, 0.5};
    struct record_config c = config("evals");
    const struct record_eval list[] = {{"top1", 0.5}, {"top5", 0.9}};
    struct checkpoint_meta meta;
    char path[IO_PATH_MAX];
    struct record r;

    (void)state;
    c.rules.keep = 1;
    begin(&r, &c);
    for (uint64_t i = 1; i <= 4; i++) {
        take(&r, i);
        if (i < 4)
            assert_int_equal(record_eval(&r, list, 2, metrics[i - 1], NULL), 0);
        assert_int_equal(record_save(&r, &model, NULL), 0);
    }
    end(&r);
    assert_int_equal(count_lines(at("evals/log.jsonl"),
                                 "\"eval\":{\"top1\":0.5,\"top5\":0.9}"),
                     3);
    assert_int_equal(
        checkpoint_find(c.folder, CHECKPOINT_BEST, path, &meta, NULL), 0);
    assert_int_equal(meta.state.step, 2);
    assert_true(meta.state.metric == 0.75);
    checkpoint_meta_release(&meta);
    assert_int_equal(
        checkpoint_find(c.folder, CHECKPOINT_LAST, path, &meta, NULL), 0);
    assert_int_equal(meta.state.step, 4);
    assert_false(meta.state.has_metric);
    checkpoint_meta_release(&meta);
    assert_false(io_exists(at("evals/step-000000003")));
}

/* Of several ranks one writes; the others begin at the same step. */
static void test_record__reads_only(void **state)
{
    struct record_config c = config("ranks");
    struct record first, other;

    (void)state;
    begin(&first, &c);
    take(&first, 1);
    assert_int_equal(record_save(&first, &model, NULL), 0);
    c.resume = c.reads_only = true;
    c.every = 1;
    begin(&other, &c);
    assert_int_equal(other.state.step, 1);
    assert_false(record_wants(&other));
    take(&other, 2);
    assert_false(record_due(&other));
    assert_int_equal(record_save(&other, &model, NULL), 0);
    assert_int_equal(other.state.samples, 16);
    end(&other);
    end(&first);
    assert_false(io_exists(at("ranks/step-000000002")));
    assert_int_equal(count_lines(at("ranks/log.jsonl"), ""), 2);
}

static void test_record__refused(void **state)
{
    struct record_config c = config("refused");
    struct err e = ERR_INIT;
    struct record r, two;

    (void)state;
    begin(&r, &c);
    assert_int_equal(record_find(&two, &c, &e), -E_BUSY);
    record_close(&two, -E_BUSY, NULL);
    take(&r, 1);
    assert_int_equal(record_save(&r, &model, NULL), 0);
    end(&r);
    e = (struct err)ERR_INIT;
    assert_int_equal(record_find(&r, &c, &e), -E_USAGE);
    assert_non_null(strstr(e.message, "up to step 1"));
    assert_int_equal(record_close(&r, -E_USAGE, NULL), -E_USAGE);
    e = (struct err)ERR_INIT;
    c.resume = true;
    c.agree = STR("{\"batch\":16}");
    assert_int_equal(record_find(&r, &c, &e), -E_STALE);
    assert_non_null(strstr(e.message, "--batch 8, now 16"));
    assert_int_equal(record_close(&r, -E_STALE, NULL), -E_STALE);
    c.agree = STR("{\"batch\":8}");
    begin(&r, &c);
    assert_int_equal(r.state.step, 1);
    end(&r);
}

/* Lines behind the checkpoint go, and half a line; of a log that lost some,
 * whole lines stay. */
/* Without a checkpoint only a log of the same settings is written over. */
static void test_record__somebody_elses_log(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *says;
    } cases[] = {
        {"", 0, ""},
        {"{\"model\":\"x\",\"settings\":{\"batch\":8}}\n{\"step\":1}\n", 0, ""},
        {"{\"model\":\"x\",\"setti", 0, ""}, /* a disk that was full */
        {"{\"model\":\"x\",\"settings\":{\"batch\":9}}\n", -E_USAGE,
         "--batch 9, now 8"},
        {"{\"step\":1}\n", -E_USAGE, "not the log of a run"},
        {"my notes", -E_USAGE, "not the log of a run"},
    };
    struct record_config c = config("elses");
    struct record r;

    (void)state;
    c.settings = STR("{\"batch\":8}");
    MUST(io_mkdirs(c.folder, NULL));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;

        MUST(io_write_file(at("elses/log.jsonl"), str_of(cases[i].text), NULL));
        assert_int_equal(record_find(&r, &c, &e), cases[i].rc);
        assert_non_null(strstr(e.message, cases[i].says));
        record_close(&r, 0, NULL);
    }
    c.log = at("elses/log.jsonl"); /* who names a file means it */
    assert_int_equal(record_find(&r, &c, NULL), 0);
    record_close(&r, 0, NULL);
}

/* A gradient that nobody took has no length. */
static void test_record__no_norm(void **state)
{
    const struct record_config c = config("no-norm");
    const struct record_step s = {.number = 1,
                                  .loss = NAN,
                                  .norm = -1,
                                  .logit_scale = 2.66,
                                  .seconds = 1,
                                  .left_out = true};
    struct record r;
    struct buf text;

    (void)state;
    begin(&r, &c);
    MUST(record_step(&r, &s, NULL));
    MUST(record_close(&r, 0, NULL));
    buf_init(&text, 1 << 16);
    MUST(io_read_file(at("no-norm/log.jsonl"), &text, NULL));
    assert_non_null(strstr(text.p, "\"loss\":null"));
    assert_non_null(strstr(text.p, "\"norm\":null"));
    assert_non_null(strstr(text.p, "\"alarm\":\"not finite\""));
    buf_release(&text);
}

static void test_record__cuts_the_log(void **state)
{
    static const char *const tails[] = {"", "{\"step\":2}\n", "{\"ste"};
    struct record_config c = config("cut");
    struct buf whole, b;
    struct record r;

    (void)state;
    begin(&r, &c);
    take(&r, 1);
    assert_int_equal(record_save(&r, &model, NULL), 0);
    end(&r);
    c.resume = true;
    buf_init(&whole, 1 << 16);
    assert_int_equal(io_read_file(at("cut/log.jsonl"), &whole, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        buf_init(&b, 1 << 16);
        buf_add(&b, buf_str(&whole));
        buf_add(&b, str_of(tails[i]));
        assert_int_equal(io_write_file(at("cut/log.jsonl"), buf_str(&b), NULL),
                         0);
        begin(&r, &c);
        end(&r);
        buf_clear(&b);
        assert_int_equal(io_read_file(at("cut/log.jsonl"), &b, NULL), 0);
        assert_true(str_eq(buf_str(&b), buf_str(&whole)));
        buf_release(&b);
    }
    for (size_t lost = 1; lost < whole.n; lost += 7) {
        struct str left = str_slice(buf_str(&whole), 0, whole.n - lost);

        assert_int_equal(io_write_file(at("cut/log.jsonl"), left, NULL), 0);
        begin(&r, &c);
        take(&r, 2);
        end(&r);
        assert_int_equal(count_lines(at("cut/log.jsonl"), "\"head\""), 1);
        assert_int_equal(count_lines(at("cut/log.jsonl"), "\"step\":1"), 0);
        assert_int_equal(count_lines(at("cut/log.jsonl"), "\"step\":2"), 1);
    }
    buf_release(&whole);
}

static void test_record__alarms(void **state)
{
    struct record_config c = config("alarms");
    struct record r;

    (void)state;
    begin(&r, &c);
    for (uint64_t i = 1; i <= 50; i++) {
        struct record_step s = {.number = i,
                                .loss = i == 45 ? NAN : 1,
                                .norm = i == 40 ? 100 : 1,
                                .logit_scale = 2.7,
                                .left_out = i == 40 || i == 45};

        assert_int_equal(record_step(&r, &s, NULL), 0);
    }
    assert_int_equal(r.state.applied, 50);
    assert_int_equal(r.state.samples, 400);
    end(&r);
    assert_int_equal(count_lines(at("alarms/log.jsonl"), "\"alarm\""), 2);
    assert_int_equal(
        count_lines(at("alarms/log.jsonl"), "{\"step\":40,\"alarm\":\"spike\""),
        1);
    assert_int_equal(count_lines(at("alarms/log.jsonl"), "\"left_out\":true"),
                     2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record__nothing),
        cmocka_unit_test(test_record__a_log_alone),
        cmocka_unit_test(test_record__due),
        cmocka_unit_test(test_record__evaluations),
        cmocka_unit_test(test_record__reads_only),
        cmocka_unit_test(test_record__refused),
        cmocka_unit_test(test_record__somebody_elses_log),
        cmocka_unit_test(test_record__no_norm),
        cmocka_unit_test(test_record__cuts_the_log),
        cmocka_unit_test(test_record__alarms),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
