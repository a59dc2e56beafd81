#include "filter/rounds.h"

#include <stdio.h>

#include "base/selected.h"

/* A folder without a done output is what a round that could not be planned
 * left: nobody's work is lost with it. */
static int is_empty(const struct corpus *c, const char *folder, bool *empty,
                    struct err *e)
{
    struct io_list done;
    int rc = sidecar_list(c, folder, &done, e);

    *empty = !rc && done.n == 0;
    if (!rc)
        io_list_release(&done);
    return rc;
}

int rounds_prune(struct stage *s, unsigned round, struct err *e)
{
    int rc = 0;

    for (unsigned r = SELECTED_ROUNDS_MAX; !rc && --r > round;) {
        char name[32], path[IO_PATH_MAX];
        bool empty;

        snprintf(name, sizeof name, "selected/round-%u", r);
        rc = corpus_path(s->corpus, name, path, e);
        if (rc || !io_exists(path))
            continue;
        rc = is_empty(s->corpus, name, &empty, e);
        if (rc)
            break;
        rc = s->redo || empty
                 ? stage_drop_folder(s->corpus, name, e)
                 : err_set(e, E_STALE,
                           "%s is left from an earlier selection; --redo "
                           "removes it",
                           path);
    }
    return rc;
}
