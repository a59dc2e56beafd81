#include "tools/eval_model.h"

#include <string.h>

#include "train/checkpoint.h"
#include "train/weights.h"

const char *const eval_precision_names[] = {"fp32", "bf16", NULL};

static const char *const vocabulary_names[] = {
    "vocabulary.txt", "bpe_simple_vocab_16e6.txt.gz", NULL};

static bool find_in(const char *folder, const char *const *names, char *path)
{
    for (; *names; names++)
        if (!io_join(path, folder, *names, NULL) && io_exists(path))
            return true;
    return false;
}

/* Beside the weights, or in the folder that was named. */
static int find_vocabulary(struct eval_model *m,
                           const struct eval_model_options *o, struct err *e)
{
    char folder[IO_PATH_MAX] = ".", *slash = strrchr(m->weights, '/');

    if (o->vocabulary) {
        if (strlen(o->vocabulary) >= sizeof m->vocabulary)
            return err_set(e, E_TOOBIG, "path too long: %.400s", o->vocabulary);
        memcpy(m->vocabulary, o->vocabulary, strlen(o->vocabulary) + 1);
        return 0;
    }
    if (slash) {
        memcpy(folder, m->weights, (size_t)(slash - m->weights));
        folder[slash - m->weights] = 0;
    }
    if (find_in(folder, vocabulary_names, m->vocabulary) ||
        find_in(o->model, vocabulary_names, m->vocabulary))
        return 0;
    return err_set(e, E_USAGE,
                   "no vocabulary beside %s: --vocabulary FILE names the one "
                   "that the model was trained with",
                   m->weights);
}

int eval_model_find(struct eval_model *m, const struct eval_model_options *o,
                    struct err *e)
{
    int rc;

    memset(m, 0, sizeof *m);
    m->backend = (enum backend)o->device;
    rc = checkpoint_find_weights(
        o->model, o->best ? CHECKPOINT_BEST : CHECKPOINT_LAST, m->weights, e);
    if (!rc)
        rc = weights_config(&m->config, m->weights, e);
    if (!rc)
        rc = find_vocabulary(m, o, e);
    if (!rc)
        rc = tokenizer_open(&m->tokenizer, m->vocabulary, TOKENIZER_CLIP, e);
    if (!rc && tokenizer_vocab(m->tokenizer) != m->config.text.vocab_size)
        rc = err_set(e, E_STALE,
                     "%s has %d ids, %s was trained with another vocabulary, "
                     "of %d",
                     m->vocabulary, tokenizer_vocab(m->tokenizer), m->weights,
                     m->config.text.vocab_size);
    if (rc)
        eval_model_close(m);
    return rc;
}

int eval_model_open(struct eval_model *m, const struct eval_model_options *o,
                    bool digest, struct err *e)
{
    const struct backend_options b = {.threads = (int)o->threads,
                                      .gpu = (int)o->gpu};
    int rc = backend_open(&m->device, m->backend,
                          o->precision ? DTYPE_BF16 : DTYPE_F32, &b, e);

    if (rc)
        return rc;
    backend_describe(&m->device, m->backend, m->what, sizeof m->what);
    m->options = (struct clip_options){
        .packed = true, .reduce = true, .pixels = PIXEL_BYTE};
    rc = clip_open(&m->clip, &m->device, &m->config, STORE_READ, e);
    if (!rc)
        rc = weights_load(&m->clip, m->weights, false, e);
    if (!rc)
        rc = clip_plan(&m->clip, &m->options, (int)o->batch, e);
    if (!rc && digest)
        rc = io_sha256_file(m->weights, m->sha256, e);
    return rc;
}

void eval_model_close(struct eval_model *m)
{
    clip_close(&m->clip);
    if (m->device.ops)
        device_close(&m->device);
    tokenizer_close(m->tokenizer);
    memset(m, 0, sizeof *m);
}
