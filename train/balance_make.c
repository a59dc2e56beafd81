/* The thresholds of a shard, from the query ids in its .json. */
#include <endian.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/json.h"
#include "base/pair.h"
#include "train/balance_private.h"

#define META_MAX ((size_t)1 << 20) /* bytes of a sample's json */

int balance_ids(struct str json, uint32_t *q, size_t max, size_t *n, bool *has,
                struct err *e)
{
    struct json j;
    struct str name;

    *n = 0;
    *has = false;
    json_open(&j, json, NULL);
    json_object(&j);
    while (!*has && json_member(&j, &name)) {
        if (!str_eq(name, STR("q"))) {
            json_skip(&j);
            continue;
        }
        *has = true;
        json_array(&j);
        while (json_element(&j)) {
            uint64_t id = json_u64(&j);

            if (j.rc)
                break;
            if (id > UINT32_MAX || *n == max)
                return err_set(e, E_FORMAT, "more than %zu query ids", max);
            q[(*n)++] = (uint32_t)id;
        }
    }
    if (j.rc)
        return err_set(e, E_FORMAT, "its .json is malformed at byte %zu", j.at);
    return 0;
}

/* One sample: its uid, its threshold. */
struct reader {
    const struct balance_counts *counts;
    const struct index *x;
    const char *tar;
    int fd;
    uint64_t cap, without; /* samples without q */
    uint32_t *q;           /* [PAIR_MATCHES_MAX] */
    struct buf json;
};

static int read_json(struct reader *r, const struct index_entry *entry,
                     struct err *e)
{
    char *to;
    int rc;

    buf_clear(&r->json);
    if (entry->json_size == INDEX_ABSENT)
        return 0;
    to = buf_reserve(&r->json, entry->json_size);
    if (!to)
        return err_set(e, -r->json.rc, "a .json of %u bytes", entry->json_size);
    rc = io_pread_full(r->fd, to, entry->json_size, entry->json_offset, r->tar,
                       e);
    r->json.n = entry->json_size;
    return rc;
}

static int one_sample(struct reader *r, uint64_t i, struct balance_sample *v,
                      struct err *e)
{
    struct index_entry entry;
    uint64_t threshold = 0;
    size_t n = 0;
    bool has = false;
    int rc;

    index_get(r->x, i, &entry);
    rc = read_json(r, &entry, e);
    if (!rc && r->json.n)
        rc =
            balance_ids(buf_str(&r->json), r->q, PAIR_MATCHES_MAX, &n, &has, e);
    if (!rc && n)
        rc = balance_threshold(r->counts, r->cap, r->q, n, &threshold, e);
    if (rc)
        return err_wrap(e, rc, "%s, sample %.*s", r->tar, STR_ARG(entry.key));
    r->without += !has;
    *v = (struct balance_sample){htole64(index_identity(&entry)),
                                 htole64(threshold)};
    return 0;
}

static int all_samples(const struct source *s, size_t shard,
                       const struct balance_counts *counts,
                       const struct balance_head *h, struct balance_sample *v,
                       struct err *e)
{
    struct reader r = {
        .counts = counts, .tar = s->shards[shard].path, .cap = h->cap};
    struct index x;
    int rc = source_shard_open(s, shard, &r.fd, &x, e);

    if (rc)
        return rc;
    r.x = &x;
    buf_init(&r.json, META_MAX);
    r.q = malloc(PAIR_MATCHES_MAX * sizeof *r.q);
    if (!r.q)
        rc = err_set(e, E_NOMEM, "%s: no room for query ids", r.tar);
    for (uint64_t i = 0; !rc && i < h->n; i++)
        rc = one_sample(&r, i, &v[i], e);
    if (!rc && r.without == h->n && h->n)
        rc = err_set(e, E_FORMAT,
                     "%s: its .json name no queries (`q`), so it cannot be "
                     "balanced",
                     r.tar);
    free(r.q);
    buf_release(&r.json);
    index_release(&x);
    close(r.fd);
    return rc;
}

int balance_keep_make(const struct source *s, size_t shard,
                      const struct balance_counts *counts,
                      const struct balance_head *h, struct io_file *f,
                      struct err *e)
{
    struct balance_sample *v = malloc((size_t)(h->n + 1) * sizeof *v);
    struct buf b;
    int rc = v ? 0 : err_set(e, E_NOMEM, "%s: no room for thresholds", f->path);

    buf_init(&b, BUF_NO_LIMIT);
    if (!rc)
        rc = all_samples(s, shard, counts, h, v, e);
    if (!rc) {
        balance_keep_write(&b, h, v);
        rc = b.rc ? err_set(e, -b.rc, "%s: no room", f->path)
                  : io_file_write(f, buf_str(&b), e);
    }
    if (rc)
        io_file_abandon(f);
    else
        rc = io_file_publish(f, e);
    buf_release(&b);
    free(v);
    return rc;
}
