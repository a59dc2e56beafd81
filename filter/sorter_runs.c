#include <stdlib.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "filter/sorter_private.h"

#define READ_MIN (2 * SORTER_RUN_BLOCK) /* bytes of a run's buffer */
#define READ_MAX ((size_t)4 << 20)

struct sorter_in {
    struct sorter_file *file;
    const char *name;    /* for messages */
    uint64_t at, left;   /* of the file: next to read, bytes of the run */
    size_t block;        /* number of the next one */
    char *p;             /* cap bytes */
    size_t cap, n, next; /* p[next, n) is not yet given */
    bool own;            /* p is not the sorter's memory */
};

/* ---- writing ---- */

int sorter_run_begin(struct sorter *s, unsigned file, struct err *e)
{
    struct sorter_file *f = &s->file[file];
    int rc = f->fd < 0 ? io_open_unnamed(s->folder, &f->fd, e) : 0;

    if (!rc && !s->block) {
        s->block = malloc(SORTER_RUN_BLOCK);
        if (!s->block)
            rc = err_set(e, E_NOMEM, "no memory for a block of a run");
    }
    if (rc)
        return rc;
    s->runs = xgrow(s->runs, &s->cap_runs, s->n_runs + 1, sizeof *s->runs);
    s->runs[s->n_runs++] =
        (struct sorter_run){.file = file, .at = f->end, .block = f->n_sums};
    s->block_n = 0;
    return 0;
}

static int put_block(struct sorter *s, struct err *e)
{
    struct sorter_run *run = &s->runs[s->n_runs - 1];
    struct sorter_file *f = &s->file[run->file];
    int rc = io_write_full(f->fd, s->block, s->block_n, s->folder, e);

    if (rc)
        return rc;
    f->sums = xgrow(f->sums, &f->cap_sums, f->n_sums + 1, sizeof *f->sums);
    f->sums[f->n_sums++] = hash_xxh3(str_make(s->block, s->block_n));
    f->end += s->block_n;
    run->bytes += s->block_n;
    s->spilled += s->block_n;
    s->block_n = 0;
    return 0;
}

int sorter_run_put(struct sorter *s, const struct sorter_record *r,
                   struct err *e)
{
    const char *from = (const char *)r;
    int rc = 0;

    for (size_t left = r->size; !rc && left;) {
        size_t n = SORTER_RUN_BLOCK - s->block_n;

        n = n < left ? n : left;
        memcpy(s->block + s->block_n, from, n);
        s->block_n += n;
        from += n;
        left -= n;
        if (s->block_n == SORTER_RUN_BLOCK)
            rc = put_block(s, e);
    }
    return rc;
}

int sorter_run_end(struct sorter *s, struct err *e)
{
    return s->block_n ? put_block(s, e) : 0;
}

/* ---- reading ---- */

/* Room for one more block behind what is not yet given. */
static int make_room(struct sorter_in *in, struct err *e)
{
    size_t rest = in->n - in->next, cap = in->cap;
    char *p;

    memmove(in->p, in->p + in->next, rest);
    in->n = rest;
    in->next = 0;
    if (cap - rest >= SORTER_RUN_BLOCK)
        return 0;
    cap = rest + READ_MIN;
    p = in->own ? realloc(in->p, cap) : malloc(cap);
    if (!p)
        return err_set(e, E_NOMEM, "no memory for a record of over %zu bytes",
                       rest);
    if (!in->own)
        memcpy(p, in->p, rest);
    in->own = true;
    in->p = p;
    in->cap = cap;
    return 0;
}

/* As many blocks as there is room for. */
static int read_blocks(struct sorter_in *in, struct err *e)
{
    int rc = make_room(in, e);
    size_t room = (in->cap - in->n) / SORTER_RUN_BLOCK * SORTER_RUN_BLOCK;
    size_t n = room < in->left ? room : (size_t)in->left;

    if (!rc)
        rc = io_pread_full(in->file->fd, in->p + in->n, n, in->at, in->name, e);
    for (size_t done = 0; !rc && done < n; done += SORTER_RUN_BLOCK) {
        size_t size = n - done < SORTER_RUN_BLOCK ? n - done : SORTER_RUN_BLOCK;

        if (hash_xxh3(str_make(in->p + in->n + done, size)) !=
            in->file->sums[in->block++])
            rc = err_set(e, E_DAMAGED,
                         "%s: what was written for sorting reads back as "
                         "something else",
                         in->name);
    }
    if (rc)
        return rc;
    in->n += n;
    in->at += n;
    in->left -= n;
    return 0;
}

/* The record at hand is whole in the buffer, or the run is at its end. */
static int fill(struct sorter_in *in, struct err *e)
{
    int rc = 0;

    while (!rc) {
        const struct sorter_record *r = (const void *)(in->p + in->next);
        size_t have = in->n - in->next;

        if (have >= sizeof *r && have >= r->size)
            return 0;
        if (!in->left)
            return have ? err_set(e, E_DAMAGED, "%s: a record is cut", in->name)
                        : 0;
        rc = read_blocks(in, e);
    }
    return rc;
}

