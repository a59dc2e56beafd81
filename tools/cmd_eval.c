#include <stdio.h>

#include "base/buf.h"
#include "tools/command.h"
#include "tools/eval_model.h"
#include "tools/print.h"
#include "train/evaluator.h"

struct eval_options {
    struct eval_model_options m;
    int task;
    const char *data, *split, *classnames, *templates, *caption_key, *prefix;
    const char *cache;
    uint64_t workers;
    double fail_under;
    bool json, per_class;
};

#define AT(field) .at = offsetof(struct eval_options, field)

static const char *const task_names[] = {"zeroshot", "retrieval", NULL};

static const struct opt rows[] = {
    {.name = "task", .type = OPT_CHOICE, AT(task), .arg = "zeroshot|retrieval",
     .choices = task_names, .flags = OPT_POSITIONAL | OPT_REQUIRED,
     .help = "zeroshot: pictures of labelled classes, told apart by the names "
             "of these; retrieval: pictures and captions that find each "
             "other."},
    EVAL_MODEL_OPTIONS(struct eval_options),
    {.name = "data", .type = OPT_STRING, AT(data), .arg = "SPEC",
     .flags = OPT_REQUIRED,
     .help = "A benchmark's folder as CLIP_benchmark publishes them "
             "(webdataset), or any shards with .cls or captions: a corpus, a "
             "folder of tars, a tar, or names such as DIR/{00000..00099}.tar."},
    {.name = "split", .type = OPT_STRING, AT(split), .arg = "NAME",
     .help = "Of a benchmark: train, or test, which is the default."},
    {.name = "classnames", .type = OPT_STRING, AT(classnames), .arg = "FILE",
     .help = "Names of classes, one a line, label 0 first. Default: the "
             "benchmark's classnames.txt."},
    {.name = "templates", .type = OPT_STRING, AT(templates), .arg = "FILE",
     .help = "Sentences for a name, one a line, {} or {c} in its place; of "
             "several the mean is taken. Default: the benchmark's, or "
             "\"" ZEROSHOT_TEMPLATE "\"."},
    {.name = "cache", .type = OPT_STRING, AT(cache), .arg = "DIR",
     .help = "Keep classifiers there, and take those of the same weights, "
             "names and templates."},
    {.name = "caption-key", .type = OPT_STRING, AT(caption_key), .arg = "KEY",
     .help = "Read captions from this member of the .json, a string or an "
             "array of strings. Default: texts of a .json of ours, else the "
             "lines of the .txt."},
    {.name = "prefix", .type = OPT_STRING, AT(prefix), .arg = "TEXT",
     .help = "Put before every caption: the paper has \"a photo of \"."},
    {.name = "workers", .type = OPT_U64, AT(workers), .arg = "N", .max = 256,
     .help = "Processes that decode pictures; 0: one a processor."},
    {.name = "fail-under", .type = OPT_DOUBLE, AT(fail_under), .arg = "X",
     .max = 1,
     .help = "Exit code 1 when top-1, the mean average precision, or the mean "
             "of both R@1, is less: a share, 0.63 for 63%."},
    {.name = "per-class", .type = OPT_BOOL, AT(per_class),
     .help = "Class by class, too."},
    {.name = "json", .type = OPT_BOOL, AT(json),
     .help = "Print one JSON object instead, with all classes."},
};

