#include "base/jsonl.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <zstd.h>

#include "base/mem.h"

#define JSONL_CHUNK ((size_t)128 << 10) /* compressed bytes a read */

/* ---- frames ---- */

static int packer_open(struct jsonl_packer *z, struct err *e)
{
    if (z->zstd)
        return 0;
    z->zstd = ZSTD_createCCtx();
    if (!z->zstd)
        return err_set(e, E_NOMEM, "no memory for zstd");
    ZSTD_CCtx_setParameter(z->zstd, ZSTD_c_compressionLevel, JSONL_LEVEL);
    ZSTD_CCtx_setParameter(z->zstd, ZSTD_c_checksumFlag, 1);
    return 0;
}

int jsonl_pack(struct jsonl_packer *z, struct str lines, struct buf *packed,
               struct err *e)
{
    size_t bound = ZSTD_compressBound(lines.n), n;
    int rc = packer_open(z, e);
    char *to;

    buf_clear(packed);
    if (rc)
        return rc;
    to = buf_reserve(packed, bound);
    if (!to)
        return err_set(e, E_NOMEM, "no memory for a frame of %zu bytes",
                       lines.n);
    n = ZSTD_compress2(z->zstd, to, bound, lines.p, lines.n);
    if (ZSTD_isError(n))
        return err_set(e, E_NOMEM, "zstd: %s", ZSTD_getErrorName(n));
    packed->n = n;
    return 0;
}

void jsonl_packer_release(struct jsonl_packer *z)
{
    ZSTD_freeCCtx(z->zstd);
    z->zstd = NULL;
}

/* ---- writer ---- */

int jsonl_open_write(struct jsonl_writer *w, const char *path, struct err *e)
{
    *w = (struct jsonl_writer){.lines = 0};
    w->rc = io_file_open(&w->file, path, e);
    if (w->rc)
        return w->rc;
    buf_init(&w->content, BUF_NO_LIMIT);
    buf_init(&w->packed, BUF_NO_LIMIT);
    io_file_unhashed(&w->file); /* the content is hashed */
    sha256_init(&w->hash);
    return 0;
}

static int flush_frame(struct jsonl_writer *w, struct err *e)
{
    if (w->rc)
        return w->rc;
    if (w->content.rc)
        return w->rc = err_set(e, E_NOMEM, "%s: no memory", w->file.path);
    sha256_add(&w->hash, buf_str(&w->content));
    w->rc = jsonl_pack(&w->packer, buf_str(&w->content), &w->packed, e);
    if (!w->rc)
        w->rc = io_file_write(&w->file, buf_str(&w->packed), e);
    buf_clear(&w->content);
    return w->rc;
}

static int maybe_flush(struct jsonl_writer *w, struct err *e)
{
    return !w->manual && w->content.n >= JSONL_FRAME ? flush_frame(w, e)
                                                     : w->rc;
}

int jsonl_write(struct jsonl_writer *w, struct str line, struct err *e)
{
    char *to;

    if (w->rc)
        return w->rc;
    if (line.n >= JSONL_LINE_MAX)
        return w->rc = err_set(e, E_TOOBIG, "%s: a record of %zu bytes",
                               w->file.path, line.n);
    to = buf_reserve(&w->content, line.n + 1);
    if (to) { /* else flush_frame() says so */
        memcpy(to, line.p, line.n);
        to[line.n] = '\n';
        w->content.n += line.n + 1;
    }
    w->lines++;
    return maybe_flush(w, e);
}

int jsonl_write_block(struct jsonl_writer *w, struct str lines, struct err *e)
{
    if (w->rc)
        return w->rc;
    for (size_t at = 0; (at = str_find_char(lines, '\n', at)) != SIZE_MAX; at++)
        w->lines++;
    buf_add(&w->content, lines);
    return maybe_flush(w, e);
}

int jsonl_write_packed(struct jsonl_writer *w, struct str lines,
                       uint64_t n_lines, struct str frame, struct err *e)
{
    if (w->rc)
        return w->rc;
    sha256_add(&w->hash, lines);
    w->lines += n_lines;
    return w->rc = io_file_write(&w->file, frame, e);
}

int jsonl_frame(struct jsonl_writer *w, uint64_t *offset, struct err *e)
{
    if (w->manual || w->content.n)
        flush_frame(w, e);
    if (offset)
        *offset = w->file.bytes;
    return w->rc;
}

static void writer_release(struct jsonl_writer *w)
{
    char unused[SHA256_HEX];

    if (w->hash.ctx)
        sha256_final_hex(&w->hash, unused);
    jsonl_packer_release(&w->packer);
    buf_release(&w->content);
    buf_release(&w->packed);
}

