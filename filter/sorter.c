#include "filter/sorter.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "filter/sorter_private.h"

#define RADIX_BITS 11
#define RADIX_SIZE (1u << RADIX_BITS)
#define FEW        12 /* keys sorted by insertion */
#define LOOK_AHEAD 8  /* records fetched before they are asked for */

int sorter_open(struct sorter *s, const char *folder, unsigned same_bits,
                uint64_t memory_bytes, struct err *e)
{
    *s = (struct sorter){.same_bits = same_bits,
                         .memory = (size_t)memory_bytes & ~(size_t)7,
                         .file = {{.fd = -1}, {.fd = -1}}};
    if (strlen(folder) >= sizeof s->folder)
        return err_set(e, E_TOOBIG, "path too long: %.400s", folder);
    memcpy(s->folder, folder, strlen(folder) + 1);
    s->base = mmap(NULL, s->memory, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->base == MAP_FAILED) {
        s->base = NULL;
        return err_set(e, E_NOMEM,
                       "no memory for %llu bytes of records: give a smaller "
                       "--memory",
                       (unsigned long long)s->memory);
    }
    madvise(s->base, s->memory, MADV_HUGEPAGE);
    return 0;
}

void sorter_close(struct sorter *s)
{
    sorter_runs_close(s);
    if (s->base)
        munmap(s->base, s->memory);
    s->base = NULL;
}

/* ---- sorting ---- */

static struct sorter_key *keys_of(const struct sorter *s)
{
    return (struct sorter_key *)(void *)(s->base + s->memory) - s->n;
}

int sorter_cmp(const struct sorter_record *a, const struct sorter_record *b)
{
    static const enum sorter_field rest[] = {SORTER_PAGE, SORTER_FROM,
                                             SORTER_ORIGIN};
    int c;

    if (a->h != b->h)
        return a->h < b->h ? -1 : 1;
    c = str_cmp(sorter_field(a, SORTER_URL), sorter_field(b, SORTER_URL));
    if (!c)
        c = memcmp(a->uid, b->uid, MD5_SIZE);
    for (size_t i = 0; !c && i < sizeof rest / sizeof *rest; i++)
        c = str_cmp(sorter_field(a, rest[i]), sorter_field(b, rest[i]));
    return c ? c : str_cmp(sorter_line(a), sorter_line(b));
}

static int by_place(const void *x, const void *y)
{
    const struct sorter_key *a = x, *b = y;

    return sorter_cmp(a->r, b->r);
}

static void sort_few(struct sorter_key *k, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct sorter_key one = k[i];
        size_t at = i;

        for (; at && by_place(&one, &k[at - 1]) < 0; at--)
            k[at] = k[at - 1];
        k[at] = one;
    }
}

static void radix_pass(const struct sorter_key *from, struct sorter_key *to,
                       size_t n, unsigned shift)
{
    size_t at[RADIX_SIZE] = {0}, sum = 0;

    for (size_t i = 0; i < n; i++)
        at[from[i].h >> shift & (RADIX_SIZE - 1)]++;
    for (size_t d = 0; d < RADIX_SIZE; d++) {
        size_t count = at[d];

        at[d] = sum;
        sum += count;
    }
    for (size_t i = 0; i < n; i++)
        to[at[from[i].h >> shift & (RADIX_SIZE - 1)]++] = from[i];
}

/*
 * H is as good as random below the bits that the bucket shares, so a few
 * digits of it leave hardly two records together but those of one URL, which
 * are compared in full.
 */
static void sort_keys(struct sorter *s)
{
    struct sorter_key *from = keys_of(s), *to = from - s->n;
    unsigned passes = s->n < 256 ? 1 : s->n < (1u << 18) ? 2 : 3;
    unsigned low = 64 - s->same_bits - passes * RADIX_BITS;

    for (unsigned p = 0; p < passes; p++) {
        struct sorter_key *other = from;

        radix_pass(from, to, s->n, low + p * RADIX_BITS);
        from = to;
        to = other;
    }
    for (size_t i = 0, j; i < s->n; i = j) {
        for (j = i + 1; j < s->n && from[j].h >> low == from[i].h >> low;)
            j++;
        if (j - i > FEW)
            qsort(from + i, j - i, sizeof *from, by_place);
        else
            sort_few(from + i, j - i);
    }
    s->keys = from;
    s->at = 0;
}

