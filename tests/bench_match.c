/*
 * What matching costs in memory, and where it goes, on one thread.
 *
 * usage: bench_match QUERIES.BIN TEXTS [ROUNDS]
 *
 * TEXTS has a text a line.  Each stage is timed over all of them with what
 * comes before it, by the thread's CPU time: in slices of SLICE texts, of each
 * of which the best of ROUNDS (7) counts, so that what else the machine does
 * shows little.
 *   cut       words of the texts
 *   add       and taken into a batch
 *   find      and hashed, looked up, all groups found, sorted, each once
 * Printed are name=value lines for tools/bench_match.py.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/io.h"
#include "base/mem.h"
#include "filter/matcher.h"

#define SLICE 512

enum stage { CUT, ADD, FIND, STAGES };

struct bench {
    struct matcher m;
    struct matcher_batch batch;
    struct str *texts;
    size_t n, cap;
    uint64_t bytes;
    uint64_t words, matches, none, refused; /* of the last round */
};

static double now_s(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void drain(struct bench *b, enum stage last)
{
    struct matcher_batch *batch = &b->batch;

    if (last == FIND) {
        matcher_batch_find(&b->m, batch);
        for (size_t i = 0; i < batch->n; i++) {
            size_t n;

            matcher_batch_ids(batch, i, &n);
            b->matches += n;
            b->none += !n;
        }
    }
    matcher_batch_clear(batch);
}

static void run(struct bench *b, size_t from, size_t to, enum stage last)
{
    struct matcher_batch *batch = &b->batch;

    matcher_batch_clear(batch);
    for (size_t i = from; i < to; i++) {
        if (matcher_batch_cut(&b->m, batch, b->texts[i], NULL, NULL)) {
            b->refused++;
            continue;
        }
        b->words += batch->words.n;
        if (last == CUT)
            continue;
        matcher_batch_add(batch);
        if (matcher_batch_full(batch))
            drain(b, last);
    }
    drain(b, last);
}

static void time_stage(struct bench *b, enum stage last, int rounds)
{
    static const char *const names[] = {"cut", "add", "find"};
    size_t n = (b->n + SLICE - 1) / SLICE;
    double *best = xcalloc(n + 1, sizeof *best), sum = 0;

    for (int k = 0; k < rounds; k++) {
        b->words = b->matches = b->none = b->refused = 0;
        for (size_t i = 0; i < n; i++) {
            size_t to = (i + 1) * SLICE < b->n ? (i + 1) * SLICE : b->n;
            double cpu_s = now_s(CLOCK_THREAD_CPUTIME_ID);

            run(b, i * SLICE, to, last);
            cpu_s = now_s(CLOCK_THREAD_CPUTIME_ID) - cpu_s;
            best[i] = k && best[i] < cpu_s ? best[i] : cpu_s;
        }
    }
    for (size_t i = 0; i < n; i++)
        sum += best[i];
    free(best);
    printf("%s_cpu_s=%.6f\n", names[last], sum);
}

static void read_texts(struct bench *b, struct str rest)
{
    struct str line;

    while (str_split(&rest, '\n', &line)) {
        if (!rest.p && !line.n)
            break; /* behind the last newline */
        b->texts = xgrow(b->texts, &b->cap, b->n + 1, sizeof *b->texts);
        b->texts[b->n++] = line;
        b->bytes += line.n;
    }
}

int main(int argc, char **argv)
{
    int rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 7;
    struct bench b = {0};
    struct err e = ERR_INIT;
    struct qlist list;
    struct buf file;
    double began_s;

    if (argc < 3) {
        fprintf(stderr, "usage: bench_match QUERIES.BIN TEXTS [ROUNDS]\n");
        return 2;
    }
    buf_init(&file, (size_t)4 << 30);
    if (io_read_file(argv[2], &file, &e)) {
        fprintf(stderr, "%s\n", e.message);
        return 3;
    }
    began_s = now_s(CLOCK_THREAD_CPUTIME_ID);
    if (qlist_open(&list, argv[1], &e)) {
        fprintf(stderr, "%s\n", e.message);
        return 3;
    }
    printf("open_cpu_s=%.6f\n", now_s(CLOCK_THREAD_CPUTIME_ID) - began_s);
    read_texts(&b, buf_str(&file));
    matcher_open(&b.m, &list);
    matcher_batch_init(&b.batch);
    run(&b, 0, b.n, FIND); /* pages and buffers are there */
    for (int s = CUT; s < STAGES; s++)
        time_stage(&b, (enum stage)s, rounds);
    printf("queries=%u\ntexts=%zu\nbytes=%llu\nwords=%llu\nmatches=%llu\n"
           "none=%llu\nrefused=%llu\n",
           qlist_count(&list), b.n, (unsigned long long)b.bytes,
           (unsigned long long)b.words, (unsigned long long)b.matches,
           (unsigned long long)b.none, (unsigned long long)b.refused);
    matcher_batch_release(&b.batch);
    qlist_close(&list);
    buf_release(&file);
    free(b.texts);
    return 0;
}