static const struct opt_table table = {
    .command = "eval",
    .synopsis = "zeroshot|retrieval --model FILE|DIR --data SPEC [options]",
    .summary = "Measure a model: zero-shot classification, retrieval.",
    .details =
        "Zero-shot: every class is the mean of its name in all templates; a "
        "picture is of the class whose text is nearest. Printed are top-1, "
        "top-5 and the mean recall of classes. Of a benchmark whose "
        "dataset_type.txt says multilabel (a .npy with a 0 or 1 a class, or a "
        ".cls with several numbers) it is the mean over classes of the average "
        "precision: all pictures sorted by the class's score, the mean, over "
        "its own, of the share of its own up to there, as CLIP_benchmark has "
        "it; not the 11 points of VOC 2007, which the paper reports.\n\n"
        "Retrieval: R@k is the share of pictures with one of their captions "
        "among the k nearest of all captions, and of captions with their "
        "picture among the k nearest.\n\n"
        "A model trained with --objective bow is asked for the mean "
        "log-probability of a text's words, one of --objective caption for that "
        "of a text's tokens, of a class the mean over templates; every prompt "
        "of a caption model is a pass through its decoder for every picture, "
        "nothing of it is cached, and retrieval, which is all pairs, is "
        "refused.\n\n"
        "Pictures get Pillow's bytes, texts the published tokenizer's ids: "
        "figures are those that open_clip gets with the same weights, to the "
        "rounding of features. Of equal products the first counts as nearer. "
        "Samples that cannot be used are left out, named and counted.",
    .examples =
        "witmill eval zeroshot --model runs/b32 --data wds_cifar10\n"
        "witmill eval zeroshot --model model.safetensors --vocabulary "
        "bpe_simple_vocab_16e6.txt.gz --data cifar10.tar --classnames "
        "cifar10.txt --json\n"
        "witmill eval retrieval --model runs/b32 --data wds_flickr30k "
        "--prefix 'a photo of '\n"
        "witmill eval retrieval --model runs/b32 --data corpus/shards "
        "--fail-under 0.3",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct eval_options),
};

/* ---- printing ---- */

static void print_line(const char *name, double share)
{
    printf("  %-24s %8.2f%%\n", name, 100 * share);
}

static void print_left_out(const struct evalset *s)
{
    printf("  %-24s %9s  of %s samples\n", "images", print_n(s->given),
           print_n(s->seen));
    for (size_t i = 0; i < s->left_out.n; i++)
        printf("    left out: %-12s %9s\n", s->left_out.rows[i].name,
               print_n(s->left_out.rows[i].n));
}

static void print_classes(const struct evaluator *v)
{
    printf("\n  %-32s %9s %9s %9s %9s\n", "class", "images", "top-1", "top-5",
           "told");
    for (size_t i = 0; i < v->score.classes; i++) {
        const struct zeroshot_class *k = &v->score.of[i];

        printf("  ");
        print_cell(stdout, v->prompts.names.v[i], 2, 32);
        printf(" %9s %9s %9s %9s\n", print_n(k->images),
               print_share(k->right, k->images),
               print_share(k->top5, k->images), print_n(k->told));
    }
}

static void print_zeroshot(const struct evaluator *v, bool per_class)
{
    const struct zeroshot_score *s = &v->score;

    printf("  %-24s %9s  %s templates%s\n", "classes", print_n(s->classes),
           print_n(v->prompts.templates.n),
           v->cached ? ", from the cache" : "");
    print_line("top-1", (double)s->right / (double)s->images);
    if (s->classes > 5)
        print_line("top-5", (double)s->top5 / (double)s->images);
    print_line("mean per-class recall", zeroshot_recall(s));
    print_line("chance", 1 / (double)s->classes);
    if (per_class)
        print_classes(v);
}

static void print_precision(const struct evaluator *v, bool per_class)
{
    const struct precision *p = &v->precision;

    printf("  %-24s %9s  %s templates%s\n", "classes", print_n(p->classes),
           print_n(v->prompts.templates.n),
           v->cached ? ", from the cache" : "");
    print_line("mean average precision", v->mean);
    print_line("chance", precision_chance(p));
    if (per_class)
        printf("\n  %-32s %9s %9s\n", "class", "images", "AP");
    for (size_t i = 0; per_class && i < p->classes; i++) {
        printf("  ");
        print_cell(stdout, v->prompts.names.v[i], 2, 32);
        printf(" %9s %8.2f%%\n", print_n(p->of[i].images),
               100 * p->of[i].average);
    }
}

