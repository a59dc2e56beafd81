#include <stdio.h>
#include <unistd.h>

#include "filter/match.h"
#include "tools/command.h"
#include "tools/match_stdin.h"
#include "tools/merge.h"
#include "tools/summary.h"

static const char *const match_rules_names[] = {
    "default", "none", "datacomp-basic", "datacomp-caption",
    "laion",   "strict", NULL};

#define NO_RULES(name)                                                         \
    {name, "min-words", "0"}, {name, "rule-svg", "no"},                        \
    {name, "rule-boilerplate", "no"}, {name, "rule-filename", "no"},           \
    {name, "rule-repetition", "no"}

/* Where the published filters stand: facts B6 and B7, docs/textrules.md. */
static const struct opt_preset text_rules[] = {
    NO_RULES("none"),
    NO_RULES("datacomp-basic"),
    {"datacomp-basic", "min-tokens", "3"},
    {"datacomp-basic", "min-chars", "6"},
    {"datacomp-basic", "language", "en"},
    NO_RULES("datacomp-caption"),
    {"datacomp-caption", "min-tokens", "2"},
    {"datacomp-caption", "min-chars", "6"},
    {"datacomp-caption", "language", "en"},
    NO_RULES("laion"),
    {"laion", "drop-url-with", ".svg .gif .ico"},
    {"laion", "min-chars", "5"},
    {"laion", "language", "en"},
    {"laion", "language-bytes", "0"},
    {"laion", "language-unknown", "drop"},
    {"strict", "min-chars", "6"},
    {"strict", "max-word-chars", "45"},
    {"strict", "max-char-run", "7"},
    {"strict", "min-letters", "50"},
    {"strict", "rule-link", "yes"},
    {"strict", "rule-markup", "yes"},
    {"strict", "rule-entity", "yes"},
    {"strict", "rule-template", "yes"},
    {"strict", "rule-code", "yes"},
    {"strict", "rule-filler", "yes"},
    {NULL, NULL, NULL}};

struct match_options {
    struct match_config config; /* first: rows of the stage count from it */
    bool texts;                 /* --stdin */
};

