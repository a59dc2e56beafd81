/*
 * bench_draws - what a draw costs: nanoseconds a match, over 500,000 queries
 * that are drawn as the published pool's are.
 *
 *     bench_draws [RECORDS]
 *
 * Three ways in turn, thrice, the best of each: the hash alone, over one norm
 * that stays in the cache; as a scan draws (filter/draw_table.h); and as one
 * would without a table, each norm looked up in the list.
 */
#include <stdlib.h>
#include <time.h>

#include "filter/draw_table.h"
#include "tests/pool.h"

#define A_RECORD 4 /* matches */

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Queries of n matches, by their share of all. */
static uint32_t *draw_queries(const uint64_t *c, uint64_t n)
{
    uint64_t *upto = xcalloc(POOL_QUERIES + 1, sizeof *upto);
    uint32_t *q = xcalloc(n, sizeof *q);

    for (uint32_t k = 0; k < POOL_QUERIES; k++)
        upto[k + 1] = upto[k] + c[k];
    for (uint64_t i = 0; i < n; i++) {
        uint64_t at = pool_hash(3, i) % upto[POOL_QUERIES];
        uint32_t lo = 0, hi = POOL_QUERIES;

        while (hi - lo > 1) {
            uint32_t mid = lo + (hi - lo) / 2;

            *(upto[mid] <= at ? &lo : &hi) = mid;
        }
        q[i] = lo;
    }
    free(upto);
    return q;
}

enum way { HASH, TABLE, LIST, WAYS };

static uint64_t draw_all(enum way way, const struct pool *p,
                         const struct draw_table *t, const uint32_t *q,
                         uint64_t n)
{
    uint64_t sum = 0;
    uint8_t uid[MD5_SIZE] = {0};
    struct draw_bytes b = {{0}};

    for (uint64_t i = 0; i < n; i += A_RECORD) {
        memcpy(uid, &i, sizeof i);
        if (way == TABLE)
            draw_table_fetch(t, q + i, A_RECORD);
        draw_begin(&b, t->seed, uid);
        for (int k = 0; k < A_RECORD; k++)
            sum += way == HASH ? hash_xxh3(str_make(b.p, DRAW_HEAD + 13))
                   : way == TABLE
                       ? draw_below(draw_table_hash(t, q[i + k], &b),
                                    t->rows[q[i + k]].c)
                       : draw_below(draw_hash(t->seed, uid,
                                              qlist_norm(&p->list, q[i + k])),
                                    p->c[q[i + k]]);
    }
    return sum;
}

int main(int argc, char **argv)
{
    static const char *const names[WAYS] = {"the hash alone", "by the table",
                                            "by the list"};
    uint64_t n = A_RECORD * (argc > 1 ? strtoull(argv[1], NULL, 10) : 2000000);
    uint64_t *c = xcalloc(POOL_QUERIES, sizeof *c), sum = 0;
    double best[WAYS];
    struct draw_table t;
    struct pool *p;
    uint32_t *q;

    pool_counts(c, 1);
    p = pool_new(c, POOL_QUERIES, 1, 0);
    q = draw_queries(c, n);
    POOL_MUST(draw_table_make(&t, &p->list, 1, c, e));
    for (int turn = 0; turn < 3; turn++)
        for (int way = 0; way < WAYS; way++) {
            double began = now_s(), s;

            sum += draw_all((enum way)way, p, &t, q, n);
            s = now_s() - began;
            if (!turn || s < best[way])
                best[way] = s;
        }
    printf("%llu draws, %u queries (sum %llx)\n", (unsigned long long)n,
           POOL_QUERIES, (unsigned long long)sum);
    for (int way = 0; way < WAYS; way++)
        printf("  %-16s %6.1f ns\n", names[way], 1e9 * best[way] / (double)n);
    draw_table_release(&t);
    free(q);
    pool_free(p);
    return 0;
}
