/* The second sweep of dedup: who stays, who goes, and who pushed it out. */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/survivor.h"
#include "filter/dedup_private.h"

/* ---- duplicates ---- */

static const char *reason_of(bool against, bool exact)
{
    if (against)
        return exact ? "against-exact" : "against-near";
    return exact ? "duplicate-exact" : "duplicate-near";
}

/* Count, and put into its list unless that is there already. */
static int write_duplicate(struct dedup *d, const struct dedup_url *url,
                           struct dedup_verdict v, struct err *e)
{
    bool against = v.by < d->search.set;
    bool done = against ? d->against_done : d->duplicates_done;
    struct stage_output *to = against ? &d->against : &d->duplicates;
    const char *reason = reason_of(against, v.exact);
    struct dedup_pusher by = dedup_mail_pusher(&d->mail, v.by);
    struct json_out o;
    char h[17];

    if (d->bucket)
        tally_add(&d->bucket->drops, reason, 1);
    if (done)
        return 0;
    tally_add(&to->counts, reason, 1);
    snprintf(h, sizeof h, "%016llx", (unsigned long long)url->h);
    buf_clear(&d->line);
    json_out_init(&o, &d->line);
    json_out_object(&o);
    json_put_string(&o, "url", url->url);
    json_put_string(&o, "h", str_of(h));
    json_put_string(&o, "reason", str_of(reason));
    json_put_string(&o, "by", by.url);
    if (by.has_phash)
        json_put_u64(
            &o, "bits",
            (uint64_t)__builtin_popcountll(url->image->phash ^ by.phash));
    json_out_end_object(&o);
    return jsonl_write(against ? &d->against_out : &d->dup_out,
                       buf_str(&d->line), e);
}

/* ---- survivors ---- */

/* The texts that stay with the URL; with --exact, `keep` is rewritten, and
 * those that are left without one go. */
static int take_texts(struct dedup *d, struct dedup_join *j, struct err *e)
{
    const struct pair *next;
    uint64_t over_cap = 0;
    int rc;

    dedup_texts_clear(&d->texts);
    while (!(rc = dedup_join_pair(j, &next, e)) && next) {
        struct pair p = *next;

        if (d->is_exact) {
            d->keep = xgrow(d->keep, &d->cap_keep, p.n_q + 1u, sizeof *d->keep);
            p.keep = d->keep;
            p.n_keep = dedup_exact_keep(&d->exact, &p, d->keep);
        }
        if (d->is_exact && !p.n_keep)
            over_cap++;
        else
            rc = dedup_texts_add(&d->texts, &p, e);
        if (rc)
            break;
    }
    dedup_texts_sort(&d->texts);
    if (d->is_exact)
        tally_add(&d->bucket->counts, "texts-over-cap", over_cap);
    tally_add(&d->bucket->counts, "texts-over-ceiling", d->texts.left_out);
    return rc;
}

/* SURVIVOR_FRAME_ROWS rows to a frame. */
static int begin_row(struct dedup *d, struct err *e)
{
    uint64_t offset = 0;

    if (d->rows++ % SURVIVOR_FRAME_ROWS)
        return 0;
    if (d->rows > 1) {
        int rc = jsonl_frame(&d->out, &offset, e);

        if (rc)
            return rc;
    }
    json_out_u64(&d->bucket->more, offset);
    return 0;
}

static int write_survivor(struct dedup *d, struct dedup_join *j,
                          const struct dedup_url *url, struct err *e)
{
    struct survivor s = {.url = url->url,
                         .h = url->h,
                         .group = str_of(url->group),
                         .image = *url->image};
    const struct dedup_texts *t = &d->texts;
    int rc;

    if (!d->bucket)
        return 0;
    rc = take_texts(d, j, e);
    if (!rc && !t->n) {
        tally_add(&d->bucket->drops, "over-cap", 1);
        return 0;
    }
    if (!rc)
        rc = begin_row(d, e);
    if (rc)
        return rc;
    s.texts_total = t->n + t->left_out;
    tally_add(&d->bucket->counts, "rows", 1);
    tally_add(&d->bucket->counts, "texts", t->n);
    return survivor_write(&d->out, &s, t->texts, t->n, &d->line, e);
}

