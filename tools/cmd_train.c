#include <stdio.h>

#include "base/buf.h"
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/train_options.h"
#include "tools/train_print.h"
#include "tools/train_setup.h"
#include "train/launch.h"

static const char *const precision_names[] = {"fp32", "bf16", NULL};
static const char *const loss_names[] = {"infonce", "sigmoid", NULL};
static const char *const moment_names[] = {"fp32", "bf16", NULL};
static const char *const rule_names[] = {"paper", "rank", NULL};

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
             "query ids and the counts.tsv that our shards have: each --data "
             "must be of such a corpus. 0: train on all."},
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
     .flags = OPT_BYTES, .min = 1e-6, .max = 1e6,
     .help = "Length of the run in epochs, instead of steps: in one, each "
             "sample is seen as often as its source's weight says."},
    {.name = "init", .type = OPT_STRING, AT(init), .arg = "FILE|DIR",
     .flags = OPT_BYTES,
     .help = "Begin with these weights, safetensors of open_clip, transformers "
             "or a checkpoint, or a folder with one, or a run's folder (its "
             "last checkpoint), instead of fresh ones. The model may read "
             "larger pictures than theirs: the paper's last epoch at 336 "
             "pixels is --model ViT-L-14-336 --init of a ViT-L-14."},
    {.name = "seed", .type = OPT_U64, AT(seed), .arg = "N", .def = "0",
     .flags = OPT_BYTES,
     .help = "Of the first weights, of generated pairs, and of what is drawn "
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
             "finite, up to ten in a row; the weights stay as they were. At "
             "least 1; 0: none, and what is not finite ends the run."},
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
             "the corpus, NAME the model's. With --generated, or --data alone, "
             "there is none, and nothing is kept but what --log and --save "
             "name; of --data alone one of the three is asked for."},
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
    TRAIN_EVAL_OPTIONS(struct train_options, eval),
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
        "changed ends the run, with a checkpoint where --out is. "
        "Tars without an index are read through once. "
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
        "bpe_simple_vocab_16e6.txt.gz --crop resized --fast-decode "
        "--out models/laion\n"
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
        train_print(c, t->model, &s);
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
    struct train_eval v = {0};
    struct dataset d = {0};
    int rc = train_setup_check(t, e);

    if (!rc)
        rc = launch_read(&c.launch, e);
    if (rc)
        return rc;
    c.unready = train_setup(&c, t, folder, &d, &v, e);
    rc = c.unready && c.launch.size == 1 ? c.unready : train(t, &c, e);
    train_eval_close(&v);
    dataset_close(&d);
    return rc;
}

const struct command cmd_train = {.options = &table, .run = run};
