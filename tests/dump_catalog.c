/*
 * dump_catalog CORPUS - the ordered dump of corpus.db by which scripts compare
 * two corpora: every table but `run`, a row a line.
 */
#include <stdio.h>

#include "catalog/catalog.h"

#define DUMP_MAX ((size_t)1 << 30) /* bytes */

int main(int argc, char **argv)
{
    struct catalog c = CATALOG_INIT;
    struct err e = ERR_INIT;
    struct buf out;
    int rc;

    if (argc != 2) {
        fprintf(stderr, "usage: dump_catalog CORPUS\n");
        return 2;
    }
    buf_init(&out, DUMP_MAX);
    rc = catalog_open(&c, argv[1], DB_READ, &e);
    if (!rc)
        rc = catalog_dump(&c, &out, &e);
    if (!rc && fwrite(buf_str(&out).p, 1, out.n, stdout) != out.n)
        rc = err_errno(&e, E_IO, "write", "standard output");
    if (rc)
        fprintf(stderr, "dump_catalog: %s\n", e.message);
    catalog_close(&c);
    buf_release(&out);
    return rc ? 3 : 0;
}
