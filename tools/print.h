/*
 * print - numbers and strangers' texts on a terminal.
 *
 * Model.   Texts from the web may carry escape sequences and characters that
 *          turn a line around; what is not plain is shown as <U+XXXX>.
 * Threads. print_n returns one of eight rotating buffers: one thread.
 */
#ifndef TOOLS_PRINT_H
#define TOOLS_PRINT_H

#include "base/buf.h"
#include "base/str.h"
#include <stdint.h>
#include <stdio.h>

/* "1,234,567"; "-" for UINT64_MAX (not known). */
const char *print_n(uint64_t n);

/* "12.3%" of part in whole; "-" when whole is 0. */
const char *print_share(uint64_t part, uint64_t whole);

/* s made safe, at most max_bytes of it and then "..."; 0: all. */
void print_safe(FILE *to, struct str s, size_t max_bytes);

/* A cell of a table that begins at column `indent`: s made safe and filled up
 * to `columns`.  A longer one takes the line for itself, and the row goes on
 * below at the same place: nothing is cut, and columns stay columns. */
void print_cell(FILE *to, struct str s, int indent, int columns);

/* print_safe() into a buffer: controls and direction marks as <U+XXXX>. */
void print_plain(struct buf *out, struct str s, size_t max_bytes);

#endif
