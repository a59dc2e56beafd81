#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/log.h"
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/train_data.h"
#include "train/launch.h"
#include "train/run.h"

#define WARMUP 2000 /* steps, as published */

static const char *const precision_names[] = {"fp32", "bf16", NULL};
static const char *const loss_names[] = {"infonce", "sigmoid", NULL};
static const char *const moment_names[] = {"fp32", "bf16", NULL};
static const char *const rule_names[] = {"paper", "rank", NULL};

struct train_options {
    struct train_data data;
    const char *model;     /* a name, or a file that ends in .json */
    int device, precision, moments, objective, loss, rule; /* into the names */
    const char *gpu;       /* a number; NULL: by the rank */
    uint64_t threads, feed_threads;
    uint64_t batch, chunk, bn_batch, seed, caption_tokens;
    bool packed, reduce, recompute, stochastic, tune, profile;
    double lr, beta1, beta2, eps, decay, clip_norm; /* 0: as published */
    uint64_t warmup;
    const char *init, *log, *save, *out;
    bool resume;
    uint64_t checkpoint_every, keep, keep_every;
    double checkpoint_minutes, skip_spikes;
};

#define AT(field) .at = offsetof(struct train_options, field)

static const struct opt rows[] = {
    {.name = "corpus", .type = OPT_STRING, AT(data.corpus), .arg = "CORPUS",
     .flags = OPT_POSITIONAL,
     .help = "A corpus to train on: the shards of its folder."},
    {.name = "data", .type = OPT_LIST, AT(data.data), .arg = "SPEC[@WEIGHT]",
     .flags = OPT_BYTES,
     .help = "Shards to train on, beside the corpus or alone: a corpus, a "
             "folder of tars, a tar, or names with braces such as "
             "DIR/{00000..00099}.tar, ours or any in webdataset's layout. Can "
             "be given several times. A sample of a source with weight 2 is "
             "seen twice as often as one of a source with weight 1 (open_clip "
             "calls it an upsampling factor)."},
    {.name = "generated", .type = OPT_BOOL, AT(data.generated),
     .flags = OPT_BYTES,
     .help = "Train on generated pairs: pictures of nine coloured squares, "
             "captions that name the colours. They show that a model learns, "
             "and how fast."},
    {.name = "vocabulary", .type = OPT_STRING, AT(data.vocabulary),
     .arg = "FILE", .flags = OPT_BYTES,
     .help = "The tokenizer's: the published bpe_simple_vocab_16e6.txt.gz, or "
             "one of `witmill tokenizer train`. Default: vocabulary.txt in the "
             "corpus, or the published one there."},
    {.name = "window", .type = OPT_U64, AT(data.window), .arg = "SHARDS",
     .def = "8", .flags = OPT_BYTES, .min = 1, .max = 1 << 20,
     .help = "Shards that are read at a time; samples are shuffled among "
             "them, and shards among all."},
    {.name = "texts", .type = OPT_CHOICE, AT(data.texts), .def = "draw",
     .choices = train_texts_names, .flags = OPT_BYTES,
     .help = "Of several texts of a picture (`texts` of our .json, lines of a "
             ".txt): draw one anew in each epoch, take the first, or take the "
             "whole .txt as it is."},
    {.name = "caption-key", .type = OPT_STRING, AT(data.caption_key),
     .arg = "KEY", .flags = OPT_BYTES,
     .help = "Read captions from this member of the .json, a string or an "
             "array of strings, instead of the .txt."},
    {.name = "balance", .type = OPT_U64, AT(data.balance), .arg = "CAP",
     .flags = OPT_BYTES,
     .help = "Balance anew in each epoch, for corpora built with a larger "
             "cap: a query of c texts keeps each with probability CAP / c, and "
             "a text is in the epoch when one of its queries keeps it. Reads "
             "the corpus' counts.tsv and query ids. 0: train on all."},
    {.name = "crop", .type = OPT_CHOICE, AT(data.crop), .def = "square",
     .choices = train_crop_names, .flags = OPT_BYTES,
     .help = "square: the shorter side to the model's size, a square at random "
             "along the longer one, as in the paper; resized: a random part of "
             "90 to 100 percent, as open_clip does."},
    {.name = "fast-decode", .type = OPT_BOOL, AT(data.fast_decode),
     .flags = OPT_BYTES,
     .help = "Decode large JPEGs at a half, a quarter or an eighth, at least "
             "twice the size needed: faster, and near the exact pixels."},
    {.name = "workers", .type = OPT_U64, AT(data.workers), .arg = "N",
     .max = 256,
     .help = "Processes that decode pictures; 0: one a processor, or this "
             "rank's share of them."},
    {.name = "cache", .type = OPT_STRING, AT(data.cache), .arg = "DIR",
     .help = "Where indexes of tars go that cannot lie beside them."},
    {.name = "model", .type = OPT_STRING, AT(model), .arg = "NAME|FILE",
     .def = "ViT-B-32", .flags = OPT_BYTES,
     .help = "RN50, RN101, RN50x4, RN50x16, RN50x64, ViT-B-32, ViT-B-16, "
             "ViT-L-14, ViT-L-14-336 (with -quickgelu behind it for OpenAI's "
             "activation), tiny-vit, tiny-resnet, or a model JSON of open_clip "
             "or transformers: a file that ends in .json."},
    {.name = "device", .type = OPT_CHOICE, AT(device), .def = "cpu",
     .choices = backend_names, .flags = OPT_BYTES,
     .help = "cpu: oneDNN and kernels of our own; cuda: a GPU, in a build "
             "with CUDA=1; ref: the slow reference."},
    {.name = "gpu", .type = OPT_STRING, AT(gpu), .arg = "N",
     .help = "Which GPU, from 0. Default: of several ranks, each the one of "
             "its number on its node; else 0."},
    {.name = "threads", .type = OPT_U64, AT(threads), .arg = "N", .max = 4096,
     .help = "Of the cpu device; 0 takes all processors, or this rank's share "
             "of them."},
    {.name = "feed-threads", .type = OPT_U64, AT(feed_threads), .arg = "N",
     .max = 64,
     .help = "That make pairs while the device computes; 0 takes half of the "
             "processors beside a GPU, else one."},
    {.name = "precision", .type = OPT_CHOICE, AT(precision), .def = "fp32",
     .choices = precision_names, .flags = OPT_BYTES,
     .help = "Of activations and products; weights, statistics and sums are "
             "in float either way. fp32 takes no shortcut (no TF32)."},
    {.name = "batch", .type = OPT_U64, AT(batch), .arg = "N", .def = "256",
     .flags = OPT_BYTES, .min = 1, .max = 1 << 24,
     .help = "Pairs a step; each is told from all others. Of several ranks: "
             "of all of them together."},
    {.name = "chunk", .type = OPT_U64, AT(chunk), .arg = "N", .max = 1 << 24,
     .flags = OPT_BYTES,
     .help = "Pairs whose activations are kept at a time; with fewer than the "
             "batch every forward is made twice. 0: the batch."},
    {.name = "bn-batch", .type = OPT_U64, AT(bn_batch), .arg = "N",
     .max = 1 << 24, .flags = OPT_BYTES,
     .help = "Pictures that share BatchNorm's statistics; a rank's pairs and "
             "chunk are multiples of it. 0: the batch; of several ranks each "
             "one's part, and then their number changes the result."},
    {.name = "steps", .type = OPT_U64, AT(data.steps), .arg = "N",
     .flags = OPT_BYTES, .min = 1, .max = 1e9,
     .help = "Steps of the run; the learning rate falls to 0 over them. "
             "Default: 100 of generated pairs, else 32 epochs."},
    {.name = "samples", .type = OPT_U64, AT(data.samples), .arg = "N",
     .flags = OPT_BYTES, .min = 1,
     .help = "Length of the run in samples seen, instead of steps."},
    {.name = "epochs", .type = OPT_DOUBLE, AT(data.epochs), .arg = "X",
     .flags = OPT_BYTES, .max = 1e6,
     .help = "Length of the run in epochs, instead of steps: in one, each "
             "sample is seen as often as its source's weight says."},
    {.name = "init", .type = OPT_STRING, AT(init), .arg = "FILE",
     .flags = OPT_BYTES,
     .help = "Begin with these weights, safetensors of open_clip, transformers "
             "or a checkpoint, instead of fresh ones. The model may read "
             "larger pictures than theirs: the paper's last epoch at 336 "
             "pixels is --model ViT-L-14-336 --init of a ViT-L-14."},
    {.name = "seed", .type = OPT_U64, AT(seed), .arg = "N", .def = "0",
     .flags = OPT_BYTES, .help = "Of the first weights, of generated pairs, and of what is drawn "
             "from shards."},
    {.name = "caption-tokens", .type = OPT_U64, AT(caption_tokens),
     .arg = "N", .def = "20", .flags = OPT_BYTES, .min = 3,
     .max = CONFIG_CONTEXT_MAX,
     .help = "Mean length of generated captions, SOT and EOT included; as "
             "long as the model reads (77), all are. At most that."},
    {.name = "packed", .type = OPT_BOOL, AT(packed), .def = "yes",
     .flags = OPT_BYTES,
     .help = "Compute what stands behind a caption's EOT, too, though nobody "
             "reads it (by default it is left out)."},
    {.name = "reduce", .type = OPT_BOOL, AT(reduce), .def = "yes",
     .flags = OPT_BYTES,
     .help = "Of the last block, compute all rows, though one is read (by "
             "default that one alone)."},
    {.name = "recompute", .type = OPT_BOOL, AT(recompute), .flags = OPT_BYTES,
     .help = "Keep of each block its input and make the rest again."},
    {.name = "objective", .type = OPT_CHOICE, AT(objective),
     .def = "contrastive", .choices = objective_names, .flags = OPT_BYTES,
     .help = "What is learned. contrastive: CLIP's; bow: to predict the words "
             "of a picture's caption; caption: the caption, token by token, "
             "with the text tower as decoder. For a model JSON that names "
             "one, it is that one unless another is asked for here."},
    {.name = "loss", .type = OPT_CHOICE, AT(loss), .def = "infonce",
     .choices = loss_names, .flags = OPT_BYTES,
     .help = "infonce: CLIP's; sigmoid: SigLIP's, with its bias."},
    {.name = "lr", .type = OPT_DOUBLE, AT(lr), .arg = "RATE", .max = 100,
     .flags = OPT_BYTES, .help = "Learning rate at its peak; 0: the model's as "
                                 "published (5e-4 for ViT-B-32)."},
    {.name = "warmup", .type = OPT_U64, AT(warmup), .arg = "STEPS",
     .max = 1e9, .flags = OPT_BYTES,
     .help = "Over which the rate rises to its peak; 0: 2,000 as published, "
             "or a tenth of the run where that is less; 1: none."},
    {.name = "beta1", .type = OPT_DOUBLE, AT(beta1), .arg = "X", .max = 0.9999,
     .flags = OPT_BYTES, .help = "AdamW's; 0: 0.9."},
    {.name = "beta2", .type = OPT_DOUBLE, AT(beta2), .arg = "X",
     .max = 0.999999, .flags = OPT_BYTES,
     .help = "AdamW's; 0: 0.98 for a ViT, 0.999 for a ResNet."},
    {.name = "eps", .type = OPT_DOUBLE, AT(eps), .arg = "X", .max = 1,
     .flags = OPT_BYTES,
     .help = "AdamW's; 0: 1e-6 for a ViT, 1e-8 for a ResNet."},
    {.name = "decay", .type = OPT_DOUBLE, AT(decay), .arg = "X", .def = "0.2",
     .max = 100, .flags = OPT_BYTES, .help = "Weight decay."},
    {.name = "decay-rule", .type = OPT_CHOICE, AT(rule), .def = "paper",
     .choices = rule_names, .flags = OPT_BYTES,
     .help = "Which weights decay. paper: no gains, biases and scale; rank: "
             "what has two dimensions, but class and position embeddings."},
    {.name = "clip-norm", .type = OPT_DOUBLE, AT(clip_norm), .arg = "X",
     .max = 1e9, .flags = OPT_BYTES,
     .help = "Longest gradient; longer ones are shortened to it. 0: off."},
    {.name = "skip-spikes", .type = OPT_DOUBLE, AT(skip_spikes), .arg = "X",
     .def = "0", .max = 1e9, .flags = OPT_BYTES,
     .help = "Leave out a step whose gradient is longer than X times the "
             "median of the last 128 (10 is an alarm in any case), or not "
             "finite, up to ten in a row; the weights stay as they were. 0: "
             "none, and what is not finite ends the run."},
    {.name = "stochastic", .type = OPT_BOOL, AT(stochastic),
     .flags = OPT_BYTES,
     .help = "With bf16, round the weights that products read up or down by "
             "chance, right on average, the same in every run."},
    {.name = "moments", .type = OPT_CHOICE, AT(moments), .def = "fp32",
     .choices = moment_names, .flags = OPT_BYTES,
     .help = "AdamW's means of the gradient and of its square: in float, or in "
             "bfloat16, half of their memory, rounded by chance so that they "
             "follow small changes, too; the same in every run."},
    {.name = "tune", .type = OPT_BOOL, AT(tune), .flags = OPT_BYTES,
     .help = "On a GPU, time several kernels for each product before the first "
             "step and take the fastest, for up to 20 seconds. Which that is "
             "may differ from run to run, and with it the last bits of the "
             "weights; without, a run repeats bit for bit."},
    {.name = "profile", .type = OPT_BOOL, AT(profile),
     .help = "Behind the run, take one more step apart: every operation by "
             "shape with its time, its rate and bandwidth, and how near it "
             "comes to what this device was measured to do."},
    {.name = "out", .type = OPT_STRING, AT(out), .arg = "FOLDER",
     .help = "Where the run is kept: log.jsonl, event files for TensorBoard "
             "and checkpoints, each a model by itself. Default: models/NAME of "
             "the corpus, NAME the model's; with --generated nothing is kept "
             "but what --log and --save name."},
    {.name = "resume", .type = OPT_BOOL, AT(resume),
     .help = "Go on from the last whole checkpoint in --out, or begin where "
             "there is none. The options that change results must be those it "
             "was made with; of the same ranks, threads and libraries the "
             "curve is then the one of a run that never stopped, bit for bit."},
    {.name = "checkpoint-every", .type = OPT_U64, AT(checkpoint_every),
     .arg = "STEPS", .def = "0", .max = 1e9,
     .help = "A checkpoint every so many steps, and at the end. 0: by time "
             "alone."},
    {.name = "checkpoint-minutes", .type = OPT_DOUBLE, AT(checkpoint_minutes),
     .arg = "X", .def = "30", .max = 1e6,
     .help = "And when the last one is so old. 0: never for that."},
    {.name = "keep", .type = OPT_U64, AT(keep), .arg = "N", .def = "2",
     .min = 1, .max = 1e9,
     .help = "Checkpoints that stay: the last so many, and the best by what "
             "an evaluation says."},
    {.name = "keep-every", .type = OPT_U64, AT(keep_every), .arg = "STEPS",
     .def = "0", .max = 1e9,
     .help = "And those of every so many steps. 0: no more."},
    {.name = "log", .type = OPT_STRING, AT(log), .arg = "FILE",
     .help = "Write the settings and every step to it, a JSON object a line. "
             "Default: log.jsonl in --out."},
    {.name = "save", .type = OPT_STRING, AT(save), .arg = "FILE",
     .help = "Write the weights at the end, as safetensors in open_clip's "
             "names, and open_clip_config.json beside it."},
};

