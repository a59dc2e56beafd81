#include "filter/plan_spill.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

#define CHUNK_MIN ((size_t)4 << 10)
#define CHUNK_MAX ((size_t)1 << 20)

struct spill_part {
    pthread_mutex_t lock;
    char *buffer;     /* NULL until the first record */
    size_t used;      /* bytes of it */
    uint64_t *chunks; /* offsets of full buffers in the file */
    size_t n_chunks, cap_chunks;
};

int spill_open(struct plan_spill *s, const char *folder, uint32_t parts,
               size_t record_bytes, size_t memory_bytes, struct err *e)
{
    size_t chunk = memory_bytes / (parts ? parts : 1);

    *s = (struct plan_spill){.n = parts, .record = record_bytes, .fd = -1};
    if (strlen(folder) >= sizeof s->folder)
        return err_set(e, E_TOOBIG, "path too long: %.400s", folder);
    memcpy(s->folder, folder, strlen(folder) + 1);
    chunk = chunk < CHUNK_MIN ? CHUNK_MIN : chunk;
    chunk = chunk > CHUNK_MAX ? CHUNK_MAX : chunk;
    s->chunk = chunk / record_bytes * record_bytes;
    s->parts = xcalloc(parts, sizeof *s->parts);
    for (uint32_t k = 0; k < parts; k++)
        pthread_mutex_init(&s->parts[k].lock, NULL);
    return io_open_unnamed(folder, &s->fd, e);
}

/* The part's lock is held. */
static int add_locked(struct plan_spill *s, struct spill_part *p,
                      const void *record, struct err *e)
{
    if (!p->buffer && !(p->buffer = malloc(s->chunk)))
        return err_set(e, E_NOMEM, "no memory for a buffer of %zu bytes",
                       s->chunk);
    if (p->used == s->chunk) {
        uint64_t at = atomic_fetch_add(&s->file_bytes, s->chunk);
        int rc = io_pwrite_full(s->fd, p->buffer, s->chunk, at, s->folder, e);

        if (rc)
            return rc;
        p->chunks = xgrow(p->chunks, &p->cap_chunks, p->n_chunks + 1,
                          sizeof *p->chunks);
        p->chunks[p->n_chunks++] = at;
        p->used = 0;
    }
    memcpy(p->buffer + p->used, record, s->record);
    p->used += s->record;
    return 0;
}

int spill_add(struct plan_spill *s, uint32_t part, const void *record,
              struct err *e)
{
    struct spill_part *p = &s->parts[part];
    int rc;

    pthread_mutex_lock(&p->lock);
    rc = add_locked(s, p, record, e);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

uint64_t spill_count(const struct plan_spill *s, uint32_t part)
{
    const struct spill_part *p = &s->parts[part];

    return (p->n_chunks * s->chunk + p->used) / s->record;
}

int spill_read(const struct plan_spill *s, uint32_t part, void *out,
               struct err *e)
{
    const struct spill_part *p = &s->parts[part];
    char *to = out;

    for (size_t i = 0; i < p->n_chunks; i++, to += s->chunk) {
        int rc = io_pread_full(s->fd, to, s->chunk, p->chunks[i], s->folder, e);

        if (rc)
            return rc;
    }
    if (p->used)
        memcpy(to, p->buffer, p->used);
    return 0;
}

void spill_close(struct plan_spill *s)
{
    for (uint32_t k = 0; s->parts && k < s->n; k++) {
        pthread_mutex_destroy(&s->parts[k].lock);
        free(s->parts[k].buffer);
        free(s->parts[k].chunks);
    }
    if (s->parts && s->fd >= 0)
        close(s->fd);
    free(s->parts);
    *s = (struct plan_spill){.fd = -1};
}
