/*
 * eval_model - a finished model, open for questions: what `eval` and `embed`
 * begin with.
 *
 * Model.   --model names a file of weights, a folder with one in it, or a
 *          run's folder, whose last checkpoint it then is.  The config comes
 *          with the weights (train/weights.h), the vocabulary lies beside them
 *          or is named.  eval_model_find() looks, and starts nothing: pictures'
 *          workers are forked behind it; eval_model_open() computes.
 * Owns.    Device, model, tokenizer.
 * Fails.   -E_NOTFOUND, -E_USAGE saying what is missing; as weights_load().
 * Threads. One.
 */
#ifndef TOOLS_EVAL_MODEL_H
#define TOOLS_EVAL_MODEL_H

#include "base/io.h"
#include "train/backend.h"
#include "train/clip.h"
#include "train/tokenizer.h"

struct eval_model_options {
    const char *model, *vocabulary;
    bool best;             /* of a run: the best checkpoint, not the last */
    int device, precision; /* indices: backend_names, fp32 and bf16 */
    uint64_t gpu, threads, batch;
};

extern const char *const eval_precision_names[];

/* The rows of these options, for a config struct with a member `m`. */
#define EVAL_MODEL_OPTIONS(whole)                                              \
    {.name = "model",                                                          \
     .type = OPT_STRING,                                                       \
     .at = offsetof(whole, m.model),                                           \
     .arg = "FILE|DIR",                                                        \
     .flags = OPT_REQUIRED,                                                    \
     .help = "A .safetensors with its JSON beside it (open_clip's names or "   \
             "transformers'), a folder with one, or a run's folder: its last " \
             "checkpoint."},                                                   \
        {.name = "best",                                                       \
         .type = OPT_BOOL,                                                     \
         .at = offsetof(whole, m.best),                                        \
         .help = "Of a run, the checkpoint with the best metric instead of "   \
                 "the last."},                                                 \
        {.name = "vocabulary",                                                 \
         .type = OPT_STRING,                                                   \
         .at = offsetof(whole, m.vocabulary),                                  \
         .arg = "FILE",                                                        \
         .help = "The tokenizer's. Default: vocabulary.txt or "                \
                 "bpe_simple_vocab_16e6.txt.gz beside the weights or in the "  \
                 "run's folder."},                                             \
        {.name = "device",                                                     \
         .type = OPT_CHOICE,                                                   \
         .at = offsetof(whole, m.device),                                      \
         .def = "cpu",                                                         \
         .choices = backend_names,                                             \
         .help =                                                               \
             "cpu: oneDNN and kernels of our own; cuda: a GPU, in a build "    \
             "with CUDA=1; ref: the slow reference."},                         \
        {.name = "gpu",                                                        \
         .type = OPT_U64,                                                      \
         .at = offsetof(whole, m.gpu),                                         \
         .arg = "N",                                                           \
         .def = "0",                                                           \
         .max = 1023,                                                          \
         .help = "Which GPU, from 0."},                                        \
        {.name = "threads",                                                    \
         .type = OPT_U64,                                                      \
         .at = offsetof(whole, m.threads),                                     \
         .arg = "N",                                                           \
         .max = 4096,                                                          \
         .help = "Of the cpu device; 0 takes all processors."},                \
        {.name = "precision",                                                  \
         .type = OPT_CHOICE,                                                   \
         .at = offsetof(whole, m.precision),                                   \
         .def = "fp32",                                                        \
         .choices = eval_precision_names,                                      \
         .help = "Of activations and products."},                              \
    {                                                                          \
        .name = "batch", .type = OPT_U64, .at = offsetof(whole, m.batch),      \
        .arg = "N", .def = "64", .min = 1, .max = 1 << 20,                     \
        .help = "Pictures, or texts, at a time."                               \
    }

struct eval_model {
    struct clip_config config;
    struct clip_options options;
    struct device device;
    struct clip clip;
    struct tokenizer *tokenizer;
    enum backend backend;
    char weights[IO_PATH_MAX], vocabulary[IO_PATH_MAX]; /* files */
    char sha256[SHA256_HEX]; /* of the weights; "" unless asked for */
    char what[320];          /* computes */
};

int eval_model_find(struct eval_model *m, const struct eval_model_options *o,
                    struct err *e);

/* digest: read the file once more, for its SHA-256. */
int eval_model_open(struct eval_model *m, const struct eval_model_options *o,
                    bool digest, struct err *e);
void eval_model_close(struct eval_model *m); /* fine when zero */

#endif
