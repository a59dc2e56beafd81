#include "filter/match_batch.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/pair_scan.h"

/* Bytes of ids and strings of MATCHER_BATCH records that are not plain. */
#define WAITING_MAX (MATCHER_BATCH * ((size_t)4 << 20))

void match_batch_init(struct match_batch *b, const struct corpus *c)
{
    *b = (struct match_batch){.read = 0};
    buf_init(&b->packed, BUF_NO_LIMIT);
    buf_init(&b->lines, BUF_NO_LIMIT);
    buf_init(&b->tails, BUF_NO_LIMIT);
    spool_run_init(&b->run, corpus_buckets(c));
    tally_init(&b->drops);
    matcher_batch_init(&b->match);
    arena_init(&b->arena, WAITING_MAX);
}

void match_batch_release(struct match_batch *b)
{
    buf_release(&b->packed);
    buf_release(&b->lines);
    buf_release(&b->tails);
    spool_run_release(&b->run);
    tally_release(&b->drops);
    jsonl_unpacker_release(&b->unpacker);
    matcher_batch_release(&b->match);
    arena_release(&b->arena);
    free(b->placed);
}

/* ---- records that match ---- */

/* Neighbours are often dropped for one reason, of which there is one string. */
static void drop(struct match_batch *b, const char *reason)
{
    if (reason != b->reason) {
        if (b->reason)
            tally_add(&b->drops, b->reason, b->n_reason);
        b->reason = reason;
        b->n_reason = 0;
    }
    b->n_reason++;
}

static void place(struct match_batch *b, struct match_waiting *w,
                  const uint32_t *ids, size_t n)
{
    struct match_placed *to = &b->placed[b->n_placed++];
    struct buf *t = &b->tails;
    char *p;

    *to = (struct match_placed){.tail = t->n, .bucket = w->bucket};
    if (w->plain) {
        static const char name[] = ",\"q\":[";
        enum { NAME = sizeof name - 1, END = 3 };

        to->head = w->line.p;
        to->head_n = w->line.n - 1; /* without the brace */
        p = buf_reserve(t, NAME + PAIR_ID_BYTES * n + END);
        if (!p)
            return;
        memcpy(p, name, NAME);
        p += NAME;
        p += pair_put_ids(ids, n, p);
        memcpy(p, "]}\n", END);
        t->n = (size_t)(p + END - t->p);
    } else {
        w->pair.matched = true;
        w->pair.q = ids;
        w->pair.n_q = (uint32_t)n;
        pair_write(&w->pair, t);
        buf_add_char(t, '\n');
    }
    to->tail_n = t->n - to->tail;
}

/* Groups of the texts that wait. */
static void find(const struct match_with *with, struct match_batch *b)
{
    size_t n;

    matcher_batch_find(with->matcher, &b->match);
    b->placed = xgrow(b->placed, &b->cap_placed, b->n_placed + b->match.n,
                      sizeof *b->placed);
    for (size_t i = 0; i < b->match.n; i++) {
        const uint32_t *ids = matcher_batch_ids(&b->match, i, &n);

        const char *reason =
            n ? textrules_language(with->rules, &b->rules, b->waiting[i].text)
              : "no-match";

        if (reason)
            drop(b, reason);
        else
            place(b, &b->waiting[i], ids, n);
    }
    matcher_batch_clear(&b->match);
    arena_reset(&b->arena);
}

/* ---- one line ---- */

/* The first of `lines`, each of which has its newline; *n: its bytes. */
static int read_line(struct match_batch *b, struct str lines, size_t *n,
                     struct match_waiting *w, struct str *url, struct str *text,
                     struct err *e)
{
    struct pair_scan s;
    struct str line;
    int rc;

    w->plain = pair_scan_first(lines, &line, &s) && !s.matched && !s.selected;
    if (w->plain) {
        *n = line.n + 1;
        w->line = line;
        *url = s.url;
        *text = s.text;
        return 0;
    }
    line = str_make(lines.p, str_find_char(lines, '\n', 0));
    *n = line.n + 1;
    rc = pair_read(line, &b->arena, &w->pair, e);
    *url = w->pair.url;
    *text = w->pair.text;
    return rc;
}

