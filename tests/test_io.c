/* io, stream, jsonl, workq, opt, stage: what reads and writes files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/io.h"
#include "base/jsonl.h"
#include "base/opt.h"
#include "base/stage.h"
#include "base/stream.h"
#include "base/workq.h"
#include "tests/folder.h"

static void test_io__publish_replaces_whole(void **state)
{
    struct io_file f;
    struct buf b;
    struct err e = ERR_INIT;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(io_write_file(at("a"), STR("old"), &e), 0);
    assert_int_equal(io_file_open(&f, at("a"), &e), 0);
    io_file_write(&f, STR("new"), &e);
    /* Not published: the old bytes stand. */
    assert_int_equal(io_read_file(at("a"), &b, &e), 0);
    assert_string_equal(b.p, "old");
    assert_int_equal(io_file_publish(&f, &e), 0);
    buf_clear(&b);
    assert_int_equal(io_read_file(at("a"), &b, &e), 0);
    assert_string_equal(b.p, "new");
    assert_false(io_exists(at("a.tmp")));
    buf_release(&b);
}

static void test_io__abandon_leaves_nothing(void **state)
{
    struct io_file f;

    (void)state;
    assert_int_equal(io_file_open(&f, at("b"), NULL), 0);
    io_file_write(&f, STR("x"), NULL);
    io_file_abandon(&f);
    assert_false(io_exists(at("b")));
    assert_false(io_exists(at("b.tmp")));
}

static void test_io__one_writer_at_a_time(void **state)
{
    struct io_file one, two;
    struct buf b;
    struct err e = ERR_INIT;

    (void)state;
    buf_init(&b, 100);
    assert_int_equal(io_file_open(&one, at("w"), &e), 0);
    io_file_write(&one, STR("first"), &e);
    assert_int_equal(io_file_open(&two, at("w"), &e), -E_BUSY);
    assert_non_null(strstr(e.message, "another witmill process"));
    io_file_abandon(&two); /* takes nothing from the first */
    assert_int_equal(io_file_publish(&one, NULL), 0);
    assert_int_equal(io_file_open(&two, at("w"), NULL), 0);
    io_file_abandon(&two);
    assert_int_equal(io_read_file(at("w"), &b, NULL), 0);
    assert_string_equal(b.p, "first");
    buf_release(&b);
}

static void test_io__full_disk_sticks_and_says_so(void **state)
{
    struct err e = ERR_INIT;
    int fd;

    (void)state;
    fd = open("/dev/full", 1);
    if (fd < 0)
        skip();
    assert_int_equal(io_write_full(fd, "x", 1, "/dev/full", &e), -E_IO);
    assert_non_null(strstr(e.message, "free some space"));
    close(fd);
}

static void test_io__read_has_a_ceiling(void **state)
{
    struct buf b;
    struct err e = ERR_INIT;

    (void)state;
    assert_int_equal(io_write_file(at("c"), STR("0123456789"), &e), 0);
    buf_init(&b, 10);
    assert_int_equal(io_read_file(at("c"), &b, &e), 0);
    assert_int_equal(b.n, 10);
    buf_release(&b);
    buf_init(&b, 9);
    assert_int_equal(io_read_file(at("c"), &b, &e), -E_TOOBIG);
    buf_release(&b);
    assert_int_equal(io_read_file(at("none"), &b, NULL), -E_NOTFOUND);
}

static void test_io__lock_excludes(void **state)
{
    struct err e = ERR_INIT;
    int one, two;

    (void)state;
    assert_int_equal(io_lock(at("lock"), "the corpus", &one, &e), 0);
    assert_int_equal(io_lock(at("lock"), "the corpus", &two, &e), -E_BUSY);
    io_unlock(one);
    assert_int_equal(io_lock(at("lock"), "the corpus", &two, NULL), 0);
    io_unlock(two);
}

/* ---- stream ---- */

static void read_back(const char *path, struct buf *b, int want)
{
    struct stream *s;
    struct err e = ERR_INIT;
    int rc = stream_open(&s, path, &e);

    assert_int_equal(rc, 0);
    rc = stream_read_all(s, b, &e);
    if (rc != want)
        fail_msg("%s: %d %s", path, rc, e.message);
    stream_close(s);
}

