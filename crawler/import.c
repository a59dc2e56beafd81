#include "crawler/import.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jsonl.h"
#include "base/markup.h"
#include "base/mem.h"
#include "base/pages.h"
#include "base/pair.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "base/workq.h"

struct import {
    const struct corpus *corpus;
    const struct import_config *config;
    struct stage stage;
    struct stage_output *output; /* of the part at hand */
    struct jsonl_writer w;
    uint64_t part;               /* number of the next one */
    struct import_summary *sum;
    struct progress progress;
};

/* ---- a part, whatever it is made from ---- */

typedef int (*fill_fn)(struct import *m, void *ctx, struct err *e);

static int make_part(struct import *m, struct stage_output *o, fill_fn fill,
                     void *ctx, struct err *e)
{
    char path[IO_PATH_MAX], name[STAGE_NAME_MAX + 16];
    int rc = stage_path(o, ".jsonl.zst", path, e);

    m->output = o;
    if (!rc)
        rc = jsonl_open_write(&m->w, path, e);
    if (rc)
        return rc;
    rc = fill(m, ctx, e);
    if (rc) {
        jsonl_abandon(&m->w);
        return rc;
    }
    tally_add(&o->counts, "records", m->w.lines);
    rc = jsonl_publish(&m->w, e);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s.jsonl.zst", o->name);
    stage_file(o, name, m->w.sha256);
    return stage_commit(o, e);
}

static int run_part(struct import *m, const struct stage_inputs *in,
                    fill_fn fill, void *ctx, struct err *e)
{
    char name[STAGE_NAME_MAX];
    struct stage_output o;
    bool done;
    int rc;

    snprintf(name, sizeof name, "pairs/%s/part-%05llu", m->config->batch,
             (unsigned long long)m->part);
    rc = stage_begin(&m->stage, &o, name, in, &done, e);
    if (!rc && done)
        rc = sidecar_add_tallies(m->corpus, name, &m->sum->counts,
                                 &m->sum->drops, e);
    else if (!rc)
        rc = make_part(m, &o, fill, ctx, e);
    m->sum->parts++;
    m->sum->parts_done_before += done;
    tally_add_all(&m->sum->counts, &o.counts);
    tally_add_all(&m->sum->drops, &o.drops);
    stage_output_release(&o);
    return rc;
}

/* ---- saved pages ---- */

struct page {
    const char *path; /* relative to the site's folder */
    struct markup markup;
    struct buf html, url, records;
    struct tally drops;
    uint64_t n_images;
};

struct site {
    const char *folder;
    struct str base;
    const struct pages *pages;
    size_t next, end; /* of the part at hand */
    struct import *m;
    struct page *items;
    unsigned depth;
};

static int produce_page(void *ctx, void *item, bool *more, struct err *e)
{
    struct site *s = ctx;
    struct page *p = item;

    (void)e;
    *more = s->next < s->end;
    if (*more)
        p->path = s->pages->paths[s->next++];
    return 0;
}

static void write_pairs(struct page *p)
{
    for (size_t i = 0; i < p->markup.n_pairs; i++) {
        const struct markup_pair *from = &p->markup.pairs[i];
        struct pair out = {.url = from->url,
                           .text = from->text,
                           .from = str_of(markup_from_name(from->from)),
                           .page = buf_str(&p->url),
                           .origin = str_of(p->path)};

        pair_uid(out.text, out.url, out.uid);
        pair_write(&out, &p->records);
        buf_add_char(&p->records, '\n');
    }
}

/* A file that vanished or grew over the ceiling costs that page. */
static bool read_page(struct site *s, struct page *p)
{
    char path[IO_PATH_MAX];
    int rc = io_join(path, s->folder, p->path, NULL);

    buf_clear(&p->html);
    if (!rc)
        rc = io_read_file(path, &p->html, NULL);
    if (rc)
        tally_add(&p->drops, rc == -E_TOOBIG ? "page-too-large" : "page-read",
                  1);
    return !rc;
}

static int work_page(void *ctx, void *item, struct err *e)
{
    struct site *s = ctx;
    struct page *p = item;
    enum url_reason reason;
    int rc;

    tally_clear(&p->drops);
    buf_clear(&p->records);
    p->n_images = 0;
    /* A path that is no UTF-8 could be written into no record. */
    if (!utf8_valid(str_of(p->path))) {
        tally_add(&p->drops, "page-name", 1);
        return 0;
    }
    reason = pages_url(s->base, str_of(p->path), &p->url);
    if (reason != URL_OK) {
        tally_add(&p->drops, "page-name", 1);
        return 0;
    }
    if (!read_page(s, p))
        return 0;
    rc = markup_page(&p->markup, buf_str(&p->html), buf_str(&p->url),
                     STR_NONE);
    if (rc)
        return err_set(e, -rc, "%s/%s: %s", s->folder, p->path, err_name(rc));
    p->n_images = p->markup.n_images;
    for (unsigned k = 1; k < MARKUP_DROPS; k++)
        tally_add(&p->drops, markup_drop_name(k), p->markup.drops[k]);
    write_pairs(p);
    return p->records.rc ? err_set(e, E_NOMEM, "no memory for the pairs of %s",
                                   p->path)
                         : 0;
}

