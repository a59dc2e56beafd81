/*
 * match_part - one part of pairs/ into one of matched/.
 *
 * Model.   First the records: frames are read in order, decoded and matched by
 *          the threads, and what they leave is taken by the spool in order.
 *          Then the file: bucket after bucket the spool gives a frame's worth
 *          of lines, threads encode them, and they are hashed and written in
 *          order.  So neither depends on the number of threads.
 *          A part that is not made of frames as ours are, or in which something
 *          is wrong, is read once more from its beginning, by lines: that
 *          reader takes any frames and has the words for what it does not.
 * Owns.    The batches and the spool, kept from part to part.
 * Fails.   As base/jsonl.h for the input; -E_FORMAT with file and line for a
 *          record; -E_IO.
 * Threads. One calls; `threads` work.
 * Cost.    Memory: memory_bytes of records (filter/spool.h), and a batch or
 *          three for each thread: about 5 MiB each.
 */
#ifndef FILTER_MATCH_PART_H
#define FILTER_MATCH_PART_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/jsonl_frames.h"
#include "base/progress.h"
#include "base/stage.h"
#include "filter/match_batch.h"
#include "filter/spool.h"

/* Lines of a bucket on their way to the file. */
struct match_frame {
    struct buf lines, packed;
    struct jsonl_packer packer;
    bool ends; /* the last of its bucket */
};

struct match_part { /* private */
    const struct match_with *with;
    uint64_t memory_bytes;
    unsigned threads, depth;
    struct match_batch *batches; /* depth of them */
    struct match_frame *frames;  /* likewise */
    struct spool spool;
    bool spooling; /* it is open */
    struct progress *progress;
    /* the part at hand */
    struct jsonl_reader lines;
    struct jsonl_frames packed;
    uint64_t read; /* records */
    struct stage_output *output;
    struct jsonl_writer out;
};

/* with and progress outlive p. */
void match_part_open(struct match_part *p, const struct match_with *with,
                     uint64_t memory_bytes, unsigned threads,
                     struct progress *progress);
/* source: the part's name in the corpus; o: begun, and committed here. */
int match_part_make(struct match_part *p, const char *source,
                    struct stage_output *o, struct err *e);
void match_part_close(struct match_part *p); /* also when zeroed */

#endif
