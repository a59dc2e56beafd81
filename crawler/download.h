/*
 * download - fetch the images of one round, each URL once.
 *
 * Model.   Pass RR = B + R asks for every URL in selected/round-R that no
 *          ledger of the corpus has closed, group by group (256 of them, by
 *          hash of the host), many groups at a time so that all hosts can be
 *          asked at once while each is asked politely.  One event loop fetches
 *          (crawler/fetch), worker processes decode (base/jail), a journal
 *          keeps what is finished (download_journal.h), and a thread turns a
 *          finished group's journal into tar, ledger and sidecar:
 *
 *            selected/round-R > todo (partition) > group_open
 *              > host's turn > fetch > decode > journal
 *                                             > group_finish > images/GGG-RR
 *
 *          Which answer comes first changes nothing in the outputs.  What an
 *          abandoned pass has left in journals is finished first.
 *
 *          The fingerprint of an output holds the image options and the seed,
 *          not selected/: no --redo of an earlier stage makes an image stale.
 *          The originals are not kept, so other image options do: -E_STALE,
 *          and --redo drops what was made with the old ones and asks again.
 *
 *          Failures are final, so a machine without a network must not close
 *          a corpus' URLs: until some server has answered, failures without
 *          an answer are held back, and the run ends with -E_NET when there
 *          are DOWNLOAD_SILENCE_MAX of them, or more than DOWNLOAD_SILENCE_FEW
 *          and nothing else left to ask.
 * Owns.    Nothing beyond a run.
 * Fails.   -E_USAGE, -E_NOTFOUND (no round to fetch), -E_STALE, -E_BUSY
 *          (another download has one of the groups), -E_IO, -E_CANCEL when
 *          *stop was set: everything answered is kept, run again to go on.
 * Threads. download_run() from the main thread, before others start; it starts
 *          one thread and the jail's processes, and ends them.
 * Cost.    memory_bytes bounds lists and indexes (28 bytes a URL and 100 a
 *          host, of the groups in work); beside it the fetcher's buffers, the
 *          jail's slots, DOWNLOAD_WAITING_MAX of bodies waiting for a decoder.
 */
#ifndef CRAWLER_DOWNLOAD_H
#define CRAWLER_DOWNLOAD_H

#include "base/image.h"
#include "base/stage.h"
#include "base/tally.h"
#include "crawler/download_tar.h"
#include "crawler/fetch.h"
#include <stdatomic.h>
#include <stdint.h>

#define DOWNLOAD_VERSION 1 /* of images/GGG-RR */
#define DOWNLOAD_WAITING_MAX                                                   \
    ((size_t)64 << 20) /* bytes; then fetching rests                           \
                        */
#define DOWNLOAD_SILENCE_MAX 1000
#define DOWNLOAD_SILENCE_FEW 20
#define DOWNLOAD_SYNC_MS     5000 /* journals reach the disk so often */

struct download_config {
    struct part part;
    int64_t round;         /* -1: the highest one in selected/ */
    unsigned workers;      /* decoders, 1.. */
    uint64_t memory_bytes; /* of lists and indexes of groups in work */
    struct image_config image;
    struct fetch_config fetch; /* mode FETCH_DOWNLOAD */
    bool believe_silence;      /* record failures though nobody answered */
    const atomic_bool *stop;   /* set by a signal handler; may be NULL */
};

struct download_summary {
    uint32_t round, pass;
    uint64_t listed;       /* distinct URLs of the round, of this part */
    uint64_t closed;       /* of these, by ledgers of earlier passes */
    uint64_t resumed;      /* of these, by a run before that did not end */
    uint64_t asked;        /* answered in this run */
    uint64_t images;       /* of these, good images */
    struct tally outcomes; /* of this run, by outcome name */
    struct tally reasons;  /* of this run, by reason */
    uint64_t wire_bytes;   /* bodies as they came */
    uint64_t stored_bytes; /* JPEGs */
    uint64_t groups;       /* finished in this run */
};

void download_summary_init(struct download_summary *s);
void download_summary_release(struct download_summary *s);

/* stage: initialised with name "download", DOWNLOAD_VERSION and the command's
 * option table. */
int download_run(struct stage *stage, const struct download_config *config,
                 const struct download_tar *tar,
                 struct download_summary *summary, struct err *e);

#endif
