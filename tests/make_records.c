/*
 * make_records - a corpus of synthetic pairs of any size, for tests and
 * benches of what comes behind the matching.
 *
 *     make_records CORPUS [--records N] [--parts N] [--queries N] ...
 *
 * CORPUS/queries.bin is made if it is not there: `--queries` entries of one
 * made-up word each, so that `witmill match` on pairs/ finds what stands in
 * matched/, byte for byte.  With a list that is there, texts hold entries of
 * it, and q is what was drawn.  Then matched/BATCH, and with --pairs also
 * pairs/BATCH, are written with their sidecars; `witmill gather`, `balance`
 * and what follows run on them.  What the records are: tests/records.h.  With
 * --links nothing but CORPUS/links/part-NNNNN.tsv, a URL and a text a line, for
 * `witmill import`; of these --unmatched of a million texts are words that are
 * in no list.
 *
 * Printed is one JSON object: what gather has to find in all of them
 * (records, copies, uids, urls, urls_with_texts: URLs of more than one text).
 *
 * A part that is there already is left alone; with other options it is made
 * anew.  Parts are made beside each other, `--threads` at a time; a million
 * records take about 2 seconds of a core and 150 MB of matched/.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/stage.h"
#include "base/workq.h"
#include "filter/match.h"
#include "querylist/qlist.h"
#include "tests/records.h"

struct options {
    const char *corpus, *batch;
    uint64_t records, parts, queries, bits, list_seed, seed;
    uint64_t copies, another_text, hosts, threads, unmatched;
    bool pairs, links;
};

#define NUMBER(field, option, value, low, high, text)                          \
    {                                                                          \
        .name = option, .type = OPT_U64, .at = offsetof(struct options, field), \
        .arg = "N", .def = value, .min = low, .max = high, .help = text,       \
        .flags = OPT_BYTES                                                     \
    }

static const struct opt rows[] = {
    {.name = "CORPUS", .type = OPT_STRING,
     .at = offsetof(struct options, corpus), .arg = "CORPUS",
     .flags = OPT_REQUIRED | OPT_POSITIONAL, .help = "The folder."},
    {.name = "batch", .type = OPT_STRING, .at = offsetof(struct options, batch),
     .arg = "NAME", .def = "made", .help = "matched/NAME."},
    NUMBER(records, "records", "1000000", 1, 1e11, "Records in all."),
    NUMBER(parts, "parts", "8", 1, 99999, "Parts."),
    NUMBER(seed, "seed", "0", 0, 1e15, "Of the records."),
    NUMBER(copies, "copies", "150000", 0, 500000,
           "Records of a million that repeat an earlier one."),
    NUMBER(another_text, "another-text", "100000", 0, 500000,
           "Records of a million that give an earlier URL another text."),
    NUMBER(hosts, "hosts", "100000", 1, 1e9, "Hosts, drawn as 1 / rank."),
    NUMBER(queries, "queries", "500000", 1, 4e9, "Entries of a list made."),
    NUMBER(bits, "bucket-bits", "6", 1, 13, "Of a list made."),
    NUMBER(list_seed, "list-seed", "0", 0, 1e15, "Corpus seed of it."),
    {.name = "pairs", .type = OPT_BOOL, .at = offsetof(struct options, pairs),
     .flags = OPT_BYTES, .help = "Write pairs/NAME, too."},
    {.name = "links", .type = OPT_BOOL, .at = offsetof(struct options, links),
     .help = "Write links/ alone."},
    {.name = "unmatched", .type = OPT_U64,
     .at = offsetof(struct options, unmatched), .arg = "N", .def = "0",
     .max = 1000000, .help = "Texts of a million of links/ that match nothing."},
    {.name = "threads", .type = OPT_U64,
     .at = offsetof(struct options, threads), .arg = "N", .def = "2",
     .min = 1, .max = 1024, .help = "Parts made at a time."},
};

static const struct opt_table table = {
    .command = "make_records", .synopsis = "CORPUS [options]",
    .summary = "A corpus of synthetic pairs.", .rows = rows,
    .n = sizeof rows / sizeof *rows, .config_size = sizeof(struct options),
};

struct maker {
    const struct options *o;
    struct corpus corpus;
    struct qlist list;
    uint32_t *groups; /* ids by rank */
    struct records law;
    struct stage import, match;
    char list_sha256[SHA256_HEX];
    uint64_t next; /* part */
};

/* ---- the list ---- */

