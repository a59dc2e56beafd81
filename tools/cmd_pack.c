#include <stdio.h>

#include "base/selected.h"
#include "filter/caps.h"
#include "filter/counts.h"
#include "filter/dedup.h"
#include "filter/dedup_join.h"
#include "querylist/qlist.h"
#include "shards/pack.h"
#include "tools/command.h"
#include "tools/merge.h"
#include "tools/summary.h"

static const struct opt rows[] = {
    STAGE_OPTION_CORPUS(struct pack_config, stage),
    {.name = "samples",
     .type = OPT_U64,
     .at = offsetof(struct pack_config, samples),
     .arg = "N",
     .def = "10000",
     .min = 1,
     .max = PACK_SAMPLES_MAX,
     .flags = OPT_BYTES,
     .help = "Samples in each shard but the last."},
    STAGE_OPTION_PART(struct pack_config, stage),
    STAGE_OPTION_THREADS(struct pack_config, stage),
    STAGE_OPTION_REDO(struct pack_config, stage),
};

static const struct opt_table table = {
    .command = "pack",
    .synopsis = "CORPUS [options]",
    .summary = "Write the images and texts that stay into tar shards.",
    .details =
        "Reads survivors/ and images/, writes shards/: WebDataset tars of "
        "KEY.jpg, KEY.json and KEY.txt, as img2dataset names them, with an "
        "index beside each, sizes.json for open_clip, and counts.tsv, how "
        "often each query matched and its cap. webdataset, open_clip and "
        "tarfile read them as they are.",
    .examples = "witmill pack my-corpus\n"
                "witmill pack my-corpus --samples 5000 --part 0/2",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct pack_config),
};

/* Where the lines of counts.tsv come from. */
struct numbers {
    struct qlist list;
    struct counts counts;
    struct caps caps;
};

static bool get_query(void *ctx, uint64_t i, struct pack_query *q)
{
    const struct numbers *n = ctx;
    uint32_t group = qlist_group(&n->list, (uint32_t)i);

    if (group == QUERY_NONE || group >= n->counts.n || group >= n->caps.n)
        return false;
    *q = (struct pack_query){.id = i,
                             .text = qlist_text(&n->list, (uint32_t)i),
                             .c = n->counts.c[group],
                             .t = n->caps.t[group]};
    return true;
}

static int open_numbers(struct numbers *n, const struct corpus *c,
                        struct err *e)
{
    char path[IO_PATH_MAX];
    unsigned rounds = 0;
    int rc = corpus_path(c, QLIST_FILE, path, e);

    *n = (struct numbers){.counts = {.n = 0}};
    if (!rc)
        rc = qlist_open(&n->list, path, e);
    if (!rc)
        rc = counts_open(&n->counts, c, e);
    if (!rc)
        rc = selected_rounds(c, &rounds, e);
    return rc ? rc : caps_open(&n->caps, c, rounds - 1, e);
}

static void close_numbers(struct numbers *n)
{
    qlist_close(&n->list);
    counts_release(&n->counts);
    caps_close(&n->caps);
}

static void print(const struct pack_summary *sum)
{
    summary_outputs("pack", sum->shards, "shard", sum->shards - sum->made);
    summary_line("samples", sum->samples);
    if (!sum->made)
        return;
    summary_line("texts in the shards made",
                 tally_get(&sum->counts, "texts"));
    summary_line("bytes of images in them",
                 tally_get(&sum->counts, "image-bytes"));
}

/* Survivors of an earlier selection, or of fewer rounds, would be packed
 * beside the counts and caps of this one. */
static int check_survivors(const struct corpus *c, struct err *e)
{
    struct dedup_sources now;
    int rc = dedup_sources_open(&now, c, e);

    if (rc)
        return rc;
    rc = stage_made_from_all(c, DEDUP_DUPLICATES, "dedup", &now.inputs, e);
    dedup_sources_release(&now);
    return rc;
}

static int run(const void *config, struct err *e)
{
    const struct pack_config *p = config;
    struct pack_summary sum;
    struct numbers numbers;
    struct pack_counts counts = {.ctx = &numbers, .get = get_query};
    struct corpus c;
    int rc = corpus_open(&c, p->stage.corpus, e);

    if (rc)
        return rc;
    rc = open_numbers(&numbers, &c, e);
    if (!rc)
        rc = check_survivors(&c, e);
    if (!rc) {
        counts.n = qlist_count(&numbers.list);
        rc = pack_run(&c, p, &table, &counts, &sum, e);
        if (!rc)
            print(&sum);
        tally_release(&sum.counts);
    }
    close_numbers(&numbers);
    return rc || p->stage.part.n ? rc : merge_stage(&c, e);
}

const struct command cmd_pack = {&table, run, true};
