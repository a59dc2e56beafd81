/* dedup_run against the rule, image by image;
 * --exact against a plain recount. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/survivor.h"
#include "filter/dedup.h"
#include "tests/corpus_fixture.h"

static const struct opt dedup_rows[] = {
    {.name = "radius",
     .type = OPT_U64,
     .at = offsetof(struct dedup_config, radius),
     .help = "bits",
     .flags = OPT_BYTES}};
static const struct opt_table dedup_table = {.command = "dedup",
                                             .synopsis = "",
                                             .summary = "",
                                             .rows = dedup_rows,
                                             .n = 1,
                                             .config_size =
                                                 sizeof(struct dedup_config)};

/* ---- dedup_run ---- */

/* Index of the URL that pushes out urls[i], or SIZE_MAX; the rule as DESIGN
 * has it, over the selected images. */
static size_t pushed_by(const struct fixture *f, size_t i, unsigned radius,
                        bool *exact)
{
    const struct ledger *me = &f->urls[i].ledger;
    size_t near = SIZE_MAX;

    *exact = false;
    for (size_t k = 0; k < i; k++) {
        const struct ledger *o = &f->urls[k].ledger;

        if (!f->urls[k].image || !f->urls[k].selected)
            continue;
        if (!memcmp(o->sha256, me->sha256, SHA256_SIZE)) {
            *exact = true;
            return k;
        }
        if (near == SIZE_MAX && !o->phash_exempt && !me->phash_exempt &&
            (unsigned)__builtin_popcountll(o->phash ^ me->phash) <= radius)
            near = k;
    }
    return near;
}

struct reading {
    const struct fixture *f;
    struct jsonl_reader in;
    struct arena arena;
    uint32_t bucket;
    bool open;
    uint64_t h; /* of the row before */
};

static void reading_init(struct reading *r, const struct fixture *f)
{
    *r = (struct reading){.f = f};
    arena_init(&r->arena, 1 << 24);
}

/* The next line of survivors/ over all buckets. */
static bool next_line(struct reading *r, struct survivor *s)
{
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX + 64];
    struct str line;
    bool more;

    for (;;) {
        if (!r->open) {
            if (r->bucket == corpus_buckets(&r->f->corpus))
                return false;
            snprintf(path, sizeof path, "%s/survivors/bucket-%04u.jsonl.zst",
                     r->f->corpus.dir, r->bucket);
            assert_int_equal(jsonl_open(&r->in, path, &e), 0);
            r->open = true;
        }
        assert_int_equal(jsonl_next(&r->in, &line, &more, &e), 0);
        if (more)
            break;
        jsonl_close(&r->in);
        r->open = false;
        r->bucket++;
    }
    arena_reset(&r->arena);
    assert_int_equal(survivor_read(line, &r->arena, s, &e), 0);
    assert_true(s->h >= r->h);
    assert_int_equal(corpus_bucket(&r->f->corpus, s->h), r->bucket);
    r->h = s->h;
    return true;
}

static void check_row(const struct fixture_url *u, const struct survivor *s,
                      struct arena *a)
{
    struct pair p, last = {.s = 0};
    struct json j;
    struct err e = ERR_INIT;
    size_t n = 0;
    char group[16];
    bool more;

    ledger_name(u->group, u->pass, group);
    assert_true(str_eq(s->group, str_of(group)));
    assert_int_equal(s->image.offset, u->ledger.offset);
    assert_int_equal(s->image.bytes, u->jpeg_bytes);
    assert_int_equal(s->image.phash, u->ledger.phash);
    assert_memory_equal(s->image.sha256, u->ledger.sha256, SHA256_SIZE);
    assert_true(str_eq(s->image.exif, u->ledger.exif));
    assert_int_equal(s->image.original_width, u->ledger.original_width);
    assert_int_equal(s->texts_total, u->n_pairs);
    survivor_texts_open(&j, s);
    while (!survivor_texts_next(&j, a, &p, &more, &e) && more) {
        assert_true(str_eq(p.url, s->url));
        if (n++)
            assert_true(
                p.s > last.s ||
                (p.s == last.s && memcmp(p.uid, last.uid, MD5_SIZE) > 0));
        last = p;
    }
    assert_int_equal(e.code, 0);
    assert_int_equal(n, u->n_pairs);
}

