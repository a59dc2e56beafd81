/*
 * crawldb_private - what crawldb.c (hosts, URLs, robots.txt) and
 * crawldb_part.c (parts, counts, scans) share and nobody else needs.
 */
#ifndef CATALOG_CRAWLDB_PRIVATE_H
#define CATALOG_CRAWLDB_PRIVATE_H

#include "catalog/crawldb.h"
#include "catalog/db.h"

enum crawldb_statement {
    GET_META,
    PUT_META,
    DROP_META,
    PUT_HOST,
    PUT_URL,
    GET_URL,
    SET_STATE,
    SET_DEPTH,
    GET_REASON,
    PUT_REASON,
    WAIT_AGAIN,
    PUT_REFUSAL,
    PUT_LINKS,
    GET_LINKS,
    PUT_ROBOTS,
    GET_ROBOTS,
    PUT_PART,
    NEXT_PART,
    ADD_COUNT,
    GET_COUNTS,
    SCAN_HOSTS,
    SCAN_URLS,
    STATEMENTS
};

struct crawldb {
    struct db db;
    struct db_stmt st[STATEMENTS];
    struct buf text; /* of the URL last read */
    struct buf body; /* of the robots.txt last read */
    struct buf blob; /* link targets being written */
    bool open;       /* a transaction is */
};

/* Run a statement whose parameters are bound, inside the transaction. */
int crawldb_run(struct crawldb *db, enum crawldb_statement which,
                struct err *e);

#endif
