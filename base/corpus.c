#include "base/corpus.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const char magic[8] = {'W', 'I', 'T', 'M', 'I', 'L', 'L', 'Q'};

static void put(char *to, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to[i] = (char)(v >> (8 * i));
}

static uint64_t get(const char *from, int bytes)
{
    uint64_t v = 0;

    for (int i = 0; i < bytes; i++)
        v |= (uint64_t)(unsigned char)from[i] << (8 * i);
    return v;
}

void corpus_header_write(const struct corpus_header *h,
                         char out[CORPUS_HEADER_SIZE])
{
    memset(out, 0, CORPUS_HEADER_SIZE);
    memcpy(out, magic, sizeof magic);
    put(out + 8, h->version, 4);
    put(out + 12, h->policy, 4);
    put(out + 16, h->seed, 8);
    put(out + 24, h->bucket_bits, 4);
    put(out + 28, h->n_queries, 4);
    put(out + 32, h->n_groups, 4);
    put(out + 40, h->file_size, 8);
    put(out + 48, h->body_xxh3, 8);
}

int corpus_header_read(const char in[CORPUS_HEADER_SIZE], const char *path,
                       struct corpus_header *h, struct err *e)
{
    if (memcmp(in, magic, sizeof magic))
        return err_set(e, E_FORMAT, "%s is no compiled query list", path);
    *h = (struct corpus_header){
        .version = (uint32_t)get(in + 8, 4),
        .policy = (uint32_t)get(in + 12, 4),
        .seed = get(in + 16, 8),
        .bucket_bits = (uint32_t)get(in + 24, 4),
        .n_queries = (uint32_t)get(in + 28, 4),
        .n_groups = (uint32_t)get(in + 32, 4),
        .file_size = get(in + 40, 8),
        .body_xxh3 = get(in + 48, 8),
    };
    if (h->version != CORPUS_VERSION)
        return err_set(e, E_VERSION,
                       "%s has format version %u, this witmill reads %u; run "
                       "`witmill queries` again, or the witmill that wrote it",
                       path, h->version, CORPUS_VERSION);
    if (h->bucket_bits < CORPUS_BUCKET_BITS_MIN ||
        h->bucket_bits > CORPUS_BUCKET_BITS_MAX)
        return err_set(e, E_DAMAGED, "%s: %u bucket bits, expected %d to %d",
                       path, h->bucket_bits, CORPUS_BUCKET_BITS_MIN,
                       CORPUS_BUCKET_BITS_MAX);
    return 0;
}

int corpus_open(struct corpus *c, const char *dir, struct err *e)
{
    char path[IO_PATH_MAX], head[CORPUS_HEADER_SIZE];
    struct err inner = ERR_INIT;
    uint64_t size;
    int fd, rc;

    *c = (struct corpus){.dir = ""};
    if (strlen(dir) >= sizeof c->dir)
        return err_set(e, E_TOOBIG, "path too long: %.400s", dir);
    memcpy(c->dir, dir, strlen(dir) + 1);
    rc = corpus_path(c, "queries.bin", path, e);
    if (rc)
        return rc;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, E_NOTFOUND,
                       "%s is no corpus: it has no queries.bin. Make one with "
                       "`witmill queries %s ...`",
                       dir, dir);
    rc = io_pread_full(fd, head, sizeof head, 0, path, &inner);
    close(fd);
    if (rc)
        return err_set(e, E_DAMAGED,
                       "%s is cut short: remove it and run `witmill queries` "
                       "again",
                       path);
    rc = corpus_header_read(head, path, &c->head, e);
    if (!rc)
        rc = io_size(path, &size, e);
    if (!rc && size != c->head.file_size)
        rc = err_set(e, E_DAMAGED,
                     "%s has %llu bytes, its header says %llu: remove it and "
                     "run `witmill queries` again",
                     path, (unsigned long long)size,
                     (unsigned long long)c->head.file_size);
    return rc;
}

int corpus_path(const struct corpus *c, const char *name, char *out,
                struct err *e)
{
    return io_join(out, c->dir, name, e);
}
