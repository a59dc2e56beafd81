#include "filter/rounds.h"

#include <stdio.h>
#include <unistd.h>

/* Files of a folder whose names end in .meta.json, or those that do not. */
static int remove_files(const char *folder, bool sidecars, struct err *e)
{
    static const struct str suffix = {".meta.json", 10};
    struct io_list names;
    int rc = io_list(folder, &names, e);

    for (size_t i = 0; !rc && i < names.n; i++) {
        char path[IO_PATH_MAX];

        if (str_ends(str_of(names.names[i]), suffix) != sidecars)
            continue;
        rc = io_join(path, folder, names.names[i], e);
        if (!rc)
            rc = io_remove(path, e);
    }
    io_list_release(&names);
    return rc ? rc : io_sync_folder(folder, e);
}

/* Sidecars first: what is left of a kill in between looks unfinished. */
static int remove_round(const char *folder, struct err *e)
{
    int rc = remove_files(folder, true, e);

    if (!rc)
        rc = remove_files(folder, false, e);
    if (!rc && rmdir(folder))
        rc = err_errno(e, E_IO, "remove folder", folder);
    return rc ? rc : io_sync_parent(folder, e);
}

int rounds_prune(struct stage *s, unsigned round, struct err *e)
{
    int rc = 0;

    for (unsigned r = ROUNDS_MAX; !rc && --r > round;) {
        char name[32], path[IO_PATH_MAX];

        snprintf(name, sizeof name, "selected/round-%u", r);
        rc = corpus_path(s->corpus, name, path, e);
        if (rc || !io_exists(path))
            continue;
        rc = s->redo ? remove_round(path, e)
                     : err_set(e, E_STALE,
                               "%s is left from an earlier selection; --redo "
                               "removes it",
                               path);
    }
    return rc;
}
