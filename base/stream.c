#include "base/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "base/stream_bunzip.h"

#define STREAM_BUFFER ((size_t)256 << 10)

enum codec { CODEC_PLAIN, CODEC_GZIP, CODEC_BZIP2, CODEC_ZSTD };

struct stream {
    char *name;
    int fd; /* -1: from memory */
    bool owns_fd;
    enum codec codec;
    char *in; /* compressed bytes; memory streams borrow them */
    size_t in_at, in_n;
    bool in_eof;       /* nothing more behind in[in_n) */
    bool open_member;  /* inside a member or frame */
    uint64_t position; /* compressed bytes behind in[0) */
    int rc;            /* sticky */
    bool cut;          /* it is that the input ends too early */
    z_stream gz;
    struct bunzip bz;
    bool bz_damaged;         /* behind what has been given out */
    struct bzip2_pool *pool; /* NULL: the thread that reads decodes */
    ZSTD_DStream *zs;
};

/* Refill `in` when it is used up. */
static int refill(struct stream *s, struct err *e)
{
    ssize_t got;

    if (s->in_at < s->in_n || s->in_eof)
        return 0;
    if (s->fd < 0) {
        s->in_eof = true;
        return 0;
    }
    s->position += s->in_n;
    s->in_at = s->in_n = 0;
    do
        got = read(s->fd, s->in, STREAM_BUFFER);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return s->rc = err_errno(e, E_IO, "read", s->name);
    s->in_n = (size_t)got;
    s->in_eof = got == 0;
    return 0;
}

