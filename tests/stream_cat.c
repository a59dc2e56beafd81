/* What base/stream reads of files, by so many threads, to standard output.
 *
 * usage: stream_cat THREADS FILE... */
#include <stdio.h>
#include <stdlib.h>

#include "base/stream.h"

static int cat(const char *path, unsigned threads, struct err *e)
{
    static char bytes[256 << 10];
    struct stream *s;
    size_t got;
    int rc = stream_open(&s, path, e);

    if (rc)
        return rc;
    stream_set_threads(s, threads);
    while (!(rc = stream_read(s, bytes, sizeof bytes, &got, e)) && got)
        if (fwrite(bytes, 1, got, stdout) != got) {
            rc = err_errno(e, E_IO, "write", "standard output");
            break;
        }
    stream_close(s);
    return rc;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;

    if (argc < 3)
        return 2;
    for (int i = 2; i < argc; i++)
        if (cat(argv[i], (unsigned)strtoul(argv[1], NULL, 10), &e)) {
            fprintf(stderr, "%s\n", e.message);
            return 3;
        }
    return 0;
}
