/* train/evalset: pictures, labels and captions of tars, and what is left out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/log.h"
#include "tests/eval_world.h"
#include "train/evalset.h"

#define SIZE 8u /* pixels of a square */

/* at()'s paths do not stay; one set is open at a time. */
static struct evalset_config config(const char *path, enum evalset_need need)
{
    static char data[IO_PATH_MAX];

    snprintf(data, sizeof data, "%s", path);
    return (struct evalset_config){
        .data = data, .need = need, .size = SIZE, .batch = 4, .workers = 2};
}

static void open_set(struct evalset *s, const struct evalset_config *c)
{
    struct err e = ERR_INIT;

    if (evalset_open(s, c, &e))
        fail_msg("%s", e.message);
}

/* All batches: the numbers of the samples, as their keys say, into order;
 * pictures are looked at. */
static size_t read_all(struct evalset *s, int *order)
{
    struct evalset_batch b;
    struct err e = ERR_INIT;
    bool last = false;
    size_t n = 0;

    for (;;) {
        if (evalset_next(s, &b, &e))
            fail_msg("%s", e.message);
        if (!b.n)
            return n;
        assert_false(last); /* full but the last */
        last = b.n < s->c.batch;
        for (int i = 0; i < b.n; i++) {
            const uint8_t *rgb = b.rgb + (size_t)i * picture_bytes(SIZE);
            uint64_t number;

            assert_int_equal(str_u64(b.items[i].key, &number), 0);
            order[n++] = (int)number;
            for (size_t k = 0; k < picture_bytes(SIZE); k += 3)
                assert_in_range(rgb[k], eval_red((int)number) - 4,
                                eval_red((int)number) + 4);
            if (s->c.need == EVALSET_LABELS)
                assert_int_equal(b.items[i].label, eval_label((int)number));
        }
    }
}

static void test_evalset__labels(void **state)
{
    struct evalset_config c = config(at("labels.tar"), EVALSET_LABELS);
    struct err e = ERR_INIT;
    struct evalset s;
    int order[64];

    (void)state;
    c.classes = EVAL_CLASSES;
    open_set(&s, &c);
    for (int pass = 0; pass < 3; pass++) {
        size_t n = read_all(&s, order);
        int at = 0;

        for (int i = 0; i < EVAL_SAMPLES; i++)
            if (eval_flaw(i) == EVAL_WHOLE || eval_flaw(i) == EVAL_NO_TEXT)
                assert_int_equal(order[at++], i);
        assert_int_equal(n, at);
        assert_int_equal(s.seen, EVAL_SAMPLES);
        assert_int_equal(s.given, at);
        assert_int_equal(tally_sum(&s.left_out) + s.given, s.seen);
        assert_int_equal(tally_get(&s.left_out, "no-label"), 1);
        assert_int_equal(tally_get(&s.left_out, "bad-label"), 1);
        assert_int_equal(tally_get(&s.left_out, "label-range"), 1);
        assert_int_equal(tally_get(&s.left_out, "no-image"), 1);
        assert_int_equal(tally_get(&s.left_out, "image-truncated"), 2);
        assert_int_equal(evalset_check(&s, &e), -E_RANGE);
        assert_non_null(strstr(e.message, "has label"));
        assert_non_null(strstr(e.message, "from 0 on"));
        evalset_rewind(&s);
        assert_int_equal(evalset_check(&s, NULL), -E_FORMAT);
    }
    evalset_close(&s);
}

static void test_evalset__stops_in_the_middle(void **state)
{
    const struct evalset_config c = config(at("labels.tar"), EVALSET_PICTURES);
    struct evalset_batch b;
    struct evalset s;
    int order[64];
    size_t n;

    (void)state;
    open_set(&s, &c);
    assert_int_equal(evalset_next(&s, &b, NULL), 0);
    assert_int_equal(b.n, 4);
    evalset_rewind(&s);
    n = read_all(&s, order);
    assert_int_equal(n, s.given);
    assert_int_equal(order[0], 0);
    assert_int_equal(evalset_next(&s, &b, NULL), 0);
    assert_int_equal(b.n, 0);
    evalset_rewind(&s);
    assert_int_equal(evalset_next(&s, &b, NULL), 0);
    evalset_close(&s);
}

