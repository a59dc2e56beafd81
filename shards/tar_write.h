/*
 * tar_write - write a tar of plain USTAR members.
 *
 * Model.   open -> add* -> publish, or abandon at any point.  Bytes go to
 *          "<path>.tmp"; publish renames it, so a reader sees a whole tar or
 *          none.  Members are regular files with mode 0444, uid and gid 0, no
 *          names of owners and time 0: equal members give equal bytes.  No PAX
 *          headers, and no padding behind the two zero blocks of the end.
 *          libarchive writes the blocks; base/io the file, hash and name.
 * Owns.    The writer owns its file.  Slices given to add are borrowed for
 *          that call.
 * Fails.   0 or -E_*.  A failure to write sticks: every later call returns it
 *          and does nothing, so a loop may check once, at publish.  A member
 *          that breaks a limit below (-E_RANGE) does not stick.
 * Threads. One thread per writer; writers of distinct paths are independent.
 * Cost.    add copies nothing larger than 256 KiB; one hash over all bytes.
 */
#ifndef SHARDS_TAR_WRITE_H
#define SHARDS_TAR_WRITE_H

#include "base/err.h"
#include "base/io.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

#define TAR_BLOCK      512
#define TAR_NAME_MAX   99                    /* bytes of a member's name */
#define TAR_MEMBER_MAX ((uint64_t)256 << 20) /* bytes of a member */

struct archive;
struct archive_entry;

struct tar_writer {
    struct io_file file; /* .sha256 and .bytes count after publish */
    struct archive *archive;
    struct archive_entry *entry;
    struct err *e; /* of the call in progress, for the callback */
    int rc;        /* sticky */
    bool dropping; /* being abandoned: nothing more is written */
};

/* Create "<path>.tmp"; what an earlier run left there is replaced. */
int tar_writer_open(struct tar_writer *w, const char *path, struct err *e);

/* Append one member and say where its data begins in the tar (offset may be
 * NULL).  name: 1..TAR_NAME_MAX characters of [0-9A-Za-z._-], not first a
 * dot. */
int tar_writer_add(struct tar_writer *w, struct str name, struct str data,
                   uint64_t *offset, struct err *e);

/* Make the tar durable and visible.  Closes w whatever the outcome. */
int tar_writer_publish(struct tar_writer *w, struct err *e);

/* Drop the .tmp and close w.  A no-op once closed. */
void tar_writer_abandon(struct tar_writer *w);

#endif
