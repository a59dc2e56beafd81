#include "filter/dedup_mail.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct letter { /* and the URL behind it */
    uint64_t phash;
    uint32_t id, n;
};

int dedup_mail_open(struct dedup_mail *m, struct dedup_search *search,
                    const struct dedup_set *set, struct err *e)
{
    *m = (struct dedup_mail){.search = search, .set = set};
    buf_init(&m->urls, BUF_NO_LIMIT);
    return bins_open(&m->letters, &search->store, search->ranges, e);
}

void dedup_mail_close(struct dedup_mail *m)
{
    bins_close(&m->letters);
    dedup_range_release(&m->now);
    buf_release(&m->urls);
    free(m->known);
    m->known = NULL;
}

static struct dedup_known *add_known(struct dedup_mail *m, uint32_t id,
                                     uint64_t phash, uint32_t n)
{
    struct dedup_known *k;

    m->known = xgrow(m->known, &m->cap_known, m->n_known + 1, sizeof *m->known);
    k = &m->known[m->n_known++];
    *k = (struct dedup_known){id, n, phash, m->urls.n};
    return k;
}

static const struct dedup_known *find(const struct dedup_mail *m, uint32_t id)
{
    size_t lo = 0, hi = m->n_known;

    while (hi - lo > 1) {
        size_t mid = (lo + hi) / 2;

        if (m->known[mid].id <= id)
            lo = mid;
        else
            hi = mid;
    }
    assert(m->n_known && m->known[lo].id == id);
    return &m->known[lo];
}

static int by_id(const void *a, const void *b)
{
    const struct dedup_known *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

/* ---- entering and leaving a range ---- */

static int read_letters(struct dedup_mail *m, uint32_t range, struct err *e)
{
    size_t end = (size_t)bins_bytes(&m->letters, range), at = 0;
    int rc;

    if (!buf_reserve(&m->urls, end))
        return err_set(e, E_NOMEM, "no memory for %zu bytes of URLs", end);
    rc = bins_read(&m->letters, range, 0, m->urls.p, end, e);
    while (!rc && at < end) {
        struct letter l;

        memcpy(&l, m->urls.p + at, sizeof l);
        at += sizeof l;
        m->urls.n = at;
        add_known(m, l.id, l.phash, l.n);
        at += l.n;
    }
    m->urls.n = end;
    if (m->n_known)
        qsort(m->known, m->n_known, sizeof *m->known, by_id);
    bins_clear(&m->letters, range);
    return rc;
}

static int enter(struct dedup_mail *m, struct err *e)
{
    int rc;

    dedup_range_release(&m->now);
    buf_clear(&m->urls);
    m->n_known = 0;
    if (m->next == m->search->ranges)
        return err_set(e, E_DAMAGED,
                       "images/ or selected/ changed while dedup ran; run it "
                       "again");
    rc = dedup_search_range(m->search, m->next, &m->now, e);
    return rc ? rc : read_letters(m, m->next++, e);
}

static int send_letter(void *ctx, const void *record, struct err *e)
{
    struct dedup_mail *m = ctx;
    const struct dedup_known *k;
    struct dedup_send send;
    struct letter l;
    int rc;

    memcpy(&send, record, sizeof send);
    k = find(m, send.by);
    l = (struct letter){k->phash, k->id, k->n};
    rc = bins_add(&m->letters, send.range, &l, sizeof l, e);
    return rc ? rc
              : bins_add(&m->letters, send.range, m->urls.p + k->at, k->n, e);
}

static int leave(struct dedup_mail *m, struct err *e)
{
    struct bins *sends = &m->search->pushers;
    int rc = bins_each(sends, m->next - 1, sizeof(struct dedup_send),
                       send_letter, m, e);

    bins_clear(sends, m->next - 1);
    return rc;
}

/* ---- visits ---- */

int dedup_mail_visit(struct dedup_mail *m, uint32_t id, struct str url,
                     uint64_t phash, struct dedup_verdict *v, struct err *e)
{
    uint32_t i;

    while (m->next == 0 || id - m->now.first >= m->now.n) {
        int rc = m->next ? leave(m, e) : 0;

        if (!rc)
            rc = enter(m, e);
        if (rc)
            return rc;
    }
    i = id - m->now.first;
    *v = m->now.verdicts[i];
    if (m->now.pusher[i / 8] >> i % 8 & 1) {
        add_known(m, id, phash, (uint32_t)url.n);
        buf_add(&m->urls, url);
    }
    return 0;
}

struct dedup_pusher dedup_mail_pusher(const struct dedup_mail *m, uint32_t by)
{
    const struct dedup_known *k;

    if (by < m->search->set)
        return (struct dedup_pusher){dedup_set_name(m->set, by),
                                     m->set->images[by].phash,
                                     m->set->images[by].has_phash};
    k = find(m, by);
    return (struct dedup_pusher){
        str_slice(buf_str(&m->urls), k->at, k->at + k->n), k->phash, true};
}
