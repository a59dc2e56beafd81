/* jsonl_frames: parts read by whole frames and decoded elsewhere, written by
 * frames encoded elsewhere; what is left to jsonl_reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/jsonl_frames.h"
#include "tests/folder.h"

/* n lines that do not pack well. */
static void lines_of(struct buf *b, unsigned n)
{
    buf_clear(b);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < 8; k++)
            buf_addf(b, "%08x", (i * 8 + k) * 2654435761u);
        buf_add_char(b, '\n');
    }
}

static void write_part(const char *path, struct str lines, size_t frame)
{
    struct jsonl_writer w;

    assert_int_equal(jsonl_open_write(&w, path, NULL), 0);
    w.manual = true;
    for (size_t at = 0; at < lines.n; at += frame) {
        jsonl_write_block(&w, str_slice(lines, at, at + frame), NULL);
        assert_int_equal(jsonl_frame(&w, NULL, NULL), 0);
    }
    assert_int_equal(jsonl_publish(&w, NULL), 0);
    assert_string_equal(w.file.sha256, ""); /* the content's is w.sha256 */
}

/* All of it by frames into `all`; the batches that it came in. */
static int read_part(const char *path, struct buf *all, unsigned *batches)
{
    struct jsonl_unpacker z = {0};
    struct jsonl_frames f;
    struct buf packed, lines;
    size_t content;
    bool more;
    int rc = jsonl_frames_open(&f, path, NULL);

    buf_clear(all);
    buf_init(&packed, BUF_NO_LIMIT);
    buf_init(&lines, BUF_NO_LIMIT);
    *batches = 0;
    while (!rc) {
        rc = jsonl_frames_next(&f, &packed, &content, &more, NULL);
        if (rc || !more)
            break;
        rc = jsonl_unpack(&z, buf_str(&packed), content, &lines);
        if (!rc)
            assert_int_equal(lines.n, content);
        buf_add(all, buf_str(&lines));
        ++*batches;
    }
    jsonl_frames_close(&f);
    jsonl_unpacker_release(&z);
    buf_release(&packed);
    buf_release(&lines);
    return rc;
}

static void test_jsonl_frames__small_and_large(void **state)
{
    static const size_t frames[] = {65, 65 * 100, 65 * 20000};
    struct buf lines, all;
    unsigned batches;

    (void)state;
    buf_init(&lines, BUF_NO_LIMIT);
    buf_init(&all, BUF_NO_LIMIT);
    lines_of(&lines, 60000); /* 3.9 MB */
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        write_part(at("p"), buf_str(&lines), frames[i]);
        assert_int_equal(read_part(at("p"), &all, &batches), 0);
        assert_true(str_eq(buf_str(&all), buf_str(&lines)));
        assert_in_range(batches, 3, 9);
    }
    buf_release(&lines);
    buf_release(&all);
}

static void test_jsonl_frames__nothing(void **state)
{
    struct jsonl_writer w;
    unsigned batches;
    struct buf all;

    (void)state;
    buf_init(&all, BUF_NO_LIMIT);
    assert_int_equal(jsonl_open_write(&w, at("none"), NULL), 0);
    assert_int_equal(jsonl_publish(&w, NULL), 0);
    assert_int_equal(read_part(at("none"), &all, &batches), 0);
    assert_int_equal(all.n, 0);
    assert_int_equal(io_write_file(at("empty"), STR(""), NULL), 0);
    assert_int_equal(read_part(at("empty"), &all, &batches), 0);
    assert_int_equal(read_part(at("absent"), &all, &batches), -E_NOTFOUND);
    buf_release(&all);
}

/* A file cut at any of some places, or with a byte changed there. */
static void test_jsonl_frames__damage(void **state)
{
    struct buf lines, all, file;
    unsigned batches;

    (void)state;
    buf_init(&lines, BUF_NO_LIMIT);
    buf_init(&all, BUF_NO_LIMIT);
    buf_init(&file, BUF_NO_LIMIT);
    lines_of(&lines, 100);
    write_part(at("p"), buf_str(&lines), 65 * 40);
    assert_int_equal(io_read_file(at("p"), &file, NULL), 0);
    for (size_t n = 0; n < file.n; n += n < 40 ? 1 : 97) {
        char old = file.p[n];
        int rc;

        io_write_file(at("cut"), str_make(file.p, n), NULL);
        rc = read_part(at("cut"), &all, &batches);
        assert_true(rc == -E_FORMAT || rc == 0);
        assert_true(str_starts(buf_str(&lines), buf_str(&all)));
        assert_true(rc == 0 ? all.n < lines.n : true);
        file.p[n] = (char)(old ^ 0x10);
        io_write_file(at("cut"), buf_str(&file), NULL);
        rc = read_part(at("cut"), &all, &batches);
        /* A bit of the head may say only how much memory to use. */
        assert_true(rc == -E_FORMAT || str_eq(buf_str(&all), buf_str(&lines)));
        file.p[n] = old;
    }
    buf_release(&lines);
    buf_release(&all);
    buf_release(&file);
}

static void test_jsonl_frames__lines_cut_by_frames(void **state)
{
    struct buf lines, all;
    unsigned batches;

    (void)state;
    buf_init(&lines, BUF_NO_LIMIT);
    buf_init(&all, BUF_NO_LIMIT);
    lines_of(&lines, 30000);
    write_part(at("p"), buf_str(&lines), 65 * 10000 + 7);
    assert_int_equal(read_part(at("p"), &all, &batches), -E_FORMAT);
    buf_release(&lines);
    buf_release(&all);
}

static void test_jsonl_frames__written_packed(void **state)
{
    struct jsonl_packer z = {0};
    struct jsonl_writer w, plain;
    struct buf lines, packed, all;
    unsigned batches;

    (void)state;
    buf_init(&lines, BUF_NO_LIMIT);
    buf_init(&packed, BUF_NO_LIMIT);
    buf_init(&all, BUF_NO_LIMIT);
    lines_of(&lines, 10);
    assert_int_equal(jsonl_open_write(&w, at("w"), NULL), 0);
    assert_int_equal(jsonl_open_write(&plain, at("plain"), NULL), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jsonl_pack(&z, buf_str(&lines), &packed, NULL), 0);
        jsonl_write_packed(&w, buf_str(&lines), 10, buf_str(&packed), NULL);
        jsonl_write_block(&plain, buf_str(&lines), NULL);
    }
    assert_int_equal(jsonl_publish(&w, NULL), 0);
    assert_int_equal(jsonl_publish(&plain, NULL), 0);
    assert_int_equal(w.lines, plain.lines);
    assert_string_equal(w.sha256, plain.sha256);
    assert_int_equal(read_part(at("w"), &all, &batches), 0);
    assert_int_equal(all.n, 3 * lines.n);
    jsonl_packer_release(&z);
    buf_release(&lines);
    buf_release(&packed);
    buf_release(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jsonl_frames__small_and_large),
        cmocka_unit_test(test_jsonl_frames__nothing),
        cmocka_unit_test(test_jsonl_frames__damage),
        cmocka_unit_test(test_jsonl_frames__lines_cut_by_frames),
        cmocka_unit_test(test_jsonl_frames__written_packed),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
