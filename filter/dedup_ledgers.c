#include "filter/dedup_ledgers.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/jsonl.h"
#include "base/mem.h"
#include "base/stage.h"

#define LINE_MEMORY ((size_t)8 << 20) /* bytes of one record, decoded */
#define UNPACKED    12 /* bytes of content that a packed one makes, or more */
#define ENDED       UINT64_MAX

static int ledger_path(const struct dedup_ledgers *l, size_t i, char *path,
                       struct err *e)
{
    char name[STAGE_NAME_MAX];

    snprintf(name, sizeof name, "images/%s.ledger.jsonl.zst",
             l->names->names[i]);
    return corpus_path(l->corpus, name, path, e);
}

/* A first window that is likely to fit: H is even. */
static int first_width(struct dedup_ledgers *l, struct err *e)
{
    uint64_t packed = 0, windows;

    for (size_t i = 0; i < l->names->n; i++) {
        char path[IO_PATH_MAX];
        uint64_t size;
        int rc = ledger_path(l, i, path, e);

        if (!rc)
            rc = io_size(path, &size, e);
        if (rc)
            return rc;
        packed += size;
    }
    windows = packed / (l->memory_bytes / UNPACKED + 1) + 1;
    l->width = windows > 1 ? UINT64_MAX / windows : 0;
    return 0;
}

int dedup_ledgers_open(struct dedup_ledgers *l, const struct corpus *c,
                       const struct io_list *names, uint64_t memory_bytes,
                       struct err *e)
{
    int rc;

    *l = (struct dedup_ledgers){
        .corpus = c, .names = names, .memory_bytes = memory_bytes};
    buf_init(&l->lines, BUF_NO_LIMIT);
    arena_init(&l->arena, LINE_MEMORY);
    l->frame = xcalloc(names->n + 1, sizeof *l->frame);
    l->frame_next = xcalloc(names->n + 1, sizeof *l->frame_next);
    rc = first_width(l, e);
    if (rc)
        dedup_ledgers_close(l);
    return rc;
}

void dedup_ledgers_close(struct dedup_ledgers *l)
{
    free(l->frame);
    free(l->frame_next);
    free(l->entries);
    l->frame = l->frame_next = NULL;
    l->entries = NULL;
    buf_release(&l->lines);
    arena_release(&l->arena);
}

/* ---- a window ---- */

static int bad_record(const struct jsonl_reader *in, const char *what,
                      struct err *e)
{
    return err_set(e, E_DAMAGED,
                   "%s, line %llu: %s; run `witmill verify`, remove its "
                   "sidecar and run `witmill download` again",
                   in->path, (unsigned long long)in->line, what);
}

static uint64_t check_of(struct str url)
{
    return hash_xxh3_seeded(url, UINT64_C(0x6c65646765727321));
}

/* The URL of a line; into the arena where it does not stand there plainly. */
static int url_of(struct dedup_ledgers *l, const struct jsonl_reader *in,
                  struct str line, struct str *url, bool *image, struct err *e)
{
    static const char begin[] = "{\"url\":\"",
                      made[] = ",\"outcome\":\"image\"";
    struct err inner = ERR_INIT;
    struct ledger record;
    size_t end;

    if (str_starts(line, str_of(begin))) {
        size_t from = sizeof begin - 1;

        end = str_find_char(line, '"', from);
        *url = str_slice(line, from, end);
        if (end != SIZE_MAX && str_find_char(*url, '\\', 0) == SIZE_MAX) {
            *image = str_starts(str_slice(line, end + 1, line.n), str_of(made));
            if (*image || str_starts(str_slice(line, end + 1, line.n),
                                     STR(",\"outcome\":\"")))
                return 0;
        }
    }
    arena_reset(&l->arena);
    if (ledger_read(line, &l->arena, &record, &inner))
        return bad_record(in, inner.message, e);
    *url = record.url;
    *image = record.outcome == LEDGER_IMAGE;
    return 0;
}

static int add_entry(struct dedup_ledgers *l, size_t ledger, struct str line,
                     struct str url, uint64_t h, bool image, struct err *e)
{
    struct dedup_ledger_entry *to;

    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap + l->cap / 2 : 1024;
        void *more = realloc(l->entries, cap * sizeof *l->entries);

        if (!more)
            return err_set(e, E_NOMEM, "no memory for %zu records", cap);
        l->entries = more;
        l->cap = cap;
    }
    to = &l->entries[l->n++];
    *to = (struct dedup_ledger_entry){.h = h,
                                      .check = check_of(url),
                                      .ledger = (uint32_t)ledger,
                                      .n = image ? (uint32_t)line.n : 0,
                                      .at = l->lines.n};
    if (image)
        buf_add(&l->lines, line);
    return 0;
}

