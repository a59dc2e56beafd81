/* witmill download: parse, call, print. */
#include "base/corpus.h"
#include "base/jail.h"
#include "crawler/download.h"
#include "shards/tar_write.h"
#include "tools/command.h"
#include "tools/interrupt.h"
#include "tools/merge.h"
#include "tools/net_options.h"
#include "tools/summary.h"
#include <stdio.h>
#include <stdlib.h>

struct config {
    struct stage_options stage;
    const char *round;
    uint64_t memory;
    /* images */
    uint64_t min_side, max_pixels, image_size, quality;
    double max_aspect;
    int resize; /* enum image_resize_mode */
    bool believe_silence;
    struct fetch_config net;
};

#define AT(member) offsetof(struct config, member)

static const struct opt rows[] = {
    STAGE_OPTION_CORPUS(struct config, stage),
    NET_OPTION_CONTACT(struct config, net),
    {.name = "round",
     .type = OPT_STRING,
     .at = AT(round),
     .arg = "R",
     .def = "last",
     .help = "Fetch selected/round-R; `last` is the highest there is."},
    {.name = "min-side",
     .type = OPT_U64,
     .at = AT(min_side),
     .arg = "PIXELS",
     .def = "100",
     .help = "Refuse images whose shorter side is less.",
     .flags = OPT_BYTES,
     .max = 65500},
    {.name = "max-aspect",
     .type = OPT_DOUBLE,
     .at = AT(max_aspect),
     .arg = "RATIO",
     .def = "3",
     .help = "Refuse images whose longer side is more than RATIO times the "
             "shorter one; 0 allows all.",
     .flags = OPT_BYTES,
     .max = 65500},
    {.name = "max-pixels",
     .type = OPT_U64,
     .at = AT(max_pixels),
     .arg = "N",
     .def = "100000000",
     .help = "Refuse images of more pixels, before they are decoded.",
     .flags = OPT_BYTES,
     .min = 1,
     .max = 1e9},
    {.name = "image-size",
     .type = OPT_U64,
     .at = AT(image_size),
     .arg = "PIXELS",
     .def = "512",
     .help = "The side that --resize speaks of; smaller images stay as they "
             "are.",
     .flags = OPT_BYTES,
     .min = 1,
     .max = 65500},
    {.name = "resize",
     .type = OPT_CHOICE,
     .at = AT(resize),
     .arg = "HOW",
     .def = "keep-ratio",
     .help = "keep-ratio brings the shorter side to --image-size, "
             "keep-ratio-largest the longer one, center-crop cuts a square "
             "out of the middle, no leaves the size alone.",
     .flags = OPT_BYTES,
     .choices = image_resize_names},
    {.name = "quality",
     .type = OPT_U64,
     .at = AT(quality),
     .arg = "1..100",
     .def = "95",
     .help = "Quality of the stored JPEG.",
     .flags = OPT_BYTES,
     .min = 1,
     .max = 100},
    NET_OPTIONS_LOAD(struct config, net),
    NET_OPTIONS_PATIENCE(struct config, net),
    NET_OPTIONS_REACH(struct config, net),
    {.name = "believe-silence",
     .type = OPT_BOOL,
     .at = AT(believe_silence),
     .help = "Record hosts as dead even when no server at all has answered. "
             "Without it such a run stops and records nothing, since the "
             "trouble is likely here."},
    {.name = "memory",
     .type = OPT_SIZE,
     .at = AT(memory),
     .arg = "SIZE",
     .def = "1G",
     .help = "For lists of URLs: how many groups of hosts are in work at a "
             "time.",
     .min = 1 << 20},
    STAGE_OPTION_PART(struct config, stage),
    STAGE_OPTION_THREADS(struct config, stage),
    STAGE_OPTION_REDO(struct config, stage),
};

static const struct opt_table table = {
    .command = "download",
    .synopsis = "CORPUS --contact URL|MAIL [options]",
    .summary = "Fetch the images of a round, each URL once.",
    .details =
        "Asks for every URL that the round has selected and no earlier "
        "download has closed, politely: robots.txt and its Content-Signal, "
        "X-Robots-Tag, one request at a time per host, Crawl-delay, "
        "Retry-After. Images are decoded in confined processes, resized and "
        "stored as JPEG in images/GGG-RR.tar; the ledger beside it says what "
        "became of each URL and why.\n\n"
        "Stopped by Ctrl-C or killed, it loses nothing that was answered: run "
        "it again to go on. An interrupted run ends with exit code 3.\n\n"
        "The options that change images (--min-side to --quality) hold for a "
        "whole corpus. With others than before it stops; --redo drops the "
        "images made with the old ones, and every round has to be downloaded "
        "again.",
    .examples =
        "witmill download my-corpus --contact https://example.org/crawl.html\n"
        "# one of four machines\n"
        "witmill download my-corpus --contact me@example.org --part 0/4",
    .rows = rows,
    .n = sizeof rows / sizeof *rows,
    .config_size = sizeof(struct config),
};

