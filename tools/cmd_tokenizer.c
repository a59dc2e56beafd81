#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/log.h"
#include "base/stream.h"
#include "tools/command.h"
#include "tools/summary.h"
#include "train/config.h"
#include "train/tokenizer.h"
#include "train/vocabulary_make.h"

#define IDS_LINE_MAX (8u << 20) /* bytes of a line of ids */

enum action { TRAIN, ENCODE, DECODE };

static const char *const action_names[] = {"train", "encode", "decode", NULL};
static const char *const special_names[] = {"clip", "open_clip", NULL};

struct tokenizer_options {
    int action, specials; /* indices into the names */
    struct opt_list files;
    const char *vocabulary, *output;
    uint64_t size, least, context;
    bool json;
};

#define AT(field) .at = offsetof(struct tokenizer_options, field)

static const struct opt rows[] = {
    {.name = "action", .type = OPT_CHOICE, AT(action),
     .choices = action_names, .flags = OPT_POSITIONAL | OPT_REQUIRED,
     .help = "train makes a vocabulary of texts, encode prints the token ids "
             "of texts, decode the text of ids."},
    {.name = "files", .type = OPT_LIST, AT(files), .arg = "FILE", .def = "-",
     .flags = OPT_POSITIONAL,
     .help = "Texts, or ids for decode, one a line; plain, gzip, bzip2 or "
             "zstd; - is standard input."},
    {.name = "vocabulary", .type = OPT_STRING, AT(vocabulary), .arg = "FILE",
     .help = "For encode and decode: bpe_simple_vocab_16e6.txt.gz as "
             "published, or what train made."},
    {.name = "specials", .type = OPT_CHOICE, AT(specials), .def = "clip",
     .choices = special_names,
     .help = "How texts spell the tokens around a caption: clip, "
             "<|startoftext|> and <|endoftext|>; open_clip, <start_of_text> "
             "and <end_of_text>."},
    {.name = "context", .type = OPT_U64, AT(context), .arg = "N",
     .max = CONFIG_CONTEXT_MAX,
     .help = "Encode captions as a model takes them: N ids with the two "
             "specials, cut, or padded with 0 (CLIP's N is 77). 0: the ids of "
             "the text alone."},
    {.name = "json", .type = OPT_BOOL, AT(json),
     .help = "Encode to a JSON array a line; decode reads either form."},
    {.name = "output", .type = OPT_STRING, AT(output), .arg = "FILE",
     .help = "Where train writes the vocabulary."},
    {.name = "size", .type = OPT_U64, AT(size), .arg = "N", .def = "49408",
     .min = TOKENIZER_BYTES + 2, .max = TOKENIZER_VOCAB_MAX,
     .help = "Ids of the vocabulary that train makes: 512 for bytes, 2 for "
             "the specials, the rest from the texts."},
    {.name = "least", .type = OPT_U64, AT(least), .arg = "N", .def = "2",
     .min = 1,
     .help = "Train makes no token of a pair that comes less often; so few "
             "texts give fewer ids than --size."},
};

static const struct opt_table table = {
    .command = "tokenizer",
    .synopsis = "train|encode|decode [FILE...] [options]",
    .summary = "Make a vocabulary, turn texts into token ids and back.",
    .details =
        "CLIP's byte pair encoding. Texts are cleaned, cut and merged as the "
        "published Python tokenizer does it; only misread encodings (text "
        "that looks like caf\xc3\x83\xc2\xa9) are not repaired: encode says on "
        "standard error how many lines look so.\n\n"
        "decode leaves out the two specials and what follows the second; a "
        "word is followed by a space.\n\n"
        "train counts the words of all texts and merges the most frequent "
        "pair again and again: the same texts give the same file, in "
        "whatever order. Lines over 65,536 bytes are left out and counted.",
    .examples =
        "witmill tokenizer encode --vocabulary bpe_simple_vocab_16e6.txt.gz "
        "captions.txt\n"
        "echo 'a diagram' | witmill tokenizer encode --vocabulary v.txt "
        "--context 77 --json\n"
        "witmill tokenizer train texts.txt.zst --size 16384 --output v.txt\n"
        "echo '320 22697' | witmill tokenizer decode --vocabulary v.txt",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct tokenizer_options),
};

/* ---- lines of files ---- */

