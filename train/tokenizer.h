/*
 * tokenizer - CLIP's byte pair encoding: text in, token ids out.
 *
 * Model.   A vocabulary file is a head line and merges, one a line.  Ids 0 to
 *          255 are bytes, 256 to 511 bytes that end a word, then a merge each,
 *          then SOT and EOT, the two highest.  A text is cleaned
 *          (train/clean.h), cut into pieces (train/pieces.h), and the bytes of
 *          a piece are merged, the earliest merge of the file first.  The
 *          result is that of the published Python tokenizer, but that garbled
 *          encodings are told (scratch.garbled), not repaired.
 *
 *          Two kinds of file (docs/formats/vocabulary.md), plain or
 *          compressed: the published one, whose first 48,894 merges count, and
 *          ours, whose head line states its size.  What was read is given
 *          back in one form, ours, for the checkpoint.
 * Owns.    The tokenizer owns its tables; a scratch its cache and what was
 *          encoded last, which is valid until its next call.
 * Fails.   -E_FORMAT for a vocabulary that is none (with its line), -E_TOOBIG
 *          for one, or a text, over its ceiling, -E_RANGE for an id that the
 *          vocabulary has not, -E_NOMEM.  Every byte string is a text: what is
 *          no UTF-8 reads as U+FFFD, one for each maximal subpart, as Python's
 *          errors="replace" does.
 * Threads. A tokenizer is constant after opening and shared; one scratch per
 *          thread.  What a text gives does not depend on what came before.
 * Cost.    A cached piece is a hash and a look at one cache line; no
 *          allocation per text once the buffers have grown.  2 MiB a scratch.
 */
#ifndef TRAIN_TOKENIZER_H
#define TRAIN_TOKENIZER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "train/clean.h"
#include "train/merge.h"

#define TOKENIZER_BYTES     512   /* ids of bytes, plain and at a word's end */
#define TOKENIZER_PUBLISHED 49408 /* ids of the published vocabulary */
#define TOKENIZER_VOCAB_MAX (1u << 20)  /* ids */
#define TOKENIZER_TOKEN_MAX 1024        /* bytes of a token */
#define TOKENIZER_FILE_MAX  (64u << 20) /* bytes of a file, decompressed */
#define TOKENIZER_TEXT_MAX  (64u << 10) /* bytes of a text */

struct tokenizer;

/* How texts spell the tokens that begin and end a caption. */
enum tokenizer_specials {
    TOKENIZER_CLIP,     /* <|startoftext|> and <|endoftext|> */
    TOKENIZER_OPEN_CLIP /* <start_of_text> and <end_of_text> */
};

/* From a file ("-" is standard input), or from its bytes, which are not needed
 * afterwards; name is for messages. */
int tokenizer_open(struct tokenizer **t, const char *path,
                   enum tokenizer_specials specials, struct err *e);
int tokenizer_parse(struct tokenizer **t, struct str bytes, const char *name,
                    enum tokenizer_specials specials, struct err *e);
void tokenizer_close(struct tokenizer *t); /* NULL is fine */

/* Number of ids: what a model's vocab_size must be. */
int tokenizer_vocab(const struct tokenizer *t);
int32_t tokenizer_sot(const struct tokenizer *t); /* vocab - 2 */
int32_t tokenizer_eot(const struct tokenizer *t); /* vocab - 1 */

/* The vocabulary as a file of ours, and the hash of those bytes: the same for
 * every packing and both kinds of one vocabulary. */
struct str tokenizer_bytes(const struct tokenizer *t);
const char *tokenizer_sha256(const struct tokenizer *t); /* hex */

struct tokenizer_scratch {
    struct clean clean;
    bool garbled;  /* the last text looks like another encoding, misread */
    int32_t *ids;  /* of the last text */
    size_t n, cap; /* ids in use, allocated */
    struct tokenizer_cache *cache;
    struct merge merge; /* room for long pieces */
};

void tokenizer_scratch_init(struct tokenizer_scratch *s);
void tokenizer_scratch_release(struct tokenizer_scratch *s);

/* The ids of a text into s->ids and s->n, without SOT and EOT.  A scratch
 * serves one tokenizer; give it to another one only after release and init. */
int tokenizer_encode(const struct tokenizer *t, struct tokenizer_scratch *s,
                     struct str text);

/* A caption as models take it: SOT, ids, EOT, zeros up to `context` (at least
 * 2).  A longer one is cut to `context`, the last id EOT.  Returns the length
 * with SOT and EOT, 2 to context, or -E_*; then ids are SOT, EOT, zeros. */
int tokenizer_caption(const struct tokenizer *t, struct tokenizer_scratch *s,
                      struct str text, int context, int32_t *ids);

/* The text of ids, appended: a space behind each word, U+FFFD for bytes that
 * are no UTF-8. */
int tokenizer_decode(const struct tokenizer *t, const int32_t *ids, size_t n,
                     struct buf *out);

#endif
