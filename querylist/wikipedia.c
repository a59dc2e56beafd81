#include "querylist/wikipedia.h"

#include <stdlib.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/progress.h"
#include "base/stream.h"
#include "base/workq.h"
#include "querylist/dump.h"
#include "querylist/title.h"
#include "querylist/wikitext.h"

#define REDIRECTS_MAX ((size_t)256 << 20) /* bytes in a block */
#define MEGABYTE      1000000u

/* A block of pages on its way, and what a worker made of it. */
struct batch {
    struct dump_block block;
    struct dump_pages pages;
    struct wikitext stripper;
    struct title_form from, to;
    struct buf text;      /* of one article */
    struct buf lines;     /* of all, for the sink */
    struct buf redirects; /* pairs: two lengths (uint16_t), name, target */
    struct buf hashes;    /* of pages, where somebody asked */
    struct tally drops;
    struct wikipedia_stats stats;
    uint64_t packed; /* bytes of the file up to here */
    /* The first bad pages, to be named in order. */
    struct {
        uint64_t number;
        enum dump_fault fault;
    } bad[WIKIPEDIA_LOGGED];
    unsigned n_bad;
};

struct reading {
    const struct wikipedia_config *c;
    const char *name;
    struct stream *in;
    struct dump *dump;
    struct batch *batches;
    unsigned depth;
    struct progress progress;
    uint64_t said; /* MB told to the progress */
    struct wikipedia_stats *stats;
    struct tally *drops;
    bool hashing;
    struct sha256 hash;
    unsigned logged;
};

/* ---- a worker's part ---- */

/* dump.h drops a page before the stripper would refuse it. */
_Static_assert(DUMP_TEXT_MAX <= WIKITEXT_MAX, "a text that is too long");

static void note_bad(struct batch *b, const struct dump_page *page)
{
    tally_add(&b->drops, dump_fault_name(page->fault), 1);
    if (b->n_bad >= WIKIPEDIA_LOGGED)
        return;
    b->bad[b->n_bad].number = page->number;
    b->bad[b->n_bad++].fault = page->fault;
}

static void hash_page(struct batch *b, const struct dump_page *page)
{
    const struct str parts[] = {page->title, page->redirect, page->text};
    uint8_t sha[SHA256_SIZE];
    struct sha256 h;

    sha256_init(&h);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        uint64_t n = parts[i].n;

        sha256_add(&h, str_make((const char *)&n, sizeof n));
        sha256_add(&h, parts[i]);
    }
    sha256_final(&h, sha);
    buf_add(&b->hashes, str_make((const char *)sha, sizeof sha));
}

static void note_redirect(struct batch *b, const struct dump_page *page)
{
    struct str name, target;
    uint16_t lengths[2];

    b->stats.redirects++;
    if (title_normal(&b->from, page->title, &name) == TITLE_CHARSET ||
        title_normal(&b->to, page->redirect, &target) == TITLE_CHARSET ||
        name.n > UINT16_MAX || target.n > UINT16_MAX)
        return;
    lengths[0] = (uint16_t)name.n;
    lengths[1] = (uint16_t)target.n;
    buf_add(&b->redirects, str_make((const char *)lengths, sizeof lengths));
    buf_add(&b->redirects, name);
    buf_add(&b->redirects, target);
}

static void put_line(struct batch *b, const struct dump_page *page)
{
    struct json_out o;

    json_out_init(&o, &b->lines);
    json_out_object(&o);
    json_put_u64(&o, "id", page->id);
    json_put_string(&o, "title", page->title);
    json_put_string(&o, "text", buf_str(&b->text));
    json_out_end_object(&o);
    buf_add_char(&b->lines, '\n');
}

