#include "shards/tar_write.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>

/* libarchive hands over every piece of the tar here.  Once something failed
 * it is told that all is well: the first error is kept in w->rc, and nothing
 * more may reach the file. */
static la_ssize_t write_piece(struct archive *a, void *ctx, const void *p,
                              size_t n)
{
    struct tar_writer *w = ctx;

    (void)a;
    if (!w->rc && !w->dropping)
        w->rc = io_file_write(&w->file, str_make(p, n), w->e);
    return (la_ssize_t)n;
}

static int archive_failed(struct tar_writer *w, const char *what, struct err *e)
{
    if (!w->rc)
        w->rc = err_set(e, E_IO, "%s: %s: %s", w->file.path, what,
                        archive_error_string(w->archive));
    return w->rc;
}

int tar_writer_open(struct tar_writer *w, const char *path, struct err *e)
{
    *w = (struct tar_writer){.e = e};
    w->rc = io_file_open(&w->file, path, e);
    if (w->rc) {
        io_file_abandon(&w->file);
        return w->rc;
    }
    w->archive = archive_write_new();
    w->entry = archive_entry_new();
    if (!w->archive || !w->entry) {
        w->rc = err_set(e, E_NOMEM, "%s: out of memory", path);
        goto fail;
    }
    /* Unblocked: a member's data then begins where the file stands behind
     * its header, which is the offset that add() reports. */
    if (archive_write_set_format_ustar(w->archive) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(w->archive, 0) != ARCHIVE_OK ||
        archive_write_open(w->archive, w, NULL, write_piece, NULL) !=
            ARCHIVE_OK) {
        archive_failed(w, "begin", e);
        goto fail;
    }
    return 0;

fail:
    tar_writer_abandon(w);
    return w->rc;
}

static bool name_fits(struct str name)
{
    if (name.n == 0 || name.n > TAR_NAME_MAX || name.p[0] == '.')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];

        if (!str_is_digit(c) && !str_is_alpha(c) && c != '.' && c != '_' &&
            c != '-')
            return false;
    }
    return true;
}

int tar_writer_add(struct tar_writer *w, struct str name, struct str data,
                   uint64_t *offset, struct err *e)
{
    char path[TAR_NAME_MAX + 1];

    if (w->rc)
        return w->rc;
    if (!name_fits(name))
        return err_set(e, E_RANGE, "%s: '%.*s' cannot name a member",
                       w->file.path, (int)(name.n < 200 ? name.n : 200),
                       name.p ? name.p : "");
    if (data.n > TAR_MEMBER_MAX)
        return err_set(e, E_RANGE, "%s: %.*s has %zu bytes, more than %llu",
                       w->file.path, STR_ARG(name), data.n,
                       (unsigned long long)TAR_MEMBER_MAX);
    w->e = e;
    memcpy(path, name.p, name.n);
    path[name.n] = 0;
    archive_entry_clear(w->entry);
    archive_entry_set_pathname(w->entry, path);
    archive_entry_set_filetype(w->entry, AE_IFREG);
    archive_entry_set_perm(w->entry, 0444);
    archive_entry_set_mtime(w->entry, 0, 0);
    archive_entry_set_size(w->entry, (la_int64_t)data.n);
    if (archive_write_header(w->archive, w->entry) != ARCHIVE_OK)
        return archive_failed(w, path, e);
    if (offset)
        *offset = w->file.bytes;
    if (data.n &&
        archive_write_data(w->archive, data.p, data.n) != (la_ssize_t)data.n)
        return archive_failed(w, path, e);
    /* The padding now, so that after add() the tar ends at a block. */
    if (archive_write_finish_entry(w->archive) != ARCHIVE_OK)
        return archive_failed(w, path, e);
    return w->rc;
}

int tar_writer_publish(struct tar_writer *w, struct err *e)
{
    w->e = e;
    if (!w->rc && archive_write_close(w->archive) != ARCHIVE_OK)
        archive_failed(w, "end", e);
    if (!w->rc)
        w->rc = io_file_publish(&w->file, e);
    tar_writer_abandon(w); /* of a published file, only memory is left */
    return w->rc;
}

void tar_writer_abandon(struct tar_writer *w)
{
    /* Freeing closes, and closing writes the end: nothing of that may reach
     * a file that is being dropped. */
    w->dropping = true;
    if (w->archive)
        archive_write_free(w->archive);
    archive_entry_free(w->entry);
    w->archive = NULL;
    w->entry = NULL;
    io_file_abandon(&w->file);
}
