/*
 * records - synthetic pairs by number: what tests/make_records writes.
 *
 * Model.   Record i of a corpus is a function of (seed, i), so that any part
 *          can be made alone.
 *          - A record is new, or speaks of an earlier record's URL with a text
 *            of its own (another_text), or repeats an earlier record's URL and
 *            text (copy): records_url() and records_text() say whose.  Earlier
 *            ones are drawn evenly, so that a few URLs gather many texts.
 *            Texts of different numbers differ, and so do URLs: among the
 *            records 0..n-1 there are exactly as many uids as records that are
 *            no copies, as many URLs as new ones.
 *          - Groups are drawn by the shape that MetaCLIP published of 1.6
 *            billion pairs and 500,000 entries: the largest matches 7.5% of the
 *            texts, 3.2% of the entries hold 94.5% of the matches, 22.8% match
 *            nothing; 3.5 matches a text.  Ranks are stretched to the list at
 *            hand; ids of groups ascend by rank.
 *          - A text is words of no meaning and the entries that it matches, in
 *            between.  With the list that make_records makes itself (entries of
 *            one word, which no other word equals) `match` finds exactly the q
 *            that stands in the record.
 *          - Hosts are drawn as 1 / rank.
 * Owns.    struct records its table; struct records_text keeps its buffers.
 * Threads. struct records is constant once made; one records_text a thread.
 * Cost.    About half a microsecond a record.
 */
#ifndef TESTS_RECORDS_H
#define TESTS_RECORDS_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/pair.h"

#define RECORDS_DRAWS 32u /* of one text at most */
#define RECORDS_GUIDE (1u << 16)
#define RECORDS_PPM   1000000u

struct records {
    uint64_t seed;
    uint64_t copies;       /* of RECORDS_PPM */
    uint64_t another_text; /* of RECORDS_PPM */
    double log2_hosts;     /* log2 of their number */
    uint32_t n;            /* groups that can be drawn */
    uint64_t *upto;        /* group k is drawn below upto[k], of 2^63 */
    uint32_t *guide;       /* where to begin to look, by the highest bits */
};

/* What the parts of a record are made in. */
struct records_text {
    struct buf url, text, page;
    char origin[64];
    uint32_t q[RECORDS_DRAWS]; /* ranks, ascending */
};

enum records_salt {
    RECORDS_CLASS = 1,
    RECORDS_SOURCE,
    RECORDS_URL,
    RECORDS_TEXT,
    RECORDS_PAGE,
    RECORDS_MATCHED
};

/* splitmix64's mixing function, over a stream of its own for each use. */
static inline uint64_t records_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t records_begin(const struct records *r, uint64_t i,
                                     enum records_salt salt)
{
    return records_mix(r->seed * UINT64_C(0x9e3779b97f4a7c15) +
                       records_mix(i * 8 + salt));
}

static inline uint64_t records_next(uint64_t *state)
{
    return records_mix(*state += UINT64_C(0x9e3779b97f4a7c15));
}

/* Evenly below n. */
static inline uint64_t records_below(uint64_t x, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)x * n) >> 64);
}

/* ---- which record speaks of what ---- */

static inline uint64_t records_class(const struct records *r, uint64_t i)
{
    return i ? records_below(records_begin(r, i, RECORDS_CLASS), RECORDS_PPM)
             : RECORDS_PPM;
}

static inline bool records_is_copy(const struct records *r, uint64_t i)
{
    return records_class(r, i) < r->copies;
}

static inline bool records_is_new(const struct records *r, uint64_t i)
{
    return records_class(r, i) >= r->copies + r->another_text;
}

/* The earlier record that i takes from. */
static inline uint64_t records_source(const struct records *r, uint64_t i)
{
    return records_below(records_begin(r, i, RECORDS_SOURCE), i);
}

static inline uint64_t records_text_of(const struct records *r, uint64_t i)
{
    while (records_is_copy(r, i))
        i = records_source(r, i);
    return i;
}

static inline uint64_t records_url_of(const struct records *r, uint64_t i)
{
    while (!records_is_new(r, i))
        i = records_source(r, i);
    return i;
}

/* ---- the law of the groups ---- */

/* How often the entry of this rank (from 0, of 500,000) matched, of 1.6
 * billion.  Two power laws that meet at the cap of 20,000; their constants
 * follow from the published sums. */
static inline double records_shape(double rank)
{
    if (rank < 16000)
        return 120e6 * pow((rank + 12) / 12, -1.209);
    return rank < 386000 ? 20000 * pow(rank / 16000, -1.954) : 0;
}

static inline void records_open(struct records *r, uint32_t groups)
{
    double sum = 0, at = 0;

    r->n = groups;
    r->upto = xcalloc(groups, sizeof *r->upto);
    r->guide = xcalloc(RECORDS_GUIDE + 1, sizeof *r->guide);
    for (uint32_t k = 0; k < groups; k++)
        sum += records_shape(k * 500000.0 / groups);
    for (uint32_t k = 0; k < groups; k++) {
        at += records_shape(k * 500000.0 / groups);
        r->upto[k] = (uint64_t)(at / sum * 0x1p63);
    }
    r->upto[groups - 1] = UINT64_C(1) << 63;
    for (uint32_t g = 0, k = 0; g < RECORDS_GUIDE; g++) {
        while (r->upto[k] <= (uint64_t)g << 47)
            k++;
        r->guide[g] = k;
    }
}

