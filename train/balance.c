#include "train/balance.h"

#include <assert.h>
#include <endian.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/workq.h"
#include "train/balance_private.h"
#include "train/random.h"

#define THREADS_MAX 64

static const char magic[8] = {'W', 'I', 'T', 'M', 'I', 'L', 'L', 'K'};

/* ---- counts.tsv ---- */

static int bad_line(const char *name, uint64_t line, struct err *e)
{
    return err_set(e, E_FORMAT,
                   "%s:%llu: expected id, text, c and t with tabs between",
                   name, (unsigned long long)line);
}

static int put_count(struct balance_counts *c, size_t *cap, uint64_t id,
                     uint64_t count)
{
    if (id >= c->n) {
        if (id >= *cap) {
            size_t want = *cap ? *cap : 1024;
            uint64_t *grown;

            while (want <= id)
                want *= 2;
            grown = realloc(c->c, want * sizeof *c->c);
            if (!grown)
                return -E_NOMEM;
            c->c = grown;
            *cap = want;
        }
        memset(c->c + c->n, 0, (size_t)(id + 1 - c->n) * sizeof *c->c);
        c->n = id + 1;
    }
    c->c[id] = count;
    return 0;
}

int balance_counts_parse(struct balance_counts *c, struct str text,
                         const char *name, struct err *e)
{
    uint64_t line = 0, id, count, t;
    struct str all = text, row, field[4];
    size_t cap = 0;
    int rc = 0;

    *c = (struct balance_counts){.check = hash_xxh3(text)};
    while (!rc && all.n && str_split(&all, '\n', &row)) {
        line++;
        for (int i = 0; i < 4; i++)
            if (!str_split(&row, '\t', &field[i]))
                field[i] = STR_NONE;
        if (row.p || str_u64(field[0], &id) || str_u64(field[2], &count) ||
            str_u64(field[3], &t))
            rc = bad_line(name, line, e);
        else if (id >= BALANCE_ID_MAX)
            rc = err_set(e, E_TOOBIG, "%s:%llu: a query id above %llu", name,
                         (unsigned long long)line,
                         (unsigned long long)BALANCE_ID_MAX);
        else if (put_count(c, &cap, id, count))
            rc = err_set(e, E_NOMEM, "%s: no room for its counts", name);
    }
    if (!rc && !c->n)
        rc = err_set(e, E_FORMAT, "%s: no queries in it", name);
    if (rc)
        balance_counts_release(c);
    return rc;
}

int balance_counts_read(struct balance_counts *c, const char *path,
                        struct err *e)
{
    struct buf b;
    int rc;

    buf_init(&b, (size_t)BALANCE_FILE_MAX);
    rc = io_read_file(path, &b, e);
    *c = (struct balance_counts){0};
    if (!rc)
        rc = balance_counts_parse(c, buf_str(&b), path, e);
    buf_release(&b);
    return rc;
}

void balance_counts_release(struct balance_counts *c)
{
    free(c->c);
    *c = (struct balance_counts){0};
}

/* Ids ascend in every record, so the product has one order. */
int balance_threshold(const struct balance_counts *c, uint64_t cap,
                      const uint32_t *q, size_t n, uint64_t *threshold,
                      struct err *e)
{
    double stays_out = 1, p;

    for (size_t i = 0; i < n; i++) {
        uint64_t count = q[i] < c->n ? c->c[q[i]] : 0;

        if (!count)
            return err_set(e, E_FORMAT, "query %u is not in counts.tsv", q[i]);
        if (count <= cap)
            stays_out = 0;
        else
            stays_out *= 1 - (double)cap / (double)count;
    }
    p = ldexp(1 - stays_out, 64);
    *threshold = p >= 0x1p64 ? BALANCE_ALL : (uint64_t)p;
    return 0;
}

/* ---- .keep ---- */

static uint64_t word(struct str bytes, size_t at)
{
    uint64_t v;

    memcpy(&v, bytes.p + at, sizeof v);
    return le64toh(v);
}

