#include "crawler/crawl_out.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/url.h"
#include <stdio.h>
#include <stdlib.h>

static int file_path(const struct corpus *c, uint32_t from, uint32_t to,
                     char *out, struct err *e)
{
    char name[64];

    snprintf(name, sizeof name, "pairs/crawl/out-%u-to-%u.jsonl.zst", from, to);
    return corpus_path(c, name, out, e);
}

static void meta_name(uint32_t to, char out[32])
{
    snprintf(out, 32, "out-%u", to);
}

/* Durable length of the file to part `to`, 0 when there is none. */
static int durable(struct crawldb *db, uint32_t to, uint64_t *bytes,
                   struct err *e)
{
    char name[32];
    struct buf b;
    bool found;
    int rc;

    *bytes = 0;
    meta_name(to, name);
    buf_init(&b, 64);
    rc = crawldb_get_meta(db, name, &b, &found, e);
    if (!rc && found && str_u64(buf_str(&b), bytes))
        rc = err_set(e, E_DAMAGED, "crawl's database: meta %s is no number",
                     name);
    buf_release(&b);
    return rc;
}

static int open_file(struct crawl_out *o, uint32_t to, uint64_t bytes,
                     struct err *e)
{
    struct crawl_out_file *f = &o->to[to];
    char path[IO_PATH_MAX];
    int rc = file_path(o->corpus, o->part.i, to, path, e);

    if (!rc)
        rc = jsonl_append_open(&f->file, path, bytes, e);
    f->open = !rc;
    return rc;
}

int crawl_out_open(struct crawl_out *o, const struct corpus *corpus,
                   struct part part, struct crawldb *db, struct err *e)
{
    int rc = 0;

    *o = (struct crawl_out){.corpus = corpus, .part = part};
    if (part.n)
        o->to = xcalloc(part.n, sizeof *o->to);
    for (uint32_t j = 0; j < part.n; j++)
        buf_init(&o->to[j].lines, BUF_NO_LIMIT);
    for (uint32_t j = 0; !rc && j < part.n; j++) {
        char path[IO_PATH_MAX];
        uint64_t bytes;

        rc = file_path(corpus, part.i, j, path, e);
        if (!rc)
            rc = durable(db, j, &bytes, e);
        if (!rc && (bytes || io_exists(path)))
            rc = open_file(o, j, bytes, e);
    }
    return rc;
}

void crawl_out_close(struct crawl_out *o)
{
    for (uint32_t j = 0; o->to && j < o->part.n; j++) {
        if (o->to[j].open)
            jsonl_append_close(&o->to[j].file);
        buf_release(&o->to[j].lines);
    }
    free(o->to);
    *o = (struct crawl_out){0};
}

uint32_t crawl_out_owner(const struct crawl_out *o, struct str domain)
{
    return o->part.n ? (uint32_t)(hash_xxh3(domain) % o->part.n) : 0;
}

void crawl_out_add(struct crawl_out *o, uint32_t owner, struct str url,
                   unsigned depth)
{
    struct buf *b = &o->to[owner].lines;
    struct json_out j;

    json_out_init(&j, b);
    json_out_object(&j);
    json_put_string(&j, "url", url);
    json_put_u64(&j, "depth", depth);
    json_out_end_object(&j);
    buf_add_char(b, '\n');
}

size_t crawl_out_waiting(const struct crawl_out *o)
{
    size_t n = 0;

    for (uint32_t j = 0; j < o->part.n; j++)
        n += o->to[j].lines.n;
    return n;
}

int crawl_out_save(struct crawl_out *o, struct crawldb *db, struct err *e)
{
    int rc = 0;

    for (uint32_t j = 0; !rc && j < o->part.n; j++) {
        struct crawl_out_file *f = &o->to[j];
        char name[32], length[32];

        if (f->lines.n == 0)
            continue;
        rc = f->lines.rc;
        if (!rc && !f->open)
            rc = open_file(o, j, 0, e);
        if (!rc)
            rc = jsonl_append(&f->file, buf_str(&f->lines), e);
        if (rc)
            break;
        buf_clear(&f->lines);
        meta_name(j, name);
        snprintf(length, sizeof length, "%llu",
                 (unsigned long long)f->file.bytes);
        rc = crawldb_put_meta(db, name, str_of(length), e);
    }
    return rc;
}

static int read_line(struct str line, crawl_out_fn fn, void *ctx,
                     struct arena *a, struct err *e)
{
    struct str name, url = STR_NONE;
    struct url_parts parts;
    uint64_t depth = UINT64_MAX;
    struct json j;
    int rc;

    json_open(&j, line, a);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("url")))
            url = json_string(&j);
        else if (str_eq(name, STR("depth")))
            depth = json_u64(&j);
        else
            json_skip(&j);
    }
    rc = json_close(&j, e);
    if (!rc && (!url_split(url, &parts) || depth > UINT32_MAX))
        rc = err_set(e, E_FORMAT, "no url, or no depth");
    return rc ? rc : fn(ctx, url, (unsigned)depth, e);
}

static int read_file(const char *path, crawl_out_fn fn, void *ctx,
                     struct err *e)
{
    struct jsonl_reader r;
    struct arena a;
    struct str line;
    uint64_t bytes, lines;
    bool more;
    int rc = jsonl_whole_bytes(path, &bytes, &lines, e);

    if (!rc)
        rc = jsonl_open_range(&r, path, 0, bytes, e);
    if (rc)
        return rc;
    arena_init(&a, 1 << 20);
    while ((rc = jsonl_next(&r, &line, &more, e)) == 0 && more) {
        arena_reset(&a);
        rc = read_line(line, fn, ctx, &a, e);
        if (rc) {
            rc = err_wrap(e, rc, "%s:%llu", path, (unsigned long long)r.line);
            break;
        }
    }
    arena_release(&a);
    jsonl_close(&r);
    return rc;
}

int crawl_out_read(const struct crawl_out *o, crawl_out_fn fn, void *ctx,
                   struct err *e)
{
    int rc = 0;

    for (uint32_t j = 0; !rc && j < o->part.n; j++) {
        char path[IO_PATH_MAX];

        if (j == o->part.i)
            continue;
        rc = file_path(o->corpus, j, o->part.i, path, e);
        if (!rc && io_exists(path))
            rc = read_file(path, fn, ctx, e);
    }
    return rc;
}

int crawl_out_remove(const struct corpus *corpus, struct part part,
                     struct err *e)
{
    int rc = 0;

    for (uint32_t j = 0; !rc && j < part.n; j++) {
        char path[IO_PATH_MAX];

        rc = file_path(corpus, part.i, j, path, e);
        if (!rc)
            rc = io_remove(path, e);
    }
    return rc;
}
