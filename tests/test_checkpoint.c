/* Checkpoints: every number comes back, what is damaged is passed over, which
 * ones stay, and that a disk that fills up takes nothing away. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "tests/folder.h"
#include "train/checkpoint.h"
#include "train/random.h"
#include "train/ref/ref.h"

static struct device device;

static int setup(void **state)
{
    log_quiet(true);
    return folder_setup(state) || ref_open(&device, DTYPE_F32, NULL) ? -1 : 0;
}

static int teardown(void **state)
{
    device_close(&device);
    return folder_teardown(state);
}

static void open_sized(struct clip *m, const char *name, enum store_use use,
                       int vocabulary)
{
    struct clip_config c;

    assert_int_equal(clip_config_find(&c, name, NULL), 0);
    if (vocabulary)
        c.text.vocab_size = vocabulary;
    assert_int_equal(clip_open(m, &device, &c, use, NULL), 0);
}

static void open_model(struct clip *m, const char *name)
{
    open_sized(m, name, STORE_TRAIN, 0);
}

/* Numbers of all their bits in every class that a checkpoint holds; padding is
 * left zero. */
static void fill(struct clip *m, uint64_t seed)
{
    struct store *s = &m->store;
    char *const classes[] = {s->real, s->m, s->v};

    for (uint64_t k = 0; k < 3; k++)
        for (int i = 0; i < s->n; i++) {
            const struct tensor *t = &s->list[i];
            size_t number = k ? s->moment_size : s->real_size;
            char *at = classes[k] + (size_t)t->at * number;

            for (int64_t j = 0; j < t->count && !(k && t->buffer); j++) {
                float x = (float)random_uniform(random_bits(seed, k),
                                                (uint64_t)(t->at + j));
                uint16_t half = bf16_from_float(x);

                memcpy(at + (size_t)j * number,
                       number == sizeof half ? (void *)&half : (void *)&x,
                       number);
            }
        }
}

static bool same(const struct clip *a, const struct clip *b)
{
    const struct store *x = &a->store, *y = &b->store;
    size_t n = (size_t)x->size * x->real_size;
    size_t moments = (size_t)x->size * x->moment_size;

    return !memcmp(x->real, y->real, n) && !memcmp(x->m, y->m, moments) &&
           !memcmp(x->v, y->v, moments);
}

static struct checkpoint_state state_at(uint64_t step)
{
    struct checkpoint_state s = {.step = step,
                                 .samples = 64 * step,
                                 .seed = UINT64_MAX,
                                 .applied = step - 1,
                                 .log_bytes = 1000 * step};

    alarm_begin(&s.alarms);
    s.alarms.norms_n = 1000;
    for (int i = 0; i < ALARM_WINDOW; i++)
        s.alarms.norms[i] = random_uniform(step, (uint64_t)i);
    s.alarms.mean = 1.0 / 3;
    s.alarms.mean_n = 77;
    return s;
}

static int write_at(const struct clip *m, const char *run,
                    const struct checkpoint_state *s, struct err *e)
{
    const struct checkpoint_out out = {.folder = run,
                                       .m = m,
                                       .state = s,
                                       .agree = STR("{\"batch\":64}"),
                                       .made = STR("{\"threads\":2}")};

    return checkpoint_write(&out, e);
}

static void write_step(const struct clip *m, const char *run, uint64_t step)
{
    struct checkpoint_state s = state_at(step);
    struct err e = ERR_INIT;

    if (write_at(m, run, &s, &e))
        fail_msg("step %llu: %s", (unsigned long long)step, e.message);
}

/* A folder of its own for a run; one at a time. */
static const char *run_folder(const char *name)
{
    static char path[IO_PATH_MAX];

    snprintf(path, sizeof path, "%s", at(name));
    assert_int_equal(io_mkdirs(path, NULL), 0);
    return path;
}