static int take_article(const struct reading *r, struct batch *b,
                        struct ngrams_counter *counter,
                        const struct dump_page *page, struct err *e)
{
    int rc;

    buf_clear(&b->text);
    rc = wikitext_text(&b->stripper, dump_site(r->dump), page->text, &b->text);
    if (rc)
        return err_set(e, -rc, "%s: text of page %llu: %s", r->name,
                       (unsigned long long)page->number, err_name(rc));
    b->stats.articles++;
    b->stats.text += b->text.n;
    if (r->c->sink.put)
        put_line(b, page);
    if (!counter)
        return 0;
    ngrams_break(counter);
    return ngrams_add(counter, buf_str(&b->text), e);
}

static int take_page(const struct reading *r, struct batch *b,
                     struct ngrams_counter *counter,
                     const struct dump_page *page, struct err *e)
{
    b->stats.pages++;
    if (page->fault != DUMP_FAULT_NONE) {
        note_bad(b, page);
        return 0;
    }
    if (page->ns != SITE_MAIN)
        return 0;
    if (r->hashing)
        hash_page(b, page);
    if (page->redirect.n) {
        note_redirect(b, page);
        return 0;
    }
    return take_article(r, b, counter, page, e);
}

static int work(void *ctx, void *item, struct err *e)
{
    const struct reading *r = ctx;
    struct batch *b = item;
    struct ngrams_counter *counter =
        r->c->ngrams ? ngrams_take(r->c->ngrams) : NULL;
    struct dump_page page;
    bool more;
    int rc;

    dump_pages_start(&b->pages, &b->block);
    while (!(rc = dump_pages_next(&b->pages, &page, &more, e)) && more) {
        rc = take_page(r, b, counter, &page, e);
        if (rc)
            break;
    }
    if (counter)
        ngrams_give(r->c->ngrams, counter);
    if (!rc && (b->lines.rc || b->redirects.rc || b->hashes.rc))
        rc = err_set(e, E_TOOBIG, "%s: no room for a block of pages", r->name);
    return rc;
}

/* ---- in order, on both sides ---- */

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct reading *r = ctx;
    struct batch *b = item;
    int rc;

    buf_clear(&b->lines);
    buf_clear(&b->redirects);
    buf_clear(&b->hashes);
    tally_release(&b->drops);
    tally_init(&b->drops);
    b->stats = (struct wikipedia_stats){0};
    b->n_bad = 0;
    rc = dump_next(r->dump, &b->block, more, e);
    b->packed = stream_position(r->in);
    return rc;
}

static void name_bad_pages(struct reading *r, const struct batch *b)
{
    for (unsigned i = 0; i < b->n_bad; i++) {
        if (r->logged >= WIKIPEDIA_LOGGED)
            return;
        r->logged++;
        log_event("page", "%s: page %llu is left out: %s%s", r->name,
                  (unsigned long long)b->bad[i].number,
                  dump_fault_text(b->bad[i].fault),
                  r->logged == WIKIPEDIA_LOGGED
                      ? "; further ones are counted, not named"
                      : "");
    }
}

static int take_redirects(struct reading *r, const struct batch *b,
                          struct err *e)
{
    struct str rest = buf_str(&b->redirects);
    int rc = 0;

    while (!rc && r->c->aliases && rest.n) {
        uint16_t n[2];
        struct str name, target;

        memcpy(n, rest.p, sizeof n);
        name = str_slice(rest, sizeof n, sizeof n + n[0]);
        target = str_slice(rest, sizeof n + n[0], sizeof n + n[0] + n[1]);
        rest = str_slice(rest, sizeof n + n[0] + n[1], rest.n);
        rc = titles_aliases_add(r->c->aliases, name, target);
    }
    return rc ? err_set(e, -rc, "%s: redirects: %s", r->name, err_name(rc)) : 0;
}

