/*
 * sample - the names and the .json of one sample.
 *
 * Model.   KEY = shard * 10^k + i with k + 5 digits, k the least with
 *          10^k >= samples.  The json is one compact object: img2dataset's
 *          members first (caption, url, key, status, error_message, width,
 *          height, original_width, original_height, exif, sha256), then uid,
 *          q, phash, consent, page, texts_total and texts:
 *          sample_begin, sample_text for each text by (s, uid), sample_end.
 *          It never passes SAMPLE_META_MAX bytes: texts are cut at the first
 *          that does not fit; q, should it alone need more than
 *          SAMPLE_IDS_MAX bytes, is cut and q_total added; exif over
 *          SAMPLE_EXIF_MAX is null.
 * Threads. Pure functions.
 */
#ifndef SHARDS_SAMPLE_H
#define SHARDS_SAMPLE_H

#include "base/buf.h"
#include "base/pair.h"
#include "base/str.h"
#include "base/survivor.h"
#include <stdbool.h>
#include <stdint.h>

#define SAMPLE_META_MAX ((size_t)256 << 10) /* bytes of the .json */
#define SAMPLE_IDS_MAX  ((size_t)64 << 10)  /* bytes of its q */
#define SAMPLE_EXIF_MAX ((size_t)64 << 10)  /* bytes of its exif, unescaped */
#define SAMPLE_KEY_MAX  32                  /* bytes, terminator included */

/* k: digits of a sample's number within its shard. */
unsigned sample_digits(uint64_t samples);

void sample_key(uint64_t shard, uint64_t i, unsigned digits,
                char out[SAMPLE_KEY_MAX]);

/* Start the json in meta (cleared first). own: the text with the smallest
 * (s, uid). */
void sample_begin(const struct survivor *s, const struct pair *own,
                  const char *key, struct buf *meta);

/* Add a text; false, and nothing added, when it does not fit: then neither
 * does any later one. */
bool sample_text(const struct pair *p, struct buf *meta);

void sample_end(struct buf *meta);

#endif