static const struct opt_table table = {
    .command = "train",
    .synopsis = "CORPUS|--data SPEC|--generated [options]",
    .summary = "Train a CLIP model.",
    .details =
        "Takes steps of AdamW from fresh weights and prints what it took: "
        "losses, images a second, operations a second. Of the same options, "
        "device, libraries and number of ranks the weights are the same to the "
        "last bit, unless --tune chose.\n\n"
        "Which sample is seen when is a function of the seed and its position "
        "alone: the same for any number of ranks, threads and workers. "
        "Pictures that cannot be decoded and samples without text are replaced "
        "by others of the window, and counted; a shard that is gone or has "
        "changed ends the run. Tars without an index are read through once. "
        "Pictures get Pillow's bytes (but with --fast-decode).\n\n"
        "mpirun, torchrun and srun start several processes (ranks), which "
        "train one model, each on its part of every batch: over MPI on "
        "processors (a build with MPI=1), over NCCL on GPUs (CUDA=1). Their "
        "number changes the result by rounding alone. Rank 0 prints, logs and "
        "saves; when one rank fails, all end with exit code 3.\n\n"
        "Useful operations are those of the whole model with every caption "
        "padded, whatever this run left out or made twice; executed ones are "
        "what it did.",
    .examples =
        "witmill train corpus --vocabulary bpe_simple_vocab_16e6.txt.gz "
        "--model ViT-B-32 --epochs 32\n"
        "witmill train corpus --balance 20000 --data more/shards@0.5 "
        "--batch 4096 --device cuda --precision bf16\n"
        "witmill train --data 'laion/{00000..00099}.tar' --vocabulary "
        "bpe_simple_vocab_16e6.txt.gz --crop resized --fast-decode\n"
        "witmill train --generated --model tiny-vit --batch 64 --lr 0.002\n"
        "witmill train --generated --model tiny-vit --batch 64 --steps 2000 "
        "--out models/tiny --checkpoint-every 500 --resume\n"
        "witmill train --generated --model ViT-B-32 --device cuda "
        "--precision bf16 --batch 4096 --save models/first.safetensors\n"
        "mpirun -n 4 witmill train --generated --model tiny-vit --batch 64\n"
        "torchrun --nproc-per-node 8 --no-python witmill train --generated "
        "--device cuda --precision bf16 --batch 32768\n"
        "witmill train --generated --precision bf16 --batch 32 --steps 3 "
        "--profile",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct train_options),
};

