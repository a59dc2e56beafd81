#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "querylist/qlist.h"
#include "querylist/queries.h"
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/list_show.h"
#include "tools/merge.h"
#include "tools/summary.h"

#define AT(field) .at = offsetof(struct queries_config, field)

static const struct opt rows[] = {
    /* What there is to make it from. */
    STAGE_OPTION_CORPUS(struct queries_config, stage),
    {.name = "wiki", .type = OPT_LIST, AT(wiki), .arg = "FILE",
     .help = "Count words and bigrams in the articles of this dump of a "
             "MediaWiki, pages-articles.xml, plain or packed by gzip, zstd or "
             "bzip2; - is standard input (repeatable, for a dump in parts)."},
    {.name = "allow-truncated", .type = OPT_BOOL, AT(allow_truncated),
     .help = "Take the whole pages of a dump that is cut off, instead of "
             "stopping."},
    {.name = "text", .type = OPT_LIST, AT(text), .arg = "PATH",
     .help = "Count words and bigrams in this file, or in the .txt, .text, "
             ".html, .htm, .xhtml and .xht files of this folder "
             "(repeatable). Plain text may be compressed."},
    {.name = "pageviews", .type = OPT_LIST, AT(pageviews), .arg = "PATH",
     .help = "Rank titles by the views in this file of Wikimedia's page "
             "views, hourly or complete, or in the files named pageviews-* "
             "and pagecounts-* of this folder (repeatable). Hours that are "
             "given twice, also as the file of their day, count twice."},
    {.name = "project", .type = OPT_STRING, AT(project), .arg = "NAME",
     .def = "en", .flags = OPT_BYTES,
     .help = "Whose views: a Wikipedia's language, or another project like "
             "de.wikisource. Mobile views count with the others."},
    {.name = "queries", .type = OPT_LIST, AT(queries), .arg = "FILE",
     .help = "A list of your own (repeatable); its entries come first, in "
             "their order. An entry a line; of a name that ends in .json an "
             "array of strings, like MetaCLIP's metadata.json; in .tsv a "
             "table with a column \"text\", as --export writes it."},
    {.name = "wordnet", .type = OPT_STRING, AT(wordnet), .arg = "DIR",
     .def = WORDNET_FOLDER, .help = "Folder of WordNet 3.0's data and index "
                                    "files (Debian: wordnet-base)."},
    /* What becomes of that. */
    {.name = "sources", .type = OPT_STRING, AT(sources), .arg = "NAMES",
     .flags = OPT_BYTES,
     .help = "What makes the list, with commas: file, word, bigram, title, "
             "wordnet, numeral. By default whatever there is input for, "
             "WordNet unless --queries is given, and numerals in MetaCLIP's order."},
    {.name = "count-case", .type = OPT_CHOICE, AT(count_case), .def = "auto",
     .choices = queries_case_names, .flags = OPT_BYTES,
     .help = "fold: \"The\" and \"the\" are one word; keep: they are two; "
             "auto: fold under the policy words, which matches both by either, "
             "keep under metaclip, whose matching and published counts tell "
             "cases apart."},
    {.name = "redirects", .type = OPT_CHOICE, AT(redirects), .def = "own",
     .choices = titles_redirects_names, .flags = OPT_BYTES,
     .help = "What the views of a redirect are worth, where a dump says what "
             "is one: own, it is a title like others, as published; target, "
             "they count for the article it leads to, and it is no title; "
             "both. The last two need --wiki."},
    /* How much of each source. */
    {.name = "min-word-count", .type = OPT_U64, AT(min_word_count),
     .arg = "N", .def = "100", .flags = OPT_BYTES,
     .help = "Words that occur less often are no queries."},
    {.name = "word-budget", .type = OPT_U64, AT(word_budget), .arg = "N",
     .def = "251465", .flags = OPT_BYTES,
     .help = "Words at most, the most frequent ones."},
    {.name = "min-bigram-count", .type = OPT_U64, AT(min_bigram_count),
     .arg = "N", .def = "100", .flags = OPT_BYTES,
     .help = "Bigrams that occur less often are no queries."},
    {.name = "min-pmi", .type = OPT_DOUBLE, AT(min_pmi), .arg = "BITS",
     .def = "0", .flags = OPT_BYTES, .min = -100, .max = 100,
     .help = "Bigrams of less pointwise mutual information are no queries; 0 "
             "is what chance gives."},
    {.name = "bigram-budget", .type = OPT_U64, AT(bigram_budget), .arg = "N",
     .def = "100646", .flags = OPT_BYTES,
     .help = "Bigrams at most, those of highest mutual information."},
    {.name = "min-hour-views", .type = OPT_U64, AT(min_hour_views),
     .arg = "N", .def = "50", .flags = OPT_BYTES,
     .help = "A title's hour of fewer views does not count (a day's, in the "
             "files of a month)."},
    {.name = "min-views", .type = OPT_U64, AT(min_views), .arg = "N",
     .def = "70", .flags = OPT_BYTES,
     .help = "Titles of fewer views in sum are no queries."},
    /* The list, and the corpus. */
    {.name = "size", .type = OPT_U64, AT(size), .arg = "N", .def = "500000",
     .flags = OPT_BYTES, .min = 1, .max = 1 << 30,
     .help = "Entries at most; titles fill what the other sources leave."},
    {.name = "order", .type = OPT_CHOICE, AT(order), .def = "clip",
     .choices = query_order_names, .flags = OPT_BYTES,
     .help = "clip: words, bigrams, titles, WordNet, numerals; metaclip: "
             "numerals, WordNet, words, bigrams, titles."},
    {.name = "policy", .type = OPT_CHOICE, AT(policy), .def = "words",
     .choices = query_policy_names, .flags = OPT_BYTES,
     .help = "How texts match: words folds case and spelling and cuts at "
             "everything that is no letter or digit; metaclip is the "
             "published case-sensitive substring rule. Kept in queries.bin "
             "for all later stages."},
    {.name = "seed", .type = OPT_U64, AT(seed), .arg = "N", .def = "0",
     .flags = OPT_BYTES,
     .help = "Seed of the corpus: every random choice hashes it."},
    {.name = "bucket-bits", .type = OPT_U64, AT(bucket_bits), .arg = "B",
     .def = "6", .flags = OPT_BYTES, .min = CORPUS_BUCKET_BITS_MIN,
     .max = CORPUS_BUCKET_BITS_MAX,
     .help = "The corpus is cut into 2^B buckets of URLs: 6 up to some "
             "hundred million pairs, 13 for hundreds of billions."},
    /* What is shown. */
    {.name = "dump-text", .type = OPT_STRING, AT(dump_text), .arg = "FILE",
     .help = "Write what is counted of the dumps, a line of JSON an article "
             "with id, title and text; - for standard output."},
    {.name = "export", .type = OPT_STRING, AT(export), .arg = "FILE",
     .help = "Write the list to this file, - for standard output. Where no "
             "option says how a list is made, it is the one that the corpus "
             "has."},
    {.name = "export-as", .type = OPT_CHOICE, AT(export_as), .def = "name",
     .choices = list_show_forms,
     .help = "The file's form: text, an entry a line; tsv, with id, norm, "
             "group, sources, count, PMI, views, synset and flags; json, an "
             "array of strings; name, what the file's name ends in, else "
             "text."},
    {.name = "check", .type = OPT_LIST, AT(check), .arg = "FILE",
     .help = "Say which class names of an evaluation set (read like "
             "--queries; - is standard input) the list contains, and which "
             "it misses (repeatable); it ends with exit code 1 when any is missing. "
             "Where no option says how a list is made, it is the one that the "
             "corpus has."},
    /* How it runs. */
    {.name = "memory", .type = OPT_SIZE, AT(memory),
     .arg = "SIZE", .def = "1G", .min = 1 << 20, .max = 1e15,
     .help = "Ceiling of the tables that count words, bigrams and views, in "
             "bytes or with K, M, G or T; what does not fit is sorted, written "
             "to CORPUS and merged at the end, with the same counts."},
    STAGE_OPTION_THREADS(struct queries_config, stage),
    STAGE_OPTION_REDO(struct queries_config, stage),
};

