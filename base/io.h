/*
 * io - files: whole writes, atomic publishing, locks.
 *
 * Model.   Nothing finished is ever lost and nothing unfinished ever looks
 *          finished: bytes go to "<path>.tmp", are fsynced, renamed, and the
 *          folder is fsynced (io_publish).  After a failed fsync the file is
 *          suspect: Linux reports the error once, so nobody tries it again on
 *          the same descriptor; the output is made anew.  A tmp file has one
 *          writer: a second process is refused while the first one writes.
 * Fails.   -E_IO with path and errno text; -E_NOTFOUND when a file to be read
 *          is absent; -E_BUSY when another process writes the same output;
 *          -E_USAGE to publish in the place of a device, pipe or folder.
 * Threads. Any; one struct io_file belongs to one thread.
 */
#ifndef BASE_IO_H
#define BASE_IO_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

#define IO_PATH_MAX 4096 /* bytes, terminator included */

/* Write, or read, exactly n bytes; EINTR and short counts are handled.  A file
 * that ends early is -E_FORMAT. */
int io_write_full(int fd, const void *p, size_t n, const char *path,
                  struct err *e);
int io_pwrite_full(int fd, const void *p, size_t n, uint64_t offset,
                   const char *path, struct err *e);
int io_pread_full(int fd, void *p, size_t n, uint64_t offset, const char *path,
                  struct err *e);

/* The whole file, appended to b (whose ceiling holds). */
int io_read_file(const char *path, struct buf *b, struct err *e);

/* Publish s as the file path, all or nothing. */
int io_write_file(const char *path, struct str s, struct err *e);

/* "a/b" into out[IO_PATH_MAX]; -E_TOOBIG when it does not fit. */
int io_join(char *out, const char *folder, const char *name, struct err *e);

/* A file in folder for what does not fit into memory, to be read and written:
 * it has no name, and is gone with the process. */
int io_open_unnamed(const char *folder, int *fd, struct err *e);
/* The same where the file system always gives names: the file has one for an
 * instant, and one that a kill in that instant left is removed by the next from
 * an hour later on. */
int io_open_unlinked(const char *folder, int *fd, struct err *e);

int io_mkdirs(const char *path, struct err *e); /* like mkdir -p */
bool io_exists(const char *path);
int io_size(const char *path, uint64_t *size_bytes, struct err *e);
int io_remove(const char *path, struct err *e); /* absent is success */
int io_sync_folder(const char *path, struct err *e);
int io_sync_parent(const char *path, struct err *e);

/* Names in a folder, bytewise order, without . and ..; release with
 * io_list_release(). A folder that does not exist is -E_NOTFOUND. */
struct io_list {
    char **names;
    size_t n;
};
int io_list(const char *folder, struct io_list *l, struct err *e);
void io_list_release(struct io_list *l);

/* SHA-256 of a file's bytes as they stand. */
int io_sha256_file(const char *path, char out[SHA256_HEX], struct err *e);

/*
 * A file being made.  open -> write* -> publish or abandon.  Errors stick: a
 * loop may check once, at publish, which closes f whatever the outcome.  While
 * it is being made no other process can make it: open is then -E_BUSY.
 * sha256 covers the bytes written; ask after publish.
 */
struct io_file {
    char path[IO_PATH_MAX]; /* the final name; bytes go to path.tmp */
    int fd;                 /* -1 when closed */
    int lock;               /* of path.tmp, where bytes go elsewhere; or -1 */
    uint32_t own;           /* then they go to path.OWN.tmp */
    int rc;                 /* sticky */
    uint64_t bytes;         /* written so far, buffered ones included */
    struct buf pending;     /* not yet written */
    struct sha256 hash;
    bool patched;
    char sha256[SHA256_HEX]; /* set by io_file_publish */
};

int io_file_open(struct io_file *f, const char *path, struct err *e);
/* The same for a file of which all who make it make the same bytes, perhaps on
 * several machines: where locks do not reach from one to the other, or there
 * are none, each writes a file of its own, and the last name given holds.  A
 * killed process leaves path.NUMBER.tmp behind. */
int io_file_open_shared(struct io_file *f, const char *path, struct err *e);
/* Behind open: sha256 is not asked for and stays "". */
void io_file_unhashed(struct io_file *f);
int io_file_write(struct io_file *f, struct str s, struct err *e);
/* Put s over bytes that were written before, at offset (a header that holds a
 * count).  sha256 then stays "". */
int io_file_patch(struct io_file *f, uint64_t offset, struct str s,
                  struct err *e);
int io_file_publish(struct io_file *f, struct err *e);
void io_file_abandon(struct io_file *f); /* a no-op once closed */

/* Let this process have n more files open at once, as far as the hard limit
 * goes; the usual soft limit of 1,024 is less than a corpus has ledgers. */
void io_allow_files(size_t n);

/* Exclusive lock on path (created if absent) until the process ends or
 * io_unlock(); -E_BUSY with `what` in the message if another holds it.  On a
 * file system without locks (Lustre as it is often mounted) it is said, and
 * there is none. */
int io_lock(const char *path, const char *what, int *fd, struct err *e);
void io_unlock(int fd);

#endif
