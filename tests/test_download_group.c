/* Journals, lists and groups of a download pass, without a network: answers
 * are made up and handed in. */
#include "tests/download_corpus.h"

#include "base/selected.h"
#include "crawler/download_group.h"
#include "crawler/download_prepare.h"
#include <fcntl.h>

static const char *const urls[] = {
    "http://manual.test/1.jpg", "http://manual.test/2.jpg",
    "http://manual.test/3.jpg", "http://manual.test:8080/4.jpg",
    "http://manual.test/5.jpg", "http://manual.test/6.jpg",
    "http://manual.test/7.jpg", "http://manual.test/8.jpg",
};
#define N_URLS (sizeof urls / sizeof *urls)

struct fixture {
    char *folder;
    struct corpus corpus;
    struct image_config_row options;
    struct stage stage;
    struct download_pass pass;
    struct tar_writer writer;
    struct download_tar tar;
    struct download_group g;
};

static void begin_stage(struct fixture *f, bool redo)
{
    stage_init(&f->stage, &f->corpus, "download", 1, &download_options,
               &f->options, redo);
}

static int set_up(void **state)
{
    struct fixture *f = xcalloc(1, sizeof *f);

    f->folder = test_folder();
    f->options.quality = 95;
    test_corpus(&f->corpus, f->folder, 7);
    f->tar = test_tar(&f->writer);
    group_init(&f->g);
    begin_stage(f, false);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    group_release(&f->g);
    stage_release(&f->stage);
    test_remove(f->folder);
    free(f);
    return 0;
}

/* The state of a run that has found its pass, lists and the one group. */
static uint64_t list(struct fixture *f, int64_t round, struct err *e)
{
    uint32_t id = ledger_group(STR("manual.test"));
    bool skip[LEDGER_GROUPS] = {false}, settled;
    struct download_todo todo;
    char path[IO_PATH_MAX];

    if (corpus_path(&f->corpus, "images", path, e) || io_mkdirs(path, e) ||
        todo_pass(&f->corpus, round, &f->pass, e) ||
        group_check(&f->g, &f->stage, &f->pass, id, f->pass.pass, &settled,
                    e) ||
        todo_partition(&f->corpus, &f->pass, (struct part){0, 0}, skip, NULL,
                       &todo, e))
        return 0;
    return todo.urls[id];
}

static void answer(struct fixture *f, struct str url)
{
    struct err e = ERR_INIT;
    struct ledger l = {.url = url, .status = 200, .tries = 1};
    char body[256];
    size_t n = 20 + hash_xxh3(url) % 200;

    if (hash_xxh3(url) % 3 == 0) {
        l.outcome = LEDGER_FAILED;
        l.reason = STR("http-status");
        l.status = 404;
        CHECK(group_answer(&f->g, &l, STR_NONE, &e));
        return;
    }
    memset(body, (int)(hash_xxh3(url) >> 8 & 127), sizeof body);
    l.width = l.height = 100;
    l.bytes = n;
    CHECK(group_answer(&f->g, &l, str_make(body, n), &e));
}

/* Take up to n URLs and answer them, the last taken first if so asked. */
static unsigned take_and_answer(struct fixture *f, unsigned n, bool reverse)
{
    struct group_host *h = group_host(&f->g, STR("manual.test"));
    struct err e = ERR_INIT;
    struct buf url[N_URLS];
    unsigned taken = 0;

    while (h && h->head != GROUP_NONE && taken < n) {
        buf_init(&url[taken], 4096);
        CHECK(group_take(&f->g, h, &url[taken++], &e));
    }
    for (unsigned i = 0; i < taken; i++)
        answer(f, buf_str(&url[reverse ? taken - 1 - i : i]));
    for (unsigned i = 0; i < taken; i++)
        buf_release(&url[i]);
    return taken;
}

static void finish(struct fixture *f)
{
    struct err e = ERR_INIT;

    CHECK(group_finish(&f->g, &f->tar, NULL, &e));
    group_release(&f->g);
}

