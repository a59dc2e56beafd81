/* Bytes of any packing: decoding ends, lines are within their ceiling, and two
 * readers of the same bytes, in large steps and in single bytes, agree. */
#include "base/hash.h"
#include "base/stream.h"
#include <stdlib.h>

#define CONTENT_MAX ((size_t)4 << 20) /* of what bombs unpack to */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int read_all(struct str in, size_t step, struct buf *out)
{
    struct stream *s;
    char chunk[4096];
    size_t got;
    int rc = stream_open_memory(&s, in, "fuzz", NULL);

    while (!rc && out->n < CONTENT_MAX &&
           !(rc = stream_read(s, chunk, step, &got, NULL)) && got) {
        if (got > step)
            abort();
        buf_add_bytes(out, chunk, got);
    }
    stream_close(s);
    return rc;
}

static void read_lines(struct str in, size_t max)
{
    struct stream *s;
    struct lines l;
    struct str line;
    bool more = true;
    uint64_t before = 0;

    if (stream_open_memory(&s, in, "fuzz", NULL))
        return;
    lines_init(&l, s, max);
    while (l.number < 100000 && !lines_next(&l, &line, &more, NULL) && more) {
        if (line.n > max || str_find_char(line, '\n', 0) != SIZE_MAX ||
            l.number <= before)
            abort();
        before = l.number;
    }
    lines_release(&l);
    stream_close(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = str_make((const char *)data, size);
    struct buf one, two;

    buf_init(&one, 2 * CONTENT_MAX);
    buf_init(&two, 2 * CONTENT_MAX);
    if (!read_all(in, 4096, &one) && one.n < 65536) {
        if (read_all(in, 1, &two) || !str_eq(buf_str(&one), buf_str(&two)))
            abort();
    }
    read_lines(in, 20);
    read_lines(in, 4096);
    buf_release(&one);
    buf_release(&two);
    return 0;
}
