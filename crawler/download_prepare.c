#include "crawler/download_prepare.h"

#include "base/log.h"
#include <stdio.h>

/* "GGG-RR" and a suffix; false for anything else. */
static bool parse_name(const char *file, uint32_t *group, uint32_t *pass,
                       const char **suffix)
{
    unsigned g, p;
    int n = 0;

    if (sscanf(file, "%3u-%2u%n", &g, &p, &n) != 2 || n != 6 ||
        g >= LEDGER_GROUPS)
        return false;
    *group = g;
    *pass = p;
    *suffix = file + n;
    return true;
}

/* An output of another pass: its options must be today's. */
static int check_other(struct stage *stage, const struct download_pass *pass,
                       uint32_t group, uint32_t number, struct err *e)
{
    struct download_group g;
    bool settled, redone;
    int rc = group_check(&g, stage, pass, group, number, &settled, e);

    redone = !rc && !g.done;
    if (redone)
        log_event("warning",
                  "images/%s was made with other image options and is "
                  "dropped; its round has to be downloaded again",
                  g.base);
    group_release(&g);
    return rc;
}

/* A journal of an earlier pass: what it has is published. */
static int finish_abandoned(struct stage *stage,
                            const struct download_pass *pass, uint32_t group,
                            uint32_t number, const struct download_tar *tar,
                            struct err *e)
{
    struct download_group g;
    bool settled;
    int rc = group_check(&g, stage, pass, group, number, &settled, e);

    if (!rc && !g.done) {
        rc = group_open(&g, 0, e);
        if (!rc && group_empty(&g))
            rc = prepare_drop(&g, e);
        else if (!rc)
            rc = group_finish(&g, tar, NULL, e);
    }
    group_release(&g);
    return rc;
}

static int look_at(struct stage *stage, const struct download_pass *pass,
                   struct part part, const struct download_tar *tar,
                   const char *file, struct err *e)
{
    uint32_t group, number;
    const char *suffix;

    if (!parse_name(file, &group, &number, &suffix) || !part_has(part, group) ||
        number == pass->pass)
        return 0;
    if (!strcmp(suffix, ".meta.json"))
        return check_other(stage, pass, group, number, e);
    if (!strcmp(suffix, ".journal") && number < pass->pass)
        return finish_abandoned(stage, pass, group, number, tar, e);
    return 0;
}

static int look_around(struct stage *stage, const struct download_pass *pass,
                       struct part part, const struct download_tar *tar,
                       struct err *e)
{
    char path[IO_PATH_MAX];
    struct io_list files;
    int rc = corpus_path(stage->corpus, "images", path, e);

    if (!rc)
        rc = io_list(path, &files, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < files.n && !rc; i++)
        rc = look_at(stage, pass, part, tar, files.names[i], e);
    io_list_release(&files);
    return rc;
}

int prepare_groups(struct stage *stage, const struct download_pass *pass,
                   struct part part, const struct download_tar *tar,
                   struct download_group *groups, bool skip[LEDGER_GROUPS],
                   struct err *e)
{
    int rc = look_around(stage, pass, part, tar, e);

    for (uint32_t i = 0; i < LEDGER_GROUPS && !rc; i++) {
        skip[i] = true;
        if (part_has(part, i))
            rc = group_check(&groups[i], stage, pass, i, pass->pass, &skip[i],
                             e);
    }
    return rc;
}

int prepare_lock(struct stage *stage, struct part part, int *fd, struct err *e)
{
    char name[64], path[IO_PATH_MAX];
    int rc;

    snprintf(name, sizeof name, "images/download-%u-of-%u.lock", part.i,
             part.n ? part.n : 1);
    rc = corpus_path(stage->corpus, "images", path, e);
    if (!rc)
        rc = io_mkdirs(path, e);
    if (!rc)
        rc = corpus_path(stage->corpus, name, path, e);
    return rc ? rc : io_lock(path, "images/", fd, e);
}

bool prepare_has_journal(struct stage *stage, const struct download_group *g)
{
    char name[64], path[IO_PATH_MAX];

    snprintf(name, sizeof name, "images/%s.journal", g->base);
    return corpus_path(stage->corpus, name, path, NULL) == 0 && io_exists(path);
}

int prepare_drop(struct download_group *g, struct err *e)
{
    char path[IO_PATH_MAX];
    int rc = stage_path(&g->output, ".journal", path, e);

    if (!rc && !g->done)
        rc = io_remove(path, e);
    if (!rc)
        rc = stage_path(&g->output, ".todo", path, e);
    return rc ? rc : io_remove(path, e);
}