static void test_stream__by_content(void **state)
{
    static const char *const tools[] = {"cat", "gzip -c", "bzip2 -c"};
    struct buf plain, got;
    char command[IO_PATH_MAX * 3];

    (void)state;
    buf_init(&plain, BUF_NO_LIMIT);
    buf_init(&got, BUF_NO_LIMIT);
    for (int i = 0; i < 60000; i++)
        buf_addf(&plain, "line %d of many\n", i * 7919 % 60000);
    assert_int_equal(io_write_file(at("plain"), buf_str(&plain), NULL), 0);
    for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
        /* Two members, one behind the other. */
        snprintf(command, sizeof command, "%s <%s >%s; %s <%s >>%s", tools[i],
                 at("plain"), at("packed"), tools[i], at("plain"),
                 at("packed"));
        if (system(command))
            skip();
        buf_clear(&got);
        read_back(at("packed"), &got, 0);
        assert_int_equal(got.n, 2 * plain.n);
        assert_memory_equal(got.p, plain.p, plain.n);
        assert_memory_equal(got.p + plain.n, plain.p, plain.n);
        if (i == 0)
            continue;
        snprintf(command, sizeof command, "head -c 5000 %s >%s", at("packed"),
                 at("cut"));
        assert_int_equal(system(command), 0);
        buf_clear(&got);
        read_back(at("cut"), &got, -E_FORMAT);
    }
    buf_release(&plain);
    buf_release(&got);
}

static void test_stream__lines(void **state)
{
    struct stream *s;
    struct lines l;
    struct str line;
    bool more;

    (void)state;
    assert_int_equal(
        stream_open_memory(&s, STR("a\r\n\nlonglonglong\nb"), "memory", NULL),
        0);
    lines_init(&l, s, 5);
    assert_int_equal(lines_next(&l, &line, &more, NULL), 0);
    assert_true(more && str_eq(line, STR("a")));
    assert_int_equal(lines_next(&l, &line, &more, NULL), 0);
    assert_true(more && line.n == 0);
    assert_int_equal(lines_next(&l, &line, &more, NULL), 0);
    assert_true(more && str_eq(line, STR("b")));
    assert_int_equal(l.number, 4);
    assert_int_equal(l.too_long, 1);
    assert_int_equal(lines_next(&l, &line, &more, NULL), 0);
    assert_false(more);
    lines_release(&l);
    stream_close(s);
}

static void test_stream__a_line_over_every_buffer(void **state)
{
    struct buf b;
    struct stream *s;
    struct lines l;
    struct str line;
    bool more;

    (void)state;
    buf_init(&b, BUF_NO_LIMIT);
    for (int i = 0; i < 900000; i++)
        buf_add_char(&b, 'x');
    buf_add(&b, STR("\nnext\n"));
    assert_int_equal(stream_open_memory(&s, buf_str(&b), "memory", NULL), 0);
    lines_init(&l, s, 1000);
    assert_int_equal(lines_next(&l, &line, &more, NULL), 0);
    assert_true(more && str_eq(line, STR("next")));
    assert_int_equal(l.too_long, 1);
    assert_int_equal(l.number, 2);
    lines_release(&l);
    stream_close(s);
    buf_release(&b);
}

/* ---- jsonl ---- */

static uint64_t count_lines(const char *path, uint64_t from, uint64_t to,
                            int want)
{
    struct jsonl_reader r;
    struct err e = ERR_INIT;
    struct str line;
    bool more = true;
    int rc = jsonl_open_range(&r, path, from, to, &e);
    uint64_t n = 0;

    while (!rc && !(rc = jsonl_next(&r, &line, &more, &e)) && more)
        n++;
    if (rc != want)
        fail_msg("%s: %d %s", path, rc, e.message);
    jsonl_close(&r);
    return n;
}

static void test_jsonl__frames_read_alone(void **state)
{
    struct jsonl_writer w;
    uint64_t offset[4] = {0};
    char hex[SHA256_HEX];

    (void)state;
    assert_int_equal(jsonl_open_write(&w, at("p.jsonl.zst"), NULL), 0);
    w.manual = true;
    for (int f = 0; f < 3; f++) {
        for (int i = 0; i < f * 1000; i++)
            jsonl_write(&w, STR("{\"a\":1}"), NULL);
        assert_int_equal(jsonl_frame(&w, &offset[f + 1], NULL), 0);
    }
    assert_int_equal(jsonl_publish(&w, NULL), 0);
    for (int f = 0; f < 3; f++)
        assert_int_equal(
            count_lines(at("p.jsonl.zst"), offset[f], offset[f + 1], 0),
            f * 1000);
    assert_int_equal(count_lines(at("p.jsonl.zst"), 0, UINT64_MAX, 0), 3000);
    assert_int_equal(jsonl_sha256(at("p.jsonl.zst"), hex, NULL), 0);
    assert_string_equal(hex, w.sha256);
}

