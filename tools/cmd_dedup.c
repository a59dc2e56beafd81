#include <stdio.h>

#include "filter/dedup.h"
#include "filter/dedup_caps.h"
#include "tools/against_images.h"
#include "tools/command.h"
#include "tools/merge.h"
#include "tools/summary.h"

static const struct opt rows[] = {
    STAGE_OPTION_CORPUS(struct dedup_config, stage),
    {.name = "radius",
     .type = OPT_U64,
     .at = offsetof(struct dedup_config, radius),
     .arg = "BITS",
     .def = "4",
     .max = DEDUP_RADIUS_MAX,
     .flags = OPT_BYTES,
     .help = "Two images look the same when their 64-bit perceptual hashes "
             "differ in at most so many bits; 0: in none."},
    {.name = "against",
     .type = OPT_LIST,
     .at = offsetof(struct dedup_config, against),
     .arg = "SHARDS|PAIRS",
     .help = "Leave out the images of an evaluation set too: tars of samples, "
             "or JSON lines with sha256 or phash; a file, or a folder of them. "
             "Images go by the sha256 of their original bytes, or by their "
             "look, as --radius says: where no phash stands beside them, that "
             "of the picture resized and encoded with the --resize, "
             "--image-size and --quality that images/ was downloaded with. "
             "They are listed in survivors/against.jsonl.zst. Repeatable."},
    {.name = "memory",
     .type = OPT_SIZE,
     .at = offsetof(struct dedup_config, memory_bytes),
     .arg = "SIZE",
     .def = "1G",
     .min = 16 << 20,
     .max = 1e15,
     .help = "For the comparison of images, all threads together; what does "
             "not fit goes to a temporary file in CORPUS."},
    STAGE_OPTION_THREADS(struct dedup_config, stage),
    STAGE_OPTION_REDO(struct dedup_config, stage),
};

static const struct opt_table table = {
    .command = "dedup",
    .synopsis = "CORPUS [options]",
    .summary = "Leave out images that repeat or resemble an earlier one.",
    .details =
        "Reads selected/ of all rounds and the ledgers of images/, writes "
        "survivors/. Of images with the same bytes, or the same look, the "
        "first in the order of the shards stays. Run it after the last round; "
        "after a further download --redo makes survivors/ anew.\n\n"
        "survivors/duplicates.jsonl.zst lists what went, and which image "
        "pushed it out.",
    .examples = "witmill dedup my-corpus\n"
                "witmill dedup my-corpus --against evals/imagenet-val\n"
                "# only equal bytes and equal hashes\n"
                "witmill dedup my-corpus --radius 0",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct dedup_config),
};

static void print(const struct dedup_summary *sum)
{
    uint64_t images = tally_get(&sum->counts, "images");

    printf("dedup\n");
    summary_line("pictures asked for", tally_get(&sum->counts, "urls"));
    if (tally_get(&sum->counts, "unasked"))
        summary_line("of them not asked yet",
                     tally_get(&sum->counts, "unasked"));
    summary_line("images compared", images);
    summary_share("images kept", tally_get(&sum->counts, "rows"), images);
    summary_line("texts kept", tally_get(&sum->counts, "texts"));
    if (tally_get(&sum->counts, "texts-over-cap"))
        summary_line("texts over the cap",
                     tally_get(&sum->counts, "texts-over-cap"));
    if (tally_get(&sum->counts, "texts-over-ceiling"))
        summary_line("texts over 64 MiB of a URL's",
                     tally_get(&sum->counts, "texts-over-ceiling"));
    summary_tally("left out", &sum->drops);
}

static int run_with(const struct corpus *c, const struct dedup_config *d,
                    struct err *e)
{
    struct dedup_summary sum;
    struct dedup_caps caps;
    int rc = dedup_caps_open(&caps, c, e);

    if (rc)
        return rc;
    rc = dedup_run(c, d, &table, caps.exact ? &caps.ranks : NULL, &sum, e);
    if (!rc) {
        print(&sum);
        rc = merge_stage(c, e);
    }
    tally_release(&sum.counts);
    tally_release(&sum.drops);
    dedup_caps_close(&caps);
    return rc;
}

static int run(const void *config, struct err *e)
{
    struct dedup_config d = *(const struct dedup_config *)config;
    struct image_config image;
    struct dedup_set set;
    struct tally counts;
    struct corpus c;
    int rc = corpus_open(&c, d.stage.corpus, e);

    if (rc)
        return rc;
    dedup_set_init(&set);
    tally_init(&counts);
    if (d.against.n) {
        rc = against_images_config(&c, &image, e);
        if (!rc)
            rc = against_images(&d.against, stage_threads(&d.stage), &image,
                                &set, &counts, e);
        d.set = &set;
    }
    if (!rc)
        rc = run_with(&c, &d, e);
    if (!rc && d.against.n)
        summary_tally("of the evaluation sets", &counts);
    tally_release(&counts);
    dedup_set_release(&set);
    return rc;
}

const struct command cmd_dedup = {&table, run, true};