static void check_duplicates(const struct fixture *f, unsigned radius)
{
    struct jsonl_reader in;
    struct err e = ERR_INIT;
    struct str line;
    char path[IO_PATH_MAX + 64], want[512];
    bool more, exact;

    snprintf(path, sizeof path, "%s/survivors/duplicates.jsonl.zst",
             f->corpus.dir);
    assert_int_equal(jsonl_open(&in, path, &e), 0);
    for (size_t i = 0; i < f->n; i++) {
        const struct fixture_url *u = &f->urls[i];
        size_t by = u->image && u->selected ? pushed_by(f, i, radius, &exact)
                                            : SIZE_MAX;

        if (by == SIZE_MAX)
            continue;
        assert_int_equal(jsonl_next(&in, &line, &more, &e), 0);
        assert_true(more);
        snprintf(
            want, sizeof want,
            "{\"url\":\"%s\",\"h\":\"%016llx\",\"reason\":\"%s\","
            "\"by\":\"%s\",\"bits\":%d}",
            u->url, (unsigned long long)u->h,
            exact ? "duplicate-exact" : "duplicate-near", f->urls[by].url,
            __builtin_popcountll(u->ledger.phash ^ f->urls[by].ledger.phash));
        assert_true(str_eq(line, str_of(want)));
    }
    assert_int_equal(jsonl_next(&in, &line, &more, &e), 0);
    assert_false(more);
    jsonl_close(&in);
}

static int run(const struct corpus *c, unsigned radius, uint64_t threads,
               bool redo, const struct dedup_ranks *ranks,
               struct dedup_summary *sum, struct err *e)
{
    struct dedup_config config = {.stage = {.threads = threads, .redo = redo},
                                  .radius = radius};

    return dedup_run(c, &config, &dedup_table, ranks, sum, e);
}

static void sum_release(struct dedup_summary *sum)
{
    tally_release(&sum->counts);
    tally_release(&sum->drops);
}

static void test_dedup__follows_the_rule(void **state)
{
    struct fixture f;
    struct dedup_summary sum;
    struct err e = ERR_INIT;
    struct reading r;
    struct survivor s;
    uint64_t rows = 0, texts = 0, images = 0, urls = 0, drops[2] = {0, 0};

    (void)state;
    fixture_make(&f, 700, 3, 2, 3);
    if (run(&f.corpus, 4, 2, false, NULL, &sum, &e))
        fail_msg("%s", e.message);
    reading_init(&r, &f);
    for (size_t i = 0; i < f.n; i++) {
        bool exact;
        size_t by;

        urls += f.urls[i].selected;
        if (!f.urls[i].image || !f.urls[i].selected)
            continue;
        images++;
        by = pushed_by(&f, i, 4, &exact);
        if (by != SIZE_MAX) {
            drops[exact]++;
            continue;
        }
        rows++;
        texts += f.urls[i].n_pairs;
        assert_true(next_line(&r, &s));
        assert_false(s.more);
        assert_true(str_eq(s.url, str_of(f.urls[i].url)));
        check_row(&f.urls[i], &s, &r.arena);
    }
    assert_false(next_line(&r, &s));
    check_duplicates(&f, 4);
    assert_int_equal(tally_get(&sum.counts, "urls"), urls);
    assert_int_equal(tally_get(&sum.counts, "images"), images);
    assert_int_equal(tally_get(&sum.counts, "rows"), rows);
    assert_int_equal(tally_get(&sum.counts, "texts"), texts);
    assert_int_equal(tally_get(&sum.drops, "duplicate-near"), drops[0]);
    assert_int_equal(tally_get(&sum.drops, "duplicate-exact"), drops[1]);
    assert_true(drops[0] > 20 && drops[1] > 5 && rows > 300);
    arena_release(&r.arena);
    sum_release(&sum);
    fixture_remove(&f);
}

/* ---- runs that continue, and changed options ---- */

