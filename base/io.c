#include "base/io.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define IO_CHUNK   ((size_t)256 << 10) /* bytes a write gathers */
#define IO_TMP_MAX (IO_PATH_MAX + 16)

int io_write_full(int fd, const void *p, size_t n, const char *path,
                  struct err *e)
{
    const char *at = p;

    while (n) {
        ssize_t did = write(fd, at, n);

        if (did < 0 && errno == EINTR)
            continue;
        if (did < 0)
            return err_errno(e, E_IO, "write", path);
        at += did;
        n -= (size_t)did;
    }
    return 0;
}

int io_pwrite_full(int fd, const void *p, size_t n, uint64_t offset,
                   const char *path, struct err *e)
{
    const char *at = p;

    while (n) {
        ssize_t did = pwrite(fd, at, n, (off_t)offset);

        if (did < 0 && errno == EINTR)
            continue;
        if (did < 0)
            return err_errno(e, E_IO, "write", path);
        at += did;
        offset += (uint64_t)did;
        n -= (size_t)did;
    }
    return 0;
}

int io_pread_full(int fd, void *p, size_t n, uint64_t offset, const char *path,
                  struct err *e)
{
    char *at = p;

    while (n) {
        ssize_t got = pread(fd, at, n, (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(e, E_IO, "read", path);
        if (got == 0)
            return err_set(e, E_FORMAT,
                           "%s ends %zu bytes before what is expected at "
                           "byte %llu",
                           path, n, (unsigned long long)offset);
        at += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

static int open_read(const char *path, int *fd, struct err *e)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "open", path);
    return 0;
}

int io_read_file(const char *path, struct buf *b, struct err *e)
{
    int fd, rc = open_read(path, &fd, e);

    while (!rc) {
        char *to = buf_reserve(b, IO_CHUNK);
        ssize_t got;

        if (!to) {
            /* The ceiling may be nearer than a chunk: only what does not
             * fit is an error. */
            char one[4096];

            got = b->rc == -E_NOMEM ? -1 : read(fd, one, sizeof one);
            if (got > 0 && b->rc == -E_TOOBIG && (size_t)got <= b->max - b->n) {
                b->rc = 0;
                buf_add_bytes(b, one, (size_t)got);
                continue;
            }
            if (got != 0)
                rc = err_set(e, -b->rc,
                             "%s: larger than the %zu bytes "
                             "expected at most",
                             path, b->max);
            else
                b->rc = 0;
            break;
        }
        got = read(fd, to, IO_CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = err_errno(e, E_IO, "read", path);
        if (got <= 0)
            break;
        b->n += (size_t)got;
        to[got] = 0;
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

int io_write_file(const char *path, struct str s, struct err *e)
{
    struct io_file f;
    int rc = io_file_open(&f, path, e);

    if (rc)
        return rc;
    io_file_write(&f, s, e);
    return io_file_publish(&f, e);
}

int io_join(char *out, const char *folder, const char *name, struct err *e)
{
    int n = snprintf(out, IO_PATH_MAX, "%s/%s", folder, name);

    if (n < 0 || n >= IO_PATH_MAX)
        return err_set(e, E_TOOBIG, "path too long: %.200s/%.200s", folder,
                       name);
    return 0;
}

#define UNNAMED ".unnamed-"
#define LEFT_S  3600 /* seconds after which nobody is about to unlink one */

/* Young ones may be of a process that is in that instant now.  Here it would
 * lose a name that is about to go; but on NFS, where names are given, a file
 * that another machine unlinks is gone for who has it open. */
static void remove_left(const char *folder)
{
    char path[IO_PATH_MAX];
    struct io_list l;
    struct stat st;

    if (io_list(folder, &l, NULL))
        return;
    for (size_t i = 0; i < l.n; i++)
        if (!strncmp(l.names[i], UNNAMED, strlen(UNNAMED)) &&
            !io_join(path, folder, l.names[i], NULL) && !stat(path, &st) &&
            clock_wall_s() - st.st_mtime > LEFT_S)
            unlink(path);
    io_list_release(&l);
}

int io_open_unnamed(const char *folder, int *fd, struct err *e)
{
    *fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return *fd >= 0 ? 0 : io_open_unlinked(folder, fd, e);
}

int io_open_unlinked(const char *folder, int *fd, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = io_join(path, folder, UNNAMED "XXXXXX", e);

    if (rc)
        return rc;
    remove_left(folder);
    *fd = mkostemp(path, O_CLOEXEC);
    if (*fd < 0)
        return err_errno(e, E_IO, "create", path);
    unlink(path);
    return 0;
}

int io_mkdirs(const char *path, struct err *e)
{
    char part[IO_PATH_MAX];
    size_t n = strlen(path);

    if (n >= sizeof part)
        return err_set(e, E_TOOBIG, "path too long: %.400s", path);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) && errno != EEXIST)
            return err_errno(e, E_IO, "make folder", part);
    }
    return 0;
}

bool io_exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

int io_size(const char *path, uint64_t *size_bytes, struct err *e)
{
    struct stat st;

    if (stat(path, &st))
        return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "look at",
                         path);
    *size_bytes = (uint64_t)st.st_size;
    return 0;
}

int io_remove(const char *path, struct err *e)
{
    if (unlink(path) && errno != ENOENT)
        return err_errno(e, E_IO, "remove", path);
    return 0;
}

int io_sync_folder(const char *path, struct err *e)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

