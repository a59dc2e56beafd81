#include "train/events.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define PREFIX      "events.out.tfevents."
#define POLYNOMIAL  0x82f63b78u /* Castagnoli's, its bits reversed */
#define MASK        0xa282ead8u
#define MESSAGE_MAX (1 << 20) /* bytes of an event */
#define NUMBERS_MAX 1000000   /* files begun in one second */

/* ---- checksums ---- */

void events_crc_table(uint32_t table[256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t x = i;

        for (int bit = 0; bit < 8; bit++)
            x = x & 1 ? x >> 1 ^ POLYNOMIAL : x >> 1;
        table[i] = x;
    }
}

uint32_t events_crc(const uint32_t table[256], const void *p, size_t n)
{
    const uint8_t *at = p;
    uint32_t x = ~0u;

    for (size_t i = 0; i < n; i++)
        x = x >> 8 ^ table[(x ^ at[i]) & 0xff];
    return ~x;
}

/* So that the checksum of bytes that hold checksums tells something. */
static uint32_t masked(const struct events *v, const void *p, size_t n)
{
    uint32_t x = events_crc(v->table, p, n);

    return (x >> 15 | x << 17) + MASK;
}

/* ---- messages: tag and value, by their numbers in the .proto ---- */

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

static void put_varint(struct buf *b, uint64_t x)
{
    while (x > 0x7f) {
        buf_add_char(b, (char)((x & 0x7f) | 0x80));
        x >>= 7;
    }
    buf_add_char(b, (char)x);
}

static void put_tag(struct buf *b, unsigned field, enum wire w)
{
    put_varint(b, field << 3 | w);
}

static void put_double(struct buf *b, unsigned field, double x)
{
    uint64_t bits;

    memcpy(&bits, &x, sizeof bits);
    put_tag(b, field, FIXED64);
    buf_add_u64le(b, bits);
}

static void put_float(struct buf *b, unsigned field, float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    put_tag(b, field, FIXED32);
    buf_add_u32le(b, bits);
}

static void put_number(struct buf *b, unsigned field, uint64_t x)
{
    put_tag(b, field, VARINT);
    put_varint(b, x);
}

static void put_bytes(struct buf *b, unsigned field, struct str s)
{
    put_tag(b, field, BYTES);
    put_varint(b, s.n);
    buf_add(b, s);
}

/* ---- records ---- */

/* An event without what it tells: wall time, step. */
static void begin_event(struct events *v, uint64_t step)
{
    buf_clear(&v->message);
    put_double(&v->message, 1, (double)clock_wall_s());
    put_number(&v->message, 2, step);
}

/* Length, its checksum, the event, its checksum. */
static int write_event(struct events *v, struct err *e)
{
    struct str m = buf_str(&v->message);

    if (v->rc)
        return v->rc;
    buf_clear(&v->record);
    buf_add_u64le(&v->record, m.n);
    buf_add_u32le(&v->record, masked(v, v->record.p, v->record.n));
    buf_add(&v->record, m);
    buf_add_u32le(&v->record, masked(v, m.p, m.n));
    if (v->message.rc || v->value.rc || v->record.rc)
        return v->rc = err_set(e, E_NOMEM, "%s: no room for an event", v->path);
    return v->rc = io_write_full(v->fd, v->record.p, v->record.n, v->path, e);
}

/* ---- the file ---- */

/* Seconds and number of a file of ours. */
static bool is_ours(const char *name, uint64_t *seconds, uint64_t *number)
{
    struct str s = str_of(name), field;

    if (!str_starts(s, STR(PREFIX)))
        return false;
    s = str_slice(s, sizeof PREFIX - 1, s.n);
    return str_split(&s, '.', &field) && !str_u64(field, seconds) &&
           str_split(&s, '.', &field) && !str_u64(field, number) && !s.p;
}

/* Readers take a run's files in the order of their names: whatever the clock
 * says, a new one comes last. */
static int open_last(struct events *v, const char *folder, struct err *e)
{
    uint64_t seconds = (uint64_t)clock_wall_s(), number = 0, s, n;
    char name[80];
    struct io_list list;
    int rc = io_list(folder, &list, e);

    if (rc)
        return rc;
    for (size_t i = 0; i < list.n; i++) {
        if (!is_ours(list.names[i], &s, &n) || s < seconds)
            continue;
        if (s > seconds || n >= number)
            number = n + 1;
        seconds = s;
    }
    io_list_release(&list);
    if (number >= NUMBERS_MAX)
        return err_set(e, E_RANGE, "%s: %llu event files of one second", folder,
                       (unsigned long long)number);
    snprintf(name, sizeof name, PREFIX "%010llu.%06llu",
             (unsigned long long)seconds, (unsigned long long)number);
    rc = io_join(v->path, folder, name, e);
    if (rc)
        return rc;
    v->fd = open(v->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return v->fd < 0 ? err_errno(e, E_IO, "create", v->path) : 0;
}

int events_open(struct events *v, const char *folder, uint64_t step,
                struct err *e)
{
    memset(v, 0, sizeof *v);
    v->fd = -1;
    buf_init(&v->message, MESSAGE_MAX);
    buf_init(&v->value, MESSAGE_MAX);
    buf_init(&v->record, MESSAGE_MAX + 16);
    events_crc_table(v->table);
    v->rc = open_last(v, folder, e);
    if (v->rc)
        return v->rc;
    begin_event(v, 0);
    put_bytes(&v->message, 3, STR("brain.Event:2")); /* file_version */
    write_event(v, e);
    if (step) {
        buf_clear(&v->value);
        put_number(&v->value, 1, 1); /* SessionLog.status: START */
        begin_event(v, step);
        put_bytes(&v->message, 7, buf_str(&v->value)); /* session_log */
        write_event(v, e);
    }
    return v->rc;
}

int events_put(struct events *v, uint64_t step,
               const struct events_scalar *list, size_t n, struct err *e)
{
    struct buf *b = &v->message;

    if (v->rc || !n)
        return v->rc;
    begin_event(v, step);
    /* summary, a message of messages: its length comes first */
    buf_clear(&v->record);
    for (size_t i = 0; i < n; i++) {
        buf_clear(&v->value);
        put_bytes(&v->value, 1,
                  str_slice(str_of(list[i].tag), 0, EVENTS_TAG_MAX));
        put_float(&v->value, 2, (float)list[i].value);
        put_bytes(&v->record, 1, buf_str(&v->value));
    }
    put_bytes(b, 5, buf_str(&v->record));
    return write_event(v, e);
}

int events_close(struct events *v, struct err *e)
{
    if (v->fd >= 0 && close(v->fd) && !v->rc)
        v->rc = err_errno(e, E_IO, "close", v->path);
    v->fd = -1;
    buf_release(&v->message);
    buf_release(&v->value);
    buf_release(&v->record);
    return v->rc;
}