typedef int (*line_fn)(void *ctx, struct str line, struct err *e);

/* Lines that are too long are counted in left_out; where that is NULL, for a
 * line belongs to a line, one is an error. */
static int each_line_of(const char *path, size_t max, uint64_t *left_out,
                        line_fn fn, void *ctx, struct err *e)
{
    struct stream *in;
    struct lines l;
    struct str line;
    bool more = true;
    uint64_t given = 0; /* lines, the last of them by its number */
    int rc = stream_open(&in, path, e);

    if (rc)
        return rc;
    lines_init(&l, in, max);
    while (!rc && !(rc = lines_next(&l, &line, &more, e)) && more &&
           (left_out || !l.too_long)) {
        rc = fn(ctx, line, e);
        if (rc)
            err_wrap(e, rc, "%s:%" PRIu64, path, l.number);
        given = l.number;
    }
    if (left_out)
        *left_out += l.too_long;
    else if (!rc && l.too_long)
        rc = err_set(e, E_TOOBIG, "%s:%" PRIu64 ": more than %zu bytes", path,
                     given + 1, max);
    lines_release(&l);
    stream_close(in);
    return rc;
}

static int each_line(const struct opt_list *files, size_t max,
                     uint64_t *left_out, line_fn fn, void *ctx, struct err *e)
{
    int rc = 0;

    for (size_t i = 0; !rc && i < files->n; i++)
        rc = each_line_of(files->v[i], max, left_out, fn, ctx, e);
    return rc;
}

/* ---- encode and decode ---- */

struct coding {
    const struct tokenizer_options *o;
    struct tokenizer *t;
    struct tokenizer_scratch s;
    int32_t *ids;       /* of a caption, or a line to decode */
    size_t cap;
    struct buf out;
    uint64_t garbled;   /* lines */
};

static void print_ids(struct coding *c, const int32_t *ids, size_t n)
{
    const char *between = c->o->json ? "," : " ";

    buf_clear(&c->out);
    if (c->o->json)
        buf_add_char(&c->out, '[');
    for (size_t i = 0; i < n; i++)
        buf_addf(&c->out, "%s%" PRId32, i ? between : "", ids[i]);
    buf_add(&c->out, c->o->json ? STR("]\n") : STR("\n"));
    fwrite(c->out.p, 1, c->out.n, stdout);
}

static int encode_line(void *ctx, struct str line, struct err *e)
{
    struct coding *c = ctx;
    int context = (int)c->o->context, rc;

    if (context) {
        rc = tokenizer_caption(c->t, &c->s, line, context, c->ids);
        if (rc >= 0)
            print_ids(c, c->ids, (size_t)context);
        rc = rc < 0 ? rc : 0;
    } else {
        rc = tokenizer_encode(c->t, &c->s, line);
        if (!rc)
            print_ids(c, c->s.ids, c->s.n);
    }
    if (rc)
        return err_set(e, -rc, "%s", err_name(rc));
    c->garbled += c->s.garbled;
    return c->out.rc;
}

/* Digits are ids; spaces, commas and brackets stand between them. */
static int read_ids(struct coding *c, struct str line, size_t *n,
                    struct err *e)
{
    size_t at = 0, end;

    for (*n = 0; at < line.n; at = end) {
        uint64_t id = 0;

        for (end = at; end < line.n && str_is_digit(line.p[end]);)
            end++;
        if (end == at) {
            if (!strchr(" \t,[]", line.p[at]) || !line.p[at])
                return err_set(e, E_FORMAT, "neither ids nor a JSON array");
            end++;
            continue;
        }
        if (str_u64(str_slice(line, at, end), &id) ||
            id >= (uint64_t)tokenizer_vocab(c->t))
            return err_set(e, E_RANGE, "%.*s is no id of this vocabulary",
                           (int)(end - at < 40 ? end - at : 40), line.p + at);
        if (id == (uint64_t)tokenizer_eot(c->t))
            break;
        if (id == (uint64_t)tokenizer_sot(c->t))
            continue;
        c->ids[(*n)++] = (int32_t)id;
    }
    return 0;
}