    if (fd < 0)
        return err_errno(e, E_IO, "open folder", path);
    if (fsync(fd))
        rc = err_errno(e, E_IO, "sync folder", path);
    close(fd);
    return rc;
}

int io_sync_parent(const char *path, struct err *e)
{
    char folder[IO_PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;

    if (!slash)
        return io_sync_folder(".", e);
    if (n == 0)
        n = 1;
    memcpy(folder, path, n);
    folder[n] = 0;
    return io_sync_folder(folder, e);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int io_list(const char *folder, struct io_list *l, struct err *e)
{
    DIR *d = opendir(folder);
    struct dirent *entry;
    size_t cap = 0;

    *l = (struct io_list){0};
    if (!d)
        return err_errno(e, errno == ENOENT ? E_NOTFOUND : E_IO, "list",
                         folder);
    while ((entry = readdir(d))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        l->names = xgrow(l->names, &cap, l->n + 1, sizeof *l->names);
        l->names[l->n++] = xstrdup(entry->d_name);
    }
    closedir(d);
    if (l->n)
        qsort(l->names, l->n, sizeof *l->names, by_bytes);
    return 0;
}

void io_list_release(struct io_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->names[i]);
    free(l->names);
    *l = (struct io_list){0};
}

int io_sha256_file(const char *path, char out[SHA256_HEX], struct err *e)
{
    struct sha256 h;
    char *chunk;
    ssize_t got;
    int fd, rc = open_read(path, &fd, e);

    if (rc)
        return rc;
    chunk = xmalloc(IO_CHUNK);
    sha256_init(&h);
    while ((got = read(fd, chunk, IO_CHUNK)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            rc = err_errno(e, E_IO, "read", path);
            break;
        }
        sha256_add(&h, str_make(chunk, (size_t)got));
    }
    sha256_final_hex(&h, out);
    free(chunk);
    close(fd);
    return rc;
}

static void tmp_path(const struct io_file *f, char out[IO_TMP_MAX])
{
    if (f->own)
        snprintf(out, IO_TMP_MAX, "%s.%u.tmp", f->path, f->own);
    else
        snprintf(out, IO_TMP_MAX, "%s.tmp", f->path);
}

/*
 * Open tmp for this process alone: two that make one output at a time would
 * write into one file, and the slower could go on writing where the faster has
 * already published.  The lock is of the file, so it has to be seen that the
 * name still stands for it: whoever held it before may have renamed it.
 * File systems without locks are taken as they are.
 */
static int open_alone(const char *tmp, int *fd, struct err *e)
{
    struct stat mine, named;

    for (;;) {
        *fd = open(tmp, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (*fd < 0)
            return err_errno(e, E_IO, "create", tmp);
        if (flock(*fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
            close(*fd);
            *fd = -1;
            return err_set(e, E_BUSY,
                           "%s is being written by another witmill process; "
                           "wait for it to end",
                           tmp);
        }
        if (fstat(*fd, &mine) == 0 && stat(tmp, &named) == 0 &&
            mine.st_ino == named.st_ino && mine.st_dev == named.st_dev)
            break;
        close(*fd);
    }
    if (ftruncate(*fd, 0)) {
        int rc = err_errno(e, E_IO, "empty", tmp);

        close(*fd);
        *fd = -1;
        return rc;
    }
    return 0;
}

/* A rename would put a file in the place of a device or a pipe. */
static int refuse_special(const char *path, struct err *e)
{
    struct stat st;

    if (lstat(path, &st) || S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
        return 0;
    return err_set(e, E_USAGE,
                   "%s is there and no regular file: nothing can be published "
                   "in its place",
                   path);
}

int io_file_open(struct io_file *f, const char *path, struct err *e)
{
    char tmp[IO_TMP_MAX];

    *f = (struct io_file){.fd = -1, .lock = -1};
    buf_init(&f->pending, 2 * IO_CHUNK);
    if (strlen(path) + 16 >= sizeof f->path)
        return f->rc = err_set(e, E_TOOBIG, "path too long: %.400s", path);
    memcpy(f->path, path, strlen(path) + 1);
    f->rc = refuse_special(path, e);
    if (f->rc)
        return f->rc;
    tmp_path(f, tmp);
    f->rc = open_alone(tmp, &f->fd, e);
    if (!f->rc)
        sha256_init(&f->hash);
    return f->rc;
}

/* A number that no other file has, whoever made it. */
static int open_own(struct io_file *f, struct err *e)
{
    char tmp[IO_TMP_MAX];

    f->own = (uint32_t)getpid();
    do {
        f->own += 1 + !(f->own + 1); /* never 0 */
        tmp_path(f, tmp);
        f->fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (f->fd < 0 && errno == EEXIST);
    return f->fd < 0 ? err_errno(e, E_IO, "create", tmp) : 0;
}

/* What was locked goes only now: who waits for it finds the work done. */
static void release_lock(struct io_file *f)
{
    char tmp[IO_TMP_MAX];

    if (f->lock < 0)
        return;
    snprintf(tmp, sizeof tmp, "%s.tmp", f->path);
    unlink(tmp);
    close(f->lock);
    f->lock = -1;
}

int io_file_open_shared(struct io_file *f, const char *path, struct err *e)
{
    int rc = io_file_open(f, path, e);

    if (rc)
        return rc;
    f->lock = f->fd;
    f->fd = -1;
    rc = open_own(f, e);
    if (rc) {
        f->own = 0;
        io_file_abandon(f);
    }
    return f->rc = rc;
}

static int flush_pending(struct io_file *f, struct err *e)
{
    if (!f->rc && f->pending.n)
        f->rc = io_write_full(f->fd, f->pending.p, f->pending.n, f->path, e);
    buf_clear(&f->pending);
    return f->rc;
}

void io_file_unhashed(struct io_file *f)
{
    char unused[SHA256_HEX];

    if (f->hash.ctx)
        sha256_final_hex(&f->hash, unused);
}

int io_file_write(struct io_file *f, struct str s, struct err *e)
{
    if (f->rc)
        return f->rc;
    if (f->hash.ctx)
        sha256_add(&f->hash, s);
    f->bytes += s.n;
    if (f->pending.n + s.n > IO_CHUNK && flush_pending(f, e))
        return f->rc;
    if (s.n >= IO_CHUNK)
        return f->rc = io_write_full(f->fd, s.p, s.n, f->path, e);
    buf_add(&f->pending, s);
    return 0;
}

int io_file_patch(struct io_file *f, uint64_t offset, struct str s,
                  struct err *e)
{
    assert(offset + s.n <= f->bytes);
    f->patched = true;
    if (flush_pending(f, e))
        return f->rc;
    return f->rc = io_pwrite_full(f->fd, s.p, s.n, offset, f->path, e);
}

/*
 * The order is the point: bytes, then name, then folder.  Renaming before the
 * fsync can leave a finished name on an empty file after a power cut; skipping
 * the folder's fsync can lose the name after the caller has acted on it.
 */
int io_file_publish(struct io_file *f, struct err *e)
{
    char tmp[IO_TMP_MAX];
    int rc, fd;

    tmp_path(f, tmp);
    if (flush_pending(f, e))
        goto fail;
    if (fsync(f->fd)) {
        f->rc = err_errno(e, E_IO, "flush", tmp);
        goto fail;
    }
    /* Renamed before it is closed: the lock goes with the descriptor. */
    if (rename(tmp, f->path)) {
        f->rc = err_errno(e, E_IO, "publish", f->path);
        goto fail;
    }
    fd = f->fd;
    f->fd = -1; /* gone even when close fails; never close it twice */
    if (close(fd)) {
        f->rc = err_errno(e, E_IO, "close", f->path);
        goto fail;
    }
    f->rc = io_sync_parent(f->path, e);
    if (f->rc)
        goto fail;
    release_lock(f);
    if (f->hash.ctx)
        sha256_final_hex(&f->hash, f->sha256);
    if (f->patched)
        f->sha256[0] = 0;
    buf_release(&f->pending);
    return 0;

fail:
    rc = f->rc;
    io_file_abandon(f);
    return rc;
}

void io_file_abandon(struct io_file *f)
{
    char tmp[IO_TMP_MAX];
    char unused[SHA256_HEX];

    if (f->hash.ctx)
        sha256_final_hex(&f->hash, unused);
    if (f->fd >= 0) { /* the file has its name, or is gone, once it is -1 */
        tmp_path(f, tmp);
        unlink(tmp);
        close(f->fd);
    }
    f->fd = -1;
    release_lock(f);
    buf_release(&f->pending);
}

void io_allow_files(size_t n)
{
    struct rlimit lim;

    n += 64; /* what is open already */
    if (getrlimit(RLIMIT_NOFILE, &lim) || lim.rlim_cur >= n)
        return;
    lim.rlim_cur = n < lim.rlim_max ? n : lim.rlim_max;
    setrlimit(RLIMIT_NOFILE, &lim);
}

static bool has_no_locks(int error)
{
    return error == ENOSYS || error == EOPNOTSUPP || error == ENOLCK ||
           error == EINVAL;
}

int io_lock(const char *path, const char *what, int *fd, struct err *e)
{
    int rc;

    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0)
        return err_errno(e, E_IO, "open", path);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (has_no_locks(errno)) {
        log_event("warning",
                  "%s: this file system has no locks; see to it that nobody "
                  "else uses %s",
                  path, what);
        return 0;
    }
    rc = errno == EWOULDBLOCK
             ? err_set(e, E_BUSY,
                       "%s is in use by another witmill process; wait for it "
                       "to end (lock: %s)",
                       what, path)
             : err_errno(e, E_IO, "lock", path);
    close(*fd);
    *fd = -1;
    return rc;
}

void io_unlock(int fd)
{
    if (fd >= 0)
        close(fd); /* the lock goes with the open file description */
}
