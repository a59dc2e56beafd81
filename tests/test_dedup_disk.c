/* What dedup does in little memory: ledgers window by window; a search that
 * goes through its temporary file, on a full disk, and killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "filter/dedup_ledgers.h"
#include "filter/dedup_search.h"
#include "tests/corpus_fixture.h"

/* ---- ledgers ---- */

/* The same records in frames of seven. */
static void cut_frames(const char *path)
{
    struct jsonl_reader in;
    struct jsonl_writer out;
    struct err e = ERR_INIT;
    struct str line;
    uint64_t at;
    bool more;

    fixture_must(jsonl_open(&in, path, &e), &e);
    fixture_must(jsonl_open_write(&out, path, &e), &e);
    while (!jsonl_next(&in, &line, &more, &e) && more) {
        fixture_must(jsonl_write(&out, line, &e), &e);
        if (out.lines % 7 == 0)
            fixture_must(jsonl_frame(&out, &at, &e), &e);
    }
    jsonl_close(&in);
    fixture_must(jsonl_publish(&out, &e), &e);
}

/* Few ledgers with many records instead of the fixture's many with few. */
static void merge_ledgers(struct fixture *f, const struct io_list *names)
{
    for (size_t g = 0; g < names->n; g++) {
        char path[IO_PATH_MAX + 64];
        struct jsonl_writer out;
        struct err e = ERR_INIT;
        struct buf line;

        snprintf(path, sizeof path, "%s/images/%s.ledger.jsonl.zst", f->dir,
                 names->names[g]);
        fixture_must(jsonl_open_write(&out, path, &e), &e);
        buf_init(&line, JSONL_LINE_MAX);
        for (size_t i = 0; i < f->n; i++) {
            if (f->urls[i].group % names->n != g)
                continue;
            buf_clear(&line);
            ledger_write(&f->urls[i].ledger, &line);
            fixture_must(jsonl_write(&out, buf_str(&line), &e), &e);
        }
        buf_release(&line);
        fixture_must(jsonl_publish(&out, &e), &e);
        cut_frames(path);
    }
}

static void ask_all(struct fixture *f, const struct io_list *names,
                    uint64_t memory, size_t step, uint64_t *windows)
{
    struct dedup_ledgers l;
    struct err e = ERR_INIT;

    fixture_must(dedup_ledgers_open(&l, &f->corpus, names, memory, &e), &e);
    for (size_t i = 0; i < f->n; i += step) {
        struct fixture_url *u = &f->urls[i];
        struct dedup_answer a;

        fixture_must(dedup_ledgers_find(&l, str_of(u->url), u->h, &a, &e), &e);
        assert_true(a.asked);
        assert_int_equal(a.image != NULL, u->image);
        if (!u->image)
            continue;
        assert_true(str_eq(a.image->url, str_of(u->url)));
        assert_int_equal(a.image->phash, u->ledger.phash);
        assert_int_equal(a.image->offset, u->ledger.offset);
        assert_string_equal(a.group, names->names[u->group % names->n]);
    }
    *windows = l.windows;
    dedup_ledgers_close(&l);
}

static void test_ledgers__window_by_window(void **state)
{
    static char text[5][8] = {"000-00", "001-00", "002-00", "003-00", "004-00"};
    char *names[] = {text[0], text[1], text[2], text[3], text[4]};
    struct io_list list = {names, 5};
    struct fixture f;
    uint64_t one, many, steps;

    (void)state;
    fixture_make(&f, 2000, 2, 1, 1);
    merge_ledgers(&f, &list);
    ask_all(&f, &list, 1 << 30, 1, &one);
    ask_all(&f, &list, 30000, 1, &many);
    ask_all(&f, &list, 1, 1, &steps); /* a record at a time */
    assert_int_equal(one, 1);
    assert_true(many > 10 && many < 200);
    assert_true(steps > 1000);
    ask_all(&f, &list, 20000, 37, &steps);
    fixture_remove(&f);
}

static void test_ledgers__say_what_is_damaged(void **state)
{
    static const char *const lines[][2] = {
        {"{\"url\":\"http://h.test/\",\"outcome\":\"image\"}", "sha256"},
        {"{\"url\":\"http://h.test/\",\"out\":\"image\"}", "outcome"},
        {"no json", "line 1"}};
    char text[] = "000-00", *names[] = {text}, path[IO_PATH_MAX + 64];
    struct io_list list = {names, 1};
    struct fixture f;

    (void)state;
    fixture_make(&f, 10, 1, 1, 1);
    snprintf(path, sizeof path, "%s/images/000-00.ledger.jsonl.zst", f.dir);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct str url = STR("http://h.test/");
        struct dedup_answer a;
        struct dedup_ledgers l;
        struct jsonl_writer w;
        struct err e = ERR_INIT;

        fixture_must(jsonl_open_write(&w, path, &e), &e);
        fixture_must(jsonl_write(&w, str_of(lines[i][0]), &e), &e);
        fixture_must(jsonl_publish(&w, &e), &e);
        fixture_must(dedup_ledgers_open(&l, &f.corpus, &list, 1 << 20, &e), &e);
        assert_int_equal(dedup_ledgers_find(
                             &l, url, corpus_url_hash(&f.corpus, url), &a, &e),
                         -E_DAMAGED);
        if (!strstr(e.message, lines[i][1]))
            fail_msg("\"%s\" without \"%s\"", e.message, lines[i][1]);
        dedup_ledgers_close(&l);
    }
    fixture_remove(&f);
}