static int make_list(const struct options *o, const char *path, struct err *e)
{
    struct query_candidates file = {0};
    struct query_list list = {0};
    struct query_list_config config = {.size = o->queries};
    struct buf b, words;
    struct str rest, word;
    int rc;

    buf_init(&words, BUF_NO_LIMIT);
    for (uint32_t k = 0; k < o->queries; k++) {
        records_word(&words, k);
        buf_add_char(&words, '\n');
    }
    rest = buf_str(&words);
    for (uint64_t k = 0; k < o->queries; k++) {
        str_split(&rest, '\n', &word);
        query_candidates_add(&file, word)->synset = QUERY_NONE;
    }
    config.sources[QUERY_FILE] = &file;
    buf_init(&b, BUF_NO_LIMIT);
    rc = query_list_build(&list, &config, e);
    if (!rc)
        rc = qlist_encode(&list, NULL, QUERY_POLICY_WORDS, o->list_seed,
                          (uint32_t)o->bits, &b, e);
    if (!rc)
        rc = io_mkdirs(o->corpus, e);
    if (!rc)
        rc = io_write_file(path, buf_str(&b), e);
    buf_release(&b);
    buf_release(&words);
    query_list_release(&list);
    query_candidates_release(&file);
    return rc;
}

static int open_list(struct maker *m, struct err *e)
{
    char path[IO_PATH_MAX];
    uint32_t n = 0;
    int rc = io_join(path, m->o->corpus, QLIST_FILE, e);

    if (!rc && !io_exists(path))
        rc = make_list(m->o, path, e);
    if (!rc)
        rc = corpus_open(&m->corpus, m->o->corpus, e);
    if (!rc)
        rc = io_sha256_file(path, m->list_sha256, e);
    if (!rc)
        rc = qlist_open(&m->list, path, e);
    if (rc)
        return rc;
    m->groups = xcalloc(qlist_count(&m->list), sizeof *m->groups);
    for (uint32_t id = 0; id < qlist_count(&m->list); id++)
        if (qlist_group(&m->list, id) == id)
            m->groups[n++] = id;
    m->law = (struct records){.seed = m->o->seed,
                              .copies = m->o->copies,
                              .another_text = m->o->another_text,
                              .log2_hosts = log2((double)m->o->hosts)};
    if (n == 0)
        return err_set(e, E_FORMAT, "%s: a list without groups", path);
    records_open(&m->law, n);
    return 0;
}

/* ---- one part ---- */

struct work {
    uint64_t part;
    struct records_text t;
    struct buf line;
};

static void put_name(void *ctx, uint32_t rank, struct buf *to)
{
    const struct maker *m = ctx;

    buf_add(to, qlist_norm(&m->list, m->groups[rank]));
}

static void put_no_name(void *ctx, uint32_t rank, struct buf *to)
{
    (void)ctx;
    records_filler(to, (uint64_t)rank << 40);
}

static void make_line(struct maker *m, struct work *w, uint64_t i, bool matched)
{
    struct pair p = {.from = i % 4 ? STR("alt") : STR("title"),
                     .matched = matched};

    records_url(&m->law, records_url_of(&m->law, i), &w->t);
    p.n_q = records_text(&m->law, records_text_of(&m->law, i), &w->t, put_name,
                         m);
    records_place(&m->law, i, &w->t);
    for (uint32_t k = 0; k < p.n_q; k++)
        w->t.q[k] = m->groups[w->t.q[k]];
    p.q = w->t.q;
    p.url = buf_str(&w->t.url);
    p.text = buf_str(&w->t.text);
    p.page = buf_str(&w->t.page);
    p.origin = str_of(w->t.origin);
    pair_uid(p.text, p.url, p.uid);
    buf_clear(&w->line);
    pair_write(&p, &w->line);
}

/* Records from..to-1, their numbers less from, by bucket: order[first[k]] and
 * so on are bucket k's. */
static uint32_t *sort_part(struct maker *m, struct work *w, uint64_t from,
                           uint64_t to, uint64_t *first)
{
    uint32_t buckets = corpus_buckets(&m->corpus);
    size_t n = (size_t)(to - from);
    uint32_t *order = xcalloc(n + 1, sizeof *order);
    uint16_t *of = xcalloc(n + 1, sizeof *of);
    uint64_t *at = xcalloc(buckets + 1, sizeof *at);

    for (size_t i = 0; i < n; i++) {
        records_url(&m->law, records_url_of(&m->law, from + i), &w->t);
        of[i] = (uint16_t)corpus_bucket(
            &m->corpus, corpus_url_hash(&m->corpus, buf_str(&w->t.url)));
        at[of[i] + 1]++;
    }
    for (uint32_t k = 0; k < buckets; k++)
        at[k + 1] += at[k];
    memcpy(first, at, (buckets + 1) * sizeof *at);
    for (size_t i = 0; i < n; i++)
        order[at[of[i]]++] = (uint32_t)i;
    free(of);
    free(at);
    return order;
}