static void hash_all(const struct corpus *c, char out[SHA256_HEX])
{
    struct sha256 h;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX + 64], hex[SHA256_HEX];

    sha256_init(&h);
    for (uint32_t k = 0; k <= corpus_buckets(c); k++) {
        if (k == corpus_buckets(c))
            snprintf(path, sizeof path, "%s/survivors/duplicates.jsonl.zst",
                     c->dir);
        else
            snprintf(path, sizeof path, "%s/survivors/bucket-%04u.jsonl.zst",
                     c->dir, k);
        assert_int_equal(jsonl_sha256(path, hex, &e), 0);
        sha256_add(&h, str_of(hex));
    }
    sha256_final_hex(&h, out);
}

static void test_dedup__continues_and_refuses(void **state)
{
    struct fixture f;
    struct dedup_summary sum;
    struct err e = ERR_INIT;
    char first[SHA256_HEX], again[SHA256_HEX], path[IO_PATH_MAX + 64];

    (void)state;
    fixture_make(&f, 300, 2, 1, 1);
    assert_int_equal(run(&f.corpus, 4, 1, false, NULL, &sum, &e), 0);
    sum_release(&sum);
    hash_all(&f.corpus, first);
    /* As after a kill: an output without its sidecar, others done. */
    for (int k = 0; k < 2; k++) {
        snprintf(path, sizeof path, "%s/survivors/%s.meta.json", f.dir,
                 k ? "duplicates" : "bucket-0001");
        assert_int_equal(unlink(path), 0);
        snprintf(path, sizeof path, "%s/survivors/%s.jsonl.zst", f.dir,
                 k ? "duplicates" : "bucket-0001");
        assert_int_equal(truncate(path, 10), 0);
        assert_int_equal(run(&f.corpus, 4, 3, false, NULL, &sum, &e), 0);
        assert_true(tally_get(&sum.counts, "rows") > 0);
        sum_release(&sum);
        hash_all(&f.corpus, again);
        assert_string_equal(first, again);
    }
    assert_int_equal(run(&f.corpus, 5, 1, false, NULL, &sum, &e), -E_STALE);
    assert_non_null(strstr(e.message, "--redo"));
    sum_release(&sum);
    e = (struct err)ERR_INIT;
    assert_int_equal(run(&f.corpus, 0, 1, true, NULL, &sum, &e), 0);
    sum_release(&sum);
    hash_all(&f.corpus, again);
    assert_string_not_equal(first, again);
    fixture_remove(&f);
}

/* ---- an evaluation set ---- */

/* Every ninth image of the corpus: by its bytes, by its look, a bit or two
 * off, or by a look that is too far off. */
static void make_set(const struct fixture *f, unsigned radius,
                     struct dedup_set *set)
{
    char name[32];

    dedup_set_init(set);
    for (size_t i = 0; i < f->n; i += 9) {
        const struct ledger *l = &f->urls[i].ledger;
        uint64_t near = l->phash ^ (i % 2 ? 5 : 0);
        uint64_t far = l->phash ^ ((UINT64_C(1) << (radius + 1)) - 1);
        struct err e = ERR_INIT;

        snprintf(name, sizeof name, "set.tar/%zu", i);
        assert_int_equal(dedup_set_add(set, str_of(name),
                                       i / 9 % 3 ? l->sha256 : NULL,
                                       i / 9 % 4 == 0 ? NULL
                                       : i / 9 % 5    ? &near
                                                      : &far,
                                       &e),
                         0);
    }
    stage_inputs_add(&set->inputs, "set.tar",
                     "00112233445566778899aabbccddeeff"
                     "00112233445566778899aabbccddeeff");
}

/* The first of the set that takes u out, or SIZE_MAX. */
static size_t set_takes(const struct dedup_set *set,
                        const struct fixture_url *u, unsigned radius,
                        bool *exact)
{
    size_t near = SIZE_MAX;

    *exact = false;
    for (size_t i = 0; i < set->n; i++) {
        const struct dedup_set_image *s = &set->images[i];

        if (s->has_sha && !memcmp(s->sha, u->ledger.sha256, sizeof s->sha)) {
            *exact = true;
            return i;
        }
        if (near == SIZE_MAX && s->has_phash && !u->ledger.phash_exempt &&
            (unsigned)__builtin_popcountll(s->phash ^ u->ledger.phash) <=
                radius)
            near = i;
    }
    return near;
}