static const struct opt rows[] = {
    STAGE_OPTION_CORPUS(struct match_config, stage),
    {.name = "batch", .type = OPT_LIST,
     .at = offsetof(struct match_config, batches), .arg = "NAME",
     .help = "Match only this batch of pairs/ (repeatable); all by default."},
    {.name = "text-rules", .type = OPT_CHOICE,
     .at = offsetof(struct match_config, text_rules), .def = "default",
     .choices = match_rules_names, .presets = text_rules, .arg = "NAME",
     .help = "What the rules below are where they are not given: `none`, what "
             "DataComp's basic or caption filter or LAION's workers do to "
             "texts, or `strict`, every rule on (docs/textrules.md)."},
    {.name = "min-words", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.min_words), .arg = "N",
     .def = "2", .flags = OPT_BYTES,
     .help = "Leave out texts of fewer words; 0 gives the published "
             "behaviour."},
    {.name = "max-words", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.max_words), .arg = "N",
     .def = "0", .flags = OPT_BYTES,
     .help = "Leave out texts of more words; 0 is no bound."},
    {.name = "min-chars", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.min_chars), .arg = "N",
     .def = "0", .flags = OPT_BYTES,
     .help = "Leave out texts of fewer characters."},
    {.name = "max-chars", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.max_chars), .arg = "N",
     .def = "0", .flags = OPT_BYTES,
     .help = "Leave out texts of more characters; 0 is no bound."},
    {.name = "min-tokens", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.min_tokens), .arg = "N",
     .def = "0", .flags = OPT_BYTES,
     .help = "Leave out texts of fewer pieces between white space, which is "
             "how DataComp counts words."},
    {.name = "max-word-chars", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.max_word_chars), .arg = "N",
     .def = "0", .flags = OPT_BYTES,
     .help = "Leave out texts with a word of more characters; 0 is no bound."},
    {.name = "max-char-run", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.max_char_run), .arg = "N",
     .def = "0", .flags = OPT_BYTES,
     .help = "Leave out texts in which a character but the space follows "
             "itself more often; 0 is no bound."},
    {.name = "min-letters", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.min_letters), .arg = "PERCENT",
     .def = "0", .max = 100, .flags = OPT_BYTES,
     .help = "Leave out texts of which a smaller share, white space aside, is "
             "letters."},
    {.name = "rule-svg", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.svg), .def = "yes",
     .flags = OPT_BYTES, .help = "Keep pairs whose URL ends in .svg or .svgz "
                                 "(by default they are left out)."},
    {.name = "rule-boilerplate", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.boilerplate), .def = "yes",
     .flags = OPT_BYTES,
     .help = "Keep texts that consist of navigation words alone: next, home, "
             "back to top."},
    {.name = "rule-filename", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.filename), .def = "yes",
     .flags = OPT_BYTES,
     .help = "Keep texts that are an image's file name and little else."},
    {.name = "rule-repetition", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.repetition), .def = "yes",
     .flags = OPT_BYTES,
     .help = "Keep texts that repeat a few words over and over."},
    {.name = "rule-link", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.link), .flags = OPT_BYTES,
     .help = "Leave out texts that are a URL or mail address and little "
             "else."},
    {.name = "rule-markup", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.markup), .flags = OPT_BYTES,
     .help = "Leave out texts with tags left in them: <b>, [/caption], "
             "[[File:."},
    {.name = "rule-entity", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.entity), .flags = OPT_BYTES,
     .help = "Leave out texts with character references left in them: "
             "&nbsp;."},
    {.name = "rule-template", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.template), .flags = OPT_BYTES,
     .help = "Leave out texts with places that were never filled: {{title}}, "
             "%s."},
    {.name = "rule-code", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.code), .flags = OPT_BYTES,
     .help = "Leave out texts that are JSON, CSS or JavaScript."},
    {.name = "rule-filler", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.filler), .flags = OPT_BYTES,
     .help = "Leave out texts that say only that there is none: undefined, "
             "image alt text, no image available."},
    {.name = "drop-url-with", .type = OPT_LIST,
     .at = offsetof(struct match_config, rules.url_contains), .arg = "TEXT",
     .flags = OPT_BYTES,
     .help = "Leave out pairs whose URL contains TEXT (repeatable)."},
    {.name = "block-terms", .type = OPT_STRING,
     .at = offsetof(struct match_config, rules.block_terms), .arg = "FILE",
     .help = "Leave out texts that contain a word or phrase of FILE, one a "
             "line, as whole words whatever their case. The file's bytes are "
             "in the fingerprint, not its name; so for the next two."},
    {.name = "block-hosts", .type = OPT_STRING,
     .at = offsetof(struct match_config, rules.block_hosts), .arg = "FILE",
     .help = "Leave out pairs whose image is on a host of FILE, or below "
             "it."},
    {.name = "block-urls", .type = OPT_STRING,
     .at = offsetof(struct match_config, rules.block_urls), .arg = "FILE",
     .help = "Leave out pairs whose image's URL is in FILE, or below one that "
             "ends in /; http and https are the same."},
    {.name = "language", .type = OPT_STRING,
     .at = offsetof(struct match_config, rules.language), .arg = "CODES",
     .def = "any", .flags = OPT_BYTES,
     .help = "Leave out texts in other languages than these: en, or en,de,fr "
             "(ISO 639). CLD2 tells them; a build without it refuses."},
    {.name = "language-unknown", .type = OPT_CHOICE,
     .at = offsetof(struct match_config, rules.language_unknown),
     .def = "keep", .choices = textrules_unknown_names, .flags = OPT_BYTES,
     .help = "What to do with texts whose language cannot be told, the short "
             "ones among them."},
    {.name = "language-bytes", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.language_bytes), .arg = "N",
     .def = "20", .flags = OPT_BYTES,
     .help = "Texts of fewer bytes are too short to tell."},
    {.name = "language-percent", .type = OPT_U64,
     .at = offsetof(struct match_config, rules.language_percent), .arg = "N",
     .def = "0", .max = 100, .flags = OPT_BYTES,
     .help = "Texts of which less is in their main language cannot be told."},
    {.name = "language-reliable", .type = OPT_BOOL,
     .at = offsetof(struct match_config, rules.language_reliable),
     .flags = OPT_BYTES,
     .help = "Texts that CLD2 is not sure of cannot be told."},
    {.name = "memory", .type = OPT_SIZE,
     .at = offsetof(struct match_config, memory_bytes), .arg = "SIZE",
     .def = "256M", .min = 1 << 20, .max = 1e15,
     .help = "Records kept in memory until their bucket's frame is written; "
             "more go to a temporary file."},
    {.name = "stdin", .type = OPT_BOOL,
     .at = offsetof(struct match_options, texts), .def = "no",
     .help = "Match texts from standard input instead, one a line, and print "
             "a line of JSON for each: q, the groups it matches, and queries, "
             "their entries with id, text and group. A text is matched as it "
             "is, text rules aside, and answered before the next is waited "
             "for; one that cannot be, has an error instead. Nothing is "
             "written to the corpus."},
    STAGE_OPTION_PART(struct match_config, stage),
    STAGE_OPTION_THREADS(struct match_config, stage),
    STAGE_OPTION_REDO(struct match_config, stage),
};

static const struct opt_table table = {
    .command = "match",
    .synopsis = "CORPUS [options] | CORPUS --stdin",
    .summary = "Find the queries that each text contains.",
    .details = "Reads pairs/, writes matched/: the pairs that pass the text "
               "rules and match at least one query of the list. What is left "
               "out is counted by reason.",
    .examples = "witmill match my-corpus\n"
                "witmill match my-corpus --min-words 0 --no-rule-filename\n"
                "witmill match my-corpus --text-rules datacomp-basic\n"
                "witmill match my-corpus --block-hosts hosts.txt "
                "--block-terms terms.txt\n"
                "witmill match my-corpus --part auto   # in a Slurm array\n"
                "echo 'a dog on a beach' | witmill match my-corpus --stdin",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct match_options),
};

static int run(const void *config, struct err *e)
{
    const struct match_options *options = config;
    const struct match_config *m = &options->config;
    struct match_summary sum;
    struct corpus c;
    int rc = corpus_open(&c, m->stage.corpus, e);

    if (rc)
        return rc;
    if (options->texts)
        return match_stdin(&c, STDIN_FILENO, STDOUT_FILENO, e);
    rc = match_run(&c, &table, m, &sum, e);
    if (!rc) {
        summary_outputs("match", sum.parts, "part", sum.parts_done_before);
        summary_line("pairs read", tally_get(&sum.counts, "read"));
        summary_share("matched", tally_get(&sum.counts, "records"),
                      tally_get(&sum.counts, "read"));
        if (tally_get(&sum.counts, "language-unknown"))
            summary_line("language not told",
                         tally_get(&sum.counts, "language-unknown"));
        summary_tally("left out", &sum.drops);
        if (m->stage.part.n == 0)
            rc = merge_stage(&c, e);
    }
    tally_release(&sum.counts);
    tally_release(&sum.drops);
    return rc;
}

const struct command cmd_match = {&table, run, true};
