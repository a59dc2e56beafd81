/*
 * download_finish - the end of a group, and its way back.
 *
 * Model.   group_finish() (declared in download_group.h) makes the published
 *          form out of the journal; group_reopen() a journal out of the
 *          published form.
 * Threads. As struct download_group.
 */
#ifndef CRAWLER_DOWNLOAD_FINISH_H
#define CRAWLER_DOWNLOAD_FINISH_H

#include "crawler/download_group.h"

/* g is done and its journal open and empty: copy tar and ledger into the
 * journal, then remove the sidecar.  Killed before that, nothing has changed;
 * killed after it, the journal has everything. */
int group_reopen(struct download_group *g, struct err *e);

#endif
