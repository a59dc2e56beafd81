/*
 * dedup_mail - the URL that pushed an image out, brought to where the image is
 * met, in bounded memory.
 *
 * Model.   visit() each image in order of ids and get its verdict; where that
 *          has a pusher, pusher() gives its URL and phash.  The URLs of one
 *          range's pushers are kept until the range is left, and then sent on
 *          to the later ranges that ask for them (dedup_search knows which).
 * Owns.    The current range and the letters, which lie in the search's store.
 *          What pusher() gives is valid until the next visit.
 * Fails.   As filter/bins; -E_DAMAGED for more images than were searched.
 * Threads. One.
 * Cost.    Memory: the URLs of one range's pushers and of the letters to it;
 *          of disk a URL for each pusher and range that asks.
 */
#ifndef FILTER_DEDUP_MAIL_H
#define FILTER_DEDUP_MAIL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "filter/dedup_search.h"
#include "filter/dedup_set.h"
#include <stdint.h>

/* A URL at hand. */
struct dedup_known {
    uint32_t id;
    uint32_t n; /* bytes of its URL, at `at` in urls */
    uint64_t phash;
    size_t at;
};

struct dedup_mail {
    struct dedup_search *search;
    const struct dedup_set *set; /* or NULL */
    struct bins letters;         /* by range of the reader */
    struct dedup_range now;
    uint32_t next; /* range after now */
    struct buf urls;
    struct dedup_known *known; /* ascending ids: letters, then own */
    size_t n_known, cap_known;
};

struct dedup_pusher {
    struct str url; /* or name, of an image of the evaluation set */
    uint64_t phash;
    bool has_phash;
};

/* search is finished; set holds the ids below search->set. */
int dedup_mail_open(struct dedup_mail *m, struct dedup_search *search,
                    const struct dedup_set *set, struct err *e);
void dedup_mail_close(struct dedup_mail *m);

int dedup_mail_visit(struct dedup_mail *m, uint32_t id, struct str url,
                     uint64_t phash, struct dedup_verdict *v, struct err *e);

/* `by` of the verdict last given. */
struct dedup_pusher dedup_mail_pusher(const struct dedup_mail *m, uint32_t by);

#endif