static void test_jsonl__torn_tail_costs_one_frame(void **state)
{
    struct jsonl_append a;
    struct buf lines;
    uint64_t ends[3], whole, n;

    (void)state;
    buf_init(&lines, BUF_NO_LIMIT);
    for (int i = 0; i < 500; i++)
        buf_addf(&lines, "{\"n\":%d}\n", i * i);
    assert_int_equal(jsonl_append_open(&a, at("t.jsonl.zst"), 0, NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jsonl_append(&a, buf_str(&lines), NULL), 0);
        ends[i] = a.bytes;
    }
    jsonl_append_close(&a);
    for (uint64_t cut = ends[1]; cut <= ends[2]; cut += 37) {
        assert_int_equal(truncate(at("t.jsonl.zst"), (off_t)cut), 0);
        assert_int_equal(jsonl_whole_bytes(at("t.jsonl.zst"), &whole, &n, NULL),
                         0);
        assert_int_equal(whole, ends[1]);
        assert_int_equal(n, 1000);
        if (cut > ends[1])
            count_lines(at("t.jsonl.zst"), 0, UINT64_MAX, -E_FORMAT);
        assert_int_equal(jsonl_append_open(&a, at("t.jsonl.zst"), whole, NULL),
                         0);
        assert_int_equal(jsonl_append(&a, buf_str(&lines), NULL), 0);
        jsonl_append_close(&a);
        assert_int_equal(count_lines(at("t.jsonl.zst"), 0, UINT64_MAX, 0),
                         1500);
    }
    buf_release(&lines);
}

static void test_jsonl__flipped_byte_is_found(void **state)
{
    struct jsonl_writer w;
    struct buf b, copy;

    (void)state;
    assert_int_equal(jsonl_open_write(&w, at("f.jsonl.zst"), NULL), 0);
    for (int i = 0; i < 50; i++)
        jsonl_write(&w, STR("{\"text\":\"a dog and a cat\"}"), NULL);
    assert_int_equal(jsonl_publish(&w, NULL), 0);
    buf_init(&b, BUF_NO_LIMIT);
    buf_init(&copy, BUF_NO_LIMIT);
    assert_int_equal(io_read_file(at("f.jsonl.zst"), &b, NULL), 0);
    for (size_t i = 0; i < b.n; i++) {
        struct jsonl_reader r;
        struct str line;
        bool more = true;
        char hex[SHA256_HEX] = "";
        int rc;

        buf_clear(&copy);
        buf_add(&copy, buf_str(&b));
        copy.p[i] ^= 1;
        assert_int_equal(io_write_file(at("g.jsonl.zst"), buf_str(&copy), NULL),
                         0);
        rc = jsonl_open(&r, at("g.jsonl.zst"), NULL);
        while (!rc && !(rc = jsonl_next(&r, &line, &more, NULL)) && more)
            ;
        jsonl_close(&r);
        /* Found by the frame, or the content is what it was (a flag that
         * decides nothing). */
        if (!rc && !jsonl_sha256(at("g.jsonl.zst"), hex, NULL))
            assert_string_equal(hex, w.sha256);
    }
    buf_release(&b);
    buf_release(&copy);
}

/* ---- workq ---- */

struct numbers {
    int next, last, seen, fail_at;
};

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct numbers *n = ctx;

    (void)e;
    *more = n->next < n->last;
    *(int *)item = n->next++;
    return 0;
}

static int square(void *ctx, void *item, struct err *e)
{
    struct numbers *n = ctx;
    int *v = item;

    if (n->fail_at && *v >= n->fail_at)
        return err_set(e, E_FORMAT, "item %d", *v);
    *v = *v * *v;
    return 0;
}

static int in_order(void *ctx, void *item, struct err *e)
{
    struct numbers *n = ctx;

    (void)e;
    assert_int_equal(*(int *)item, n->seen * n->seen);
    n->seen++;
    return 0;
}