int balance_keep_parse(struct str bytes, const struct balance_head *expect,
                       const struct balance_sample **v, const char *name,
                       struct err *e)
{
    struct str body;

    if (bytes.n < BALANCE_HEAD || memcmp(bytes.p, magic, sizeof magic))
        return err_set(e, E_FORMAT, "%s holds no thresholds", name);
    if ((word(bytes, 8) & UINT32_MAX) != BALANCE_VERSION)
        return err_set(
            e, E_VERSION, "%s has version %llu; this program reads %d", name,
            (unsigned long long)(word(bytes, 8) & UINT32_MAX), BALANCE_VERSION);
    if (word(bytes, 16) != expect->n || word(bytes, 24) != expect->cap ||
        word(bytes, 32) != expect->counts || word(bytes, 40) != expect->index)
        return err_set(e, E_STALE, "%s was made of something else", name);
    body = str_slice(bytes, BALANCE_HEAD, bytes.n);
    if (body.n / sizeof **v != expect->n || body.n % sizeof **v ||
        hash_xxh3(body) != word(bytes, 48))
        return err_set(e, E_DAMAGED, "%s is damaged", name);
    *v = (const struct balance_sample *)(const void *)body.p;
    return 0;
}

void balance_keep_write(struct buf *out, const struct balance_head *h,
                        const struct balance_sample *v)
{
    struct str body = str_make((const char *)v, (size_t)h->n * sizeof *v);

    buf_add_bytes(out, magic, sizeof magic);
    buf_add_u32le(out, BALANCE_VERSION);
    buf_add_u32le(out, 0);
    buf_add_u64le(out, h->n);
    buf_add_u64le(out, h->cap);
    buf_add_u64le(out, h->counts);
    buf_add_u64le(out, h->index);
    buf_add_u64le(out, hash_xxh3(body));
    buf_add_u64le(out, 0);
    buf_add(out, body);
}

/* Map the file as it is, whatever it says. */
static int map_file(struct balance_shard *t, const char *path, struct err *e)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    void *map;

    if (fd < 0)
        return err_errno(e, E_IO, "open", path);
    if (fstat(fd, &st))
        rc = err_errno(e, E_IO, "look at", path);
    else if (st.st_size < BALANCE_HEAD)
        rc = err_set(e, E_FORMAT, "%s holds no thresholds", path);
    if (!rc) {
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (map == MAP_FAILED)
            rc = err_errno(e, E_IO, "map", path);
        else
            *t = (struct balance_shard){.map = map,
                                        .map_size = (size_t)st.st_size};
    }
    close(fd);
    return rc;
}

static void unmap(struct balance_shard *t)
{
    if (t->map_size)
        munmap(t->map, t->map_size);
    else
        free(t->map);
    *t = (struct balance_shard){0};
}

static int load(struct balance_shard *t, const char *path,
                const struct balance_head *h, struct err *e)
{
    int rc = map_file(t, path, e);

    if (rc)
        return rc;
    rc = balance_keep_parse(str_make(t->map, t->map_size), h, &t->v, path, e);
    t->n = h->n;
    if (rc)
        unmap(t);
    return rc;
}

/* From the map into memory of their own. */
static int unfile(struct balance_shard *t, const char *path, struct err *e)
{
    size_t size = (size_t)t->n * sizeof *t->v;
    void *copy = malloc(size + 1);

    if (!copy)
        return err_set(e, E_NOMEM, "%s: no room for thresholds", path);
    memcpy(copy, t->v, size);
    munmap(t->map, t->map_size);
    *t = (struct balance_shard){.v = copy, .n = t->n, .map = copy};
    return 0;
}

/* ---- all shards of a source ---- */

struct job {
    struct balance *b;
    const struct source *s;
    const struct balance_options *o;
    const struct balance_counts *counts;
    size_t next;
    unsigned __int128 sum; /* of P * 2^64 */
};

struct item {
    size_t shard;
    unsigned __int128 sum;
};

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct job *j = ctx;
    struct item *m = item;

    (void)e;
    *more = j->next < j->s->n_shards;
    if (*more)
        m->shard = j->next++;
    return 0;
}