static const struct opt_table table = {
    .command = "queries",
    .synopsis = "CORPUS [options]",
    .summary = "Make the query list, and with it a corpus.",
    .details =
        "Writes CORPUS/queries.bin: the entries that texts are matched "
        "against, united from the sources by their bytes, each with where it "
        "comes from and its numbers. Entries that are equal once folded form "
        "a group, which is matched, counted and capped as one.\n\n"
        "Seed, bucket bits and policy given here hold for the whole corpus.",
    .examples =
        "witmill queries my-corpus\n"
        "witmill queries my-corpus --text manual/ --min-word-count 20 "
        "--min-bigram-count 10\n"
        "witmill queries my-corpus --wiki enwiki-pages-articles.xml.bz2 "
        "--pageviews views/\n"
        "lbzip2 -dc enwiki-pages-articles.xml.bz2 | witmill queries my-corpus "
        "--wiki -\n"
        "witmill queries my-corpus --pageviews views/ --sources "
        "title,wordnet\n"
        "witmill queries my-corpus --queries birds.txt\n"
        "# MetaCLIP's own list, matched by its own rule\n"
        "witmill queries my-corpus --queries metadata.json --policy metaclip\n"
        "witmill queries my-corpus --export list.tsv --check "
        "imagenet-classes.txt\n"
        "# exactly the 86,654 entries that MetaCLIP's list has of WordNet\n"
        "witmill queries my-corpus --sources wordnet,numeral",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct queries_config),
};

