#include <stdio.h>

#include "querylist/queries.h"
#include "tools/command.h"
#include "tools/merge.h"
#include "tools/summary.h"

#define AT(field) .at = offsetof(struct queries_config, field)

static const struct opt rows[] = {
    STAGE_OPTION_CORPUS(struct queries_config, stage),
    {.name = "text", .type = OPT_LIST, AT(text), .arg = "PATH",
     .help = "Count words and bigrams in this file, or in the .txt, .text, "
             ".html, .htm, .xhtml and .xht files of this folder "
             "(repeatable). Plain text may be compressed."},
    {.name = "queries", .type = OPT_LIST, AT(queries), .arg = "FILE",
     .help = "A list of your own, an entry a line (repeatable); its entries "
             "come first, in their order."},
    {.name = "sources", .type = OPT_STRING, AT(sources), .arg = "NAMES",
     .flags = OPT_BYTES,
     .help = "What makes the list, with commas: file, word, bigram, wordnet, "
             "numeral. By default whatever there is input for, WordNet unless "
             "--queries is given, and numerals in MetaCLIP's order."},
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
    {.name = "size", .type = OPT_U64, AT(size), .arg = "N", .def = "500000",
     .flags = OPT_BYTES, .min = 1, .max = 1 << 30,
     .help = "Entries at most; titles fill what the other sources leave."},
    {.name = "seed", .type = OPT_U64, AT(seed), .arg = "N", .def = "0",
     .flags = OPT_BYTES,
     .help = "Seed of the corpus: every random choice hashes it."},
    {.name = "bucket-bits", .type = OPT_U64, AT(bucket_bits), .arg = "B",
     .def = "6", .flags = OPT_BYTES, .min = CORPUS_BUCKET_BITS_MIN,
     .max = CORPUS_BUCKET_BITS_MAX,
     .help = "The corpus is cut into 2^B buckets of URLs: 6 up to some "
             "hundred million pairs, 13 for hundreds of billions."},
    {.name = "min-word-count", .type = OPT_U64, AT(min_word_count),
     .arg = "N", .def = "100", .flags = OPT_BYTES,
     .help = "Words that occur less often in --text are no queries."},
    {.name = "word-budget", .type = OPT_U64, AT(word_budget), .arg = "N",
     .def = "251465", .flags = OPT_BYTES,
     .help = "Words at most, the most frequent ones."},
    {.name = "min-bigram-count", .type = OPT_U64, AT(min_bigram_count),
     .arg = "N", .def = "100", .flags = OPT_BYTES,
     .help = "Bigrams that occur less often in --text are no queries."},
    {.name = "min-pmi", .type = OPT_DOUBLE, AT(min_pmi), .arg = "BITS",
     .def = "0", .flags = OPT_BYTES,
     .help = "Bigrams of less pointwise mutual information are no queries; 0 "
             "is what chance gives."},
    {.name = "bigram-budget", .type = OPT_U64, AT(bigram_budget), .arg = "N",
     .def = "100646", .flags = OPT_BYTES,
     .help = "Bigrams at most, those of highest mutual information."},
    {.name = "count-memory", .type = OPT_SIZE, AT(count_memory),
     .arg = "SIZE", .def = "1G", .min = 1 << 20, .max = 1e15,
     .help = "Ceiling of the tables that count words and bigrams; what does "
             "not fit is sorted, written to CORPUS and merged at the end, "
             "with the same counts."},
    {.name = "count-case", .type = OPT_CHOICE, AT(count_case), .def = "auto",
     .choices = queries_case_names, .flags = OPT_BYTES,
     .help = "fold: \"The\" and \"the\" are one word; keep: they are two; "
             "auto: fold under the policy words, which matches both by either, "
             "keep under metaclip, whose matching and published counts tell "
             "cases apart."},
    {.name = "wordnet", .type = OPT_STRING, AT(wordnet), .arg = "DIR",
     .def = WORDNET_FOLDER, .help = "Folder of WordNet 3.0's data and index "
                                    "files (Debian: wordnet-base)."},
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
        "witmill queries my-corpus --queries birds.txt\n"
        "# exactly the 86,654 entries that MetaCLIP's list has of WordNet\n"
        "witmill queries my-corpus --sources wordnet,numeral",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct queries_config),
};

/* What other thresholds would have found, budgets aside. */
static void print_counted(const struct ngrams_report *r)
{
    char label[64];

    if (!r->tokens)
        return;
    summary_line("distinct words", r->distinct);
    for (int i = 0; i < NGRAMS_FLOORS; i++) {
        snprintf(label, sizeof label, "words that occur %llu times",
                 (unsigned long long)ngrams_floors[i]);
        summary_line(label, r->words[i]);
    }
    if (!r->bigrams)
        return;
    summary_line("bigrams that occur often enough", r->bigrams);
    for (int i = 0; i < NGRAMS_PMIS && r->pmi[i]; i++) {
        snprintf(label, sizeof label, "of PMI %d or more", i);
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
    if (s->files) {
        summary_line("files counted", s->files);
        summary_line("words counted", s->words);
        print_counted(&s->counted);
    }
    summary_tally("left out", &s->drops);
}

static int run(const void *config, struct err *e)
{
    const struct queries_config *q = config;
    struct queries_summary sum;
    struct corpus c;
    int rc = queries_run(q, &table, &sum, e);

    if (!rc) {
        print(&sum);
        rc = corpus_open(&c, q->stage.corpus, e);
    }
    if (!rc)
        rc = merge_stage(&c, e);
    queries_summary_release(&sum);
    return rc;
}

const struct command cmd_queries = {&table, run, true};