static int consume_page(void *ctx, void *item, struct err *e)
{
    struct site *s = ctx;
    struct page *p = item;

    tally_add(&s->m->output->counts, "pages", 1);
    tally_add(&s->m->output->counts, "images", p->n_images);
    tally_add_all(&s->m->output->drops, &p->drops);
    progress_add(&s->m->progress, 1);
    return p->records.n ? jsonl_write_block(&s->m->w, buf_str(&p->records), e)
                        : 0;
}

static const struct workq_ops page_pipeline = {produce_page, work_page,
                                               consume_page};

static int fill_pages(struct import *m, void *ctx, struct err *e)
{
    struct site *s = ctx;

    return workq_run(&page_pipeline, s, s->items, sizeof *s->items, s->depth,
                     stage_threads(&m->config->stage), e);
}

/* Inputs: the base, and each page by its path and content. */
static int site_inputs(const struct site *s, size_t from, size_t to,
                       struct stage_inputs *in, struct err *e)
{
    char hex[SHA256_HEX], path[IO_PATH_MAX];
    uint8_t raw[SHA256_SIZE];
    int rc = 0;

    hash_sha256(s->base, raw);
    hash_hex(raw, sizeof raw, hex);
    stage_inputs_add(in, "base", hex);
    for (size_t i = from; !rc && i < to; i++) {
        rc = io_join(path, s->folder, s->pages->paths[i], e);
        if (!rc)
            rc = io_sha256_file(path, hex, e);
        if (!rc)
            stage_inputs_add(in, s->pages->paths[i], hex);
    }
    return rc;
}

static int site_parts(struct import *m, struct site *s, struct err *e)
{
    struct stage_inputs in;
    int rc = 0;

    stage_inputs_init(&in);
    for (size_t from = 0; !rc && from < s->pages->n; from += IMPORT_PAGES) {
        size_t to = from + IMPORT_PAGES;

        if (to > s->pages->n)
            to = s->pages->n;
        if (part_has(m->config->stage.part, m->part)) {
            s->next = from;
            s->end = to;
            stage_inputs_clear(&in);
            rc = site_inputs(s, from, to, &in, e);
            if (!rc)
                rc = run_part(m, &in, fill_pages, s, e);
        }
        m->part++;
    }
    stage_inputs_release(&in);
    return rc;
}

static void open_items(struct site *s, unsigned threads)
{
    s->depth = 4 * threads;
    s->items = xcalloc(s->depth, sizeof *s->items);
    for (unsigned i = 0; i < s->depth; i++) {
        markup_init(&s->items[i].markup);
        buf_init(&s->items[i].html, IMPORT_PAGE_MAX);
        buf_init(&s->items[i].url, BUF_NO_LIMIT);
        buf_init(&s->items[i].records, BUF_NO_LIMIT);
        tally_init(&s->items[i].drops);
    }
}

static void close_items(struct site *s)
{
    for (unsigned i = 0; i < s->depth; i++) {
        markup_release(&s->items[i].markup);
        buf_release(&s->items[i].html);
        buf_release(&s->items[i].url);
        buf_release(&s->items[i].records);
        tally_release(&s->items[i].drops);
    }
    free(s->items);
}

static int import_site(struct import *m, const char *folder, const char *base,
                       struct err *e)
{
    struct site s = {.folder = folder, .m = m};
    struct pages pages;
    struct buf url;
    enum url_reason reason;
    int rc;

    buf_init(&url, BUF_NO_LIMIT);
    reason = url_resolve(STR_NONE, str_of(base), &url);
    if (reason != URL_OK) {
        buf_release(&url);
        return err_set(e, E_USAGE, "--base %s is no http(s) URL: %s", base,
                       url_reason_name(reason));
    }
    s.base = buf_str(&url);
    s.pages = &pages;
    rc = pages_list(folder, &pages, e);
    if (!rc) {
        open_items(&s, stage_threads(&m->config->stage));
        rc = site_parts(m, &s, e);
        close_items(&s);
        pages_release(&pages);
    }
    buf_release(&url);
    return rc;
}

/* ---- link lists ---- */

struct list {
    const char *path;
    struct buf url, text, page, record, origin;
};

