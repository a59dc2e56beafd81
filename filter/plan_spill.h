/*
 * plan_spill - records of one size, sorted into parts on their way to disk.
 *
 * Model.   open -> add in any order, from any threads -> read each part.  A
 *          part has a buffer; a full one goes to the end of one unlinked file,
 *          so that thousands of parts take one descriptor.  The order within a
 *          part is that in which threads came: whoever reads it sorts it.
 * Owns.    The buffers and the file, which is gone when the process is.
 * Fails.   -E_IO, -E_NOMEM.
 * Threads. add: any; read: any, once all adds are over.
 * Cost.    memory_bytes for the buffers (4 KiB a part at least); a short
 *          critical section a record.
 */
#ifndef FILTER_PLAN_SPILL_H
#define FILTER_PLAN_SPILL_H

#include "base/err.h"
#include "base/io.h"
#include <stddef.h>
#include <stdint.h>

struct spill_part;

struct plan_spill {
    struct spill_part *parts;
    uint32_t n;
    size_t record; /* bytes of one */
    size_t chunk;  /* bytes of a part's buffer, whole records */
    int fd;
    _Atomic uint64_t file_bytes;
    char folder[IO_PATH_MAX];
};

int spill_open(struct plan_spill *s, const char *folder, uint32_t parts,
               size_t record_bytes, size_t memory_bytes, struct err *e);
int spill_add(struct plan_spill *s, uint32_t part, const void *record,
              struct err *e);
uint64_t spill_count(const struct plan_spill *s, uint32_t part); /* records */
/* All of a part's, into spill_count() * record_bytes bytes. */
int spill_read(const struct plan_spill *s, uint32_t part, void *out,
               struct err *e);
void spill_close(struct plan_spill *s);

#endif
