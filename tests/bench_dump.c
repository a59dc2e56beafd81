/* How fast dumps are cut and parsed, beside the least that can be done, which
 * is to find the `<` of the same bytes by memchr, and beside libxml2.  Each
 * file is unpacked and repeated in memory, as exports that follow each other.
 *
 * usage: bench_dump MEGABYTES FILE... */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <libxml/parser.h>

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

/* ---- libxml2, the callbacks of a reader that wants texts ---- */

static void sax_text(void *ctx, const xmlChar *p, int n)
{
    struct sums *s = ctx;

    (void)p;
    s->text += (uint64_t)n;
}

static void sax_end(void *ctx, const xmlChar *name)
{
    struct sums *s = ctx;

    s->pages += xmlStrEqual(name, BAD_CAST "page") != 0;
}

/* One export, in pieces, as it would come from a stream. */
static int sax(struct str xml, struct sums *s)
{
    xmlSAXHandler handler = {.characters = sax_text, .endElement = sax_end};
    xmlParserCtxtPtr p = xmlCreatePushParserCtxt(&handler, s, NULL, 0, NULL);
    const size_t piece = 256 << 10;
    int rc = 0;

    if (!p)
        return -E_NOMEM;
    xmlCtxtUseOptions(p, XML_PARSE_HUGE | XML_PARSE_NONET);
    for (size_t i = 0; !rc && i < xml.n; i += piece) {
        size_t n = xml.n - i < piece ? xml.n - i : piece;

        rc = xmlParseChunk(p, xml.p + i, (int)n, i + n == xml.n);
    }
    xmlFreeParserCtxt(p);
    return rc ? -E_FORMAT : 0;
}

/* ---- a file ---- */

static void row(const char *what, double took, double bytes)
{
    printf("  %-26s%10.0f MB/s\n", what, bytes / took / 1e6);
}

static int measure(struct str xml, struct str one, struct err *e)
{
    struct sums s[4] = {{0}};
    double began[5];
    int rc;

    began[0] = seconds();
    find(xml, &s[0]);
    began[1] = seconds();
    rc = parse(xml, &s[1], false, e);
    began[2] = seconds();
    if (!rc)
        rc = parse(xml, &s[2], true, e);
    began[3] = seconds();
    if (!rc && sax(one, &s[3]))
        rc = err_set(e, E_FORMAT, "libxml2 refuses it");
    began[4] = seconds();
    if (rc)
        return rc;
    printf("  %.0f MB, %llu pages, %.0f MB of articles' text\n",
           (double)xml.n / 1e6, (unsigned long long)s[2].pages,
           (double)s[2].text / 1e6);
    row("memchr for each <", began[1] - began[0], (double)xml.n);
    row("cut into blocks", began[2] - began[1], (double)xml.n);
    row("cut and take apart", began[3] - began[2], (double)xml.n);
    row("libxml2's push parser", began[4] - began[3], (double)one.n);
    return 0;
}

static int bench(const char *path, size_t bytes, struct err *e)
{
    struct stream *in;
    struct buf xml;
    size_t one;
    int rc = stream_open(&in, path, e);

    if (rc)
        return rc;
    printf("%s\n", path);
    buf_init(&xml, (size_t)4 << 30);
    rc = stream_read_all(in, &xml, e);
    stream_close(in);
    one = xml.n;
    while (!rc && xml.n < bytes && !xml.rc && buf_reserve(&xml, one))
        buf_add(&xml, str_make(xml.p, one));
    if (!rc && xml.rc)
        rc = err_set(e, -xml.rc, "%s: no room", path);
    if (!rc)
        rc = measure(buf_str(&xml), str_make(xml.p, one), e);
    buf_release(&xml);
    return rc;
}

int main(int argc, char **argv)
{
    struct err e = ERR_INIT;
    uint64_t megabytes;

    if (argc < 3 || str_u64(str_of(argv[1]), &megabytes) || megabytes > 2000) {
        fprintf(stderr, "usage: bench_dump MEGABYTES FILE...\n");
        return 2;
    }
    for (int i = 2; i < argc; i++)
        if (bench(argv[i], megabytes * 1000000, &e)) {
            fprintf(stderr, "%s\n", e.message);
            return 3;
        }
    return 0;
}
