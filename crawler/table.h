/*
 * table - rows of a link list: TSV, CSV (RFC 4180) or JSON lines.
 *
 * Model.   table_open() looks at the name and the first row; table_next() gives
 *          the wanted columns of each row as bytes, unquoted and unescaped.
 *          Columns are named by the header row, or counted from 1.
 * Owns.    Cells point into the table's buffers until the next call.
 * Fails.   A row that is no row (an unclosed quote, JSON that does not parse,
 *          a quoted row over TABLE_ROW_MAX) is data: `bad` is set, the reading
 *          goes on with the next line; lines over it are counted in
 *          lines.too_long.  -E_USAGE when a named column is not in the header.
 * Threads. One.
 */
#ifndef CRAWLER_TABLE_H
#define CRAWLER_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "base/stream.h"

#define TABLE_ROW_MAX ((size_t)1 << 20) /* bytes of one row */

enum table_format { TABLE_AUTO, TABLE_TSV, TABLE_CSV, TABLE_JSONL };
enum table_header { TABLE_HEADER_AUTO, TABLE_HEADER_YES, TABLE_HEADER_NO };

/* The columns a pair can come from. */
enum table_column {
    TABLE_URL,
    TABLE_TEXT,
    TABLE_PAGE,
    TABLE_UID,
    TABLE_COLUMNS
};

struct table_config {
    int format;                        /* enum table_format */
    int header;                        /* enum table_header */
    const char *column[TABLE_COLUMNS]; /* name or number; NULL: the usual */
};

struct table_row {
    uint64_t number;                /* of its first line, from 1 */
    struct str cell[TABLE_COLUMNS]; /* empty when absent */
    bool bad;                       /* no row; cells are empty */
};

struct table {
    struct stream *stream;
    struct lines lines;
    enum table_format format;
    int at[TABLE_COLUMNS]; /* column index, -1: none */
    struct buf row;        /* a CSV row over several lines */
    struct buf cells;      /* unquoted */
    struct arena arena;    /* JSON strings */
    bool pending;          /* the first row is data: give it */
    struct table_row first;
    const struct table_config *config;
    const char *path; /* the caller's */
};

int table_open(struct table *t, const char *path,
               const struct table_config *config, struct err *e);
int table_next(struct table *t, struct table_row *row, bool *more,
               struct err *e);
void table_close(struct table *t);

#endif
