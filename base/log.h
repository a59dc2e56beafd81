/*
 * log - events for operators: one JSON object a line on standard error.
 *
 * Model.   log_event("warning", fmt, ...) writes
 *          {"event":"warning","message":"..."}.  On a terminal the same comes
 *          as "witmill: warning: ...".  Outside tools/ nothing else writes to
 *          stderr or stdout.  Repeated trouble is counted, not logged per
 *          record: log the first few and put the number in the summary.
 * Threads. Any; a line is written whole.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

void log_event(const char *event, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* A ready JSON object (without newline) as one line; used by progress. */
void log_json(struct str object);

/* Say nothing more (tests). */
void log_quiet(bool quiet);

#endif