/* ---- adding ---- */

/* The sorted keys to a run, and room for more. */
static int spill(struct sorter *s, struct err *e)
{
    int rc;

    sort_keys(s);
    rc = sorter_run_begin(s, s->now, e);
    for (size_t i = 0; !rc && i < s->n; i++) {
        if (i + LOOK_AHEAD < s->n)
            __builtin_prefetch(s->keys[i + LOOK_AHEAD].r);
        rc = sorter_run_put(s, s->keys[i].r, e);
    }
    if (!rc)
        rc = sorter_run_end(s, e);
    s->n = s->used = 0;
    return rc;
}

/* Does this string lie in the line, as it is? */
static bool within(struct str field, struct str line)
{
    return field.p >= line.p && field.p + field.n <= line.p + line.n;
}

static size_t record_size(const struct str *fields, uint32_t n_q,
                          struct str line)
{
    size_t n = sizeof(struct sorter_record) + n_q * sizeof(uint32_t) + line.n;

    for (int f = 0; f < SORTER_FIELDS; f++)
        n += fields[f].n && !within(fields[f], line) ? fields[f].n : 0;
    return (n + 7) & ~(size_t)7;
}

static void pack(struct sorter_record *r, const struct str *fields,
                 const struct pair *p, struct str line)
{
    char *begin = (char *)r, *q = (char *)(r + 1), *to;

    if (p->n_q)
        memcpy(q, p->q, p->n_q * sizeof *p->q);
    to = q + p->n_q * sizeof *p->q;
    memcpy(to, line.p, line.n);
    for (int f = 0; f < SORTER_FIELDS; f++) {
        r->field[f].at = 0;
        r->field[f].n = (uint32_t)fields[f].n;
        if (fields[f].n && within(fields[f], line))
            r->field[f].at = (uint32_t)(to + (fields[f].p - line.p) - begin);
    }
    to += line.n;
    for (int f = 0; f < SORTER_FIELDS; f++) {
        if (r->field[f].at || !fields[f].n)
            continue;
        memcpy(to, fields[f].p, fields[f].n);
        r->field[f].at = (uint32_t)(to - begin);
        to += fields[f].n;
    }
    memset(to, 0, (size_t)(begin + r->size - to));
}

int sorter_add(struct sorter *s, uint64_t h, const struct pair *p,
               struct str line, struct err *e)
{
    const struct str fields[SORTER_FIELDS] = {p->url, p->text, p->page, p->from,
                                              p->origin};
    size_t size = record_size(fields, p->n_q, line);
    /* A second array of keys is needed to sort them. */
    size_t key = 2 * sizeof(struct sorter_key);
    struct sorter_record *r;
    int rc;

    if (s->used + size + key * (s->n + 1) > s->memory && s->n) {
        rc = spill(s, e);
        if (rc)
            return rc;
    }
    if (size + key > s->memory || size > UINT32_MAX)
        return err_set(e, E_TOOBIG,
                       "a record of %zu bytes: more --memory is "
                       "needed",
                       size);
    r = (struct sorter_record *)(void *)(s->base + s->used);
    r->h = h;
    memcpy(r->uid, p->uid, MD5_SIZE);
    r->size = (uint32_t)size;
    r->line = (uint32_t)line.n;
    r->n_q = p->n_q;
    r->zero = 0;
    pack(r, fields, p, line);
    s->used += size;
    s->n++;
    keys_of(s)[0] = (struct sorter_key){h, r};
    return 0;
}

/* ---- giving them back ---- */

int sorter_sort(struct sorter *s, struct err *e)
{
    int rc;

    if (s->n_runs == 0) {
        sort_keys(s);
        return 0;
    }
    rc = s->n ? spill(s, e) : 0;
    return rc ? rc : sorter_merge(s, e);
}

int sorter_next(struct sorter *s, const struct sorter_record **r, struct err *e)
{
    if (s->n_runs)
        return sorter_merge_next(s, r, e);
    *r = NULL;
    if (s->at == s->n)
        return 0;
    if (s->at + LOOK_AHEAD < s->n)
        __builtin_prefetch(s->keys[s->at + LOOK_AHEAD].r);
    *r = s->keys[s->at++].r;
    return 0;
}
