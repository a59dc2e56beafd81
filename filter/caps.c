#include "filter/caps.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "filter/draw.h"

#define HEAD_SIZE 40

_Static_assert(sizeof(struct caps_rank) == 24, "ranks are mapped as they lie");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "files are mapped as they lie: little-endian machines only");

static const char magic[8] = {'W', 'I', 'T', 'M', 'I', 'L', 'L', 'T'};

struct head {
    char magic[8];
    uint32_t version, flags, n, zero;
    uint64_t n_ranks, xxh3;
};

_Static_assert(sizeof(struct head) == HEAD_SIZE, "no padding");

int caps_rank_cmp(const void *a, const void *b)
{
    const struct caps_rank *x = a, *y = b;

    if (x->h != y->h)
        return x->h < y->h ? -1 : 1;
    return memcmp(x->uid, y->uid, MD5_SIZE);
}

int caps_write(const struct caps *k, const char *path, char hex[SHA256_HEX],
               struct err *e)
{
    uint64_t n_ranks = k->exact ? k->first[k->n] : 0;
    struct str parts[4] = {
        {(const char *)k->t, k->n * sizeof *k->t},
        {(const char *)k->c, k->n * sizeof *k->c},
        {(const char *)k->first, k->exact ? (k->n + 1) * sizeof *k->first : 0},
        {(const char *)k->ranks, n_ranks * sizeof *k->ranks}};
    struct head h = {.version = CAPS_VERSION,
                     .flags = k->exact,
                     .n = k->n,
                     .n_ranks = n_ranks};
    struct io_file f;
    int rc = io_file_open(&f, path, e);

    if (rc)
        return rc;
    memcpy(h.magic, magic, sizeof magic);
    /* Chained rather than streamed: each part's hash seeds the next. */
    for (int i = 0; i < 4; i++)
        h.xxh3 = hash_xxh3_seeded(parts[i], h.xxh3);
    io_file_write(&f, str_make((const char *)&h, sizeof h), e);
    for (int i = 0; i < 4; i++)
        io_file_write(&f, parts[i], e);
    rc = io_file_publish(&f, e);
    if (!rc)
        memcpy(hex, f.sha256, SHA256_HEX);
    return rc;
}

static int map_file(struct caps *k, const char *path, struct err *e)
{
    uint64_t size;
    int fd, rc = io_size(path, &size, e);

    if (rc)
        return rc;
    if (size < HEAD_SIZE)
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

static int check(struct caps *k, const char *path, struct err *e)
{
    const struct head *h = k->map;
    const char *at = (const char *)k->map + HEAD_SIZE;
    uint64_t left = k->map_size - HEAD_SIZE, xxh3 = 0;
    size_t sizes[4];

    if (memcmp(h->magic, magic, sizeof magic))
        return err_set(e, E_DAMAGED, "%s holds no caps", path);
    if (h->version != CAPS_VERSION)
        return err_set(e, E_VERSION, "%s has version %u, expected %d", path,
                       h->version, CAPS_VERSION);
    if (h->flags > 1 || h->zero || (!h->flags && h->n_ranks))
        return err_set(e, E_DAMAGED, "%s is damaged in its head", path);
    k->n = h->n;
    k->exact = h->flags & 1;
    if (h->n_ranks > left / sizeof *k->ranks)
        return err_set(e, E_DAMAGED, "%s is cut short", path);
    sizes[0] = sizes[1] = (size_t)k->n * 8;
    sizes[2] = k->exact ? ((size_t)k->n + 1) * 8 : 0;
    sizes[3] = h->n_ranks * sizeof *k->ranks;
    if (left != sizes[0] + sizes[1] + sizes[2] + sizes[3])
        return err_set(e, E_DAMAGED, "%s is cut short", path);
    k->t = (const uint64_t *)at;
    k->c = k->t + k->n;
    k->first = k->exact ? k->c + k->n : NULL;
    k->ranks =
        k->exact ? (const struct caps_rank *)(k->first + k->n + 1) : NULL;
    for (int i = 0; i < 4; at += sizes[i++])
        xxh3 = hash_xxh3_seeded(str_make(at, sizes[i]), xxh3);
    if (xxh3 != h->xxh3 || (k->exact && k->first[k->n] != h->n_ranks))
        return err_set(e, E_DAMAGED,
                       "%s is damaged: remove it and its .meta.json and run "
                       "balance again",
                       path);
    return 0;
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

uint64_t caps_draw(const struct caps *k, uint32_t q, uint64_t h,
                   const uint8_t uid[MD5_SIZE])
{
    struct caps_rank key = {.h = h};
    uint64_t lo, hi;

    if (!k->exact)
        return draw_below(h, k->c[q]);
    memcpy(key.uid, uid, MD5_SIZE);
    lo = k->first[q];
    hi = k->first[q + 1];
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        int c = caps_rank_cmp(&k->ranks[mid], &key);

        if (c == 0)
            return mid - k->first[q];
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return UINT64_MAX;
}
