#include "crawler/download_decode.h"

#include <stdlib.h>

struct decode_body {
    struct decode_body *after;
    void *user;
    size_t n; /* bytes */
    char bytes[];
};

int decode_open(struct download_decode *d, const struct image_config *c,
                unsigned workers, decode_done_fn done, void *ctx, struct err *e)
{
    struct jail_config j;

    memset(d, 0, sizeof *d);
    d->config = *c;
    d->done = done;
    d->ctx = ctx;
    d->last = &d->first;
    image_result_init(&d->result);
    j = jail_config_default(image_worker, &d->config);
    j.workers = workers;
    j.in_max = IMAGE_BYTES_MAX;
    j.out_max = IMAGE_PACKED_MAX;
    return jail_open(&d->jail, &j, e);
}

void decode_close(struct download_decode *d)
{
    while (d->first) {
        struct decode_body *b = d->first;

        d->first = b->after;
        free(b);
    }
    d->last = &d->first;
    d->waiting = 0;
    jail_close(d->jail);
    d->jail = NULL;
    image_result_release(&d->result);
}

int decode_put(struct download_decode *d, struct str body, void *user,
               struct err *e)
{
    struct decode_body *b;

    d->pending++;
    if (!d->first && jail_free(d->jail))
        return jail_submit(d->jail, body, user, e);
    b = malloc(sizeof *b + body.n);
    if (!b)
        return err_set(e, E_NOMEM, "no memory for %zu bytes of a picture",
                       body.n);
    b->after = NULL;
    b->user = user;
    b->n = body.n;
    memcpy(b->bytes, body.n ? body.p : "", body.n);
    *d->last = b;
    d->last = &b->after;
    d->waiting += b->n;
    return 0;
}

int decode_fd(const struct download_decode *d)
{
    return jail_fd(d->jail);
}

/* The workers' verdict, or ours about the worker.  Verdicts are final, so a
 * jail that has failed itself gives none: the stage stops and can be run again.
 */
static int judge(struct download_decode *d, const struct jail_done *done,
                 struct err *e)
{
    struct image_result *r = &d->result;

    if (done->outcome == JAIL_LOST)
        return err_set(e, E_IO, "the picture decoders' processes are gone");
    if (done->outcome != JAIL_DONE || done->rc || image_unpack(done->out, r))
        image_result_clear(r, done->outcome == JAIL_TIMEOUT ? IMAGE_TIMEOUT
                                                            : IMAGE_CRASHED);
    return 0;
}

int decode_ready(struct download_decode *d, struct err *e)
{
    struct jail_done done;

    while (jail_next(d->jail, &done)) {
        int rc = judge(d, &done, e);

        if (rc)
            return rc;
        d->pending--;
        d->done(d->ctx, done.user, &d->result);
    }
    while (d->first && jail_free(d->jail)) {
        struct decode_body *b = d->first;
        int rc = jail_submit(d->jail, str_make(b->bytes, b->n), b->user, e);

        if (rc)
            return rc;
        d->first = b->after;
        if (!d->first)
            d->last = &d->first;
        d->waiting -= b->n;
        free(b);
    }
    return 0;
}