static void test_checkpoint__round_trip(void **unused)
{
    /* the last: tensors that are written in parts */
    static const struct {
        const char *run, *model;
        enum store_use use;
        int vocabulary;
    } cases[] = {{"vit", "tiny-vit", STORE_TRAIN, 0},
                 {"resnet", "tiny-resnet", STORE_TRAIN, 0},
                 {"half", "tiny-resnet", STORE_TRAIN_HALF, 0},
                 {"big", "tiny-vit", STORE_TRAIN, 70000}};

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *run = run_folder(cases[i].run);
        struct checkpoint_state s = state_at(123);
        struct checkpoint_meta meta;
        char path[IO_PATH_MAX], wanted[IO_PATH_MAX];
        struct clip a, b;
        struct err e = ERR_INIT;

        s.has_metric = true;
        s.metric = 0.1 + 0.2;
        open_sized(&a, cases[i].model, cases[i].use, cases[i].vocabulary);
        open_sized(&b, cases[i].model, cases[i].use, cases[i].vocabulary);
        fill(&a, 1);
        fill(&b, 2);
        assert_false(same(&a, &b));
        const struct checkpoint_beside words = {"words.txt", STR("a dog\n")};
        const struct checkpoint_out out = {.folder = run,
                                           .m = &a,
                                           .state = &s,
                                           .agree = STR("{\"batch\":64}"),
                                           .made = STR("{\"threads\":2}"),
                                           .beside = &words,
                                           .beside_n = 1};
        if (checkpoint_write(&out, &e) ||
            checkpoint_find(run, CHECKPOINT_LAST, path, &meta, &e) ||
            checkpoint_load(path, &b, &e))
            fail_msg("%s", e.message);
        snprintf(wanted, sizeof wanted, "%s/step-000000123", run);
        assert_string_equal(path, wanted);
        assert_true(same(&a, &b));
        assert_memory_equal(&meta.state, &s, sizeof s);
        assert_true(str_eq(meta.agree, STR("{\"batch\":64}")));
        assert_true(str_eq(meta.made, STR("{\"threads\":2}")));
        assert_int_equal(meta.n, 4);
        assert_string_equal(meta.files[3].name, "words.txt");
        assert_int_equal(meta.files[3].bytes, 6);
        checkpoint_meta_release(&meta);
        clip_close(&a);
        clip_close(&b);
    }
}

/* The same state is the same bytes. */
static void test_checkpoint__same_bytes(void **unused)
{
    static const char *const files[] = {
        "model.safetensors", "moments.safetensors", "open_clip_config.json",
        "checkpoint.json"};
    struct clip m;

    (void)unused;
    open_model(&m, "tiny-resnet");
    fill(&m, 3);
    write_step(&m, run_folder("one"), 5);
    write_step(&m, run_folder("two"), 5);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[2][IO_PATH_MAX], hex[2][SHA256_HEX];

        for (int k = 0; k < 2; k++) {
            snprintf(path[k], IO_PATH_MAX, "%s/%s/step-000000005/%s", folder,
                     k ? "two" : "one", files[i]);
            assert_int_equal(io_sha256_file(path[k], hex[k], NULL), 0);
        }
        assert_string_equal(hex[0], hex[1]);
    }
    clip_close(&m);
}

/* ---- damage ---- */

enum harm { FLIP, CUT, GROW, REMOVE, HARMS };

static void harm_file(const char *path, enum harm how)
{
    struct stat st;
    FILE *f;
    int c;

    assert_int_equal(stat(path, &st), 0);
    if (how == REMOVE) {
        assert_int_equal(unlink(path), 0);
    } else if (how == CUT) {
        assert_int_equal(truncate(path, st.st_size - 1), 0);
    } else {
        f = fopen(path, how == GROW ? "ab" : "r+b");
        assert_non_null(f);
        if (how == FLIP) {
            assert_int_equal(fseek(f, (long)st.st_size / 2, SEEK_SET), 0);
            c = fgetc(f);
            assert_int_equal(fseek(f, (long)st.st_size / 2, SEEK_SET), 0);
            assert_true(fputc(c ^ 1, f) != EOF);
        } else {
            assert_true(fputc('\n', f) != EOF);
        }
        assert_int_equal(fclose(f), 0);
    }
}

/* Whatever happens to whichever file of the last one: the one before it. */
static void test_checkpoint__damaged(void **unused)
{
    static const char *const files[] = {
        "model.safetensors", "moments.safetensors", "open_clip_config.json",
        "checkpoint.json"};
    const char *run = run_folder("damaged");
    struct clip m;

    (void)unused;
    open_model(&m, "tiny-vit");
    fill(&m, 4);
    write_step(&m, run, 10);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (enum harm how = FLIP; how < HARMS; how++) {
            struct checkpoint_meta meta;
            char path[IO_PATH_MAX], file[IO_PATH_MAX];

            write_step(&m, run, 20);
            assert_int_equal(
                checkpoint_find(run, CHECKPOINT_LAST, path, &meta, NULL), 0);
            assert_int_equal(meta.state.step, 20);
            checkpoint_meta_release(&meta);
            assert_int_equal(io_join(file, path, files[i], NULL), 0);
            harm_file(file, how);
            assert_int_equal(
                checkpoint_find(run, CHECKPOINT_LAST, path, &meta, NULL), 0);
            assert_int_equal(meta.state.step, 10);
            checkpoint_meta_release(&meta);
        }
    clip_close(&m);
}