static void test_workq__consumes_in_order(void **state)
{
    static const struct workq_ops ops = {produce, square, in_order};
    int items[16];

    (void)state;
    for (unsigned threads = 1; threads <= 5; threads++) {
        struct numbers n = {.last = 2000};

        assert_int_equal(
            workq_run(&ops, &n, items, sizeof *items, 16, threads, NULL), 0);
        assert_int_equal(n.seen, 2000);
    }
}

static void test_workq__first_error_in_order(void **state)
{
    static const struct workq_ops ops = {produce, square, in_order};
    int items[8];

    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct numbers n = {.last = 2000, .fail_at = 100};
        struct err e = ERR_INIT;

        assert_int_equal(
            workq_run(&ops, &n, items, sizeof *items, 8, threads, &e),
            -E_FORMAT);
        assert_string_equal(e.message, "item 100");
        assert_int_equal(n.seen, 100);
    }
}

/* ---- options ---- */

struct config {
    const char *corpus;
    uint64_t cap, memory;
    bool exact;
    struct opt_list seeds;
    int mode;
    double rate;
    struct part part;
};

static const char *const modes[] = {"one", "two", NULL};

static const struct opt rows[] = {
    {.name = "CORPUS",
     .type = OPT_STRING,
     .at = offsetof(struct config, corpus),
     .flags = OPT_REQUIRED | OPT_POSITIONAL,
     .help = "The folder."},
    {.name = "cap",
     .type = OPT_U64,
     .at = offsetof(struct config, cap),
     .def = "20000",
     .min = 1,
     .max = 1e9,
     .flags = OPT_BYTES,
     .help = "Cap."},
    {.name = "memory",
     .type = OPT_SIZE,
     .at = offsetof(struct config, memory),
     .def = "2G",
     .help = "Memory."},
    {.name = "exact",
     .type = OPT_BOOL,
     .at = offsetof(struct config, exact),
     .flags = OPT_BYTES,
     .help = "Exact."},
    {.name = "seed",
     .type = OPT_LIST,
     .at = offsetof(struct config, seeds),
     .flags = OPT_BYTES,
     .help = "Seeds."},
    {.name = "mode",
     .type = OPT_CHOICE,
     .at = offsetof(struct config, mode),
     .def = "one",
     .choices = modes,
     .flags = OPT_BYTES,
     .help = "Mode."},
    {.name = "rate",
     .type = OPT_DOUBLE,
     .at = offsetof(struct config, rate),
     .def = "1.5",
     .help = "Rate."},
    {.name = "part",
     .type = OPT_PART,
     .at = offsetof(struct config, part),
     .help = "Part."},
};

static const struct opt_table table = {.command = "test",
                                       .synopsis = "CORPUS",
                                       .summary = "A test.",
                                       .examples = "witmill test x",
                                       .rows = rows,
                                       .n = sizeof rows / sizeof *rows,
                                       .config_size = sizeof(struct config)};

static void test_opt__argv_and_fingerprint(void **state)
{
    const char *argv[] = {"dir",      "--cap",      "1_000",  "--exact",
                          "--seed=a", "--seed",     "b",      "--memory",
                          "3k",       "--mode=two", "--part", "1/4"};
    struct config c;
    struct opt_set s;
    struct buf b;

    (void)state;
    opt_init(&s, &table, &c);
    assert_int_equal(opt_argv(&s, 12, (char *const *)(uintptr_t)argv, NULL), 0);
    assert_int_equal(opt_finish(&s, NULL), 0);
    assert_string_equal(c.corpus, "dir");
    assert_int_equal(c.cap, 1000);
    assert_int_equal(c.memory, 3072);
    assert_int_equal(c.part.i, 1);
    buf_init(&b, 1000);
    opt_json(&table, &c, &b);
    assert_string_equal(b.p,
                        "{\"cap\":1000,\"exact\":true,\"seed\":[\"a\",\"b\"],"
                        "\"mode\":\"two\"}");
    buf_release(&b);
    opt_release(&s);
}

