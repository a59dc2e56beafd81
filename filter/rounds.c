#include "filter/rounds.h"

#include <stdio.h>

int rounds_prune(struct stage *s, unsigned round, struct err *e)
{
    int rc = 0;

    for (unsigned r = ROUNDS_MAX; !rc && --r > round;) {
        char name[32], path[IO_PATH_MAX];

        snprintf(name, sizeof name, "selected/round-%u", r);
        rc = corpus_path(s->corpus, name, path, e);
        if (rc || !io_exists(path))
            continue;
        rc = s->redo ? stage_drop_folder(s->corpus, name, e)
                     : err_set(e, E_STALE,
                               "%s is left from an earlier selection; --redo "
                               "removes it",
                               path);
    }
    return rc;
}