struct looked {
    const struct job *j;
    size_t shard;
    struct balance_head h;
};

/* One that cannot be used is made anew. */
static bool found(void *ctx)
{
    const struct looked *l = ctx;
    struct balance_shard *t = &l->j->b->shards[l->shard];
    char path[IO_PATH_MAX];

    for (int i = 0; i < 2; i++)
        if (!source_beside(l->j->s, l->shard, BALANCE_ENDING, i, path, NULL) &&
            io_exists(path) && !load(t, path, &l->h, NULL))
            return true;
    return false;
}

static int load_or_make(struct job *j, size_t shard, struct err *e)
{
    const struct source_shard *of = &j->s->shards[shard];
    struct looked l = {j,
                       shard,
                       {.n = of->n,
                        .cap = j->o->cap,
                        .counts = j->counts->check,
                        .index = of->check}};
    char path[IO_PATH_MAX];
    struct io_file f;
    bool cached, there = false;
    int rc;

    if (found(&l))
        return 0;
    rc = source_writable(j->s, shard, &cached, e);
    if (!rc)
        rc = source_beside(j->s, shard, BALANCE_ENDING, cached, path, e);
    if (!rc)
        rc = source_make(&f, path, found, &l, &there, e);
    if (rc || there)
        return rc;
    rc = balance_keep_make(j->s, shard, j->counts, &l.h, &f, e);
    return rc ? rc : load(&j->b->shards[shard], path, &l.h, e);
}

static int work(void *ctx, void *item, struct err *e)
{
    struct job *j = ctx;
    struct item *m = item;
    const struct balance_shard *t = &j->b->shards[m->shard];
    int rc = load_or_make(j, m->shard, e);

    if (!rc && j->o->maps && m->shard >= j->o->maps)
        rc = unfile(&j->b->shards[m->shard], j->s->shards[m->shard].path, e);
    m->sum = 0;
    for (uint64_t i = 0; !rc && i < t->n; i++) {
        uint64_t v = le64toh(t->v[i].threshold);

        m->sum += v == BALANCE_ALL ? (unsigned __int128)1 << 64 : v;
    }
    return rc;
}

static int consume(void *ctx, void *item, struct err *e)
{
    struct job *j = ctx;

    (void)e;
    j->sum += ((struct item *)item)->sum;
    return 0;
}

int balance_open(struct balance *b, const struct source *s,
                 const struct balance_options *o, struct err *e)
{
    static const struct workq_ops ops = {produce, work, consume};
    struct item items[2 * THREADS_MAX];
    struct balance_counts counts = {0};
    struct job j = {.b = b, .s = s, .o = o, .counts = &counts};
    long here = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = o->threads ? o->threads : here > 0 ? (unsigned)here : 1;
    char path[IO_PATH_MAX];
    int rc;

    *b = (struct balance){.n_shards = s->n_shards};
    b->stream = random_stream(o->seed, STR("balance"));
    b->shards = xcalloc(s->n_shards, sizeof *b->shards);
    rc = s->folder ? io_join(path, s->folder, "counts.tsv", e)
                   : err_set(e, E_NOTFOUND,
                             "%s: balancing wants a corpus or a folder with "
                             "counts.tsv in it",
                             s->name);
    if (!rc)
        rc = balance_counts_read(&counts, path, e);
    threads = threads > THREADS_MAX ? THREADS_MAX : threads;
    memset(items, 0, sizeof items);
    if (!rc)
        rc = workq_run(&ops, &j, items, sizeof *items, 2 * threads, threads, e);
    b->mean = (uint64_t)((j.sum + ((unsigned __int128)1 << 63)) >> 64);
    b->counts = counts.check;
    balance_counts_release(&counts);
    if (rc)
        balance_close(b);
    return rc;
}

void balance_close(struct balance *b)
{
    for (size_t i = 0; i < b->n_shards; i++)
        unmap(&b->shards[i]);
    free(b->shards);
    *b = (struct balance){0};
}