static void test_opt__refuses(void **state)
{
    static const char *const bad[][3] = {{"dir", "--cap", "0"},
                                         {"dir", "--cap", "x"},
                                         {"dir", "--nope", "1"},
                                         {"dir", "--mode", "three"},
                                         {"dir", "extra", "--exact"},
                                         {"dir", "--part", "4/4"},
                                         {"dir", "--memory", "1Q"},
                                         {"--exact", "--no-exact", "--exact"},
                                         {"dir", "--exact=maybe", "--exact"},
                                         {"dir", "--rate", "inf"}};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct config c;
        struct opt_set s;
        struct err e = ERR_INIT;
        int rc;

        opt_init(&s, &table, &c);
        rc = opt_argv(&s, 3, (char *const *)(uintptr_t)bad[i], &e);
        if (!rc)
            rc = opt_finish(&s, &e);
        if (rc != -E_USAGE)
            fail_msg("accepted case %zu", i);
        assert_true(e.message[0] != 0);
        opt_release(&s);
    }
}

static int take(void *ctx, struct str section, struct str name,
                struct str value, struct err *e)
{
    if (!str_eq(section, STR("balance")))
        return err_set(e, E_USAGE, "no section");
    return name.n ? opt_put(ctx, name, value, e) : 0;
}

static void test_opt__ini(void **state)
{
    struct config c;
    struct opt_set s;
    struct err e = ERR_INIT;

    (void)state;
    opt_init(&s, &table, &c);
    io_write_file(at("a.ini"),
                  STR("# a comment\n[balance]\ncap = 50\nseed = x y\n"
                      "exact = yes\n"),
                  NULL);
    assert_int_equal(opt_ini(at("a.ini"), take, &s, &e), 0);
    assert_int_equal(c.cap, 50);
    assert_int_equal(c.seeds.n, 2);
    assert_true(c.exact);
    io_write_file(at("b.ini"), STR("[balance]\n\ncapp = 50\n"), NULL);
    assert_int_equal(opt_ini(at("b.ini"), take, &s, &e), -E_USAGE);
    assert_non_null(strstr(e.message, "b.ini:3: unknown key \"capp\""));
    opt_release(&s);
}

/* ---- stages ---- */

static void make_output(struct stage *s, const char *input, bool *done,
                        int want)
{
    struct stage_inputs in;
    struct stage_output o;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX], hex[SHA256_HEX];
    int rc;

    stage_inputs_init(&in);
    memset(hex, 'a', 64);
    hex[64] = 0;
    stage_inputs_add(&in, input, hex);
    rc = stage_begin(s, &o, "unique/bucket-0000", &in, done, &e);
    assert_int_equal(rc, want);
    if (!rc && !*done) {
        assert_int_equal(stage_path(&o, ".txt", path, NULL), 0);
        assert_int_equal(io_write_file(path, STR("x"), NULL), 0);
        stage_file(&o, "unique/bucket-0000.txt", hex);
        tally_add(&o.counts, "records", 3);
        tally_add(&o.drops, "svg", 2);
        json_put_u64(&o.more, "answer", 42);
        assert_int_equal(stage_commit(&o, &e), 0);
    }
    stage_output_release(&o);
    stage_inputs_release(&in);
}

static void test_stage__done_stale_redo(void **state)
{
    struct corpus c = {.head = {.seed = 7, .bucket_bits = 6}};
    struct config config = {.cap = 5};
    struct stage s;
    struct sidecar side;
    bool done;

    (void)state;
    snprintf(c.dir, sizeof c.dir, "%s", folder);
    stage_init(&s, &c, "gather", 1, &table, &config, false);
    make_output(&s, "in", &done, 0);
    assert_false(done);
    make_output(&s, "in", &done, 0);
    assert_true(done);
    make_output(&s, "other", &done, -E_STALE);
    stage_release(&s);
    config.cap = 6;
    stage_init(&s, &c, "gather", 1, &table, &config, false);
    make_output(&s, "in", &done, -E_STALE);
    s.redo = true;
    make_output(&s, "in", &done, 0);
    assert_false(done);
    stage_release(&s);

    assert_int_equal(sidecar_read(&side, &c, "unique/bucket-0000", NULL), 0);
    assert_string_equal(side.stage, "gather");
    assert_int_equal(tally_get(&side.counts, "records"), 3);
    assert_int_equal(tally_get(&side.drops, "svg"), 2);
    assert_true(str_eq(side.extra, STR("{\"answer\":42}")));
    assert_int_equal(side.n_files, 1);
    assert_string_equal(side.files[0].name, "unique/bucket-0000.txt");
    sidecar_release(&side);
}

