/*
 * vocabulary - the merges of a byte pair encoding, and what they make.
 *
 * Model.   A token is bytes, and whether it ends a word.  Ids: TOKENIZER_BYTES
 *          tokens of one byte, then one for each merge in the order of the
 *          file, then the two specials.  A merge joins two tokens that are
 *          there before it into one that is not: so the token's id is the
 *          merge's rank, and the lowest rank is the lowest id.
 *          Files spell bytes by characters (docs/formats/vocabulary.md).
 * Owns.    Its tables.
 * Fails.   As train/tokenizer.h says; a failed parse leaves v released.
 * Threads. Constant after parsing.
 * Cost.    A pair is one probe or two of a table of 12 bytes an entry, half
 *          full at most.
 */
#ifndef TRAIN_VOCABULARY_H
#define TRAIN_VOCABULARY_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

#define VOCABULARY_NONE UINT32_MAX

struct vocabulary_pair {
    uint32_t left, right; /* ids */
    uint32_t merged;      /* id, 0 in an empty slot */
};

struct vocabulary {
    uint32_t n;                    /* tokens without the specials */
    char *bytes;                   /* of all tokens */
    uint32_t *begin;               /* [n + 1] offsets of each token's bytes */
    bool *ends;                    /* [n] the token ends a word */
    struct vocabulary_pair *pairs; /* by hash of left and right */
    uint32_t mask;                 /* slots of pairs - 1 */
    uint32_t of_byte[256];   /* ids of single bytes; 256 more at a word's end */
    struct buf file;         /* as a file of ours */
    char sha256[SHA256_HEX]; /* of it */
};

/* A file's bytes, decompressed; name is for messages. */
int vocabulary_parse(struct vocabulary *v, struct str file, const char *name,
                     struct err *e);
void vocabulary_release(struct vocabulary *v);

/* The head line of a file of ours with so many ids, specials included. */
void vocabulary_head(uint32_t ids, struct buf *out);

/* One merge line: the tokens as characters, a space, a line feed. */
void vocabulary_line(struct str left, struct str right, bool ends,
                     struct buf *out);

static inline struct str vocabulary_token(const struct vocabulary *v,
                                          uint32_t id)
{
    return str_make(v->bytes + v->begin[id], v->begin[id + 1] - v->begin[id]);
}

static inline uint32_t vocabulary_hash(uint32_t left, uint32_t right)
{
    uint64_t h = ((uint64_t)left << 32 | right) * UINT64_C(0x9e3779b97f4a7c15);

    return (uint32_t)(h >> 32);
}

/* The id of both in one, or VOCABULARY_NONE. */
static inline uint32_t vocabulary_merge(const struct vocabulary *v,
                                        uint32_t left, uint32_t right)
{
    uint32_t at = vocabulary_hash(left, right) & v->mask;

    for (;; at = (at + 1) & v->mask) {
        const struct vocabulary_pair *p = &v->pairs[at];

        if (!p->merged)
            return VOCABULARY_NONE;
        if (p->left == left && p->right == right)
            return p->merged;
    }
}

#endif
