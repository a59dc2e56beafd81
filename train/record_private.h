/*
 * record_private - the log of a record, for train/record.c alone.
 *
 * Model.   record_log.c names log.jsonl, sees that it is this run's, opens it
 *          where the run goes on, and writes whole lines.
 * Fails.   As train/record.h says.
 * Threads. The run's.
 */
#ifndef TRAIN_RECORD_PRIVATE_H
#define TRAIN_RECORD_PRIVATE_H

#include "train/record.h"

/* r->log_path; "" where there is none. */
int record_name_log(struct record *r, struct err *e);

/* Of a run that begins anew: what lies there may be written over. */
int record_check_log(const struct record *r, struct err *e);

/* Behind the checkpoint's step, or with head as its only line. */
int record_open_log(struct record *r, struct str head, struct err *e);

/* r->line and its end. */
int record_write_line(struct record *r, struct err *e);

#endif
