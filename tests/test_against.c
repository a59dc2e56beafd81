/* against: every form of an evaluation set, folders of them, what is passed
 * over and counted, what stops the walk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/jsonl.h"
#include "shards/tar_write.h"
#include "tests/folder.h"
#include "tools/against.h"

static void must(int rc, const struct err *e)
{
    if (rc) {
        fprintf(stderr, "%d: %s\n", rc, e->message);
        abort();
    }
}

/* What the callback was given, a line a sample. */
struct seen {
    struct buf text;
    int stop_at; /* sample to fail at, 0: none */
    int n;
};

static int see(void *ctx, const struct against_sample *s, struct err *e)
{
    struct seen *seen = ctx;
    struct str name = s->name, root = str_of(folder);

    if (++seen->n == seen->stop_at)
        return err_set(e, E_RANGE, "enough");
    if (str_starts(name, root))
        name = str_slice(name, root.n + 1, name.n);
    buf_addf(&seen->text, "%.*s [%.*s]", STR_ARG(name), STR_ARG(s->url));
    for (size_t i = 0; i < s->n_texts; i++)
        buf_addf(&seen->text, " <%.*s>", STR_ARG(s->texts[i]));
    if (s->image.n)
        buf_addf(&seen->text, " image %zu", s->image.n);
    if (s->sha256.n || s->phash.n)
        buf_addf(&seen->text, " %.*s/%.*s", STR_ARG(s->sha256),
                 STR_ARG(s->phash));
    buf_add_char(&seen->text, '\n');
    return 0;
}

static int walk(const char *path, bool images, struct seen *seen,
                struct tally *skipped, struct err *e)
{
    buf_init(&seen->text, 1 << 24);
    tally_init(skipped);
    return against_walk(path, images, see, seen, skipped, e);
}

static void expect(const char *path, bool images, const char *want)
{
    struct seen seen = {.n = 0};
    struct err e = ERR_INIT;
    struct tally skipped;

    must(walk(path, images, &seen, &skipped, &e), &e);
    assert_string_equal(buf_str(&seen.text).p, want);
    buf_release(&seen.text);
    tally_release(&skipped);
}

static void fails(const char *path, int rc, const char *word)
{
    struct seen seen = {.n = 0};
    struct err e = ERR_INIT;
    struct tally skipped;

    assert_int_equal(walk(path, false, &seen, &skipped, &e), rc);
    if (!strstr(e.message, word))
        fail_msg("\"%s\" without \"%s\"", e.message, word);
    buf_release(&seen.text);
    tally_release(&skipped);
}

static void put(const char *name, const char *text)
{
    struct err e = ERR_INIT;

    must(io_write_file(at(name), str_of(text), &e), &e);
}

static void put_tar(const char *name)
{
    static const char *const members[][2] = {
        {"0.jpg", "JPEG"},
        {"0.json", "{\"caption\":\"one\",\"url\":\"http://a.test/0\","
                   "\"sha256\":\"ab\",\"phash\":\"cd\",\"texts\":[{\"uid\":"
                   "\"x\",\"text\":\"two\"},\"three\",4,{\"a\":1}]}"},
        {"0.txt", "one\n"},
        {"1.png", "PNGPNG"},
        {"1.txt", "alone"},
        {"2.webp", "W"},
        {"3.json", "{\"url\":\"http://a.test/3\",\"caption\":null}"},
        {"4.json", "no json"},
        {"4.txt", "four"},
        {"5.cls", "7"},
    };
    struct err e = ERR_INIT;
    struct tar_writer w;

    must(tar_writer_open(&w, at(name), &e), &e);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        must(tar_writer_add(&w, str_of(members[i][0]), str_of(members[i][1]),
                            NULL, &e),
             &e);
    must(tar_writer_publish(&w, &e), &e);
}

#define TAR_WORDS                                                              \
    "t.tar/0 [http://a.test/0] <one> <two> <three> <one\n> ab/cd\n"            \
    "t.tar/1 [] <alone>\n"                                                     \
    "t.tar/3 [http://a.test/3]\n"                                              \
    "t.tar/4 [] <four>\n"

static void test_against__tars(void **state)
{
    struct seen seen = {.n = 0};
    struct err e = ERR_INIT;
    struct tally skipped;

    (void)state;
    put_tar("t.tar");
    expect(at("t.tar"), false, TAR_WORDS);
    expect(at("t.tar"), true,
           "t.tar/0 [http://a.test/0] <one> <two> <three> <one\n> image 4 "
           "ab/cd\n"
           "t.tar/1 [] <alone> image 6\n"
           "t.tar/2 [] image 1\n"
           "t.tar/3 [http://a.test/3]\n"
           "t.tar/4 [] <four>\n");
    must(walk(at("t.tar"), false, &seen, &skipped, &e), &e);
    assert_int_equal(tally_get(&skipped, "json"), 1);
    assert_int_equal(tally_get(&skipped, "nothing"), 2); /* 2 and 5 */
    buf_release(&seen.text);
    tally_release(&skipped);
    /* By another name the bytes say what it is. */
    assert_int_equal(rename(at("t.tar"), at("set")), 0);
    expect(at("set"), false,
           "set/0 [http://a.test/0] <one> <two> <three> <one\n> ab/cd\n"
           "set/1 [] <alone>\nset/3 [http://a.test/3]\nset/4 [] <four>\n");
    assert_int_equal(truncate(at("set"), 3000), 0);
    fails(at("set"), -E_FORMAT, "set");
    assert_int_equal(unlink(at("set")), 0);
}

