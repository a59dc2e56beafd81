/*
 * Where the time of `match` goes, from a part of pairs/ to one of matched/, by
 * ablation on one thread, beside what the disk format alone costs.
 *
 * usage: bench_records CORPUS BATCH/PART [ROUNDS]
 *
 * Each line is a way through the same records, with all that stands before it;
 * what a step adds is the difference to the line above it.  CPU time of the
 * thread, frame by frame, of each frame the best of ROUNDS (5): what else the
 * machine does shows little.  All frames are decoded anew for each step.
 * At last, what match writes is packed by some of zstd's levels.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zstd.h>

#include "base/jsonl_frames.h"
#include "base/mem.h"
#include "base/pair_scan.h"
#include "filter/match_batch.h"
#include "filter/textrules.h"
#include "querylist/qlist.h"

enum step { DECODE, SCAN, WORDS, RULES, FIND, ALL, HASH, ENCODE, STEPS };

static const char *const names[STEPS] = {
    "read, decode",      "scan members", "cut words",
    "text rules",        "find groups",  "H(url), write by bucket",
    "sha256 of content", "encode"};

/* The part's frames, as jsonl_frames gives them. */
struct frames {
    struct str *packed;
    size_t *content, n, cap, cap_content;
    uint64_t packed_bytes, bytes;
};

struct bench {
    struct corpus corpus;
    struct qlist list;
    struct matcher matcher;
    struct textrules_config config;
    struct textrules rules;
    struct match_with with;
    struct match_batch batch;
    struct jsonl_packer packer;
    struct buf out;
    struct sha256 hash;
    uint64_t read, kept, out_bytes, out_packed; /* of the last way */
    uint64_t slow; /* lines that are not plain, of it */
    uint64_t seen; /* so that nothing is left out as unused */
};

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int die(const struct err *e)
{
    fprintf(stderr, "bench_records: %s\n", e->message);
    exit(3);
}

/* ---- the ways ---- */

/* The first of lines; returns its bytes. */
static size_t scan_line(struct bench *b, struct str lines, struct pair_scan *s)
{
    struct err e = ERR_INIT;
    struct pair p;
    struct str line;

    if (!pair_scan_first(lines, &line, s)) {
        line = str_make(lines.p, str_find_char(lines, '\n', 0));
        arena_reset(&b->batch.arena);
        if (pair_read(line, &b->batch.arena, &p, &e))
            die(&e);
        s->url = p.url;
        s->text = p.text;
        b->slow++;
    }
    b->read++;
    return line.n + 1;
}

static void one_line(struct bench *b, struct pair_scan s, enum step last)
{
    struct match_batch *m = &b->batch;
    const struct words *words;
    struct err e = ERR_INIT;

    b->seen += s.text.n;
    if (last == SCAN)
        return;
    if (matcher_batch_cut(&b->matcher, &m->match, s.text, &words, &e))
        die(&e);
    if (last == WORDS || textrules_verdict(&b->rules, s.url, s.text, words))
        return;
    b->kept++;
    if (last == RULES)
        return;
    matcher_batch_add(&m->match);
    if (matcher_batch_full(&m->match)) {
        matcher_batch_find(&b->matcher, &m->match);
        matcher_batch_clear(&m->match);
    }
}

static double lines_way(struct bench *b, enum step last)
{
    struct match_batch *m = &b->batch;
    double began = now_s();
    struct str rest;

    if (jsonl_unpack(&m->unpacker, buf_str(&m->packed), m->content, &m->lines))
        die(&(struct err){-E_FORMAT, "a frame that is none of ours"});
    if (last == DECODE)
        return now_s() - began;
    matcher_batch_clear(&m->match);
    for (rest = buf_str(&m->lines); rest.n;) {
        struct pair_scan s;
        size_t n = scan_line(b, rest, &s);

        one_line(b, s, last);
        rest = str_make(rest.p + n, rest.n - n);
    }
    matcher_batch_find(&b->matcher, &m->match);
    return now_s() - began;
}

/* Hashing and encoding are timed alone: they are small beside the rest. */
static double whole_way(struct bench *b, enum step last)
{
    struct match_batch *m = &b->batch;
    struct err e = ERR_INIT;
    double began = now_s();

    if (match_batch_work(&b->with, m, &e))
        die(&e);
    if (last > ALL)
        began = now_s();
    b->read += m->read;
    b->kept += m->written;
    b->out_bytes += m->run.lines.n;
    if (last == HASH)
        sha256_add(&b->hash, buf_str(&m->run.lines));
    if (last == ENCODE) {
        if (jsonl_pack(&b->packer, buf_str(&m->run.lines), &b->out, &e))
            die(&e);
        b->out_packed += b->out.n;
    }
    return now_s() - began;
}