int jsonl_publish(struct jsonl_writer *w, struct err *e)
{
    int rc;

    /* A part without records is one empty frame, not an empty file. */
    if (w->content.n || w->file.bytes == 0)
        flush_frame(w, e);
    rc = w->rc;
    if (rc) {
        jsonl_abandon(w);
        return rc;
    }
    sha256_final_hex(&w->hash, w->sha256);
    rc = io_file_publish(&w->file, e);
    writer_release(w);
    return rc;
}

void jsonl_abandon(struct jsonl_writer *w)
{
    io_file_abandon(&w->file);
    writer_release(w);
}

/* ---- append ---- */

int jsonl_append_open(struct jsonl_append *a, const char *path,
                      uint64_t durable_bytes, struct err *e)
{
    uint64_t size;
    int rc;

    *a = (struct jsonl_append){.fd = -1, .bytes = durable_bytes};
    if (strlen(path) >= sizeof a->path)
        return err_set(e, E_TOOBIG, "path too long: %.400s", path);
    memcpy(a->path, path, strlen(path) + 1);
    a->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (a->fd < 0)
        return err_errno(e, E_IO, "open", path);
    rc = io_size(path, &size, e);
    if (!rc && size < durable_bytes)
        rc = err_set(
            e, E_DAMAGED, "%s has %llu bytes, %llu were recorded as durable",
            path, (unsigned long long)size, (unsigned long long)durable_bytes);
    if (!rc && ftruncate(a->fd, (off_t)durable_bytes))
        rc = err_errno(e, E_IO, "truncate", path);
    if (!rc && fsync(a->fd))
        rc = err_errno(e, E_IO, "flush", path);
    if (!rc)
        rc = io_sync_parent(path, e);
    if (!rc && lseek(a->fd, (off_t)durable_bytes, SEEK_SET) < 0)
        rc = err_errno(e, E_IO, "seek in", path);
    if (rc) {
        close(a->fd);
        a->fd = -1;
        return rc;
    }
    buf_init(&a->packed, BUF_NO_LIMIT);
    return 0;
}

int jsonl_append(struct jsonl_append *a, struct str lines, struct err *e)
{
    int rc = jsonl_pack(&a->packer, lines, &a->packed, e);

    if (!rc)
        rc = io_write_full(a->fd, a->packed.p, a->packed.n, a->path, e);
    if (!rc && fsync(a->fd))
        rc = err_errno(e, E_IO, "flush", a->path);
    if (!rc)
        a->bytes += a->packed.n;
    return rc;
}

void jsonl_append_close(struct jsonl_append *a)
{
    if (a->fd >= 0)
        close(a->fd);
    a->fd = -1;
    jsonl_packer_release(&a->packer);
    buf_release(&a->packed);
}

/* ---- reader ---- */

int jsonl_open(struct jsonl_reader *r, const char *path, struct err *e)
{
    return jsonl_open_range(r, path, 0, UINT64_MAX, e);
}

int jsonl_open_range(struct jsonl_reader *r, const char *path, uint64_t from,
                     uint64_t to, struct err *e)
{
    *r = (struct jsonl_reader){
        .fd = -1, .at = from, .end = to, .expect = UINT64_MAX};
    if (from > to)
        return err_set(e, E_FORMAT, "%s: no frames from byte %llu to %llu",
                       path, (unsigned long long)from, (unsigned long long)to);
    if (strlen(path) >= sizeof r->path)
        return err_set(e, E_TOOBIG, "path too long: %.400s", path);
    memcpy(r->path, path, strlen(path) + 1);
    r->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0)
        return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "open", path);
    r->zstd = ZSTD_createDCtx();
    if (!r->zstd)
        return err_set(e, E_NOMEM, "%s: no memory for zstd", path);
    buf_init(&r->packed, 2 * JSONL_CHUNK);
    buf_init(&r->content, 4 * JSONL_LINE_MAX);
    return 0;
}

static int read_packed(struct jsonl_reader *r, struct err *e)
{
    size_t want = JSONL_CHUNK;
    ssize_t got;

    if (r->packed_at < r->packed.n)
        return 0;
    buf_clear(&r->packed);
    r->packed_at = 0;
    if (want > r->end - r->at)
        want = (size_t)(r->end - r->at);
    if (!buf_reserve(&r->packed, JSONL_CHUNK))
        return err_set(e, E_NOMEM, "%s: no memory", r->path);
    do
        got = want ? pread(r->fd, r->packed.p, want, (off_t)r->at) : 0;
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return err_errno(e, E_IO, "read", r->path);
    if (got == 0 && want && r->end != UINT64_MAX)
        return err_set(e, E_FORMAT,
                       "%s is cut off: it has %llu bytes, frames up to %llu "
                       "are expected",
                       r->path, (unsigned long long)r->at,
                       (unsigned long long)r->end);
    r->packed.n = (size_t)got;
    r->at += (uint64_t)got;
    return 0;
}

