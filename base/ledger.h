/*
 * ledger - what became of each URL that a download pass asked for.
 *
 * Model.   images/GGG-RR.ledger.jsonl.zst: one object a URL, in (H(url), url)
 *          order.  An outcome closes its URL for ever: no later pass, batch or
 *          balance asks again.  Network answers are inputs: everything after
 *          the download is a function of these records and the tars.
 * Owns.    Nothing: strings point into the line and the arena.
 * Threads. Pure functions.
 */
#ifndef BASE_LEDGER_H
#define BASE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

/* value, name in the file */
#define LEDGER_OUTCOME_MAP(X)                                                  \
    X(LEDGER_IMAGE, "image")     /* fetched, passed every verdict, in the tar */ \
    X(LEDGER_FAILED, "failed")   /* no bytes: network, status, too large */    \
    X(LEDGER_REJECTED, "rejected") /* bytes, but a verdict against them */     \
    X(LEDGER_REFUSED, "refused") /* robots.txt or a consent signal, or policy */

enum ledger_outcome {
#define X(name, text) name,
    LEDGER_OUTCOME_MAP(X)
#undef X
    LEDGER_OUTCOMES
};

const char *ledger_outcome_name(enum ledger_outcome o);

struct ledger {
    struct str url;            /* canonical */
    enum ledger_outcome outcome;
    struct str reason;         /* "" for an image; else why, a drop reason */
    uint32_t status;           /* HTTP status of the last answer, 0: none */
    uint32_t tries;            /* requests made */
    struct str signal;         /* the consent signal that refused, or "" */
    struct str final_url;      /* where redirects led, or "" */
    struct str fetched;        /* ISO date of the last answer, or "" */
    /* of images alone: */
    uint8_t sha256[SHA256_SIZE]; /* of the original bytes */
    uint64_t phash;            /* of the stored JPEG */
    bool phash_exempt;         /* variance below 4: never a near-duplicate */
    uint32_t width, height;    /* pixels as stored */
    uint32_t original_width, original_height; /* upright */
    uint64_t bytes;            /* of the stored JPEG */
    uint64_t offset;           /* of its bytes in the tar */
    struct str exif;           /* JSON object text, or "" */
};

int ledger_read(struct str line, struct arena *a, struct ledger *l,
                struct err *e);
void ledger_write(const struct ledger *l, struct buf *out);

/* "GGG-RR" of host (no port) and pass, into out[16]. */
#define LEDGER_GROUPS 256
uint32_t ledger_group(struct str host);
void ledger_name(uint32_t group, uint32_t pass, char out[16]);

#endif