/* ---- the search on disk ---- */

enum { N = 400000 }; /* three times what the least memory holds */

static uint64_t phash_of(uint64_t i)
{
    struct fixture f = {.random = i / 3 * 3};
    uint64_t phash = fixture_random(&f);

    return i % 3 ? phash ^ UINT64_C(1) << i % 64 ^ (i % 7 ? 0 : 0x1010) : phash;
}

static int search(const char *folder, uint64_t memory, unsigned threads,
                  uint32_t *by, uint64_t *written, struct err *e)
{
    struct dedup_search_config c = {.folder = folder,
                                    .memory_bytes = memory,
                                    .expect = N,
                                    .radius = 4,
                                    .threads = threads};
    struct dedup_search s;
    int rc = dedup_search_open(&s, &c, e);

    assert_int_equal(rc, 0);
    for (uint64_t i = 0; !rc && i < N; i++) {
        uint64_t phash = phash_of(i), sha[2] = {i % 11 ? i : 0, 1};

        rc = dedup_search_add(&s, (const uint8_t *)sha, &phash, e);
    }
    if (!rc)
        rc = dedup_search_finish(&s, e);
    for (uint32_t r = 0; !rc && r < s.ranges; r++) {
        struct dedup_range range;

        rc = dedup_search_range(&s, r, &range, e);
        for (uint32_t i = 0; !rc && i < range.n; i++)
            by[range.first + i] = range.verdicts[i].by;
        dedup_range_release(&range);
    }
    *written = s.store.written_bytes;
    dedup_search_close(&s);
    return rc;
}

static size_t names_in(const char *folder)
{
    struct err e = ERR_INIT;
    struct io_list l;
    size_t n;

    fixture_must(io_list(folder, &l, &e), &e);
    n = l.n;
    io_list_release(&l);
    return n;
}

static void test_search__memory_and_threads_change_nothing(void **state)
{
    char dir[] = "/tmp/witmill-dedup-XXXXXX";
    uint32_t *want = xrealloc_array(NULL, N, 4);
    uint32_t *got = xrealloc_array(NULL, N, 4);
    uint64_t written;
    struct err e = ERR_INIT;
    size_t dropped = 0;

    (void)state;
    assert_non_null(mkdtemp(dir));
    fixture_must(search(dir, 1 << 30, 1, want, &written, &e), &e);
    assert_int_equal(written, 0);
    for (size_t i = 0; i < N; i++)
        dropped += want[i] != DEDUP_NONE;
    assert_true(dropped > N / 4 && dropped < N);
    fixture_must(search(dir, DEDUP_MEMORY_MIN, 1, got, &written, &e), &e);
    assert_true(written > 5000000);
    assert_memory_equal(got, want, N * sizeof *got);
    fixture_must(search(dir, DEDUP_MEMORY_MIN, 2, got, &written, &e), &e);
    assert_memory_equal(got, want, N * sizeof *got);
    assert_int_equal(names_in(dir), 0);
    fixture_remove_dir(dir);
    free(want);
    free(got);
}

static void test_search__full_disk(void **state)
{
    char dir[] = "/tmp/witmill-dedup-XXXXXX";
    uint32_t *got = xrealloc_array(NULL, N, 4);
    struct rlimit old, tight;
    uint64_t written;

    (void)state;
    assert_non_null(mkdtemp(dir));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    for (tight.rlim_cur = 0; tight.rlim_cur < 6000000;
         tight.rlim_cur += 1900000) {
        struct err e = ERR_INIT;
        int rc;

        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        rc = search(dir, DEDUP_MEMORY_MIN, 2, got, &written, &e);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        assert_int_equal(rc, -E_IO);
        assert_non_null(strstr(e.message, dir));
        assert_int_equal(names_in(dir), 0);
    }
    fixture_remove_dir(dir);
    free(got);
}

/* Killed while it sorts on disk, it leaves nothing behind. */
static void test_search__killed(void **state)
{
    char dir[] = "/tmp/witmill-dedup-XXXXXX";
    uint32_t *got = xrealloc_array(NULL, N, 4);

    (void)state;
    assert_non_null(mkdtemp(dir));
    for (useconds_t wait = 20000; wait < 400000; wait *= 3) {
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0) {
            for (;;) {
                struct err e = ERR_INIT;
                uint64_t written;

                if (search(dir, DEDUP_MEMORY_MIN, 1, got, &written, &e))
                    _exit(1);
            }
        }
        usleep(wait);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(names_in(dir), 0);
    }
    fixture_remove_dir(dir);
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ledgers__window_by_window),
        cmocka_unit_test(test_ledgers__say_what_is_damaged),
        cmocka_unit_test(test_search__memory_and_threads_change_nothing),
        cmocka_unit_test(test_search__full_disk),
        cmocka_unit_test(test_search__killed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
