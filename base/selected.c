#include "base/selected.h"

#include <stdio.h>

int selected_rounds(const struct corpus *c, unsigned *rounds, struct err *e)
{
    bool found = true;
    int rc = 0;

    *rounds = 0;
    while (found && *rounds < SELECTED_ROUNDS_MAX) {
        char folder[STAGE_NAME_MAX];
        struct io_list done;

        snprintf(folder, sizeof folder, "selected/round-%u", *rounds);
        rc = sidecar_list(c, folder, &done, e);
        if (rc)
            return rc;
        found = done.n > 0;
        *rounds += found;
        io_list_release(&done);
    }
    if (*rounds == 0)
        rc = err_set(e, E_NOTFOUND,
                     "%s has no selected/ yet: run `witmill balance %s` first",
                     c->dir, c->dir);
    return rc;
}

/* The plan of a round was made from before (the query list, or the plan of the
 * round before); now becomes what the round's buckets are made from. */
static int check_plan(const struct corpus *c, unsigned round, const char *maker,
                      struct stage_inputs *now, struct err *e)
{
    char name[STAGE_NAME_MAX];
    struct err inner = ERR_INIT;
    int rc;

    snprintf(name, sizeof name, "selected/round-%u/caps", round);
    rc = stage_made_from(c, name, maker, now, &inner);
    if (rc && rc != -E_NOTFOUND)
        return err_set(e, -rc, "%s", inner.message);
    stage_inputs_clear(now);
    return stage_inputs_add_output(now, c, name, maker, e);
}

int selected_check(const struct corpus *c, unsigned rounds,
                   struct stage_inputs *in, struct err *e)
{
    char name[STAGE_NAME_MAX], maker[48], path[IO_PATH_MAX], hex[SHA256_HEX];
    struct stage_inputs now;
    int rc = corpus_path(c, "queries.bin", path, e);

    if (!rc)
        rc = io_sha256_file(path, hex, e);
    if (rc)
        return rc;
    stage_inputs_init(&now);
    stage_inputs_add(&now, "queries.bin", hex);
    for (unsigned r = 0; !rc && r < rounds; r++) {
        snprintf(maker, sizeof maker, "balance --round %u", r);
        rc = check_plan(c, r, maker, &now, e);
        for (uint32_t k = 0; !rc && k < corpus_buckets(c); k++) {
            snprintf(name, sizeof name, "selected/round-%u/bucket-%04u", r, k);
            if (in)
                rc = stage_inputs_add_output(in, c, name, maker, e);
            if (!rc)
                rc = stage_made_from(c, name, maker, &now, e);
        }
    }
    stage_inputs_release(&now);
    return rc;
}
