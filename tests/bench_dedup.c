/*
 * bench_dedup - what finding near duplicates costs.
 *
 *   bench_dedup [N KIND [MEMORY_MB [THREADS [K]]]]
 *   bench_dedup write N KIND FILE   the phashes, 8 bytes each; for peers
 *   bench_dedup answer N KIND FILE  of each image the first one that it is
 *                                   near to, 4 bytes each, 2^32 - 1: none
 *
 * KIND is what the phashes are like: `random`, `near` or `crowds`
 * (tests/phashes.h).  Without arguments: a million of each.  The limit is the
 * time to sort the rows once, in memory; where they are many, of a part of
 * them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "filter/dedup_search.h"
#include "tests/phashes.h"

#define RADIUS    4
#define LIMIT_MAX ((uint64_t)8 << 20) /* rows sorted for the limit */

static double seconds(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ---- the limit: sorting rows of 16 bytes by 64 bits ---- */

static double sort_limit(uint64_t n, enum phashes_kind kind)
{
    uint64_t m = n < LIMIT_MAX ? n : LIMIT_MAX;
    struct dedup_look *rows = xmalloc(m * sizeof *rows);
    struct dedup_look *spare = xmalloc(m * sizeof *rows);
    double from;

    for (uint64_t i = 0; i < m; i++)
        rows[i] = (struct dedup_look){phashes_of(i, kind), (uint32_t)i, 0};
    memset(spare, 0, m * sizeof *spare);
    from = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned shift = 0; shift < 64; shift += 11) {
        struct dedup_look *swap = rows;
        size_t at[2048] = {0}, sum = 0;

        for (uint64_t i = 0; i < m; i++)
            at[rows[i].phash >> shift & 2047]++;
        for (size_t d = 0; d < 2048; d++) {
            size_t count = at[d];

            at[d] = sum;
            sum += count;
        }
        for (uint64_t i = 0; i < m; i++)
            spare[at[rows[i].phash >> shift & 2047]++] = rows[i];
        rows = spare;
        spare = swap;
    }
    from = seconds(CLOCK_THREAD_CPUTIME_ID) - from;
    free(rows);
    free(spare);
    return from / (double)m;
}

/* ---- the search ---- */

struct job {
    uint64_t n;
    enum phashes_kind kind;
    uint64_t memory_mb;
    unsigned threads, k;
    const char *answer; /* file to write, or NULL */
};

struct result {
    double wall, cpu;
    uint64_t dropped, written, disk, looks, big;
    unsigned k;
};

static int answers(struct dedup_search *s, const struct job *j,
                   struct result *res, struct err *e)
{
    FILE *out = j->answer ? fopen(j->answer, "wb") : NULL;
    int rc = 0;

    if (j->answer && !out)
        return err_errno(e, E_IO, "create", j->answer);
    for (uint32_t r = 0; !rc && r < s->ranges; r++) {
        struct dedup_range range;

        rc = dedup_search_range(s, r, &range, e);
        for (uint32_t i = 0; !rc && i < range.n; i++) {
            res->dropped += range.verdicts[i].by != DEDUP_NONE;
            if (out)
                fwrite(&range.verdicts[i].by, 4, 1, out);
        }
        dedup_range_release(&range);
    }
    if (out && fclose(out) && !rc)
        rc = err_errno(e, E_IO, "write", j->answer);
    return rc;
}

static int search(const struct job *j, struct result *res, struct err *e)
{
    struct dedup_search_config c = {.folder = ".",
                                    .memory_bytes = j->memory_mb << 20,
                                    .expect = j->n,
                                    .radius = RADIUS,
                                    .threads = j->threads,
                                    .k = j->k};
    struct dedup_search s;
    double wall = seconds(CLOCK_MONOTONIC);
    double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    int rc = dedup_search_open(&s, &c, e);

    if (rc)
        return rc;
    for (uint64_t i = 0; !rc && i < j->n; i++) {
        uint64_t phash = phashes_of(i, j->kind),
                 sha[2] = {phashes_mix(i), phashes_mix(~i)};

        rc = dedup_search_add(&s, (const uint8_t *)sha, &phash, e);
    }
    if (!rc)
        rc = dedup_search_finish(&s, e);
    if (!rc)
        rc = answers(&s, j, res, e);
    res->wall = seconds(CLOCK_MONOTONIC) - wall;
    res->cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    res->written = s.store.written_bytes;
    res->disk = (uint64_t)s.store.n_file * s.store.block_bytes;
    res->looks = s.near.n_looks;
    res->big = s.near.n_big;
    res->k = s.near.bands.k;
    dedup_search_close(&s);
    return rc;
}

static int measure(const struct job *j, struct err *e)
{
    struct result r = {0};
    struct rusage use;
    double limit;
    int rc = search(j, &r, e);

    if (rc)
        return rc;
    getrusage(RUSAGE_SELF, &use);
    limit = sort_limit(j->n, j->kind) * (double)j->n;
    printf("%-6s %9.1f M rows  k %u  %u threads  %7.1f s  %6.2f M rows/s a "
           "core  %5.1f of one sort  peak %5.2f GiB  disk %5.2f GB (%.2f "
           "written)  %.1f M go  %llu big parts\n",
           phashes_kinds[j->kind], (double)j->n / 1e6, r.k, j->threads, r.wall,
           (double)j->n / r.cpu / 1e6, r.cpu / limit,
           (double)use.ru_maxrss / (1 << 20), (double)r.disk / 1e9,
           (double)r.written / 1e9, (double)r.dropped / 1e6,
           (unsigned long long)r.big);
    fflush(stdout);
    return 0;
}

static int write_phashes(uint64_t n, enum phashes_kind kind, const char *path)
{
    FILE *f = fopen(path, "wb");

    for (uint64_t i = 0; f && i < n; i++) {
        uint64_t v = phashes_of(i, kind);

        fwrite(&v, 8, 1, f);
    }
    return !f || fclose(f) ? 1 : 0;
}

static uint64_t number(int argc, char **argv, int i, uint64_t def)
{
    return i < argc ? strtoull(argv[i], NULL, 10) : def;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    bool file =
        argc == 5 && (!strcmp(argv[1], "write") || !strcmp(argv[1], "answer"));
    int at = file ? 2 : 1, rc = 0;
    struct job j = {
        number(argc, argv, at, 1000000), PHASHES_RANDOM, 1024, 1, 0, NULL};
    int kind = argc > at + 1 ? phashes_kind_of(argv[at + 1]) : 0;

    if (kind < 0 || j.n == 0 || argc == 2) {
        fprintf(stderr, "usage: bench_dedup [N random|near|crowds [MEMORY_MB "
                        "[THREADS [K]]]]\n");
        return 2;
    }
    j.kind = (enum phashes_kind)kind;
    if (file && !strcmp(argv[1], "write"))
        return write_phashes(j.n, j.kind, argv[4]);
    if (file) {
        struct result r = {0};

        j.answer = argv[4];
        rc = search(&j, &r, &e);
        printf("%.3f\n", r.cpu);
    } else if (argc > 1) {
        j.memory_mb = number(argc, argv, 3, 1024);
        j.threads = (unsigned)number(argc, argv, 4, 1);
        j.k = (unsigned)number(argc, argv, 5, 0);
        rc = measure(&j, &e);
    } else {
        for (j.kind = PHASHES_RANDOM; !rc && j.kind <= PHASHES_CROWDS; j.kind++)
            rc = measure(&j, &e);
    }
    if (rc)
        fprintf(stderr, "bench_dedup: %s\n", e.message);
    return rc != 0;
}