/* What other thresholds would give, budgets aside. */
static void print_thresholds(const struct ngrams_report *r)
{
    char label[48];

    if (!r->tokens)
        return;
    printf("with other thresholds:\n");
    for (int i = 0; i < NGRAMS_FLOORS; i++) {
        snprintf(label, sizeof label, "words that occur %llu times",
                 (unsigned long long)ngrams_floors[i]);
        summary_line(label, r->words[i]);
    }
    if (!r->bigrams)
        return;
    summary_line("bigrams often enough", r->bigrams);
    for (int i = 0; i < NGRAMS_PMIS && r->pmi[i]; i += 2) {
        snprintf(label, sizeof label, "of these, PMI %d or more", i);
        summary_share(label, r->pmi[i], r->bigrams);
    }
}

static void print(const struct queries_summary *s)
{
    printf("queries: %s\n", s->was_done ? "done before" : "made");
    summary_line("entries", s->entries);
    for (int k = 0; k < QUERY_SOURCES; k++)
        if (s->first[k])
            summary_share(query_source_name((enum query_source)k),
                          s->first[k], s->entries);
    summary_line("groups", s->groups);
    if (s->no_words)
        summary_line("entries without words", s->no_words);
    if (s->never)
        summary_line("entries that cannot match", s->never);
    if (s->wiki.pages) {
        summary_line("pages of dumps", s->wiki.pages);
        summary_line("articles", s->wiki.articles);
        summary_line("redirects", s->wiki.redirects);
    }
    if (s->files)
        summary_line("files counted", s->files);
    if (s->words)
        summary_line("words counted", s->words);
    if (s->counted.distinct)
        summary_line("distinct words", s->counted.distinct);
    if (s->counted.runs) {
        summary_line("runs written to disk", s->counted.runs);
        summary_line("bytes of them", s->counted.disk);
    }
    if (s->views.files) {
        summary_line("files of page views", s->views.files);
        summary_line("lines of the project", s->views.lines);
        summary_line("titles viewed", s->views.titles);
        summary_line("titles often enough", s->views.ranked);
    }
    print_thresholds(&s->counted);
    summary_tally("left out", &s->drops);
}

/* ---- a list that is there ---- */

/* Options that only look at the list. */
static bool only_looks(const struct opt *row)
{
    return row->at == offsetof(struct queries_config, stage.corpus) ||
           row->at == offsetof(struct queries_config, export) ||
           row->at == offsetof(struct queries_config, export_as) ||
           row->at == offsetof(struct queries_config, stage.threads) ||
           row->at == offsetof(struct queries_config, memory) ||
           row->at == offsetof(struct queries_config, check);
}

