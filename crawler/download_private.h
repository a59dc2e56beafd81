/*
 * download_private - the state of a run, shared by download.c (groups, the
 * loop) and download_ask.c (URLs, answers).
 *
 * Model.   A URL goes host's chain > hungry host > ask > fetcher > decoder >
 *          journal; `asks` lists those between chain and journal.
 * Threads. The event loop's alone.
 */
#ifndef CRAWLER_DOWNLOAD_PRIVATE_H
#define CRAWLER_DOWNLOAD_PRIVATE_H

#include "base/progress.h"
#include "crawler/download.h"
#include "crawler/download_decode.h"
#include "crawler/download_finisher.h"
#include "crawler/download_group.h"

/* One URL between its request and its outcome. */
struct ask {
    struct ask *next, **at; /* list of all, so that none is lost */
    struct download_group *group;
    struct str url;  /* points behind the struct */
    char *final_url; /* or NULL */
    uint32_t status, tries;
    char fetched[24];   /* date, or "" */
    const char *reason; /* of a failure that is held back */
    struct ask *after;  /* the next one held back */
};

enum group_state {
    GROUP_WAITING, /* not begun */
    GROUP_ASKING,
    GROUP_FINISHING, /* with the finisher */
    GROUP_OVER
};

struct download {
    struct stage *stage;
    const struct download_config *config;
    struct download_summary *sum;
    struct download_pass pass;
    struct download_todo todo;
    struct download_group *groups; /* LEDGER_GROUPS */
    enum group_state state[LEDGER_GROUPS];
    unsigned next_group; /* the first that may be GROUP_WAITING */
    unsigned asking;     /* groups in that state */
    struct group_host *hungry, **hungry_last; /* hosts that want to ask */
    struct ask *asks;
    struct ask *held; /* failures, until somebody answers */
    unsigned n_held;
    bool heard; /* a server has answered in this run */
    struct buf url;
    struct fetch *fetch;
    struct download_decode decode;
    struct download_finisher finisher;
    struct progress progress;
    uint64_t synced_ms;
    bool stopping;
    bool paused;
    int rc; /* of a callback; sticky */
    struct err *e;
};

/* h has URLs to ask: queue it, unless it waits already. */
void ask_hungry(struct download *d, struct group_host *h);

/* Hand URLs of hungry hosts to the fetcher while it has room. */
void ask_feed(struct download *d);

/* Record the failures that were held back. */
void ask_release_held(struct download *d);

/* Forget all that is under way. */
void ask_release(struct download *d);

/* Callbacks of the fetcher, of its poll, and of the decoders. */
void ask_fetched(void *ctx, const struct fetch_result *r);
void ask_low(void *ctx, struct str host);
void ask_decoder_ready(void *ctx);
void ask_decoded(void *ctx, void *user, const struct image_result *r);

#endif
