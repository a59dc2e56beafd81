/* The half of querylist/dump.h that reads and hands out. */
#include "querylist/dump.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"
#include "querylist/dump_cut.h"
#include "querylist/dump_inner.h"

#define READ_BYTES ((size_t)256 << 10) /* what a stream gives at a time */
#define BUFFER_MAX (DUMP_PAGE_MAX + 2 * DUMP_BLOCK + 2 * READ_BYTES)

const char *dump_name(const struct dump *d)
{
    return d->name;
}

const struct dump_site *dump_site(const struct dump *d)
{
    return &d->site;
}

bool dump_has_no_redirects(const struct dump *d)
{
    return d->head.no_redirects;
}

const char *dump_truncated(const struct dump *d)
{
    return d->truncated;
}

void dump_block_init(struct dump_block *b)
{
    *b = (struct dump_block){0};
    buf_init(&b->xml, BUFFER_MAX);
}

void dump_block_release(struct dump_block *b)
{
    buf_release(&b->xml);
    free(b->gaps);
    b->gaps = NULL;
    b->n_gaps = b->cap_gaps = 0;
}

uint64_t dump_gaps_place(const struct dump_gap *gaps, size_t n, uint64_t offset,
                         size_t i)
{
    for (size_t k = 0; k < n && gaps[k].at <= i; k++)
        offset += gaps[k].n;
    return offset + i;
}

/* ---- reading ---- */

/* More bytes behind b, or eof.  When compressed data are cut off, d->late keeps
 * the stream's message for end(). */
static void fill(struct dump *d)
{
    char *to = buf_reserve(&d->b, d->options.read_bytes);
    size_t got = 0;
    int rc;

    if (!to) {
        d->rc =
            err_set(&d->late, -d->b.rc, "%s: no memory for a page", d->name);
        return;
    }
    rc = stream_read(d->in, to, d->options.read_bytes, &got, &d->late);
    if (rc && !stream_is_cut(d->in))
        d->rc = rc;
    d->b.n += got;
    d->b.p[d->b.n] = 0;
    d->eof = rc || !got;
}

/* Bytes of the first export's head, or SIZE_MAX when more must be read to
 * know: to behind <siteinfo>, or to what stands where that is missing. */
static size_t head_length(const struct dump *d)
{
    static const struct str behind[] = {
        {"</siteinfo>", 11}, {"<page>", 6}, {"<page ", 6}, {"</mediawiki", 11}};
    struct str s = str_slice(buf_str(&d->b), 0, DUMP_HEAD_MAX);
    size_t first = SIZE_MAX;

    for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
        size_t at = str_find(s, behind[i], 0);

        if (at < first)
            first = at + (i == 0 ? behind[i].n : 0);
    }
    if (first == SIZE_MAX && (d->eof || s.n == DUMP_HEAD_MAX))
        first = s.n;
    return first;
}

static int first_head(struct dump *d, struct err *e)
{
    size_t n;
    struct str s;
    int rc;

    while ((n = head_length(d)) == SIZE_MAX && !d->rc)
        fill(d);
    rc = d->rc;
    if (!rc && d->late.code && !d->b.n)
        rc = d->late.code;
    if (rc) {
        *e = d->late;
        return rc;
    }
    s = str_slice(buf_str(&d->b), 0, n);
    rc = dump_head_read(&d->head, &d->site, s, d->name, e);
    if (rc)
        return rc;
    d->at = d->head.n;
    d->in_export = !d->head.empty;
    s = str_slice(s, str_find(s, STR("<mediawiki"), 0), d->head.n);
    buf_add(&d->first_head, s);
    cut_forget(d);
    return 0;
}

/* d->gaps before `end` go with the block. */
static void hand_out_gaps(struct dump *d, struct dump_block *to, size_t end)
{
    size_t n = 0;

    to->n_gaps = 0;
    while (n < d->n_gaps && d->gaps[n].at < end)
        n++;
    if (n) {
        to->gaps = xgrow(to->gaps, &to->cap_gaps, n, sizeof *to->gaps);
        memcpy(to->gaps, d->gaps, n * sizeof *d->gaps);
        to->n_gaps = n;
    }
    for (size_t k = n; k < d->n_gaps; k++)
        d->gaps[k - n] = (struct dump_gap){d->gaps[k].at - end, d->gaps[k].n};
    d->n_gaps -= n;
}

