/* In the loader's and the dataset's place where no library is at hand (make
 * train-only): what reads shards needs several. */
#include <string.h>

#include "train/loader.h"

static int refuse(struct err *e)
{
    return err_set(e, E_UNSUPPORTED,
                   "this build reads no shards: --generated trains on "
                   "generated pairs");
}

int dataset_open(struct dataset *d, const struct dataset_config *c,
                 struct err *e)
{
    *d = (struct dataset){.c = *c};
    return refuse(e);
}

void dataset_close(struct dataset *d)
{
    *d = (struct dataset){0};
}

int dataset_check(const struct dataset *d, uint64_t batch, struct err *e)
{
    (void)d;
    (void)batch;
    return refuse(e);
}

int loader_open(struct loader **l, const struct loader_config *c,
                struct batch_maker *maker, struct err *e)
{
    (void)c;
    *l = NULL;
    *maker = (struct batch_maker){0};
    return refuse(e);
}

/* Without a loader nobody asks. */

void loader_of_step(struct loader *l, uint64_t step, struct load *out)
{
    (void)l;
    (void)step;
    *out = (struct load){0};
}

void loader_of_all(struct loader *l, struct load *out)
{
    (void)l;
    *out = (struct load){0};
}

void loader_reasons_json(struct loader *l, struct json_out *o)
{
    (void)l;
    json_out_object(o);
    json_out_end_object(o);
}

unsigned loader_workers(const struct loader *l)
{
    (void)l;
    return 0;
}

struct str dataset_vocabulary(const struct dataset *d)
{
    (void)d;
    return STR_NONE;
}
