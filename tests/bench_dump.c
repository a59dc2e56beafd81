/* How fast dumps are cut and parsed, beside the least that can be done: to find
 * the `<` of the same bytes by memchr, and to copy them.
 *
 * usage: bench_dump [ROUNDS] FILE... */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/stream.h"
#include "querylist/dump.h"

struct sums {
    uint64_t pages, text, angles;
};

/* CPU time: other work on the machine counts less. */
static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int parse(struct str xml, struct sums *s, bool take_apart, struct err *e)
{
    const struct dump_options o = {0};
    struct stream *in = NULL;
    struct dump *d = NULL;
    struct dump_block b;
    struct dump_pages p;
    struct dump_page page;
    bool more = true, more_pages;
    int rc = stream_open_memory(&in, xml, "dump", e);

    if (!rc)
        rc = dump_open(&d, in, "dump", &o, e);
    if (rc) {
        stream_close(in);
        return rc;
    }
    dump_block_init(&b);
    dump_pages_init(&p, d, false);
    while (!(rc = dump_next(d, &b, &more, e)) && more) {
        s->pages += b.pages;
        if (!take_apart)
            continue;
        dump_pages_start(&p, &b);
        while (!(rc = dump_pages_next(&p, &page, &more_pages, e)) && more_pages)
            s->text += page.text.n;
        if (rc)
            break;
    }
    dump_pages_release(&p);
    dump_block_release(&b);
    dump_close(d);
    stream_close(in);
    return rc;
}

static void find(struct str xml, struct sums *s)
{
    const char *p = xml.p, *end = p + xml.n;

    while (p < end && (p = memchr(p, '<', (size_t)(end - p)))) {
        s->angles++;
        p++;
    }
}

static void row(const char *what, double took, double bytes)
{
    printf("  %-22s%10.0f MB/s\n", what, bytes / took / 1e6);
}

static int bench(const char *path, int rounds, struct err *e)
{
    struct stream *in;
    struct buf xml;
    struct sums s = {0};
    double began[4], bytes;
    int rc = stream_open(&in, path, e);

    if (rc)
        return rc;
    buf_init(&xml, (size_t)1 << 30);
    rc = stream_read_all(in, &xml, e);
    stream_close(in);
    bytes = (double)xml.n * rounds;
    began[0] = seconds();
    for (int i = 0; i < rounds; i++)
        find(buf_str(&xml), &s);
    began[1] = seconds();
    for (int i = 0; !rc && i < rounds; i++)
        rc = parse(buf_str(&xml), &s, false, e);
    began[2] = seconds();
    for (int i = 0; !rc && i < rounds; i++)
        rc = parse(buf_str(&xml), &s, true, e);
    began[3] = seconds();
    if (!rc) {
        printf("%s: %.1f MB, %llu pages, %.1f MB of articles' text\n", path,
               (double)xml.n / 1e6,
               (unsigned long long)(s.pages / (2 * (unsigned)rounds)),
               (double)s.text / rounds / 1e6);
        row("memchr for each <", began[1] - began[0], bytes);
        row("cut", began[2] - began[1], bytes);
        row("cut and parse", began[3] - began[2], bytes);
    }
    buf_release(&xml);
    return rc;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    int rounds = 10, from = 1;
    char *end;

    if (argc > 2 && strtol(argv[1], &end, 10) > 0 && !*end)
        rounds = (int)strtol(argv[from++], NULL, 10);
    for (; from < argc; from++)
        if (bench(argv[from], rounds, &e)) {
            fprintf(stderr, "%s\n", e.message);
            return 3;
        }
    return 0;
}
