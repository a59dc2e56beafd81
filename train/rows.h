/*
 * rows - which rows of a matrix of tokens form a sequence, and which are read.
 *
 * Model.   A tower's tokens stand as one matrix, a row a token.  struct rows
 *          says where each sequence begins and ends, and which of its rows the
 *          model reads at last (the class token; the EOT).  Pictures have
 *          equal lengths.  Captions come padded (context_length rows each) or
 *          packed: behind its EOT nothing of a caption can be seen by the row
 *          that is read (causal mask), so nothing behind it is computed.
 *          Packed rows are padded in all to a multiple of the device's
 *          row_step by sequences that nobody reads.
 * Owns.    The index arrays lie on the device's stack.
 * Threads. The device's.
 * Cost.    Built once a chunk: a pass over its token ids.
 */
#ifndef TRAIN_ROWS_H
#define TRAIN_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include "train/device.h"
#include "train/op.h"

struct rows {
    int64_t total;            /* rows of the matrix */
    int seqs;                 /* sequences, pads included */
    int reads;                /* samples: sequences that are read, the first */
    int max_len;              /* no sequence is longer */
    bool causal;
    bool all;                 /* every row is read, not only those in `read` */
    int64_t pairs;            /* (query, key) pairs of full attention */
    int64_t read_pairs;       /* and when only the read rows ask */
    const int32_t *begin, *end;   /* [seqs], device memory */
    const int32_t *read;          /* [reads] the row that is read */
    const int32_t *see;           /* [reads] one behind the last row it sees */
    const int32_t *one;           /* [reads + 1] 0, 1, 2 ...: a range of one
                                     row each */
};

/* Captions as the tokenizer gives them: n of `context` ids each, padded with
 * any id behind the EOT, which is the first largest id of its caption. */
struct captions {
    int n, context;
    const int32_t *ids;       /* [n, context], host memory */
};

/* 0 when every id, also behind an EOT, is one of `vocab`; else -E_RANGE with
 * the caption. */
int captions_check(const struct captions *c, int vocab, struct err *e);

/* What the embedding reads beside the rows. */
struct caption_rows {
    struct rows rows;
    const int32_t *ids, *places; /* [rows.total], device memory */
};

/* n pictures of `len` tokens, the first of each read. */
void rows_pictures(struct device *d, int n, int len, struct rows *out);

/* Place of the EOT in one caption of `context` ids. */
int caption_eot(const int32_t *ids, int context);

/* Lay captions out.  While planning, packed captions take as many rows as
 * `plan_rows` (a multiple of row_step; 0: the most there can be). */
void rows_captions(struct device *d, const struct captions *c, bool packed,
                   int64_t plan_rows, struct caption_rows *out);

/* The most rows that n packed captions can take on d. */
int64_t rows_captions_max(const struct device *d, int n, int context);

/* Attention over these rows: every query, or only the read ones. */
void rows_attend(const struct rows *r, struct op_attention *a);
void rows_attend_read(const struct rows *r, struct op_attention *a);

#endif