static int read_model(struct clip_config *c, const struct train_options *t,
                      struct err *e)
{
    struct buf b;
    int rc;

    if (!str_ends(str_of(t->model), STR(".json")))
        rc = clip_config_find(c, t->model, e);
    else {
        buf_init(&b, CONFIG_JSON_MAX);
        rc = io_read_file(t->model, &b, e);
        if (!rc)
            rc = clip_config_parse(c, buf_str(&b), t->model, e);
        buf_release(&b);
    }
    if (!rc && t->objective)
        c->objective = (enum objective)t->objective;
    if (!rc && t->loss == LOSS_SIGMOID && !c->logit_bias) {
        c->logit_bias = true; /* as Zhai et al. 2023 begin */
        c->init_logit_bias = -10;
        c->init_logit_scale = log(10);
    }
    return rc;
}

static void optimiser(struct optim_config *o, const struct train_options *t,
                      const struct clip_config *model, uint64_t steps)
{
    uint64_t tenth = steps / 10;

    optim_defaults(o, model);
    o->total = steps;
    o->rule = (enum decay_rule)t->rule;
    o->decay = t->decay;
    o->clip_norm = t->clip_norm;
    o->stochastic = t->stochastic;
    o->warmup = t->warmup ? t->warmup : tenth < WARMUP ? tenth : WARMUP;
    o->lr = t->lr > 0 ? t->lr : o->lr;
    o->beta1 = t->beta1 > 0 ? t->beta1 : o->beta1;
    o->beta2 = t->beta2 > 0 ? t->beta2 : o->beta2;
    o->eps = t->eps > 0 ? t->eps : o->eps;
}

