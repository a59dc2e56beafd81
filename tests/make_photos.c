/*
 * make_photos - pictures of the size of the web's, for benches of what happens
 * to images:
 *
 *     make_photos DIR PICTURES [WIDTH HEIGHT]
 *
 * DIR/pNNNNNN.jpg are JPEGs of quality 90 (640 x 480 unless said otherwise),
 * noise of four scales over each other, so that they take about as many bytes
 * as photographs do, and no two are alike for the perceptual hash.  Picture N
 * is a function of N.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/image.h"
#include "base/io.h"

#define QUALITY  90
#define SIDE_MAX 4096
#define GRAIN    31 /* of a sensor, of 256; a power of two less one */

static void die(const char *what)
{
    fprintf(stderr, "make_photos: %s\n", what);
    exit(1);
}

/* 0..255 at a corner of a scale's lattice. */
static int corner(uint64_t n, uint32_t scale, uint32_t x, uint32_t y)
{
    uint64_t key[2] = {n * 8 + scale, (uint64_t)y << 32 | x};

    return (int)(hash_xxh3_seeded(str_make((const char *)key, sizeof key), 0) &
                 255);
}

/* Add a row of one scale: corners `step` apart, straight lines between. */
static void add_scale(int *row, uint32_t width, uint64_t n, uint32_t scale,
                      uint32_t step, uint32_t y, int weight)
{
    int part = (int)(y % step);
    int left = 0, right = 0;

    for (uint32_t x = 0; x < width; x++) {
        int over = (int)(x % step);

        if (over == 0) {
            uint32_t at = x / step, line = y / step;
            int s = (int)step;

            left = corner(n, scale, at, line) * (s - part) +
                   corner(n, scale, at, line + 1) * part;
            right = corner(n, scale, at + 1, line) * (s - part) +
                    corner(n, scale, at + 1, line + 1) * part;
        }
        row[x] += weight * (left * ((int)step - over) + right * over) /
                  ((int)step * (int)step);
    }
}

static void draw(struct image *m, uint64_t n, int *row)
{
    static const struct {
        uint32_t step;
        int weight; /* of 16 */
    } scales[] = {{160, 7}, {32, 4}, {8, 3}, {2, 2}};

    for (uint32_t y = 0; y < m->height; y++) {
        uint8_t *to = m->rgb + (size_t)y * m->stride;
        uint64_t grain = n << 32 | y;

        for (uint32_t x = 0; x < m->width; x++)
            row[x] = 0;
        for (uint32_t i = 0; i < sizeof scales / sizeof *scales; i++)
            add_scale(row, m->width, n, i, scales[i].step, y, scales[i].weight);
        for (uint32_t x = 0; x < m->width; x++) {
            int v;

            grain = grain * UINT64_C(6364136223846793005) + 1;
            v = row[x] * 7 / 128 + (int)(grain >> 33 & GRAIN);
            to[3 * x] = (uint8_t)v;
            to[3 * x + 1] = (uint8_t)(v - v / 8);
            to[3 * x + 2] = (uint8_t)(v / 2 + 64);
        }
    }
}

int main(int argc, char **argv)
{
    struct image m = IMAGE_INIT;
    struct err e = ERR_INIT;
    uint64_t pictures = 0, width = 640, height = 480;
    struct buf out;
    int *row;

    if ((argc != 3 && argc != 5) || str_u64(str_of(argv[2]), &pictures) ||
        (argc == 5 && (str_u64(str_of(argv[3]), &width) ||
                       str_u64(str_of(argv[4]), &height))) ||
        width == 0 || width > SIDE_MAX || height == 0 || height > SIDE_MAX)
        die("usage: make_photos DIR PICTURES [WIDTH HEIGHT]");
    row = calloc(width, sizeof *row);
    buf_init(&out, IMAGE_BYTES_MAX);
    if (!row || image_alloc(&m, (uint32_t)width, (uint32_t)height) != IMAGE_OK)
        die("no memory");
    if (io_mkdirs(argv[1], &e))
        die(e.message);
    for (uint64_t n = 0; n < pictures; n++) {
        char name[32], path[IO_PATH_MAX];

        draw(&m, n, row);
        buf_clear(&out);
        snprintf(name, sizeof name, "p%06llu.jpg", (unsigned long long)n);
        if (image_encode_jpeg(&m, QUALITY, &out) != IMAGE_OK)
            die("cannot encode");
        if (io_join(path, argv[1], name, &e) ||
            io_write_file(path, buf_str(&out), &e))
            die(e.message);
    }
    free(row);
    buf_release(&out);
    image_release(&m);
    return 0;
}
