/*
 * events - a run's numbers for TensorBoard.
 *
 * Model.   events_open() begins a file of its own in the run's folder,
 *          events.out.tfevents.SECONDS.NUMBER, whose name comes behind those
 *          that are there.  Opened in the middle of a run it first says that a
 *          session begins at that step: a reader then forgets what files before
 *          told of it and of later ones.  events_put() adds scalars of a step.
 *          Format: docs/formats/events.md.
 * Owns.    The descriptor.
 * Fails.   -E_IO; sticky, so that a loop may ask at events_close() alone.  A
 *          process that is killed leaves at worst half a record at the end,
 *          which readers pass over.
 * Threads. One a struct.
 * Cost.    A write() a step; nothing is allocated behind the first.
 * Source.  TensorFlow's record and event formats: tensorflow/core/lib/io
 *          (record_writer), tensorflow/core/util/event.proto, summary.proto;
 *          CRC32C: RFC 3720, appendix B.4.
 */
#ifndef TRAIN_EVENTS_H
#define TRAIN_EVENTS_H

#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"

#define EVENTS_TAG_MAX 128 /* bytes */

struct events_scalar {
    const char *tag; /* "train/loss", up to EVENTS_TAG_MAX bytes */
    double value;    /* kept as a float */
};

struct events {
    char path[IO_PATH_MAX];
    int fd;                            /* -1 when closed */
    int rc;                            /* sticky */
    uint32_t table[256];               /* of CRC32C, by byte */
    struct buf message, value, record; /* being made */
};

/* step: the first one that will be put; 0: nothing is to be forgotten. */
int events_open(struct events *v, const char *folder, uint64_t step,
                struct err *e);
int events_put(struct events *v, uint64_t step,
               const struct events_scalar *list, size_t n, struct err *e);
/* What stuck; closes v whatever it is.  Fine on one that is closed. */
int events_close(struct events *v, struct err *e);

/* CRC-32C of n bytes, by a table that events_crc_table() filled. */
void events_crc_table(uint32_t table[256]);
uint32_t events_crc(const uint32_t table[256], const void *p, size_t n);

#endif
