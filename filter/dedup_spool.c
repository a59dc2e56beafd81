#include "filter/dedup_spool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define PIECE      16384               /* bytes that each() reads at once */
#define FILE_BLOCK (UINT32_C(1) << 31) /* numbers from here on: in the file */

/* ---- the store ---- */

int dedup_store_open(struct dedup_store *s, const char *folder,
                     uint64_t memory_bytes, size_t block_bytes, struct err *e)
{
    uint64_t blocks;
    size_t size = DEDUP_BLOCK_MIN;

    *s = (struct dedup_store){.fd = -1};
    if (strlen(folder) >= sizeof s->folder)
        return err_set(e, E_TOOBIG, "path too long: %.400s", folder);
    memcpy(s->folder, folder, strlen(folder) + 1);
    while (size < block_bytes && size < DEDUP_BLOCK_MAX)
        size *= 2;
    s->block_bytes = size;
    blocks = memory_bytes / size;
    s->max_memory = blocks < FILE_BLOCK ? (uint32_t)blocks : FILE_BLOCK - 1;
    s->memory = calloc((size_t)s->max_memory + 1, sizeof *s->memory);
    return s->memory ? 0 : err_set(e, E_NOMEM, "no memory for a spool");
}

void dedup_store_close(struct dedup_store *s)
{
    for (uint32_t i = 0; i < s->n_memory; i++)
        free(s->memory[i]);
    free(s->memory);
    free(s->free_memory.v);
    free(s->free_file.v);
    if (s->fd >= 0)
        close(s->fd);
    s->memory = NULL;
    s->n_memory = 0;
    s->free_memory = s->free_file = (struct dedup_blocks){0};
    s->fd = -1;
}

static int write_at(struct dedup_store *s, uint32_t block, size_t at,
                    const char *p, size_t n, struct err *e)
{
    uint64_t offset = (uint64_t)(block - FILE_BLOCK) * s->block_bytes + at;
    int rc = io_pwrite_full(s->fd, p, n, offset, s->folder, e);

    s->written_bytes += rc ? 0 : n;
    return rc;
}

/* A block to hold p, which fills it. */
static int store_put(struct dedup_store *s, const char *p, uint32_t *block,
                     struct err *e)
{
    if (s->free_memory.n) {
        *block = s->free_memory.v[--s->free_memory.n];
    } else if (s->n_memory < s->max_memory) {
        char *room = malloc(s->block_bytes);

        if (!room)
            return err_set(e, E_NOMEM, "no memory for a spool");
        *block = s->n_memory++;
        s->memory[*block] = room;
    } else {
        int rc = s->fd < 0 ? io_open_unnamed(s->folder, &s->fd, e) : 0;

        if (rc)
            return rc;
        if (s->free_file.n)
            *block = s->free_file.v[--s->free_file.n];
        else if (s->n_file < FILE_BLOCK - 1)
            *block = FILE_BLOCK + s->n_file++;
        else
            return err_set(e, E_TOOBIG, "%s: over 2^31 blocks to sort",
                           s->folder);
        return write_at(s, *block, 0, p, s->block_bytes, e);
    }
    memcpy(s->memory[*block], p, s->block_bytes);
    return 0;
}

static void store_free(struct dedup_store *s, uint32_t block)
{
    struct dedup_blocks *to =
        block < FILE_BLOCK ? &s->free_memory : &s->free_file;

    to->v = xgrow(to->v, &to->cap, to->n + 1, sizeof *to->v);
    to->v[to->n++] = block;
}

/* ---- spools ---- */

int dedup_spool_open(struct dedup_spool *s, struct dedup_store *store,
                     uint32_t n_parts, struct err *e)
{
    *s = (struct dedup_spool){.store = store, .n = n_parts};
    s->parts = calloc(n_parts ? n_parts : 1, sizeof *s->parts);
    return s->parts ? 0 : err_set(e, E_NOMEM, "no memory for a spool");
}

void dedup_spool_clear(struct dedup_spool *s, uint32_t part)
{
    struct dedup_spool_part *p = &s->parts[part];

    for (size_t i = 0; i < p->n_full; i++)
        store_free(s->store, p->full[i]);
    free(p->full);
    free(p->open);
    *p = (struct dedup_spool_part){0};
}

