#include "filter/caps.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "filter/draw.h"

#define HEAD_SIZE 48

_Static_assert(sizeof(struct caps_tie) == 32, "ties are mapped as they lie");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "files are mapped as they lie: little-endian machines only");

static const char magic[8] = {'W', 'I', 'T', 'M', 'I', 'L', 'L', 'T'};

struct head {
    char magic[8];
    uint32_t version, flags, n, zero;
    uint64_t n_ranks, n_ties, xxh3;
};

_Static_assert(sizeof(struct head) == HEAD_SIZE, "no padding");

static struct str bytes_of(const void *p, size_t n)
{
    return str_make(n ? p : "", n);
}

/* Each part's hash seeds the next: t, c, first, the ranks of each query in
 * turn (as many as first says), ties. */
static uint64_t checksum(const struct caps *k, const uint64_t *first,
                         const struct caps_tie *ties, uint64_t n_ties)
{
    size_t n = k->n;
    uint64_t h = hash_xxh3_seeded(bytes_of(k->t, n * 8), 0);

    h = hash_xxh3_seeded(bytes_of(k->c, n * 8), h);
    if (!k->exact)
        return h;
    h = hash_xxh3_seeded(bytes_of(first, (n + 1) * 8), h);
    for (size_t q = 0; q < n; q++)
        h = hash_xxh3_seeded(
            bytes_of(k->ranks + k->first[q], (first[q + 1] - first[q]) * 8), h);
    return hash_xxh3_seeded(bytes_of(ties, n_ties * sizeof *ties), h);
}

/* ---- writing ---- */

/* What caps_write() makes of its k: offsets and ties up to the depth. */
struct cut {
    uint64_t *first;
    struct caps_tie *ties;
    uint64_t n_ties;
};

static void cut_make(struct cut *to, const struct caps *k, uint64_t depth)
{
    *to = (struct cut){.n_ties = 0};
    if (!k->exact)
        return;
    to->first = xcalloc((size_t)k->n + 1, sizeof *to->first);
    for (uint32_t q = 0; q < k->n; q++) {
        uint64_t n = k->first[q + 1] - k->first[q];

        to->first[q + 1] = to->first[q] + (n < depth ? n : depth);
    }
    to->ties = xcalloc(k->n_ties + 1, sizeof *to->ties);
    for (uint64_t i = 0; i < k->n_ties; i++)
        if (k->ties[i].rank < depth)
            to->ties[to->n_ties++] = k->ties[i];
}

int caps_write(const struct caps *k, uint64_t depth, const char *path,
               char hex[SHA256_HEX], struct err *e)
{
    size_t n = k->n;
    struct head h = {.version = CAPS_VERSION, .flags = k->exact, .n = k->n};
    struct io_file f;
    struct cut cut;
    int rc = io_file_open(&f, path, e);

    if (rc)
        return rc;
    cut_make(&cut, k, depth);
    memcpy(h.magic, magic, sizeof magic);
    h.n_ranks = k->exact ? cut.first[n] : 0;
    h.n_ties = cut.n_ties;
    h.xxh3 = checksum(k, cut.first, cut.ties, cut.n_ties);
    io_file_write(&f, bytes_of(&h, sizeof h), e);
    io_file_write(&f, bytes_of(k->t, n * 8), e);
    io_file_write(&f, bytes_of(k->c, n * 8), e);
    if (k->exact) {
        io_file_write(&f, bytes_of(cut.first, (n + 1) * 8), e);
        for (uint32_t q = 0; q < k->n; q++)
            io_file_write(&f,
                          bytes_of(k->ranks + k->first[q],
                                   (cut.first[q + 1] - cut.first[q]) * 8),
                          e);
        io_file_write(&f, bytes_of(cut.ties, cut.n_ties * sizeof *cut.ties), e);
    }
    rc = io_file_publish(&f, e);
    if (!rc)
        memcpy(hex, f.sha256, SHA256_HEX);
    free(cut.first);
    free(cut.ties);
    return rc;
}

/* ---- opening ---- */

