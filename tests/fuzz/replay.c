/* Runs a fuzz target over files: the corpus as an ordinary test. */
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct err e = ERR_INIT;
        struct buf b;

        buf_init(&b, BUF_NO_LIMIT);
        if (io_read_file(argv[i], &b, &e)) {
            fprintf(stderr, "%s\n", e.message);
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)(b.p ? b.p : ""), b.n);
        buf_release(&b);
    }
    printf("%d inputs\n", argc - 1);
    return 0;
}
