#include <stdio.h>
#include <string.h>

#include "tools/command.h"
#include "tools/eval_model.h"
#include "tools/print.h"
#include "train/embedding.h"

enum action { PICTURES, TEXTS };

struct embed_options {
    struct eval_model_options m;
    int action, type;
    const char *data, *split, *output;
    uint64_t workers;
};

#define AT(field) .at = offsetof(struct embed_options, field)

static const char *const action_names[] = {"pictures", "texts", NULL};
static const char *const type_names[] = {"f32", "f16", NULL};

static const struct opt rows[] = {
    {.name = "what", .type = OPT_CHOICE, AT(action), .arg = "pictures|texts",
     .choices = action_names, .flags = OPT_POSITIONAL | OPT_REQUIRED,
     .help = "pictures: of shards; texts: lines of a file."},
    EVAL_MODEL_OPTIONS(struct embed_options),
    {.name = "data", .type = OPT_STRING, AT(data), .arg = "SPEC",
     .flags = OPT_REQUIRED,
     .help = "Shards (a corpus, a folder of tars, a tar, names such as "
             "DIR/{00000..00099}.tar, a benchmark's folder), or a file of "
             "texts, plain or compressed, - for standard input."},
    {.name = "split", .type = OPT_STRING, AT(split), .arg = "NAME",
     .help = "Of a benchmark: train, or test, which is the default."},
    {.name = "output", .type = OPT_STRING, AT(output), .arg = "FILE.npy",
     .flags = OPT_REQUIRED,
     .help = "Where the features go: [n, dim]. The pictures' keys go to "
             "FILE.keys, one a line."},
    {.name = "type", .type = OPT_CHOICE, AT(type), .def = "f32",
     .choices = type_names, .help = "Of the numbers in the file."},
    {.name = "workers", .type = OPT_U64, AT(workers), .arg = "N", .max = 256,
     .help = "Processes that decode pictures; 0: one a processor."},
};

static const struct opt_table table = {
    .command = "embed",
    .synopsis = "pictures|texts --model FILE|DIR --data SPEC --output FILE.npy",
    .summary = "Write a model's features of pictures or texts as .npy.",
    .details =
        "Features are normalised, a row each, in the order of the samples or "
        "lines. Pictures that cannot be used are left out, named and counted, "
        "and have no key; every line of text has a row. The file appears when "
        "it is whole.",
    .examples =
        "witmill embed pictures --model runs/b32 --data corpus --output "
        "pictures.npy\n"
        "witmill embed texts --model runs/b32 --data queries.txt --output "
        "queries.npy --type f16",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct embed_options),
};

/* FILE.npy's keys: FILE.keys. */
static int keys_path(const char *output, char *path, struct err *e)
{
    size_t n = strlen(output);

    if (str_ends(str_of(output), STR(".npy")))
        n -= 4;
    if (n + sizeof ".keys" > IO_PATH_MAX)
        return err_set(e, E_TOOBIG, "path too long: %.400s", output);
    snprintf(path, IO_PATH_MAX, "%.*s.keys", (int)n, output);
    return 0;
}

static int pictures(struct encoder *n, struct evalset *s,
                    struct npy_writer *to, const char *output, struct err *e)
{
    char path[IO_PATH_MAX];
    struct io_file keys;
    int rc = keys_path(output, path, e);

    if (!rc)
        rc = io_file_open(&keys, path, e);
    if (rc)
        return rc;
    rc = embed_pictures(n, s, to, &keys, e);
    if (!rc)
        return io_file_publish(&keys, e);
    io_file_abandon(&keys);
    return rc;
}

static int texts(struct encoder *n, const char *data, struct npy_writer *to,
                 struct err *e)
{
    struct stream *in;
    struct lines l;
    int rc = stream_open(&in, data, e);

    if (rc)
        return rc;
    lines_init(&l, in, TOKENIZER_TEXT_MAX);
    rc = embed_lines(n, &l, to, e);
    lines_release(&l);
    stream_close(in);
    return rc ? err_wrap(e, rc, "%s", data) : 0;
}

static int write_rows(const struct embed_options *o, struct encoder *n,
                      struct evalset *s, struct err *e)
{
    struct npy_writer to;
    int rc = npy_writer_open(&to, o->output, o->type ? NPY_F16 : NPY_F32,
                             (uint64_t)n->dim, e);

    if (rc)
        return rc;
    rc = o->action == PICTURES ? pictures(n, s, &to, o->output, e)
                               : texts(n, o->data, &to, e);
    if (rc) {
        npy_writer_abandon(&to);
        return rc;
    }
    rc = npy_writer_publish(&to, e);
    if (rc)
        return rc;
    printf("  %-24s %9s  of %d numbers\n", "rows", print_n(to.rows), n->dim);
    if (o->action == TEXTS)
        return 0;
    printf("  %-24s %9s\n", "samples", print_n(s->seen));
    for (size_t i = 0; i < s->left_out.n; i++)
        printf("    left out: %-12s %9s\n", s->left_out.rows[i].name,
               print_n(s->left_out.rows[i].n));
    return 0;
}

static int run(const void *config, struct err *e)
{
    const struct embed_options *o = config;
    struct evalset_config c = {.data = o->data,
                               .split = o->split,
                               .need = EVALSET_PICTURES,
                               .batch = (int)o->m.batch,
                               .workers = (unsigned)o->workers};
    struct evalset s = {0};
    struct encoder n = {0};
    struct eval_model m;
    int rc = eval_model_find(&m, &o->m, e);

    if (rc)
        return rc;
    c.size = (uint32_t)m.config.vision.image_size;
    if (o->action == PICTURES)
        rc = evalset_open(&s, &c, e);
    if (!rc)
        rc = eval_model_open(&m, &o->m, false, e);
    if (!rc)
        rc = encoder_open(&n, &m.clip, &m.options, (int)o->m.batch,
                          m.tokenizer, e);
    if (!rc)
        rc = write_rows(o, &n, &s, e);
    encoder_close(&n);
    evalset_close(&s);
    eval_model_close(&m);
    return rc;
}

const struct command cmd_embed = {.options = &table, .run = run};