/* The first bytes, at least 4 of them if the input has that many. */
static int peek(struct stream *s, struct err *e)
{
    while (s->fd >= 0 && s->in_n < 4 && !s->in_eof) {
        ssize_t got = read(s->fd, s->in + s->in_n, STREAM_BUFFER - s->in_n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(e, E_IO, "read", s->name);
        s->in_n += (size_t)got;
        s->in_eof = got == 0;
    }
    return 0;
}

/* RFC 1952, bzip2's "BZh1-9", RFC 8878 (frames and skippable frames). */
static enum codec codec_of(const char *p, size_t n)
{
    const unsigned char *u = (const unsigned char *)p;

    if (n >= 3 && u[0] == 0x1f && u[1] == 0x8b && u[2] == 8)
        return CODEC_GZIP;
    if (n >= 4 && !memcmp(p, "BZh", 3) && u[3] >= '1' && u[3] <= '9')
        return CODEC_BZIP2;
    if (n >= 4 && u[1] == 0xb5 && u[2] == 0x2f && u[3] == 0xfd && u[0] == 0x28)
        return CODEC_ZSTD;
    if (n >= 4 && (u[0] & 0xf0) == 0x50 && u[1] == 0x2a && u[2] == 0x4d &&
        u[3] == 0x18)
        return CODEC_ZSTD;
    return CODEC_PLAIN;
}

static int start(struct stream *s, struct err *e)
{
    int rc = peek(s, e);

    if (rc)
        return rc;
    s->codec = codec_of(s->in, s->in_n);
    if (s->codec == CODEC_GZIP && inflateInit2(&s->gz, 15 + 16) != Z_OK)
        return err_set(e, E_NOMEM, "%s: no memory for inflate", s->name);
    if (s->codec == CODEC_ZSTD) {
        s->zs = ZSTD_createDStream();
        if (!s->zs)
            return err_set(e, E_NOMEM, "%s: no memory for zstd", s->name);
        ZSTD_DCtx_setParameter(s->zs, ZSTD_d_windowLogMax, 27);
    }
    return 0;
}

int stream_open(struct stream **out, const char *path, struct err *e)
{
    bool standard_input = !strcmp(path, "-");
    struct stream *s = xcalloc(1, sizeof *s);
    int rc;

    *out = NULL;
    s->name = xstrdup(standard_input ? "standard input" : path);
    s->owns_fd = !standard_input;
    s->fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) {
        rc = err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "open", path);
    } else {
        s->in = xmalloc(STREAM_BUFFER);
        rc = start(s, e);
    }
    if (rc) {
        stream_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

int stream_open_memory(struct stream **out, struct str bytes, const char *name,
                       struct err *e)
{
    struct stream *s = xcalloc(1, sizeof *s);
    int rc;

    *out = NULL;
    s->name = xstrdup(name);
    s->fd = -1;
    s->in = (char *)(uintptr_t)bytes.p; /* read only: no codec writes there */
    s->in_n = bytes.n;
    rc = start(s, e);
    if (rc) {
        stream_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

void stream_close(struct stream *s)
{
    if (!s)
        return;
    if (s->codec == CODEC_GZIP)
        inflateEnd(&s->gz);
    bzip2_pool_close(s->pool);
    bunzip_release(&s->bz);
    ZSTD_freeDStream(s->zs);
    if (s->fd >= 0) {
        free(s->in);
        if (s->owns_fd)
            close(s->fd);
    }
    free(s->name);
    free(s);
}

static int damaged(struct stream *s, const char *what, struct err *e)
{
    return s->rc =
               err_set(e, E_FORMAT, "%s: %s at compressed byte %llu", s->name,
                       what, (unsigned long long)stream_position(s));
}

static int cut_off(struct stream *s, struct err *e)
{
    s->cut = true;
    return damaged(s, "the input is cut off", e);
}

static int no_memory(struct stream *s, struct err *e)
{
    return s->rc = err_set(e, E_NOMEM, "%s: no memory for bzip2", s->name);
}

/* zlib counts in 32 bits. */
static size_t step_bytes(const struct stream *s)
{
    size_t left = s->in_n - s->in_at;

    return left < (size_t)1 << 30 ? left : (size_t)1 << 30;
}

/* Each step decodes what it can into out[n); *got 0 asks for more input. */

static int step_gzip(struct stream *s, void *out, size_t n, size_t *got,
                     struct err *e)
{
    size_t take = step_bytes(s);
    int zrc;

    s->gz.next_in = (Bytef *)s->in + s->in_at;
    s->gz.avail_in = (uInt)take;
    s->gz.next_out = out;
    s->gz.avail_out = (uInt)n;
    s->open_member = true;
    zrc = inflate(&s->gz, Z_NO_FLUSH);
    s->in_at += take - s->gz.avail_in;
    *got = n - s->gz.avail_out;
    if (zrc == Z_STREAM_END) {
        s->open_member = false;
        inflateReset(&s->gz); /* members may follow each other */
        return 0;
    }
    if (zrc == Z_OK || zrc == Z_BUF_ERROR)
        return 0;
    return damaged(s, "damaged gzip data", e);
}

static int step_bzip2(struct stream *s, void *out, size_t n, size_t *got,
                      struct err *e)
{
    enum bunzip_end end = BUNZIP_DAMAGED;
    size_t used;

    if (!s->bz_damaged) {
        end = bunzip_step(&s->bz, s->in + s->in_at, s->in_n - s->in_at, &used,
                          out, n, got);
        s->in_at += used;
        s->open_member = s->bz.open;
    }
    if (end == BUNZIP_NOMEM)
        return no_memory(s, e);
    s->bz_damaged = end == BUNZIP_DAMAGED;
    return s->bz_damaged && !*got ? damaged(s, "damaged bzip2 data", e) : 0;
}

/* The same of many threads. */
static int read_pool(struct stream *s, void *out, size_t n, size_t *got,
                     struct err *e)
{
    enum bunzip_end end = bzip2_pool_read(s->pool, out, n, got);

    if (end == BUNZIP_IO)
        return s->rc = err_errno(e, E_IO, "read", s->name);
    if (end == BUNZIP_NOMEM)
        return no_memory(s, e);
    if (end == BUNZIP_CUT)
        return cut_off(s, e);
    return end == BUNZIP_DAMAGED ? damaged(s, "damaged bzip2 data", e) : 0;
}

static int step_zstd(struct stream *s, void *out, size_t n, size_t *got,
                     struct err *e)
{
    ZSTD_inBuffer in = {s->in, s->in_n, s->in_at};
    ZSTD_outBuffer to = {out, n, 0};
    size_t left = ZSTD_decompressStream(s->zs, &to, &in);

    s->in_at = in.pos;
    *got = to.pos;
    if (ZSTD_isError(left))
        return damaged(s, "damaged zstd data", e);
    s->open_member = left != 0;
    return 0;
}

/* Behind the last gzip or bzip2 member there may be padding, which is no
 * member: it ends the stream as the gzip and bzip2 tools have it. */
static bool ends_here(const struct stream *s)
{
    return !s->open_member && s->position + s->in_at > 0 &&
           s->codec != CODEC_ZSTD &&
           s->in[s->in_at] != (s->codec == CODEC_GZIP ? 0x1f : 'B');
}

static int step(struct stream *s, void *out, size_t n, size_t *got,
                struct err *e)
{
    if (s->codec == CODEC_GZIP)
        return step_gzip(s, out, n, got, e);
    if (s->codec == CODEC_BZIP2)
        return step_bzip2(s, out, n, got, e);
    return step_zstd(s, out, n, got, e);
}

int stream_read(struct stream *s, void *p, size_t n, size_t *got, struct err *e)
{
    int rc = s->rc;

    *got = 0;
    if (n > STREAM_BUFFER)
        n = STREAM_BUFFER;
    if (s->pool)
        return rc ? rc : read_pool(s, p, n, got, e);
    while (!rc && *got == 0) {
        rc = refill(s, e);
        if (rc)
            break;
        if (s->in_at == s->in_n) {
            /* A decoder may have taken all input and still hold output. */
            if (s->open_member)
                rc = step(s, p, n, got, e);
            if (!rc && *got == 0 && s->open_member)
                rc = cut_off(s, e);
            break;
        }
        if (s->codec == CODEC_PLAIN) {
            *got = s->in_n - s->in_at < n ? s->in_n - s->in_at : n;
            memcpy(p, s->in + s->in_at, *got);
            s->in_at += *got;
            break;
        }
        if (ends_here(s))
            break;
        rc = step(s, p, n, got, e);
    }
    return rc;
}

void stream_set_threads(struct stream *s, unsigned threads)
{
    struct str first = str_make(s->in + s->in_at, s->in_n - s->in_at);

    if (s->codec != CODEC_BZIP2 || s->fd < 0 || threads < 2 || s->pool ||
        stream_position(s))
        return;
    s->pool = bzip2_pool_open(first, s->fd, threads);
}

bool stream_is_cut(const struct stream *s)
{
    return s->cut;
}

uint64_t stream_position(const struct stream *s)
{
    if (s->pool)
        return bzip2_pool_position(s->pool);
    return s->position + s->in_at;
}

int stream_read_all(struct stream *s, struct buf *b, struct err *e)
{
    char *chunk = xmalloc(STREAM_BUFFER);
    size_t got;
    int rc;

    while (!(rc = stream_read(s, chunk, STREAM_BUFFER, &got, e)) && got) {
        buf_add_bytes(b, chunk, got);
        if (b->rc) {
            rc = err_set(e, -b->rc,
                         "%s: larger than the %zu bytes expected "
                         "at most",
                         s->name, b->max);
            break;
        }
    }
    free(chunk);
    return rc;
}

/* ---- lines ---- */

void lines_init(struct lines *l, struct stream *in, size_t max_bytes)
{
    *l = (struct lines){.in = in, .max = max_bytes};
    /* One more for a CR: the longest line may end in CRLF. */
    buf_init(&l->buffer, max_bytes + 1 + STREAM_BUFFER);
}

void lines_release(struct lines *l)
{
    buf_release(&l->buffer);
}

/* Move the rest to the front and read more behind it. */
static int lines_fill(struct lines *l, struct err *e)
{
    size_t got;
    char *to;
    int rc;

    if (l->at) {
        memmove(l->buffer.p, l->buffer.p + l->at, l->buffer.n - l->at);
        l->buffer.n -= l->at;
        l->at = 0;
    }
    to = buf_reserve(&l->buffer, STREAM_BUFFER);
    if (!to)
        return -E_TOOBIG;
    rc = stream_read(l->in, to, STREAM_BUFFER, &got, e);
    if (rc)
        return rc;
    l->buffer.n += got;
    l->eof = got == 0;
    return 0;
}

/* Drop an over-long line whose head fills the buffer. */
static int skip_line(struct lines *l, struct err *e)
{
    size_t lf = SIZE_MAX;
    int rc = 0;

    l->too_long++;
    l->number++;
    l->buffer.rc = 0;
    while (!rc && !l->eof && lf == SIZE_MAX) {
        l->at = l->buffer.n;
        rc = lines_fill(l, e);
        lf = str_find_char(buf_str(&l->buffer), '\n', 0);
    }
    l->at = lf == SIZE_MAX ? l->buffer.n : lf + 1;
    return rc;
}

int lines_next(struct lines *l, struct str *line, bool *more, struct err *e)
{
    size_t searched = 0;

    *more = true;
    for (;;) {
        struct str have = str_slice(buf_str(&l->buffer), l->at, SIZE_MAX);
        size_t lf = str_find_char(have, '\n', searched);
        int rc;

        if (lf == SIZE_MAX && l->eof) {
            *line = have;
            *more = have.n > 0 && have.n <= l->max;
            l->too_long += have.n > l->max;
            l->at = l->buffer.n;
            l->number += have.n > 0;
            return 0;
        }
        if (lf != SIZE_MAX) {
            *line = str_slice(have, 0, lf);
            if (line->n && line->p[line->n - 1] == '\r')
                line->n--;
            l->at += lf + 1;
            l->number++;
            if (line->n <= l->max)
                return 0;
            l->too_long++;
            searched = 0;
            continue;
        }
        searched = have.n;
        rc = lines_fill(l, e);
        if (rc == -E_TOOBIG) {
            rc = skip_line(l, e);
            searched = 0;
        }
        if (rc)
            return rc;
    }
}