static void test_checkpoint__none_whole(void **unused)
{
    const char *run = run_folder("none");
    struct checkpoint_meta meta;
    char path[IO_PATH_MAX];
    struct err e = ERR_INIT;
    struct clip m;

    (void)unused;
    assert_int_equal(checkpoint_find(run, CHECKPOINT_LAST, path, &meta, &e),
                     -E_NOTFOUND);
    assert_non_null(strstr(e.message, run));
    assert_int_equal(
        checkpoint_find(at("nowhere"), CHECKPOINT_LAST, path, &meta, NULL),
        -E_NOTFOUND);
    open_model(&m, "tiny-vit");
    write_step(&m, run, 3);
    harm_file(at("none/step-000000003/moments.safetensors"), CUT);
    e = (struct err)ERR_INIT;
    assert_int_equal(checkpoint_find(run, CHECKPOINT_LAST, path, &meta, &e),
                     -E_DAMAGED);
    assert_non_null(strstr(e.message, "moments.safetensors"));
    assert_non_null(strstr(e.message, "no checkpoint before it"));
    clip_close(&m);
}

/* What a later witmill wrote is no damage: nothing is passed over for it. */
static void test_checkpoint__later_version(void **unused)
{
    const char *run = run_folder("later");
    struct checkpoint_meta meta;
    char path[IO_PATH_MAX], hex[SHA256_HEX];
    uint8_t sum[SHA256_SIZE];
    struct err e = ERR_INIT;
    struct buf b;
    struct clip m;

    (void)unused;
    open_model(&m, "tiny-vit");
    write_step(&m, run, 3);
    write_step(&m, run, 4);
    buf_init(&b, 1 << 16);
    buf_add(&b, STR("{\"format\":\"witmill checkpoint\",\"version\":2"));
    hash_sha256(buf_str(&b), sum);
    hash_hex(sum, sizeof sum, hex);
    buf_addf(&b, ",\"sha256\":\"%s\"}\n", hex);
    assert_int_equal(io_write_file(at("later/step-000000004/checkpoint.json"),
                                   buf_str(&b), NULL),
                     0);
    buf_release(&b);
    assert_int_equal(checkpoint_find(run, CHECKPOINT_LAST, path, &meta, &e),
                     -E_VERSION);
    assert_non_null(strstr(e.message, "version 2"));
    clip_close(&m);
}

/* Of another model: said, and nothing is taken for its own. */
static void test_checkpoint__other_model(void **unused)
{
    const char *run = run_folder("other");
    struct checkpoint_meta meta;
    char path[IO_PATH_MAX];
    struct clip a, b;

    (void)unused;
    open_model(&a, "tiny-vit");
    open_model(&b, "tiny-resnet");
    write_step(&a, run, 3);
    assert_int_equal(checkpoint_find(run, CHECKPOINT_LAST, path, &meta, NULL),
                     0);
    assert_int_not_equal(checkpoint_load(path, &b, NULL), 0);
    checkpoint_meta_release(&meta);
    clip_close(&b);
    open_sized(&b, "tiny-vit", STORE_TRAIN_HALF, 0);
    assert_int_equal(checkpoint_find(run, CHECKPOINT_LAST, path, &meta, NULL),
                     0);
    assert_int_equal(checkpoint_load(path, &b, NULL), -E_RANGE);
    checkpoint_meta_release(&meta);
    clip_close(&a);
    clip_close(&b);
}

/* ---- which ones stay ---- */

/* "10 20 30" of the folder. */
static void list_run(const char *run, char *out, size_t size)
{
    struct io_list l;
    size_t n = 0;

    assert_int_equal(io_list(run, &l, NULL), 0);
    out[0] = 0;
    for (size_t i = 0; i < l.n; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%ld", n ? " " : "",
                              strtol(l.names[i] + strlen("step-"), NULL, 10));
    io_list_release(&l);
}

static void test_checkpoint__prune(void **unused)
{
    static const struct {
        struct checkpoint_rules rules;
        int best; /* step with the largest metric; 0: none has one */
        uint64_t step;
        const char *stay;
    } cases[] = {
        {{2, 0}, 0, 60, "50 60"},     {{0, 0}, 0, 60, "60"},
        {{1, 20}, 0, 60, "20 40 60"}, {{2, 30}, 10, 60, "10 30 50 60"},
        {{1, 0}, 60, 60, "60"},       {{9, 0}, 0, 60, "10 20 30 40 50 60"},
        {{1, 0}, 20, 40, "20 40"}, /* 50 and 60: another future */
    };
    struct clip m;

    (void)unused;
    open_model(&m, "tiny-vit");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *run = run_folder("prune");
        char stay[64];

        for (uint64_t step = 10; step <= 60; step += 10) {
            struct checkpoint_state s = state_at(step);

            s.has_metric = cases[i].best;
            s.metric = step > cases[i].step         ? 0.75
                       : (int)step == cases[i].best ? 0.5
                                                    : 0.25;
            assert_int_equal(write_at(&m, run, &s, NULL), 0);
        }
        assert_int_equal(
            checkpoint_prune(run, &cases[i].rules, cases[i].step, NULL), 0);
        list_run(run, stay, sizeof stay);
        assert_string_equal(stay, cases[i].stay);
    }
    clip_close(&m);
}