static int decode_line(void *ctx, struct str line, struct err *e)
{
    struct coding *c = ctx;
    size_t n;
    int rc;

    if (line.n > c->cap) { /* more bytes than ids */
        free(c->ids);
        c->ids = malloc(line.n * sizeof *c->ids);
        c->cap = c->ids ? line.n : 0;
        if (!c->ids)
            return err_set(e, E_NOMEM, "no memory for a line");
    }
    rc = read_ids(c, line, &n, e);
    if (rc)
        return rc;
    buf_clear(&c->out);
    rc = tokenizer_decode(c->t, c->ids, n, &c->out);
    if (rc)
        return err_set(e, -rc, "%s", err_name(rc));
    buf_add_char(&c->out, '\n');
    fwrite(c->out.p, 1, c->out.n, stdout);
    return c->out.rc;
}

static int code(const struct tokenizer_options *o, struct err *e)
{
    struct coding c = {.o = o};
    int rc;

    if (!o->vocabulary)
        return err_set(e, E_USAGE, "--vocabulary is missing");
    if (o->output)
        return err_set(e, E_USAGE, "--output is train's: ids and texts go to "
                                   "standard output");
    if (o->context == 1)
        return err_set(e, E_USAGE, "--context is 2 or more, or 0");
    rc = tokenizer_open(&c.t, o->vocabulary,
                        (enum tokenizer_specials)o->specials, e);
    if (rc)
        return rc;
    tokenizer_scratch_init(&c.s);
    buf_init(&c.out, BUF_NO_LIMIT); /* a line's ids, or their bytes */
    c.cap = o->context ? o->context : 1;
    c.ids = malloc(c.cap * sizeof *c.ids);
    if (!c.ids)
        rc = err_set(e, E_NOMEM, "no memory for a caption");
    else if (o->action == ENCODE)
        rc = each_line(&o->files, TOKENIZER_TEXT_MAX, NULL, encode_line, &c,
                       e);
    else
        rc = each_line(&o->files, IDS_LINE_MAX, NULL, decode_line, &c, e);
    if (c.garbled)
        log_event("warning",
                  "lines that look like text in a misread encoding: %" PRIu64,
                  c.garbled);
    free(c.ids);
    buf_release(&c.out);
    tokenizer_scratch_release(&c.s);
    tokenizer_close(c.t);
    return rc;
}

/* ---- train ---- */

static int count_line(void *ctx, struct str line, struct err *e)
{
    int rc = word_counts_add(ctx, line);

    return rc ? err_set(e, -rc, "%s", err_name(rc)) : 0;
}

static int write_vocabulary(const char *path, struct str file, struct err *e)
{
    struct tokenizer *t;
    int rc = tokenizer_parse(&t, file, path, TOKENIZER_CLIP, e);

    if (rc)
        return rc;
    rc = io_write_file(path, file, e);
    if (!rc) {
        summary_line("ids", (uint64_t)tokenizer_vocab(t));
        printf("  sha256         %s\n", tokenizer_sha256(t));
    }
    tokenizer_close(t);
    return rc;
}

static int train(const struct tokenizer_options *o, struct err *e)
{
    struct word_counts words;
    uint64_t left_out = 0;
    struct buf file;
    uint32_t made;
    int rc;

    if (!o->output)
        return err_set(e, E_USAGE, "--output is missing");
    if (o->vocabulary)
        return err_set(e, E_USAGE, "--vocabulary: train makes one of texts "
                                   "alone");
    word_counts_init(&words);
    buf_init(&file, TOKENIZER_FILE_MAX);
    rc = each_line(&o->files, TOKENIZER_TEXT_MAX, &left_out, count_line,
                   &words, e);
    if (!rc && !words.n)
        rc = err_set(e, E_FORMAT, "%s%s: no word to make a vocabulary of",
                     o->files.v[0], o->files.n > 1 ? " and the others" : "");
    if (!rc)
        rc = vocabulary_make(&words, (uint32_t)o->size, o->least, &file, &made,
                             e);
    if (!rc) {
        summary_line("texts", words.texts);
        if (left_out)
            summary_line("too long", left_out);
        summary_line("words", words.pieces);
        summary_line("different", words.n);
        rc = write_vocabulary(o->output, buf_str(&file), e);
    }
    buf_release(&file);
    word_counts_release(&words);
    return rc;
}

static int run(const void *config, struct err *e)
{
    const struct tokenizer_options *o = config;

    return o->action == TRAIN ? train(o, e) : code(o, e);
}

const struct command cmd_tokenizer = {&table, run, false};