static void check_captions(const struct evalset *s,
                           const struct evalset_batch *b)
{
    for (int i = 0; i < b->n; i++) {
        const struct evalset_item *it = &b->items[i];
        char want[64];
        uint64_t number;

        assert_int_equal(str_u64(it->key, &number), 0);
        assert_int_equal(it->n_texts, s->c.caption_key ? 1 : 2);
        for (size_t k = 0; k < it->n_texts; k++) {
            snprintf(want, sizeof want,
                     s->c.caption_key ? "json %d" : "picture %d, text %zu",
                     (int)number, k);
            assert_true(str_eq(it->texts[k], str_of(want)));
        }
    }
}

static void test_evalset__captions(void **state)
{
    struct evalset_config c = config(at("labels.tar"), EVALSET_CAPTIONS);
    struct evalset_batch b;
    struct evalset s;

    (void)state;
    for (int json = 0; json < 2; json++) {
        c.caption_key = json ? "alt" : NULL;
        open_set(&s, &c);
        while (assert_int_equal(evalset_next(&s, &b, NULL), 0), b.n)
            check_captions(&s, &b);
        assert_int_equal(tally_get(&s.left_out, "no-text"), json ? 0 : 1);
        assert_int_equal(tally_sum(&s.left_out) + s.given, s.seen);
        evalset_close(&s);
    }
}

/* More broken ones in a row than are ever on their way. */
static void test_evalset__mostly_broken(void **state)
{
    const struct evalset_config c = config(at("broken.tar"), EVALSET_PICTURES);
    struct evalset s;
    int order[8];

    (void)state;
    open_set(&s, &c);
    assert_int_equal(read_all(&s, order), 1);
    assert_int_equal(order[0], EVAL_BROKEN - 1);
    assert_int_equal(s.seen, EVAL_BROKEN);
    evalset_close(&s);
}

static void test_evalset__nothing_left(void **state)
{
    struct evalset_config c = config(at("broken.tar"), EVALSET_LABELS);
    struct err e = ERR_INIT;
    struct evalset s;
    int order[8];

    (void)state;
    open_set(&s, &c);
    assert_int_equal(read_all(&s, order), 0);
    assert_int_equal(evalset_check(&s, &e), -E_FORMAT);
    assert_non_null(strstr(e.message, "no-label"));
    evalset_close(&s);
}

/* ---- where the tars are ---- */

static void test_evalset__benchmark(void **state)
{
    struct evalset_config c = config(at("bench"), EVALSET_LABELS);
    char path[IO_PATH_MAX];
    struct evalset s;
    int order[64];

    (void)state;
    open_set(&s, &c);
    assert_int_equal(s.n_shards, 11);
    assert_true(str_ends(str_of(s.shards[2]), STR("test/2.tar")));
    assert_true(str_ends(str_of(s.shards[10]), STR("test/10.tar")));
    assert_int_equal(s.type, EVALSET_CLASSIFICATION);
    assert_true(evalset_beside(&s, "classnames.txt", path));
    assert_false(evalset_beside(&s, "dataset_type.txt", path));
    assert_int_equal(read_all(&s, order), 22);
    for (int i = 0; i < 22; i++)
        assert_int_equal(order[i], i);
    evalset_close(&s);
    c.split = "train"; /* without nshards.txt: all of it, in order of names */
    open_set(&s, &c);
    assert_int_equal(s.n_shards, 2);
    evalset_close(&s);
}

/* Named and not there: what is; without a name a folder is shards, too. */
static void test_evalset__no_such_split(void **state)
{
    struct evalset_config c = config(at("bench"), EVALSET_LABELS);
    struct err e = ERR_INIT;
    struct evalset s;

    (void)state;
    c.split = "tset";
    assert_int_equal(evalset_open(&s, &c, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "--split tset"));
    assert_non_null(strstr(e.message, "test, train"));
    c.data = at("bench/test");
    e = (struct err)ERR_INIT;
    assert_int_equal(evalset_open(&s, &c, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "none at all"));
    c.data = at("bench/test/2.tar");
    e = (struct err)ERR_INIT;
    assert_int_equal(evalset_open(&s, &c, &e), -E_USAGE);
    c.split = NULL;
    open_set(&s, &c);
    assert_int_equal(s.n_shards, 1);
    evalset_close(&s);
}

