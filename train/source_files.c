/* Files made of a tar: where they lie, and who makes them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"
#include "train/source.h"

#define WAIT_MS 100 /* between two looks at another's work */

static int in_cache(const struct source *s, const char *tar, const char *name,
                    size_t n, const char *ending, char *path, struct err *e)
{
    char whole[IO_PATH_MAX + 256], *real = realpath(tar, NULL);
    uint64_t hash = hash_xxh3(str_of(real ? real : tar));
    int did = snprintf(whole, sizeof whole, "%s/%016" PRIx64 "-%.*s%s",
                       s->cache, hash, (int)n, name, ending);

    free(real);
    if (did < 0 || did >= IO_PATH_MAX)
        return err_set(e, E_TOOBIG, "path too long: %.400s", s->cache);
    memcpy(path, whole, (size_t)did + 1);
    return 0;
}

int source_beside(const struct source *s, size_t shard, const char *ending,
                  bool cached, char path[], struct err *e)
{
    const char *tar = s->shards[shard].path, *slash = strrchr(tar, '/');
    const char *name = slash ? slash + 1 : tar;
    size_t head = (size_t)(name - tar), n = strlen(name);

    if (str_ends(str_of(name), STR(".tar")))
        n -= 4;
    if (cached && !s->cache)
        return err_set(e, E_NOTFOUND, "no folder for indexes");
    if (cached)
        return in_cache(s, tar, name, n, ending, path, e);
    if (head + n + strlen(ending) >= IO_PATH_MAX)
        return err_set(e, E_TOOBIG, "path too long: %.400s", tar);
    snprintf(path, IO_PATH_MAX, "%.*s%s", (int)(head + n), tar, ending);
    return 0;
}

char *source_users_cache(void)
{
    static const struct {
        const char *name, *below;
    } homes[] = {{"XDG_CACHE_HOME", "witmill"}, {"HOME", ".cache/witmill"}};
    char path[IO_PATH_MAX];

    for (size_t i = 0; i < sizeof homes / sizeof *homes; i++) {
        const char *home = getenv(homes[i].name);

        if (home && *home == '/' && !io_join(path, home, homes[i].below, NULL))
            return xstrdup(path);
    }
    return NULL;
}

bool source_has_cache(const struct source *s)
{
    return s->cache && (!s->users || (!io_mkdirs(s->cache, NULL) &&
                                      !access(s->cache, W_OK | X_OK)));
}

int source_writable(const struct source *s, size_t shard, bool *cached,
                    struct err *e)
{
    const char *tar = s->shards[shard].path, *slash = strrchr(tar, '/');
    char folder[IO_PATH_MAX] = ".";

    if (slash)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - tar + 1), tar);
    *cached = access(folder, W_OK | X_OK) != 0;
    if (!*cached || source_has_cache(s))
        return 0;
    return err_set(e, E_USAGE,
                   "%s cannot be written: name a folder for indexes of its "
                   "tars (--cache DIR)",
                   folder);
}

int source_make(struct io_file *f, const char *path, source_found_fn found,
                void *ctx, bool *there, struct err *e)
{
    struct err why;
    int rc;

    for (;;) {
        why = (struct err)ERR_INIT;
        rc = io_file_open_shared(f, path, &why);
        *there = (!rc || rc == -E_BUSY) && found(ctx);
        if (rc != -E_BUSY || *there)
            break;
        nanosleep(&(struct timespec){0, WAIT_MS * 1000000}, NULL);
    }
    if (!rc && *there)
        io_file_abandon(f);
    return rc && !*there ? err_set(e, -rc, "%s", why.message) : 0;
}