static size_t check_against(const struct fixture *f,
                            const struct dedup_set *set, unsigned radius)
{
    char path[IO_PATH_MAX + 64], want[512], bits[32];
    struct jsonl_reader in;
    struct err e = ERR_INIT;
    struct str line;
    size_t n = 0;
    bool more, exact;

    snprintf(path, sizeof path, "%s/survivors/against.jsonl.zst",
             f->corpus.dir);
    assert_int_equal(jsonl_open(&in, path, &e), 0);
    for (size_t i = 0; i < f->n; i++) {
        const struct fixture_url *u = &f->urls[i];
        size_t by = u->image && u->selected ? set_takes(set, u, radius, &exact)
                                            : SIZE_MAX;

        if (by == SIZE_MAX)
            continue;
        bits[0] = 0;
        if (set->images[by].has_phash)
            snprintf(
                bits, sizeof bits, ",\"bits\":%d",
                __builtin_popcountll(u->ledger.phash ^ set->images[by].phash));
        snprintf(want, sizeof want,
                 "{\"url\":\"%s\",\"h\":\"%016llx\",\"reason\":\"%s\","
                 "\"by\":\"%.*s\"%s}",
                 u->url, (unsigned long long)u->h,
                 exact ? "against-exact" : "against-near",
                 STR_ARG(dedup_set_name(set, by)), bits);
        assert_int_equal(jsonl_next(&in, &line, &more, &e), 0);
        assert_true(more && str_eq(line, str_of(want)));
        n++;
    }
    assert_int_equal(jsonl_next(&in, &line, &more, &e), 0);
    assert_false(more);
    jsonl_close(&in);
    return n;
}

static void test_dedup__leaves_out_an_evaluation_set(void **state)
{
    struct dedup_config config = {.stage = {.threads = 2}, .radius = 4};
    struct dedup_summary sum;
    struct dedup_set set;
    struct fixture f;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX + 64], with[SHA256_HEX], again[SHA256_HEX];
    uint64_t near;

    (void)state;
    fixture_make(&f, 500, 2, 1, 1);
    make_set(&f, 4, &set);
    config.set = &set;
    if (dedup_run(&f.corpus, &config, &dedup_table, NULL, &sum, &e))
        fail_msg("%s", e.message);
    near = tally_get(&sum.drops, "against-near");
    assert_true(near > 5 && tally_get(&sum.drops, "against-exact") > 5);
    assert_int_equal(near + tally_get(&sum.drops, "against-exact"),
                     check_against(&f, &set, 4));
    sum_release(&sum);
    hash_all(&f.corpus, with);
    /* A list that is lost is made again, with all it stands on. */
    snprintf(path, sizeof path, "%s/survivors/against.meta.json", f.dir);
    assert_int_equal(unlink(path), 0);
    config.stage.threads = 1;
    assert_int_equal(
        dedup_run(&f.corpus, &config, &dedup_table, NULL, &sum, &e), 0);
    sum_release(&sum);
    check_against(&f, &set, 4);
    hash_all(&f.corpus, again);
    assert_string_equal(with, again);
    /* Without the set these outputs are stale, and the list goes. */
    assert_int_equal(run(&f.corpus, 4, 1, false, NULL, &sum, &e), -E_STALE);
    sum_release(&sum);
    assert_int_equal(run(&f.corpus, 4, 1, true, NULL, &sum, &e), 0);
    assert_int_equal(tally_get(&sum.drops, "against-near"), 0);
    sum_release(&sum);
    assert_false(io_exists(path));
    check_duplicates(&f, 4);
    dedup_set_release(&set);
    fixture_remove(&f);
}

/* A pass whose download was not run: its URLs are counted, nothing else of
 * them is known. */
