/*
 * make_site - writes a small web site for tests of the whole chain:
 *
 *     make_site DIR PICTURES
 *
 * DIR/a.test and DIR/b.test are two hosts' document roots.  Pictures are drawn
 * from a hash of their number, so that all differ; every eleventh repeats
 * another one's bytes and every thirteenth is a slightly other encoding of it,
 * for dedup.  Captions are put together of few words, so that some queries
 * match many pairs and balancing has work.  Every page links to the next; some
 * pictures are too small, truncated, or no pictures at all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/image.h"
#include "base/io.h"

#define PER_PAGE 8

static const char *const things[] = {"dog", "cat", "house", "red car",
                                     "tree", "olive oil", "boat", "bird",
                                     "street", "mountain", "cup of tea"};
static const char *const ways[] = {"a photo of", "the old", "one big",
                                   "a painting of", "two small", "my"};
static const char *const places[] = {"in the garden", "at night", "by the sea",
                                     "on a table", "in Tokyo", "at home",
                                     "in winter", "near the bridge"};

static void die(const char *what)
{
    fprintf(stderr, "make_site: %s\n", what);
    exit(1);
}

static uint64_t mix(uint64_t n, uint64_t salt)
{
    return hash_xxh3_seeded(str_make((const char *)&n, sizeof n), salt);
}

/* Soft blobs: no two pictures are near each other for the perceptual hash. */
static void draw(struct image *m, uint64_t n)
{
    for (uint32_t y = 0; y < m->height; y++)
        for (uint32_t x = 0; x < m->width; x++) {
            uint8_t *p = m->rgb + y * m->stride + x * 3;
            uint64_t h = mix(n * 4096 + (uint64_t)(y / 13) * 64 + x / 17, 5);

            p[0] = (uint8_t)h;
            p[1] = (uint8_t)(h >> 8);
            p[2] = (uint8_t)(h >> 16);
        }
}

static void save(const char *folder, const char *name, struct str bytes)
{
    char path[IO_PATH_MAX];
    struct err e = ERR_INIT;

    if (io_join(path, folder, name, &e) || io_write_file(path, bytes, &e))
        die(e.message);
}

/* Picture `index` of a host; n tells it from all others. */
static void picture(const char *folder, uint64_t index, uint64_t n)
{
    uint64_t of = n % 11 == 10 || n % 13 == 12 ? n - 1 : n;
    uint32_t side = n % 17 == 16 ? 40 : 120;
    struct image m = IMAGE_INIT;
    struct buf out;
    char name[64];

    buf_init(&out, 1 << 24);
    if (image_alloc(&m, side + (uint32_t)(of % 3) * 16, side) != IMAGE_OK)
        die("no memory");
    draw(&m, of);
    if (image_encode_jpeg(&m, n % 13 == 12 ? 88 : 92, &out) != IMAGE_OK)
        die("cannot encode");
    if (n % 19 == 18)
        out.n /= 2; /* cut off */
    if (n % 23 == 22) {
        buf_clear(&out);
        buf_add(&out, STR("<html>not here any more</html>"));
    }
    snprintf(name, sizeof name, "p%03llu.jpg", (unsigned long long)index);
    save(folder, name, buf_str(&out));
    buf_release(&out);
    image_release(&m);
}

static void caption(struct buf *b, uint64_t n, uint64_t salt)
{
    uint64_t h = mix(n, salt);

    /* The first things are by far the commonest. */
    buf_addf(b, "%s %s %s", ways[h % 6],
             things[(h >> 8) % ((h >> 20) % 11 + 1)], places[(h >> 32) % 8]);
}

static void page(const char *folder, const char *other, uint64_t first,
                 uint64_t k, uint64_t pages, uint64_t pictures)
{
    struct buf b;
    char name[64];

    buf_init(&b, 1 << 20);
    buf_addf(&b, "<!doctype html><meta charset=utf-8><title>Page %llu</title>"
                 "<p><a href=page%03llu.html>next</a> <a href=\"http://%s/"
                 "page%03llu.html\">other</a>\n",
             (unsigned long long)k, (unsigned long long)((k + 1) % pages),
             other, (unsigned long long)(k * 7 % pages));
    for (uint64_t i = k * PER_PAGE; i < (k + 1) * PER_PAGE && i < pictures;
         i++) {
        buf_addf(&b, "<figure><img src=\"p%03llu.jpg\" alt=\"",
                 (unsigned long long)i);
        caption(&b, first + i, 1);
        buf_addf(&b, "\"><figcaption>");
        caption(&b, first + i, 2);
        buf_addf(&b, "</figcaption></figure>\n");
        if (i % 5 == 0) /* another text for an old picture */
            buf_addf(&b, "<img src=\"p%03llu.jpg\" title=\"%s seen again\">\n",
                     (unsigned long long)(i / 2), things[i % 11]);
    }
    snprintf(name, sizeof name, k ? "page%03llu.html" : "index.html",
             (unsigned long long)k);
    save(folder, name, buf_str(&b));
    if (k == 0)
        save(folder, "page000.html", buf_str(&b));
    buf_release(&b);
}

int main(int argc, char **argv)
{
    static const char *const hosts[] = {"a.test", "b.test"};
    uint64_t pictures = 0, pages;

    if (argc != 3 || str_u64(str_of(argv[2]), &pictures) || pictures == 0 ||
        pictures > 900)
        die("usage: make_site DIR PICTURES (up to 900)");
    pages = (pictures + PER_PAGE - 1) / PER_PAGE;
    for (int h = 0; h < 2; h++) {
        char folder[IO_PATH_MAX];
        struct err e = ERR_INIT;

        if (io_join(folder, argv[1], hosts[h], &e) || io_mkdirs(folder, &e))
            die(e.message);
        for (uint64_t i = 0; i < pictures; i++)
            picture(folder, i, i + (uint64_t)h * 1000);
        for (uint64_t k = 0; k < pages; k++)
            page(folder, hosts[1 - h], (uint64_t)h * 1000, k, pages, pictures);
    }
    return 0;
}
