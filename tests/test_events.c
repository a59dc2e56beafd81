/* Event files: checksums by published vectors, every byte of a small file,
 * names that come behind those that are there, a full disk. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/folder.h"
#include "train/events.h"

static struct clock_fake fake = {.wall_s = 1700000000};

/* RFC 3720, appendix B.4, and the check value of the algorithm. */
static void test_events__checksum(void **state)
{
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
    uint32_t table[256];

    (void)state;
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++) {
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(31 - i);
    }
    events_crc_table(table);
    assert_int_equal(events_crc(table, zeros, 32), 0x8a9136aau);
    assert_int_equal(events_crc(table, ones, 32), 0x62a8ab43u);
    assert_int_equal(events_crc(table, up, 32), 0x46dd794eu);
    assert_int_equal(events_crc(table, down, 32), 0x113fdb5cu);
    assert_int_equal(events_crc(table, "123456789", 9), 0xe3069283u);
    assert_int_equal(events_crc(table, "", 0), 0);
}

static void read_whole(struct buf *b, const char *path)
{
    buf_init(b, 1 << 20);
    assert_int_equal(io_read_file(path, b, NULL), 0);
}

/* As an independent writer makes it (tests/events_reader.py reads it back):
 * version, the session's begin at step 300, two scalars of step 300. */
static void test_events__bytes(void **state)
{
    static const uint8_t expected[] = {
        0x1a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x12, 0x9b, 0xd8, 0x2d,
        0x09, 0x00, 0x00, 0x00, 0x40, 0xfc, 0x54, 0xd9, 0x41, 0x10, 0x00, 0x1a,
        0x0d, 0x62, 0x72, 0x61, 0x69, 0x6e, 0x2e, 0x45, 0x76, 0x65, 0x6e, 0x74,
        0x3a, 0x32, 0xe6, 0x77, 0x3e, 0x1a, 0x10, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x95, 0xfb, 0xfe, 0x18, 0x09, 0x00, 0x00, 0x00, 0x40, 0xfc,
        0x54, 0xd9, 0x41, 0x10, 0xac, 0x02, 0x3a, 0x02, 0x08, 0x01, 0x95, 0x41,
        0x06, 0x18, 0x32, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x24, 0x19,
        0x56, 0xec, 0x09, 0x00, 0x00, 0x00, 0x40, 0xfc, 0x54, 0xd9, 0x41, 0x10,
        0xac, 0x02, 0x2a, 0x24, 0x0a, 0x11, 0x0a, 0x0a, 0x74, 0x72, 0x61, 0x69,
        0x6e, 0x2f, 0x6c, 0x6f, 0x73, 0x73, 0x15, 0x00, 0x00, 0x20, 0x40, 0x0a,
        0x0f, 0x0a, 0x08, 0x74, 0x72, 0x61, 0x69, 0x6e, 0x2f, 0x6c, 0x72, 0x15,
        0x6f, 0x12, 0x83, 0x3a, 0xcc, 0x94, 0x01, 0xd5};
    const struct events_scalar list[] = {{"train/loss", 2.5},
                                         {"train/lr", 0.001}};
    struct events v;
    struct buf b;

    (void)state;
    clock_set_fake(&fake);
    assert_int_equal(events_open(&v, folder, 300, NULL), 0);
    assert_int_equal(events_put(&v, 300, list, 2, NULL), 0);
    assert_int_equal(events_close(&v, NULL), 0);
    read_whole(&b, at("events.out.tfevents.1700000000.000000"));
    assert_int_equal(b.n, sizeof expected);
    assert_memory_equal(b.p, expected, sizeof expected);
    buf_release(&b);
    unlink(at("events.out.tfevents.1700000000.000000"));
    clock_set_fake(NULL);
}

/* The next one's name comes last, also where the clock has gone back. */
static void test_events__names(void **state)
{
    static const char *const names[] = {
        "events.out.tfevents.1700000000.000000",
        "events.out.tfevents.1700000000.000001",
        "events.out.tfevents.1700000000.000002"};
    struct events v;

    (void)state;
    clock_set_fake(&fake);
    for (int i = 0; i < 3; i++) {
        fake.wall_s = i == 2 ? 1600000000 : 1700000000;
        assert_int_equal(events_open(&v, folder, 0, NULL), 0);
        assert_string_equal(v.path, at(names[i]));
        assert_int_equal(events_close(&v, NULL), 0);
    }
    assert_int_equal(
        io_write_file(at("events.out.tfevents.9.host"), STR("another's"), NULL),
        0);
    fake.wall_s = 1700000001;
    assert_int_equal(events_open(&v, folder, 0, NULL), 0);
    assert_string_equal(v.path, at("events.out.tfevents.1700000001.000000"));
    assert_int_equal(events_close(&v, NULL), 0);
    fake.wall_s = 1700000000;
    clock_set_fake(NULL);
}

/* What a disk without room says sticks. */
static void test_events__full(void **state)
{
    const struct events_scalar one = {"train/loss", 1};
    struct err e = ERR_INIT;
    struct events v;
    int fd;

    (void)state;
    if (access("/dev/full", W_OK))
        skip();
    assert_int_equal(events_open(&v, folder, 0, NULL), 0);
    fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(dup2(fd, v.fd) == v.fd);
    close(fd);
    assert_int_equal(events_put(&v, 1, &one, 1, &e), -E_IO);
    assert_non_null(strstr(e.message, v.path));
    assert_int_equal(events_put(&v, 2, &one, 1, NULL), -E_IO);
    assert_int_equal(events_close(&v, NULL), -E_IO);
    assert_int_equal(events_close(&v, NULL), -E_IO);
}

static void test_events__no_folder(void **state)
{
    struct err e = ERR_INIT;
    struct events v;

    (void)state;
    assert_int_equal(events_open(&v, at("none"), 0, &e), -E_NOTFOUND);
    assert_int_equal(events_close(&v, NULL), -E_NOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events__checksum),
        cmocka_unit_test(test_events__bytes),
        cmocka_unit_test(test_events__names),
        cmocka_unit_test(test_events__full),
        cmocka_unit_test(test_events__no_folder),
    };

    return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
