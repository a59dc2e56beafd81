/*
 * bench_picture - squares a second, beside decoding alone.
 *
 *     bench_picture [-r ROUNDS] [-s SIZE] JPEG...
 *
 * Every row goes over all the files, one thread: libjpeg-turbo alone, bare (one
 * decompressor, rows into one buffer, nothing else), then train/picture.h's
 * rules, exact and fast, and the exact evaluation by one worker of base/jail.
 * All rows are run in turn, ROUNDS times, and the best processor time of each
 * counts, so that a busy machine is unfair to all alike.  Rows go to standard
 * output as "NAME PICTURES-A-SECOND SHARE-OF-BARE".
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <sys/resource.h>

#include <jpeglib.h>

#include "base/io.h"
#include "base/mem.h"
#include "train/picture.h"

#define JPEG_MAX ((size_t)16 << 20)

struct bench {
    struct buf *file;
    unsigned files;
    uint32_t size;
    struct picture_scratch scratch;
    struct image_room pixels; /* of the bare decoder */
    uint8_t *out;
};

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

/* Processor time of this process and of those that it has waited for. */
static double used(void)
{
    struct rusage self, children;

    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    return seconds_of(self.ru_utime) + seconds_of(self.ru_stime) +
           seconds_of(children.ru_utime) + seconds_of(children.ru_stime);
}

/* ---- what is measured ---- */

static void bare(struct bench *b, struct str in)
{
    struct jpeg_decompress_struct c;
    struct jpeg_error_mgr errors;
    size_t stride;

    c.err = jpeg_std_error(&errors); /* our own files: errors end us */
    jpeg_create_decompress(&c);
    jpeg_mem_src(&c, (const unsigned char *)in.p, in.n);
    jpeg_read_header(&c, TRUE);
    c.out_color_space = JCS_RGB;
    jpeg_start_decompress(&c);
    stride = (size_t)c.output_width * 3;
    if (stride * c.output_height > b->pixels.n) {
        image_room_release(&b->pixels);
        b->pixels.n = stride * c.output_height;
        b->pixels.p = xmalloc(b->pixels.n);
    }
    while (c.output_scanline < c.output_height) {
        JSAMPROW rows[16];
        uint32_t n = 0;

        for (; n < 16 && c.output_scanline + n < c.output_height; n++)
            rows[n] = b->pixels.p + (c.output_scanline + n) * stride;
        jpeg_read_scanlines(&c, rows, n);
    }
    jpeg_finish_decompress(&c);
    jpeg_destroy_decompress(&c);
}

static int ours(struct bench *b, struct str in, enum picture_rule rule,
                bool fast, uint64_t draw)
{
    struct picture_request q = {rule, fast, b->size, draw};

    return picture_make(&b->scratch, &q, in, b->out) ? -E_FORMAT : 0;
}

/* All files by one worker, as many at a time as it takes. */
static int jailed(struct bench *b)
{
    struct picture_request q = {PICTURE_EVAL, false, b->size, 0};
    struct picture_scratch empty = PICTURE_SCRATCH_INIT;
    struct jail_config c = picture_jail(&empty, b->size);
    struct buf in;
    struct jail *jail;
    unsigned sent = 0, got = 0;
    int rc;

    c.workers = 1;
    rc = jail_open(&jail, &c, NULL);
    if (rc)
        return rc;
    buf_init(&in, PICTURE_HEAD + JPEG_MAX);
    while (got < b->files) {
        struct jail_done done;
        enum image_reason reason;
        const uint8_t *rgb;

        while (!rc && sent < b->files && jail_free(jail)) {
            uint8_t head[PICTURE_HEAD];

            picture_head(&q, head);
            buf_clear(&in);
            buf_add_bytes(&in, head, sizeof head);
            buf_add(&in, buf_str(&b->file[sent++]));
            rc = jail_submit(jail, buf_str(&in), NULL, NULL);
        }
        if (rc || !jail_wait(jail, -1, &done))
            break;
        rc = picture_answer(&done, b->size, &reason, &rgb);
        if (rc || reason)
            break;
        memcpy(b->out, rgb, picture_bytes(b->size));
        got++;
    }
    jail_close(jail);
    buf_release(&in);
    return rc ? rc : got == b->files ? 0 : -E_FORMAT;
}

/* ---- rows ---- */

enum { BARE, JAILED, OURS };

static const struct row {
    const char *name;
    int what;
    enum picture_rule rule;
    bool fast;
} rows[] = {
    {"libjpeg-turbo", BARE, 0, false},
    {"eval", OURS, PICTURE_EVAL, false},
    {"eval-fast", OURS, PICTURE_EVAL, true},
    {"resized", OURS, PICTURE_RESIZED, false},
    {"resized-fast", OURS, PICTURE_RESIZED, true},
    {"eval-jailed", JAILED, PICTURE_EVAL, false},
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

static int run(struct bench *b, const struct row *row)
{
    int rc = 0;

    if (row->what == JAILED)
        return jailed(b);
    for (unsigned i = 0; i < b->files && !rc; i++) {
        if (row->what == BARE)
            bare(b, buf_str(&b->file[i]));
        else
            rc = ours(b, buf_str(&b->file[i]), row->rule, row->fast, i);
    }
    return rc;
}

static int measure(struct bench *b, unsigned rounds)
{
    double best[ROW_COUNT] = {0};

    for (unsigned round = 0; round < rounds; round++)
        for (unsigned i = 0; i < ROW_COUNT; i++) {
            double began = used(), took;

            if (run(b, &rows[i])) {
                fprintf(stderr, "bench_picture: %s failed\n", rows[i].name);
                return -E_FORMAT;
            }
            took = used() - began;
            if (round == 0 || took < best[i])
                best[i] = took;
        }
    for (unsigned i = 0; i < ROW_COUNT; i++)
        printf("%s %.1f %.3f\n", rows[i].name, b->files / best[i],
               best[0] / best[i]);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench b = {.size = 224, .scratch = PICTURE_SCRATCH_INIT};
    unsigned rounds = 5;
    struct err e = ERR_INIT;
    int rc = 0, option;

    while ((option = getopt(argc, argv, "r:s:")) != -1) {
        unsigned long v = optarg ? strtoul(optarg, NULL, 10) : 0;

        if ((option != 'r' && option != 's') || v < 1 || v > PICTURE_SIZE_MAX)
            return 2;
        if (option == 'r')
            rounds = (unsigned)v;
        else
            b.size = (uint32_t)v;
    }
    if (optind >= argc) {
        fprintf(stderr, "usage: bench_picture [-r ROUNDS] [-s SIZE] JPEG...\n");
        return 2;
    }
    b.file = xcalloc((size_t)(argc - optind), sizeof *b.file);
    b.out = xmalloc(picture_bytes(b.size));
    for (; optind < argc && !rc; optind++) {
        buf_init(&b.file[b.files], JPEG_MAX);
        rc = io_read_file(argv[optind], &b.file[b.files++], &e);
    }
    if (rc)
        fprintf(stderr, "bench_picture: %s\n", e.message);
    else
        rc = measure(&b, rounds);
    for (unsigned i = 0; i < b.files; i++)
        buf_release(&b.file[i]);
    image_room_release(&b.pixels);
    picture_scratch_release(&b.scratch);
    free(b.file);
    free(b.out);
    return rc ? 3 : 0;
}
