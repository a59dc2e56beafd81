#include "tools/report_pictures.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/mem.h"
#include "catalog/ask.h"
#include "shards/index.h"
#include "shards/sample.h"

#define DRAWS_EACH 6 /* draws a wanted picture before giving up */

/* One shard's index is kept: draws are sorted by row. */
struct drawing {
    struct pictures *p;
    const struct corpus *corpus;
    struct ask_shard *shards;
    size_t n_shards;
    uint64_t max_bytes;
    struct index index;
    uint64_t loaded; /* its shard number; UINT64_MAX: none */
    char path[IO_PATH_MAX];
    int fd;
};

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static bool drawn_before(const uint64_t *rows, size_t n, uint64_t row)
{
    for (size_t i = 0; i < n; i++)
        if (rows[i] == row)
            return true;
    return false;
}

/* Distinct rows of total, in the order of the draw. */
static size_t draw_rows(const struct corpus *c, uint64_t total, size_t want,
                        uint64_t *rows)
{
    size_t n = 0;

    for (uint64_t i = 0; n < want && n < total && i < 64 * want + 64; i++) {
        char text[64];
        uint64_t h, row;

        snprintf(text, sizeof text, "report picture %llu",
                 (unsigned long long)i);
        h = hash_xxh3_seeded(str_of(text), c->head.seed);
        row = (uint64_t)((unsigned __int128)h * total >> 64);
        if (!drawn_before(rows, n, row))
            rows[n++] = row;
    }
    return n;
}

static void close_shard(struct drawing *d)
{
    if (d->loaded == UINT64_MAX)
        return;
    index_release(&d->index);
    close(d->fd);
    d->loaded = UINT64_MAX;
}

static int open_shard(struct drawing *d, uint64_t shard, struct err *e)
{
    char name[64], path[IO_PATH_MAX];
    int rc;

    if (d->loaded == shard)
        return 0;
    close_shard(d);
    snprintf(name, sizeof name, "shards/%05llu.idx", (unsigned long long)shard);
    rc = corpus_path(d->corpus, name, path, e);
    if (!rc)
        rc = index_read(&d->index, path, e);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "shards/%05llu.tar", (unsigned long long)shard);
    rc = corpus_path(d->corpus, name, d->path, e);
    d->fd = rc ? -1 : open(d->path, O_RDONLY | O_CLOEXEC);
    if (!rc && d->fd < 0)
        rc = err_errno(e, E_IO, "open", d->path);
    if (rc) {
        index_release(&d->index);
        return rc;
    }
    d->loaded = shard;
    return 0;
}

static int load(struct drawing *d, uint64_t offset, uint64_t size,
                struct str *out, struct err *e)
{
    char *to = arena_alloc(&d->p->arena, size + 1);

    if (!to)
        return err_set(e, E_NOMEM, "pictures of the report");
    *out = str_make(to, size);
    return io_pread_full(d->fd, to, size, offset, d->path, e);
}

/* ---- the json of a sample ---- */

static void read_ids(struct json *j, struct picture *p)
{
    json_array(j);
    while (json_element(j)) {
        uint64_t id = json_u64(j);

        if (p->n_q < PICTURE_QUERIES && id < UINT32_MAX)
            p->q[p->n_q++] = (uint32_t)id;
    }
}

static void read_keep(struct json *j, struct picture *p)
{
    json_array(j);
    while (json_element(j)) {
        uint64_t id = json_u64(j);

        for (size_t i = 0; i < p->n_q; i++)
            p->picked[i] |= p->q[i] == id;
    }
}

static void read_texts(struct json *j, struct picture *p)
{
    struct str name;

    json_array(j);
    while (json_element(j)) {
        struct str text = STR_NONE;

        json_object(j);
        while (json_member(j, &name)) {
            if (str_eq(name, STR("text")))
                text = json_string(j);
            else if (str_eq(name, STR("keep")) && p->n_texts == 0)
                read_keep(j, p); /* of the sample's own text */
            else
                json_skip(j);
        }
        if (p->n_texts < PICTURE_TEXTS && text.n)
            p->texts[p->n_texts++] = text;
    }
}

static int read_meta(struct drawing *d, struct str meta, struct picture *p,
                     struct err *e)
{
    struct json j;
    struct str name;
    int rc;

    json_open(&j, meta, &d->p->arena);
    json_object(&j);
    while (json_member(&j, &name)) {
        if (str_eq(name, STR("url")))
            p->url = json_string(&j);
        else if (str_eq(name, STR("key")))
            p->key = json_string(&j);
        else if (str_eq(name, STR("page")))
            p->page = json_string(&j);
        else if (str_eq(name, STR("width")))
            p->width = json_u64(&j);
        else if (str_eq(name, STR("height")))
            p->height = json_u64(&j);
        else if (str_eq(name, STR("texts_total")))
            p->texts_total = json_u64(&j);
        else if (str_eq(name, STR("q")))
            read_ids(&j, p);
        else if (str_eq(name, STR("texts")))
            read_texts(&j, p);
        else
            json_skip(&j);
    }
    rc = json_close(&j, e);
    return rc ? err_wrap(e, rc, "%s", d->path) : 0;
}

/* ---- one picture ---- */

