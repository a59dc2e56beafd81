/* The numbers by which a pool is described. */
#include "filter/balance_private.h"

#include <math.h>
#include <stdio.h>

uint64_t balance_independent(uint64_t pairs, uint64_t picks)
{
    if (!pairs)
        return 0;
    return (uint64_t)(-(double)pairs * expm1(-(double)picks / (double)pairs) +
                      0.5);
}

int balance_unique(const struct corpus *c, uint64_t *pairs, struct err *e)
{
    int rc = 0;

    *pairs = 0;
    for (uint32_t k = 0; !rc && k < corpus_buckets(c); k++) {
        char name[STAGE_NAME_MAX];
        struct sidecar s;

        snprintf(name, sizeof name, "unique/bucket-%04u", k);
        rc = sidecar_read(&s, c, name, e);
        if (rc)
            break;
        *pairs += tally_get(&s.counts, "records");
        sidecar_release(&s);
    }
    return rc;
}

/* Text that fits, without half a character at its end. */
static void copy_norm(struct str norm, char *to, size_t size)
{
    size_t n = norm.n < size ? norm.n : size - 1;

    while (n < norm.n && n && ((unsigned char)norm.p[n] & 0xc0) == 0x80)
        n--;
    if (n)
        memcpy(to, norm.p, n);
    to[n] = 0;
}

/* Keeps the most matched, of equals the smaller id: ids come in order. */
static void note_top(const struct balance *b, struct balance_summary *sum,
                     uint32_t q, uint64_t c, uint64_t t)
{
    unsigned at = sum->n_top;

    if (!c || (at == BALANCE_TOP && c <= sum->top[at - 1].c))
        return;
    at -= at == BALANCE_TOP;
    for (; at && sum->top[at - 1].c < c; at--)
        sum->top[at] = sum->top[at - 1];
    sum->top[at] = (struct balance_top){.c = c, .t = t, .id = q};
    copy_norm(qlist_norm(&b->list, q), sum->top[at].norm,
              sizeof sum->top[at].norm);
    sum->n_top += sum->n_top < BALANCE_TOP;
}

void balance_numbers(const struct balance *b, const struct caps *caps,
                   struct balance_summary *sum)
{
    for (uint32_t q = 0; q < b->counts.n; q++) {
        uint64_t c = b->counts.c[q], t = caps->t[q];

        if (qlist_group(&b->list, q) != q)
            continue;
        sum->groups++;
        sum->matches += c;
        sum->expected_picks += c < t ? c : t;
        sum->zero += c == 0;
        sum->tail += c > 0 && c <= t;
        sum->head += c > t;
        sum->head_matches += c > t ? c : 0;
        sum->head_picks += c > t ? t : 0;
        if (t > sum->t)
            sum->t = t;
        if (b->round)
            sum->raised += t != b->previous.t[q];
        note_top(b, sum, q, c, t);
    }
    sum->independent = balance_independent(sum->unique, sum->expected_picks);
}
