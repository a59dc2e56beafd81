#include "base/jsonl_frames.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

int jsonl_frames_open(struct jsonl_frames *f, const char *path, struct err *e)
{
    *f = (struct jsonl_frames){.fd = -1};
    buf_init(&f->ahead, BUF_NO_LIMIT); /* see read_more() */
    if (strlen(path) >= sizeof f->path)
        return err_set(e, E_TOOBIG, "path too long: %.400s", path);
    memcpy(f->path, path, strlen(path) + 1);
    f->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0)
        return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "open", path);
    return 0;
}

void jsonl_frames_close(struct jsonl_frames *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    buf_release(&f->ahead);
}

/* More bytes behind what is ahead.  A frame whose content is bounded is not
 * longer than the bound of what it packs to, so ahead does not grow past it. */
static int read_more(struct jsonl_frames *f, struct err *e)
{
    size_t left = f->ahead.n - f->given;
    ssize_t got;
    char *to;

    if (left > ZSTD_compressBound(JSONL_FRAMES_MAX))
        return -E_FORMAT;
    if (f->given) {
        memmove(f->ahead.p, f->ahead.p + f->given, left);
        f->ahead.n = left;
        f->given = 0;
    }
    to = buf_reserve(&f->ahead, JSONL_FRAMES_READ);
    if (!to)
        return err_set(e, E_NOMEM, "%s: no memory", f->path);
    do
        got = read(f->fd, to, JSONL_FRAMES_READ);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(e, E_IO, "read", f->path);
    f->ahead.n += (size_t)got;
    f->end = got == 0;
    return 0;
}

/* Bytes of the frame that is next, and of its content; 0 at the end.  What
 * zstd cannot make out in what has been read may want more of the file. */
static int next_frame(struct jsonl_frames *f, size_t *n, size_t *content,
                      struct err *e)
{
    for (;;) {
        const char *p = f->ahead.n ? f->ahead.p + f->given : "";
        size_t left = f->ahead.n - f->given;
        int rc;

        *n = 0;
        if (left) {
            unsigned long long bytes = ZSTD_getFrameContentSize(p, left);

            *n = ZSTD_findFrameCompressedSize(p, left);
            if (!ZSTD_isError(*n) && bytes <= JSONL_FRAMES_MAX) {
                *content = (size_t)bytes;
                return 0;
            }
            if (!ZSTD_isError(*n))
                return -E_FORMAT;
        }
        if (f->end)
            return left ? -E_FORMAT : 0;
        rc = read_more(f, e);
        if (rc)
            return rc;
    }
}

int jsonl_frames_next(struct jsonl_frames *f, struct buf *packed,
                      size_t *content, bool *more, struct err *e)
{
    size_t n, bytes;
    int rc = 0;

    buf_clear(packed);
    *content = 0;
    while (!rc && *content < JSONL_FRAMES_FEW &&
           packed->n < JSONL_FRAMES_READ) {
        rc = next_frame(f, &n, &bytes, e);
        if (rc || n == 0)
            break;
        buf_add_bytes(packed, f->ahead.p + f->given, n);
        f->given += n;
        *content += bytes;
    }
    *more = !rc && packed->n > 0;
    if (!rc && packed->rc)
        rc = err_set(e, E_NOMEM, "%s: no memory for a frame", f->path);
    return rc;
}

int jsonl_unpack(struct jsonl_unpacker *z, struct str packed, size_t content,
                 struct buf *lines)
{
    char *to;
    size_t n;

    buf_clear(lines);
    to = buf_reserve(lines, content);
    if (!z->zstd)
        z->zstd = ZSTD_createDCtx();
    if (!to || !z->zstd)
        return -E_NOMEM;
    n = ZSTD_decompressDCtx(z->zstd, to, content, packed.p, packed.n);
    if (ZSTD_isError(n) || n != content || (n && to[n - 1] != '\n'))
        return -E_FORMAT;
    to[n] = 0;
    lines->n = n;
    return 0;
}

void jsonl_unpacker_release(struct jsonl_unpacker *z)
{
    ZSTD_freeDCtx(z->zstd);
    z->zstd = NULL;
}