static void test_stage__what_changed_is_named(void **state)
{
    static const struct {
        const char *old, *now, *input, *want;
    } cases[] = {
        {"{\"cap\":6}", "{\"cap\":7}", "in", "with --cap 6, now 7"},
        {"{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":1}", "in", "with --b 2, now 1"},
        {"{}", "{\"cap\":7}", "in", "with --cap unknown, now 7"},
        {"{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1}",
         "{\"a\":2,\"b\":2,\"c\":2,\"d\":2,\"e\":2}", "in",
         "with --a 1, now 2, --b 1, now 2, --c 1, now 2, and more"},
        {"{\"cap\":6}", "{\"cap\":6}", "in \"2\"", "from another in \"2\""},
        {"{\"cap\":6}", "{\"cap\":6}", "in",
         "from fewer or other inputs, or under another seed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sidecar old = {.options = str_of(cases[i].old),
                              .inputs = STR("{\"in\":\"5e\"}")};
        struct stage_inputs now;
        struct buf b;

        stage_inputs_init(&now);
        stage_inputs_add(&now, cases[i].input, "5e");
        buf_init(&b, 1024);
        stage_changes(&old, str_of(cases[i].now), &now, &b);
        buf_add_char(&b, 0);
        assert_string_equal(b.p, cases[i].want);
        buf_release(&b);
        stage_inputs_release(&now);
    }
}

static void test_stage__damaged_sidecar_is_named(void **state)
{
    struct corpus c = {.head = {.seed = 7}};
    struct sidecar side;
    struct err e = ERR_INIT;

    (void)state;
    snprintf(c.dir, sizeof c.dir, "%s", folder);
    io_write_file(at("bad.meta.json"), STR("{\"stage\":"), NULL);
    assert_int_equal(sidecar_read(&side, &c, "bad", &e), -E_DAMAGED);
    assert_non_null(strstr(e.message, "bad.meta.json"));
    assert_int_equal(sidecar_read(&side, &c, "absent", NULL), -E_NOTFOUND);
}

static void test_corpus__refuses_what_is_none(void **state)
{
    struct corpus c;
    struct err e = ERR_INIT;
    char head[CORPUS_HEADER_SIZE];
    struct corpus_header h = {.version = CORPUS_VERSION,
                              .seed = 3,
                              .bucket_bits = 6,
                              .file_size = 64};

    (void)state;
    assert_int_equal(corpus_open(&c, folder, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "is no corpus"));
    corpus_header_write(&h, head);
    io_write_file(at("queries.bin"), str_make(head, 64), NULL);
    assert_int_equal(corpus_open(&c, folder, NULL), 0);
    assert_int_equal(c.head.seed, 3);
    io_write_file(at("queries.bin"), str_make(head, 50), NULL);
    assert_int_equal(corpus_open(&c, folder, NULL), -E_DAMAGED);
    h.version = 99;
    corpus_header_write(&h, head);
    io_write_file(at("queries.bin"), str_make(head, 64), NULL);
    assert_int_equal(corpus_open(&c, folder, NULL), -E_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_io__publish_replaces_whole),
        cmocka_unit_test(test_io__abandon_leaves_nothing),
        cmocka_unit_test(test_io__one_writer_at_a_time),
        cmocka_unit_test(test_io__full_disk_sticks_and_says_so),
        cmocka_unit_test(test_io__read_has_a_ceiling),
        cmocka_unit_test(test_io__lock_excludes),
        cmocka_unit_test(test_stream__by_content),
        cmocka_unit_test(test_stream__lines),
        cmocka_unit_test(test_stream__a_line_over_every_buffer),
        cmocka_unit_test(test_jsonl__frames_read_alone),
        cmocka_unit_test(test_jsonl__torn_tail_costs_one_frame),
        cmocka_unit_test(test_jsonl__flipped_byte_is_found),
        cmocka_unit_test(test_workq__consumes_in_order),
        cmocka_unit_test(test_workq__first_error_in_order),
        cmocka_unit_test(test_opt__argv_and_fingerprint),
        cmocka_unit_test(test_opt__refuses),
        cmocka_unit_test(test_opt__ini),
        cmocka_unit_test(test_stage__done_stale_redo),
        cmocka_unit_test(test_stage__what_changed_is_named),
        cmocka_unit_test(test_stage__damaged_sidecar_is_named),
        cmocka_unit_test(test_corpus__refuses_what_is_none),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