static void print_retrieval(const struct retrieval_result *r)
{
    printf("  %-24s %9s\n", "texts", print_n(r->texts));
    printf("  %-24s %9s %9s %9s  %s\n", "", "R@1", "R@5", "R@10",
           "median rank");
    printf("  %-24s %8.2f%% %8.2f%% %8.2f%%  %g\n", "image to text",
           100 * r->to_text[0], 100 * r->to_text[1], 100 * r->to_text[2],
           r->rank_text);
    printf("  %-24s %8.2f%% %8.2f%% %8.2f%%  %g\n", "text to image",
           100 * r->to_picture[0], 100 * r->to_picture[1],
           100 * r->to_picture[2], r->rank_picture);
}

static int print_json(const struct evaluator *v, const struct eval_model *m,
                      double metric, struct err *e)
{
    struct json_out o;
    struct buf b;
    int rc = 0;

    buf_init(&b, (size_t)1 << 30);
    json_out_init(&o, &b);
    json_out_object(&o);
    json_put_string(&o, "model", str_of(m->weights));
    json_put_string(&o, "precision", str_of(dtype_name(m->device.act)));
    evaluator_json(v, true, &o);
    json_put_double(&o, "metric", metric);
    json_out_end_object(&o);
    buf_add_char(&b, '\n');
    if (b.rc)
        rc = err_set(e, -b.rc, "the result as JSON");
    else
        fwrite(b.p, 1, b.n, stdout);
    buf_release(&b);
    return rc;
}

static int report(const struct evaluator *v, const struct eval_model *m,
                  const struct eval_options *o, double metric, struct err *e)
{
    int rc = 0;

    if (o->json) {
        rc = print_json(v, m, metric, e);
    } else {
        printf("  %-24s %s, %s\n", "computed by", m->what,
               eval_precision_names[o->m.precision]);
        print_left_out(&v->set);
        if (v->many)
            print_precision(v, o->per_class);
        else if (v->c.task == EVALUATE_ZEROSHOT)
            print_zeroshot(v, o->per_class);
        else
            print_retrieval(&v->found);
        printf("  %-24s %9.1f\n", "seconds", v->seconds);
    }
    if (!rc && metric < o->fail_under)
        rc = err_set(e, E_NEGATIVE, "%s is %.4f, under %g",
                     v->many ? "the mean average precision"
                     : v->c.task == EVALUATE_ZEROSHOT ? "top-1"
                                                      : "the mean of both R@1",
                     metric, o->fail_under);
    return rc;
}

static int run(const void *config, struct err *e)
{
    const struct eval_options *o = config;
    struct evaluator_config c = {.task = (enum evaluator_task)o->task,
                                 .data = o->data,
                                 .split = o->split,
                                 .caption_key = o->caption_key,
                                 .classnames = o->classnames,
                                 .templates = o->templates,
                                 .prefix = o->prefix,
                                 .batch = (int)o->m.batch,
                                 .workers = (unsigned)o->workers,
                                 .threads = (unsigned)o->m.threads};
    struct evaluator v = {0};
    struct eval_model m;
    struct zeroshot_cache cache = {.folder = o->cache, .model = m.sha256};
    double metric;
    int rc = eval_model_find(&m, &o->m, e);

    if (rc)
        return rc;
    c.size = (uint32_t)m.config.vision.image_size;
    c.objective = m.config.objective;
    rc = evaluator_open(&v, &c, e);
    if (!rc)
        rc = eval_model_open(&m, &o->m, o->cache != NULL, e);
    if (!rc)
        rc = evaluator_run(&v, &m.clip, &m.options, m.tokenizer, &cache,
                           &metric, e);
    if (!rc)
        rc = report(&v, &m, o, metric, e);
    evaluator_close(&v);
    eval_model_close(&m);
    return rc;
}

const struct command cmd_eval = {.options = &table, .run = run};