static void print_libraries(const struct backend_counts *l)
{
    if (l->products) {
        printf("  %-30s %12d of %d\n", "product shapes refused",
               l->products_refused, l->products);
        printf("  %-30s %12d of %d\n", "timed kernels taken",
               l->products_changed, l->products_timed);
    }
    if (l->convolutions)
        printf("  %-30s %12d of %d\n", "convolution shapes refused",
               l->convolutions_refused, l->convolutions);
}

static void print(const struct run_config *c, const struct run_summary *s)
{
    double mean = s->seconds / (double)s->timed;
    const char *each = c->launch.size > 1 ? "  on each rank" : "";

    if (!s->steps) {
        if (s->stopped)
            printf("train: stopped before a step was taken\n");
        else
            printf("train: all %llu steps have been taken\n",
                   (unsigned long long)c->steps);
        return;
    }
    printf("train: %s, %llu steps of %d pairs in %s on %s\n",
           c->model.name[0] ? c->model.name : "a model",
           (unsigned long long)s->steps, c->batch,
           c->act == DTYPE_BF16 ? "bf16" : "fp32", s->device);
    if (s->begin)
        printf("  %-30s %12llu\n", "steps taken before",
               (unsigned long long)s->begin);
    if (s->left_out)
        printf("  %-30s %12llu\n", "steps left out",
               (unsigned long long)s->left_out);
    if (c->launch.size > 1)
        printf("  %-30s %12d  over %s, started by %s\n", "ranks",
               c->launch.size, s->ranks, c->launch.by);
    printf("  %-30s %12.4f\n", "loss of the first step", s->first);
    if (!s->stopped)
        printf("  %-30s %12.4f\n", "of the last tenth", s->last);
    if (!s->timed)
        return;
    printf("  %-30s %12.1f\n", "images a second", c->batch / mean);
    printf("  %-30s %12.1f\n", "by the median step", c->batch / s->median_s);
    printf("  %-30s %12.4f\n", "seconds a step", mean);
    printf("  %-30s %12.4f to %.4f\n", "seconds of 8 steps in 10", s->fast_s,
           s->slow_s);
    printf("  %-30s %12.3f\n", "useful TFLOP/s",
           (double)s->useful / mean * 1e-12);
    printf("  %-30s %12.3f\n", "executed TFLOP/s", s->executed / mean * 1e-12);
    printf("  %-30s %12.1f%s\n", "seconds waited for pairs", s->waited_s,
           c->launch.size > 1 ? "  by the slowest rank of each step" : "");
    if (c->backend == BACKEND_CUDA)
        printf("  %-30s %12.3f\n", "seconds a GPU stood for pixels",
               s->upload_s);
    printf("  %-30s %12.1f%s\n", "MiB of activations",
           (double)s->activations / 1048576, each);
    printf("  %-30s %12.1f%s\n", "MiB of weights and moments",
           (double)s->weights / 1048576, each);
    print_libraries(&s->libraries);
    if (c->data)
        train_data_print(c->data, &s->load, s->workers, s->replaced,
                         (uint64_t)c->batch * s->steps, s->seconds,
                         s->waited_s);
}