#define LINES                                                                  \
    "{\"uid\":\"u\",\"url\":\"http://a.test/\\u0061\",\"text\":\"x\"}\n"       \
    "\n"                                                                       \
    "{\"texts\":\"no list\",\"url\":5,\"caption\":\"y\\n\"}\r\n"               \
    "{\"n\":[1,{\"url\":\"inner\"}]}\n"                                        \
    "{\"text\":\"\",\"texts\":[\"\",\"z\"]}"

static void test_against__lines(void **state)
{
    struct jsonl_writer w;
    struct err e = ERR_INIT;

    (void)state;
    put("l.jsonl", LINES);
    expect(at("l.jsonl"), true,
           "l.jsonl:1 [http://a.test/a] <x>\nl.jsonl:3 [] <y\n>\n"
           "l.jsonl:5 [] <z>\n");
    put("plain", LINES);
    expect(at("plain"), true,
           "plain:1 [http://a.test/a] <x>\nplain:3 [] <y\n>\n"
           "plain:5 [] <z>\n");
    must(jsonl_open_write(&w, at("p.jsonl.zst"), &e), &e);
    must(jsonl_write(&w, STR("{\"url\":\"http://a.test/\"}"), &e), &e);
    must(jsonl_publish(&w, &e), &e);
    expect(at("p.jsonl.zst"), false, "p.jsonl.zst:1 [http://a.test/]\n");
    put("bad.jsonl", "{\"url\":\"http://a.test/\"}\n[1]\n");
    fails(at("bad.jsonl"), -E_FORMAT, "bad.jsonl:2: no JSON object");
    assert_int_equal(unlink(at("bad.jsonl")), 0);
    fails(at("gone.jsonl"), -E_NOTFOUND, "gone.jsonl");
    assert_int_equal(unlink(at("plain")), 0);
}

static void test_against__folders(void **state)
{
    struct stage_inputs in;
    struct err e = ERR_INIT;
    struct tally skipped;
    struct seen seen = {.stop_at = 2};
    const char *paths[2];
    struct opt_list list = {paths, 2};

    (void)state;
    must(io_mkdirs(at("f/b/c"), &e), &e);
    must(io_mkdirs(at("f/.hidden"), &e), &e);
    put("f/b/c/2.ndjson", "{\"text\":\"two\"}\n");
    put("f/b/1.jsonl", "{\"text\":\"one\"}\n");
    put("f/a.JSONL", "{\"text\":\"zero\"}\n");
    put("f/notes.txt", "no samples");
    put("f/.hidden/h.jsonl", "{\"text\":\"hidden\"}\n");
    put_tar("f/t.tar");
    expect(at("f"), false,
           "f/a.JSONL:1 [] <zero>\nf/b/1.jsonl:1 [] <one>\n"
           "f/b/c/2.ndjson:1 [] <two>\n"
           "f/t.tar/0 [http://a.test/0] <one> <two> <three> <one\n> ab/cd\n"
           "f/t.tar/1 [] <alone>\nf/t.tar/3 [http://a.test/3]\n"
           "f/t.tar/4 [] <four>\n");
    /* What the callback says ends it. */
    assert_int_equal(walk(at("f"), false, &seen, &skipped, &e), -E_RANGE);
    assert_int_equal(seen.n, 2);
    buf_release(&seen.text);
    tally_release(&skipped);
    /* As a stage's inputs: each file, by its bytes. */
    paths[0] = at("f");
    paths[1] = at("f/a.JSONL");
    e = (struct err)ERR_INIT;
    stage_inputs_init(&in);
    must(against_inputs(&list, &in, &e), &e);
    assert_int_equal(in.n, 5);
    assert_true(str_ends(str_of(in.v[3].name), STR("f/t.tar")));
    assert_string_equal(in.v[0].sha256, in.v[4].sha256);
    stage_inputs_release(&in);
    /* A link to nothing counts as what its name says. */
    assert_int_equal(symlink("gone", at("f/gone.md")), 0);
    assert_int_equal(symlink("t.tar", at("f/c.tar")), 0);
    stage_inputs_init(&in);
    must(against_inputs(&list, &in, &e), &e);
    assert_int_equal(in.n, 6);
    stage_inputs_release(&in);
    assert_int_equal(symlink("gone", at("f/b/gone.tar.gz")), 0);
    fails(at("f"), -E_NOTFOUND, "b/gone.tar.gz is a symbolic link to nothing");
    assert_int_equal(unlink(at("f/b/gone.tar.gz")), 0);
    assert_int_equal(symlink("itself", at("f/b/itself")), 0);
    fails(at("f"), -E_NOTFOUND, "b/itself is a symbolic link to nothing");
    assert_int_equal(unlink(at("f/b/itself")), 0);
    must(io_mkdirs(at("empty/x"), &e), &e);
    fails(at("empty"), -E_USAGE, "holds no samples");
    assert_int_equal(symlink(".", at("empty/x/loop")), 0);
    fails(at("empty"), -E_TOOBIG, "folders deep");
}

/* A sample of more texts than are kept of one. */
static void test_against__many_texts(void **state)
{
    struct seen seen = {.n = 0};
    struct err e = ERR_INIT;
    struct tally skipped;
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    buf_add(&b, STR("{\"texts\":[\"t\""));
    for (int i = 0; i < AGAINST_TEXTS_MAX + 4; i++)
        buf_add(&b, STR(",\"t\""));
    buf_add(&b, STR("]}\n"));
    put("many.jsonl", b.p);
    must(walk(at("many.jsonl"), false, &seen, &skipped, &e), &e);
    assert_int_equal(tally_get(&skipped, "texts"), 5);
    assert_int_equal(seen.n, 1);
    buf_release(&seen.text);
    tally_release(&skipped);
    buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against__tars),
        cmocka_unit_test(test_against__lines),
        cmocka_unit_test(test_against__folders),
        cmocka_unit_test(test_against__many_texts),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
