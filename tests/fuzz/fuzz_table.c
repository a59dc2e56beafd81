/* Link lists of any bytes, in each format: rows come in order, bad ones without
 * cells, good ones with cells inside the ceiling. */
#include "crawler/table.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct table_config config = {0};
    struct table t;
    char path[64];
    int fd;

    if (size < 1)
        return 0;
    config.format = data[0] & 3;
    config.header = (data[0] >> 2) % 3;
    if (data[0] & 16)
        config.column[TABLE_URL] = "2";
    if (data[0] & 32)
        config.column[TABLE_TEXT] = "text";
    fd = memfd_create("table", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (table_open(&t, path, &config, NULL) == 0) {
        struct table_row row;
        uint64_t before = 0, rows = 0;
        bool more;

        while (rows++ < 100000 && !table_next(&t, &row, &more, NULL) && more) {
            if (row.number <= before)
                abort();
            before = row.number;
            for (int c = 0; c < TABLE_COLUMNS; c++)
                if (row.cell[c].n > TABLE_ROW_MAX || (row.bad && row.cell[c].n))
                    abort();
        }
        table_close(&t);
    }
    close(fd);
    return 0;
}