static int add_line(const struct match_with *with, struct match_batch *b,
                    struct str lines, size_t *n, struct err *e)
{
    struct match_waiting *w = &b->waiting[b->match.n];
    const struct words *words;
    const char *reason;
    struct str url, text;
    int rc = read_line(b, lines, n, w, &url, &text, e);

    if (!rc)
        rc = matcher_batch_cut(with->matcher, &b->match, text, &words, e);
    if (rc)
        return rc;
    reason = textrules_verdict(with->rules, url, text, words);
    if (reason) {
        drop(b, reason);
        return 0;
    }
    w->text = text;
    w->bucket = corpus_bucket(with->corpus, corpus_url_hash(with->corpus, url));
    matcher_batch_add(&b->match);
    if (matcher_batch_full(&b->match))
        find(with, b);
    return 0;
}

/* ---- by bucket ---- */

static void copy(char *to, const struct match_placed *p, const char *tails)
{
    if (p->head_n)
        memcpy(to, p->head, p->head_n);
    memcpy(to + p->head_n, tails + p->tail, p->tail_n);
}

/* Counted first, so that each record is copied once, to its place. */
static int sort(struct match_batch *b, uint32_t n_buckets, struct err *e)
{
    size_t *at = b->run.at, sum = 0;
    char *to;

    memset(at, 0, ((size_t)n_buckets + 1) * sizeof *at);
    for (size_t i = 0; i < b->n_placed; i++)
        at[b->placed[i].bucket] += b->placed[i].head_n + b->placed[i].tail_n;
    for (uint32_t k = 0; k <= n_buckets; k++) {
        size_t n = at[k];

        at[k] = sum;
        sum += n;
    }
    buf_clear(&b->run.lines);
    to = buf_reserve(&b->run.lines, sum);
    if (!to || b->tails.rc)
        return err_set(e, E_NOMEM, "no memory for a batch");
    for (size_t i = 0; i < b->n_placed; i++) {
        const struct match_placed *p = &b->placed[i];

        copy(to + at[p->bucket], p, b->tails.p);
        at[p->bucket] += p->head_n + p->tail_n;
    }
    b->run.lines.n = sum;
    /* Each stands where its bucket ends: where the next one begins. */
    memmove(at + 1, at, n_buckets * sizeof *at);
    at[0] = 0;
    return 0;
}

/* ---- the batch ---- */

static int work_lines(const struct match_with *with, struct match_batch *b,
                      struct err *e)
{
    struct str rest = buf_str(&b->lines);
    int rc = 0;

    while (rest.n) {
        size_t n;

        rc = add_line(with, b, rest, &n, e);
        if (rc)
            return b->packed.n ? rc
                               : err_wrap(e, rc, "line %llu",
                                          (unsigned long long)(b->first_line +
                                                               b->read));
        rest = str_make(rest.p + n, rest.n - n);
        b->read++;
    }
    find(with, b);
    return 0;
}

int match_batch_work(const struct match_with *with, struct match_batch *b,
                     struct err *e)
{
    int rc = 0;

    tally_clear(&b->drops);
    buf_clear(&b->tails);
    arena_reset(&b->arena);
    matcher_batch_clear(&b->match);
    b->reason = NULL;
    b->rules.unknown = 0;
    b->read = b->n_placed = 0;
    if (b->packed.n)
        rc = jsonl_unpack(&b->unpacker, buf_str(&b->packed), b->content,
                          &b->lines);
    if (!rc)
        rc = work_lines(with, b, e);
    if (!rc)
        rc = sort(b, corpus_buckets(with->corpus), e);
    drop(b, NULL); /* what is still in a row */
    b->unknown = b->rules.unknown;
    b->written = b->n_placed;
    return rc;
}