static int map_file(struct caps *k, const char *path, struct err *e)
{
    uint64_t size;
    int fd, rc = io_size(path, &size, e);

    if (rc)
        return rc;
    if (size == 0) /* cannot be mapped */
        return err_set(e, E_DAMAGED, "%s is cut short", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(e, E_IO, "open", path);
    k->map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (k->map == MAP_FAILED) {
        k->map = NULL;
        return err_errno(e, E_IO, "map", path);
    }
    k->map_size = size;
    return 0;
}

/* The arrays where the head says they are; false when the file has another
 * length. */
static bool lay_out(struct caps *k, const struct head *h)
{
    const char *at = (const char *)k->map + HEAD_SIZE;
    uint64_t left = k->map_size - HEAD_SIZE;
    uint64_t fixed = (uint64_t)k->n * 16 + (k->exact ? k->n * 8 + 8 : 0);

    if (left < fixed || h->n_ranks > left / 8 ||
        h->n_ties > left / sizeof *k->ties ||
        left != fixed + h->n_ranks * 8 + h->n_ties * sizeof *k->ties)
        return false;
    k->t = (const uint64_t *)(const void *)at;
    k->c = k->t + k->n;
    if (!k->exact)
        return true;
    k->first = k->c + k->n;
    k->ranks = k->first + k->n + 1;
    k->ties = (const void *)(k->ranks + h->n_ranks);
    k->n_ties = h->n_ties;
    return true;
}

/* Offsets must ascend, and ties have a rank, before anything is found by
 * them. */
static bool offsets_hold(const struct caps *k, uint64_t n_ranks)
{
    if (!k->exact)
        return true;
    if (k->first[0] != 0 || k->first[k->n] != n_ranks)
        return false;
    for (uint32_t q = 0; q < k->n; q++)
        if (k->first[q] > k->first[q + 1])
            return false;
    for (uint64_t i = 0; i < k->n_ties; i++) {
        uint32_t q = k->ties[i].q;

        if (q >= k->n || k->ties[i].rank >= k->first[q + 1] - k->first[q])
            return false;
    }
    return true;
}

static int check(struct caps *k, const char *path, struct err *e)
{
    const struct head *h = k->map;

    if (k->map_size < HEAD_SIZE)
        return err_set(e, E_DAMAGED, "%s is cut short", path);
    if (memcmp(h->magic, magic, sizeof magic))
        return err_set(e, E_DAMAGED, "%s holds no caps", path);
    if (h->version != CAPS_VERSION)
        return err_set(e, E_VERSION, "%s has version %u, expected %d", path,
                       h->version, CAPS_VERSION);
    if (h->flags > 1 || h->zero || (!h->flags && (h->n_ranks || h->n_ties)))
        return err_set(e, E_DAMAGED, "%s is damaged in its head", path);
    k->n = h->n;
    k->exact = h->flags & 1;
    if (!lay_out(k, h))
        return err_set(e, E_DAMAGED, "%s is cut short", path);
    if (!offsets_hold(k, h->n_ranks) ||
        checksum(k, k->first, k->ties, k->n_ties) != h->xxh3)
        return err_set(e, E_DAMAGED,
                       "%s is damaged: remove it and its .meta.json and run "
                       "balance again",
                       path);
    return 0;
}

int caps_open_memory(struct caps *k, struct str bytes, const char *name,
                     struct err *e)
{
    int rc;

    *k = (struct caps){.map = (void *)(uintptr_t)bytes.p, .map_size = bytes.n};
    rc = check(k, name, e);
    k->map = NULL; /* nothing to unmap */
    return rc;
}

int caps_open(struct caps *k, const struct corpus *c, unsigned round,
              struct err *e)
{
    struct err inner = ERR_INIT;
    char name[64], path[IO_PATH_MAX];
    int rc;

    *k = (struct caps){0};
    snprintf(name, sizeof name, "selected/round-%u/caps.bin", round);
    rc = corpus_path(c, name, path, e);
    if (rc)
        return rc;
    rc = map_file(k, path, &inner);
    if (rc == -E_NOTFOUND)
        return err_set(e, E_NOTFOUND,
                       "%s is not there yet: run `witmill balance %s --plan` "
                       "first",
                       path, c->dir);
    if (!rc)
        rc = check(k, path, &inner);
    if (!rc && k->n != c->head.n_queries)
        rc = err_set(&inner, E_STALE, "%s is of another query list", path);
    if (rc) {
        caps_close(k);
        return err_set(e, -rc, "%s", inner.message);
    }
    return 0;
}

void caps_close(struct caps *k)
{
    if (k->map)
        munmap(k->map, k->map_size);
    *k = (struct caps){0};
}

/* ---- draws ---- */

/* The first i with v[i] >= h; v[n - 1] >= h.  h is uniform, so its share of
 * the last one tells nearly where it stands; from there in doubling steps. */
static uint64_t place(const uint64_t *v, uint64_t n, uint64_t h)
{
    uint64_t last = v[n - 1], lo, hi, step = 8;
    uint64_t at = last ? (uint64_t)((unsigned __int128)h * (n - 1) / last) : 0;

    if (v[at] < h) {
        for (lo = at + 1; lo + step < n && v[lo + step] < h; step *= 2)
            lo += step + 1;
        hi = lo + step < n ? lo + step : n - 1;
    } else {
        for (hi = at; hi > step && v[hi - step] >= h; step *= 2)
            hi -= step;
        lo = hi > step ? hi - step : 0;
    }
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;

        if (v[mid] < h)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Among the pairs of q whose h is that of rank: the one with this uid. */
static uint64_t tie_rank(const struct caps *k, uint32_t q, uint64_t rank,
                         const uint8_t uid[MD5_SIZE])
{
    const uint64_t *v = k->ranks + k->first[q];
    uint64_t lo = 0, hi = k->n_ties;

    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        const struct caps_tie *at = &k->ties[mid];

        if (at->q < q || (at->q == q && at->rank < rank))
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == k->n_ties || k->ties[lo].q != q || k->ties[lo].rank != rank)
        return rank; /* alone with its h */
    for (; lo < k->n_ties && k->ties[lo].q == q; lo++) {
        if (v[k->ties[lo].rank] != v[rank])
            break;
        if (!memcmp(k->ties[lo].uid, uid, MD5_SIZE))
            return k->ties[lo].rank;
    }
    return UINT64_MAX;
}

uint64_t caps_draw(const struct caps *k, uint32_t q, uint64_t h,
                   const uint8_t uid[MD5_SIZE])
{
    const uint64_t *v;
    uint64_t n, rank;

    if (!k->exact)
        return draw_below(h, k->c[q]);
    v = k->ranks + k->first[q];
    n = k->first[q + 1] - k->first[q];
    if (n == 0 || h > v[n - 1])
        return UINT64_MAX;
    rank = place(v, n, h);
    if (v[rank] != h)
        return UINT64_MAX;
    return k->n_ties ? tie_rank(k, q, rank, uid) : rank;
}