static void test_download__order_of_answers_is_nothing(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    char first[SHA256_HEX], second[SHA256_HEX];

    test_select(&f->corpus, 0, urls, N_URLS, 0);
    for (int reverse = 0; reverse < 2; reverse++) {
        uint64_t n = list(f, 0, &e);
        char path[IO_PATH_MAX];

        assert_int_equal(n, N_URLS);
        CHECK(group_open(&f->g, n, &e));
        assert_int_equal(f->g.open, N_URLS);
        assert_int_equal(f->g.n_hosts, 1); /* the port is no part of it */
        assert_int_equal(take_and_answer(f, N_URLS, reverse), N_URLS);
        assert_int_equal(f->g.open, 0);
        CHECK(stage_path(&f->g.output, ".meta.json", path, &e));
        finish(f);
        test_tars(&f->corpus, reverse ? second : first);
        assert_int_equal(test_count_files(&f->corpus, ".journal"), 0);
        assert_int_equal(test_count_files(&f->corpus, ".todo"), 0);
        CHECK(io_remove(path, &e));
    }
    assert_string_equal(first, second);
}

/* Cut the journal at every byte: what is whole is kept, the rest asked for
 * again, and the tar is the same. */
static void test_download__torn_journal_at_every_byte(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    char whole[SHA256_HEX], path[IO_PATH_MAX], copy[IO_PATH_MAX + 8],
        meta[IO_PATH_MAX], command[2 * IO_PATH_MAX + 64];
    uint64_t n, size;

    test_select(&f->corpus, 0, urls, N_URLS, 0);
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    take_and_answer(f, 4, true);
    CHECK(journal_sync(&f->g.journal, &e));
    CHECK(stage_path(&f->g.output, ".journal", path, &e));
    CHECK(stage_path(&f->g.output, ".meta.json", meta, &e));
    CHECK(io_size(path, &size, &e));
    snprintf(copy, sizeof copy, "%s.kept", path);
    snprintf(command, sizeof command, "cp '%s' '%s'", path, copy);
    assert_int_equal(system(command), 0);
    take_and_answer(f, N_URLS, false);
    finish(f);
    test_tars(&f->corpus, whole);

    for (uint64_t cut = 0; cut <= size;
         cut += cut < 100 || cut + 40 > size ? 1 : 7) {
        char sha[SHA256_HEX];

        CHECK(io_remove(meta, &e));
        snprintf(command, sizeof command, "cp '%s' '%s'", copy, path);
        assert_int_equal(system(command), 0);
        assert_int_equal(truncate(path, (off_t)cut), 0);
        n = list(f, 0, &e);
        CHECK(group_open(&f->g, n, &e));
        assert_int_equal(f->g.open + f->g.resumed, N_URLS);
        assert_int_equal(f->g.resumed, f->g.journal.n);
        take_and_answer(f, N_URLS, false);
        finish(f);
        test_tars(&f->corpus, sha);
        assert_string_equal(sha, whole);
    }
}

static void
test_download__flipped_byte_costs_its_frame_and_later_ones(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX];
    uint64_t n, at;
    int fd;

    test_select(&f->corpus, 0, urls, N_URLS, 0);
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    take_and_answer(f, 5, false);
    at = f->g.journal.entries[2].at + 40;
    CHECK(stage_path(&f->g.output, ".journal", path, &e));
    group_release(&f->g);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "\xff", 1, (off_t)at), 1);
    close(fd);
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    assert_int_equal(f->g.resumed, 2);
    assert_true(f->g.journal.cut > 0);
    assert_int_equal(f->g.open, N_URLS - 2);
}

static void test_download__closed_urls_are_not_asked_again(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    uint64_t n;

    test_select(&f->corpus, 0, urls, 5, 0);
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    take_and_answer(f, N_URLS, false);
    finish(f);

    /* A round whose URLs overlap: only the others are asked for. */
    test_select(&f->corpus, 1, urls + 3, N_URLS - 3, 0);
    n = list(f, -1, &e);
    assert_int_equal(f->pass.round, 1);
    assert_int_equal(f->pass.pass, 1);
    assert_string_equal(f->g.base + 3, "-01");
    CHECK(group_open(&f->g, n, &e));
    assert_int_equal(f->g.closed, 2);
    assert_int_equal(take_and_answer(f, N_URLS, false), N_URLS - 5);
    finish(f);

    /* balance from the start: another pass, and nothing is left to ask. */
    test_select(&f->corpus, 0, urls, N_URLS, 2);
    n = list(f, 0, &e);
    assert_int_equal(f->pass.pass, 2);
    CHECK(group_open(&f->g, n, &e));
    assert_int_equal(f->g.closed, N_URLS);
    assert_int_equal(f->g.open, 0);
    assert_true(group_empty(&f->g));
}