static int write_frames(struct maker *m, struct work *w, struct jsonl_writer *out,
                        struct json_out *extra, uint64_t from, uint64_t to,
                        struct err *e)
{
    uint32_t buckets = corpus_buckets(&m->corpus);
    uint64_t *first = xcalloc(buckets + 1, sizeof *first), offset = 0;
    uint32_t *order = sort_part(m, w, from, to, first);
    int rc = 0;

    out->manual = true;
    json_out_name(extra, "offsets");
    json_out_array(extra);
    json_out_u64(extra, 0);
    for (uint32_t k = 0; !rc && k < buckets; k++) {
        for (uint64_t i = first[k]; !rc && i < first[k + 1]; i++) {
            make_line(m, w, from + order[i], true);
            rc = jsonl_write(out, buf_str(&w->line), e);
        }
        if (!rc)
            rc = jsonl_frame(out, &offset, e);
        json_out_u64(extra, offset);
    }
    json_out_end_array(extra);
    free(order);
    free(first);
    return rc;
}

static int write_part(struct maker *m, struct work *w, struct stage_output *o,
                      bool matched, struct err *e)
{
    uint64_t from = m->o->records * w->part / m->o->parts;
    uint64_t to = m->o->records * (w->part + 1) / m->o->parts;
    char path[IO_PATH_MAX], name[STAGE_NAME_MAX + 16];
    struct jsonl_writer out;
    int rc = stage_path(o, ".jsonl.zst", path, e);

    if (!rc)
        rc = jsonl_open_write(&out, path, e);
    if (rc)
        return rc;
    if (matched)
        rc = write_frames(m, w, &out, &o->more, from, to, e);
    for (uint64_t i = from; !matched && !rc && i < to; i++) {
        make_line(m, w, i, false);
        rc = jsonl_write(&out, buf_str(&w->line), e);
    }
    if (rc)
        jsonl_abandon(&out);
    else
        rc = jsonl_publish(&out, e);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s.jsonl.zst", o->name);
    stage_file(o, name, out.sha256);
    tally_add(&o->counts, "records", to - from);
    tally_add(&o->counts, "read", matched ? to - from : 0);
    tally_add(&o->counts, "rows", matched ? 0 : to - from);
    return stage_commit(o, e);
}

static int make_output(struct maker *m, struct work *w, const struct stage *s,
                       const char *name, const struct stage_inputs *in,
                       bool matched, struct err *e)
{
    struct stage stage = *s; /* commit marks its own copy */
    struct stage_output o;
    bool done;
    int rc = stage_begin(&stage, &o, name, in, &done, e);

    if (!rc && !done)
        rc = write_part(m, w, &o, matched, e);
    stage_output_release(&o);
    return rc;
}

/* As lists of links have them. */
static int write_links(struct maker *m, struct work *w, struct err *e)
{
    uint64_t from = m->o->records * w->part / m->o->parts;
    uint64_t to = m->o->records * (w->part + 1) / m->o->parts;
    char path[IO_PATH_MAX];
    FILE *out;

    snprintf(path, sizeof path, "%s/links/part-%05u.tsv", m->o->corpus,
             (unsigned)w->part);
    out = fopen(path, "w");
    if (!out)
        return err_errno(e, E_IO, "create", path);
    for (uint64_t i = from; i < to; i++) {
        uint64_t text = records_text_of(&m->law, i);
        uint64_t state = records_begin(&m->law, text, RECORDS_MATCHED);
        bool matched = records_next(&state) % 1000000 >= m->o->unmatched;

        records_url(&m->law, records_url_of(&m->law, i), &w->t);
        records_text(&m->law, text, &w->t, matched ? put_name : put_no_name, m);
        fprintf(out, "%.*s\t%.*s\n", STR_ARG(buf_str(&w->t.url)),
                STR_ARG(buf_str(&w->t.text)));
    }
    return fclose(out) ? err_errno(e, E_IO, "write", path) : 0;
}