/* One row to a record, or why not. */
static const char *row_record(struct list *l, const struct table_row *row)
{
    struct str uid = str_trim(row->cell[TABLE_UID]);
    struct pair out = {.from = STR("column")};
    enum url_reason reason;
    const char *why;

    if (row->bad)
        return "row";
    reason = url_resolve(STR_NONE, row->cell[TABLE_URL], &l->url);
    if (reason != URL_OK)
        return url_reason_name(reason);
    why = pair_text(row->cell[TABLE_TEXT], &l->text);
    if (why)
        return why;
    /* A page that is no URL is left out; it decides nothing. */
    if (row->cell[TABLE_PAGE].n &&
        url_resolve(STR_NONE, row->cell[TABLE_PAGE], &l->page) == URL_OK)
        out.page = buf_str(&l->page);
    if (utf8_valid(uid) && uid.n <= URL_MAX)
        out.list_uid = uid;
    buf_clear(&l->origin);
    buf_addf(&l->origin, "%s:%llu", l->path, (unsigned long long)row->number);
    out.url = buf_str(&l->url);
    out.text = buf_str(&l->text);
    out.origin = buf_str(&l->origin);
    pair_uid(out.text, out.url, out.uid);
    buf_clear(&l->record);
    pair_write(&out, &l->record);
    return NULL;
}

static int fill_list(struct import *m, void *ctx, struct err *e)
{
    const char *file = ctx, *slash = strrchr(file, '/');
    struct list l = {.path = slash ? slash + 1 : file};
    struct table_row row;
    struct table t;
    bool more;
    int rc = table_open(&t, file, &m->config->table, e);

    if (rc)
        return rc;
    buf_init(&l.url, BUF_NO_LIMIT);
    buf_init(&l.text, TABLE_ROW_MAX);
    buf_init(&l.page, BUF_NO_LIMIT);
    buf_init(&l.record, BUF_NO_LIMIT);
    buf_init(&l.origin, IO_PATH_MAX + 32);
    while (!(rc = table_next(&t, &row, &more, e)) && more) {
        const char *why = row_record(&l, &row);

        tally_add(&m->output->counts, "rows", 1);
        progress_add(&m->progress, 1);
        if (why)
            tally_add(&m->output->drops, why, 1);
        else
            rc = jsonl_write(&m->w, buf_str(&l.record), e);
        if (rc)
            break;
    }
    tally_add(&m->output->drops, "row-too-long", t.lines.too_long);
    table_close(&t);
    buf_release(&l.url);
    buf_release(&l.text);
    buf_release(&l.page);
    buf_release(&l.record);
    buf_release(&l.origin);
    return rc;
}

static int import_list(struct import *m, const char *file, struct err *e)
{
    struct stage_inputs in;
    int rc = 0;

    stage_inputs_init(&in);
    if (part_has(m->config->stage.part, m->part)) {
        rc = stage_inputs_add_file(&in, file, e);
        if (!rc)
            rc = run_part(m, &in, fill_list, (void *)(uintptr_t)file, e);
    }
    m->part++;
    stage_inputs_release(&in);
    return rc;
}

/* ---- the stage ---- */

static int check(const struct import_config *c, struct err *e)
{
    struct str name = str_of(c->batch);

    if (c->html.n != c->bases.n)
        return err_set(e, E_USAGE,
                       "%zu --html and %zu --base: each folder needs the URL "
                       "it was saved from",
                       c->html.n, c->bases.n);
    if (c->html.n + c->links.n == 0)
        return err_set(e, E_USAGE,
                       "nothing to import: give --html DIR --base URL, or "
                       "--links FILE");
    if (name.n == 0 || name.n > 100 || name.p[0] == '.' ||
        str_find_char(name, '/', 0) != SIZE_MAX)
        return err_set(e, E_USAGE, "--as %s: a name without slashes", c->batch);
    if (str_eq(name, STR("crawl")))
        return err_set(e, E_USAGE, "--as crawl: that name is the crawler's");
    return 0;
}

int import_run(const struct corpus *c, const struct opt_table *table,
               const struct import_config *config, struct import_summary *sum,
               struct err *e)
{
    struct import m = {.corpus = c, .config = config, .sum = sum};
    char folder[STAGE_NAME_MAX];
    int rc = check(config, e);

    *sum = (struct import_summary){0};
    if (rc)
        return rc;
    stage_init(&m.stage, c, "import", IMPORT_VERSION, table, config,
               config->stage.redo);
    progress_begin(&m.progress, "import", "pages and rows", 0);
    for (size_t i = 0; !rc && i < config->html.n; i++)
        rc = import_site(&m, config->html.v[i], config->bases.v[i], e);
    for (size_t i = 0; !rc && i < config->links.n; i++)
        rc = import_list(&m, config->links.v[i], e);
    progress_end(&m.progress, rc);
    if (!rc && config->stage.part.n == 0) {
        snprintf(folder, sizeof folder, "pairs/%s", config->batch);
        rc = stage_prune(&m.stage, folder, "part-", m.part, e);
    }
    stage_release(&m.stage);
    return rc;
}
