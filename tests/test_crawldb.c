/* crawl.db: every row comes back, a kill leaves the last commit. */
#include "catalog/crawldb.h"
#include "catalog/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[64], path[128];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/witmill-crawldb-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/crawl.db", dir);
    return 0;
}

static int remove_dir(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static struct crawldb *open_db(void)
{
    struct crawldb *db;
    struct err e = ERR_INIT;

    if (crawldb_open(&db, path, &e))
        fail_msg("%s", e.message);
    return db;
}

static void test_crawldb__meta(void **state)
{
    struct crawldb *db = open_db();
    struct buf b;
    bool found;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    assert_int_equal(crawldb_get_meta(db, "k", &b, &found, NULL), 0);
    assert_false(found);
    assert_int_equal(crawldb_put_meta(db, "k", str_make("a\0b", 3), NULL), 0);
    assert_int_equal(crawldb_commit(db, NULL), 0);
    crawldb_close(db);
    db = open_db();
    assert_int_equal(crawldb_get_meta(db, "k", &b, &found, NULL), 0);
    assert_true(found && str_eq(buf_str(&b), str_make("a\0b", 3)));
    assert_int_equal(crawldb_drop_meta(db, "k", NULL), 0);
    assert_int_equal(crawldb_get_meta(db, "k", &b, &found, NULL), 0);
    assert_false(found);
    buf_release(&b);
    crawldb_close(db);
}

static int next_host(void *ctx, uint32_t id, struct str name, struct err *e)
{
    uint32_t *n = ctx;

    (void)e;
    assert_int_equal(id, ++*n);
    assert_true(str_eq(name, id == 1 ? STR("a.test") : STR("b.test")));
    return 0;
}

static int next_url(void *ctx, const struct crawldb_url *u, struct err *e)
{
    uint32_t *n = ctx;

    (void)e;
    assert_int_equal(u->id, ++*n);
    assert_int_equal(u->host, 1 + u->id % 2);
    assert_int_equal(u->depth, u->id == 3 ? 1 : 7);
    assert_int_equal(u->state, u->id == 2 ? CRAWLDB_PAGE : CRAWLDB_WAITING);
    return 0;
}

static void test_crawldb__urls(void **state)
{
    static const char *const texts[] = {"http://b.test/", "http://a.test/",
                                        "http://b.test/x"};
    struct crawldb *db = open_db();
    struct crawldb_url u;
    uint32_t n = 0;

    (void)state;
    assert_int_equal(crawldb_put_host(db, 1, STR("a.test"), NULL), 0);
    assert_int_equal(crawldb_put_host(db, 2, STR("b.test"), NULL), 0);
    for (uint32_t i = 1; i <= 3; i++)
        assert_int_equal(
            crawldb_put_url(db,
                            &(struct crawldb_url){.id = i,
                                                  .host = 1 + i % 2,
                                                  .depth = 7,
                                                  .text = str_of(texts[i - 1])},
                            NULL),
            0);
    assert_int_equal(crawldb_set_state(db, 2, CRAWLDB_PAGE, NULL), 0);
    assert_int_equal(crawldb_set_depth(db, 3, 1, NULL), 0);
    assert_int_equal(crawldb_commit(db, NULL), 0);
    assert_int_equal(crawldb_get_url(db, 3, &u, NULL), 0);
    assert_true(str_eq(u.text, str_of(texts[2])));
    assert_int_equal(u.host, 2);
    assert_int_equal(crawldb_get_url(db, 4, &u, NULL), -E_DAMAGED);
    assert_int_equal(crawldb_scan_hosts(db, next_host, &n, NULL), 0);
    assert_int_equal(n, 2);
    n = 0;
    assert_int_equal(crawldb_scan_urls(db, next_url, &n, NULL), 0);
    assert_int_equal(n, 3);
    crawldb_close(db);
}

static void test_crawldb__links(void **state)
{
    struct crawldb *db = open_db();
    struct crawldb_ids in = {0}, out = {0};

    (void)state;
    crawldb_ids_add(&in, UINT32_MAX);
    for (uint32_t i = 1; i < UINT32_MAX / 3; i = i * 3 + 1) {
        crawldb_ids_add(&in, i);
        crawldb_ids_add(&in, i);
    }
    crawldb_ids_sort(&in);
    assert_int_equal(in.v[0], 1);
    assert_int_equal(in.v[1], 4);
    assert_int_equal(crawldb_put_links(db, 9, &in, NULL), 0);
    assert_int_equal(crawldb_get_links(db, 8, &out, NULL), 0);
    assert_int_equal(out.n, 0);
    assert_int_equal(crawldb_get_links(db, 9, &out, NULL), 0);
    assert_int_equal(out.n, in.n);
    assert_memory_equal(out.v, in.v, in.n * sizeof *in.v);
    crawldb_ids_release(&in);
    crawldb_ids_release(&out);
    crawldb_close(db);
}

/* A blob that is not ours costs a message, not memory. */
static void test_crawldb__links_damaged(void **state)
{
    static const char *const blobs[] = {"x'80'", "x'00'", "x'01ff'",
                                        "x'ffffffffffffffff01'",
                                        "x'ffffffff0f01'"};
    struct crawldb_ids ids = {0};

    (void)state;
    for (size_t i = 0; i < sizeof blobs / sizeof *blobs; i++) {
        struct crawldb *db = open_db();
        struct crawldb_ids one = {0};
        struct err e = ERR_INIT;
        struct db raw = DB_INIT;
        static const struct db_schema any = {.what = "crawl frontier",
                                             .maker = "test",
                                             .application_id = 0x574d4652,
                                             .version = 1,
                                             .sql = ""};
        char sql[128];

        crawldb_ids_add(&one, 1);
        assert_int_equal(crawldb_put_links(db, 5, &one, NULL), 0);
        assert_int_equal(crawldb_commit(db, NULL), 0);
        snprintf(sql, sizeof sql, "UPDATE link SET targets=%s", blobs[i]);
        assert_int_equal(db_open(&raw, path, DB_WRITE, &any, NULL), 0);
        assert_int_equal(db_exec(&raw, sql, NULL), 0);
        db_close(&raw);
        assert_int_equal(crawldb_get_links(db, 5, &ids, &e), -E_DAMAGED);
        crawldb_ids_release(&one);
        crawldb_close(db);
        assert_int_equal(unlink(path), 0);
    }
    crawldb_ids_release(&ids);
}

static void test_crawldb__reasons(void **state)
{
    struct crawldb *db = open_db();
    unsigned a, b, again;

    (void)state;
    assert_int_equal(crawldb_reason_state(db, "timeout", &a, NULL), 0);
    assert_int_equal(crawldb_reason_state(db, "robots", &b, NULL), 0);
    assert_int_equal(crawldb_reason_state(db, "timeout", &again, NULL), 0);
    assert_true(a > CRAWLDB_REASON && b > CRAWLDB_REASON && a != b);
    assert_int_equal(a, again);
    crawldb_close(db);
}

static void test_crawldb__robots(void **state)
{
    struct crawldb *db = open_db();
    struct crawldb_robots r = {
        .status = 200, .fetched_s = 1700000000, .body = STR("User-agent: *")};
    bool found;

    (void)state;
    assert_int_equal(crawldb_put_robots(db, STR("http://a.test"), &r, NULL), 0);
    r = (struct crawldb_robots){.status = 404};
    assert_int_equal(
        crawldb_get_robots(db, STR("http://b.test"), &r, &found, NULL), 0);
    assert_false(found);
    assert_int_equal(
        crawldb_get_robots(db, STR("http://a.test"), &r, &found, NULL), 0);
    assert_true(found && r.status == 200 && r.fetched_s == 1700000000);
    assert_true(str_eq(r.body, STR("User-agent: *")));
    crawldb_close(db);
}

static void test_crawldb__parts(void **state)
{
    struct crawldb *db = open_db();
    struct crawldb_part p;
    struct tally t;
    bool found;

    (void)state;
    tally_init(&t);
    tally_add(&t, "pages", 3);
    for (uint32_t i = 0; i < 2; i++) {
        p = (struct crawldb_part){.number = i, .bytes = 10 + i, .closed = !i};
        assert_int_equal(crawldb_put_part(db, &p, NULL), 0);
        assert_int_equal(crawldb_add_counts(db, i, CRAWLDB_COUNTS, &t, NULL),
                         0);
        assert_int_equal(crawldb_add_counts(db, i, CRAWLDB_COUNTS, &t, NULL),
                         0);
    }
    assert_int_equal(crawldb_next_part(db, 1, &p, &found, NULL), 0);
    assert_true(found && p.number == 1 && p.bytes == 11 && !p.closed);
    assert_int_equal(crawldb_next_part(db, 2, &p, &found, NULL), 0);
    assert_false(found);
    tally_clear(&t);
    assert_int_equal(crawldb_get_counts(db, 1, CRAWLDB_COUNTS, &t, NULL), 0);
    assert_int_equal(tally_get(&t, "pages"), 6);
    tally_clear(&t);
    assert_int_equal(
        crawldb_get_counts(db, UINT32_MAX, CRAWLDB_COUNTS, &t, NULL), 0);
    assert_int_equal(tally_get(&t, "pages"), 12);
    tally_release(&t);
    crawldb_close(db);
}

/* What was not committed is gone after a kill, what was is there. */
static void test_crawldb__killed(void **state)
{
    struct crawldb *db;
    struct crawldb_url u;
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        db = open_db();
        for (uint32_t i = 1; i <= 2; i++) {
            u = (struct crawldb_url){
                .id = i, .host = 1, .text = STR("http://a.test/")};
            if (crawldb_put_url(db, &u, NULL) ||
                (i == 1 && crawldb_commit(db, NULL)))
                _exit(1);
        }
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    db = open_db();
    assert_int_equal(crawldb_get_url(db, 1, &u, NULL), 0);
    assert_int_equal(crawldb_get_url(db, 2, &u, NULL), -E_DAMAGED);
    crawldb_close(db);
}

static void test_crawldb__not_ours(void **state)
{
    struct crawldb *db;
    struct err e = ERR_INIT;
    FILE *f = fopen(path, "w");

    (void)state;
    fputs("this is no database, but it is long enough to look at", f);
    fclose(f);
    assert_int_not_equal(crawldb_open(&db, path, &e), 0);
    assert_null(db);
    assert_non_null(strstr(e.message, path));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_crawldb__meta),     TEST(test_crawldb__urls),
        TEST(test_crawldb__links),    TEST(test_crawldb__links_damaged),
        TEST(test_crawldb__reasons),  TEST(test_crawldb__robots),
        TEST(test_crawldb__parts),    TEST(test_crawldb__killed),
        TEST(test_crawldb__not_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
