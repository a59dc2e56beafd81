/* What an epoch keeps of a balanced source. */
#include <endian.h>
#include <string.h>
#include <unistd.h>

#include "base/workq.h"
#include "train/balance.h"
#include "train/random.h"

#define THREADS_MAX 64
#define DRAWS_ITEM  ((uint64_t)1 << 18) /* worth a thread's while */
#define DRAWS_ALONE ((uint64_t)1 << 21) /* below it, no thread is started */

bool balance_keeps(const struct balance *b, size_t shard, uint64_t sample,
                   uint64_t epoch)
{
    const struct balance_sample *v = &b->shards[shard].v[sample];
    uint64_t stream = random_bits(b->stream, epoch);

    return balance_below(random_bits(stream, le64toh(v->uid)),
                         le64toh(v->threshold));
}

struct count {
    const struct balance *b;
    uint64_t stream[BALANCE_EPOCHS]; /* of each epoch */
    unsigned n;
    size_t next; /* shard */
    uint64_t *sums, *counts;
};

/* Some shards. */
struct item {
    size_t from, end;
    uint64_t sums[BALANCE_EPOCHS];
};

static int produce(void *ctx, void *item, bool *more, struct err *e)
{
    struct count *c = ctx;
    struct item *m = item;
    uint64_t draws = 0;

    (void)e;
    m->from = c->next;
    while (c->next < c->b->n_shards && draws < DRAWS_ITEM)
        draws += c->n * c->b->shards[c->next++].n;
    m->end = c->next;
    *more = m->from < m->end;
    return 0;
}

/* A sample's 16 bytes come from memory, or the disk, once for all epochs. */
static void count_shard(const struct count *c, size_t shard, uint64_t *sums)
{
    const struct balance_shard *t = &c->b->shards[shard];
    uint64_t last = sums[c->n - 1];

    for (uint64_t i = 0; i < t->n; i++) {
        uint64_t uid = le64toh(t->v[i].uid);
        uint64_t threshold = le64toh(t->v[i].threshold);

        for (unsigned k = 0; k < c->n; k++)
            sums[k] += balance_below(random_bits(c->stream[k], uid), threshold);
    }
    c->counts[shard] = sums[c->n - 1] - last;
}

static int work(void *ctx, void *item, struct err *e)
{
    const struct count *c = ctx;
    struct item *m = item;

    (void)e;
    memset(m->sums, 0, sizeof m->sums);
    for (size_t i = m->from; i < m->end; i++)
        count_shard(c, i, m->sums);
    return 0;
}

static int consume(void *ctx, void *item, struct err *e)
{
    struct count *c = ctx;
    const struct item *m = item;

    (void)e;
    for (unsigned k = 0; k < c->n; k++)
        c->sums[k] += m->sums[k];
    return 0;
}

int balance_count(const struct balance *b, uint64_t first, unsigned n,
                  unsigned threads, uint64_t *sums, uint64_t *counts,
                  struct err *e)
{
    static const struct workq_ops ops = {produce, work, consume};
    struct count c = {.b = b, .n = n, .sums = sums, .counts = counts};
    struct item items[2 * THREADS_MAX];
    long here = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t draws = 0;

    for (unsigned k = 0; k < n; k++) {
        c.stream[k] = random_bits(b->stream, first + k);
        sums[k] = 0;
    }
    for (size_t i = 0; i < b->n_shards; i++)
        draws += n * b->shards[i].n;
    if (!threads)
        threads = here > 0 ? (unsigned)here : 1;
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    if (draws < DRAWS_ALONE)
        threads = 1;
    return workq_run(&ops, &c, items, sizeof *items, 2 * threads, threads, e);
}
