/*
 * zframe - lines of JSON as one zstd frame, sooner than by zstd.
 *
 * Model.   Frames are as RFC 8878 has them: any decoder reads them.  What is
 *          our own is where matches are looked for: lines of JSON repeat what
 *          stands around quotes (names of members) and where a value begins
 *          (the host of a URL), so only there, and nothing is learned about
 *          the bytes: literals stay as they are, matches are written by the
 *          codes that every decoder has.  Content that is no JSON is stored.
 *          Same content, same bytes, whatever was packed before.
 * Owns.    Its scratch, kept from frame to frame.
 * Fails.   zframe_new: NULL, no memory.
 * Threads. One per struct.
 * Cost.    docs/records.md.
 */
#ifndef BASE_ZFRAME_H
#define BASE_ZFRAME_H

#include <stddef.h>
#include "base/str.h"

#define ZFRAME_MAX ((size_t)1 << 31) /* bytes of content */

struct zframe; /* about 140 KiB */

struct zframe *zframe_new(void);
void zframe_free(struct zframe *z); /* NULL is fine */

/* At most, of a frame of n bytes of content. */
size_t zframe_bound(size_t n);

/* content, ZFRAME_MAX bytes at most, as a frame that ends with its checksum;
 * to has room for zframe_bound(content.n).  Returns its bytes. */
size_t zframe_put(struct zframe *z, struct str content, char *to);

#endif