static bool too_full(const struct dedup_ledgers *l)
{
    return l->lines.n + l->n * sizeof *l->entries > l->memory_bytes &&
           l->to > l->from;
}

/* The window's records of one open ledger. */
static int read_records(struct dedup_ledgers *l, size_t i,
                        struct jsonl_reader *in, struct err *e)
{
    uint64_t last = 0;
    int rc = 0;

    l->frame_next[i] = ENDED;
    while (!rc && !too_full(l)) {
        struct str line, url;
        bool more, image;
        uint64_t h;

        rc = jsonl_next(in, &line, &more, e);
        if (rc || !more)
            return rc;
        rc = url_of(l, in, line, &url, &image, e);
        if (rc)
            return rc;
        h = corpus_url_hash(l->corpus, url);
        if (h < last)
            return bad_record(in, "records out of order", e);
        last = h;
        if (h > l->to) {
            l->frame_next[i] = in->frame_at;
            return 0;
        }
        if (h >= l->from)
            rc = add_entry(l, i, line, url, h, image, e);
    }
    return rc;
}

static int read_ledger(struct dedup_ledgers *l, size_t i, struct err *e)
{
    char path[IO_PATH_MAX];
    struct jsonl_reader in;
    int rc;

    if (l->frame[i] == ENDED) {
        l->frame_next[i] = ENDED;
        return 0;
    }
    rc = ledger_path(l, i, path, e);
    if (rc)
        return rc;
    rc = jsonl_open_range(&in, path, l->frame[i], UINT64_MAX, e);
    if (!rc)
        rc = read_records(l, i, &in, e);
    jsonl_close(&in);
    return rc;
}

/* By H; of one URL, the ledger that is first. */
static int by_h(const void *a, const void *b)
{
    const struct dedup_ledger_entry *x = a, *y = b;

    if (x->h != y->h)
        return x->h < y->h ? -1 : 1;
    return x->ledger < y->ledger ? -1 : x->ledger > y->ledger;
}

/* The window that begins at from. */
static int load(struct dedup_ledgers *l, uint64_t from, struct err *e)
{
    bool full = true;
    int rc = 0;

    l->from = from;
    while (!rc && full) {
        uint64_t left = UINT64_MAX - from;

        l->to =
            l->width && l->width - 1 < left ? from + l->width - 1 : UINT64_MAX;
        l->n = l->next = 0;
        buf_clear(&l->lines);
        for (size_t i = 0; !rc && i < l->names->n && !too_full(l); i++)
            rc = read_ledger(l, i, e);
        full = too_full(l);
        if (full)
            l->width = (l->to - from) / 2 + 1;
    }
    if (!rc && l->lines.rc)
        rc = err_set(e, E_NOMEM, "no memory for records of ledgers");
    if (rc)
        return rc;
    if (l->n)
        qsort(l->entries, l->n, sizeof *l->entries, by_h);
    for (size_t i = 0; i < l->names->n; i++)
        l->frame[i] = l->frame_next[i];
    l->open = true;
    l->windows++;
    return 0;
}

/* ---- asking ---- */

static int read_image(struct dedup_ledgers *l,
                      const struct dedup_ledger_entry *entry, struct str url,
                      struct dedup_answer *a, struct err *e)
{
    struct err inner = ERR_INIT;
    struct str line =
        str_slice(buf_str(&l->lines), entry->at, entry->at + entry->n);
    const char *name = l->names->names[entry->ledger];

    arena_reset(&l->arena);
    if (ledger_read(line, &l->arena, &l->record, &inner))
        return err_set(e, E_DAMAGED,
                       "%s: images/%s.ledger.jsonl.zst: %s; run `witmill "
                       "verify`, remove its sidecar and run `witmill download` "
                       "again",
                       l->corpus->dir, name, inner.message);
    if (l->record.outcome == LEDGER_IMAGE && str_eq(l->record.url, url)) {
        a->image = &l->record;
        a->group = name;
    }
    return 0;
}

int dedup_ledgers_find(struct dedup_ledgers *l, struct str url, uint64_t h,
                       struct dedup_answer *a, struct err *e)
{
    uint64_t check = check_of(url);
    int rc = 0;

    *a = (struct dedup_answer){0};
    if (!l->open || h > l->to)
        rc = load(l, h, e);
    while (!rc && l->next < l->n && l->entries[l->next].h < h)
        l->next++;
    for (size_t i = l->next; !rc && i < l->n && l->entries[i].h == h; i++) {
        if (l->entries[i].check != check)
            continue;
        a->asked = true;
        if (l->entries[i].n && !a->image)
            rc = read_image(l, &l->entries[i], url, a, e);
    }
    return rc;
}