/* What is behind the pages handed out begins at 0 now. */
static void rebase(struct dump *d, size_t end)
{
    d->offset = dump_gaps_place(d->gaps, d->n_gaps, d->offset, end - 1) + 1;
    d->pages += d->n_pages;
    d->n_pages = 0;
    d->pages_end = 0;
    d->at -= end;
    if (!d->in_page)
        return;
    d->page_at -= end;
    if (d->first_revision != CUT_NOWHERE) {
        d->first_revision -= end;
        d->last_revision -= end;
    }
}

/* The whole pages of d->b become the block; what is behind them stays. */
static int hand_out(struct dump *d, struct dump_block *to, struct err *e)
{
    struct buf was = d->b;
    size_t end = d->pages_end;
    struct str title;

    if (!d->in_page) {
        title = cut_title(d, d->page_at, end);
        memcpy(d->title, title.p, title.n);
        d->title[title.n] = 0;
    }
    d->b = to->xml;
    buf_clear(&d->b);
    buf_add_bytes(&d->b, was.p + end, was.n - end);
    to->xml = was;
    to->over = d->over && !d->in_page;
    assert(!to->over || d->n_pages == 1);
    to->xml.n = end;
    if (to->over && end > d->page_at + CUT_KEEP)
        to->xml.n = d->page_at + CUT_KEEP;
    to->xml.p[to->xml.n] = 0;
    to->first_page = d->pages + 1;
    to->pages = d->n_pages;
    to->offset = d->offset;
    rebase(d, end);
    hand_out_gaps(d, to, end);
    if (d->b.rc)
        return err_set(e, -d->b.rc, "%s: no memory for a page", d->name);
    return 0;
}

/* All pages are out. */
static int end(struct dump *d, struct err *e)
{
    struct buf where;

    if (d->rc)
        goto report;
    if (!d->in_page && !d->in_export && !d->until.n && !d->torn &&
        !d->late.code)
        return 0;
    buf_init(&where, ERR_MESSAGE_MAX);
    cut_place(d, d->b.n, &where);
    buf_addf(&where, "%s%s", d->late.code ? ": " : "", d->late.message);
    if (d->options.allow_truncated) {
        if (!d->truncated)
            d->truncated = xasprintf("%s: cut off at %.*s", d->name,
                                     STR_ARG(buf_str(&where)));
    } else {
        d->late = (struct err)ERR_INIT;
        d->rc = err_set(&d->late, E_FORMAT,
                        "%s: cut off at %.*s; --allow-truncated goes on with "
                        "the pages that are whole",
                        d->name, STR_ARG(buf_str(&where)));
    }
    buf_release(&where);
report:
    if (d->rc && e)
        *e = d->late;
    return d->rc;
}

int dump_next(struct dump *d, struct dump_block *b, bool *more, struct err *e)
{
    b->xml.n = b->pages = 0;
    *more = false;
    for (;;) {
        bool last;

        cut_scan(d);
        last = d->rc || d->eof || d->stop;
        if (d->n_pages && (last || d->b.n >= d->options.block_bytes)) {
            *more = true;
            return hand_out(d, b, e);
        }
        if (d->stop)
            continue;
        if (last)
            return end(d, e);
        if (!d->n_pages)
            cut_shrink(d);
        fill(d);
    }
}

/* ---- open and close ---- */

int dump_open(struct dump **out, struct stream *in, const char *name,
              const struct dump_options *o, struct err *e)
{
    struct dump *d = xcalloc(1, sizeof *d);
    struct err spare = ERR_INIT;
    int rc;

    *out = NULL;
    d->in = in;
    d->name = xstrdup(name);
    d->options = *o;
    if (!o->read_bytes || o->read_bytes > READ_BYTES)
        d->options.read_bytes = READ_BYTES;
    if (!o->block_bytes || o->block_bytes > DUMP_BLOCK)
        d->options.block_bytes = DUMP_BLOCK;
    buf_init(&d->b, BUFFER_MAX);
    buf_init(&d->first_head, DUMP_HEAD_MAX + READ_BYTES);
    site_init(&d->site);
    d->first_revision = d->last_revision = CUT_NOWHERE;
    rc = first_head(d, e ? e : &spare);
    if (rc) {
        dump_close(d);
        return rc;
    }
    *out = d;
    return 0;
}

void dump_close(struct dump *d)
{
    if (!d)
        return;
    buf_release(&d->b);
    buf_release(&d->first_head);
    free(d->gaps);
    free(d->truncated);
    free(d->name);
    free(d);
}