/* The same pass with another selection: what is done is kept and added to. */
static void test_download__done_group_is_opened_again(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    char both[SHA256_HEX], once[SHA256_HEX], meta[IO_PATH_MAX];
    uint64_t n;

    test_select(&f->corpus, 0, urls, 4, 0);
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    take_and_answer(f, N_URLS, false);
    CHECK(stage_path(&f->g.output, ".meta.json", meta, &e));
    finish(f);
    test_select(&f->corpus, 0, urls, N_URLS, 0);
    n = list(f, 0, &e);
    assert_true(f->g.done);
    CHECK(group_open(&f->g, n, &e));
    assert_false(f->g.done);
    assert_int_equal(f->g.open, N_URLS - 4);
    take_and_answer(f, N_URLS, true);
    finish(f);
    test_tars(&f->corpus, both);

    CHECK(io_remove(meta, &e));
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    assert_int_equal(f->g.open, N_URLS);
    take_and_answer(f, N_URLS, false);
    finish(f);
    test_tars(&f->corpus, once);
    assert_string_equal(both, once);
}

static void test_download__other_image_options_are_stale(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    uint64_t n;

    test_select(&f->corpus, 0, urls, N_URLS, 0);
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    take_and_answer(f, 2, false);
    group_release(&f->g);

    /* a journal */
    f->options.quality = 80;
    stage_release(&f->stage);
    begin_stage(f, false);
    n = list(f, 0, &e);
    assert_int_equal(group_open(&f->g, n, &e), -E_STALE);
    assert_non_null(strstr(e.message, "other image options"));
    group_release(&f->g);
    e = (struct err)ERR_INIT;
    stage_release(&f->stage);
    begin_stage(f, true);
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    assert_int_equal(f->g.open, N_URLS);
    take_and_answer(f, N_URLS, false);
    finish(f);

    /* an output */
    f->options.quality = 81;
    stage_release(&f->stage);
    begin_stage(f, false);
    list(f, 0, &e);
    assert_int_equal(e.code, -E_STALE);
    assert_non_null(strstr(e.message, "image options"));
    group_release(&f->g);
    assert_int_equal(test_count_files(&f->corpus, ".tar"), 1);
    e = (struct err)ERR_INIT;
    stage_release(&f->stage);
    begin_stage(f, true);
    list(f, 0, &e);
    assert_int_equal(e.code, 0);
    assert_int_equal(test_count_files(&f->corpus, ".tar"), 0);
}

static void test_download__abandoned_journal_is_finished(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    struct download_group groups[LEDGER_GROUPS];
    bool skip[LEDGER_GROUPS];
    uint64_t n;

    test_select(&f->corpus, 0, urls, N_URLS, 0);
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    take_and_answer(f, 3, false);
    group_release(&f->g);

    test_select(&f->corpus, 0, urls, N_URLS, 1);
    CHECK(todo_pass(&f->corpus, 0, &f->pass, &e));
    for (unsigned i = 0; i < LEDGER_GROUPS; i++)
        group_init(&groups[i]);
    CHECK(prepare_groups(&f->stage, &f->pass, (struct part){0, 0}, &f->tar,
                         groups, skip, &e));
    for (unsigned i = 0; i < LEDGER_GROUPS; i++)
        group_release(&groups[i]);
    assert_int_equal(test_count_files(&f->corpus, "-00.tar"), 1);
    assert_int_equal(test_count_files(&f->corpus, ".journal"), 0);
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    assert_int_equal(f->g.closed, 3);
    assert_int_equal(f->g.open, N_URLS - 3);
}

