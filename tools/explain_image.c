/* The picture of a URL: download, duplicates, shard and key. */
#include <stdio.h>

#include "base/ledger.h"
#include "base/stage.h"
#include "base/survivor.h"
#include "base/url.h"
#include "tools/explain_private.h"
#include "tools/print.h"

/* What the file callbacks below find; explain_lines hands back &x. */
struct image {
    struct explain x; /* first */
    bool in_ledger, is_image;
    bool duplicate;
    bool survives;
    uint64_t rows; /* of survivors met so far, this one excluded */
    unsigned pass;
};

static void print_image(FILE *out, const struct ledger *l)
{
    char sha[SHA256_HEX];

    hash_hex(l->sha256, SHA256_SIZE, sha);
    fprintf(out,
            "    %u x %u pixels stored, %u x %u as fetched; %s bytes at %s\n"
            "    sha256 of the original %s\n    phash %016llx%s\n",
            l->width, l->height, l->original_width, l->original_height,
            print_n(l->bytes), print_n(l->offset), sha,
            (unsigned long long)l->phash,
            l->phash_exempt ? ", too even to compare" : "");
}

static int ledger_line(struct explain *x, struct str line, struct arena *a,
                       int *order, struct err *e)
{
    struct image *m = (struct image *)x;
    struct ledger l;
    int rc = ledger_read(line, a, &l, e);

    if (rc)
        return rc;
    *order = explain_order(x, l.url);
    if (*order)
        return 0;
    m->in_ledger = true;
    m->is_image = l.outcome == LEDGER_IMAGE;
    fprintf(x->out, "  pass %02u: %s", m->pass, ledger_outcome_name(l.outcome));
    if (l.reason.n)
        fprintf(x->out, " (%.*s)", STR_ARG(l.reason));
    if (l.signal.n) {
        fprintf(x->out, ", refused by ");
        print_safe(x->out, l.signal, 200);
    }
    if (l.status)
        fprintf(x->out, ", HTTP status %u", l.status);
    fprintf(x->out, ", %u request%s", l.tries, l.tries == 1 ? "" : "s");
    if (l.fetched.n)
        fprintf(x->out, ", %.*s", STR_ARG(l.fetched));
    if (l.final_url.n) {
        fprintf(x->out, "\n    redirected to ");
        print_safe(x->out, l.final_url, 0);
    }
    fprintf(x->out, "\n");
    if (m->is_image)
        print_image(x->out, &l);
    return 0;
}

int explain_download(struct explain *x, struct err *e)
{
    struct image m = {.x = *x};
    struct url_parts u;
    int rc = 0;

    if (!url_split(x->url, &u))
        return 0;
    fprintf(x->out, "%s", x->met ? "\ndownload\n" : "");
    for (m.pass = 0; m.pass < 100 && !rc && !m.in_ledger; m.pass++) {
        char group[16], name[64];
        bool there;

        ledger_name(ledger_group(u.host), m.pass, group);
        snprintf(name, sizeof name, "images/%s.ledger.jsonl.zst", group);
        rc = explain_lines(&m.x, name, ledger_line, &there, e);
    }
    if (!rc && !m.in_ledger && x->met)
        fprintf(x->out, "  not asked%s\n",
                x->selected ? " yet" : ": only selected pairs are");
    x->met |= m.in_ledger;
    x->lost = m.in_ledger && !m.is_image;
    return rc;
}

/* ---- duplicates and survivors ---- */

static int duplicate_line(struct explain *x, struct str line, struct arena *a,
                          int *order, struct err *e)
{
    struct image *m = (struct image *)x;
    struct str name, url = STR_NONE, by = STR_NONE, reason = STR_NONE;
    uint64_t bits = UINT64_MAX;
    struct json j;
    int rc;

    json_open(&j, line, a);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("url")))
            url = json_string(&j);
        else if (str_eq(name, STR("by")))
            by = json_string(&j);
        else if (str_eq(name, STR("reason")))
            reason = json_string(&j);
        else if (str_eq(name, STR("bits")))
            bits = json_u64(&j);
        else
            json_skip(&j);
    }
    rc = json_close(&j, e);
    if (rc)
        return rc;
    *order = explain_order(x, url);
    if (*order)
        return 0;
    m->duplicate = true;
    fprintf(x->out, "  left out: %.*s of ", STR_ARG(reason));
    print_safe(x->out, by, 0);
    if (bits != UINT64_MAX) /* else a sample whose look is not known */
        fprintf(x->out, ", %llu bits between them", (unsigned long long)bits);
    fprintf(x->out, "\n");
    return 0;
}