void dedup_spool_close(struct dedup_spool *s)
{
    for (uint32_t i = 0; s->parts && i < s->n; i++)
        dedup_spool_clear(s, i);
    free(s->parts);
    *s = (struct dedup_spool){0};
}

int dedup_spool_add(struct dedup_spool *s, uint32_t part, const void *from,
                    size_t n_bytes, struct err *e)
{
    struct dedup_spool_part *p = &s->parts[part];
    size_t size = s->store->block_bytes;
    const char *at = from;

    if (!p->open && n_bytes) {
        p->open = malloc(size);
        if (!p->open)
            return err_set(e, E_NOMEM, "no memory for a spool");
    }
    while (n_bytes) {
        size_t used = (size_t)(p->bytes & (size - 1));
        size_t n = n_bytes < size - used ? n_bytes : size - used;

        memcpy(p->open + used, at, n);
        at += n;
        n_bytes -= n;
        if (used + n == size) {
            int rc;

            p->full =
                xgrow(p->full, &p->cap_full, p->n_full + 1, sizeof *p->full);
            rc = store_put(s->store, p->open, &p->full[p->n_full], e);
            if (rc)
                return rc;
            p->n_full++;
        }
        p->bytes += n;
    }
    return 0;
}

int dedup_spool_read(struct dedup_spool *s, uint32_t part, uint64_t at,
                     void *out, size_t n_bytes, struct err *e)
{
    const struct dedup_spool_part *p = &s->parts[part];
    const struct dedup_store *store = s->store;
    char *to = out;

    assert(at + n_bytes <= p->bytes);
    while (n_bytes) {
        size_t i = (size_t)(at / store->block_bytes);
        size_t in = (size_t)(at & (store->block_bytes - 1));
        size_t n = store->block_bytes - in;
        int rc = 0;

        n = n < n_bytes ? n : n_bytes;
        if (i == p->n_full)
            memcpy(to, p->open + in, n);
        else if (p->full[i] < FILE_BLOCK)
            memcpy(to, store->memory[p->full[i]] + in, n);
        else
            rc = io_pread_full(
                store->fd, to, n,
                (uint64_t)(p->full[i] - FILE_BLOCK) * store->block_bytes + in,
                store->folder, e);
        if (rc)
            return rc;
        to += n;
        at += n;
        n_bytes -= n;
    }
    return 0;
}

int dedup_spool_write(struct dedup_spool *s, uint32_t part, uint64_t at,
                      const void *from, size_t n_bytes, struct err *e)
{
    const struct dedup_spool_part *p = &s->parts[part];
    struct dedup_store *store = s->store;
    const char *src = from;

    assert(at + n_bytes <= p->bytes);
    while (n_bytes) {
        size_t i = (size_t)(at / store->block_bytes);
        size_t in = (size_t)(at & (store->block_bytes - 1));
        size_t n = store->block_bytes - in;
        int rc = 0;

        n = n < n_bytes ? n : n_bytes;
        if (i == p->n_full)
            memcpy(p->open + in, src, n);
        else if (p->full[i] < FILE_BLOCK)
            memcpy(store->memory[p->full[i]] + in, src, n);
        else
            rc = write_at(store, p->full[i], in, src, n, e);
        if (rc)
            return rc;
        src += n;
        at += n;
        n_bytes -= n;
    }
    return 0;
}

int dedup_spool_each(struct dedup_spool *s, uint32_t part, size_t size,
                     dedup_spool_fn fn, void *ctx, struct err *e)
{
    uint64_t left = dedup_spool_bytes(s, part), at = 0;
    char piece[PIECE];
    size_t most = sizeof piece / size * size;
    int rc = 0;

    while (!rc && left) {
        size_t n = left < most ? (size_t)left : most;

        rc = dedup_spool_read(s, part, at, piece, n, e);
        for (size_t i = 0; !rc && i < n; i += size)
            rc = fn(ctx, piece + i, e);
        at += n;
        left -= n;
    }
    return rc;
}