static void fill(struct run_config *c, const struct train_options *t)
{
    c->backend = (enum backend)t->device;
    c->device.threads = (int)t->threads;
    c->device.tune = t->tune;
    c->act = t->precision ? DTYPE_BF16 : DTYPE_F32;
    c->options = (struct clip_options){.chunk = (int)t->chunk,
                                       .bn_batch = (int)t->bn_batch,
                                       .packed = t->packed,
                                       .reduce = t->reduce,
                                       .recompute = t->recompute,
                                       .loss = (enum loss_kind)t->loss};
    c->half_moments = t->moments == 1;
    c->batch = (int)t->batch;
    c->seed = t->seed;
    c->caption_tokens = (int)t->caption_tokens;
    c->feed_threads = (int)t->feed_threads;
    c->init = t->init;
    c->log = t->log;
    c->save = t->save;
    c->resume = t->resume;
    c->checkpoint_every = t->checkpoint_every;
    c->checkpoint_minutes = t->checkpoint_minutes;
    c->keep = (struct checkpoint_rules){t->keep, t->keep_every};
    c->skip_spikes = t->skip_spikes;
}

/* A rank's own share of the processors, where nobody has bound it to some. */
static int threads_of(const struct launch *l)
{
    long all = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_set_t mine;

    if (l->here < 2 || sched_getaffinity(0, sizeof mine, &mine) ||
        CPU_COUNT(&mine) < all)
        return 0;
    return all > l->here ? (int)(all / l->here) : 1;
}

