#include "filter/dedup_caps.h"

#include <stdio.h>

#include "base/selected.h"
#include "filter/dedup_join.h"
#include "filter/draw.h"

static uint64_t rank_of(void *ctx, uint32_t q, const uint8_t uid[MD5_SIZE])
{
    const struct dedup_caps *k = ctx;
    uint64_t h = draw_hash(k->corpus->head.seed, uid, qlist_norm(&k->list, q));

    return caps_draw(&k->last, q, h, uid);
}

static int open_last(struct dedup_caps *k, unsigned rounds, struct err *e)
{
    char name[STAGE_NAME_MAX], path[IO_PATH_MAX];
    unsigned step = rounds > 1 ? rounds - 1 : 1; /* the first and the last */
    int rc = caps_open(&k->last, k->corpus, rounds - 1, e);

    for (unsigned r = 0; !rc && r < rounds; r += step) {
        snprintf(name, sizeof name, "selected/round-%u/caps", r);
        rc = stage_inputs_add_output(&k->inputs, k->corpus, name, "balance", e);
    }
    if (!rc)
        rc = corpus_path(k->corpus, QLIST_FILE, path, e);
    if (!rc)
        rc = qlist_open(&k->list, path, e);
    if (!rc && (k->first.n != k->last.n || k->last.n != qlist_count(&k->list)))
        rc = err_set(e, E_DAMAGED,
                     "%s: caps.bin is of another query list; run `witmill "
                     "balance` again",
                     k->corpus->dir);
    return rc;
}

int dedup_caps_open(struct dedup_caps *k, const struct corpus *c, struct err *e)
{
    unsigned rounds;
    int rc;

    *k = (struct dedup_caps){.corpus = c};
    stage_inputs_init(&k->inputs);
    rc = selected_rounds(c, &rounds, e);
    if (!rc)
        rc = caps_open(&k->first, c, 0, e);
    k->exact = !rc && k->first.exact;
    if (k->exact)
        rc = open_last(k, rounds, e);
    if (rc) {
        dedup_caps_close(k);
        return rc;
    }
    k->ranks = (struct dedup_ranks){.ctx = k,
                                    .rank = rank_of,
                                    .t0 = k->first.t,
                                    .t_last = k->last.t,
                                    .c = k->last.c,
                                    .n = k->first.n,
                                    .inputs = &k->inputs};
    return 0;
}

void dedup_caps_close(struct dedup_caps *k)
{
    caps_close(&k->first);
    caps_close(&k->last);
    qlist_close(&k->list);
    stage_inputs_release(&k->inputs);
}
