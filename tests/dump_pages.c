/* The pages of a dump, a line each: number, ns, id, fault, sha256 of the text,
 * title, what it redirects to; tabs between.  For scripts that compare.
 *
 * usage: dump_pages FILE [READ_BYTES BLOCK_BYTES [--allow-truncated]] */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "querylist/dump.h"

static void print(const struct dump_page *p)
{
    uint8_t sha[SHA256_SIZE];
    char hex[SHA256_HEX];

    hash_sha256(p->text, sha);
    hash_hex(sha, sizeof sha, hex);
    printf("%llu\t%d\t%llu\t%s\t%s\t%.*s\t%.*s\n",
           (unsigned long long)p->number, (int)p->ns, (unsigned long long)p->id,
           dump_fault_name(p->fault), hex, STR_ARG(p->title),
           STR_ARG(p->redirect));
}

static int pages(struct dump *d, struct err *e)
{
    struct dump_block b;
    struct dump_pages p;
    struct dump_page page;
    bool more = true, more_pages;
    int rc = 0;

    dump_block_init(&b);
    dump_pages_init(&p, d, true);
    while (!rc && !(rc = dump_next(d, &b, &more, e)) && more) {
        dump_pages_start(&p, &b);
        while (!(rc = dump_pages_next(&p, &page, &more_pages, e)) && more_pages)
            print(&page);
    }
    if (dump_truncated(d))
        fprintf(stderr, "%s\n", dump_truncated(d));
    dump_pages_release(&p);
    dump_block_release(&b);
    return rc;
}

int main(int argc, char **argv)
{
    struct dump_options o = {.allow_truncated = argc > 4};
    struct err e = ERR_INIT;
    struct stream *in;
    struct dump *d;
    int rc;

    if (argc < 2)
        return 2;
    if (argc > 3) {
        o.read_bytes = strtoull(argv[2], NULL, 10);
        o.block_bytes = strtoull(argv[3], NULL, 10);
    }
    rc = stream_open(&in, argv[1], &e);
    if (!rc) {
        rc = dump_open(&d, in, argv[1], &o, &e);
        if (!rc) {
            rc = pages(d, &e);
            dump_close(d);
        }
        stream_close(in);
    }
    if (rc)
        fprintf(stderr, "%s\n", e.message);
    return rc ? 3 : 0;
}
