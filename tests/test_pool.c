/* balance at the published shape: its numbers by counts alone at full size,
 * and every pair it keeps against brute force at a small fraction of it
 * (WITMILL_POOL_SCALE, 20000; tests/long_pool.sh takes a thousandth). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filter/balance.h"
#include "filter/plan.h"
#include "filter/plan_target.h"
#include "tests/pool.h"

#define NUMBER(field)                                                          \
    {                                                                          \
        .name = #field, .type = OPT_U64,                                       \
        .at = offsetof(struct balance_config, field), .flags = OPT_BYTES       \
    }

/* The options of balance that change bytes, for the fingerprint. */
static const struct opt option_rows[] = {
    NUMBER(cap),
    NUMBER(target),
    {.name = "tail_share",
     .type = OPT_DOUBLE,
     .at = offsetof(struct balance_config, tail_share),
     .flags = OPT_BYTES},
    {.name = "exact",
     .type = OPT_BOOL,
     .at = offsetof(struct balance_config, exact),
     .flags = OPT_BYTES},
};
static const struct opt_table options = {.command = "balance",
                                         .rows = option_rows,
                                         .n = 4,
                                         .config_size =
                                             sizeof(struct balance_config)};

static int run(const struct pool *p, struct balance_config config,
               struct balance_summary *sum)
{
    struct err e = ERR_INIT;
    int rc;

    config.stage.redo = true;
    config.rounds = 3;
    if (!config.memory_bytes)
        config.memory_bytes = 64 << 20;
    if (!config.stage.threads)
        config.stage.threads = 2;
    rc = balance_run(&p->corpus, &options, &config, sum, &e);
    if (rc)
        fail_msg("balance: %s", e.message);
    return rc;
}

/* Within one per cent. */
static void assert_about(double got, double want)
{
    if (fabs(got - want) > 0.01 * want)
        fail_msg("%.6g, expected about %.6g", got, want);
}

/* ---- counts alone ---- */

static struct pool *full;

static int full_setup(void **state)
{
    uint64_t *c = xcalloc(POOL_QUERIES, sizeof *c);
    uint64_t *by_id = xcalloc(POOL_QUERIES, sizeof *by_id);

    (void)state;
    pool_counts(c, 1);
    for (uint32_t r = 0; r < POOL_QUERIES; r++) /* ids in another order */
        by_id[(r * UINT64_C(7919) + 13) % POOL_QUERIES] = c[r];
    free(c);
    full = pool_new(by_id, POOL_QUERIES, 6, 1600000000);
    return 0;
}

static int full_teardown(void **state)
{
    (void)state;
    pool_free(full);
    return 0;
}

static void test_pool__published_numbers(void **state)
{
    struct balance_summary sum;

    (void)state;
    run(full, (struct balance_config){.plan = true}, &sum);
    assert_int_equal(sum.t, 20000);
    assert_int_equal(sum.groups, 500000);
    assert_int_equal(sum.zero, 114000); /* 22.8% */
    assert_int_equal(sum.head, 16000);  /* 3.2% */
    assert_int_equal(sum.tail, 500000 - 114000 - 16000);
    assert_about((double)sum.matches, 5.67e9);
    assert_about((double)sum.head_matches, 5.35e9);
    assert_about((double)sum.head_matches / (double)sum.matches, 0.945);
    assert_about((double)(sum.matches - sum.head_matches), 320e6);
    assert_int_equal(sum.head_picks, 16000 * UINT64_C(20000));
    assert_about((double)sum.expected_picks, 640e6);
    /* 1.6e9 (1 - exp(-0.64 / 1.6)); published are 400M. */
    assert_about((double)sum.independent, 527.5e6);
    for (unsigned i = 0; i < BALANCE_TOP; i++) {
        assert_int_equal(sum.top[i].c, pool_top[i] * 1000000);
        assert_int_equal(full->c[sum.top[i].id], sum.top[i].c);
    }
    assert_int_equal(sum.top[5].c, sum.top[6].c); /* equals: by id */
    assert_true(sum.top[5].id < sum.top[6].id);
}