static int open_bucket(struct dedup *d, uint32_t k, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc;

    d->bucket = NULL;
    if (d->bucket_done[k])
        return 0;
    rc = stage_path(&d->buckets[k], ".jsonl.zst", path, e);
    if (!rc)
        rc = jsonl_open_write(&d->out, path, e);
    if (rc)
        return rc;
    d->out.manual = true;
    d->bucket = &d->buckets[k];
    d->rows = 0;
    tally_add(&d->bucket->counts, "urls", 0);
    tally_add(&d->bucket->counts, "images", 0);
    tally_add(&d->bucket->counts, "rows", 0);
    tally_add(&d->bucket->counts, "texts", 0);
    json_put_u64(&d->bucket->more, "frame_rows", SURVIVOR_FRAME_ROWS);
    json_out_name(&d->bucket->more, "frames");
    json_out_array(&d->bucket->more);
    return 0;
}

static int close_bucket(struct dedup *d, struct err *e)
{
    struct stage_output *o = d->bucket;
    char name[STAGE_NAME_MAX + 16];
    int rc;

    if (!o)
        return 0;
    d->bucket = NULL;
    json_out_end_array(&o->more);
    rc = jsonl_publish(&d->out, e);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s.jsonl.zst", o->name);
    stage_file(o, name, d->out.sha256);
    return stage_commit(o, e);
}

static int write_image(struct dedup *d, struct dedup_join *j,
                       const struct dedup_url *url, uint32_t id, struct err *e)
{
    struct dedup_verdict v;
    int rc;

    if (d->bucket)
        tally_add(&d->bucket->counts, "images", 1);
    rc = dedup_mail_visit(&d->mail, id, url->url, url->image->phash, &v, e);
    if (rc)
        return rc;
    return v.by != DEDUP_NONE ? write_duplicate(d, url, v, e)
                              : write_survivor(d, j, url, e);
}

static int write_bucket(struct dedup *d, struct dedup_join *j, uint32_t *id,
                        struct err *e)
{
    struct dedup_url url;
    bool more;
    int rc;

    while (!(rc = dedup_join_next(j, &url, &more, e)) && more) {
        progress_add(&d->progress, 1);
        if (d->bucket)
            tally_add(&d->bucket->counts, "urls", 1);
        if (d->bucket && !url.asked)
            tally_add(&d->bucket->counts, "unasked", 1);
        if (url.image)
            rc = write_image(d, j, &url, (*id)++, e);
        if (rc)
            break;
    }
    return rc;
}

/* ---- the sweep ---- */

static int sweep(struct dedup *d, struct err *e)
{
    struct dedup_join j;
    uint32_t id = d->search.set;
    int rc = dedup_mail_open(&d->mail, &d->search, d->config->set, e);

    if (!rc)
        rc = dedup_join_open(&j, d->corpus, &d->sources,
                             d->search.config.memory_bytes / LEDGER_SHARE, e);
    if (rc) {
        dedup_mail_close(&d->mail);
        return rc;
    }
    progress_begin(&d->progress, "dedup: write", "urls", d->urls_seen);
    for (uint32_t k = 0; !rc && k < corpus_buckets(d->corpus); k++) {
        rc = dedup_join_bucket(&j, k, e);
        if (!rc)
            rc = open_bucket(d, k, e);
        if (!rc)
            rc = write_bucket(d, &j, &id, e);
        if (!rc)
            rc = close_bucket(d, e);
    }
    if (d->bucket)
        jsonl_abandon(&d->out);
    progress_end(&d->progress, rc);
    dedup_join_close(&j);
    dedup_mail_close(&d->mail);
    return rc;
}

static int open_list(struct stage_output *o, bool done, struct jsonl_writer *w,
                     struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = done ? 0 : stage_path(o, ".jsonl.zst", path, e);

    return rc || done ? rc : jsonl_open_write(w, path, e);
}

static int close_list(struct stage_output *o, bool done, struct jsonl_writer *w,
                      struct err *e)
{
    char name[STAGE_NAME_MAX + 16];
    int rc = done ? 0 : jsonl_publish(w, e);

    if (rc || done)
        return rc;
    snprintf(name, sizeof name, "%s.jsonl.zst", o->name);
    stage_file(o, name, w->sha256);
    return stage_commit(o, e);
}

int dedup_write_all(struct dedup *d, struct err *e)
{
    int rc = open_list(&d->duplicates, d->duplicates_done, &d->dup_out, e);

    if (rc)
        return rc;
    rc = open_list(&d->against, d->against_done, &d->against_out, e);
    if (!rc) {
        rc = sweep(d, e);
        if (rc && !d->against_done)
            jsonl_abandon(&d->against_out);
        if (!rc)
            rc = close_list(&d->against, d->against_done, &d->against_out, e);
    }
    if (rc && !d->duplicates_done)
        jsonl_abandon(&d->dup_out);
    return rc ? rc
              : close_list(&d->duplicates, d->duplicates_done, &d->dup_out, e);
}
