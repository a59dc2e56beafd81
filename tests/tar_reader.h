/*
 * tar_reader - the regular files of a tar in memory, for tests.
 *
 * Model.   tar_open() a file, tar_next() until false.  Names and contents point
 *          into memory that lives until tar_close().  USTAR and GNU headers;
 *          other entry types are passed over.
 */
#ifndef TESTS_TAR_READER_H
#define TESTS_TAR_READER_H

#include "base/buf.h"
#include "base/io.h"
#include <stdlib.h>

struct tar_reader {
    struct buf all;
    size_t at;
};

static inline bool tar_open(struct tar_reader *t, const char *path)
{
    t->at = 0;
    buf_init(&t->all, BUF_NO_LIMIT);
    return io_read_file(path, &t->all, NULL) == 0;
}

static inline void tar_close(struct tar_reader *t)
{
    buf_release(&t->all);
}

static inline bool tar_next(struct tar_reader *t, struct str *name,
                            struct str *content)
{
    while (t->at + 512 <= t->all.n && t->all.p[t->at]) {
        const char *h = t->all.p + t->at;
        size_t size = strtoul(h + 124, NULL, 8);

        if (size > t->all.n - t->at - 512)
            return false;
        *name = str_make(h, strnlen(h, 100));
        *content = str_make(h + 512, size);
        t->at += 512 + (size + 511) / 512 * 512;
        if (h[156] == '0' || h[156] == 0)
            return true;
    }
    return false;
}

#endif