static int survivor_line(struct explain *x, struct str line, struct arena *a,
                         int *order, struct err *e)
{
    struct image *m = (struct image *)x;
    struct survivor s;
    int rc = survivor_read(line, a, &s, e);

    if (rc)
        return rc;
    *order = explain_order(x, s.url);
    if (*order < 0)
        m->rows += !s.more;
    m->survives |= *order == 0;
    return 0;
}

/* Rows of the buckets before this one; false if one of them is missing. */
static bool rows_before(struct image *m)
{
    for (uint32_t k = 0; k < m->x.bucket; k++) {
        struct sidecar s;
        char name[40];

        snprintf(name, sizeof name, "survivors/bucket-%04u", k);
        if (sidecar_read(&s, m->x.corpus, name, NULL))
            return false;
        m->rows += tally_get(&s.counts, "rows");
        sidecar_release(&s);
    }
    return true;
}

/* `samples` of the options of any shard; 0: none is there. */
static uint64_t shard_samples(const struct corpus *c)
{
    struct io_list names;
    uint64_t samples = 0;

    if (sidecar_list(c, "shards", &names, NULL))
        return 0;
    for (size_t i = 0; i < names.n && !samples; i++) {
        char output[STAGE_NAME_MAX];
        struct sidecar s;
        struct json j;
        struct str name;

        snprintf(output, sizeof output, "shards/%s", names.names[i]);
        if (sidecar_read(&s, c, output, NULL))
            continue;
        json_open(&j, s.options, NULL);
        json_object(&j);
        while (json_member(&j, &name)) {
            if (str_eq(name, STR("samples")))
                samples = json_u64(&j);
            else
                json_skip(&j);
        }
        sidecar_release(&s);
    }
    io_list_release(&names);
    return samples;
}

static void print_place(struct image *m)
{
    uint64_t samples = shard_samples(m->x.corpus), shard, i, width = 1;
    unsigned digits = 0;
    char name[64], path[IO_PATH_MAX];

    if (!samples) {
        fprintf(m->x.out, "  pack has not run yet\n");
        return;
    }
    for (; width < samples; width *= 10)
        digits++; /* k = ceil(log10(samples)) */
    shard = m->rows / samples;
    i = m->rows % samples;
    snprintf(name, sizeof name, "shards/%05llu.tar", (unsigned long long)shard);
    if (corpus_path(m->x.corpus, name, path, NULL) || !io_exists(path)) {
        fprintf(m->x.out, "  %s is not packed yet\n", name);
        return;
    }
    fprintf(m->x.out, "  %s, key %0*llu\n", name, (int)digits + 5,
            (unsigned long long)(shard * width + i));
}

int explain_place(struct explain *x, struct err *e)
{
    struct image m = {.x = *x};
    char name[64];
    bool there, ran;
    int rc;

    if (!x->selected || x->lost)
        return 0;
    fprintf(x->out, "\nduplicates and shards\n");
    rc = explain_lines(&m.x, "survivors/duplicates.jsonl.zst", duplicate_line,
                       &ran, e);
    if (!rc && !m.duplicate)
        rc = explain_lines(&m.x, "survivors/against.jsonl.zst", duplicate_line,
                           &there, e);
    if (rc || m.duplicate)
        return rc;
    snprintf(name, sizeof name, "survivors/bucket-%04u.jsonl.zst", x->bucket);
    rc = explain_lines(&m.x, name, survivor_line, &there, e);
    if (rc)
        return rc;
    if (!there)
        fprintf(x->out, "  dedup has not run yet\n");
    else if (!m.survives)
        fprintf(x->out, "  not among the survivors\n");
    else if (!rows_before(&m))
        fprintf(x->out, "  survives; dedup is not complete yet\n");
    else
        print_place(&m);
    return 0;
}
