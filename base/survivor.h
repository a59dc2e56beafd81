/*
 * survivor - one image that stays, with the texts that speak of it.
 *
 * Model.   survivors/bucket-KKKK.jsonl.zst, what dedup hands to pack and to
 *          the catalogue: in (H(url), url) order, members
 *
 *            url, h                  H(url) as 16 hex digits
 *            image, offset, bytes    "GGG-RR": where the JPEG lies in images/
 *            sha256, phash, width, height, original_width, original_height,
 *            exif                    as in the ledger; what differs from one
 *                                    download to the next stays there
 *            texts_total             texts of this URL, over all its lines, and
 *                                    those that a ceiling left out
 *            texts                   pair records (base/pair) by (s, uid)
 *
 *          A URL whose texts do not fit SURVIVOR_LINE bytes goes on in lines
 *          behind it that have url, h and further texts alone.
 * Owns.    Nothing: strings point into the line and the arena.
 * Fails.   -E_FORMAT with what is wrong.
 * Threads. Pure functions.
 */
#ifndef BASE_SURVIVOR_H
#define BASE_SURVIVOR_H

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/jsonl.h"
#include "base/ledger.h"
#include "base/pair.h"
#include "base/str.h"
#include <stdbool.h>
#include <stdint.h>

#define SURVIVOR_LINE       ((size_t)512 << 10) /* bytes before a new line */
#define SURVIVOR_FRAME_ROWS 1000 /* URLs in a frame of the file */

struct survivor {
    struct str url;
    uint64_t h;
    bool more;           /* texts of the line before it, nothing else */
    struct str group;    /* "GGG-RR" */
    struct ledger image; /* of images alone; url and outcome are set */
    uint64_t texts_total;
    struct str texts; /* JSON array of pair records */
};

int survivor_read(struct str line, struct arena *a, struct survivor *s,
                  struct err *e);

/* Walk s->texts: open, then next until *more is false. */
void survivor_texts_open(struct json *j, const struct survivor *s);
int survivor_texts_next(struct json *j, struct arena *a, struct pair *p,
                        bool *more, struct err *e);

/* Write s with n texts, pair records as pair_write() has them, as one line or
 * several; s->texts is not read.  line is scratch. */
int survivor_write(struct jsonl_writer *w, const struct survivor *s,
                   const struct str *texts, size_t n, struct buf *line,
                   struct err *e);

#endif
