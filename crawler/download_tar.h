/*
 * download_tar - the tar writer, as the download sees it.
 *
 * Model.   crawler/ does not know shards/: tools/ hands over these functions.
 *          open -> add* -> publish, or abandon at any point.
 * Threads. One tar at a time, not always from the same thread.
 */
#ifndef CRAWLER_DOWNLOAD_TAR_H
#define CRAWLER_DOWNLOAD_TAR_H

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include <stdint.h>

struct download_tar {
    void *ctx;
    /* Begin path: nothing stands under that name before publish. */
    int (*open)(void *ctx, const char *path, struct err *e);
    /* One member; *offset: where its bytes begin. */
    int (*add)(void *ctx, struct str name, struct str data, uint64_t *offset,
               struct err *e);
    /* Durable and visible; the sha256 of the whole file. */
    int (*publish)(void *ctx, char sha256[SHA256_HEX], struct err *e);
    void (*abandon)(void *ctx); /* a no-op once published */
};

#endif