static void test_checkpoint__best(void **unused)
{
    static const double metrics[] = {0.1, 0.7, 0.7, 0.3};
    const char *run = run_folder("best");
    struct checkpoint_meta meta;
    char path[IO_PATH_MAX];
    struct clip m;

    (void)unused;
    open_model(&m, "tiny-vit");
    for (uint64_t i = 0; i < 5; i++) {
        struct checkpoint_state s = state_at(i + 1);

        s.has_metric = i < 4;
        s.metric = i < 4 ? metrics[i] : 9;
        assert_int_equal(write_at(&m, run, &s, NULL), 0);
    }
    assert_int_equal(checkpoint_find(run, CHECKPOINT_BEST, path, &meta, NULL),
                     0);
    assert_int_equal(meta.state.step, 2);
    checkpoint_meta_release(&meta);
    clip_close(&m);
}

/* Half-made and half-removed folders go; what is not ours stays. */
static void test_checkpoint__sweep(void **unused)
{
    const char *run = run_folder("sweep");
    char left[256] = "";
    struct io_list l;

    (void)unused;
    assert_int_equal(io_mkdirs(at("sweep/step-000000007.tmp"), NULL), 0);
    assert_int_equal(
        io_write_file(at("sweep/step-000000007.tmp/model.safetensors"),
                      STR("half"), NULL),
        0);
    assert_int_equal(io_mkdirs(at("sweep/step-000000001.gone.tmp"), NULL), 0);
    assert_int_equal(io_mkdirs(at("sweep/mine.tmp"), NULL), 0);
    assert_int_equal(io_mkdirs(at("sweep/step-7"), NULL), 0);
    assert_int_equal(io_mkdirs(at("sweep/step-by-step.tmp"), NULL), 0);
    assert_int_equal(io_mkdirs(at("sweep/step-7.tmp"), NULL), 0);
    assert_int_equal(
        io_write_file(at("sweep/step-000000003.tmp"), STR("no folder"), NULL),
        0);
    assert_int_equal(io_mkdirs(at("elsewhere/in it"), NULL), 0);
    assert_int_equal(symlink("../elsewhere", at("sweep/step-000000004.tmp")),
                     0);
    assert_int_equal(checkpoint_sweep(run, NULL), 0);
    assert_int_equal(checkpoint_sweep(at("nowhere"), NULL), 0);
    assert_int_equal(io_list(run, &l, NULL), 0);
    for (size_t i = 0; i < l.n; i++)
        snprintf(left + strlen(left), sizeof left - strlen(left), "%s ",
                 l.names[i]);
    io_list_release(&l);
    assert_string_equal(left,
                        "mine.tmp step-000000003.tmp step-000000004.tmp step-7 "
                        "step-7.tmp step-by-step.tmp ");
    assert_true(io_exists(at("elsewhere/in it")));
}

/* No room for the files, from one byte on: said, no half of one, and the one
 * before stays. */
static void test_checkpoint__full_disk(void **unused)
{
    const char *run = run_folder("full");
    struct rlimit before, limit;
    struct clip m;
    rlim_t most = 0;

    (void)unused;
    open_model(&m, "tiny-vit");
    write_step(&m, run, 1);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    for (rlim_t room = 1; room < (rlim_t)1 << 30; room *= 2) {
        struct checkpoint_state s = state_at(2);
        struct err e = ERR_INIT;
        char stay[64];
        int rc;

        limit.rlim_cur = room;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        rc = write_at(&m, run, &s, &e);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        list_run(run, stay, sizeof stay);
        assert_string_equal(stay, rc ? "1" : "1 2");
        if (!rc)
            break;
        assert_int_equal(rc, -E_IO);
        assert_non_null(strstr(e.message, "step-000000002.tmp"));
        most = room;
    }
    assert_true(most > 4096);
    clip_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checkpoint__round_trip),
        cmocka_unit_test(test_checkpoint__same_bytes),
        cmocka_unit_test(test_checkpoint__damaged),
        cmocka_unit_test(test_checkpoint__none_whole),
        cmocka_unit_test(test_checkpoint__later_version),
        cmocka_unit_test(test_checkpoint__other_model),
        cmocka_unit_test(test_checkpoint__prune),
        cmocka_unit_test(test_checkpoint__best),
        cmocka_unit_test(test_checkpoint__sweep),
        cmocka_unit_test(test_checkpoint__full_disk),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
