#include "shards/tar_read.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "shards/tar_write.h"

static la_ssize_t read_piece(struct archive *a, void *ctx, const void **p)
{
    struct tar_reader *r = ctx;
    size_t got;

    if (stream_read(r->in, r->chunk, TAR_READ_CHUNK, &got, &r->io)) {
        archive_set_error(a, -1, "%s", r->io.message);
        return -1;
    }
    *p = r->chunk;
    return (la_ssize_t)got;
}

static int broken(struct tar_reader *r, struct err *e)
{
    const char *why = archive_error_string(r->archive);

    if (r->io.code)
        return err_set(e, -r->io.code, "%s", r->io.message);
    return err_set(e, E_FORMAT, "%s: no whole tar: at byte %llu: %s", r->path,
                   (unsigned long long)archive_filter_bytes(r->archive, 0),
                   why ? why : "not a tar header");
}

static int open_archive(struct tar_reader *r, struct err *e)
{
    r->archive = archive_read_new();
    r->chunk = malloc(TAR_READ_CHUNK);
    if (!r->archive || !r->chunk)
        return err_set(e, E_NOMEM, "%s: out of memory", r->path);
    /* The stream has unpacked it already: only tar is left to read. */
    if (archive_read_support_format_tar(r->archive) != ARCHIVE_OK ||
        archive_read_open(r->archive, r, NULL, read_piece, NULL) != ARCHIVE_OK)
        return broken(r, e);
    return 0;
}

static int finish_open(struct tar_reader *r, int rc, struct err *e)
{
    if (!rc)
        rc = open_archive(r, e);
    if (rc)
        tar_reader_close(r);
    return rc;
}

int tar_reader_open(struct tar_reader *r, const char *path, uint64_t max_bytes,
                    struct err *e)
{
    *r = (struct tar_reader){.max_bytes = max_bytes};
    tally_init(&r->skipped);
    snprintf(r->path, sizeof r->path, "%s", path);
    return finish_open(r, stream_open(&r->in, path, e), e);
}

int tar_reader_open_memory(struct tar_reader *r, struct str bytes,
                           const char *name, uint64_t max_bytes, struct err *e)
{
    *r = (struct tar_reader){.max_bytes = max_bytes};
    tally_init(&r->skipped);
    snprintf(r->path, sizeof r->path, "%s", name);
    return finish_open(r, stream_open_memory(&r->in, bytes, name, e), e);
}

void tar_reader_close(struct tar_reader *r)
{
    if (r->archive)
        archive_read_free(r->archive);
    stream_close(r->in);
    free(r->chunk);
    tally_release(&r->skipped);
    r->archive = NULL;
    r->in = NULL;
    r->chunk = NULL;
}

/* Whether a path climbs out of where it stands; we never extract, but names
 * become keys that others may turn into files. */
static bool name_escapes(struct str name)
{
    struct str rest = name, part;

    if (name.n && name.p[0] == '/')
        return true;
    while (str_split(&rest, '/', &part))
        if (str_eq(part, STR("..")))
            return true;
    return false;
}

/* Why the entry in hand is skipped, or NULL; its name goes to r->name. */
static const char *entry_verdict(struct tar_reader *r)
{
    const char *name = archive_entry_pathname(r->entry);
    la_int64_t size = archive_entry_size(r->entry);

    if (!name)
        name = archive_entry_pathname_utf8(r->entry);
    if (archive_entry_filetype(r->entry) != AE_IFREG ||
        archive_entry_hardlink(r->entry) ||
        archive_entry_sparse_count(r->entry) > 0)
        return "not-regular";
    if (!name || !name[0] || strlen(name) >= sizeof r->name ||
        name_escapes(str_of(name)))
        return "name";
    if (size < 0 || (uint64_t)size > r->max_bytes)
        return "too-large";
    memcpy(r->name, name, strlen(name) + 1);
    return NULL;
}

/* libarchive takes the end of the file for the end of a tar; webdataset and
 * tar do not.  It has consumed exactly the zero blocks that were there. */
static int check_end(struct tar_reader *r, struct err *e)
{
    uint64_t at = (uint64_t)archive_filter_bytes(r->archive, 0);

    r->ended = true;
    if (at < r->end + 2 * TAR_BLOCK)
        return err_set(e, E_FORMAT,
                       "%s ends at byte %llu without the two zero blocks of "
                       "a whole tar",
                       r->path, (unsigned long long)at);
    return 0;
}

int tar_reader_next(struct tar_reader *r, struct tar_member *m, bool *more,
                    struct err *e)
{
    const char *verdict;
    uint64_t size;
    int rc;

    *more = false;
    do {
        rc = archive_read_next_header(r->archive, &r->entry);
        if (rc == ARCHIVE_EOF)
            return r->io.code ? broken(r, e) : check_end(r, e);
        if (rc != ARCHIVE_OK && rc != ARCHIVE_WARN)
            return broken(r, e);
        size = archive_entry_size(r->entry) > 0
                   ? (uint64_t)archive_entry_size(r->entry)
                   : 0;
        m->offset = (uint64_t)archive_filter_bytes(r->archive, 0);
        r->end = m->offset + (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
        verdict = entry_verdict(r);
        if (verdict)
            tally_add(&r->skipped, verdict, 1);
    } while (verdict);
    m->name = str_of(r->name);
    m->size = r->left = size;
    *more = true;
    return 0;
}

int tar_reader_data(struct tar_reader *r, struct buf *b, struct err *e)
{
    char *to = buf_reserve(b, r->left);

    if (!to)
        return err_set(e, -b->rc, "%s: %s: %llu bytes do not fit", r->path,
                       r->name, (unsigned long long)r->left);
    while (r->left) {
        la_ssize_t got = archive_read_data(r->archive, to, r->left);

        if (got <= 0)
            return broken(r, e);
        to += got;
        b->n += (size_t)got;
        r->left -= (uint64_t)got;
    }
    return 0;
}