static bool same_string(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_value(const struct opt *row, const void *a, const void *b)
{
    const char *x = (const char *)a + row->at, *y = (const char *)b + row->at;

    switch (row->type) {
    case OPT_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case OPT_U64:
    case OPT_SIZE:
        return *(const uint64_t *)x == *(const uint64_t *)y;
    case OPT_DOUBLE:
        return !(*(const double *)x < *(const double *)y) &&
               !(*(const double *)x > *(const double *)y);
    case OPT_STRING:
        return same_string(*(const char *const *)x, *(const char *const *)y);
    case OPT_LIST:
        return ((const struct opt_list *)x)->n ==
               ((const struct opt_list *)y)->n;
    case OPT_CHOICE:
        return *(const int *)x == *(const int *)y;
    case OPT_PART:
        break;
    }
    return memcmp(x, y, sizeof(struct part)) == 0;
}

/* Whether the list on disk is meant: somebody wants to see one, and says
 * nothing about how to make it. */
static bool shows_existing(const struct queries_config *q)
{
    struct queries_config plain;
    char path[IO_PATH_MAX];
    struct opt_set s;
    bool same = true;

    if ((!q->export && !q->check.n) ||
        io_join(path, q->stage.corpus, QLIST_FILE, NULL) || !io_exists(path))
        return false;
    opt_init(&s, &table, &plain);
    for (size_t i = 0; i < table.n && same; i++)
        same = only_looks(&rows[i]) || same_value(&rows[i], q, &plain);
    opt_release(&s);
    return same;
}

static int show(const struct queries_config *q, struct err *e)
{
    int rc = 0;

    if (q->export)
        rc = list_show_export(q->stage.corpus, q->export, q->export_as, e);
    if (!rc && q->check.n)
        rc = list_show_check(q->stage.corpus, &q->check, e);
    return rc;
}

/* ---- articles as they are counted ---- */

struct text_file {
    struct io_file file;
    bool to_stdout;
};

static int put_text(void *ctx, struct str lines, struct err *e)
{
    struct text_file *t = ctx;

    if (!t->to_stdout)
        return io_file_write(&t->file, lines, e);
    return io_write_full(STDOUT_FILENO, lines.p, lines.n, "standard output", e);
}

static bool is_stdout(const char *path)
{
    return path && strcmp(path, "-") == 0;
}

/* queries_run(), and the file that --dump-text asks for. */
static int make(const struct queries_config *q, struct queries_summary *sum,
                struct err *e)
{
    struct queries_config c = *q;
    struct text_file t = {.to_stdout = is_stdout(q->dump_text)};
    char tmp[IO_PATH_MAX + 8];
    int rc = 0;

    if (!q->dump_text)
        return queries_run(q, &table, sum, e);
    *sum = (struct queries_summary){0};
    if (!q->wiki.n)
        return err_set(e, E_USAGE,
                       "--dump-text writes the articles of --wiki: give one");
    if (!t.to_stdout)
        rc = io_file_open(&t.file, q->dump_text, e);
    if (rc)
        return rc;
    if (!t.to_stdout) {
        snprintf(tmp, sizeof tmp, "%s.tmp", q->dump_text);
        interrupt_remove(tmp);
    }
    c.text_sink = (struct wikipedia_sink){put_text, &t};
    rc = queries_run(&c, &table, sum, e);
    if (t.to_stdout)
        return rc;
    if (!rc)
        rc = io_file_publish(&t.file, e);
    else
        io_file_abandon(&t.file);
    return interrupt_end(rc, e);
}

/* Is `path` one of the files that are read? */
static bool is_input(const struct queries_config *q, const char *path)
{
    const struct opt_list *lists[] = {&q->wiki, &q->text, &q->pageviews,
                                      &q->queries, &q->check};
    struct stat a, b;

    if (is_stdout(path) || stat(path, &a))
        return false;
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        for (size_t i = 0; i < lists[k]->n; i++)
            if (stat(lists[k]->v[i], &b) == 0 && a.st_dev == b.st_dev &&
                a.st_ino == b.st_ino)
                return true;
    return false;
}

/* How often standard input is among the files. */
static size_t streams(const struct opt_list *files)
{
    size_t n = 0;

    for (size_t i = 0; i < files->n; i++)
        n += strcmp(files->v[i], "-") == 0;
    return n;
}

/* What is to be written, and read once, before any work. */
static int check_outputs(const struct queries_config *q, struct err *e)
{
    bool lists = is_stdout(q->export), texts = is_stdout(q->dump_text);
    const char *corpus = q->stage.corpus;
    int rc;

    if (lists + texts + (q->check.n > 0) > 1 && (lists || texts))
        return err_set(e, E_USAGE,
                       "--export -, --dump-text - and --check each write to "
                       "standard output: only one of them");
    if (streams(&q->wiki) + streams(&q->check) > 1)
        return err_set(e, E_USAGE,
                       "standard input is read once: one of --wiki - and "
                       "--check -, once");
    if (q->export && q->dump_text && !lists &&
        strcmp(q->export, q->dump_text) == 0)
        return err_set(e, E_USAGE, "--export and --dump-text both write %s",
                       q->export);
    if (q->export && is_input(q, q->export))
        return err_set(e, E_USAGE, "--export %s is a file to be read",
                       q->export);
    if (q->dump_text && is_input(q, q->dump_text))
        return err_set(e, E_USAGE, "--dump-text %s is a file to be read",
                       q->dump_text);
    rc = list_show_can_write(corpus, "--export", q->export, e);
    if (!rc)
        rc = list_show_can_write(corpus, "--dump-text", q->dump_text, e);
    return rc ? rc : list_show_can_check(&q->check, e);
}

static int run(const void *config, struct err *e)
{
    const struct queries_config *q = config;
    bool lists = is_stdout(q->export), texts = is_stdout(q->dump_text);
    struct queries_summary sum;
    struct corpus c;
    int rc;

    rc = check_outputs(q, e);
    if (rc)
        return rc;
    if (shows_existing(q))
        return show(q, e);
    rc = make(q, &sum, e);
    if (!rc) {
        if (!lists && !texts) /* they are the output then, and nothing else */
            print(&sum);
        rc = corpus_open(&c, q->stage.corpus, e);
    }
    if (!rc)
        rc = merge_stage(&c, e);
    if (!rc)
        rc = show(q, e);
    queries_summary_release(&sum);
    return rc;
}

const struct command cmd_queries = {&table, run, true};
