/*
 * loader_bench - how many pictures a second the loader makes, and libjpeg-turbo
 * alone decodes, from the same shards with as many processes.
 *
 * usage: loader_bench exact|fast|bare DATA VOCABULARY WORKERS BATCHES
 *
 * Batches of 64 squares of 224 pixels.  Prints one JSON line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "train/loader.h"
#include "train/source.h"

#define BATCH   64
#define SIZE    224
#define CONTEXT 77
#define WARM    2 /* batches before the clock starts */

static int fail(const struct err *e)
{
    fprintf(stderr, "loader_bench: %s\n", e->message);
    return 1;
}

/* ---- the loader ---- */

static int play(struct batch_maker *m, uint64_t batches, double *seconds,
                struct err *e)
{
    size_t pixels = (size_t)BATCH * SIZE * SIZE * 3;
    uint8_t *to[BATCHES_MAX];
    int32_t *ids[BATCHES_MAX];
    uint64_t began = 0;
    int rc = 0;

    for (int i = 0; i < BATCHES_MAX; i++) {
        to[i] = xmalloc(pixels);
        ids[i] = xcalloc((size_t)BATCH * CONTEXT, sizeof **ids);
        if ((uint64_t)i < WARM + batches)
            m->start(m->ctx, (uint64_t)i, to[i], ids[i]);
    }
    for (uint64_t s = 0; !rc && s < WARM + batches; s++) {
        uint64_t next = s + BATCHES_MAX;

        if (s == WARM)
            began = clock_mono_ns();
        rc = m->finish(m->ctx, s, e);
        if (!rc && next < WARM + batches)
            m->start(m->ctx, next, to[s % BATCHES_MAX], ids[s % BATCHES_MAX]);
    }
    *seconds = (double)(clock_mono_ns() - began) * 1e-9;
    m->close(m->ctx);
    for (int i = 0; i < BATCHES_MAX; i++) {
        free(to[i]);
        free(ids[i]);
    }
    return rc;
}

static int bench_loader(char **argv, unsigned workers, uint64_t batches,
                        bool fast, double *seconds, struct err *e)
{
    const char *data[] = {argv[2]};
    const struct dataset_config c = {.data = data,
                                     .n = 1,
                                     .vocabulary = argv[3],
                                     .crop = PICTURE_SQUARE,
                                     .fast_decode = fast,
                                     .window = DATASET_WINDOW};
    struct dataset d;
    struct batch_maker m;
    struct loader *l;
    int rc = dataset_open(&d, &c, e);
    struct loader_config lc = {.data = &d,
                               .n = BATCH,
                               .size = SIZE,
                               .context = CONTEXT,
                               .stride = BATCH,
                               .workers = workers};

    if (rc)
        return rc;
    rc = loader_open(&l, &lc, &m, e);
    if (!rc)
        rc = play(&m, batches, seconds, e);
    dataset_close(&d);
    return rc;
}

/* ---- decoding alone ---- */

/* Every picture of the source whose number leaves `self`, `pictures` in all. */
static int decode(const struct source *s, unsigned self, unsigned workers,
                  uint64_t pictures, struct err *e)
{
    const struct image_decode_options o = {.limits = image_limits_decodable()};
    struct image_room room = {NULL, 0};
    struct index x;
    uint64_t i = self;
    struct buf b;
    int fd, rc = 0;

    buf_init(&b, IMAGE_BYTES_MAX);
    for (size_t k = 0; !rc && i < pictures; k = (k + 1) % s->n_shards) {
        rc = source_shard_open(s, k, &fd, &x, e);
        if (rc)
            break;
        for (uint64_t n = self; !rc && n < x.n && i < pictures;
             n += workers, i += workers) {
            struct index_entry entry;
            struct image_header h;
            enum image_kind kind;
            struct image m;

            index_get(&x, n, &entry);
            buf_clear(&b);
            if (!buf_reserve(&b, entry.image_size))
                return err_set(e, E_NOMEM, "no room");
            b.n = entry.image_size;
            rc = io_pread_full(fd, b.p, b.n, entry.image_offset, "tar", e);
            if (!rc && image_decode_raw(buf_str(&b), &o, &room, &m, &kind, &h))
                rc = err_set(e, E_FORMAT, "a picture");
        }
        index_release(&x);
        close(fd);
    }
    image_room_release(&room);
    buf_release(&b);
    return rc;
}

static int bench_bare(char **argv, unsigned workers, uint64_t batches,
                      double *seconds, struct err *e)
{
    const struct source_options o = {.threads = 0};
    struct source s;
    uint64_t began;
    int status, rc = source_open(&s, str_of(argv[2]), &o, e);

    if (rc)
        return rc;
    began = clock_mono_ns();
    for (unsigned i = 0; i < workers; i++)
        if (!fork())
            _exit(decode(&s, i, workers, batches * BATCH, e) ? fail(e) : 0);
    for (unsigned i = 0; i < workers; i++)
        if (wait(&status) < 0 || status)
            rc = err_set(e, E_IO, "a process failed");
    *seconds = (double)(clock_mono_ns() - began) * 1e-9;
    source_close(&s);
    return rc;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    uint64_t workers, batches;
    double seconds = 0;
    int rc;

    if (argc != 6 || str_u64(str_of(argv[4]), &workers) || !workers ||
        workers > JAIL_WORKERS_MAX || str_u64(str_of(argv[5]), &batches) ||
        !batches) {
        fprintf(stderr, "usage: loader_bench exact|fast|bare DATA VOCABULARY "
                        "WORKERS BATCHES\n");
        return 2;
    }
    if (!strcmp(argv[1], "bare"))
        rc = bench_bare(argv, (unsigned)workers, batches, &seconds, &e);
    else
        rc = bench_loader(argv, (unsigned)workers, batches,
                          !strcmp(argv[1], "fast"), &seconds, &e);
    if (rc)
        return fail(&e);
    printf("{\"images_per_s\":%.1f}\n", (double)(batches * BATCH) / seconds);
    return 0;
}