static int consume(void *ctx, void *item, struct err *e)
{
    struct reading *r = ctx;
    const struct batch *b = item;
    int rc;

    name_bad_pages(r, b);
    tally_add_all(r->drops, &b->drops);
    r->stats->pages += b->stats.pages;
    r->stats->articles += b->stats.articles;
    r->stats->redirects += b->stats.redirects;
    r->stats->text += b->stats.text;
    if (r->hashing)
        sha256_add(&r->hash, buf_str(&b->hashes));
    rc = take_redirects(r, b, e);
    if (!rc && r->c->sink.put && b->lines.n)
        rc = r->c->sink.put(r->c->sink.ctx, buf_str(&b->lines), e);
    progress_note(&r->progress, "%llu articles",
                  (unsigned long long)r->stats->articles);
    progress_add(&r->progress, b->packed / MEGABYTE - r->said);
    r->said = b->packed / MEGABYTE;
    return rc;
}

/* ---- a dump ---- */

static void open_batches(struct reading *r)
{
    r->depth = r->c->threads + 2;
    r->batches = xcalloc(r->depth, sizeof *r->batches);
    for (unsigned i = 0; i < r->depth; i++) {
        struct batch *b = &r->batches[i];

        dump_block_init(&b->block);
        dump_pages_init(&b->pages, r->dump, false);
        wikitext_init(&b->stripper);
        title_form_init(&b->from);
        title_form_init(&b->to);
        b->from.exact_case = b->to.exact_case = dump_site(r->dump)->exact_case;
        buf_init(&b->text, BUF_NO_LIMIT);
        buf_init(&b->lines, BUF_NO_LIMIT);
        buf_init(&b->redirects, REDIRECTS_MAX);
        buf_init(&b->hashes, BUF_NO_LIMIT);
        tally_init(&b->drops);
    }
}

static void close_batches(struct reading *r)
{
    for (unsigned i = 0; r->batches && i < r->depth; i++) {
        struct batch *b = &r->batches[i];

        dump_block_release(&b->block);
        dump_pages_release(&b->pages);
        wikitext_release(&b->stripper);
        title_form_release(&b->from);
        title_form_release(&b->to);
        buf_release(&b->text);
        buf_release(&b->lines);
        buf_release(&b->redirects);
        buf_release(&b->hashes);
        tally_release(&b->drops);
    }
    free(r->batches);
}

static int read_blocks(struct reading *r, const char *path, struct err *e)
{
    static const struct workq_ops ops = {produce, work, consume};
    const char *cut;
    uint64_t bytes = 0;
    int rc;

    if (strcmp(path, "-") != 0)
        io_size(path, &bytes, NULL);
    open_batches(r);
    progress_begin(&r->progress, "queries", "MB", bytes / MEGABYTE);
    rc = workq_run(&ops, r, r->batches, sizeof *r->batches, r->depth,
                   r->c->threads, e);
    progress_end(&r->progress, rc);
    close_batches(r);
    cut = rc ? NULL : dump_truncated(r->dump);
    if (cut) {
        r->stats->truncated++;
        tally_add(r->drops, "truncated-dump", 1);
        log_event("truncated", "%s", cut);
    }
    return rc;
}

int wikipedia_read(const char *path, const struct wikipedia_config *c,
                   struct wikipedia_stats *s, struct tally *drops,
                   char sha256[SHA256_HEX], struct err *e)
{
    struct reading r = {.c = c,
                        .name = strcmp(path, "-") ? path : "standard input",
                        .stats = s,
                        .drops = drops,
                        .hashing = sha256 != NULL};
    int rc;

    if (r.hashing)
        sha256_init(&r.hash);
    rc = stream_open(&r.in, path, e);
    if (!rc) {
        stream_set_threads(r.in, c->threads);
        rc = dump_open(&r.dump, r.in, r.name, &c->dump, e);
    }
    if (!rc && r.hashing)
        site_hash(dump_site(r.dump), &r.hash);
    if (!rc)
        rc = read_blocks(&r, path, e);
    if (r.hashing)
        sha256_final_hex(&r.hash, sha256);
    dump_close(r.dump);
    stream_close(r.in);
    return rc;
}