/* Which GPU, which processors. */
static int place(struct run_config *c, const struct train_options *t,
                 struct err *e)
{
    uint64_t gpu = (uint64_t)c->launch.gpu;

    if (t->gpu && c->backend != BACKEND_CUDA)
        return err_set(e, E_USAGE, "--gpu %s: --device is %s", t->gpu,
                       backend_names[c->backend]);
    if (t->gpu && (str_u64(str_of(t->gpu), &gpu) || gpu > 1023))
        return err_set(e, E_USAGE, "--gpu %s: not a number from 0 to 1023",
                       t->gpu);
    if (t->gpu && c->launch.here > 1)
        log_event("warning",
                  "rank %d of %d takes GPU %s, as --gpu says, and not the one "
                  "of its number",
                  c->launch.rank, c->launch.size, t->gpu);
    c->device.gpu = (int)gpu;
    if (!c->device.threads)
        c->device.threads = threads_of(&c->launch);
    c->workers = t->data.workers ? (unsigned)t->data.workers
                                 : (unsigned)threads_of(&c->launch);
    return 0;
}

/* --out, or models/NAME of the corpus; "" for none. */
static int name_folder(const struct train_options *t, char out[IO_PATH_MAX],
                       struct err *e)
{
    const char *slash = strrchr(t->model, '/');
    struct str name = str_of(slash ? slash + 1 : t->model);
    int n;