static inline void records_close(struct records *r)
{
    free(r->upto);
    free(r->guide);
}

static inline uint32_t records_group(const struct records *r, uint64_t x)
{
    uint32_t k = r->guide[x >> 48];

    for (x >>= 1; r->upto[k] <= x;)
        k++;
    return k;
}

/* ---- words ---- */

/* Append the word of number k: syllables, short ones first; none is made for
 * two numbers. */
static inline void records_word(struct buf *to, uint32_t k)
{
    static const char first[] = "bdfghklmnprstvwz", second[] = "aeiou";
    char word[16];
    size_t n = 0;
    uint32_t size = 80;
    unsigned syllables = 1;

    while (k >= size && syllables < 5) {
        k -= size;
        size *= 80;
        syllables++;
    }
    for (unsigned i = 0; i < syllables; i++, k /= 80) {
        word[n++] = first[k % 80 / 5];
        word[n++] = second[k % 5];
    }
    buf_add_bytes(to, word, n);
}

/* A word that no list of ours has. */
static inline void records_filler(struct buf *to, uint64_t x)
{
    records_word(to, (uint32_t)(x >> 40) % 20000);
    buf_add_char(to, 'x');
}

static inline void records_number(struct buf *to, uint64_t v)
{
    char digits[24];
    size_t n = sizeof digits;

    do
        digits[--n] = (char)('0' + v % 10);
    while (v /= 10);
    buf_add_bytes(to, digits + n, sizeof digits - n);
}

/* ---- a record ---- */

static inline void records_host(const struct records *r, struct buf *to,
                                uint64_t x)
{
    static const struct str kinds[] = {
        {"www.", 4}, {"img.", 4}, {"cdn.", 4}, {"", 0}};
    static const struct str ends[] = {{".example.com", 12},
                                      {".test", 5},
                                      {"-shop.test", 10},
                                      {".example.org", 12}};
    double u = (double)(x >> 32) * 0x1p-32;
    uint32_t rank = (uint32_t)exp2(u * r->log2_hosts) - 1;

    buf_add(to, kinds[rank % 4]);
    records_word(to, rank);
    buf_add(to, ends[rank / 4 % 4]);
}

/* The URL with number id: t->url alone is set. */
static inline void records_url(const struct records *r, uint64_t id,
                               struct records_text *t)
{
    uint64_t state = records_begin(r, id, RECORDS_URL);

    buf_clear(&t->url);
    buf_add(&t->url, id & 1 ? STR("https://") : STR("http://"));
    records_host(r, &t->url, records_next(&state));
    buf_add(&t->url, STR("/images/"));
    records_filler(&t->url, records_next(&state));
    buf_add_char(&t->url, '/');
    records_filler(&t->url, records_next(&state));
    buf_add_char(&t->url, '-');
    records_number(&t->url, id);
    buf_add(&t->url, STR(".jpg"));
}

/* Draw the groups of a text; their number. */
static inline uint32_t records_groups(const struct records *r, uint64_t *state,
                                      uint32_t q[RECORDS_DRAWS])
{
    uint32_t n = 0, draws = 1;

    /* Three in four go on: texts that match much match ever more. */
    while (draws < RECORDS_DRAWS && records_next(state) % 1024 < 748)
        draws++;
    while (draws--) {
        uint32_t g = records_group(r, records_next(state)), at = n;

        while (at && q[at - 1] > g)
            at--;
        if (at && q[at - 1] == g)
            continue;
        memmove(q + at + 1, q + at, (n++ - at) * sizeof *q);
        q[at] = g;
    }
    return n;
}

/* The text with number id into t->text; name(ctx, group, to) appends an entry.
 * Returns the number of groups in t->q. */
static inline uint32_t
records_text(const struct records *r, uint64_t id, struct records_text *t,
             void (*name)(void *ctx, uint32_t group, struct buf *to), void *ctx)
{
    uint64_t state = records_begin(r, id, RECORDS_TEXT);
    uint32_t n = records_groups(r, &state, t->q);

    buf_clear(&t->text);
    for (uint32_t k = 0; k < n; k++) {
        uint64_t x = records_next(&state);

        for (unsigned fill = x % 3; fill--; x <<= 8) {
            records_filler(&t->text, x);
            buf_add_char(&t->text, ' ');
        }
        name(ctx, t->q[k], &t->text);
        buf_add_char(&t->text, ' ');
    }
    buf_add(&t->text, STR("nr "));
    records_number(&t->text, id);
    return n;
}

/* Where record i was read: t->page and t->origin. */
static inline void records_place(const struct records *r, uint64_t i,
                                 struct records_text *t)
{
    uint64_t state = records_begin(r, i, RECORDS_PAGE);

    buf_clear(&t->page);
    buf_add(&t->page, STR("https://"));
    records_host(r, &t->page, records_next(&state));
    buf_add_char(&t->page, '/');
    records_filler(&t->page, records_next(&state));
    buf_add(&t->page, STR(".html"));
    snprintf(t->origin, sizeof t->origin, "part-%05u.warc.gz:%u",
             (unsigned)(i / 50000), (unsigned)(i % 50000));
}

#endif