/* ---- timing ---- */

static double best_of(struct bench *b, const struct frames *f, int rounds,
                      double (*way)(struct bench *, enum step), enum step last)
{
    double *best = xcalloc(f->n + 1, sizeof *best), sum = 0;

    for (int k = 0; k < rounds; k++) {
        b->read = b->kept = b->out_bytes = b->out_packed = b->slow = 0;
        for (size_t i = 0; i < f->n; i++) {
            double took;

            buf_clear(&b->batch.packed);
            buf_add(&b->batch.packed, f->packed[i]);
            b->batch.content = f->content[i];
            took = way(b, last);
            best[i] = k && best[i] < took ? best[i] : took;
        }
    }
    for (size_t i = 0; i < f->n; i++)
        sum += best[i];
    free(best);
    return sum;
}

static double copy_way(struct bench *b, enum step last)
{
    double began = now_s();

    (void)last;
    buf_clear(&b->out);
    buf_add(&b->out, buf_str(&b->batch.packed));
    b->seen += (unsigned char)b->out.p[b->out.n / 2];
    return now_s() - began;
}

static double recode_way(struct bench *b, enum step last)
{
    struct match_batch *m = &b->batch;
    struct err e = ERR_INIT;
    double began = now_s();

    (void)last;
    lines_way(b, DECODE);
    if (jsonl_pack(&b->packer, buf_str(&m->lines), &b->out, &e))
        die(&e);
    return now_s() - began;
}

/* ---- levels of packing ---- */

#define PACKED_FRAMES 16 /* at most; they are like the others */

struct packing {
    double encode_s, decode_s;
    size_t content, packed;
};

/* Lines of a frame there and back, the best of some rounds of either way. */
static void pack_lines(struct bench *b, ZSTD_CCtx *z, struct str lines,
                       int rounds, struct packing *sum)
{
    double best[2] = {1e9, 1e9}, t[3];
    struct buf back;

    buf_init(&back, BUF_NO_LIMIT);
    for (int k = 0; k < rounds; k++) {
        size_t bound = ZSTD_compressBound(lines.n);

        buf_clear(&b->out);
        if (!buf_reserve(&b->out, bound))
            die(&(struct err){-E_NOMEM, "no memory"});
        t[0] = now_s();
        b->out.n = ZSTD_compress2(z, b->out.p, bound, lines.p, lines.n);
        t[1] = now_s();
        if (jsonl_unpack(&b->batch.unpacker, buf_str(&b->out), lines.n, &back))
            die(&(struct err){-E_FORMAT, "a frame that does not come back"});
        t[2] = now_s();
        for (int i = 0; i < 2; i++)
            best[i] = t[i + 1] - t[i] < best[i] ? t[i + 1] - t[i] : best[i];
    }
    sum->encode_s += best[0];
    sum->decode_s += best[1];
    sum->content += lines.n;
    sum->packed += b->out.n;
    buf_release(&back);
}

/* What match writes of some frames, at each level in turn. */
static void compare_levels(struct bench *b, const struct frames *f, int rounds)
{
    static const int levels[] = {3, 1, -1, -7, -20, JSONL_LEVEL, -100};
    enum { LEVELS = sizeof levels / sizeof *levels };
    struct packing sum[LEVELS] = {{.content = 0}};
    ZSTD_CCtx *z[LEVELS];
    uint64_t records = 0;
    struct err e = ERR_INIT;

    for (int k = 0; k < LEVELS; k++) {
        z[k] = ZSTD_createCCtx();
        ZSTD_CCtx_setParameter(z[k], ZSTD_c_compressionLevel, levels[k]);
        ZSTD_CCtx_setParameter(z[k], ZSTD_c_checksumFlag, 1);
    }
    for (size_t i = 0; i < f->n && i < PACKED_FRAMES; i++) {
        buf_clear(&b->batch.packed);
        buf_add(&b->batch.packed, f->packed[i]);
        b->batch.content = f->content[i];
        if (match_batch_work(&b->with, &b->batch, &e))
            die(&e);
        records += b->batch.written;
        for (int k = 0; k < LEVELS; k++)
            pack_lines(b, z[k], buf_str(&b->batch.run.lines), rounds, &sum[k]);
    }
    for (int k = 0; k < LEVELS; k++) {
        double n = (double)records;

        printf("  level %4d:%7.1f bytes a record, encode %.3f us, decode %.3f "
               "us\n",
               levels[k], (double)sum[k].packed / n, sum[k].encode_s / n * 1e6,
               sum[k].decode_s / n * 1e6);
        ZSTD_freeCCtx(z[k]);
    }
}