/* The share of the tail that a cap gives leads back to the cap. */
static void test_pool__tail_share(void **state)
{
    struct balance_summary sum;
    uint64_t tail = 0, total = 0;

    (void)state;
    for (uint32_t q = 0; q < full->n; q++) {
        total += full->c[q];
        tail += full->c[q] <= POOL_CAP ? full->c[q] : 0;
    }
    run(full,
        (struct balance_config){.plan = true,
                                .tail_share = (double)tail / (double)total},
        &sum);
    assert_about((double)sum.t, POOL_CAP);
    assert_about((double)(sum.matches - sum.head_matches) / (double)sum.matches,
                 (double)tail / (double)total);
}

static void test_pool__tail_cap_by_hand(void **state)
{
    static const struct {
        uint64_t c[6];
        uint64_t share; /* 10^-9 */
        uint64_t t;
    } cases[] = {
        {{0, 0, 0, 0, 0, 0}, 500000000, 1}, /* nothing matched */
        {{10, 0, 20, 0, 30, 40}, 0, 1},     /* an empty tail */
        {{10, 0, 20, 0, 30, 40}, 100000000, 10},
        {{10, 0, 20, 0, 30, 40}, 190000000, 10}, /* 0.10 is nearer than 0.30 */
        {{10, 0, 20, 0, 30, 40}, 200000000, 10}, /* as near: the first */
        {{10, 0, 20, 0, 30, 40}, 200000001, 20},
        {{40, 30, 20, 10, 0, 0}, 460000000, 30},
        {{10, 0, 20, 0, 30, 40}, 1000000000, 40},
        {{5, 5, 5, 5, 5, 5}, 510000000, 5},
        {{UINT64_MAX / 8, UINT64_MAX / 4, 3, 2, 1, 0}, 1, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t t = plan_tail_cap(cases[i].c, 6, cases[i].share);

        if (t != cases[i].t)
            fail_msg("case %zu: %llu", i, (unsigned long long)t);
    }
}

/* ---- bins of --target ---- */

static void test_target__bins(void **state)
{
    const uint64_t fine = UINT64_C(1) << TARGET_FINE;
    uint64_t seen = 0;

    (void)state;
    for (uint64_t s = 1; s < UINT64_C(1) << 62; s += s / 3 + 1) {
        uint64_t bin = target_bin(s);

        assert_true(bin >= seen);
        seen = bin;
        assert_true(target_bin_low(bin) <= s);
        assert_true(s < target_bin_low(bin + 1));
        assert_int_equal(target_bin(target_bin_low(bin)), bin);
        assert_int_equal(target_bin(target_bin_low(bin + 1) - 1), bin);
        if (s < fine)
            assert_int_equal(bin, s);
        else /* fine enough that one more bin array is enough */
            assert_true(target_bin_low(bin + 1) - target_bin_low(bin) <=
                        s / fine * 4);
    }
}

/* ---- every pair, by DESIGN's words ---- */

struct expect {
    uint64_t s;
    bool kept;
};

/* h of DESIGN section 4: XXH3-64 of seed, uid, norm. */
static uint64_t brute_hash(const struct pool *p, const struct pool_pair *v,
                           uint32_t q)
{
    struct str norm = qlist_norm(&p->list, q);
    char bytes[256];

    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(p->corpus.head.seed >> 8 * i & 0xff);
    memcpy(bytes + 8, v->uid, 16);
    memcpy(bytes + 24, norm.p, norm.n);
    return hash_xxh3(str_make(bytes, 24 + norm.n));
}

/* floor(h c / 2^64) in two halves. */
static uint64_t brute_scale(uint64_t h, uint64_t c)
{
    uint64_t low = (h & 0xffffffff) * (c & 0xffffffff);
    uint64_t a = (h >> 32) * (c & 0xffffffff) + (low >> 32);
    uint64_t b = (h & 0xffffffff) * (c >> 32) + (a & 0xffffffff);

    return (h >> 32) * (c >> 32) + (a >> 32) + (b >> 32);
}

struct brute_rank {
    uint64_t h, at; /* at: which of p->q this match is */
    uint32_t q;
    uint8_t uid[MD5_SIZE];
};

static int brute_order(const void *a, const void *b)
{
    const struct brute_rank *x = a, *y = b;

    if (x->q != y->q)
        return x->q < y->q ? -1 : 1;
    if (x->h != y->h)
        return x->h < y->h ? -1 : 1;
    return memcmp(x->uid, y->uid, MD5_SIZE);
}

/* d of every match, beside p->q. */
static uint64_t *brute_draws(const struct pool *p, bool exact)
{
    uint64_t n = 0, k = 0, *d;
    struct brute_rank *r;

    for (uint64_t i = 0; i < p->pairs; i++)
        n += p->v[i].n_q;
    d = xcalloc(n + 1, sizeof *d);
    r = xcalloc(n + 1, sizeof *r);
    for (uint64_t i = 0; i < p->pairs; i++)
        for (uint32_t j = 0; j < p->v[i].n_q; j++, k++) {
            uint64_t at = p->v[i].at + j;

            r[k] = (struct brute_rank){
                brute_hash(p, &p->v[i], p->q[at]), at, p->q[at], {0}};
            memcpy(r[k].uid, p->v[i].uid, MD5_SIZE);
            d[at] = brute_scale(r[k].h, p->c[p->q[at]]);
        }
    if (exact) {
        qsort(r, n, sizeof *r, brute_order);
        for (uint64_t i = 0, from = 0; i < n; i++) {
            if (r[i].q != r[from].q)
                from = i;
            d[r[i].at] = i - from;
        }
    }
    free(r);
    return d;
}

static uint64_t brute_s(const struct pool *p, const struct pool_pair *v,
                        const uint64_t *d)
{
    uint64_t s = UINT64_MAX;

    (void)p;
    for (uint32_t j = 0; j < v->n_q; j++)
        s = d[v->at + j] < s ? d[v->at + j] : s;
    return s;
}

static int up(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static uint64_t brute_target(const struct pool *p, const uint64_t *d,
                             uint64_t n)
{
    uint64_t *s = xcalloc(p->pairs, sizeof *s), k = 0, t;

    for (uint64_t i = 0; i < p->pairs; i++)
        if (p->v[i].n_q)
            s[k++] = brute_s(p, &p->v[i], d);
    qsort(s, k, sizeof *s, up);
    t = k <= n ? s[k - 1] + 1 : s[n];
    free(s);
    return t;
}

/* The next record of selected/, over all buckets. */
struct selected {
    const struct pool *p;
    struct jsonl_reader r;
    struct arena arena;
    uint32_t bucket;
    bool open;
};

static bool next_selected(struct selected *x, struct pair *pair)
{
    for (;;) {
        struct str line;
        bool more;
        char name[64];

        if (!x->open) {
            if (x->bucket == corpus_buckets(&x->p->corpus))
                return false;
            snprintf(name, sizeof name, "selected/round-0/bucket-%04u",
                     x->bucket++);
            POOL_MUST(sidecar_open(&x->r, &x->p->corpus, name, e));
            x->open = true;
        }
        POOL_MUST(jsonl_next(&x->r, &line, &more, e));
        if (more) {
            arena_reset(&x->arena);
            POOL_MUST(pair_read(line, &x->arena, pair, e));
            return true;
        }
        jsonl_close(&x->r);
        x->open = false;
    }
}

static uint64_t check_selected(const struct pool *p, const uint64_t *d,
                               uint64_t t)
{
    struct selected x = {.p = p};
    struct pair pair;
    uint64_t kept = 0;

    arena_init(&x.arena, 1 << 22);
    for (uint64_t i = 0; i < p->pairs; i++) {
        const struct pool_pair *v = &p->v[i];
        uint32_t n = 0;

        if (brute_s(p, v, d) >= t)
            continue;
        kept++;
        assert_true(next_selected(&x, &pair));
        assert_memory_equal(pair.uid, v->uid, MD5_SIZE);
        assert_int_equal(pair.s, brute_s(p, v, d));
        assert_int_equal(pair.n_q, v->n_q);
        for (uint32_t j = 0; j < v->n_q; j++)
            if (d[v->at + j] < t)
                assert_true(n < pair.n_keep &&
                            pair.keep[n++] == p->q[v->at + j]);
        assert_int_equal(n, pair.n_keep);
    }
    assert_false(next_selected(&x, &pair));
    arena_release(&x.arena);
    return kept;
}

/* ---- a fraction of the pool ---- */

static struct pool *part;
static uint64_t *draws[2]; /* by draws, by ranks */
static uint64_t scale;

static uint64_t prime_near(uint64_t n)
{
    for (;; n++) {
        uint64_t k = 2;

        while (k * k <= n && n % k)
            k++;
        if (k * k > n)
            return n;
    }
}

static int part_setup(void **state)
{
    const char *given = getenv("WITMILL_POOL_SCALE");
    uint64_t *c = xcalloc(POOL_QUERIES, sizeof *c);

    (void)state;
    scale = given ? strtoull(given, NULL, 10) : 20000;
    pool_counts(c, scale);
    part = pool_new(c, POOL_QUERIES, 3, prime_near(1600000000 / scale));
    pool_fill(part);
    draws[0] = brute_draws(part, false);
    draws[1] = brute_draws(part, true);
    return 0;
}

static int part_teardown(void **state)
{
    (void)state;
    pool_free(part);
    free(draws[0]);
    free(draws[1]);
    return 0;
}

static void test_pool__caps_against_brute_force(void **state)
{
    uint64_t t = scale < POOL_CAP ? POOL_CAP / scale : 1;

    (void)state;
    for (int exact = 0; exact < 2; exact++) {
        struct balance_summary sum;
        uint64_t kept;

        run(part, (struct balance_config){.cap = t, .exact = exact}, &sum);
        kept = check_selected(part, draws[exact], t);
        assert_int_equal(sum.kept, kept);
        assert_int_equal(sum.pairs, sum.unique);
        /* Each pair's own chances say what is kept; picks spread evenly over
         * the pairs would keep more. */
        assert_about((double)sum.expected, (double)kept);
        if (exact)
            assert_int_equal(sum.picks, sum.expected_picks);
        else
            assert_about((double)sum.picks, (double)sum.expected_picks);
        printf("1/%llu, t %llu, %s: %llu pairs, %llu matches, %llu picks, "
               "%llu kept, %llu expected, %llu if independent\n",
               (unsigned long long)scale, (unsigned long long)t,
               exact ? "ranks" : "draws", (unsigned long long)sum.unique,
               (unsigned long long)sum.matches, (unsigned long long)sum.picks,
               (unsigned long long)sum.kept, (unsigned long long)sum.expected,
               (unsigned long long)sum.independent);
    }
}

static void test_pool__targets_against_brute_force(void **state)
{
    uint64_t targets[] = {part->pairs / 4, 1, part->pairs};

    (void)state;
    for (int exact = 0; exact < 2; exact++)
        for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
            uint64_t t = brute_target(part, draws[exact], targets[i]);
            struct balance_summary sum;

            run(part,
                (struct balance_config){
                    .target = targets[i], .exact = exact, .slack = 8},
                &sum);
            assert_int_equal(sum.t, t);
            assert_int_equal(sum.kept, check_selected(part, draws[exact], t));
        }
}

/* Without slack half of all queries find too few candidates and look again;
 * little memory makes many parts that take turns, and slices of one query,
 * some of which are in one turn and some in the next. */
static void test_pool__ranks_without_slack_and_memory(void **state)
{
    struct corpus *c = &part->corpus;
    struct draw_table table;
    struct counts counts = {part->c, part->n};
    const uint64_t depths[] = {3, 400, UINT64_MAX};
    const struct {
        uint64_t slack, memory;
    } ways[] = {{PLAN_SLACK, 1 << 28}, {0, 1 << 28}, {0, 1 << 16}};

    (void)state;
    POOL_MUST(draw_table_make(&table, &part->list, c->head.seed, part->c, e));
    for (int i = 0; i < 3; i++) {
        struct plan_ranks first, next;

        for (int way = 0; way < 3; way++) {
            struct plan_ranks *r = way ? &next : &first;
            struct plan_ranks_config config = {.threads = 2,
                                               .memory_bytes = ways[way].memory,
                                               .depth = depths[i],
                                               .slack = ways[way].slack};

            POOL_MUST(plan_ranks_make(r, c, &counts, &table, &config, e));
            assert_int_equal(r->scans > r->turns, way > 0 && i < 2);
            assert_int_equal(r->turns > 2, way == 2);
            if (!way)
                continue;
            assert_memory_equal(first.first, next.first,
                                (part->n + 1) * sizeof *first.first);
            assert_memory_equal(first.ranks, next.ranks,
                                first.first[part->n] * sizeof *first.ranks);
            plan_ranks_release(&next);
        }
        plan_ranks_release(&first);
    }
    draw_table_release(&table);
}

/* Records that stand there twice have one h and are ties, also where only the
 * first of the two is among the ranks. */
static void test_pool__ties(void **state)
{
    enum { QUERIES = 60, PAIRS = 1009, DEPTH = 151 };
    uint64_t *c = xcalloc(QUERIES, sizeof *c), ties = 0;
    struct draw_table table;
    struct plan_ranks r;
    struct plan_ranks_config config = {.threads = 2,
                                       .memory_bytes = 1 << 20,
                                       .depth = DEPTH,
                                       .slack = PLAN_SLACK};
    struct pool *p;

    (void)state;
    for (uint32_t q = 0; q < QUERIES; q++)
        c[q] = 5 * q;
    p = pool_new(c, QUERIES, 2, PAIRS);
    p->copies = 1;
    pool_fill(p);
    for (uint32_t q = 0; q < QUERIES; q++)
        p->c[q] *= 2;
    pool_write_counts(p);
    POOL_MUST(draw_table_make(&table, &p->list, p->corpus.head.seed, p->c, e));
    POOL_MUST(plan_ranks_make(&r, &p->corpus, &(struct counts){p->c, p->n},
                              &table, &config, e));
    for (uint32_t q = 0; q < QUERIES; q++) {
        uint64_t n = p->c[q] < DEPTH ? p->c[q] : DEPTH;
        const uint64_t *h = r.ranks + r.first[q];

        assert_int_equal(r.first[q + 1] - r.first[q], n);
        for (uint64_t i = 0; i < n; i++, ties++) {
            assert_true(ties < r.n_ties);
            assert_int_equal(r.ties[ties].q, q);
            assert_int_equal(r.ties[ties].rank, i);
            if (i % 2) {
                assert_true(h[i] == h[i - 1]);
                assert_memory_equal(r.ties[ties].uid, r.ties[ties - 1].uid,
                                    MD5_SIZE);
            } else if (i) {
                assert_true(h[i] > h[i - 1]);
            }
        }
    }
    assert_int_equal(ties, r.n_ties);
    plan_ranks_release(&r);
    draw_table_release(&table);
    pool_free(p);
}

static int by_rank(const void *a, const void *b)
{
    const struct plan_rank *x = a, *y = b;
    uint64_t hx = plan_rank_h(x), hy = plan_rank_h(y);

    return x->q != y->q ? (x->q < y->q ? -1 : 1)
           : hx != hy   ? (hx < hy ? -1 : 1)
                        : memcmp(x->uid, y->uid, MD5_SIZE);
}

/* Even spreads and crowds, of one query and of many. */
static void test_ranks__sort(void **state)
{
    enum { N = 5000 };
    static struct plan_rank v[N], want[N], room[N];
    static uint32_t places[N + 1];

    (void)state;
    for (int kind = 0; kind < 6; kind++)
        for (size_t n = 0; n <= N; n = 3 * n + 1) {
            for (size_t i = 0; i < n; i++) {
                uint64_t x = pool_hash(9 + (unsigned)kind, i);
                uint64_t h = kind == 1   ? x % 7
                             : kind == 2 ? x % 100 + (x & UINT64_C(1) << 63)
                             : kind == 3 ? UINT64_MAX
                             : kind == 4 ? x >> (x & 63)
                                         : x;

                v[i] = (struct plan_rank){
                    .q = 7 + (kind % 2 ? 0 : (uint32_t)(x % 50)),
                    .h = {(uint32_t)h, (uint32_t)(h >> 32)},
                    .uid = {(uint8_t)(x >> 8), (uint8_t)(x >> 16)}};
            }
            memcpy(want, v, sizeof v);
            qsort(want, n, sizeof *want, by_rank);
            plan_ranks_sort(v, n, 7, 56, room, places);
            assert_memory_equal(v, want, n * sizeof *v);
        }
}

/* ---- the same for any parts and threads ---- */

static void outputs(char (*hex)[SHA256_HEX], uint32_t n)
{
    for (uint32_t k = 0; k < n; k++) {
        struct sidecar s;
        char name[64];

        snprintf(name, sizeof name, "selected/round-0/bucket-%04u", k);
        POOL_MUST(sidecar_read(&s, &part->corpus, name, e));
        memcpy(hex[k], s.files[0].sha256, SHA256_HEX);
        sidecar_release(&s);
    }
}

static void test_pool__same_for_parts_threads_memory(void **state)
{
    static const struct {
        uint32_t parts;
        uint64_t threads, memory;
    } ways[] = {{1, 1, 1 << 30},
                {1, 2, 1 << 17},
                {2, 1, 1 << 17},
                {7, 2, 1 << 24},
                {1, 5, 1 << 16}};
    uint32_t n = corpus_buckets(&part->corpus);
    char(*want)[SHA256_HEX] = xcalloc(n, sizeof *want);
    char(*got)[SHA256_HEX] = xcalloc(n, sizeof *got);

    (void)state;
    for (int mode = 0; mode < 4; mode += mode ? 2 : 1)
        for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
            struct balance_config config = {
                .exact = mode & 1, .memory_bytes = ways[i].memory, .slack = 8};
            struct balance_summary sum;

            config.stage.threads = ways[i].threads;
            *(mode & 2 ? &config.target : &config.cap) =
                mode & 2 ? part->pairs / 5 : 3;
            config.plan = true;
            /* Another option makes the folder anew. */
            if (ways[i].parts == 1)
                config.plan = false;
            run(part, config, &sum);
            config.plan = false;
            for (uint32_t k = ways[i].parts; ways[i].parts > 1 && k--;) {
                config.stage.part = (struct part){k, ways[i].parts};
                run(part, config, &sum);
            }
            outputs(i ? got : want, n);
            if (i)
                assert_memory_equal(want, got, n * sizeof *want);
        }
    free(want);
    free(got);
}

