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

/* More bytes behind those of packed, of which the last `left` are no whole
 * frame yet.  A frame whose content is bounded is not longer than the bound of
 * what it packs to, so packed does not grow past that. */
static int read_more(struct jsonl_frames *f, struct buf *packed, size_t left,
                     struct err *e)
{
    ssize_t got;
    char *to;

    if (left > ZSTD_compressBound(JSONL_FRAMES_MAX))
        return -E_FORMAT;
    to = buf_reserve(packed, JSONL_FRAMES_READ);
    if (!to)
        return err_set(e, E_NOMEM, "%s: no memory", f->path);
    do
        got = read(f->fd, to, JSONL_FRAMES_READ);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(e, E_IO, "read", f->path);
    packed->n += (size_t)got;
    f->end = got == 0;
    return 0;
}

/* Bytes of the frame at `at` of packed, and of its content; 0 at the end.  What
 * zstd cannot make out in what has been read may want more of the file. */
static int next_frame(struct jsonl_frames *f, struct buf *packed, size_t at,
                      size_t *n, size_t *content, struct err *e)
{
    for (;;) {
        struct str left = str_slice(buf_str(packed), at, SIZE_MAX);
        int rc;

        *n = 0;
        if (left.n) {
            unsigned long long bytes = ZSTD_getFrameContentSize(left.p, left.n);

            *n = ZSTD_findFrameCompressedSize(left.p, left.n);
            if (!ZSTD_isError(*n) && bytes <= JSONL_FRAMES_MAX) {
                *content = (size_t)bytes;
                return 0;
            }
            if (!ZSTD_isError(*n))
                return -E_FORMAT;
        }
        if (f->end)
            return left.n ? -E_FORMAT : 0;
        rc = read_more(f, packed, left.n, e);
        if (rc)
            return rc;
    }
}

/* What is behind the last whole frame is kept for the next call: part of a
 * read, so that most bytes are not copied. */
int jsonl_frames_next(struct jsonl_frames *f, struct buf *packed,
                      size_t *content, bool *more, struct err *e)
{
    size_t whole = 0, n, bytes;
    int rc = 0;

    buf_clear(packed);
    buf_add(packed, buf_str(&f->ahead));
    buf_clear(&f->ahead);
    *content = 0;
    while (!rc && *content < JSONL_FRAMES_FEW && whole < JSONL_FRAMES_SUM) {
        rc = next_frame(f, packed, whole, &n, &bytes, e);
        if (rc || n == 0)
            break;
        whole += n;
        *content += bytes;
    }
    if (rc)
        whole = packed->n;
    *more = !rc && whole > 0;
    buf_add(&f->ahead, str_slice(buf_str(packed), whole, SIZE_MAX));
    packed->n = whole;
    if (!rc && (packed->rc || f->ahead.rc))
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