/* ---- input ---- */

static void read_frames(struct frames *f, const char *path)
{
    struct jsonl_frames in;
    struct err e = ERR_INIT;
    bool more = true;
    struct buf packed;
    size_t content;

    buf_init(&packed, BUF_NO_LIMIT);
    if (jsonl_frames_open(&in, path, &e))
        die(&e);
    while (more) {
        if (jsonl_frames_next(&in, &packed, &content, &more, &e))
            die(&e);
        if (!more)
            break;
        f->packed = xgrow(f->packed, &f->cap, f->n + 1, sizeof *f->packed);
        f->content =
            xgrow(f->content, &f->cap_content, f->n + 1, sizeof *f->content);
        f->packed_bytes += packed.n;
        f->bytes += content;
        f->content[f->n] = content;
        f->packed[f->n].n = packed.n;
        f->packed[f->n++].p = buf_detach(&packed, NULL);
    }
    buf_release(&packed);
    jsonl_frames_close(&in);
}

static void open_bench(struct bench *b, const char *folder)
{
    char path[IO_PATH_MAX];
    struct err e = ERR_INIT;

    *b = (struct bench){.config = {.svg = true,
                                   .boilerplate = true,
                                   .filename = true,
                                   .repetition = true,
                                   .min_words = 2}}; /* as by default */
    if (corpus_open(&b->corpus, folder, &e) ||
        corpus_path(&b->corpus, "queries.bin", path, &e) ||
        qlist_open(&b->list, path, &e) ||
        textrules_open(&b->rules, &b->config, &e))
        die(&e);
    matcher_open(&b->matcher, &b->list);
    b->with = (struct match_with){&b->corpus, &b->matcher, &b->rules};
    match_batch_init(&b->batch, &b->corpus);
    buf_init(&b->out, BUF_NO_LIMIT);
    sha256_init(&b->hash);
}

static void close_bench(struct bench *b, struct frames *f)
{
    uint8_t unused[SHA256_SIZE];

    sha256_final(&b->hash, unused);
    for (size_t i = 0; i < f->n; i++)
        free((char *)f->packed[i].p);
    free(f->packed);
    free(f->content);
    match_batch_release(&b->batch);
    jsonl_packer_release(&b->packer);
    buf_release(&b->out);
    textrules_close(&b->rules);
    qlist_close(&b->list);
}

static void report(const char *what, double took, double before, double n)
{
    printf("  %-26s%8.3f us a record, %6.3f more\n", what, took / n * 1e6,
           (took - before) / n * 1e6);
}

int main(int argc, char **argv)
{
    int rounds = argc > 3 ? (int)strtol(argv[3], NULL, 10) : 5;
    char path[IO_PATH_MAX];
    struct frames f = {0};
    double before = 0, n;
    struct bench b;

    if (argc < 3) {
        fprintf(stderr, "usage: bench_records CORPUS BATCH/PART [ROUNDS]\n");
        return 2;
    }
    open_bench(&b, argv[1]);
    snprintf(path, sizeof path, "%s/pairs/%s.jsonl.zst", argv[1], argv[2]);
    read_frames(&f, path);
    best_of(&b, &f, 1, whole_way, ENCODE);
    n = (double)b.read;
    printf("%.0f records of %.1f bytes, %.1f on disk; %.0f written, of %.1f "
           "bytes, %.1f on disk\n",
           n, (double)f.bytes / n, (double)f.packed_bytes / n, (double)b.kept,
           (double)b.out_bytes / (double)b.kept,
           (double)b.out_packed / (double)b.kept);
    report("copied as they are", best_of(&b, &f, rounds, copy_way, DECODE), 0,
           n);
    report("decoded, encoded again",
           best_of(&b, &f, rounds, recode_way, DECODE), 0, n);
    for (enum step s = DECODE; s < STEPS; s++) {
        double took =
            best_of(&b, &f, rounds, s < ALL ? lines_way : whole_way, s);

        if (s > ALL)
            took += before;
        report(names[s], took, before, n);
        if (s == SCAN)
            printf("    of which %.2f%% are not plain\n",
                   100.0 * (double)b.slow / n);
        before = took;
    }
    compare_levels(&b, &f, rounds);
    close_bench(&b, &f);
    return 0;
}