/* ---- all of them ---- */

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct maker *m = ctx;

    (void)e;
    *more = m->next < m->o->parts;
    ((struct work *)item)->part = m->next++;
    return 0;
}

static int work(void *ctx, void *item, struct err *e)
{
    struct maker *m = ctx;
    struct work *w = item;
    struct stage_inputs in;
    char pairs[STAGE_NAME_MAX], name[STAGE_NAME_MAX];
    int rc = 0;

    if (m->o->links)
        return write_links(m, w, e);
    snprintf(pairs, sizeof pairs, "pairs/%.100s/part-%05u", m->o->batch,
             (unsigned)w->part);
    snprintf(name, sizeof name, "matched/%.100s/part-%05u", m->o->batch,
             (unsigned)w->part);
    stage_inputs_init(&in);
    if (m->o->pairs)
        rc = make_output(m, w, &m->import, pairs, &in, false, e);
    stage_inputs_add(&in, QLIST_FILE, m->list_sha256);
    if (!rc && m->o->pairs)
        rc = stage_inputs_add_output(&in, &m->corpus, pairs, "import", e);
    if (!rc)
        rc = make_output(m, w, &m->match, name, &in, true, e);
    stage_inputs_release(&in);
    return rc;
}

static int consume(void *ctx, void *item, struct err *e)
{
    (void)ctx;
    (void)item;
    (void)e;
    return 0;
}

static int make_all(struct maker *m, struct err *e)
{
    static const struct workq_ops ops = {produce, work, consume};
    unsigned threads = (unsigned)m->o->threads;
    struct work *items = xcalloc(threads, sizeof *items);
    char folder[IO_PATH_MAX];
    int rc = io_join(folder, m->o->corpus, "links", e);

    if (!rc && m->o->links)
        rc = io_mkdirs(folder, e);
    for (unsigned i = 0; i < threads; i++) {
        buf_init(&items[i].t.url, BUF_NO_LIMIT);
        buf_init(&items[i].t.text, BUF_NO_LIMIT);
        buf_init(&items[i].t.page, BUF_NO_LIMIT);
        buf_init(&items[i].line, BUF_NO_LIMIT);
    }
    if (!rc)
        rc = workq_run(&ops, m, items, sizeof *items, threads, threads, e);
    for (unsigned i = 0; i < threads; i++) {
        buf_release(&items[i].t.url);
        buf_release(&items[i].t.text);
        buf_release(&items[i].t.page);
        buf_release(&items[i].line);
    }
    free(items);
    return rc;
}

/* What gather has to find: counted, not guessed from the shares. */
static void tell(const struct maker *m)
{
    uint64_t copies = 0, fresh = 0, several = 0;
    unsigned char *seen = xcalloc(m->o->records / 8 + 1, 1);

    for (uint64_t i = 0; i < m->o->records; i++) {
        if (records_is_copy(&m->law, i)) {
            copies++;
        } else if (records_is_new(&m->law, i)) {
            fresh++;
        } else {
            uint64_t u = records_url_of(&m->law, i);

            several += !(seen[u / 8] >> u % 8 & 1);
            seen[u / 8] |= (unsigned char)(1 << u % 8);
        }
    }
    printf("{\"records\":%llu,\"copies\":%llu,\"uids\":%llu,\"urls\":%llu,"
           "\"urls_with_texts\":%llu}\n",
           (unsigned long long)m->o->records, (unsigned long long)copies,
           (unsigned long long)(m->o->records - copies),
           (unsigned long long)fresh, (unsigned long long)several);
    free(seen);
}

int main(int argc, char **argv)
{
    struct options o;
    struct maker m = {.o = &o};
    struct err e = ERR_INIT;
    struct opt_set set;
    int rc;

    opt_init(&set, &table, &o);
    rc = opt_argv(&set, argc - 1, argv + 1, &e);
    if (!rc)
        rc = opt_finish(&set, &e);
    if (!rc)
        rc = open_list(&m, &e);
    if (!rc) {
        stage_init(&m.import, &m.corpus, "import", 1, &table, &o, true);
        stage_init(&m.match, &m.corpus, "match", MATCH_VERSION, &table, &o,
                   true);
        rc = make_all(&m, &e);
        stage_release(&m.import);
        stage_release(&m.match);
    }
    if (!rc)
        tell(&m);
    else
        fprintf(stderr, "make_records: %s\n", e.message);
    records_close(&m.law);
    free(m.groups);
    qlist_close(&m.list);
    opt_release(&set);
    return rc ? 1 : 0;
}