    if (str_ends(name, STR(".json")))
        name = str_slice(name, 0, name.n - 5);
    if (t->out)
        n = snprintf(out, IO_PATH_MAX, "%s", t->out);
    else if (t->data.corpus)
        n = snprintf(out, IO_PATH_MAX, "%s/models/%.*s", t->data.corpus,
                     STR_ARG(name));
    else
        n = out[0] = 0;
    if (n >= IO_PATH_MAX)
        return err_set(e, E_TOOBIG, "--out: path too long");
    if (t->resume && !out[0])
        return err_set(e, E_USAGE,
                       "--resume: of which run? name its folder with --out");
    return 0;
}

/* Options into a run; what is wrong with them is all ranks' business. */
static int prepare(struct run_config *c, const struct train_options *t,
                   char folder[IO_PATH_MAX], struct dataset *d, struct err *e)
{
    bool own = str_ends(str_of(t->model), STR(".json"));
    int rc = read_model(&c->model, t, e);

    fill(c, t);
    if (!rc)
        rc = place(c, t, e);
    if (!rc)
        rc = name_folder(t, folder, e);
    if (!rc && !t->data.generated) {
        rc = train_data_open(&t->data, t->seed, t->batch, &c->model, own, d, e);
        c->data = d;
    }
    if (!rc)
        rc = train_data_steps(&t->data, c->data, t->batch, &c->steps, e);
    if (rc)
        return rc;
    c->folder = folder[0] ? folder : NULL;
    optimiser(&c->optim, t, &c->model, c->steps);
    if (c->caption_tokens > c->model.text.context_length)
        c->caption_tokens = c->model.text.context_length;
    return 0;
}

/* Ctrl-C is waited for where there is something to go on from. */
static int take_steps(struct run_config *c, struct run_summary *s,
                      struct err *e)
{
    int rc;

    if (!c->folder)
        return run_train(c, s, e);
    c->stop = interrupt_listen();
    rc = run_train(c, s, e);
    if (s->stopped) /* said once */
        return interrupt_end(rc, c->launch.rank ? NULL : e);
    interrupt_end(0, NULL);
    return rc;
}

static int train(const struct train_options *t, struct run_config *c,
                 struct err *e)
{
    struct run_summary s;
    struct buf settings, profile;
    int rc;

    buf_init(&settings, 1 << 16);
    opt_json(&table, t, &settings);
    c->settings = buf_str(&settings);
    buf_init(&profile, 1 << 20);
    if (t->profile)
        c->profile = &profile;
    rc = take_steps(c, &s, e);
    if (!rc && profile.rc)
        rc = err_set(e, -profile.rc, "the profile");
    if ((!rc || s.stopped) && !c->launch.rank) {
        print(c, &s);
        fwrite(profile.p ? profile.p : "", 1, profile.n, stdout);
    }
    buf_release(&settings);
    buf_release(&profile);
    return rc;
}

static int run(const void *config, struct err *e)
{
    const struct train_options *t = config;
    char folder[IO_PATH_MAX];
    struct run_config c = {0};
    struct dataset d = {0};
    int rc = train_data_check(&t->data, e);

    if (!rc)
        rc = launch_read(&c.launch, e);
    if (rc)
        return rc;
    c.unready = prepare(&c, t, folder, &d, e);
    rc = c.unready && c.launch.size == 1 ? c.unready : train(t, &c, e);
    dataset_close(&d);
    return rc;
}

const struct command cmd_train = {.options = &table, .run = run};