static void test_download__ledger_and_tar_agree(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    struct jsonl_reader r;
    char path[IO_PATH_MAX], tar[IO_PATH_MAX];
    unsigned lines = 0, images = 0;
    uint64_t n, h_before = 0;
    struct arena a;
    int fd;

    test_select(&f->corpus, 0, urls, N_URLS, 0);
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    take_and_answer(f, N_URLS, true);
    CHECK(stage_path(&f->g.output, ".ledger.jsonl.zst", path, &e));
    CHECK(stage_path(&f->g.output, ".tar", tar, &e));
    finish(f);
    CHECK(jsonl_open(&r, path, &e));
    fd = open(tar, O_RDONLY);
    assert_true(fd >= 0);
    arena_init(&a, 1 << 20);
    for (;;) {
        struct str line;
        struct ledger l;
        bool more;
        char head[512], name[16], byte;

        CHECK(jsonl_next(&r, &line, &more, &e));
        if (!more)
            break;
        CHECK(ledger_read(line, &a, &l, &e));
        lines++;
        assert_true(corpus_url_hash(&f->corpus, l.url) >= h_before);
        h_before = corpus_url_hash(&f->corpus, l.url);
        if (l.outcome != LEDGER_IMAGE)
            continue;
        assert_int_equal(l.offset % 512, 0);
        assert_int_equal(pread(fd, head, 512, (off_t)l.offset - 512), 512);
        snprintf(name, sizeof name, "%08u.jpg", images++);
        assert_string_equal(head, name);
        assert_int_equal(pread(fd, &byte, 1, (off_t)l.offset), 1);
        assert_int_equal(byte, (char)(hash_xxh3(l.url) >> 8 & 127));
        assert_int_equal(l.bytes, 20 + hash_xxh3(l.url) % 200);
    }
    assert_int_equal(lines, N_URLS);
    assert_true(images > 0 && images < lines);
    arena_release(&a);
    close(fd);
    jsonl_close(&r);
}

static void test_download__second_process_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    struct download_journal other;
    char path[IO_PATH_MAX];
    uint64_t n;
    int a, b;

    test_select(&f->corpus, 0, urls, N_URLS, 0);
    n = list(f, 0, &e);
    CHECK(group_open(&f->g, n, &e));
    CHECK(stage_path(&f->g.output, ".journal", path, &e));
    assert_int_equal(
        journal_open(&other, &f->corpus, path, f->g.output.fingerprint, &e),
        -E_BUSY);
    journal_close(&other);
    e = (struct err)ERR_INIT;
    CHECK(prepare_lock(&f->stage, (struct part){1, 3}, &a, &e));
    assert_int_equal(prepare_lock(&f->stage, (struct part){1, 3}, &b, &e),
                     -E_BUSY);
    io_unlock(a);
}

static void test_download__missing_rounds_are_named(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;

    assert_int_equal(todo_pass(&f->corpus, -1, &f->pass, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "witmill balance"));
    e = (struct err)ERR_INIT;
    test_select(&f->corpus, 0, urls, N_URLS, 0);
    assert_int_equal(todo_pass(&f->corpus, 2, &f->pass, &e), -E_NOTFOUND);
    /* The first that is missing. */
    assert_non_null(strstr(e.message, "selected/round-1"));
    e = (struct err)ERR_INIT;
    assert_int_equal(todo_pass(&f->corpus, 1000, &f->pass, &e), -E_USAGE);
}

/* `balance --round 1` before the download refuses and leaves its folder; were
 * that a round, neither it nor the download could ever run again. */
static void test_download__an_empty_folder_is_no_round(void **state)
{
    struct fixture *f = *state;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX];
    unsigned rounds = 9;

    test_select(&f->corpus, 0, urls, N_URLS, 0);
    CHECK(corpus_path(&f->corpus, "selected/round-1", path, &e));
    CHECK(io_mkdirs(path, &e));
    CHECK(selected_rounds(&f->corpus, &rounds, &e));
    assert_int_equal(rounds, 1);
    CHECK(todo_pass(&f->corpus, -1, &f->pass, &e));
    assert_int_equal(f->pass.round, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_download__order_of_answers_is_nothing),
        TEST(test_download__torn_journal_at_every_byte),
        TEST(test_download__flipped_byte_costs_its_frame_and_later_ones),
        TEST(test_download__closed_urls_are_not_asked_again),
        TEST(test_download__done_group_is_opened_again),
        TEST(test_download__other_image_options_are_stale),
        TEST(test_download__abandoned_journal_is_finished),
        TEST(test_download__ledger_and_tar_agree),
        TEST(test_download__second_process_is_refused),
        TEST(test_download__missing_rounds_are_named),
        TEST(test_download__an_empty_folder_is_no_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
