/*
 * download_prepare - what stands in images/ before a pass begins.
 *
 * Model.   Every group of the part is checked: done ones that came of this
 *          very selection are skipped.  Journals that earlier passes left
 *          (balance was run anew in between) are finished into their tars, so
 *          that what they hold is closed and kept.  Outputs of any pass that
 *          were made with other image options are -E_STALE, or with --redo
 *          removed.
 * Threads. One, before any other starts.
 */
#ifndef CRAWLER_DOWNLOAD_PREPARE_H
#define CRAWLER_DOWNLOAD_PREPARE_H

#include "crawler/download_group.h"

/* One download a part at a time; -E_BUSY.  Close *fd with io_unlock(). */
int prepare_lock(struct stage *stage, struct part part, int *fd, struct err *e);

/* groups: LEDGER_GROUPS, all of them set up, those with skip[] false to be
 * opened. */
int prepare_groups(struct stage *stage, const struct download_pass *pass,
                   struct part part, const struct download_tar *tar,
                   struct download_group *groups, bool skip[LEDGER_GROUPS],
                   struct err *e);

/* A journal is there that a run of this pass has left. */
bool prepare_has_journal(struct stage *stage, const struct download_group *g);

/* Remove journal and list of a group that has nothing to publish. */
int prepare_drop(struct download_group *g, struct err *e);

#endif