static void test_evalset__types(void **state)
{
    static const struct {
        const char *text;
        int type; /* -E_*: refused */
    } cases[] = {{"retrieval\n", EVALSET_RETRIEVAL},
                 {"multilabel", EVALSET_MULTILABEL},
                 {"classification", EVALSET_CLASSIFICATION},
                 {"captioning", -E_UNSUPPORTED}};
    const struct evalset_config c = config(at("bench"), EVALSET_PICTURES);
    struct evalset s;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int rc;

        WORLD_MUST(io_write_file(at("bench/dataset_type.txt"),
                                 str_of(cases[i].text), we));
        rc = evalset_open(&s, &c, NULL);
        assert_int_equal(rc, cases[i].type < 0 ? cases[i].type : 0);
        if (!rc)
            assert_int_equal(s.type, cases[i].type);
        evalset_close(&s);
    }
    WORLD_MUST(io_remove(at("bench/dataset_type.txt"), we));
}

static void test_evalset__other_places(void **state)
{
    static const struct {
        const char *data;
        size_t tars;
    } cases[] = {{"labels.tar", 1},
                 {"bench/test", 11},
                 {"bench/test/{3..5}.tar", 3},
                 {"corpus", 2}};
    struct evalset s;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct evalset_config c =
            config(at(cases[i].data), EVALSET_PICTURES);

        open_set(&s, &c);
        assert_int_equal(s.n_shards, cases[i].tars);
        evalset_close(&s);
    }
}

static void test_evalset__refuses(void **state)
{
    static const struct {
        const char *data, *nshards;
        int rc;
        const char *says;
    } cases[] = {{"nowhere.tar", NULL, -E_NOTFOUND, "nowhere.tar"},
                 {"bench/test/{10..11}.tar", NULL, -E_NOTFOUND, "11.tar"},
                 {"empty", NULL, -E_NOTFOUND, "no .tar"},
                 {"bench", "12", -E_NOTFOUND, "11.tar"},
                 {"bench", "0", -E_FORMAT, "nshards.txt"},
                 {"bench", "many", -E_FORMAT, "nshards.txt"},
                 {"bench", "", -E_FORMAT, "nshards.txt"},
                 {"bench", "99999999999", -E_FORMAT, "nshards.txt"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct evalset_config c =
            config(at(cases[i].data), EVALSET_PICTURES);
        struct err e = ERR_INIT;
        struct evalset s;

        if (cases[i].nshards)
            WORLD_MUST(io_write_file(at("bench/test/nshards.txt"),
                                     str_of(cases[i].nshards), we));
        assert_int_equal(evalset_open(&s, &c, &e), cases[i].rc);
        if (!strstr(e.message, cases[i].says))
            fail_msg("%s", e.message);
    }
    WORLD_MUST(io_write_file(at("bench/test/nshards.txt"), STR("11\n"), we));
}

/* A tar that ends too soon ends the evaluation: its whole samples would make
 * another figure. */
static void test_evalset__cut_tar(void **state)
{
    const struct evalset_config c = config(at("cut.tar"), EVALSET_PICTURES);
    struct evalset_batch b;
    struct err e = ERR_INIT;
    struct evalset s;
    struct buf file;
    int rc;

    (void)state;
    buf_init(&file, 1 << 24);
    WORLD_MUST(io_read_file(at("labels.tar"), &file, we));
    WORLD_MUST(
        io_write_file(at("cut.tar"), str_make(file.p, file.n / 2 + 100), we));
    buf_release(&file);
    open_set(&s, &c);
    do
        rc = evalset_next(&s, &b, &e);
    while (!rc && b.n);
    assert_int_equal(rc, -E_FORMAT);
    assert_non_null(strstr(e.message, "cut.tar"));
    evalset_close(&s);
}

static int setup(void **state)
{
    log_quiet(true);
    return folder_setup(state) || (eval_world(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evalset__labels),
        cmocka_unit_test(test_evalset__stops_in_the_middle),
        cmocka_unit_test(test_evalset__captions),
        cmocka_unit_test(test_evalset__mostly_broken),
        cmocka_unit_test(test_evalset__nothing_left),
        cmocka_unit_test(test_evalset__benchmark),
        cmocka_unit_test(test_evalset__no_such_split),
        cmocka_unit_test(test_evalset__types),
        cmocka_unit_test(test_evalset__other_places),
        cmocka_unit_test(test_evalset__refuses),
        cmocka_unit_test(test_evalset__cut_tar),
    };

    return cmocka_run_group_tests(tests, setup, folder_teardown);
}
