/* Bytes as a dump: reading ends, what comes out is within its ceilings and
 * valid UTF-8, and small reads and blocks give the same pages and the same
 * error as large ones. */
#include <stdlib.h>

#include "base/utf8.h"
#include "querylist/dump.h"

#define OUT_MAX ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put(struct buf *out, struct str s)
{
    if (!utf8_valid(s))
        abort();
    buf_addf(out, "%zu:", s.n);
    buf_add(out, s);
}

static int pages(struct dump *d, struct buf *out, struct err *e)
{
    struct dump_block b;
    struct dump_pages p;
    struct dump_page page;
    bool more = true, more_pages;
    uint64_t n = 0;
    int rc = 0;

    dump_block_init(&b);
    dump_pages_init(&p, d, true);
    while (!rc && !(rc = dump_next(d, &b, &more, e)) && more) {
        if (!b.pages || b.first_page != n + 1)
            abort();
        dump_pages_start(&p, &b);
        while (!(rc = dump_pages_next(&p, &page, &more_pages, e)) &&
               more_pages) {
            if (page.number != ++n || page.title.n > DUMP_TITLE_MAX ||
                page.redirect.n > DUMP_TITLE_MAX ||
                page.text.n > DUMP_TEXT_MAX || (page.fault && page.text.n))
                abort();
            buf_addf(out, "%d %llu %d ", (int)page.ns,
                     (unsigned long long)page.id, (int)page.fault);
            put(out, page.title);
            put(out, page.redirect);
            put(out, page.text);
        }
    }
    dump_pages_release(&p);
    dump_block_release(&b);
    return rc;
}

static void read_all(struct str xml, const struct dump_options *o,
                     struct buf *out)
{
    struct err e = ERR_INIT;
    struct stream *in;
    struct dump *d;
    int rc = stream_open_memory(&in, xml, "fuzz", &e);

    if (rc)
        return;
    rc = dump_open(&d, in, "fuzz", o, &e);
    if (!rc) {
        rc = pages(d, out, &e);
        if (dump_truncated(d))
            buf_add(out, str_of(dump_truncated(d)));
        dump_close(d);
    }
    stream_close(in);
    if ((rc != 0) != (e.code != 0))
        abort();
    buf_add(out, str_of(e.message));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str xml = str_make((const char *)data, size);
    struct buf one, two;

    if (size > 65536)
        return 0;
    for (int allow = 0; allow < 2; allow++) {
        struct dump_options whole = {.allow_truncated = allow};
        struct dump_options bits = {allow, 1 + size % 29, 1 + size % 300};

        buf_init(&one, OUT_MAX);
        buf_init(&two, OUT_MAX);
        read_all(xml, &whole, &one);
        read_all(xml, &bits, &two);
        if (!str_eq(buf_str(&one), buf_str(&two)))
            abort();
        buf_release(&one);
        buf_release(&two);
    }
    return 0;
}
