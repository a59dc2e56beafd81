/*
 * stream_cat - what base/stream reads, to standard output: what reading costs,
 * for tools/bench_queries.py.
 *
 * usage: stream_cat FILE...
 */
#include <stdio.h>
#include <unistd.h>

#include "base/io.h"
#include "base/stream.h"

#define PIECE ((size_t)256 << 10)

static int copy(const char *path, struct err *e)
{
    static char piece[PIECE];
    struct stream *in;
    size_t got;
    int rc = stream_open(&in, path, e);

    while (!rc) {
        rc = stream_read(in, piece, sizeof piece, &got, e);
        if (rc || !got)
            break;
        rc = io_write_full(STDOUT_FILENO, piece, got, "standard output", e);
    }
    stream_close(in);
    return rc;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;

    for (int i = 1; i < argc; i++)
        if (copy(argv[i], &e)) {
            fprintf(stderr, "stream_cat: %s\n", e.message);
            return 3;
        }
    return 0;
}
