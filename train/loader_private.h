/*
 * loader_private - what train/loader*.c share.
 *
 * Model.   loader.c: the maker and its thread.  loader_pane.c: windows with
 *          their tars open.  loader_sample.c: a sample from its members.
 *          loader_again.c: another one instead.
 */
#ifndef TRAIN_LOADER_PRIVATE_H
#define TRAIN_LOADER_PRIVATE_H

#include <pthread.h>
#include "base/tally.h"
#include "train/loader.h"
#include "train/order.h"
#include "train/tokenizer.h"

/* A window with its tars open.  Who holds it counts. */
struct pane {
    struct order_window w;
    const struct source *source;
    int *fd;         /* [w.n_shards] */
    struct index *x; /* [w.n_shards] */
    unsigned held;
    /* The next window's tars, told to the kernel as this one is used up. */
    size_t n_ahead, ahead; /* how many; which is next */
    char **paths;          /* [n_ahead] */
    uint64_t told, tell;   /* bytes, told so far and in all */
    uint64_t at;           /* in the tar `ahead` */
    int ahead_fd;          /* of that, or -1 */
};

int pane_open(struct pane **p, struct order *o, const struct source *s,
              const struct order_place *place, struct err *e);
/* *now is the pane of that window, or becomes it. */
int pane_enter(struct pane **now, struct order *o, const struct source *s,
               const struct order_place *place, struct err *e);
void pane_hold(struct pane *p);
void pane_drop(struct pane *p); /* NULL is fine */

/* Position `at` of the window is being read: tell the kernel in proportion. */
void pane_used(struct pane *p, uint64_t at);

enum stage {
    STAGE_READ,
    STAGE_TOKENISE,
    STAGE_COPY,
    STAGE_DECODE,
    STAGE_RESIZE,
    STAGES
};

/* A sample on its way. */
struct job {
    struct job *next;    /* in the list of free ones */
    struct place *batch; /* it is for */
    int i;               /* its place there */
    uint64_t position;
    unsigned attempt;  /* replacements so far */
    unsigned tried;    /* of them, in the window it is in */
    unsigned left;     /* windows that were left behind */
    struct pane *pane; /* held */
    struct order_item item;
};

/* A batch being made. */
struct place {
    uint64_t step;
    uint8_t *pixels;
    int32_t *ids;
    int given;  /* positions that were taken up */
    int left;   /* that are not there yet */
    bool whole; /* under the lock: nothing is left */
    struct load load;
    uint64_t ns[STAGES];
};

struct loader {
    struct loader_config c;
    size_t picture;             /* bytes of a square */
    uint64_t crop, text, again; /* streams */
    struct jail *jail;
    struct picture_scratch scratch; /* the workers' */
    unsigned workers, slots;

    /* the thread's */
    pthread_t thread;
    bool running;
    struct pane **panes; /* [sources], where each is now; or NULL.  Then
                            [sources], where replacements were sought last */
    struct job *jobs, *free;
    unsigned waiting; /* requests without an answer */
    struct texts texts;
    struct tokenizer_scratch tokens;
    struct buf request, members; /* head and picture; json, txt */
    unsigned logged;             /* replacements */
    uint64_t taken;              /* batches whose samples were all taken up */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t more, done;
    struct place place[BATCHES_MAX];
    uint64_t started, finished; /* batches */
    bool stop;
    int rc; /* why the thread ended */
    struct err err;
    struct load kept[LOADER_KEPT], all;
    struct tally reasons;
};

/* Read the job's sample: request and ids are filled, *reason is NULL; or it
 * says why the sample cannot be used. */
int sample_read(struct loader *l, const struct job *j, const char **reason,
                struct err *e);

/* The job's sample cannot be used: another one for its place, or -E_FORMAT. */
int loader_draw_again(struct loader *l, struct job *j, const char *reason,
                      struct err *e);

/* Its key and tar, for messages. */
void sample_name(const struct job *j, struct str *key, const char **tar);

#endif
