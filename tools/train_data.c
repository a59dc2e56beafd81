#include "tools/train_data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define GENERATED_STEPS 100
#define CORPUS_EPOCHS   32  /* as published */
#define WAIT_SHARE      0.1 /* of the time, from which on a stage is named */

const char *const train_texts_names[] = {"draw", "first", "whole", NULL};
const char *const train_crop_names[] = {"square", "resized", NULL};

/* What says how shards are read. */
static int check_unread(const struct train_data *t, struct err *e)
{
    const struct {
        const char *option;
        bool given;
    } list[] = {{"vocabulary", t->vocabulary},
                {"texts", t->texts},
                {"caption-key", t->caption_key},
                {"balance", t->balance},
                {"crop", t->crop},
                {"fast-decode", t->fast_decode},
                {"cache", t->cache}};

    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        if (list[i].given)
            return err_set(e, E_USAGE,
                           "--%s: says how shards are read, --generated reads "
                           "none",
                           list[i].option);
    return 0;
}

int train_data_check(const struct train_data *t, struct err *e)
{
    int lengths = (t->steps > 0) + (t->samples > 0) + (t->epochs > 0);

    if (t->generated && (t->corpus || t->data.n))
        return err_set(e, E_USAGE, "%s: --generated reads no corpus",
                       t->corpus ? t->corpus : t->data.v[0]);
    if (!t->generated && !t->corpus && !t->data.n)
        return err_set(e, E_USAGE,
                       "what to train on? A corpus, --data, or --generated");
    if (lengths > 1)
        return err_set(e, E_USAGE,
                       "--steps, --samples and --epochs each say how long the "
                       "run is: give one");
    if (t->generated && t->epochs > 0)
        return err_set(e, E_USAGE, "--epochs: generated pairs have no end");
    return t->generated ? check_unread(t, e) : 0;
}

static int fit_model(struct clip_config *model, bool own,
                     const struct dataset *d, struct err *e)
{
    if (model->text.vocab_size != d->vocab && own)
        return err_set(e, E_USAGE,
                       "the model reads a vocabulary of %d ids, this one has "
                       "%d",
                       model->text.vocab_size, d->vocab);
    model->text.vocab_size = d->vocab;
    return 0;
}

int train_data_open(const struct train_data *t, uint64_t seed, uint64_t batch,
                    struct clip_config *model, bool own, struct dataset *d,
                    struct err *e)
{
    size_t n = t->data.n + (t->corpus != NULL);
    const char **specs = xcalloc(n, sizeof *specs);
    struct dataset_config c = {.data = specs,
                               .n = n,
                               .vocabulary = t->vocabulary,
                               .caption_key = t->caption_key,
                               .cache = t->cache,
                               .texts = (enum texts_rule)t->texts,
                               .crop =
                                   t->crop ? PICTURE_RESIZED : PICTURE_SQUARE,
                               .fast_decode = t->fast_decode,
                               .seed = seed,
                               .balance = t->balance,
                               .window = (size_t)t->window};
    int rc;

    for (size_t i = 0; i < n; i++)
        specs[i] = !t->corpus ? t->data.v[i] : i ? t->data.v[i - 1] : t->corpus;
    rc = dataset_open(d, &c, e);
    d->c.data = NULL; /* not needed any more */
    free(specs);
    if (!rc)
        rc = dataset_check(d, batch, e);
    return rc ? rc : fit_model(model, own, d, e);
}

int train_data_steps(const struct train_data *t, const struct dataset *d,
                     uint64_t batch, uint64_t *steps, struct err *e)
{
    double samples;

    *steps = t->steps ? t->steps : GENERATED_STEPS;
    if (t->steps || (!d && !t->samples))
        return 0;
    samples = t->samples ? (double)t->samples
                         : (t->epochs > 0 ? t->epochs : CORPUS_EPOCHS) *
                               (double)d->epoch;
    samples = ceil(samples / (double)batch);
    if (samples > 1e9)
        return err_set(e, E_USAGE, "%.0f steps are more than 10^9", samples);
    *steps = samples < 1 ? 1 : (uint64_t)samples;
    return 0;
}

void train_data_print(const struct dataset *d, const struct load *load,
                      unsigned workers, const char *replaced,
                      uint64_t positions, double seconds, double waited)
{
    char advice[512];

    printf("  %-30s %12llu  in %llu shards\n", "samples",
           (unsigned long long)d->samples, (unsigned long long)d->shards);
    if (d->left_out)
        printf("  %-30s %12llu\n", "left out: no picture or text",
               (unsigned long long)d->left_out);
    printf("  %-30s %12.2f  of %llu samples\n", "epochs",
           (double)positions / (double)d->epoch, (unsigned long long)d->epoch);
    if (load->replaced)
        printf("  %-30s %12llu  %s\n", "samples replaced",
               (unsigned long long)load->replaced, replaced);
    printf("  %-30s %12.1f  reading %.1f, tokenising %.1f, copying %.1f\n",
           "seconds of the loader", load->read + load->tokenise + load->copy,
           load->read, load->tokenise, load->copy);
    printf("  %-30s %12.1f  decoding %.1f, resizing %.1f\n",
           "seconds of its workers", load->decode + load->resize, load->decode,
           load->resize);
    if (!(seconds > 0 && waited > WAIT_SHARE * seconds))
        return;
    load_advice(load, seconds, workers, advice, sizeof advice);
    printf("  The model waited %.0f%% of the time for pairs: %s.\n",
           100 * waited / seconds, advice);
}