/* Decode more content behind what is there; *more false at the end. */
static int decode(struct jsonl_reader *r, bool *more, struct err *e)
{
    ZSTD_inBuffer in;
    ZSTD_outBuffer out;
    size_t left;
    int rc = read_packed(r, e);

    if (rc)
        return rc;
    *more = r->packed_at < r->packed.n || r->mid_frame;
    if (!*more)
        return 0;
    if (!buf_reserve(&r->content, JSONL_CHUNK))
        return err_set(e, E_TOOBIG,
                       "%s: a line of over %zu bytes at line "
                       "%llu",
                       r->path, JSONL_LINE_MAX,
                       (unsigned long long)r->line + 1);
    if (!r->mid_frame)
        r->frame_at = r->at - (r->packed.n - r->packed_at);
    in = (ZSTD_inBuffer){r->packed.p, r->packed.n, r->packed_at};
    out = (ZSTD_outBuffer){r->content.p, r->content.cap - 1, r->content.n};
    left = ZSTD_decompressStream(r->zstd, &out, &in);
    if (ZSTD_isError(left) ||
        (left && in.pos == r->packed_at && out.pos == r->content.n))
        return err_set(
            e, E_FORMAT, "%s: %s near compressed byte %llu, behind line %llu",
            r->path, ZSTD_isError(left) ? "damaged frame" : "cut off",
            (unsigned long long)(r->at - r->packed.n + r->packed_at),
            (unsigned long long)r->line);
    r->packed_at = in.pos;
    r->content.n = out.pos;
    r->content.p[out.pos] = 0;
    r->mid_frame = left != 0;
    return 0;
}

static int at_end(const struct jsonl_reader *r, struct str rest, struct err *e)
{
    if (rest.n)
        return err_set(e, E_FORMAT, "%s: no newline behind line %llu", r->path,
                       (unsigned long long)r->line);
    if (r->expect != UINT64_MAX && r->line != r->expect)
        return err_set(e, E_DAMAGED,
                       "%s has %llu records, its sidecar says %llu: remove "
                       "the sidecar and run the stage that made it again",
                       r->path, (unsigned long long)r->line,
                       (unsigned long long)r->expect);
    return 0;
}

int jsonl_next(struct jsonl_reader *r, struct str *line, bool *more,
               struct err *e)
{
    size_t searched = 0;

    for (;;) {
        struct str have =
            str_slice(buf_str(&r->content), r->content_at, SIZE_MAX);
        size_t lf = str_find_char(have, '\n', searched);
        int rc;

        if (lf != SIZE_MAX) {
            *line = str_slice(have, 0, lf);
            r->content_at += lf + 1;
            r->line++;
            *more = true;
            return 0;
        }
        if (r->content_at) {
            memmove(r->content.p, r->content.p + r->content_at, have.n);
            r->content.n = have.n;
            r->content_at = 0;
        }
        searched = have.n;
        rc = decode(r, more, e);
        if (rc)
            return rc;
        if (!*more)
            return at_end(r, have, e);
    }
}

void jsonl_close(struct jsonl_reader *r)
{
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    ZSTD_freeDCtx(r->zstd);
    r->zstd = NULL;
    buf_release(&r->packed);
    buf_release(&r->content);
}

int jsonl_sha256(const char *path, char out[SHA256_HEX], struct err *e)
{
    struct jsonl_reader r;
    struct sha256 h;
    bool more = true;
    int rc = jsonl_open(&r, path, e);

    sha256_init(&h);
    while (!rc && more) {
        rc = decode(&r, &more, e);
        sha256_add(&h, buf_str(&r.content));
        buf_clear(&r.content);
    }
    sha256_final_hex(&h, out);
    jsonl_close(&r);
    return rc;
}

int jsonl_whole_bytes(const char *path, uint64_t *bytes, uint64_t *lines,
                      struct err *e)
{
    struct jsonl_reader r;
    struct err inner = ERR_INIT;
    uint64_t seen = 0;
    bool more = true;
    int rc = jsonl_open(&r, path, e);

    *bytes = *lines = 0;
    while (!rc && more) {
        /* Damage is the answer here, not a failure of the question. */
        if (decode(&r, &more, &inner))
            break;
        for (size_t i = 0; i < r.content.n; i++)
            seen += r.content.p[i] == '\n';
        buf_clear(&r.content);
        if (!r.mid_frame) {
            *bytes = r.at - (r.packed.n - r.packed_at);
            *lines = seen;
        }
    }
    jsonl_close(&r);
    return rc;
}
