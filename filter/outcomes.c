#include "filter/outcomes.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jsonl.h"
#include "base/ledger.h"
#include "base/mem.h"
#include "base/workq.h"

#define RECORD_ARENA_MAX ((size_t)4 << 20)
#define SLICE_BITS_MAX   16 /* at most so many slices: 2^16 */
#define MEMORY_MIN       ((uint64_t)64 << 10)

/* "GGG-RR..." of a file in images/. */
static bool parse_name(const char *name, unsigned *pass)
{
    struct str s = str_of(name);
    uint64_t group, rr;

    if (s.n < 6 || s.p[3] != '-' || str_u64(str_slice(s, 0, 3), &group) ||
        str_u64(str_slice(s, 4, 6), &rr))
        return false;
    *pass = (unsigned)rr;
    return true;
}

int outcomes_passes(const struct corpus *c, unsigned *passes, struct err *e)
{
    char path[IO_PATH_MAX];
    struct err inner = ERR_INIT;
    struct io_list names;
    int rc = corpus_path(c, "images", path, e);

    *passes = 0;
    if (rc)
        return rc;
    rc = io_list(path, &names, &inner);
    if (rc == -E_NOTFOUND)
        return 0;
    if (rc)
        return err_set(e, -rc, "%s", inner.message);
    for (size_t i = 0; i < names.n; i++) {
        unsigned pass;

        if (parse_name(names.names[i], &pass) && pass >= *passes)
            *passes = pass + 1;
    }
    io_list_release(&names);
    return 0;
}

/* The same for whoever writes and whoever asks. */
static struct outcome key_of(uint64_t h, struct str url)
{
    struct outcome o = {.h = h};
    uint8_t md5[MD5_SIZE];

    hash_md5_2(url, STR_NONE, md5);
    memcpy(&o.check, md5, sizeof o.check);
    o.check &= ~UINT64_C(1);
    return o;
}

static uint32_t slice_of(const struct outcomes *o, uint64_t h)
{
    return o->bits ? (uint32_t)(h >> (64 - o->bits)) : 0;
}

struct reading {
    struct outcomes *outcomes;
    const struct corpus *corpus;
    const struct io_list *names;
    struct stage_inputs *in;
    unsigned passes;
    size_t next;
};

static int read_ledger(void *ctx, void *item, struct err *e)
{
    const struct reading *g = ctx;
    struct outcomes *o = g->outcomes;
    char file[STAGE_NAME_MAX + 32], path[IO_PATH_MAX];
    struct jsonl_reader r;
    struct arena arena;
    struct str line;
    bool more;
    int rc;

    snprintf(file, sizeof file, "images/%s.ledger.jsonl.zst",
             g->names->names[*(size_t *)item]);
    rc = corpus_path(g->corpus, file, path, e);
    if (rc)
        return rc;
    arena_init(&arena, RECORD_ARENA_MAX);
    rc = jsonl_open(&r, path, e);
    while (!rc && !(rc = jsonl_next(&r, &line, &more, e)) && more) {
        struct outcome row;
        struct ledger l;

        arena_reset(&arena);
        rc = ledger_read(line, &arena, &l, e);
        if (rc) {
            rc = err_wrap(e, rc, "%s: line %llu", path,
                          (unsigned long long)r.line);
            break;
        }
        row = key_of(corpus_url_hash(g->corpus, l.url), l.url);
        row.check |= l.outcome == LEDGER_IMAGE;
        rc = bins_add(&o->slices, slice_of(o, row.h), &row, sizeof row, e);
    }
    jsonl_close(&r);
    arena_release(&arena);
    return rc;
}

static int next_ledger(void *ctx, void *item, bool *more, struct err *e)
{
    struct reading *g = ctx;
    unsigned pass;

    (void)e;
    while (g->next < g->names->n &&
           (!parse_name(g->names->names[g->next], &pass) || pass >= g->passes))
        g->next++;
    *more = g->next < g->names->n;
    *(size_t *)item = g->next++;
    return 0;
}

static int note_ledger(void *ctx, void *item, struct err *e)
{
    const struct reading *g = ctx;
    char output[STAGE_NAME_MAX];

    if (!g->in)
        return 0;
    snprintf(output, sizeof output, "images/%s",
             g->names->names[*(size_t *)item]);
    return stage_inputs_add_output(g->in, g->corpus, output, "download", e);
}

static const struct workq_ops pipeline = {next_ledger, read_ledger,
                                          note_ledger};

/* Slices small enough that the views of all threads fit, and so few that their
 * blocks do; a slice within a bucket is loaded once. */
