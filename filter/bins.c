#include "filter/bins.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

#define PARTS_LEAST 16                  /* that any memory is enough for */
#define PIECE       16384               /* bytes that each() reads at once */
#define FILE_BLOCK  (UINT32_C(1) << 31) /* numbers from here on: in the file */

/* ---- the store ---- */

int bins_store_open(struct bins_store *s, const char *folder,
                    uint64_t memory_bytes, size_t block_bytes, struct err *e)
{
    uint64_t blocks;
    size_t size = BINS_BLOCK_MIN;

    *s = (struct bins_store){.fd = -1};
    if (strlen(folder) >= sizeof s->folder)
        return err_set(e, E_TOOBIG, "path too long: %.400s", folder);
    memcpy(s->folder, folder, strlen(folder) + 1);
    while (size < block_bytes && size < BINS_BLOCK_MAX)
        size *= 2;
    s->block_bytes = size;
    blocks = memory_bytes / size;
    s->max_memory = blocks < FILE_BLOCK ? (uint32_t)blocks : FILE_BLOCK - 1;
    s->memory = calloc((size_t)s->max_memory + 1, sizeof *s->memory);
    if (!s->memory)
        return err_set(e, E_NOMEM, "no memory for a store");
    pthread_mutex_init(&s->lock, NULL);
    return 0;
}

uint32_t bins_most(uint64_t memory_bytes)
{
    uint64_t n = memory_bytes / 2 / BINS_BLOCK_MIN;

    return n < PARTS_LEAST ? PARTS_LEAST
           : n > INT32_MAX ? INT32_MAX
                           : (uint32_t)n;
}

int bins_store_open_for(struct bins_store *s, const char *folder,
                        uint64_t memory_bytes, uint32_t n_parts, struct err *e)
{
    size_t size = BINS_BLOCK_MIN;
    uint64_t open;

    while (size < BINS_BLOCK_MAX && 2 * size * n_parts <= memory_bytes / 2)
        size *= 2;
    open = (uint64_t)size * n_parts;
    return bins_store_open(
        s, folder, memory_bytes > open ? memory_bytes - open : 0, size, e);
}

void bins_store_close(struct bins_store *s)
{
    if (!s->memory)
        return;
    for (uint32_t i = 0; i < s->n_memory; i++)
        free(s->memory[i]);
    free(s->memory);
    free(s->free_memory.v);
    free(s->free_file.v);
    if (s->fd >= 0)
        close(s->fd);
    pthread_mutex_destroy(&s->lock);
    s->memory = NULL;
    s->n_memory = 0;
    s->free_memory = s->free_file = (struct bins_blocks){0};
    s->fd = -1;
}

static int write_at(struct bins_store *s, uint32_t block, size_t at,
                    const char *p, size_t n, struct err *e)
{
    uint64_t offset = (uint64_t)(block - FILE_BLOCK) * s->block_bytes + at;
    int rc = io_pwrite_full(s->fd, p, n, offset, s->folder, e);

    s->written_bytes += rc ? 0 : n;
    return rc;
}

/* The lock is held. */
static int take_block(struct bins_store *s, uint32_t *block, struct err *e)
{
    int rc = 0;

    if (s->free_memory.n) {
        *block = s->free_memory.v[--s->free_memory.n];
        return 0;
    }
    if (s->n_memory < s->max_memory) {
        char *room = malloc(s->block_bytes);

        if (!room)
            return err_set(e, E_NOMEM, "no memory for a store");
        *block = s->n_memory++;
        s->memory[*block] = room;
        return 0;
    }
    if (s->fd < 0)
        rc = io_open_unnamed(s->folder, &s->fd, e);
    if (rc)
        return rc;
    if (s->free_file.n)
        *block = s->free_file.v[--s->free_file.n];
    else if (s->n_file < FILE_BLOCK - 1)
        *block = FILE_BLOCK + s->n_file++;
    else
        rc = err_set(e, E_TOOBIG, "%s: over 2^31 blocks to sort", s->folder);
    return rc;
}

/* A block to hold p, which fills it. */
static int store_put(struct bins_store *s, const char *p, uint32_t *block,
                     struct err *e)
{
    int rc;

    pthread_mutex_lock(&s->lock);
    rc = take_block(s, block, e);
    pthread_mutex_unlock(&s->lock);
    if (rc)
        return rc;
    if (*block >= FILE_BLOCK)
        return write_at(s, *block, 0, p, s->block_bytes, e);
    memcpy(s->memory[*block], p, s->block_bytes);
    return 0;
}

static void store_free(struct bins_store *s, uint32_t block)
{
    struct bins_blocks *to =
        block < FILE_BLOCK ? &s->free_memory : &s->free_file;

    pthread_mutex_lock(&s->lock);
    to->v = xgrow(to->v, &to->cap, to->n + 1, sizeof *to->v);
    to->v[to->n++] = block;
    pthread_mutex_unlock(&s->lock);
}