/* ---- the tar writer of shards/, as crawler/ sees it ---- */

static int tar_open(void *ctx, const char *path, struct err *e)
{
    return tar_writer_open(ctx, path, e);
}

static int tar_add(void *ctx, struct str name, struct str data,
                   uint64_t *offset, struct err *e)
{
    return tar_writer_add(ctx, name, data, offset, e);
}

static int tar_publish(void *ctx, char sha256[SHA256_HEX], struct err *e)
{
    struct tar_writer *w = ctx;
    int rc = tar_writer_publish(w, e);

    if (!rc)
        memcpy(sha256, w->file.sha256, SHA256_HEX);
    return rc;
}

static void tar_abandon(void *ctx)
{
    tar_writer_abandon(ctx);
}

/* ---- parse ---- */

static int parse_round(const char *s, int64_t *round, struct err *e)
{
    uint64_t v;

    *round = -1;
    if (!strcmp(s, "last"))
        return 0;
    if (str_u64(str_of(s), &v) || v > INT32_MAX)
        return err_set(e, E_USAGE, "--round %s: expected a number or `last`",
                       s);
    *round = (int64_t)v;
    return 0;
}

static int make_config(const struct config *c, struct download_config *d,
                       struct err *e)
{
    memset(d, 0, sizeof *d);
    d->part = c->stage.part;
    d->workers = stage_threads(&c->stage);
    if (d->workers > JAIL_WORKERS_MAX)
        d->workers = JAIL_WORKERS_MAX;
    d->memory_bytes = c->memory;
    d->believe_silence = c->believe_silence;
    d->image = image_config_default();
    d->image.limits.min_side = (uint32_t)c->min_side;
    d->image.limits.max_aspect = c->max_aspect;
    d->image.limits.max_pixels = c->max_pixels;
    d->image.mode = (enum image_resize_mode)c->resize;
    d->image.size = (uint32_t)c->image_size;
    d->image.quality = (int)c->quality;
    fetch_config_from(&d->fetch, FETCH_DOWNLOAD, &c->net);
    d->fetch.queue_max = 65536; /* one a host, many hosts */
    d->fetch.image_max = IMAGE_BYTES_MAX;
    if (c->max_aspect > 0 && c->max_aspect < 1)
        return err_set(e, E_USAGE, "--max-aspect: 0, or at least 1");
    return parse_round(c->round, &d->round, e);
}

/* ---- print ---- */

static void print_summary(const struct download_summary *s)
{
    printf("download, round %u, pass %02u\n", s->round, s->pass);
    summary_line("URLs listed", s->listed);
    summary_line("closed by earlier passes", s->closed);
    summary_line("answered in an earlier run", s->resumed);
    summary_line("asked", s->asked);
    summary_share("images", s->images, s->asked);
    summary_share("failed", tally_get(&s->outcomes, "failed"), s->asked);
    summary_share("rejected", tally_get(&s->outcomes, "rejected"), s->asked);
    summary_share("refused", tally_get(&s->outcomes, "refused"), s->asked);
    summary_line("bytes received", s->wire_bytes);
    summary_line("bytes stored", s->stored_bytes);
    summary_tally("left out", &s->reasons);
}

static int run(const void *config, struct err *e)
{
    const struct config *c = config;
    struct tar_writer writer;
    struct download_tar tar = {&writer, tar_open, tar_add, tar_publish,
                               tar_abandon};
    struct download_summary sum;
    struct download_config d;
    struct corpus corpus;
    struct stage stage;
    int rc;

    rc = make_config(c, &d, e);
    if (!rc)
        rc = corpus_open(&corpus, c->stage.corpus, e);
    if (rc)
        return rc;
    d.stop = interrupt_listen();
    stage_init(&stage, &corpus, "download", DOWNLOAD_VERSION, &table, c,
               c->stage.redo);
    download_summary_init(&sum);
    rc = download_run(&stage, &d, &tar, &sum, e);
    rc = interrupt_end(rc, e);
    if (!rc || rc == -E_CANCEL)
        print_summary(&sum);
    if (!rc && !c->stage.part.n && stage.merge_needed)
        rc = merge_stage(&corpus, e);
    download_summary_release(&sum);
    stage_release(&stage);
    return rc;
}

const struct command cmd_download = {
    .options = &table, .run = run, .stage = true};