static void test_dedup__unasked_are_counted(void **state)
{
    struct fixture f;
    struct dedup_summary sum;
    struct err e = ERR_INIT;
    char command[256];
    uint64_t unasked = 0;

    (void)state;
    fixture_make(&f, 100, 1, 1, 2);
    snprintf(command, sizeof command, "rm %s/images/*-01*", f.dir);
    assert_int_equal(system(command), 0);
    for (size_t i = 0; i < f.n; i++)
        unasked += f.urls[i].selected && f.urls[i].pass == 1;
    assert_int_equal(run(&f.corpus, 4, 1, false, NULL, &sum, &e), 0);
    assert_int_equal(tally_get(&sum.counts, "unasked"), unasked);
    assert_true(unasked > 10);
    sum_release(&sum);
    fixture_remove(&f);
}

/* No text matched: nothing is selected, so that no download leaves a ledger.
 * Survivors are none, and pack may run; but a selection asks for its ledgers.
 */
static void test_dedup__an_empty_selection_is_done(void **state)
{
    struct fixture f;
    struct dedup_summary sum;
    struct err e = ERR_INIT;
    char command[256];

    (void)state;
    fixture_make(&f, 0, 1, 1, 0);
    assert_int_equal(run(&f.corpus, 4, 1, false, NULL, &sum, &e), 0);
    assert_int_equal(tally_get(&sum.counts, "rows"), 0);
    sum_release(&sum);
    fixture_remove(&f);
    fixture_make(&f, 20, 1, 1, 1);
    snprintf(command, sizeof command, "rm %s/images/*", f.dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(run(&f.corpus, 4, 1, false, NULL, &sum, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "witmill download"));
    sum_release(&sum);
    fixture_remove(&f);
}

static void test_dedup__missing_stages_are_named(void **state)
{
    struct fixture f;
    struct dedup_summary sum;
    struct err e = ERR_INIT;
    char path[IO_PATH_MAX + 64];

    (void)state;
    fixture_make(&f, 20, 1, 1, 1);
    snprintf(path, sizeof path, "%s/selected/round-0/bucket-0001.meta.json",
             f.dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(run(&f.corpus, 4, 1, false, NULL, &sum, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "witmill balance"));
    sum_release(&sum);
    snprintf(path, sizeof path, "%s/selected", f.dir);
    fixture_remove_dir(path);
    e = (struct err)ERR_INIT;
    assert_int_equal(run(&f.corpus, 4, 1, false, NULL, &sum, &e), -E_NOTFOUND);
    assert_non_null(strstr(e.message, "witmill balance"));
    sum_release(&sum);
    fixture_remove(&f);
}

/* The same of dedup: survivors/ and duplicates after the last failure are
 * those of an undisturbed run. */
static void test_dedup__full_disk(void **state)
{
    struct fixture f;
    struct corpus c;
    struct dedup_summary sum;
    struct rlimit old, tight;
    struct err e = ERR_INIT;
    char first[SHA256_HEX], again[SHA256_HEX], dir[64];
    unsigned failures = 0;
    int rc;

    (void)state;
    fixture_make(&f, 300, 1, 1, 1);
    fixture_copy(&f, &c, dir);
    assert_int_equal(run(&f.corpus, 4, 1, false, NULL, &sum, &e), 0);
    sum_release(&sum);
    hash_all(&f.corpus, first);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    tight = old;
    tight.rlim_cur = 100;
    do {
        e = (struct err)ERR_INIT;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
        rc = run(&c, 4, 2, false, NULL, &sum, &e);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
        sum_release(&sum);
        if (rc) {
            assert_int_equal(rc, -E_IO);
            assert_non_null(strstr(e.message, "survivors/"));
            failures++;
        }
        tight.rlim_cur += tight.rlim_cur / 2;
    } while (rc);
    assert_true(failures > 4);
    hash_all(&c, again);
    assert_string_equal(first, again);
    fixture_remove_dir(dir);
    fixture_remove(&f);
}

/* ---- --exact ---- */

#define EXACT_T 12 /* t in round 0; 20 and more in the last */

/* Ranks as the test has them: pairs of each query in uid order. */
struct exact_world {
    const struct fixture *f;
    uint64_t t0[FIXTURE_QUERIES], t_last[FIXTURE_QUERIES], c[FIXTURE_QUERIES];
};

static bool matches(const struct fixture_pair *p, uint32_t q)
{
    for (uint32_t i = 0; i < p->n_q; i++)
        if (p->q[i] == q)
            return true;
    return false;
}

static uint64_t exact_rank(void *ctx, uint32_t q, const uint8_t uid[MD5_SIZE])
{
    const struct exact_world *w = ctx;
    uint64_t rank = 0;

    for (size_t i = 0; i < w->f->n; i++)
        for (size_t k = 0; k < w->f->urls[i].n_pairs; k++) {
            const struct fixture_pair *p = &w->f->urls[i].pairs[k];

            rank += matches(p, q) && memcmp(p->uid, uid, MD5_SIZE) < 0;
        }
    return rank;
}

/* Whether q keeps p, counted plainly: fewer than t0 pairs of q with an image
 * have a smaller rank. */
static bool exact_keeps(struct exact_world *w, const struct fixture_pair *p,
                        uint32_t q)
{
    uint64_t before = 0;

    if (exact_rank(w, q, p->uid) >= w->t_last[q])
        return false;
    for (size_t i = 0; i < w->f->n; i++) {
        const struct fixture_url *u = &w->f->urls[i];

        for (size_t k = 0; u->image && u->selected && k < u->n_pairs; k++)
            before += matches(&u->pairs[k], q) &&
                      memcmp(u->pairs[k].uid, p->uid, MD5_SIZE) < 0;
    }
    return before < w->t0[q];
}

static void check_exact_row(struct exact_world *w, const struct fixture_url *u,
                            const struct survivor *s, struct arena *a)
{
    struct json j;
    struct pair p;
    struct err e = ERR_INIT;
    bool more;

    survivor_texts_open(&j, s);
    while (!survivor_texts_next(&j, a, &p, &more, &e) && more) {
        const struct fixture_pair *mine = bsearch(
            p.uid, u->pairs, u->n_pairs, sizeof *u->pairs, fixture_by_uid);
        uint32_t n = 0;

        assert_non_null(mine);
        for (uint32_t i = 0; i < mine->n_q; i++)
            if (exact_keeps(w, mine, mine->q[i])) {
                assert_true(n < p.n_keep);
                assert_int_equal(p.keep[n++], mine->q[i]);
            }
        assert_int_equal(p.n_keep, n);
    }
    assert_int_equal(e.code, 0);
}

/* Caps of every kind: none, one that is never raised, and one raised to 20 or
 * far beyond all there are. */
static void draw_caps(struct exact_world *w)
{
    for (uint32_t q = 0; q < FIXTURE_QUERIES; q++) {
        w->t0[q] = q % 7 == 6 ? 0 : EXACT_T;
        w->t_last[q] = q % 3 == 0   ? EXACT_T
                       : q % 3 == 1 ? 20
                                    : UINT64_C(1) << 60;
        w->c[q] = 0;
        for (size_t i = 0; i < w->f->n; i++)
            for (size_t k = 0; k < w->f->urls[i].n_pairs; k++)
                w->c[q] += matches(&w->f->urls[i].pairs[k], q);
    }
}

static void test_dedup__exact_picks(void **state)
{
    struct fixture f;
    struct exact_world w = {.f = &f};
    struct dedup_ranks ranks = {.ctx = &w,
                                .rank = exact_rank,
                                .t0 = w.t0,
                                .t_last = w.t_last,
                                .c = w.c,
                                .n = FIXTURE_QUERIES};
    struct dedup_summary sum;
    struct err e = ERR_INIT;
    struct reading r;
    struct survivor s;
    size_t kept = 0, over = 0;

    (void)state;
    fixture_make(&f, 120, 1, 1, 1);
    draw_caps(&w);
    if (run(&f.corpus, 4, 1, false, &ranks, &sum, &e))
        fail_msg("%s", e.message);
    reading_init(&r, &f);
    for (size_t i = 0; i < f.n; i++) {
        struct fixture_url *u = &f.urls[i];
        bool exact;
        size_t texts = 0;

        if (!u->image || !u->selected ||
            pushed_by(&f, i, 4, &exact) != SIZE_MAX)
            continue;
        for (size_t k = 0; k < u->n_pairs; k++) {
            bool any = false;

            for (uint32_t m = 0; m < u->pairs[k].n_q; m++)
                any |= exact_keeps(&w, &u->pairs[k], u->pairs[k].q[m]);
            texts += any;
        }
        over += texts == 0;
        if (!texts)
            continue;
        kept++;
        assert_true(next_line(&r, &s));
        assert_true(str_eq(s.url, str_of(u->url)));
        assert_int_equal(s.texts_total, texts);
        check_exact_row(&w, u, &s, &r.arena);
    }
    assert_false(next_line(&r, &s));
    assert_int_equal(tally_get(&sum.drops, "over-cap"), over);
    assert_true(kept > 10 && over > 5);
    arena_release(&r.arena);
    sum_release(&sum);
    fixture_remove(&f);
}

/* ---- more texts than a URL may have ---- */

static int by_survival(const void *a, const void *b)
{
    const struct fixture_pair *x = a, *y = b;

    if (x->s != y->s)
        return x->s < y->s ? -1 : 1;
    return memcmp(x->uid, y->uid, MD5_SIZE);
}

/* Texts of u that stay: the first ones by (s, uid) while their records have at
 * most `max` bytes together. */
static size_t texts_within(struct fixture_url *u, size_t max)
{
    size_t bytes = 0, n = 0;
    struct buf line;

    buf_init(&line, JSONL_LINE_MAX);
    qsort(u->pairs, u->n_pairs, sizeof *u->pairs, by_survival);
    for (; n < u->n_pairs; n++) {
        struct pair p = fixture_pair(u, &u->pairs[n]);

        buf_clear(&line);
        pair_write(&p, &line);
        bytes += line.n;
        if (bytes > max)
            break;
    }
    buf_release(&line);
    return n;
}

static void test_dedup__keeps_the_first_texts(void **state)
{
    enum { CEILING = 5000 }; /* some 25 of 200 */
    struct dedup_config config = {.stage = {.threads = 2},
                                  .radius = 4,
                                  .texts_bytes = CEILING};
    struct fixture f;
    struct dedup_summary sum;
    struct err e = ERR_INIT;
    struct reading r;
    struct survivor s;
    uint64_t left_out = 0, cut = 0, texts = 0;

    (void)state;
    fixture_make(&f, 300, 1, 3, 2);
    fixture_must(dedup_run(&f.corpus, &config, &dedup_table, NULL, &sum, &e),
                 &e);
    reading_init(&r, &f);
    for (size_t i = 0; i < f.n; i++) {
        struct fixture_url *u = &f.urls[i];
        struct json j;
        struct pair p;
        bool more, exact;
        size_t want, n = 0;

        if (!u->image || !u->selected ||
            pushed_by(&f, i, 4, &exact) != SIZE_MAX)
            continue;
        want = texts_within(u, CEILING);
        assert_true(next_line(&r, &s));
        assert_int_equal(s.texts_total, u->n_pairs);
        survivor_texts_open(&j, &s);
        while (!survivor_texts_next(&j, &r.arena, &p, &more, &e) && more)
            assert_memory_equal(p.uid, u->pairs[n++].uid, MD5_SIZE);
        assert_int_equal(n, want);
        texts += n;
        left_out += u->n_pairs - n;
        cut += n < u->n_pairs;
    }
    assert_false(next_line(&r, &s));
    assert_int_equal(tally_get(&sum.counts, "texts"), texts);
    assert_int_equal(tally_get(&sum.counts, "texts-over-ceiling"), left_out);
    assert_true(cut > 3);
    arena_release(&r.arena);
    sum_release(&sum);
    fixture_remove(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dedup__follows_the_rule),
        cmocka_unit_test(test_dedup__leaves_out_an_evaluation_set),
        cmocka_unit_test(test_dedup__continues_and_refuses),
        cmocka_unit_test(test_dedup__unasked_are_counted),
        cmocka_unit_test(test_dedup__an_empty_selection_is_done),
        cmocka_unit_test(test_dedup__missing_stages_are_named),
        cmocka_unit_test(test_dedup__full_disk),
        cmocka_unit_test(test_dedup__exact_picks),
        cmocka_unit_test(test_dedup__keeps_the_first_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
