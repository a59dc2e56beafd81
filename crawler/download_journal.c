#include "crawler/download_journal.h"

#include "base/io.h"
#include <stdlib.h>
#include <unistd.h>

#define MAGIC       "WITMILLJ"
#define VERSION     1
#define HEADER_SIZE 88 /* magic, version, zero, fingerprint, checksum */
#define FRAME_HEAD  16 /* two lengths, checksum */
#define FINGERPRINT 64 /* hex digits */

static uint32_t get_u32(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;

    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 |
           (uint32_t)u[3] << 24;
}

static uint64_t get_u64(const char *p)
{
    return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

/* ---- header ---- */

static void make_header(const char *fingerprint, struct buf *out)
{
    buf_clear(out);
    buf_add(out, STR(MAGIC));
    buf_add_u32le(out, VERSION);
    buf_add_u32le(out, 0);
    buf_add_bytes(out, fingerprint, FINGERPRINT);
    buf_add_u64le(out, hash_xxh3(buf_str(out)));
}

/* A header is durable before the first frame is written, so a short file that
 * has no sound one never held an answer. */
static int write_header(struct download_journal *j, const char *fingerprint,
                        struct err *e)
{
    int rc;

    make_header(fingerprint, &j->frame);
    if (ftruncate(j->fd, 0) || lseek(j->fd, 0, SEEK_SET))
        return err_errno(e, E_IO, "truncate", j->path);
    rc = io_write_full(j->fd, j->frame.p, j->frame.n, j->path, e);
    if (rc)
        return rc;
    if (fsync(j->fd))
        return err_errno(e, E_IO, "sync", j->path);
    j->bytes = HEADER_SIZE;
    return io_sync_parent(j->path, e);
}

static int check_header(struct download_journal *j, const char *fingerprint,
                        struct err *e)
{
    char head[HEADER_SIZE];
    int rc;

    rc = io_pread_full(j->fd, head, sizeof head, 0, j->path, e);
    if (rc)
        return rc;
    if (memcmp(head, MAGIC, 8) ||
        get_u64(head + HEADER_SIZE - 8) !=
            hash_xxh3(str_make(head, HEADER_SIZE - 8)))
        return err_set(e, E_DAMAGED,
                       "%s: no download journal, or its header is damaged; "
                       "remove it to ask its URLs again",
                       j->path);
    if (get_u32(head + 8) != VERSION)
        return err_set(e, E_VERSION, "%s: journal version %u, expected %d",
                       j->path, get_u32(head + 8), VERSION);
    if (memcmp(head + 16, fingerprint, FINGERPRINT))
        return err_set(e, E_STALE,
                       "%s was begun with other image options (fingerprint "
                       "%.12s, now %.12s): give those of before, or --redo",
                       j->path, head + 16, fingerprint);
    j->bytes = HEADER_SIZE;
    return 0;
}

/* ---- frames ---- */

static int add_entry(struct download_journal *j, uint64_t h, uint64_t at,
                     struct err *e)
{
    if (j->n == j->cap) {
        size_t cap = j->cap ? 2 * j->cap : 64;
        struct journal_entry *v = realloc(j->entries, cap * sizeof *v);

        if (!v)
            return err_set(e, E_NOMEM, "%s: no memory for its index", j->path);
        j->entries = v;
        j->cap = cap;
    }
    j->entries[j->n++] = (struct journal_entry){h, at};
    return 0;
}

/* The frame at `at` of a file of `size` bytes into j->frame; *sound false when
 * it is not whole there. */
static int load_frame(struct download_journal *j, uint64_t at, uint64_t size,
                      bool *sound, struct err *e)
{
    char head[FRAME_HEAD];
    uint64_t line, jpeg;
    char *p;
    int rc;

    *sound = false;
    if (size - at < FRAME_HEAD)
        return 0;
    rc = io_pread_full(j->fd, head, sizeof head, at, j->path, e);
    if (rc)
        return rc;
    line = get_u32(head);
    jpeg = get_u32(head + 4);
    if (line == 0 || line > DOWNLOAD_LINE_MAX || jpeg > DOWNLOAD_JPEG_MAX ||
        size - at - FRAME_HEAD < line + jpeg)
        return 0;
    buf_clear(&j->frame);
    p = buf_reserve(&j->frame, FRAME_HEAD + line + jpeg);
    if (!p)
        return err_set(e, E_NOMEM, "%s: no memory for a frame", j->path);
    memcpy(p, head, sizeof head);
    rc = io_pread_full(j->fd, p + FRAME_HEAD, line + jpeg, at + FRAME_HEAD,
                       j->path, e);
    if (rc)
        return rc;
    j->frame.n = FRAME_HEAD + line + jpeg;
    *sound = get_u64(head + 8) ==
             hash_xxh3_seeded(str_make(p + FRAME_HEAD, line + jpeg), at);
    return 0;
}

static struct str frame_line(const struct download_journal *j)
{
    return str_make(j->frame.p + FRAME_HEAD, get_u32(j->frame.p));
}

/* Read all frames; what is behind the last sound one is cut. */
static int scan(struct download_journal *j, uint64_t size, struct err *e)
{
    struct arena a;
    int rc = 0;

    arena_init(&a, 4 * DOWNLOAD_LINE_MAX);
    while (j->bytes < size) {
        struct ledger l;
        bool sound;

        rc = load_frame(j, j->bytes, size, &sound, e);
        if (rc || !sound)
            break;
        arena_reset(&a);
        rc = ledger_read(frame_line(j), &a, &l, e);
        if (rc) {
            rc = err_wrap(e, rc, "%s: frame at byte %llu", j->path,
                          (unsigned long long)j->bytes);
            break;
        }
        rc = add_entry(j, corpus_url_hash(j->corpus, l.url), j->bytes, e);
        if (rc)
            break;
        j->bytes += j->frame.n;
    }
    arena_release(&a);
    if (rc || j->bytes == size)
        return rc;
    j->cut = size - j->bytes;
    if (ftruncate(j->fd, (off_t)j->bytes))
        return err_errno(e, E_IO, "truncate", j->path);
    j->dirty = true;
    return journal_sync(j, e);
}

int journal_open(struct download_journal *j, const struct corpus *c,
                 const char *path, const char *fingerprint, struct err *e)
{
    uint64_t size;
    int rc;

    memset(j, 0, sizeof *j);
    j->fd = -1;
    j->corpus = c;
    buf_init(&j->frame, FRAME_HEAD + DOWNLOAD_LINE_MAX + DOWNLOAD_JPEG_MAX);
    if (strlen(path) >= sizeof j->path)
        return err_set(e, E_TOOBIG, "%s: the path is too long", path);
    memcpy(j->path, path, strlen(path) + 1);
    rc = io_lock(path, "this group of images", &j->fd, e);
    if (rc)
        return rc;
    rc = io_size(path, &size, e);
    if (!rc && size < HEADER_SIZE)
        rc = write_header(j, fingerprint, e);
    else if (!rc) {
        rc = check_header(j, fingerprint, e);
        if (!rc)
            rc = scan(j, size, e);
    }
    if (rc)
        journal_close(j);
    return rc;
}

int journal_add(struct download_journal *j, const struct ledger *l,
                struct str jpeg, struct err *e)
{
    struct buf *f = &j->frame;
    uint64_t line;

    if (j->rc)
        return err_set(e, -j->rc, "%s: an earlier write failed", j->path);
    buf_clear(f);
    buf_add_u64le(f, 0);
    buf_add_u64le(f, 0);
    ledger_write(l, f);
    line = f->n - FRAME_HEAD;
    buf_add(f, jpeg);
    if (f->rc || line > DOWNLOAD_LINE_MAX || jpeg.n > DOWNLOAD_JPEG_MAX)
        return err_set(e, E_TOOBIG, "%s: an answer of %zu bytes", j->path,
                       (size_t)line + jpeg.n);
    for (unsigned i = 0; i < 4; i++) {
        f->p[i] = (char)(line >> 8 * i);
        f->p[4 + i] = (char)(jpeg.n >> 8 * i);
    }
    uint64_t sum = hash_xxh3_seeded(
        str_make(f->p + FRAME_HEAD, f->n - FRAME_HEAD), j->bytes);
    for (unsigned i = 0; i < 8; i++)
        f->p[8 + i] = (char)(sum >> 8 * i);

    if (lseek(j->fd, (off_t)j->bytes, SEEK_SET) < 0)
        j->rc = err_errno(e, E_IO, "seek in", j->path);
    else
        j->rc = io_write_full(j->fd, f->p, f->n, j->path, e);
    if (!j->rc)
        j->rc = add_entry(j, corpus_url_hash(j->corpus, l->url), j->bytes, e);
    if (j->rc)
        return j->rc;
    j->bytes += f->n;
    j->dirty = true;
    return 0;
}

int journal_sync(struct download_journal *j, struct err *e)
{
    if (j->rc || !j->dirty)
        return j->rc;
    if (fdatasync(j->fd))
        j->rc = err_errno(e, E_IO, "sync", j->path);
    else
        j->dirty = false;
    return j->rc;
}

/* ---- order ---- */

static int by_hash(const void *a, const void *b)
{
    const struct journal_entry *x = a, *y = b;

    if (x->h != y->h)
        return x->h < y->h ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* The line alone: scan() or journal_add() has vouched for its frame. */
int journal_url(struct download_journal *j, size_t i, struct buf *out,
                struct err *e)
{
    uint64_t at = j->entries[i].at;
    char head[FRAME_HEAD];
    struct ledger l;
    struct arena a;
    uint32_t n;
    char *p;
    int rc;

    rc = io_pread_full(j->fd, head, sizeof head, at, j->path, e);
    if (rc)
        return rc;
    n = get_u32(head);
    buf_clear(&j->frame);
    p = n <= DOWNLOAD_LINE_MAX ? buf_reserve(&j->frame, n) : NULL;
    if (!p)
        return err_set(e, E_DAMAGED, "%s: frame at byte %llu changed on disk",
                       j->path, (unsigned long long)at);
    rc = io_pread_full(j->fd, p, n, at + FRAME_HEAD, j->path, e);
    if (rc)
        return rc;
    arena_init(&a, 4 * DOWNLOAD_LINE_MAX);
    rc = ledger_read(str_make(p, n), &a, &l, e);
    buf_clear(out);
    if (!rc)
        buf_add(out, l.url);
    arena_release(&a);
    return rc;
}

/* Equal hashes of different URLs: one pair in 10^19, so bubbling is enough. */
static int order_equals(struct download_journal *j, size_t from, size_t to,
                        struct err *e)
{
    struct buf a, b;
    int rc = 0;

    buf_init(&a, DOWNLOAD_LINE_MAX);
    buf_init(&b, DOWNLOAD_LINE_MAX);
    for (size_t end = to; end > from + 1 && !rc; end--) {
        for (size_t i = from; i + 1 < end && !rc; i++) {
            struct journal_entry *v = j->entries + i;

            rc = journal_url(j, i, &a, e);
            if (!rc)
                rc = journal_url(j, i + 1, &b, e);
            if (!rc && str_cmp(buf_str(&a), buf_str(&b)) > 0) {
                struct journal_entry t = v[0];

                v[0] = v[1];
                v[1] = t;
            }
        }
    }
    buf_release(&a);
    buf_release(&b);
    return rc;
}

int journal_sort(struct download_journal *j, struct err *e)
{
    if (j->n)
        qsort(j->entries, j->n, sizeof *j->entries, by_hash);
    for (size_t i = 0; i < j->n;) {
        size_t to = i + 1;
        int rc;

        while (to < j->n && j->entries[to].h == j->entries[i].h)
            to++;
        rc = to - i > 1 ? order_equals(j, i, to, e) : 0;
        if (rc)
            return rc;
        i = to;
    }
    return 0;
}

int journal_read(struct download_journal *j, size_t i, struct arena *a,
                 struct ledger *l, struct str *jpeg, struct err *e)
{
    struct str line;
    bool sound;
    int rc;

    rc = load_frame(j, j->entries[i].at, j->bytes, &sound, e);
    if (rc)
        return rc;
    if (!sound)
        return err_set(e, E_DAMAGED, "%s: frame at byte %llu changed on disk",
                       j->path, (unsigned long long)j->entries[i].at);
    line = frame_line(j);
    *jpeg = str_make(line.p + line.n, j->frame.n - FRAME_HEAD - line.n);
    return ledger_read(line, a, l, e);
}

void journal_close(struct download_journal *j)
{
    if (j->fd >= 0)
        io_unlock(j->fd);
    j->fd = -1;
    free(j->entries);
    j->entries = NULL;
    j->n = j->cap = 0;
    buf_release(&j->frame);
}
