/* train/source: which tars a spec names, and their indexes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/shards_world.h"
#include "train/source.h"

static const struct source_options plain = {.threads = 2};
static const struct world whole = {0};

static int open_at(struct source *s, const char *spec, struct err *e)
{
    *e = (struct err)ERR_INIT;
    return source_open(s, str_of(spec), &plain, e);
}

/* In the place of libc's: a file system with locks, without, or with such that
 * do not reach other machines. */
static enum { LOCKS, NO_LOCKS, LOCKS_OF_OURS } locks;

int flock(int fd, int operation)
{
    if (locks == NO_LOCKS)
        errno = ENOSYS;
    return locks == LOCKS ? (int)syscall(SYS_flock, fd, operation)
                          : -(locks == NO_LOCKS);
}

/* ---- specs ---- */

static void test_source__specs_and_weights(void **state)
{
    static const struct {
        const char *spec, *path;
        double weight;
        int rc;
    } cases[] = {
        {"a", "a", 1, 0},
        {"a@2", "a", 2, 0},
        {"a@0.25", "a", 0.25, 0},
        {"a@b", "a@b", 1, 0},
        {"a@b@3", "a@b", 3, 0},
        {"a@", "a@", 1, 0},
        {"user@host/x.tar", "user@host/x.tar", 1, 0},
        {"@2", "", 0, -E_USAGE},
        {"", "", 0, -E_USAGE},
        {"a@0", "", 0, -E_USAGE},
        {"a@-1", "", 0, -E_USAGE},
        {"a@1e9", "", 0, -E_USAGE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct source_spec s;
        struct err e = ERR_INIT;

        assert_int_equal(source_spec_read(str_of(cases[i].spec), &s, &e),
                         cases[i].rc);
        if (cases[i].rc) {
            assert_int_not_equal(e.message[0], 0);
            continue;
        }
        assert_true(str_eq(s.path, str_of(cases[i].path)));
        assert_true(s.weight == cases[i].weight);
    }
}

static void test_source__braces(void **state)
{
    static const struct {
        const char *name, *all; /* names with spaces between; NULL: refused */
    } cases[] = {
        {"x", "x"},
        {"", ""},
        {"{0..3}", "0 1 2 3"},
        {"{3..0}", "3 2 1 0"},
        {"{08..11}.tar", "08.tar 09.tar 10.tar 11.tar"},
        {"a{00..1}", "a00 a01"},
        {"{a,b,}x", "ax bx x"},
        {"{1,2}/{a,b}", "1/a 1/b 2/a 2/b"},
        {"{5..5}", "5"},
        {"{a..c}", "a..c"},
        {"{1..x}", "1..x"},
        {"}", "}"},
        {"{", NULL},
        {"{1,{2,3}}", NULL},
        {"{0..1048576}", NULL},
        {"{0..1023}{0..1023}{0..1}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = ERR_INIT;
        char all[256] = "";
        char **names;
        size_t n;
        int rc = source_expand(str_of(cases[i].name), &names, &n, &e);

        if (!cases[i].all) {
            assert_int_not_equal(rc, 0);
            continue;
        }
        assert_int_equal(rc, 0);
        for (size_t k = 0; k < n; k++) {
            size_t used = strlen(all);

            snprintf(all + used, sizeof all - used, "%s%s", k ? " " : "",
                     names[k]);
            free(names[k]);
        }
        free(names);
        assert_string_equal(all, cases[i].all);
    }
}

/* ---- what is found ---- */

static void test_source__corpus_folder_tar_and_names(void **state)
{
    static const struct {
        const char *spec;
        size_t shards;
        uint64_t n;
    } cases[] = {
        {"c", 3, 25},
        {"c/shards", 3, 25},
        {"c/shards@3", 3, 25},
        {"c/shards/00001.tar", 1, 10},
        {"c/shards/{00000..00001}.tar", 2, 20},
        {"c/shards/0000{2,0}.tar", 2, 15},
    };
    struct source s;
    struct err e;

    (void)state;
    world_folder(&whole, "c/shards", 25, 10);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(open_at(&s, at(cases[i].spec), &e), 0);
        assert_int_equal(s.n_shards, cases[i].shards);
        assert_int_equal(s.n, cases[i].n);
        assert_int_equal(s.made, i ? 0 : 3); /* indexes are kept */
        assert_true(s.weight == (i == 2 ? 3 : 1));
        assert_int_equal(s.folder != NULL, i < 3);
        source_close(&s);
    }
}

static void test_source__says_what_is_missing(void **state)
{
    struct source s;
    struct err e;

    (void)state;
    assert_int_equal(open_at(&s, at("nothing"), &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "nothing"));
    WORLD_MUST(io_mkdirs(at("bare"), we));
    assert_int_equal(open_at(&s, at("bare"), &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "no .tar"));
    WORLD_MUST(io_write_file(at("bare/x.tar"), STR(""), we));
    assert_int_equal(open_at(&s, at("bare"), &e), -E_FORMAT);
    assert_non_null(strstr(e.message, "empty"));
    WORLD_MUST(io_write_file(at("bare/x.tar"), STR("no tar at all"), we));
    assert_int_equal(open_at(&s, at("bare"), &e), -E_FORMAT);
    assert_non_null(strstr(e.message, "x.tar"));
}

static enum world_flaw no_text(int i)
{
    return i % 4 == 1   ? WORLD_NO_TXT
           : i % 4 == 2 ? WORLD_NO_IMAGE
                        : WORLD_WHOLE;
}

static enum world_flaw never_text(int i)
{
    (void)i;
    return WORLD_NO_TXT;
}

static void test_source__samples_without_text_are_left_out(void **state)
{
    static const struct world some = {.flaw = no_text},
                              none = {.flaw = never_text};
    const struct source_options json = {.text = INDEX_JSON};
    struct source s;
    struct err e = ERR_INIT;

    (void)state;
    world_folder(&some, "some", 20, 20);
    for (int again = 0; again < 2; again++) { /* the index knows it, too */
        assert_int_equal(open_at(&s, at("some"), &e), 0);
        assert_int_equal(s.n, 10);
        assert_int_equal(s.left_out, 10);
        source_close(&s);
    }
    assert_int_equal(source_open(&s, str_of(at("some")), &json, &e), 0);
    assert_int_equal(s.n, 15); /* captions in .json */
    assert_int_equal(s.left_out, 5);
    source_close(&s);
    world_folder(&none, "none", 5, 5);
    assert_int_equal(open_at(&s, at("none"), &e), -E_FORMAT);
    assert_non_null(strstr(e.message, "--caption-key"));
}

/* ---- indexes ---- */

static void set_time(const char *path, time_t s)
{
    const struct timespec t[2] = {{s, 0}, {s, 0}};

    assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

static void test_source__stale_indexes_are_made_anew(void **state)
{
    struct source s;
    struct err e;

    (void)state;
    world_folder(&whole, "stale", 12, 12);
    assert_int_equal(open_at(&s, at("stale"), &e), 0);
    source_close(&s);
    set_time(at("stale/00000.tar"), 1000000); /* same size, another time */
    assert_int_equal(open_at(&s, at("stale"), &e), 0);
    assert_int_equal(s.made, 1);
    source_close(&s);
    world_folder(&whole, "stale", 7, 12); /* another size */
    assert_int_equal(open_at(&s, at("stale"), &e), 0);
    assert_int_equal(s.made, 1);
    assert_int_equal(s.n, 7);
    source_close(&s);
    WORLD_MUST(io_write_file(at("stale/00000.idx"), STR(""), we));
    assert_int_equal(open_at(&s, at("stale"), &e), 0);
    assert_int_equal(s.made, 1);
    source_close(&s);
    assert_int_equal(open_at(&s, at("stale"), &e), 0);
    assert_int_equal(s.made, 0);
    source_close(&s);
}

static void test_source__files_of_others_stay(void **state)
{
    char folder_for[IO_PATH_MAX];
    const struct source_options cache = {.cache = folder_for};
    const struct str theirs = STR("v1.2 1\njpg 512 7 0.jpg\n");
    struct source s;
    struct err e = ERR_INIT;
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 10);
    snprintf(folder_for, sizeof folder_for, "%s", at("others-cache"));
    world_folder(&whole, "others", 12, 12);
    WORLD_MUST(io_write_file(at("others/00000.idx"), theirs, we));
    assert_int_equal(open_at(&s, at("others"), &e), -E_USAGE);
    assert_non_null(strstr(e.message, "--cache"));
    for (int again = 0; again < 2; again++) {
        WORLD_MUST(source_open(&s, str_of(at("others")), &cache, we));
        assert_int_equal(s.made, !again);
        assert_int_equal(s.n, 12);
        assert_true(s.shards[0].cached);
        source_close(&s);
    }
    WORLD_MUST(io_read_file(at("others/00000.idx"), &b, we));
    assert_true(str_eq(buf_str(&b), theirs));
    buf_release(&b);
}

/* As somebody whom folders can keep out. */
static int without_root(int (*act)(void))
{
    pid_t pid = fork();
    int status;

    if (!pid) {
        if (!geteuid() && (chown(at("."), 65534, 65534) || setuid(65534)))
            _exit(99);
        _exit(act());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100;
}

static bool all_cached(const struct source *s, size_t made, const char *where)
{
    bool all = s->made == made && s->n == 12 && s->n_shards == 3;

    for (size_t i = 0; i < s->n_shards; i++)
        all = all && s->shards[i].cached;
    return all && !strcmp(s->cache, where);
}

static int read_only_acts(void)
{
    char asked[IO_PATH_MAX], home[IO_PATH_MAX];
    const struct source_options cache = {.cache = asked};
    struct source s;
    struct err e = ERR_INIT;

    snprintf(asked, sizeof asked, "%s", at("cache/deep"));
    /* nowhere to go */
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    if (open_at(&s, at("ro"), &e) != -E_USAGE || !strstr(e.message, "--cache"))
        return 1;
    setenv("HOME", at("ro"), 1);
    if (open_at(&s, at("ro"), &e) != -E_USAGE || !strstr(e.message, "--cache"))
        return 2;
    /* where one is told to */
    for (int again = 0; again < 2; again++) {
        if (source_open(&s, str_of(at("ro")), &cache, &e) ||
            !all_cached(&s, again ? 0 : 3, asked))
            return 3;
        source_close(&s);
    }
    /* or home, at first and at last */
    setenv("HOME", at("home"), 1);
    snprintf(home, sizeof home, "%s", at("home/.cache/witmill"));
    for (int again = 0; again < 2; again++) {
        if (open_at(&s, at("ro"), &e) || !all_cached(&s, again ? 0 : 3, home))
            return 4;
        source_close(&s);
    }
    setenv("XDG_CACHE_HOME", at("xdg"), 1);
    if (open_at(&s, at("ro"), &e) || !all_cached(&s, 3, at("xdg/witmill")))
        return 5;
    source_close(&s);
    return 0;
}

static void test_source__read_only_folders_have_a_cache(void **state)
{
    (void)state;
    world_folder(&whole, "ro", 12, 5);
    assert_int_equal(chmod(at("ro"), 0555), 0);
    assert_int_equal(without_root(read_only_acts), 0);
    chmod(at("ro"), 0755);
}

/* Several processes at once get all; with locks one makes each. */
static void readers_at_once(const char *name, int readers)
{
    struct source s;
    struct err e;
    struct io_list l;
    int made[2], status;
    size_t sum = 0, n;

    world_folder(&whole, name, 60, 4);
    assert_int_equal(pipe(made), 0);
    for (int i = 0; i < readers; i++) {
        pid_t pid = fork();

        if (!pid) {
            if (open_at(&s, at(name), &e) || s.n != 60 ||
                write(made[1], &s.made, sizeof s.made) != sizeof s.made)
                _exit(1);
            for (size_t k = 0; k < s.n_shards; k++) {
                struct index x;
                int fd;

                if (source_shard_open(&s, k, &fd, &x, &e))
                    _exit(2);
                index_release(&x);
                close(fd);
            }
            _exit(0);
        }
    }
    for (int i = 0; i < readers; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
        assert_int_equal(read(made[0], &n, sizeof n), sizeof n);
        sum += n;
    }
    close(made[0]);
    close(made[1]);
    if (locks == LOCKS)
        assert_int_equal(sum, 15);
    else
        assert_in_range(sum, 15, 15 * readers);
    /* tars, indexes, and nothing that was not finished */
    WORLD_MUST(io_list(at(name), &l, we));
    assert_int_equal(l.n, 30);
    io_list_release(&l);
}

static void test_source__processes_share_the_work(void **state)
{
    (void)state;
    readers_at_once("both", 2);
}

static void test_source__processes_without_locks_agree(void **state)
{
    (void)state;
    locks = NO_LOCKS;
    readers_at_once("lockless", 4);
    locks = LOCKS_OF_OURS;
    readers_at_once("machines", 4);
    locks = LOCKS;
}

static void test_source__a_tar_stays_what_it_was(void **state)
{
    struct source s;
    struct index x;
    struct err e;
    int fd;

    (void)state;
    world_folder(&whole, "later", 12, 4);
    assert_int_equal(open_at(&s, at("later"), &e), 0);
    assert_int_equal(source_shard_open(&s, 0, &fd, &x, &e), 0);
    assert_int_equal(x.n, 4);
    index_release(&x);
    close(fd);
    assert_int_equal(truncate(at("later/00000.tar"), 1024), 0);
    assert_int_equal(unlink(at("later/00001.tar")), 0);
    set_time(at("later/00002.tar"), 1000000);
    for (size_t i = 0; i < 3; i++) {
        char name[16];

        snprintf(name, sizeof name, "0000%zu.tar", i);
        e = (struct err)ERR_INIT;
        assert_int_equal(source_shard_open(&s, i, &fd, &x, &e), -E_IO);
        assert_non_null(strstr(e.message, name));
        e = (struct err)ERR_INIT;
        assert_int_equal(source_look(&s, i, &e), -E_IO);
        assert_non_null(strstr(e.message, name));
    }
    source_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_source__specs_and_weights),
        cmocka_unit_test(test_source__braces),
        cmocka_unit_test(test_source__corpus_folder_tar_and_names),
        cmocka_unit_test(test_source__says_what_is_missing),
        cmocka_unit_test(test_source__samples_without_text_are_left_out),
        cmocka_unit_test(test_source__stale_indexes_are_made_anew),
        cmocka_unit_test(test_source__files_of_others_stay),
        cmocka_unit_test(test_source__read_only_folders_have_a_cache),
        cmocka_unit_test(test_source__processes_share_the_work),
        cmocka_unit_test(test_source__processes_without_locks_agree),
        cmocka_unit_test(test_source__a_tar_stays_what_it_was),
    };

    unsetenv("XDG_CACHE_HOME"); /* where the user's things are */
    unsetenv("HOME");
    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