static int take(struct drawing *d, uint64_t row, uint64_t *left, struct err *e)
{
    struct pictures *p = d->p;
    struct index_entry entry;
    struct picture *to;
    struct str meta;
    size_t k = 0;
    int rc;

    while (k < d->n_shards && row >= d->shards[k].samples)
        row -= d->shards[k++].samples;
    if (k == d->n_shards)
        return 0;
    rc = open_shard(d, d->shards[k].shard, e);
    if (rc || row >= d->index.n)
        return rc;
    index_get(&d->index, row, &entry);
    if (entry.image != INDEX_JPG || entry.json_size == INDEX_ABSENT ||
        entry.json_size > SAMPLE_META_MAX)
        return 0;
    if (entry.image_size > d->max_bytes || entry.image_size > *left) {
        p->too_large++;
        return 0;
    }
    p->v = xgrow(p->v, &p->cap, p->n + 1, sizeof *p->v);
    to = &p->v[p->n];
    *to = (struct picture){.n_texts = 0};
    rc = load(d, entry.image_offset, entry.image_size, &to->jpeg, e);
    if (!rc)
        rc = load(d, entry.json_offset, entry.json_size, &meta, e);
    if (!rc)
        rc = read_meta(d, meta, to, e);
    if (rc)
        return rc;
    *left -= entry.image_size;
    p->n++;
    return 0;
}

int pictures_draw(struct pictures *p, const struct corpus *c,
                  struct catalog *catalog, uint64_t n, uint64_t budget,
                  uint64_t max_bytes, struct err *e)
{
    struct drawing d = {.p = p,
                        .corpus = c,
                        .max_bytes = max_bytes,
                        .loaded = UINT64_MAX,
                        .fd = -1};
    uint64_t *rows = NULL;
    size_t n_rows = 0;
    int rc;

    *p = (struct pictures){.n = 0};
    arena_init(&p->arena, (size_t)1 << 30);
    rc = ask_shards(catalog, &d.shards, &d.n_shards, e);
    for (size_t k = 0; k < d.n_shards; k++)
        p->total += d.shards[k].samples;
    if (!rc && p->total && n) {
        rows = xrealloc_array(NULL, n * DRAWS_EACH, sizeof *rows);
        n_rows = draw_rows(c, p->total, n * DRAWS_EACH, rows);
    }
    /* In the order of the draw as far as enough of them are taken, but read
     * in the order of the shards. */
    for (size_t from = 0; !rc && from < n_rows && p->n < n;) {
        size_t batch = n - p->n < n_rows - from ? n - p->n : n_rows - from;

        qsort(rows + from, batch, sizeof *rows, by_number);
        for (size_t i = 0; i < batch && !rc; i++)
            rc = take(&d, rows[from + i], &budget, e);
        from += batch;
    }
    close_shard(&d);
    free(rows);
    free(d.shards);
    if (rc)
        pictures_release(p);
    return rc;
}

/* ---- by key ---- */

/* KEY is N * 10^k + i of sample i in shard N, with k + 5 digits or more
 * (docs/formats/shards.md). */
static bool row_of(const struct drawing *d, struct str key, uint64_t *row)
{
    uint64_t shard = 0, at = 0;

    if (key.n < 6 || key.n > 18)
        return false;
    for (size_t i = 0; i < key.n; i++) {
        uint64_t *to = i < 5 ? &shard : &at;

        if (key.p[i] < '0' || key.p[i] > '9')
            return false;
        *to = 10 * *to + (uint64_t)(key.p[i] - '0');
    }
    *row = at;
    for (size_t k = 0; k < d->n_shards; k++) {
        if (d->shards[k].shard == shard)
            return at < d->shards[k].samples;
        *row += d->shards[k].samples;
    }
    return false;
}

static int take_key(struct drawing *d, struct str key, uint64_t *left,
                    struct err *e)
{
    struct pictures *p = d->p;
    size_t before = p->n;
    uint64_t row;
    int rc = row_of(d, key, &row) ? take(d, row, left, e) : 0;

    if (rc || (p->n > before && str_eq(p->v[before].key, key)))
        return rc;
    p->v = xgrow(p->v, &p->cap, before + 1, sizeof *p->v);
    p->v[before] = (struct picture){.key = arena_str(&p->arena, key)};
    p->n = before + 1;
    return 0;
}

int pictures_find(struct pictures *p, const struct corpus *c,
                  struct catalog *catalog, const struct str *keys, size_t n,
                  uint64_t budget, uint64_t max_bytes, struct err *e)
{
    struct drawing d = {.p = p,
                        .corpus = c,
                        .max_bytes = max_bytes,
                        .loaded = UINT64_MAX,
                        .fd = -1};
    int rc;

    *p = (struct pictures){.n = 0};
    arena_init(&p->arena, (size_t)1 << 30);
    rc = ask_shards(catalog, &d.shards, &d.n_shards, e);
    for (size_t i = 0; i < n && !rc; i++)
        rc = take_key(&d, keys[i], &budget, e);
    close_shard(&d);
    free(d.shards);
    if (rc)
        pictures_release(p);
    return rc;
}

void pictures_release(struct pictures *p)
{
    free(p->v);
    arena_release(&p->arena);
    p->v = NULL;
    p->n = p->cap = 0;
}
