#include "querylist/runfile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"

#define HEADER 16 /* bytes: XXH3, then the block's bytes, both of 64 bits */

int runfile_open(struct runfile *f, const char *folder, struct err *e)
{
    *f = (struct runfile){.fd = -1};
    if (strlen(folder) >= sizeof f->folder)
        return err_set(e, E_TOOBIG, "path too long: %.400s", folder);
    memcpy(f->folder, folder, strlen(folder) + 1);
    return 0;
}

void runfile_close(struct runfile *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

void runfile_release(const struct run *r)
{
    if (r->bytes &&
        fallocate(r->file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)r->at, (off_t)r->bytes) == 0)
        r->file->released += r->bytes;
}

/* ---- writing ---- */

int run_writer_open(struct run_writer *w, struct runfile *f, struct err *e)
{
    int rc = f->fd < 0 ? io_open_unnamed(f->folder, &f->fd, e) : 0;

    *w = (struct run_writer){.run = {.file = f, .at = f->end}};
    if (rc)
        return rc;
    w->block = malloc(HEADER + RUNFILE_BLOCK);
    if (!w->block)
        return err_set(e, E_NOMEM, "no memory for a block of a run");
    w->to = w->block + HEADER;
    return 0;
}

static int put_block(struct run_writer *w, struct err *e)
{
    struct runfile *f = w->run.file;
    uint64_t n = (uint64_t)(w->to - w->block) - HEADER, sum;
    int rc;

    if (!n)
        return 0;
    sum = hash_xxh3_seeded(str_make((const char *)w->block + HEADER, (size_t)n),
                           f->end);
    memcpy(w->block, &sum, 8);
    memcpy(w->block + 8, &n, 8);
    rc = io_write_full(f->fd, w->block, HEADER + (size_t)n, f->folder, e);
    f->end += HEADER + n;
    w->run.bytes += HEADER + n;
    w->to = w->block + HEADER;
    return rc;
}

int run_writer_room(struct run_writer *w, bool *anew, struct err *e)
{
    size_t n = (size_t)(w->to - w->block) - HEADER;
    int rc = 0;

    *anew = n == 0;
    if (n > RUNFILE_BLOCK - RUNFILE_RECORD) {
        rc = put_block(w, e);
        *anew = true;
    }
    w->run.records++;
    return rc;
}

int run_writer_close(struct run_writer *w, struct run *r, struct err *e)
{
    int rc = w->block ? put_block(w, e) : 0;

    free(w->block);
    w->block = NULL;
    *r = w->run;
    return rc;
}

/* ---- reading ---- */

int run_reader_open(struct run_reader *r, const struct run *run, struct err *e)
{
    *r = (struct run_reader){.run = *run};
    r->block = malloc(RUNFILE_BLOCK);
    return r->block ? 0 : err_set(e, E_NOMEM, "no memory to read a run");
}

void run_reader_close(struct run_reader *r)
{
    free(r->block);
    r->block = NULL;
}

int run_reader_damaged(const struct run_reader *r, struct err *e)
{
    return err_set(e, E_DAMAGED,
                   "%s: a sorted run, written by this process, has changed "
                   "before byte %llu; the disk or the memory is faulty",
                   r->run.file->folder, (unsigned long long)r->run.at);
}

int run_reader_more(struct run_reader *r, bool *anew, bool *more, struct err *e)
{
    const struct runfile *f = r->run.file;
    uint64_t head[2], at = r->run.at;
    int rc;

    *anew = false;
    *more = r->p < r->end;
    if (*more || !r->run.bytes)
        return 0;
    rc = io_pread_full(f->fd, head, HEADER, at, f->folder, e);
    if (rc)
        return rc;
    if (head[1] == 0 || head[1] > RUNFILE_BLOCK ||
        HEADER + head[1] > r->run.bytes)
        return run_reader_damaged(r, e);
    rc = io_pread_full(f->fd, r->block, (size_t)head[1], at + HEADER, f->folder,
                       e);
    if (rc)
        return rc;
    if (hash_xxh3_seeded(str_make((char *)r->block, (size_t)head[1]), at) !=
        head[0])
        return run_reader_damaged(r, e);
    r->run.at += HEADER + head[1];
    r->run.bytes -= HEADER + head[1];
    r->p = r->block;
    r->end = r->block + head[1];
    *anew = *more = true;
    return 0;
}
