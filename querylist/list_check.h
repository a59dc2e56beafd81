/*
 * list_check - which class names of an evaluation set a list contains.
 *
 * Model.   A name is LIST_CHECK_EXACT when an entry has its very bytes,
 *          LIST_CHECK_NORM when one has its norm under the list's policy (so
 *          that texts which hold the name pick the entry), else
 *          LIST_CHECK_MISSING.  Entries that no text can match (enum
 *          query_flags) are not contained; a name without words never is.
 * Owns.    Two tables over the list's strings; the list stays open for as
 *          long.
 * Fails.   -E_TOOBIG, -E_NOMEM.
 * Threads. One at a time.
 */
#ifndef QUERYLIST_LIST_CHECK_H
#define QUERYLIST_LIST_CHECK_H

#include "base/err.h"
#include "base/str.h"
#include "querylist/qlist.h"
#include "querylist/strset.h"
#include "querylist/words.h"

enum list_check_result {
    LIST_CHECK_MISSING,
    LIST_CHECK_NORM,
    LIST_CHECK_EXACT
};

struct list_check {
    enum query_policy policy;
    struct strset texts, norms;
    struct words words;
};

int list_check_open(struct list_check *c, const struct qlist *l, struct err *e);
void list_check_close(struct list_check *c);

int list_check_name(struct list_check *c, struct str name,
                    enum list_check_result *result, struct err *e);

#endif
