#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/log.h"
#include "train/record_private.h"

#define BEGIN "{\"model\":" /* of a first line (train/run_steps.c) */

/* ---- what is there ---- */

/* "" where there is none. */
int record_name_log(struct record *r, struct err *e)
{
    r->log_path[0] = 0;
    if (!r->c.log && r->c.folder)
        return io_join(r->log_path, r->c.folder, "log.jsonl", e);
    if (!r->c.log)
        return 0;
    if (strlen(r->c.log) >= sizeof r->log_path)
        return err_set(e, E_TOOBIG, "path too long: %.400s", r->c.log);
    memcpy(r->log_path, r->c.log, strlen(r->c.log) + 1);
    return 0;
}

/* Up to its first line's end; all of a file that has no line in it. */
static int read_head(const char *path, struct buf *head, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    uint64_t at = 0, size;
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(e, E_IO, "open", path);
    if (fstat(fd, &st))
        rc = err_errno(e, E_IO, "look at", path);
    size = rc || !S_ISREG(st.st_mode) ? 0 : (uint64_t)st.st_size;
    while (!rc && at < size && at < RECORD_LINE_MAX) {
        char part[1024];
        size_t n = size - at < sizeof part ? (size_t)(size - at) : sizeof part;
        const char *end;

        rc = io_pread_full(fd, part, n, at, path, e);
        end = rc ? NULL : memchr(part, '\n', n);
        if (end)
            n = (size_t)(end - part);
        if (!rc)
            buf_add(head, str_make(part, n));
        at = end ? size : at + n;
    }
    close(fd);
    return rc;
}

/* The settings of a log's first line, or nothing. */
static struct str settings_of(struct str head)
{
    struct str name, found = {0};
    struct json j;

    json_open(&j, head, NULL);
    json_object(&j);
    while (json_member(&j, &name)) {
        struct str value = json_raw(&j);

        if (str_eq(name, STR("settings")))
            found = value;
    }
    return j.rc ? (struct str){0} : found;
}

/* A log.jsonl without a checkpoint is of a run that was killed before it had
 * one, which begins again, perhaps with a cut first line; or it is not ours to
 * write over. */
int record_check_log(const struct record *r, struct err *e)
{
    struct buf head, text;
    struct str then;
    int rc = 0;

    if (!r->log_path[0] || r->c.log)
        return 0;
    buf_init(&head, RECORD_LINE_MAX);
    buf_init(&text, RECORD_LINE_MAX);
    rc = read_head(r->log_path, &head, e);
    then = settings_of(buf_str(&head));
    if (!rc && head.n && !then.n && !str_starts(buf_str(&head), STR(BEGIN)))
        rc = err_set(e, E_USAGE,
                     "%s is not the log of a run, and would be written over; "
                     "move it away, or choose another --out",
                     r->log_path);
    else if (!rc && then.n &&
             checkpoint_differs(CHECKPOINT_SETTINGS, then, r->c.settings,
                                &text))
        rc = err_set(e, E_USAGE,
                     "%s is of a run with %s, and would be written over; move "
                     "it away, or choose another --out",
                     r->log_path, text.p ? text.p : "");
    buf_release(&head);
    buf_release(&text);
    return rc;
}

/* ---- lines ---- */

int record_write_line(struct record *r, struct err *e)
{
    struct buf *b = &r->line;

    buf_add_char(b, '\n');
    if (b->rc)
        return err_set(e, -b->rc, "%s: a line", r->log_path);
    r->state.log_bytes += b->n;
    return io_write_full(r->log, b->p, b->n, r->log_path, e);
}

/* *bytes: where the last whole line of the log's first *bytes ends. */
static int whole_lines(int fd, uint64_t *bytes, const char *path, struct err *e)
{
    char part[4096];

    while (*bytes) {
        size_t n = *bytes < sizeof part ? (size_t)*bytes : sizeof part;
        int rc = io_pread_full(fd, part, n, *bytes - n, path, e);
        const char *end = rc ? NULL : memrchr(part, '\n', n);

        if (rc)
            return rc;
        if (end) {
            *bytes -= n - (size_t)(end - part) - 1;
            return 0;
        }
        *bytes -= n;
    }
    return 0;
}

/* The log of a run that goes on ends with the checkpoint's step; what is there
 * of it when it is not the one that the checkpoint knew. */
static int cut_log(struct record *r, struct err *e)
{
    uint64_t wanted = r->state.log_bytes, size;
    struct stat st;
    int rc;

    if (fstat(r->log, &st))
        return err_errno(e, E_IO, "look at", r->log_path);
    size = (uint64_t)st.st_size;
    r->state.log_bytes = size < wanted ? size : wanted;
    rc = whole_lines(r->log, &r->state.log_bytes, r->log_path, e);
    if (rc)
        return rc;
    if (r->state.log_bytes != wanted)
        log_event("warning",
                  "%s: %llu of the %llu bytes that the checkpoint knows of "
                  "are there; steps will be missing in it",
                  r->log_path, (unsigned long long)r->state.log_bytes,
                  (unsigned long long)wanted);
    if (ftruncate(r->log, (off_t)r->state.log_bytes) ||
        lseek(r->log, 0, SEEK_END) < 0)
        return err_errno(e, E_IO, "cut", r->log_path);
    return 0;
}

int record_open_log(struct record *r, struct str head, struct err *e)
{
    int flags = O_RDWR | O_CREAT | O_CLOEXEC | (r->found[0] ? 0 : O_TRUNC);
    int rc = 0;

    if (!r->log_path[0])
        return 0;
    r->log = open(r->log_path, flags, 0666);
    if (r->log < 0)
        return err_errno(e, E_IO, "write", r->log_path);
    if (r->found[0])
        rc = cut_log(r, e);
    if (rc || r->state.log_bytes)
        return rc;
    buf_clear(&r->line);
    buf_add(&r->line, head);
    return record_write_line(r, e);
}