static const struct sorter_record *head(const struct sorter_in *in)
{
    return in->next < in->n ? (const void *)(in->p + in->next) : NULL;
}

/* ---- merging ---- */

static void sift_down(struct sorter_in **heap, size_t n, size_t i)
{
    for (;;) {
        size_t least = i;

        for (size_t c = 2 * i + 1; c < n && c <= 2 * i + 2; c++)
            if (sorter_cmp(head(heap[c]), head(heap[least])) < 0)
                least = c;
        if (least == i)
            return;
        struct sorter_in *in = heap[i];
        heap[i] = heap[least];
        heap[least] = in;
        i = least;
    }
}

static void close_inputs(struct sorter *s)
{
    for (size_t i = 0; i < s->n_in; i++)
        if (s->in[i].own)
            free(s->in[i].p);
    free(s->in);
    free(s->heap);
    s->in = NULL;
    s->heap = NULL;
    s->n_in = s->n_heap = 0;
    s->given = false;
}

/* Runs first..first + n - 1, each with its share of base. */
static int open_inputs(struct sorter *s, size_t first, size_t n, struct err *e)
{
    size_t cap = s->memory / n / SORTER_RUN_BLOCK * SORTER_RUN_BLOCK;
    int rc = 0;

    cap = cap < READ_MAX ? cap : READ_MAX;
    s->in = xcalloc(n, sizeof *s->in);
    s->heap = xcalloc(n, sizeof *s->heap);
    for (size_t i = 0; !rc && i < n; i++) {
        const struct sorter_run *run = &s->runs[first + i];
        struct sorter_in *in = &s->in[s->n_in++];

        *in = (struct sorter_in){.file = &s->file[run->file],
                                 .name = s->folder,
                                 .at = run->at,
                                 .left = run->bytes,
                                 .block = run->block,
                                 .p = s->base + i * cap,
                                 .cap = cap};
        rc = fill(in, e);
        if (head(in))
            s->heap[s->n_heap++] = in;
    }
    for (size_t i = s->n_heap; i-- > 0;)
        sift_down(s->heap, s->n_heap, i);
    return rc;
}

int sorter_merge_next(struct sorter *s, const struct sorter_record **r,
                      struct err *e)
{
    *r = NULL;
    if (s->given) { /* the least was given, and is done with */
        struct sorter_in *in = s->heap[0];
        int rc;

        in->next += head(in)->size;
        rc = fill(in, e);
        if (rc)
            return rc;
        if (!head(in))
            s->heap[0] = s->heap[--s->n_heap];
        sift_down(s->heap, s->n_heap, 0);
    }
    s->given = s->n_heap > 0;
    if (s->given)
        *r = head(s->heap[0]);
    return 0;
}

/* Runs first..first + n - 1 become one in the other file. */
static int merge_some(struct sorter *s, size_t first, size_t n, struct err *e)
{
    const struct sorter_record *r;
    int rc = open_inputs(s, first, n, e);

    if (!rc)
        rc = sorter_run_begin(s, !s->now, e);
    while (!rc && !(rc = sorter_merge_next(s, &r, e)) && r)
        rc = sorter_run_put(s, r, e);
    if (!rc)
        rc = sorter_run_end(s, e);
    close_inputs(s);
    return rc;
}

/* One pass: all runs of this file to fewer in the other one. */
static int merge_pass(struct sorter *s, size_t fan, struct err *e)
{
    struct sorter_file *old = &s->file[s->now];
    size_t n = s->n_runs, at = 0;
    int rc = 0;

    for (; !rc && at < n; at += fan)
        rc = merge_some(s, at, n - at < fan ? n - at : fan, e);
    if (rc)
        return rc;
    s->n_runs -= n;
    memmove(s->runs, s->runs + n, s->n_runs * sizeof *s->runs);
    close(old->fd);
    free(old->sums);
    *old = (struct sorter_file){.fd = -1};
    s->now = !s->now;
    return 0;
}

int sorter_merge(struct sorter *s, struct err *e)
{
    size_t fan = s->memory / READ_MIN;
    int rc = 0;

    fan = fan < 2 ? 2 : fan < SORTER_FAN_MAX ? fan : SORTER_FAN_MAX;
    while (!rc && s->n_runs > fan)
        rc = merge_pass(s, fan, e);
    return rc ? rc : open_inputs(s, 0, s->n_runs, e);
}

void sorter_runs_close(struct sorter *s)
{
    close_inputs(s);
    for (unsigned i = 0; i < 2; i++) {
        if (s->file[i].fd >= 0)
            close(s->file[i].fd);
        free(s->file[i].sums);
        s->file[i] = (struct sorter_file){.fd = -1};
    }
    free(s->runs);
    free(s->block);
    s->runs = NULL;
    s->block = NULL;
    s->n_runs = s->cap_runs = 0;
}
