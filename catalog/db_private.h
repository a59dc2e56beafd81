/*
 * db_private - what db.c and db_open.c share and nobody else needs.
 */
#ifndef CATALOG_DB_PRIVATE_H
#define CATALOG_DB_PRIVATE_H

#include "catalog/db.h"

/* Word an SQLite result code; doing is a verb ("write") or the SQL. */
int db_fail(struct db *db, int sqlite_rc, const char *doing, struct err *e);

#endif