/* ---- parts ---- */

int bins_open(struct bins *s, struct bins_store *store, uint32_t n_parts,
              struct err *e)
{
    *s = (struct bins){.store = store, .n = n_parts};
    s->parts = calloc(n_parts ? n_parts : 1, sizeof *s->parts);
    return s->parts ? 0 : err_set(e, E_NOMEM, "no memory for a store");
}

void bins_share(struct bins *s)
{
    s->locks = xcalloc(s->n, sizeof *s->locks);
    for (uint32_t i = 0; i < s->n; i++)
        pthread_mutex_init(&s->locks[i], NULL);
}

void bins_clear(struct bins *s, uint32_t part)
{
    struct bin *p = &s->parts[part];

    for (size_t i = 0; i < p->n_full; i++)
        store_free(s->store, p->full[i]);
    free(p->full);
    free(p->open);
    *p = (struct bin){0};
}

void bins_close(struct bins *s)
{
    for (uint32_t i = 0; s->parts && i < s->n; i++)
        bins_clear(s, i);
    for (uint32_t i = 0; s->locks && i < s->n; i++)
        pthread_mutex_destroy(&s->locks[i]);
    free(s->parts);
    free(s->locks);
    *s = (struct bins){0};
}

static int add(struct bins *s, struct bin *p, const char *at, size_t n_bytes,
               struct err *e)
{
    size_t size = s->store->block_bytes;

    if (!p->open && n_bytes) {
        p->open = malloc(size);
        if (!p->open)
            return err_set(e, E_NOMEM, "no memory for a store");
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

int bins_add(struct bins *s, uint32_t part, const void *from, size_t n_bytes,
             struct err *e)
{
    int rc;

    if (!s->locks)
        return add(s, &s->parts[part], from, n_bytes, e);
    pthread_mutex_lock(&s->locks[part]);
    rc = add(s, &s->parts[part], from, n_bytes, e);
    pthread_mutex_unlock(&s->locks[part]);
    return rc;
}

/* What of a part stands one after another from `at` on. */
struct piece {
    char *memory;   /* where, or NULL: in the file, */
    uint32_t block; /* in that block, from */
    size_t in;      /* there on */
    size_t n;       /* bytes, at most as many as were asked for */
};

static struct piece piece_at(const struct bins *s, uint32_t part, uint64_t at,
                             size_t n_bytes)
{
    const struct bin *p = &s->parts[part];
    const struct bins_store *store = s->store;
    size_t i = (size_t)(at / store->block_bytes);
    size_t in = (size_t)(at & (store->block_bytes - 1));
    size_t room = store->block_bytes - in;
    struct piece x = {.in = in, .n = room < n_bytes ? room : n_bytes};

    if (i == p->n_full)
        x.memory = p->open + in;
    else if (p->full[i] < FILE_BLOCK)
        x.memory = store->memory[p->full[i]] + in;
    else
        x.block = p->full[i];
    return x;
}

int bins_read(const struct bins *s, uint32_t part, uint64_t at, void *out,
              size_t n_bytes, struct err *e)
{
    const struct bins_store *store = s->store;
    char *to = out;

    assert(at + n_bytes <= s->parts[part].bytes);
    while (n_bytes) {
        struct piece x = piece_at(s, part, at, n_bytes);
        int rc = 0;

        if (x.memory)
            memcpy(to, x.memory, x.n);
        else
            rc = io_pread_full(
                store->fd, to, x.n,
                (uint64_t)(x.block - FILE_BLOCK) * store->block_bytes + x.in,
                store->folder, e);
        if (rc)
            return rc;
        to += x.n;
        at += x.n;
        n_bytes -= x.n;
    }
    return 0;
}

int bins_write(struct bins *s, uint32_t part, uint64_t at, const void *from,
               size_t n_bytes, struct err *e)
{
    const char *src = from;

    assert(at + n_bytes <= s->parts[part].bytes);
    while (n_bytes) {
        struct piece x = piece_at(s, part, at, n_bytes);
        int rc = 0;

        if (x.memory)
            memcpy(x.memory, src, x.n);
        else
            rc = write_at(s->store, x.block, x.in, src, x.n, e);
        if (rc)
            return rc;
        src += x.n;
        at += x.n;
        n_bytes -= x.n;
    }
    return 0;
}

int bins_each(struct bins *s, uint32_t part, size_t size, bins_fn fn, void *ctx,
              struct err *e)
{
    uint64_t left = bins_bytes(s, part), at = 0;
    char piece[PIECE];
    size_t most = sizeof piece / size * size;
    int rc = 0;

    while (!rc && left) {
        size_t n = left < most ? (size_t)left : most;

        rc = bins_read(s, part, at, piece, n, e);
        for (size_t i = 0; !rc && i < n; i += size)
            rc = fn(ctx, piece + i, e);
        at += n;
        left -= n;
    }
    return rc;
}
