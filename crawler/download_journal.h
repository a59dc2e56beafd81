/*
 * download_journal - what a download pass has finished of a group so far.
 *
 * Model.   images/GGG-RR.journal: a header, then one frame an answer, in the
 *          order in which answers came: the ledger's line and, for an image,
 *          the stored JPEG, under lengths and a checksum.  Frames reach the
 *          kernel at once (kill -9 loses none) and the disk at each sync (a
 *          power cut loses those behind the last).  open() reads what is
 *          there, cuts a torn tail and remembers where each URL's frame
 *          stands; sort() puts these in the order of the tar.
 *          Layout: docs/formats/ledger.md.
 * Owns.    The descriptor, an exclusive lock on the file, the index.
 * Fails.   -E_STALE for a journal made with other image options, -E_DAMAGED
 *          for a file that is none, -E_BUSY when another process has it,
 *          -E_IO.  A failed write or sync sticks: the file is suspect then.
 * Threads. One at a time.
 * Cost.    16 bytes of index a frame; one write a frame; open reads the file
 *          once.
 */
#ifndef CRAWLER_DOWNLOAD_JOURNAL_H
#define CRAWLER_DOWNLOAD_JOURNAL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/corpus.h"
#include "base/err.h"
#include "base/image.h"
#include "base/ledger.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DOWNLOAD_LINE_MAX ((size_t)1 << 20)         /* bytes of a ledger line */
#define DOWNLOAD_JPEG_MAX ((size_t)IMAGE_BYTES_MAX) /* of a stored JPEG */

struct journal_entry {
    uint64_t h;  /* H(url) */
    uint64_t at; /* offset of its frame */
};

struct download_journal {
    const struct corpus *corpus;
    char path[IO_PATH_MAX];
    int fd;         /* -1 when closed */
    int rc;         /* sticky */
    bool dirty;     /* frames were written since the last sync */
    uint64_t bytes; /* length of the file: where the next frame goes */
    uint64_t cut;   /* bytes of torn tail that open() cut off */
    struct journal_entry *entries;
    size_t n, cap;
    struct buf frame; /* being written or read */
};

/* Open or create; fingerprint: of the output, 64 hex digits. */
int journal_open(struct download_journal *j, const struct corpus *c,
                 const char *path, const char *fingerprint, struct err *e);

/* One more answer; jpeg is empty unless l is an image's. */
int journal_add(struct download_journal *j, const struct ledger *l,
                struct str jpeg, struct err *e);

/* Make all frames durable; nothing to do is success. */
int journal_sync(struct download_journal *j, struct err *e);

/* Entries in (H(url), url) order. */
int journal_sort(struct download_journal *j, struct err *e);

/* Entry i's URL alone, into out (cleared first). */
int journal_url(struct download_journal *j, size_t i, struct buf *out,
                struct err *e);

/* Entry i: l points into a and *jpeg into the journal, until the next call. */
int journal_read(struct download_journal *j, size_t i, struct arena *a,
                 struct ledger *l, struct str *jpeg, struct err *e);

/* Close without a sync; the file stays.  A no-op once closed. */
void journal_close(struct download_journal *j);

#endif
