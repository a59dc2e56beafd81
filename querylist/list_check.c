#include "querylist/list_check.h"

#include <stdbool.h>

int list_check_open(struct list_check *c, const struct qlist *l, struct err *e)
{
    uint32_t number;
    bool is_new;
    int rc = 0;

    *c = (struct list_check){.policy = qlist_policy(l)};
    strset_init(&c->texts, QUERY_LIST_BYTES);
    strset_init(&c->norms, QUERY_LIST_BYTES);
    words_init(&c->words);
    for (uint32_t id = 0; !rc && id < qlist_count(l); id++) {
        if (qlist_flags(l, id) & (QUERY_NO_WORDS | QUERY_NEVER))
            continue;
        rc = strset_add(&c->texts, qlist_text(l, id), &number, &is_new);
        if (!rc)
            rc = strset_add(&c->norms, qlist_norm(l, id), &number, &is_new);
        if (rc)
            rc = err_set(e, -rc, "tables over the query list");
    }
    if (rc)
        list_check_close(c);
    return rc;
}

void list_check_close(struct list_check *c)
{
    strset_release(&c->texts);
    strset_release(&c->norms);
    words_release(&c->words);
    *c = (struct list_check){0};
}

int list_check_name(struct list_check *c, struct str name,
                    enum list_check_result *result, struct err *e)
{
    int rc;

    *result = LIST_CHECK_EXACT;
    if (strset_find(&c->texts, name) != STRSET_NONE)
        return 0;
    *result = LIST_CHECK_MISSING;
    rc = words_norm(&c->words, c->policy, name);
    if (rc == -E_FORMAT) /* no UTF-8: no entry is like it */
        return 0;
    if (rc)
        return err_set(e, -rc, "words of the class name %.*s",
                       STR_ARG(str_slice(name, 0, 200)));
    if (c->words.n &&
        strset_find(&c->norms, buf_str(&c->words.text)) != STRSET_NONE)
        *result = LIST_CHECK_NORM;
    return 0;
}
