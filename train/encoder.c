#include "train/encoder.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/objective.h"

/* The rows whose means are texts. */
static int read_words(struct encoder *n, struct err *e)
{
    const struct clip *m = n->m;
    size_t count = (size_t)m->config.text.vocab_size * (size_t)n->dim;

    n->words = calloc(count, sizeof *n->words); /* a get may fail */
    if (!n->words)
        return err_set(e, E_NOMEM, "no room for %d words",
                       m->config.text.vocab_size);
    store_get(&m->store, m->d, m->bow, n->words, DTYPE_F32);
    n->dim++;
    return device_check(m->d, e);
}

/* Texts of nothing, until others are put. */
static void put_nothing(struct encoder *n)
{
    for (int i = 0; n->t && i < n->batch; i++) {
        int32_t *ids = n->ids + (ptrdiff_t)i * n->context;

        memset(ids, 0, (size_t)n->context * sizeof *ids);
        ids[0] = tokenizer_sot(n->t);
        ids[1] = tokenizer_eot(n->t);
    }
}

static int open_rows(struct encoder *n, struct clip *m,
                     const struct clip_options *o, int batch,
                     const struct tokenizer *t, struct err *e)
{
    size_t rows = (size_t)batch;

    *n = (struct encoder){.m = m,
                          .o = *o,
                          .t = t,
                          .norm = clip_pixel_norm(&m->config),
                          .batch = batch,
                          .dim = m->config.embed_dim,
                          .context = m->config.text.context_length};
    assert(batch > 0);
    tokenizer_scratch_init(&n->scratch);
    if (t && tokenizer_vocab(t) != m->config.text.vocab_size)
        return err_set(e, E_STALE,
                       "the model was made with a vocabulary of %d ids, this "
                       "one has %d",
                       m->config.text.vocab_size, tokenizer_vocab(t));
    n->ids = malloc(rows * (size_t)n->context * sizeof *n->ids);
    if (m->d->real == DTYPE_F64)
        n->real = malloc(rows * (size_t)n->dim * sizeof *n->real);
    n->pads = m->d->ops->plan != NULL;
    if (!n->ids || (m->d->real == DTYPE_F64 && !n->real))
        return err_set(e, E_NOMEM, "no room for a batch of %d", batch);
    put_nothing(n);
    return 0;
}

int encoder_open(struct encoder *n, struct clip *m,
                 const struct clip_options *o, int batch,
                 const struct tokenizer *t, struct err *e)
{
    int rc = open_rows(n, m, o, batch, t, e);

    if (!rc && t && m->config.objective != OBJECTIVE_CONTRASTIVE)
        rc = err_set(e, E_UNSUPPORTED,
                     "the model learned another objective than to compare "
                     "texts with pictures: %s",
                     objective_names[m->config.objective]);
    return rc;
}

int encoder_open_products(struct encoder *n, struct clip *m,
                          const struct clip_options *o, int batch,
                          const struct tokenizer *t, struct err *e)
{
    int rc = open_rows(n, m, o, batch, t, e);

    return !rc && m->config.objective == OBJECTIVE_BOW ? read_words(n, e) : rc;
}

void encoder_close(struct encoder *n)
{
    if (!n->m)
        return;
    tokenizer_scratch_release(&n->scratch);
    free(n->ids);
    free(n->real);
    free(n->words);
    *n = (struct encoder){0};
}

int encoder_put(struct encoder *n, int i, struct str text, struct err *e)
{
    int32_t *ids = n->ids + (size_t)i * (size_t)n->context;
    int len;

    assert(n->t && i >= 0 && i < n->batch);
    /* no context reaches so far */
    text = str_slice(text, 0, TOKENIZER_TEXT_MAX);
    len = tokenizer_caption(n->t, &n->scratch, text, n->context, ids);
    if (len < 0)
        return err_set(e, -len, "a text of %zu bytes", text.n);
    if (n->words && caption_eot(ids, n->context) < 2)
        return err_set(e, E_RANGE,
                       "a text of %zu bytes without words: how likely they "
                       "are nobody can say",
                       text.n);
    return 0;
}

static void *room_for(const struct encoder *n, float *features)
{
    return n->real ? (void *)n->real : features;
}

/* Where shapes are prepared, only what was planned for is computed. */
static int padded(const struct encoder *n, int count)
{
    return n->pads ? n->batch : count;
}

static int check_finite(const float *x, size_t n, const char *what,
                        struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return err_set(e, E_RANGE,
                           "the model's features of %s are not finite: its "
                           "weights are damaged, or the precision is too low "
                           "for them",
                           what);
    return 0;
}

static int hand_out(const struct encoder *n, int count, const char *what,
                    float *features, struct err *e)
{
    size_t numbers = (size_t)count * (size_t)n->dim;

    if (n->real && !n->words)
        dtype_convert(features, DTYPE_F32, n->real, DTYPE_F64, numbers);
    return check_finite(features, numbers, what, e);
}

int encoder_texts(struct encoder *n, int count, float *features, struct err *e)
{
    const struct captions all = {padded(n, count), n->context, n->ids};
    const struct captions c = {count, n->context, n->ids};
    int rc;

    assert(count > 0 && count <= n->batch);
    rc = n->words
             ? objective_words(n->m, n->words, &c, features, e)
             : clip_encode_texts(n->m, &n->o, &all, room_for(n, features), e);
    return rc ? rc : hand_out(n, count, "texts", features, e);
}

int encoder_pictures(struct encoder *n, int count, const uint8_t *rgb,
                     float *features, struct err *e)
{
    const struct pixels p = {PIXEL_BYTE, rgb, n->norm};
    const int all = padded(n, count);
    int rc;

    assert(count > 0 && count <= n->batch);
    rc = n->words ? objective_pictures(n->m, &n->o, all, &p, features, e)
                  : clip_encode_images(n->m, &n->o, all, &p,
                                       room_for(n, features), e);
    return rc ? rc : hand_out(n, count, "pictures", features, e);
}

int encoder_captions(struct encoder *n, int count, const uint8_t *rgb,
                     const struct captions *c, float *scores, struct err *e)
{
    const struct pixels p = {PIXEL_BYTE, rgb, n->norm};
    int rc;

    assert(count > 0 && count <= n->batch);
    rc = objective_score(n->m, &n->o, padded(n, count), &p, c, scores, e);
    for (int k = 0; !rc && k < c->n; k++) {
        const int32_t *ids = c->ids + (int64_t)k * c->context;
        float tokens = (float)caption_eot(ids, c->context);

        for (int i = 0; i < count; i++)
            scores[(int64_t)i * c->n + k] /= tokens;
    }
    return rc ? rc
              : check_finite(scores, (size_t)count * (size_t)c->n, "pairs", e);
}
