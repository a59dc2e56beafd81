/*
 * dedup_texts - the texts that stay with one URL, in bounded memory.
 *
 * Model.   clear -> add in any order -> sort -> read texts[0, n).  They are
 *          ordered by (s, uid), and those that stay are the most of the first
 *          ones whose lines together have at most max_bytes: what is left out
 *          depends on the texts alone, not on when each was added.
 * Owns.    The lines, of twice max_bytes at most and one more.
 * Fails.   -E_NOMEM.
 * Threads. One.
 * Cost.    A line is written once, and moved once each time that as many bytes
 *          again have come; 40 bytes a text beside it.
 */
#ifndef FILTER_DEDUP_TEXTS_H
#define FILTER_DEDUP_TEXTS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/pair.h"
#include "base/str.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEDUP_TEXTS_BYTES ((size_t)64 << 20) /* of one URL's lines */

struct dedup_text {
    uint64_t s;
    uint8_t uid[MD5_SIZE];
    uint32_t n; /* bytes of its line */
    size_t at;  /* in lines */
};

struct dedup_texts {
    size_t max_bytes;
    struct buf lines;
    struct dedup_text *all;
    size_t cap_all;
    struct dedup_text bound; /* if left_out: none from here on stays */
    uint64_t left_out;       /* texts */
    struct str *texts;       /* pair records, after sort */
    size_t n, cap_texts;
};

void dedup_texts_init(struct dedup_texts *t, size_t max_bytes);
void dedup_texts_release(struct dedup_texts *t);

void dedup_texts_clear(struct dedup_texts *t);
int dedup_texts_add(struct dedup_texts *t, const struct pair *p, struct err *e);
void dedup_texts_sort(struct dedup_texts *t);

#endif
