/*
 * dump_inner - what the files of querylist/dump.h tell each other.
 *
 * Threads. As there.
 */
#ifndef QUERYLIST_DUMP_INNER_H
#define QUERYLIST_DUMP_INNER_H

#include "querylist/dump.h"

const char *dump_name(const struct dump *d);

/* Of a schema that had no <redirect/> yet: 0.3 and before. */
bool dump_has_no_redirects(const struct dump *d);

/* Where byte i of a block that begins at `offset` is in the dump. */
uint64_t dump_gaps_place(const struct dump_gap *gaps, size_t n, uint64_t offset,
                         size_t i);

/* What the head of an export says.  bytes: from the first byte of the export
 * to behind <siteinfo>, or to the first page where it has none. */
struct dump_head {
    size_t n;          /* bytes of it that are head: page or end is next */
    bool no_redirects; /* see above */
    bool empty;        /* <mediawiki/>: no end follows */
};

/* -E_FORMAT when it is no head of an export. */
int dump_head_read(struct dump_head *h, struct dump_site *site,
                   struct str bytes, const char *name, struct err *e);

#endif