static bool slice_bits(const struct corpus *c,
                       const struct outcomes_config *config, uint64_t memory,
                       unsigned *bits)
{
    uint64_t views = 2 * (uint64_t)config->threads;
    uint64_t room = memory / 2 / views / sizeof(struct outcome);
    uint32_t most = bins_most(memory / 2);

    *bits = 0;
    while (*bits < SLICE_BITS_MAX && UINT32_C(2) << *bits <= most &&
           (*bits < c->head.bucket_bits || config->pairs >> *bits > room))
        ++*bits;
    return config->pairs >> *bits <= room;
}

static int open_slices(struct outcomes *o, const struct corpus *c,
                       const struct outcomes_config *config, struct err *e)
{
    uint64_t memory = config->memory_bytes, enough;
    uint32_t slices;
    int rc;

    if (memory < MEMORY_MIN)
        memory = MEMORY_MIN;
    if (!slice_bits(c, config, memory, &o->bits)) {
        for (enough = 2 * memory; !slice_bits(c, config, enough, &o->bits);)
            enough *= 2;
        return err_set(e, E_USAGE,
                       "what became of %llu pairs, for %u threads, needs %llu "
                       "times the memory: raise --memory",
                       (unsigned long long)config->pairs, config->threads,
                       (unsigned long long)(enough / memory));
    }
    slices = UINT32_C(1) << o->bits;
    rc = bins_store_open_for(&o->store, c->dir, memory / 2, slices, e);
    if (!rc)
        rc = bins_open(&o->slices, &o->store, slices, e);
    if (!rc)
        bins_share(&o->slices);
    return rc;
}

int outcomes_read(struct outcomes *o, const struct corpus *c,
                  const struct outcomes_config *config, struct stage_inputs *in,
                  struct err *e)
{
    struct io_list names;
    struct reading g = {.outcomes = o,
                        .corpus = c,
                        .names = &names,
                        .in = in,
                        .passes = config->passes};
    unsigned depth = 2 * config->threads;
    size_t *items = xcalloc(depth, sizeof *items);
    int rc;

    *o = (struct outcomes){.bits = 0};
    rc = open_slices(o, c, config, e);
    if (!rc)
        rc = sidecar_list(c, "images", &names, e);
    if (!rc) {
        rc = workq_run(&pipeline, &g, items, sizeof *items, depth,
                       config->threads, e);
        io_list_release(&names);
    }
    free(items);
    return rc;
}

void outcomes_release(struct outcomes *o)
{
    bins_close(&o->slices);
    bins_store_close(&o->store);
    *o = (struct outcomes){.bits = 0};
}

void outcomes_view_init(struct outcomes_view *w, const struct outcomes *o)
{
    *w = (struct outcomes_view){.of = o, .slice = UINT64_MAX};
}

void outcomes_view_release(struct outcomes_view *w)
{
    free(w->v);
    *w = (struct outcomes_view){.of = NULL};
}

static int by_key(const void *a, const void *b)
{
    const struct outcome *x = a, *y = b;

    if (x->h != y->h)
        return x->h < y->h ? -1 : 1;
    return (x->check > y->check) - (x->check < y->check);
}

static int load_slice(struct outcomes_view *w, uint32_t slice, struct err *e)
{
    const struct bins *s = &w->of->slices;
    uint64_t n = bins_bytes(s, slice) / sizeof *w->v;
    int rc;

    w->slice = UINT64_MAX;
    if (n > w->cap) {
        free(w->v);
        w->v = malloc(n * sizeof *w->v);
        w->cap = w->v ? n : 0;
        if (!w->v)
            return err_set(e, E_NOMEM, "no memory for %llu outcomes",
                           (unsigned long long)n);
    }
    rc = bins_read(s, slice, 0, w->v, n * sizeof *w->v, e);
    if (rc)
        return rc;
    w->n = n;
    w->slice = slice;
    if (n)
        qsort(w->v, n, sizeof *w->v, by_key);
    return 0;
}

int outcomes_find(struct outcomes_view *w, uint64_t h, struct str url,
                  bool *asked, bool *image, struct err *e)
{
    struct outcome key = key_of(h, url);
    uint32_t slice = slice_of(w->of, h);
    size_t lo = 0, hi;

    *asked = *image = false;
    if (w->slice != slice) {
        int rc = load_slice(w, slice, e);

        if (rc)
            return rc;
    }
    for (hi = w->n; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;

        if (by_key(&w->v[mid], &key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < w->n && w->v[lo].h == h; lo++) {
        if ((w->v[lo].check & ~UINT64_C(1)) != key.check)
            continue;
        *asked = true;
        *image = *image || (w->v[lo].check & 1);
    }
    return 0;
}
