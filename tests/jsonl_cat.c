/* Prints the lines of .jsonl.zst parts: for test scripts, whose Python has no
 * zstd. */
#include <stdio.h>

#include "base/jsonl.h"

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct jsonl_reader r;
        struct err e = ERR_INIT;
        struct str line;
        bool more;
        int rc = jsonl_open(&r, argv[i], &e);

        while (!rc && !(rc = jsonl_next(&r, &line, &more, &e)) && more) {
            fwrite(line.p, 1, line.n, stdout);
            putchar('\n');
        }
        jsonl_close(&r);
        if (rc) {
            fprintf(stderr, "%s\n", e.message);
            return 1;
        }
    }
    return 0;
}