/* ---- counts far above 2^20 ---- */

/* A few pairs whose queries' counts are made large: draws then lie in the
 * coarse bins, and the cap still is exact. */
static void test_pool__target_among_large_draws(void **state)
{
    enum { QUERIES = 40, PAIRS = 2003 };
    static const uint64_t factors[] = {1, 1 << 12, UINT64_C(1) << 33};
    const uint64_t targets[] = {1, 100, 700, PAIRS};

    (void)state;
    for (int f = 0; f < 3; f++) {
        uint64_t *c = xcalloc(QUERIES, sizeof *c), *d;
        struct pool *p;

        for (uint32_t q = 0; q < QUERIES; q++)
            c[q] = 1 + q * q % 1500;
        p = pool_new(c, QUERIES, 2, PAIRS);
        pool_fill(p);
        for (uint32_t q = 0; q < QUERIES; q++)
            p->c[q] *= factors[f];
        pool_write_counts(p);
        d = brute_draws(p, false);
        for (int i = 0; i < 4; i++) {
            struct balance_summary sum;

            run(p, (struct balance_config){.target = targets[i]}, &sum);
            assert_int_equal(sum.t, brute_target(p, d, targets[i]));
            assert_int_equal(sum.kept, check_selected(p, d, sum.t));
        }
        free(d);
        pool_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest by_counts[] = {
        cmocka_unit_test(test_pool__published_numbers),
        cmocka_unit_test(test_pool__tail_share),
        cmocka_unit_test(test_pool__tail_cap_by_hand),
        cmocka_unit_test(test_target__bins),
        cmocka_unit_test(test_ranks__sort),
        cmocka_unit_test(test_pool__ties),
        cmocka_unit_test(test_pool__target_among_large_draws),
    };
    const struct CMUnitTest by_pairs[] = {
        cmocka_unit_test(test_pool__caps_against_brute_force),
        cmocka_unit_test(test_pool__targets_against_brute_force),
        cmocka_unit_test(test_pool__ranks_without_slack_and_memory),
        cmocka_unit_test(test_pool__same_for_parts_threads_memory),
    };
    int failed = cmocka_run_group_tests(by_counts, full_setup, full_teardown);

    return failed + cmocka_run_group_tests(by_pairs, part_setup, part_teardown);
}
